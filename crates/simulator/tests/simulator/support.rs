//! A hand-written HTTP/1.1 client, which sends and returns bytes without interpretation.

use std::time::Duration;

use cfw_simulator::Simulator;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body has the announced length.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) async fn connect(sim: &Simulator) -> Self {
        let address = sim.endpoint().trim_start_matches("http://").to_owned();
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// Receives an answer without its body. Returns an error if the connection ends before the
    /// headers are complete.
    pub(crate) async fn receive_headers(&mut self) -> std::io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Answer { status, headers, body: Vec::new(), is_whole: true })
    }

    /// Receives an answer. Returns an error if the connection ends before the headers are complete.
    pub(crate) async fn receive(&mut self) -> std::io::Result<Answer> {
        let mut answer = self.receive_headers().await?;
        if let Some(length) = answer.header("content-length") {
            let mut left: u64 = length.parse().unwrap();
            while left > 0 {
                let read = (&mut self.stream).take(left).read_buf(&mut answer.body).await?;
                if read == 0 {
                    answer.is_whole = false;
                    break;
                }
                left -= read as u64;
            }
        }
        Ok(answer)
    }

    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.send(method, path, headers, body).await;
        self.receive().await.unwrap()
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

pub(crate) fn job_path(sim: &Simulator, id: &str) -> String {
    format!("/v3/{}/jobs/{id}", sim.project_id())
}

/// Polls once on a new connection, with the static token.
pub(crate) async fn poll(sim: &Simulator, id: &str) -> Answer {
    poll_with(sim, id, &[("X-Auth-Token", sim.token())]).await
}

pub(crate) async fn poll_with(sim: &Simulator, id: &str, headers: &[(&str, &str)]) -> Answer {
    Client::connect(sim).await.call("GET", &job_path(sim, id), headers, "").await
}

pub(crate) async fn status(sim: &Simulator, id: &str) -> String {
    poll(sim, id).await.json()["data"]["status"].as_str().unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "the simulator runs in real time")]
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits for an effect on the server that follows soon after an action of the client.
pub(crate) async fn eventually(mut condition: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        sleep(ms(1)).await;
    }
    panic!("not true within two seconds");
}

//! A proxy that records which hosts are contacted, and plays IAM.

#![cfg(feature = "rustls")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What reached the proxy: the hosts, and everything that was sent.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<(BTreeSet<String>, String)>>);

impl Record {
    pub(crate) fn hosts(&self) -> String {
        self.0.lock().unwrap().0.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn sent(&self) -> String {
        self.0.lock().unwrap().1.clone()
    }
}

/// Starts a proxy whose IAM answers a login with `catalog`, and every project lookup. Returns its URL.
pub(crate) async fn start(catalog: String) -> (String, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let record = Record::default();
    let seen = record.clone();
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, &catalog, &seen).await;
        }
    });
    (url, record)
}

/// Serves one request and closes the connection.
async fn serve(mut stream: TcpStream, catalog: &str, record: &Record) {
    let mut bytes = Vec::new();
    let head = loop {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return,
        }
        if bytes.ends_with(b"\r\n\r\n") {
            break String::from_utf8(bytes).unwrap();
        }
    };
    let length = head
        .to_ascii_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let mut line = head.split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let authority = target.strip_prefix("http://").unwrap_or(target);
    let host = authority.split(['/', ':']).next().unwrap().to_owned();
    {
        let mut record = record.0.lock().unwrap();
        record.0.insert(host);
        record.1 += &head;
        record.1 += &String::from_utf8_lossy(&body);
    }
    let token = format!(
        r#"{{"token":{{"expires_at":"2099-01-01T00:00:00.000000Z","project":{{"id":"p-1"}},"catalog":{catalog}}}}}"#
    );
    let (status, header, body) = match method {
        // To a host that is only spoken to with TLS: that it is asked for is all there is to learn.
        "CONNECT" => ("502 Bad Gateway", "", String::new()),
        "POST" => ("201 Created", "X-Subject-Token: SENSITIVE-issued\r\n", token),
        _ if authority.contains("/projects?name=") => {
            let name = authority.split("name=").nth(1).unwrap();
            ("200 OK", "", format!(r#"{{"projects":[{{"id":"p-1","name":"{name}"}}]}}"#))
        }
        _ => ("200 OK", "", r#"{"data":{"status":"Running"}}"#.to_owned()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

//! A server that misbehaves below HTTP.

use std::time::Duration;

use cfw_api::Job;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::common::{builder, id};

/// What a connection does after it has read the head of a request.
pub(crate) enum Then {
    /// Sends these bytes and closes.
    Say(Vec<u8>),
    /// Sends these bytes and resets the connection.
    SayAndReset(&'static str),
    /// Keeps the connection open and says no more than these bytes.
    SayAndHang(&'static str),
}

/// Serves one connection with `then` and lists one job there.
pub(crate) async fn list_job_of(then: Then) -> Result<Job, cfw_api::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // Only a server that hangs is worth a short limit; a slow machine must not look like one.
    let hangs = matches!(then, Then::SayAndHang(_));
    let limit = Duration::from_millis(if hangs { 50 } else { 30_000 });
    let client = builder(&endpoint).request_timeout(limit).build().unwrap();
    let id = id();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        match then {
            Then::Say(bytes) => {
                // The client hangs up on an endless body before all of it is sent.
                let _ = stream.write_all(&bytes).await;
            }
            Then::SayAndReset(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                stream.set_zero_linger().unwrap();
            }
            Then::SayAndHang(text) => {
                // The client may have hung up already.
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.read(&mut [0; 64]).await;
            }
        }
    };
    tokio::join!(client.list_job(&id), serve).0
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // On a busy machine the client's time can be up before it has sent all of it.
        let Ok(byte) = stream.read_u8().await else { break };
        head.push(byte);
    }
}

//! A server that never stops to send interim (1xx) answers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Running, TIMEOUT, bare_command, ms, read_all};

/// What is allowed beyond the limit. With the connection on the thread of the waits, several times the limit passes.
const SLACK: Duration = ms(1_500);

/// Starts the server. Returns its URL, and a channel that receives a message whenever a connection has
/// received some megabytes.
fn flood() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, flooded) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || send_interim_answers(stream, || sender.send(()).is_ok()));
        }
    });
    (endpoint, flooded)
}

fn send_interim_answers(mut stream: TcpStream, is_wanted: impl Fn() -> bool) {
    let answers = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    let _ = stream.read(&mut [0; 4096]);
    for megabytes in 0.. {
        for _ in 0..4 {
            if stream.write_all(answers.as_bytes()).is_err() {
                return;
            }
        }
        if megabytes == 3 && !is_wanted() {
            return;
        }
    }
}

fn command(endpoint: &str, args: &[&str]) -> Command {
    let mut command = bare_command(args);
    command.env("CFW_ENDPOINT", endpoint).env("CFW_PROJECT_ID", "p").env("CFW_TOKEN", "t");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the bar is a time")]
fn the_deadline_holds_while_interim_answers_flood_in() {
    let (endpoint, _flooded) = flood();
    let started = Instant::now();
    let mut child = Running::start(&mut command(&endpoint, &["--timeout=5s", "a"]));
    let stderr = read_all(child.stderr());
    assert_eq!(child.code(), Some(124), "{stderr}");
    let took = started.elapsed();
    assert!(took < ms(5_000) + SLACK, "{took:?}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the bar is a time")]
fn an_interrupt_ends_the_wait_while_interim_answers_flood_in() {
    let (endpoint, flooded) = flood();
    let mut child = Running::start(&mut command(&endpoint, &["a", "b", "c"]));
    flooded.recv_timeout(TIMEOUT).unwrap();
    let started = Instant::now();
    child.interrupt();
    let stderr = read_all(child.stderr());
    assert_eq!(child.code(), Some(130), "{stderr}");
    let took = started.elapsed();
    assert!(took < SLACK, "{took:?}");
}

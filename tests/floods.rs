//! A server that never stops to send interim (1xx) answers, and waits on a runtime with a single thread.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use cfw_api::{Client, ClientBuilder, Credentials, ErrorKind, JobId};
use cfw_waiter::{Policy, WaitErrorKind, Waiter};
use tokio::runtime::Builder;
use tokio::time::sleep;

/// For busy machines. With the connection on the thread of the waits, several times the limits below pass.
const SLACK: Duration = Duration::from_millis(1_500);

/// Starts the server and returns its URL.
fn flood() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(|| send_interim_answers(stream));
        }
    });
    endpoint
}

fn send_interim_answers(mut stream: TcpStream) {
    let answers = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    let _ = stream.read(&mut [0; 4096]);
    while stream.write_all(answers.as_bytes()).is_ok() {}
}

fn settings() -> ClientBuilder {
    Client::builder().endpoint(flood()).project_id("p").credentials(Credentials::token("t"))
}

fn client() -> Client {
    settings().build().expect("sound settings")
}

/// Runs `future` on a runtime with a single thread and returns its result, and how long it took.
#[expect(clippy::disallowed_methods, reason = "the bar is a time")]
fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let started = Instant::now();
    let result = runtime.block_on(future);
    (result, started.elapsed())
}

#[test]
fn rule_05_a_wait_ends_by_its_deadline_while_interim_answers_flood_in() {
    let waiter = Waiter::new(client());
    let limit = Duration::from_secs(3);
    let (outcome, took) = timed(waiter.wait_for_job("a").timeout(limit));
    assert_eq!(outcome.expect_err("no answer comes").kind(), WaitErrorKind::TimedOut);
    assert!(took < limit + SLACK, "{took:?}");
}

#[test]
fn a_call_ends_by_its_limit_while_interim_answers_flood_in() {
    let limit = Duration::from_secs(2);
    let client = client().limit_requests(limit);
    let id = JobId::new("a").expect("a sound id");
    let (result, took) = timed(client.list_job(&id));
    assert_eq!(result.expect_err("no answer comes").kind(), ErrorKind::Timeout);
    assert!(took >= limit && took < limit + SLACK, "{took:?}");
}

/// As a signal handler beside the waits does.
#[test]
#[expect(clippy::disallowed_methods, reason = "stands for what else the application waits for")]
fn other_tasks_run_while_interim_answers_flood_into_several_connections() {
    let poll_at_once = Policy::new().first_poll_at_once(true);
    let waiter = Waiter::builder(client()).policy(poll_at_once).build().expect("sound settings");
    let mut watch = waiter.watch((0..20).map(|n| n.to_string()));
    let limit = Duration::from_secs(2);
    let ((), took) = timed(async {
        tokio::select! {
            update = watch.next() => panic!("no answer comes, but {update:?}"),
            () = sleep(limit) => (),
        }
    });
    assert!(took < limit + SLACK, "{took:?}");
}

/// A client of the application has its connections where it is used, unless a runtime is named.
#[test]
fn a_call_of_an_applications_client_ends_by_its_limit_if_its_connections_have_a_runtime() {
    let io_runtime =
        Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let limit = Duration::from_secs(2);
    let client = settings()
        .http_client(cfw_api::reqwest::Client::builder().no_proxy().build().expect("certificates"))
        .io_runtime(io_runtime.handle().clone())
        .build()
        .expect("sound settings")
        .limit_requests(limit);
    let id = JobId::new("a").expect("a sound id");
    let (result, took) = timed(client.list_job(&id));
    assert_eq!(result.expect_err("no answer comes").kind(), ErrorKind::Timeout);
    assert!(took < limit + SLACK, "{took:?}");
    io_runtime.shutdown_background();
}

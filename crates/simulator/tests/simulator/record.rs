//! The record of requests, and the start and stop of the simulator.

use cfw_simulator::{Credential, Fault, JobScript, Route, Simulator};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::support::{Client, eventually, job_path, ms, poll, sleep, status};

#[tokio::test]
async fn a_request_is_recorded_from_arrival_to_answer() {
    let sim = Simulator::builder().latency(ms(10)).start().await.unwrap();
    let id = sim.add_job(JobScript::never().id("a b"));
    let mut client = Client::connect(&sim).await;
    let path = format!("{}?x=1", job_path(&sim, "a%20b"));
    let headers = [
        ("X-Auth-Token", "stale"),
        ("X-Sdk-Date", "20260102T030405Z"),
        ("Authorization", "SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature=abc"),
        ("X-Client-Token", "mine"),
    ];
    let before = sim.now();
    client.call("GET", &path, &headers, "").await;
    let after = sim.now();
    client.call("GET", &path, &[("X-Auth-Token", sim.token())], "").await;
    let [first, second] = <[_; 2]>::try_from(sim.requests()).unwrap();
    assert!(
        before <= first.at
            && first.at + ms(10) <= first.answered.unwrap()
            && first.answered.unwrap() <= after
    );
    assert_eq!((first.method, first.route, &*first.path), ("GET", Route::ListJob, path.as_str()));
    assert_eq!(first.job.as_deref(), Some(id.as_str()));
    assert_eq!((first.status, first.credential), (Some(401), Credential::RefusedToken));
    let seen = first.headers.unwrap();
    assert_eq!(seen.sdk_date.as_deref(), Some("20260102T030405Z"));
    assert_eq!(seen.signature.as_deref(), Some("abc"));
    assert_eq!(seen.client_token.as_deref(), Some("mine"));
    assert_eq!(
        (second.status, second.credential, second.headers),
        (Some(200), Credential::Token, None)
    );
    assert_eq!((first.connection, second.connection), (0, 0));
    assert_eq!(sim.polls_of("a b").len(), 2);
}

#[tokio::test]
async fn requests_in_flight_are_counted_for_each_job_and_in_total() {
    let sim = Simulator::start().await.unwrap();
    let ids = sim.add_jobs(2, &JobScript::never());
    sim.fail_next(3, Fault::Hang);
    let mut clients = Vec::new();
    for (n, id) in [&ids[0], &ids[1], &ids[0]].into_iter().enumerate() {
        let mut client = Client::connect(&sim).await;
        client.send("GET", &job_path(&sim, id), &[], "").await;
        eventually(|| sim.in_flight() as usize == n + 1).await;
        clients.push(client);
    }
    let others: Vec<_> =
        sim.requests().iter().map(|r| (r.others_for_job, r.others_in_flight)).collect();
    assert_eq!(others, [(0, 0), (0, 1), (1, 2)]);
    assert_eq!((sim.max_in_flight(), sim.counts().overlapping), (3, 1));
    assert_eq!(
        (sim.connections().accepted, sim.connections().peak, sim.connections().open),
        (3, 3, 3)
    );
    drop(clients);
    eventually(|| sim.in_flight() == 0 && sim.connections().open == 0).await;
    assert_eq!(sim.connections().peak, 3);
}

#[tokio::test]
async fn sequential_polls_never_overlap_in_the_record() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    for _ in 0..200 {
        poll(&sim, &id).await;
    }
    assert_eq!((sim.counts().polls, sim.counts().overlapping, sim.max_in_flight()), (200, 0, 1));
}

#[tokio::test]
async fn the_record_can_be_cleared_or_disabled() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    poll(&sim, &id).await;
    sim.clear_requests();
    assert_eq!((sim.requests().len(), sim.counts().requests, sim.max_in_flight()), (0, 0, 0));
    poll(&sim, &id).await;
    assert_eq!(sim.requests()[0].status, Some(200));

    let sim = Simulator::builder().record(false).start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    poll(&sim, &id).await;
    assert_eq!((sim.requests().len(), sim.counts().polls, sim.max_in_flight()), (0, 1, 1));
}

#[tokio::test]
async fn latency_can_be_changed_while_running() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    sim.set_latency(ms(25));
    poll(&sim, &id).await;
    let request = sim.requests().remove(0);
    assert!(request.answered.unwrap() - request.at >= ms(25));
}

#[tokio::test]
async fn shutdown_closes_connections_and_frees_the_port() {
    let sim = Simulator::start().await.unwrap();
    let port: u16 = sim.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let mut client = Client::connect(&sim).await;
    client.call("GET", "/", &[], "").await;
    sim.clone().shutdown().await;
    assert_eq!(client.stream().read(&mut [0]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    let again = Simulator::builder().port(port).start().await.unwrap();
    assert_eq!(again.endpoint(), sim.endpoint());
    sim.shutdown().await;
}

#[tokio::test]
async fn the_last_handle_stops_the_server() {
    let sim = Simulator::start().await.unwrap();
    let address = sim.endpoint().trim_start_matches("http://").to_owned();
    let clone = sim.clone();
    drop(sim);
    assert!(TcpStream::connect(&address).await.is_ok());
    drop(clone);
    for _ in 0..2000 {
        if TcpStream::connect(&address).await.is_err() {
            return;
        }
        sleep(ms(1)).await;
    }
    panic!("still listening");
}

#[test]
fn start_on_thread_needs_no_runtime() {
    let sim = Simulator::builder().start_on_thread().unwrap();
    let id = sim.add_job(JobScript::never());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(status(&sim, &id).await, "Running");
        sim.shutdown().await;
    });
}

#[tokio::test]
async fn an_occupied_port_is_an_error() {
    let sim = Simulator::start().await.unwrap();
    let port: u16 = sim.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    assert!(Simulator::builder().port(port).start().await.is_err());
    assert!(Simulator::builder().port(port).start_on_thread().is_err());
}

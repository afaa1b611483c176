//! Servers that mean harm: bodies that drip, never end or expand, redirects to elsewhere, hints and quotas of any size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{Fault, JobScript};
use cfw_waiter::{JobReport, WaitErrorKind, Waiter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    InRealTime, PATIENCE, bad_end, brisk, brisk_policy, brisk_with, client, ms, pause, simulator,
};

/// How a raw server answers a request.
#[derive(Clone)]
enum Reply {
    /// This, and no more.
    Text(Vec<u8>),
    /// This at once, then the other part again and again, with a pause before each.
    Endless { head: Vec<u8>, part: Vec<u8>, pause: Duration },
}

fn success() -> Reply {
    let body = r#"{"data":{"status":"Success"}}"#;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ";
    Reply::Text(format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes())
}

/// Starts a server that gives the first answers to the first connections, and a success to all others. Returns its URL.
async fn serve(first: Vec<Reply>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        for n in 0.. {
            let Ok((stream, _)) = listener.accept().await else { break };
            tokio::spawn(answer(stream, first.get(n).cloned().unwrap_or_else(success)));
        }
    });
    endpoint
}

async fn answer(mut stream: TcpStream, reply: Reply) {
    let _ = stream.read(&mut [0; 4096]).await;
    match reply {
        Reply::Text(text) => {
            let _ = stream.write_all(&text).await;
            let _ = stream.shutdown().await;
        }
        Reply::Endless { head, part, pause: each } => {
            let mut is_open = stream.write_all(&head).await.is_ok();
            while is_open {
                pause(each).await;
                is_open = stream.write_all(&part).await.is_ok();
            }
        }
    }
}

fn client_of(endpoint: String) -> Client {
    let builder = Client::builder().endpoint(endpoint).project_id("p");
    builder.credentials(Credentials::token("t")).build().unwrap()
}

/// Waits for a job of a server that ends well after its first answers.
async fn wait_past(first: Vec<Reply>, attempt: Duration) -> (Waiter, JobReport) {
    let source = client_of(serve(first).await);
    let waiter = brisk_with(source).attempt_timeout(attempt).build().unwrap();
    let report = waiter.wait_for_job("j").await.unwrap_or_else(|error| panic!("{error}"));
    (waiter, report)
}

/// Slow loris: every byte comes in time, and the answer never.
#[tokio::test]
async fn an_answer_that_drips_is_given_up_with_its_attempt() {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let body = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    let drip = |head, part: &[u8]| Reply::Endless { head, part: part.to_vec(), pause: ms(10) };
    let first = vec![drip(head, b"X-Drip: drip\r\n"), drip(body, b" ")];
    let (waiter, report) = wait_past(first.clone(), ms(300)).await;
    assert_eq!((report.polls, waiter.stats().transient), (3, 2));

    // Nor does it delay a deadline that comes before.
    let source = client_of(serve(first).await);
    let waiter = brisk_with(source).attempt_timeout(PATIENCE).build().unwrap();
    let error = bad_end(waiter.wait_for_job("j").timeout(ms(300)).await, WaitErrorKind::TimedOut);
    assert!(error.report().elapsed < PATIENCE / 2, "{error}");
}

#[tokio::test]
async fn a_body_that_is_huge_or_never_ends_is_given_up_at_a_bound() {
    let part = vec![b' '; 64 * 1024];
    let endless = |head: &str| Reply::Endless {
        head: format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes(),
        part: part.clone(),
        pause: Duration::ZERO,
    };
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let chunked = Reply::Endless {
        head: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        part: chunk(&part),
        pause: Duration::ZERO,
    };
    let first = vec![
        endless("Content-Length: 18446744073709551615\r\n"),
        endless("Content-Length: 99999999999\r\n"),
        endless(""),
        chunked,
    ];
    let (waiter, report) = wait_past(first, PATIENCE).await;
    // The attempt's limit has not helped.
    assert_eq!((report.polls, waiter.stats().transient, waiter.stats().timed_out), (5, 4, 0));
}

/// Bytes for a decoder: this one repeats a code, which stands for 258 copies of the byte before it in 13 bits.
fn gzip_bomb(megabytes: usize) -> Vec<u8> {
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let (mut bits, mut count) = (0u64, 0);
    let mut push = |value: u64, length: u32| {
        bits |= value << count;
        count += length;
        while count >= 8 {
            bomb.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            count -= 8;
        }
    };
    // The last block, with fixed codes, and a space.
    push(0b011, 3);
    push(u64::from((0x30u8 + b' ').reverse_bits()), 8);
    for _ in 0..megabytes * 1024 * 1024 / 258 {
        // Length 258 (285), and distance 1 (0).
        push(u64::from(0b1100_0101u8.reverse_bits()), 8);
        push(0, 5);
    }
    push(0, 7 + 8);
    bomb
}

#[tokio::test]
async fn a_gzip_bomb_is_not_expanded() {
    // 650 KiB, which are within the bound as they are, stand for 100 MiB.
    let bomb = gzip_bomb(100);
    assert!((400_000..1_000_000).contains(&bomb.len()), "{}", bomb.len());
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let reply = |encoding: &str| {
        let head =
            format!("{head}Content-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n", bomb.len());
        Reply::Text([head.as_bytes(), &bomb].concat())
    };
    let before = peak();
    let (waiter, report) =
        wait_past(["gzip", "x-gzip", "gzip, gzip"].map(reply).into(), PATIENCE).await;
    assert_eq!((report.polls, waiter.stats().transient), (4, 3));
    // What other tests of this process take at the same time is far less.
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 80 * 1024, "{before} KiB before, {after} after");
    }
}

/// Returns the most memory that this process had, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[tokio::test]
async fn a_redirect_to_another_host_reaches_it_with_nothing() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = elsewhere.local_addr().unwrap();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        while elsewhere.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let redirect = |location: String| {
            let head =
                format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nConnection: close\r\n");
            Reply::Text(format!("{head}Content-Length: 0\r\n\r\n").into_bytes())
        };
        let first = vec![redirect(format!("http://{target}/")), redirect(format!("//{target}/v3"))];
        let (waiter, report) = wait_past(first, PATIENCE).await;
        assert_eq!((report.polls, waiter.stats().succeeded), (3, 1), "{status}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

/// Answers with a hint or a quota three times, and then well, to a wait with default settings.
async fn wait_through(fault: Fault) -> (Waiter, JobReport) {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    sim.fail_next(3, fault.clone());
    let waiter = Waiter::new(InRealTime(client(&sim)));
    let report = waiter.wait_for_job(&id).await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
    assert_eq!((report.polls, sim.counts().polls), (4, 4), "{fault:?}");
    (waiter, report)
}

/// What no `Retry-After` can mean.
const MEANINGLESS: [&str; 13] = [
    "-1",
    "-1e300",
    "NaN",
    "inf",
    "1e300",
    "0",
    "0.0",
    "soon",
    "5 minutes",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Fri, 31 Feb 2199 23:59:59 GMT",
    // Later than any time that is read.
    "Fri, 31 Dec 9999 23:59:59 GMT",
];

/// What is longer than anything that is believed.
const ENDLESS: [&str; 4] = [
    "301",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999999999.9",
    "Tue, 31 Dec 2199 23:59:59 GMT",
];

#[tokio::test(start_paused = true)]
async fn a_storm_with_meaningless_hints_is_sat_out_as_one_without() {
    for hint in MEANINGLESS {
        // 5, 10 and 20 s, each halved at the most, and what the schedule adds.
        let (waiter, _) = wait_through(Fault::throttled_for(hint)).await;
        let paused = waiter.stats().paused;
        assert!(paused >= ms(17_500) && paused <= ms(35_000), "{hint}: {paused:?}");
        let hint = Some(hint.to_owned());
        let (waiter, report) =
            wait_through(Fault::ServiceUnavailable { retry_after: hint.clone() }).await;
        assert_eq!((waiter.stats().paused, waiter.stats().transient), (ms(0), 3), "{hint:?}");
        assert!(report.elapsed < Duration::from_secs(15), "{hint:?}: {report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_with_endless_hints_is_believed_for_five_minutes_each() {
    for hint in ENDLESS {
        for fault in [
            Fault::throttled_for(hint),
            Fault::ServiceUnavailable { retry_after: Some(hint.to_owned()) },
        ] {
            let (waiter, report) = wait_through(fault).await;
            assert_eq!(waiter.stats().paused, Duration::from_secs(900), "{hint}");
            assert!(report.elapsed < Duration::from_secs(1_000), "{hint}: {report:?}");
        }
    }
}

/// Whatever the pause, the wait ends at its own time.
#[tokio::test]
async fn a_hint_of_years_outlasts_no_deadline() {
    let waits = ENDLESS.map(|hint| async move {
        let sim = simulator();
        let id = sim.add_job(JobScript::succeeds_after(ms(0)));
        sim.fail_during(.., Fault::throttled_for(hint));
        let waiter = brisk(&sim).build().unwrap();
        let outcome = waiter.wait_for_job(&id).timeout(ms(2_000)).await;
        let error = bad_end(outcome, WaitErrorKind::TimedOut);
        assert!(error.report().elapsed < PATIENCE / 2, "{hint}: {error}");
        assert!(error.to_string().contains("throttling"), "{hint}: {error}");
        assert_eq!(sim.counts().polls, 1, "{hint}");
    });
    futures_util::future::join_all(waits).await;
}

#[tokio::test(start_paused = true)]
async fn a_hostile_quota_leaves_no_wait_blind() {
    const QUOTAS: [&str; 14] = [
        "limit:0,time:1 minute",
        "limit:-1,time:1 minute",
        "limit:1,time:0 second",
        "limit:1,time:-1 minute",
        "limit:1,time:1 day",
        "limit:1,time:365 day",
        "limit:1,time:99999999999999999999 day",
        "limit:99999999999999999999,time:1 second",
        "limit:4294967296,time:1 second",
        "limit:NaN,time:NaN",
        "limit:1e300,time:1 second",
        "limit:,time:",
        "limit:10,time:1 fortnight",
        "limit:200,time:1 minute limit:1,time:1 day",
    ];
    for quota in QUOTAS {
        // The pauses last a minute each at the most, and a rate leaves no job unpolled for more than five.
        let (waiter, report) = wait_through(Fault::quota(quota)).await;
        assert!(report.elapsed < Duration::from_secs(3 * 360), "{quota}: {report:?}");
        assert_eq!(waiter.stats().throttled, 3, "{quota}");
    }
}

/// A status may go back, as where an operation is retried, and an answer after an end changes nothing.
#[tokio::test]
async fn statuses_that_go_backwards_are_reported_as_they_come() {
    let sim = simulator();
    let script = JobScript::never().status_at(ms(60), "Running90").status_at(ms(120), "Preparing");
    let id = sim.add_job(script.status_at(ms(180), "Running"));
    let waiter = brisk(&sim).policy(brisk_policy()).build().unwrap();
    let mut told = Vec::new();
    let mut watch = waiter.watch([&id]);
    while let Some(update) = watch.next().await {
        match update.kind {
            cfw_waiter::UpdateKind::Changed { from, to } => {
                assert_eq!(from.as_deref(), told.last().map(String::as_str));
                told.push(to.status.into_owned());
                // Not before the status that comes last, however slow the machine is.
                if told.last().is_some_and(|last| last == "Running") && sim.now() > ms(180) {
                    sim.finish(&id);
                }
            }
            cfw_waiter::UpdateKind::Ended(outcome) => drop(outcome.unwrap()),
            other => panic!("{other:?}"),
        }
    }
    // A machine that is slow enough misses some.
    assert!(told.len() >= 2 && told.ends_with(&["Success".to_owned()]), "{told:?}");
    // A wait that begins after the end hears what holds then.
    let later = sim.add_job(JobScript::never().id(id.as_str()));
    let error =
        bad_end(waiter.wait_for_job(&later).timeout(ms(2_000)).await, WaitErrorKind::TimedOut);
    assert!(error.to_string().contains("still Running"), "{error}");
}

//! What the library logs, and what it never tells.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use cfw_simulator::{Fault, JobScript};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use crate::support::{
    bad_end, brisk, brisk_with, chain, client, client_with_token, finish_after, ms, simulator,
    story,
};

thread_local! {
    /// What is logged on this thread, from the moment on when a test listens.
    static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Everything that is logged on this thread, at all levels and by all crates. A test has a thread of its own, and
/// its client and driver run there.
///
/// There is one subscriber for all: with one for each, what a thread without any sees first is never logged
/// for the others either.
struct Log;

impl Log {
    fn open() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let lines = fmt::layer().with_ansi(false).without_time().with_writer(|| Self);
            let heard = dynamic_filter_fn(|_, _| HEARD.with_borrow(Option::is_some));
            registry().with(lines.with_filter(heard)).init();
        });
        HEARD.set(Some(Vec::new()));
        Self
    }

    fn text(&self) -> String {
        HEARD.with_borrow(|heard| String::from_utf8(heard.clone().unwrap()).unwrap())
    }

    /// The lines of our own crates at a level.
    fn ours(&self, level: &str) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().map(str::trim_start);
        let ours = lines.filter(|line| line.starts_with(level) && line.contains("cfw_"));
        ours.map(str::to_owned).collect()
    }

    #[track_caller]
    fn assert_has(&self, level: &str, words: &[&str]) {
        let lines = self.ours(level);
        let has = |line: &String| words.iter().all(|word| line.contains(word));
        assert!(lines.iter().any(has), "no {level} line with {words:?} in {lines:#?}");
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.as_mut().map_or(Ok(0), |heard| heard.write(bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_troubled_wait_warns_once_and_else_says_nothing_above_debug() {
    let sim = simulator();
    let ids = sim.add_jobs(10, &JobScript::succeeds_after(ms(50)));
    sim.fail_next(5, Fault::Busy);
    sim.fail_next(5, Fault::Reset);
    let waiter = brisk(&sim).max_in_flight(1).build().unwrap();
    let log = Log::open();
    let outcomes = waiter.watch(&ids).all().await;
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    let warnings = log.ours("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("polling is in trouble"), "{warnings:#?}");
    assert!(warnings[0].contains("CFW.00100001: System busy"), "{warnings:#?}");
    assert_eq!((log.ours("ERROR"), log.ours("INFO")), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_wait_and_a_watch_can_be_followed_by_their_fields() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let job = format!("job={id}");
    let waiter = brisk(&sim).build().unwrap();
    let log = Log::open();
    let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), finish_after(&sim, &id, 2));
    outcome.unwrap();
    log.assert_has("TRACE", &["polling", &job]);
    log.assert_has("DEBUG", &["status changed", &job, "to=\"Running\""]);
    log.assert_has("DEBUG", &["status changed", &job, "from=\"Running\"", "to=\"Success\""]);
    let span = format!("wait_for_job{{{job}");
    log.assert_has("DEBUG", &[&span, "job succeeded", "polls=", "elapsed="]);
    log.assert_has("DEBUG", &["answered", "status=200", "request_id="]);

    story(waiter.watch([id.as_str(), "unheard of/"])).await;
    log.assert_has("DEBUG", &["watch{jobs=2", "job succeeded", &job]);
    log.assert_has("DEBUG", &["watch{jobs=2", "wait ended without success", "error=job unheard"]);
}

#[tokio::test]
async fn a_token_is_told_nowhere_not_even_when_the_server_echoes_it() {
    const WRONG: &str = "SENSITIVE-token-of-some-length";
    let log = Log::open();
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(60)));
    let good = client(&sim);
    let waiter = brisk_with(good.clone()).build().unwrap();
    let mut heard = format!("{good:?} {waiter:?}");
    let report = waiter.wait_for_job(&id).await.unwrap();
    heard += &format!("{report:?}");

    // The gateway shows what it was sent; this one shows too much.
    let token = sim.token();
    let echo = format!("bad header x-auth-token: {token}, really {token}");
    sim.fail_polls(
        &id,
        [Fault::code(400, "CFW.00100001", &echo), Fault::code(400, "CFW.00200001", &echo)],
    );
    let error = bad_end(waiter.wait_for_job(&id).await, cfw_waiter::WaitErrorKind::Fatal);
    assert!(error.to_string().contains("bad header"), "{error}");
    heard += &format!("{error} {error:?} {error:#?} {} {:?}", chain(&error), error.cause());

    let refused = brisk_with(client_with_token(&sim, WRONG)).build().unwrap();
    let error = bad_end(refused.wait_for_job(&id).await, cfw_waiter::WaitErrorKind::Refused);
    heard += &format!("{error} {error:#?} {} {refused:?} {refused:#?}", chain(&error));

    // All of it was listened to, the crates below included.
    assert!(log.text().contains("polling") && log.text().contains("hyper"), "{}", log.text());
    for secret in [token, WRONG] {
        for (place, text) in [("told", &heard), ("logged", &log.text())] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{place}");
        }
    }
}

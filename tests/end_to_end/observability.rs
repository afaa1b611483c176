//! What the library logs, and what it never tells.

use std::io::Write;
use std::sync::{Arc, Mutex};

use cfw_simulator::{Fault, JobScript};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::support::{
    bad_end, brisk, brisk_with, chain, client, client_with_token, eventually, ms, simulator, story,
};

/// Everything that is logged on this thread, at all levels and by all crates.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn open() -> (Self, impl Sized) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(log.clone())
            .finish();
        (log, subscriber.set_default())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
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
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_troubled_wait_warns_once_and_else_says_nothing_above_debug() {
    let sim = simulator();
    let ids = sim.add_jobs(10, &JobScript::succeeds_after(ms(50)));
    sim.fail_next(5, Fault::Busy);
    sim.fail_next(5, Fault::Reset);
    let waiter = brisk(&sim).max_in_flight(1).build().unwrap();
    let (log, _guard) = Log::open();
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
    let id = sim.add_job(JobScript::succeeds_after(ms(60)));
    let job = format!("job={id}");
    let waiter = brisk(&sim).build().unwrap();
    let (log, _guard) = Log::open();
    waiter.wait_for_job(&id).await.unwrap();
    log.assert_has("TRACE", &["polling", &job]);
    log.assert_has("DEBUG", &["status changed", &job, "to=\"Running\""]);
    log.assert_has("DEBUG", &["status changed", &job, "from=\"Running\"", "to=\"Success\""]);
    let span = format!("wait_for_job{{{job}}}");
    log.assert_has("DEBUG", &[&span, "job succeeded", "polls=", "elapsed="]);
    log.assert_has("DEBUG", &["answered", "status=200", "request_id="]);

    story(waiter.watch([id.as_str(), "unheard of/"])).await;
    log.assert_has("DEBUG", &["watch{jobs=2}", "job succeeded", &job]);
    log.assert_has("DEBUG", &["watch{jobs=2}", "wait ended without success", "error=job unheard"]);
}

#[tokio::test]
async fn a_token_is_told_nowhere_not_even_when_the_server_echoes_it() {
    const WRONG: &str = "SENSITIVE-token-of-some-length";
    let (log, _guard) = Log::open();
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
    sim.fail_polls(&id, [Fault::code(400, "CFW.00100001", &echo), Fault::code(400, "X", &echo)]);
    let error = bad_end(waiter.wait_for_job(&id).await, cfw_waiter::WaitErrorKind::Fatal);
    assert!(error.to_string().contains("bad header"), "{error}");
    heard += &format!("{error} {error:?} {} {:?}", chain(&error), error.cause());

    let refused = brisk_with(client_with_token(&sim, WRONG)).build().unwrap();
    let error = bad_end(refused.wait_for_job(&id).await, cfw_waiter::WaitErrorKind::Refused);
    heard += &format!("{error} {error:?} {} {refused:?}", chain(&error));

    // All of it was listened to, the crates below included.
    eventually(|| log.text().contains("polling")).await;
    assert!(log.text().contains("hyper"), "{}", log.text());
    for secret in [token, WRONG] {
        for (place, text) in [("told", &heard), ("logged", &log.text())] {
            let at = text.find(secret);
            assert_eq!(at, None, "{place}: ..{}", &text[at.unwrap_or(0).saturating_sub(200)..]);
        }
    }
}

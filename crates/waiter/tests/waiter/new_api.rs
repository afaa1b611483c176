//! What the redesign adds to the public interface.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use cfw_waiter::{
    Attempt, BoxSource, ErrorClass, JobId, JobReport, JobSource, JobState, Phase, Policy, Quota,
    SourceError, Update, UpdateKind, WaitError, WaitErrorKind, Waiter, source_fn,
};
use futures_util::future::FusedFuture;
use futures_util::poll;
use futures_util::stream::{FusedStream, StreamExt};
use tokio::time::{Instant, sleep};

use crate::support::{Act, Service, current_thread, every, ms, multi_thread, secs, within};

// Sources.

/// Hangs, and records how long each attempt may take. A fetch is three requests.
#[derive(Default)]
struct ThreeRequests {
    timeouts: Mutex<Vec<Duration>>,
}

impl JobSource for ThreeRequests {
    async fn fetch(&self, _id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        self.timeouts.lock().unwrap().push(attempt.timeout);
        pending().await
    }

    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        attempt_timeout * 3
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_source_is_asked_how_long_its_fetch_may_take() {
    let source = Arc::new(ThreeRequests::default());
    let waiter = Waiter::builder(Arc::clone(&source)).seed(7).policy(every(secs(5)));
    let waiter = waiter.attempt_timeout(secs(10)).build().unwrap();
    let mut wait = Box::pin(waiter.wait_for_job("job").timeout(secs(3_600)));
    assert!(poll!(&mut wait).is_pending());
    sleep(secs(29)).await;
    assert_eq!((waiter.stats().polls, waiter.stats().timed_out), (1, 0));
    sleep(secs(7)).await;
    assert_eq!(waiter.stats().timed_out, 1);
    assert_eq!(source.timeouts.lock().unwrap()[0], secs(10), "one request's");
}

#[tokio::test(start_paused = true)]
async fn a_boxed_source_is_what_it_boxes() {
    let source = Arc::new(ThreeRequests::default());
    let boxed = BoxSource::new(Arc::clone(&source));
    assert_eq!((boxed.fetch_timeout(secs(2)), boxed.quota()), (secs(6), None));
    let quota = Quota::new(3, secs(1)).unwrap();
    struct Limited(Quota);
    impl JobSource for Limited {
        async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
            Ok(JobState::succeeded().with_status(id.as_str().to_owned()))
        }

        fn quota(&self) -> Option<Quota> {
            Some(self.0)
        }
    }
    let limited = BoxSource::new(Limited(quota));
    assert_eq!(limited.quota(), Some(quota));
    let report = Waiter::new(limited.clone()).wait_for_job("job").await.unwrap();
    assert_eq!(report.state.unwrap().status, "job");
    let mut wait = Box::pin(Waiter::new(boxed).wait_for_job("job").timeout(secs(5)));
    assert!(poll!(&mut wait).is_pending());
    sleep(secs(3)).await;
    assert!(source.timeouts.lock().unwrap()[0] <= secs(5));
}

#[test]
fn words_for_programs_are_stable() {
    let classes = [
        (ErrorClass::TRANSIENT, "transient"),
        (ErrorClass::THROTTLED, "throttled"),
        (ErrorClass::Unreached, "unreached"),
        (ErrorClass::Unexpected { can_pass: true }, "unexpected"),
        (ErrorClass::NotFound, "not_found"),
        (ErrorClass::Fatal, "fatal"),
        (ErrorClass::Refused, "refused"),
    ];
    for (class, word) in classes {
        assert_eq!((class.as_str(), class.to_string().as_str()), (word, word));
    }
    let phases = [
        (Phase::Running, "running"),
        (Phase::Unknown, "unknown"),
        (Phase::Succeeded, "succeeded"),
        (Phase::Failed, "failed"),
    ];
    for (phase, word) in phases {
        assert_eq!((phase.as_str(), phase.to_string().as_str()), (word, word));
    }
    assert_eq!(format!("{:>8}", WaitErrorKind::Lost), "    lost");
}

#[test]
fn reports_errors_and_updates_can_be_made_for_tests() {
    let mut report = JobReport::new("job-1");
    report.state = Some(JobState::running());
    (report.polls, report.elapsed) = (3, secs(9));
    let cause = SourceError::new(ErrorClass::TRANSIENT, "connection reset");
    let error = WaitError::new(WaitErrorKind::TimedOut, report).with_cause(cause);
    let error = error.with_last_seen(secs(2));
    assert_eq!(error.last_seen(), Some(secs(2)));
    let text = error.to_string();
    assert!(
        text.starts_with("job job-1 still Running after 9.0s (timed out, 3 polls, last"),
        "{text}"
    );
    assert!(text.ends_with("last error: transient failure: connection reset"), "{text}");
    let update = Update::new("job-1", secs(9), UpdateKind::Ended(Err(error)));
    assert_eq!((update.id.as_str(), update.elapsed), ("job-1", secs(9)));
}

#[tokio::test(start_paused = true)]
async fn rule_05_an_attempt_is_given_no_more_time_than_its_waits_have() {
    let source = Arc::new(ThreeRequests::default());
    let waiter = Waiter::builder(Arc::clone(&source)).seed(7).policy(every(secs(2)));
    let waiter = waiter.attempt_timeout(secs(10)).build().unwrap();
    let start = Instant::now();
    waiter.wait_for_job("job").timeout(secs(4)).await.unwrap_err();
    assert!(start.elapsed() <= secs(4));
    let timeouts = source.timeouts.lock().unwrap().clone();
    assert!((secs(2)..=secs(3)).contains(&timeouts[0]), "{timeouts:?}");
}

#[test]
fn a_quota_of_nothing_is_an_error_of_its_own() {
    let error = Quota::new(0, secs(1)).unwrap_err();
    assert_eq!(error.field(), "calls");
    let error = Quota::new(1, Duration::ZERO).unwrap_err();
    assert_eq!(error.field(), "per");
    let source = || source_fn(|_| async { Ok(JobState::running()) });
    let quota = Quota::new(1, secs(1)).unwrap();
    assert!(Waiter::builder(source()).quota(quota).build().is_ok());
    assert!(Waiter::builder(source()).quota(None).build().is_ok());
}

// The runtime that drives.

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits without any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let (mut future, waker) = (Box::pin(future), Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn rule_12_a_waiter_with_a_runtime_of_its_own_works_on_any_thread() {
    within(secs(20), || {
        let runtime = multi_thread(1);
        let source = source_fn(|_| async { Ok(JobState::succeeded()) });
        let builder = Waiter::builder(source).min_interval(ms(1)).policy(every(ms(2)));
        let waiter = builder.runtime(runtime.handle().clone()).build().unwrap();
        block_on(waiter.wait_for_job("job")).unwrap();
        // Nor does a runtime count that polls the wait, even if it is then driven no more.
        let other = current_thread();
        let mut wait = Box::pin(waiter.wait_for_job("job"));
        other.block_on(async { assert!(poll!(&mut wait).is_pending()) });
        block_on(wait).unwrap();
        assert_eq!(other.handle().metrics().num_alive_tasks(), 0);
    });
}

#[test]
fn rule_12_with_the_runtime_of_a_waiter_its_waits_end() {
    within(secs(20), || {
        let runtime = multi_thread(1);
        let builder = Waiter::builder(source_fn(|_| pending())).min_interval(ms(1));
        let builder = builder.policy(every(ms(2)).timeout(secs(10)));
        let waiter = builder.runtime(runtime.handle().clone()).build().unwrap();
        let mut wait = Box::pin(waiter.wait_for_job("job"));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(runtime);
        assert_eq!(block_on(wait).unwrap_err().kind(), WaitErrorKind::Stopped);
    });
}

// A policy per id.

#[tokio::test(start_paused = true)]
async fn a_job_of_a_watch_may_have_a_policy_of_its_own() {
    let acts = ["a", "b", "c"].map(|id| (id, Act::SucceedAfter(secs(3_600))));
    let watch = Service::new(acts).waiter().watch(["a"]).timeout(secs(60));
    // Before the start, and by a handle; the watch's own timeout is not theirs.
    assert!(watch.add_with("b", every(secs(1)).timeout(secs(5))));
    let handle = watch.handle();
    assert!(handle.add_with("c", every(secs(1)).timeout(secs(20))));
    assert!(!handle.add_with("a", Policy::new()), "the watch holds it already");
    drop(handle);
    let ends = watch.all().await;
    let elapsed: HashMap<_, _> = ends
        .into_iter()
        .map(|(id, end)| (id.to_string(), end.unwrap_err().report().elapsed.as_secs_f64().round()))
        .collect();
    assert_eq!(
        elapsed,
        HashMap::from([("a", 60.0), ("b", 5.0), ("c", 20.0)].map(|(id, s)| (id.to_owned(), s)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_handle_lists_the_jobs_and_knows_whether_its_watch_is_gone() {
    let watch = Service::new([]).waiter().watch(["a", "b"]);
    let handle = watch.handle();
    let ids: Vec<_> = handle.jobs().into_iter().map(|job| job.report.id.to_string()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(!handle.is_closed());
    drop(watch);
    assert!(handle.is_closed() && handle.jobs().is_empty());
    assert!(!handle.add_with("c", Policy::new()));
}

// Facts and hints from outside.

#[tokio::test(start_paused = true)]
async fn a_job_that_is_told_to_have_ended_ends_its_waits() {
    let service = Service::new([("job", Act::SucceedAfter(secs(3_600)))]);
    let waiter = service.waiter();
    let wait = tokio::spawn(waiter.wait_for_job("job"));
    let watch = tokio::spawn(waiter.watch(["job"]).all());
    sleep(secs(11)).await;
    let polls = service.polls();
    assert!(waiter.tell("job", JobState::succeeded()));
    let report = wait.await.unwrap().unwrap();
    assert_eq!(report.state, Some(JobState::succeeded()));
    assert!(watch.await.unwrap()[0].1.is_ok());
    assert_eq!(service.polls(), polls);
    assert!(!waiter.tell("job", JobState::succeeded()), "nobody waits for it");
    assert_eq!(waiter.stats().watched, 0);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_told_replaces_no_poll() {
    let service = Service::new([("job", Act::SucceedAfter(secs(60)))]);
    let waiter = service.waiter();
    let wait = tokio::spawn(waiter.wait_for_job("job"));
    for _ in 0..300 {
        sleep(ms(190)).await;
        assert!(waiter.tell("job", JobState::running().with_status("Told")));
    }
    assert!(service.polls() >= 20, "{} polls in a minute", service.polls());
    wait.await.unwrap().unwrap();
}

/// What is told while a request is in flight is not undone by the answer that is then dropped.
#[tokio::test(start_paused = true)]
async fn an_end_that_is_told_aborts_the_request_in_flight() {
    let service = Service::new([("job", Act::Hang)]);
    let waiter = service.waiter();
    let wait = tokio::spawn(waiter.wait_for_job("job"));
    sleep(secs(3)).await;
    assert_eq!(service.in_flight.load(Ordering::SeqCst), 1);
    assert!(waiter.tell("job", JobState::failed()));
    assert_eq!(wait.await.unwrap().unwrap_err().kind(), WaitErrorKind::Failed);
    sleep(ms(1)).await;
    assert_eq!(service.in_flight.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_poke_brings_the_next_poll_forward() {
    let service = Service::new([("job", Act::SucceedAfter(secs(3_600)))]);
    let waiter = service.waiter();
    let _wait = tokio::spawn(waiter.wait_for_job("job").policy(every(secs(300))));
    sleep(secs(310)).await;
    assert_eq!(service.polls(), 1);
    assert!(waiter.poke("job"));
    sleep(ms(600)).await;
    assert_eq!(service.polls(), 2);
    // Not before the minimum interval, however often it is asked for.
    for _ in 0..20 {
        assert!(waiter.poke("job"));
        sleep(ms(50)).await;
    }
    assert!((3..=4).contains(&service.polls()), "{} polls", service.polls());
    assert!(!waiter.poke("other"), "nobody waits for it");
}

#[tokio::test(start_paused = true)]
async fn rule_04_a_poke_shortens_no_pause() {
    let throttled = ErrorClass::Throttled { retry_after: Some(secs(60)), quota: None };
    let service =
        Service::new([("job", Act::Answer(Err(SourceError::new(throttled, "slow down"))))]);
    let waiter = service.waiter();
    let _wait = tokio::spawn(waiter.wait_for_job("job"));
    sleep(secs(5)).await;
    for _ in 0..50 {
        assert!(waiter.poke("job"));
        sleep(secs(1)).await;
    }
    assert_eq!(service.polls(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_03_a_poke_starts_no_second_request() {
    let service = Service::new([("job", Act::Hang)]);
    let waiter = service.waiter();
    let _wait = tokio::spawn(waiter.wait_for_job("job"));
    sleep(secs(3)).await;
    assert!(waiter.poke("job"));
    sleep(secs(1)).await;
    assert_eq!(service.in_flight.load(Ordering::SeqCst), 1);
    assert_eq!(service.polls(), 1);
}

// Counts.

#[tokio::test(start_paused = true)]
async fn removed_jobs_are_counted_apart() {
    let acts = ["a", "b"].map(|id| (id, Act::SucceedAfter(secs(30))));
    let mut watch = Service::new(acts).waiter().watch(["a", "b"]);
    watch.next().await.unwrap();
    assert!(watch.remove("a"));
    let progress = watch.progress();
    assert_eq!((progress.removed, progress.failed, progress.live()), (1, 0, 1));
    assert_eq!(progress.total(), 2);
    assert_eq!(watch.all_or_first_failure().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn ends_are_counted_by_kind() {
    let service = Service::new([
        ("good", Act::SucceedAfter(secs(1))),
        ("bad", Act::Answer(Ok(JobState::failed()))),
        ("slow", Act::Hang),
        ("panics", Act::Panic),
    ]);
    let waiter = service.waiter();
    waiter.watch(["good", "bad", "slow", "panics"]).timeout(secs(60)).all().await;
    let stats = waiter.stats();
    assert_eq!(stats.succeeded, 1);
    for kind in [WaitErrorKind::Failed, WaitErrorKind::TimedOut, WaitErrorKind::Panicked] {
        assert_eq!(stats.ends(kind), 1, "{kind:?}");
    }
    assert_eq!(stats.ends(WaitErrorKind::Lost), 0);
}

// Conversions, and traits of others.

#[test]
fn ids_convert_from_and_to_text() {
    let id = JobId::from("job");
    assert!(id == *"job");
    for same in [
        JobId::from(&"job"),
        JobId::from(Box::<str>::from("job")),
        JobId::from(Cow::Borrowed("job")),
        JobId::from(Cow::Owned::<str>("job".to_owned())),
    ] {
        assert_eq!(same, id);
    }
    assert_eq!(String::from(id), "job");
}

#[tokio::test(start_paused = true)]
async fn waits_and_watches_know_that_they_have_ended() {
    let waiter = Service::new([]).waiter();
    let mut wait = waiter.wait_for_job("job");
    assert!(!wait.is_terminated());
    (&mut wait).await.unwrap();
    assert!(wait.is_terminated());
    let mut watch = waiter.watch(["job"]);
    assert!(!watch.is_terminated());
    while StreamExt::next(&mut watch).await.is_some() {}
    assert!(watch.is_terminated());
    // As the macro of the name wants it: no arm is polled again once it has ended.
    let (mut wait, ended) = (waiter.wait_for_job("job"), AtomicBool::new(false));
    futures_util::select_biased! {
        outcome = wait => ended.store(outcome.is_ok(), Ordering::SeqCst),
    }
    assert!(ended.into_inner());
}

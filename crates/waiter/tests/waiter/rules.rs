//! Rules of waiting where they are easily kept in part only: late joiners, suspended machines, changes,
//! removed jobs, what is logged.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cfw_waiter::{
    ErrorClass, JobState, Policy, SourceError, UpdateKind, WaitErrorKind, Waiter, source_fn,
};
use futures_util::poll;
use tokio::time::{Instant, advance, sleep};

use crate::support::{Act, Service, every, ms, paused, secs};

fn not_found() -> SourceError {
    SourceError::new(ErrorClass::NotFound, "no such job")
}

fn transient() -> SourceError {
    SourceError::new(ErrorClass::TRANSIENT, "connection reset")
}

// Rule 7: row and span are the wait's own.

#[tokio::test(start_paused = true)]
async fn rule_07_a_late_joiner_has_the_whole_grace() {
    let service = Service::new([("job", Act::Answer(Err(not_found())))]);
    let waiter = service.waiter();
    let patient = Policy::new().not_found_grace(secs(3_600));
    let _patient = tokio::spawn(waiter.wait_for_job("job").policy(patient));
    sleep(secs(60)).await;
    let grace = secs(30);
    let late = waiter.wait_for_job("job").policy(every(secs(2)).not_found_grace(grace));
    let error = late.await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Lost);
    let elapsed = error.report().elapsed;
    assert!((grace..grace + secs(5)).contains(&elapsed), "lost after {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn rule_07_a_late_joiner_hears_three_answers_before_its_job_is_lost() {
    let service = Service::new([("job", Act::Answer(Err(not_found())))]);
    let waiter = service.waiter();
    let patient = Policy::new().not_found_grace(secs(3_600));
    let _patient = tokio::spawn(waiter.wait_for_job("job").policy(patient));
    sleep(secs(60)).await;
    let late = waiter.wait_for_job("job").policy(every(secs(2)).not_found_grace(Duration::ZERO));
    let error = late.await.unwrap_err();
    assert_eq!((error.kind(), error.report().polls), (WaitErrorKind::Lost, 3));
}

/// The verdict on the late joiner changes nothing for the wait that was there before.
#[tokio::test(start_paused = true)]
async fn rule_07_an_early_wait_is_lost_at_its_own_time_whoever_joins() {
    let service = Service::new([("job", Act::Answer(Err(not_found())))]);
    let waiter = service.waiter();
    let early = tokio::spawn(waiter.wait_for_job("job"));
    for _ in 0..14 {
        sleep(secs(2)).await;
        tokio::spawn(waiter.wait_for_job("job"));
    }
    let error = early.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Lost);
    let elapsed = error.report().elapsed;
    assert!((secs(30)..secs(35)).contains(&elapsed), "lost after {elapsed:?}");
}

// Rule 5: suspended machines.

/// A job that ends while the machine sleeps, from `ends` on; each answer takes `takes`.
fn sleeper(ends: Duration, takes: Duration) -> (Waiter, Arc<AtomicU32>) {
    let (start, polls) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&polls);
    let source = source_fn(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let has_ended = start.elapsed() >= ends;
            sleep(takes).await;
            Ok(if has_ended { JobState::succeeded() } else { JobState::running() })
        }
    });
    let builder = Waiter::builder(source).seed(7).policy(every(secs(2)));
    (builder.build().unwrap(), polls)
}

#[tokio::test(start_paused = true)]
async fn rule_05_after_a_jump_past_the_deadline_one_last_poll_counts() {
    for takes in [Duration::ZERO, ms(500)] {
        let (waiter, polls) = sleeper(secs(20), takes);
        let wait = tokio::spawn(waiter.wait_for_job("job").timeout(secs(30)));
        sleep(secs(7)).await;
        let before = polls.load(Ordering::SeqCst);
        advance(secs(3_600)).await;
        let report = wait.await.unwrap().expect("the job succeeded while the machine slept");
        assert_eq!(report.state, Some(JobState::succeeded()));
        assert_eq!(polls.load(Ordering::SeqCst), before + 1, "one last poll");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_05_after_a_jump_the_last_poll_may_say_that_the_job_still_runs() {
    let (waiter, polls) = sleeper(Duration::MAX, Duration::ZERO);
    let wait = tokio::spawn(waiter.wait_for_job("job").timeout(secs(30)));
    sleep(secs(7)).await;
    let before = polls.load(Ordering::SeqCst);
    advance(secs(3_600)).await;
    let error = wait.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    assert_eq!(polls.load(Ordering::SeqCst), before + 1, "one last poll");
    let seen = error.last_seen().expect("a status was seen");
    assert!(seen <= secs(2), "the last status is {seen:?} old");
}

#[tokio::test(start_paused = true)]
async fn rule_05_after_a_jump_the_last_poll_is_bounded() {
    let rows = [(secs(10), secs(2)), (ms(500), ms(500))];
    for (attempt_timeout, bound) in rows {
        let (hangs, polls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let source = {
            let (hangs, polls) = (Arc::clone(&hangs), Arc::clone(&polls));
            source_fn(move |_| {
                polls.fetch_add(1, Ordering::SeqCst);
                let hangs = hangs.load(Ordering::SeqCst);
                async move { if hangs { pending().await } else { Ok(JobState::running()) } }
            })
        };
        let builder = Waiter::builder(source).seed(7).policy(every(secs(2)));
        let waiter = builder.attempt_timeout(attempt_timeout).build().unwrap();
        let wait = tokio::spawn(waiter.wait_for_job("job").timeout(secs(30)));
        sleep(secs(7)).await;
        hangs.store(true, Ordering::SeqCst);
        let before = polls.load(Ordering::SeqCst);
        advance(secs(3_600)).await;
        let start = Instant::now();
        assert_eq!(wait.await.unwrap().unwrap_err().kind(), WaitErrorKind::TimedOut);
        assert_eq!(polls.load(Ordering::SeqCst), before + 1, "one last poll");
        let took = start.elapsed();
        assert!(took <= bound + ms(5), "ended {took:?} after the jump, bound {bound:?}");
        assert!(took + ms(50) >= bound, "given up {took:?} after the jump, bound {bound:?}");
    }
}

/// Without a jump a deadline is a deadline: an answer that comes after it does not count.
#[tokio::test(start_paused = true)]
async fn rule_05_an_answer_after_the_deadline_does_not_count() {
    let (waiter, _) = sleeper(secs(1), secs(4));
    let start = Instant::now();
    let wait = waiter.wait_for_job("job").policy(every(secs(4)).timeout(secs(6)));
    assert_eq!(wait.await.unwrap_err().kind(), WaitErrorKind::TimedOut);
    assert!(start.elapsed() <= secs(6), "{:?}", start.elapsed());
}

// Rule 2: a change of status is one.

#[tokio::test(start_paused = true)]
async fn rule_02_no_change_is_told_from_a_status_to_the_very_same_text() {
    let phases = [
        [JobState::running(), JobState::unknown("Busy"), JobState::succeeded()],
        [JobState::unknown("Busy"), JobState::running(), JobState::failed()],
        [JobState::running(), JobState::running(), JobState::succeeded()],
    ];
    for states in phases {
        let mut answers = states.clone().map(|state| state.with_status("Busy")).into_iter();
        let last = answers.next_back().unwrap();
        let answers = Mutex::new(answers);
        let source = source_fn(move |_| {
            let state = answers.lock().unwrap().next().unwrap_or_else(|| last.clone());
            async { Ok(state) }
        });
        let waiter = Waiter::builder(source).seed(7).build().unwrap();
        let mut watch = waiter.watch(["job"]);
        let (mut changes, mut ends) = (Vec::new(), 0);
        while let Some(update) = watch.next().await {
            match update.kind {
                UpdateKind::Changed { from, to } => changes.push((from, to.status)),
                UpdateKind::Ended(_) => ends += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((changes, ends), (vec![(None, "Busy".into())], 1), "{states:?}");
    }
}

// Settings.

#[tokio::test(start_paused = true)]
async fn an_explicit_timeout_wins_over_a_policy_in_either_order() {
    let waiter = Service::new([("job", Act::SucceedAfter(secs(3_600)))]).waiter();
    let policy = every(secs(1)).timeout(secs(60));
    let (timeout, most) = (secs(5), secs(5));
    let waits = [
        waiter.wait_for_job("job").timeout(timeout).policy(policy.clone()),
        waiter.wait_for_job("job").policy(policy.clone()).timeout(timeout),
    ];
    for wait in waits {
        let elapsed = wait.await.unwrap_err().report().elapsed;
        assert!(elapsed <= most, "a wait of {elapsed:?}");
    }
    let watches = [
        waiter.watch(["job"]).timeout(timeout).policy(policy.clone()),
        waiter.watch(["job"]).policy(policy).timeout(timeout),
    ];
    for watch in watches {
        let (_, outcome) = watch.all().await.remove(0);
        let elapsed = outcome.unwrap_err().report().elapsed;
        assert!(elapsed <= most, "a watch of {elapsed:?}");
    }
}

// Removed jobs, and what is known before the first poll.

#[tokio::test(start_paused = true)]
async fn a_removed_job_is_no_failure() {
    let service = Service::new([
        ("good", Act::SucceedAfter(secs(30))),
        ("removed", Act::SucceedAfter(secs(900))),
    ]);
    let mut watch = service.waiter().watch(["good", "removed"]);
    watch.next().await.unwrap();
    assert!(watch.remove("removed"));
    let progress = watch.progress();
    assert_eq!((progress.live(), progress.succeeded, progress.failed), (1, 0, 0));
    let reports = watch.all_or_first_failure().await.expect("no job has failed");
    assert_eq!(reports.iter().map(|report| report.id.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[tokio::test(start_paused = true)]
async fn the_jobs_of_a_watch_are_known_before_its_first_poll() {
    let waiter = Service::new([]).waiter();
    let watch = waiter.watch(["a", "b", "c", "a"]).timeout(secs(60));
    assert!(watch.remove("b") && watch.add("d"));
    let jobs = watch.jobs();
    let ids: Vec<_> = jobs.iter().map(|job| job.report.id.as_str()).collect();
    assert_eq!(ids, ["a", "c", "d"]);
    for job in jobs {
        assert_eq!((job.report.polls, job.report.elapsed), (0, Duration::ZERO));
        assert!(job.report.state.is_none() && job.trouble.is_none() && !job.in_flight);
    }
}

// What is logged, and what an end says of the time that it took.

/// Collects the lines of a log.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// The warnings that are logged when all jobs turn bad after a minute, one having been so `before`.
fn warnings_of_an_outage(before: Option<SourceError>) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber in the process, tracing lets any thread decide for all whether a line is wanted.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _logged = tracing::subscriber::set_default(subscriber);
    paused().block_on(async {
        let service = Service::new([]);
        for id in ["a", "b", "c", "ill"] {
            service.set(id, Act::SucceedAfter(secs(3_600)));
        }
        if let Some(error) = before {
            service.set("ill", Act::Answer(Err(error)));
        }
        let waiter = service.waiter();
        let ill = Policy::new().not_found_grace(secs(3_600));
        let ill = tokio::spawn(waiter.wait_for_job("ill").policy(ill));
        let watch = tokio::spawn(waiter.watch(["a", "b", "c"]).policy(every(secs(15))).all());
        sleep(secs(60)).await;
        lines.take();
        for id in ["a", "b", "c", "ill"] {
            service.set(id, Act::Answer(Err(transient())));
        }
        sleep(secs(60)).await;
        ill.abort();
        watch.abort();
    });
    lines.take()
}

#[test]
fn an_outage_is_warned_of_once() {
    let warnings = warnings_of_an_outage(None);
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
}

#[test]
fn an_outage_is_warned_of_although_one_job_was_in_trouble_before() {
    for before in [not_found(), transient()] {
        let warnings = warnings_of_an_outage(Some(before.clone()));
        assert!(!warnings.is_empty(), "no warning, one job having been in trouble: {before}");
    }
}

#[test]
fn rule_13_a_wait_that_is_stopped_says_how_long_it_took() {
    let waiter = Waiter::builder(source_fn(|_| pending())).seed(7).attempt_timeout(secs(3_600));
    let waiter = waiter.policy(Policy::new().timeout(secs(7_200))).build().unwrap();
    let (first, mut wait) = (paused(), Box::pin(waiter.wait_for_job("job")));
    first.block_on(async {
        assert!(poll!(&mut wait).is_pending());
        sleep(secs(200)).await;
    });
    drop(first);
    let error = paused().block_on(wait).unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Stopped);
    let elapsed = error.report().elapsed;
    assert!((secs(200)..secs(210)).contains(&elapsed), "stopped after {elapsed:?}, it says");
}

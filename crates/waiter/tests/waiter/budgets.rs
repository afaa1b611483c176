//! One budget for many waits: fairness under a rate, and what a service says of its quota (rules 5 and 8).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cfw_waiter::{
    ErrorClass, JobId, JobState, Quota, SourceError, WaitErrorKind, Waiter, source_fn,
};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{every, ms, secs};

/// The times of all polls, by job.
#[derive(Default)]
struct Polls(Mutex<HashMap<JobId, Vec<Instant>>>);

impl Polls {
    fn record(&self, id: &JobId) {
        self.0.lock().unwrap().entry(id.clone()).or_default().push(Instant::now());
    }

    fn of(&self, id: &str) -> Vec<Instant> {
        self.0.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    fn count_since(&self, since: Instant) -> usize {
        self.0.lock().unwrap().values().flatten().filter(|&&at| at >= since).count()
    }

    /// The longest time without a poll of a job, from its first poll until now.
    fn longest_gap(&self, id: &str) -> Duration {
        let mut times = self.of(id);
        times.push(Instant::now());
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX)
    }
}

// Rule 5: last polls go first only within a bound.

#[tokio::test(start_paused = true)]
async fn rule_05_short_waits_made_again_and_again_starve_no_long_one() {
    let polls = Arc::new(Polls::default());
    let record = Arc::clone(&polls);
    let source = source_fn(move |id: JobId| {
        record.record(&id);
        async { Ok(JobState::running()) }
    });
    // One poll a second, for long waits that ask for one a second and short ones that ask for ten.
    let quota = Quota::new(10, secs(10)).unwrap().with_burst(1);
    let builder = Waiter::builder(source).seed(7).quota(quota).policy(every(secs(5)));
    let waiter = builder.build().unwrap();
    let mut short = JoinSet::new();
    for n in 0..20 {
        let waiter = waiter.clone();
        short.spawn(async move {
            // At any time, a quarter of them are owed their last poll.
            sleep(ms(n * 100)).await;
            loop {
                let wait = waiter.wait_for_job(format!("short-{n}")).timeout(secs(2));
                assert_eq!(wait.await.unwrap_err().kind(), WaitErrorKind::TimedOut);
            }
        });
    }
    sleep(secs(10)).await;
    let start = Instant::now();
    let ids = (0..5).map(|n| format!("long-{n}")).collect::<Vec<_>>();
    let watch = waiter.watch(&ids).timeout(secs(3_600));
    let _ = timeout(secs(600), watch.all()).await;
    let total = polls.count_since(start);
    assert!((500..=601).contains(&total), "the budget is used, and kept: {total} polls");
    for id in &ids {
        // In turn, each of the 25 jobs would have had 24.
        let times = polls.of(id);
        assert!(times.len() >= 10, "{id} was polled {} times in ten minutes", times.len());
        let gap = polls.longest_gap(id);
        assert!(gap <= secs(120), "{id} was not polled for {gap:?}");
    }
}

// Rule 8: what a service says of its quota.

/// Names a quota of `calls` in a day at its first answer, and is well from then on.
fn names_a_day(calls: u32, polls: &Arc<Polls>, end: Duration) -> Waiter {
    let (polls, is_first) = (Arc::clone(polls), AtomicBool::new(true));
    let start = Instant::now();
    let source = source_fn(move |id: JobId| {
        polls.record(&id);
        let day = Quota::new(calls, secs(86_400)).unwrap();
        let refusal = ErrorClass::Throttled { retry_after: None, quota: Some(day) };
        let answer = if is_first.swap(false, Ordering::SeqCst) {
            Err(SourceError::new(refusal, format!("limit:{calls},time:1 day")))
        } else if start.elapsed() >= end {
            Ok(JobState::succeeded())
        } else {
            Ok(JobState::running())
        };
        async { answer }
    });
    Waiter::builder(source).seed(7).policy(every(secs(5))).build().unwrap()
}

/// The longest time for which a job may go unpolled on the word of the service alone, with some room
/// for the schedule.
const BLIND: Duration = Duration::from_secs(5 * 60 + 30);

#[tokio::test(start_paused = true)]
async fn rule_08_a_named_quota_of_one_a_day_leaves_no_wait_blind() {
    for calls in [1, 2, 20] {
        let polls = Arc::new(Polls::default());
        let waiter = names_a_day(calls, &polls, secs(60));
        let report = waiter.wait_for_job("job").timeout(secs(1_800)).await.unwrap();
        assert!(report.elapsed <= BLIND, "{calls} a day: seen after {:?}", report.elapsed);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_08_under_a_named_quota_each_of_many_jobs_is_polled_in_time() {
    let polls = Arc::new(Polls::default());
    let waiter = names_a_day(1, &polls, secs(86_400));
    let ids = (0..10).map(|n| format!("job-{n}")).collect::<Vec<_>>();
    let watch = waiter.watch(&ids).timeout(secs(7_200));
    let _ = timeout(secs(1_800), watch.all()).await;
    for id in &ids {
        assert!(!polls.of(id).is_empty(), "{id} was never polled");
        let gap = polls.longest_gap(id);
        assert!(gap <= BLIND, "{id} was not polled for {gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_08_a_named_quota_that_is_not_repeated_is_forgotten() {
    let polls = Arc::new(Polls::default());
    let (record, is_first) = (Arc::clone(&polls), AtomicBool::new(true));
    let source = source_fn(move |id: JobId| {
        record.record(&id);
        let quota = Quota::new(10, secs(60)).unwrap();
        let refusal = ErrorClass::Throttled { retry_after: None, quota: Some(quota) };
        let refusal = SourceError::new(refusal, "limit:10,time:1 minute");
        let is_first = is_first.swap(false, Ordering::SeqCst);
        async move { if is_first { Err(refusal) } else { Ok(JobState::running()) } }
    });
    let waiter = Waiter::builder(source).seed(7).policy(every(secs(5))).build().unwrap();
    let watch = waiter.watch((0..20).map(|n| format!("job-{n}"))).timeout(secs(86_400));
    let watch = tokio::spawn(watch.all());
    sleep(secs(120)).await;
    let (since, before) = (Instant::now(), secs(60));
    sleep(before).await;
    let at_first = polls.count_since(since);
    assert!((1..=10).contains(&at_first), "the quota is kept at first: {at_first} in a minute");
    sleep(secs(7_200)).await;
    let since = Instant::now();
    sleep(secs(60)).await;
    // Twenty jobs ask for four polls a second.
    let polled = polls.count_since(since);
    assert!(polled >= 100, "{polled} polls in a minute, two hours after a quota was named once");
    watch.abort();
}

const BUSY: ErrorClass = ErrorClass::Transient { retry_after: Some(Duration::from_secs(5)) };

/// A service that answers at once, and how many requests of one instant it answers before it refuses.
struct Burst {
    served: AtomicU32,
    instant: Mutex<(Instant, u32)>,
}

impl Burst {
    fn new() -> Arc<Self> {
        let instant = Mutex::new((Instant::now(), 0));
        Arc::new(Self { served: AtomicU32::new(u32::MAX), instant })
    }

    fn serve(&self, requests: u32) {
        self.served.store(requests, Ordering::SeqCst);
    }

    /// Whether the service refuses all, with a pause and not for want of quota.
    fn is_busy(&self) -> bool {
        self.served.load(Ordering::SeqCst) == 0
    }

    fn is_refused(&self) -> bool {
        let (now, mut instant) = (Instant::now(), self.instant.lock().unwrap());
        if instant.0 != now {
            *instant = (now, 0);
        }
        instant.1 += 1;
        instant.1 > self.served.load(Ordering::SeqCst)
    }
}

/// The window opens to eight requests within one instant, and all eight are refused at that instant. The
/// first pause without a hint is at most five seconds; only a refusal after it is a second one.
#[tokio::test(start_paused = true)]
async fn rule_08_refusals_at_the_instant_at_which_the_pause_begins_count_once() {
    let burst = Burst::new();
    let service = Arc::clone(&burst);
    let source = source_fn(move |_| {
        let answer = if service.is_refused() {
            let class = if service.is_busy() { BUSY } else { ErrorClass::THROTTLED };
            Err(SourceError::new(class, "not now"))
        } else {
            Ok(JobState::running())
        };
        async move {
            // So that all requests of a burst are in flight before the first is answered.
            yield_now().await;
            answer
        }
    });
    let waiter = Waiter::builder(source).seed(7).policy(every(secs(1))).build().unwrap();
    let watch = waiter.watch((0..40).map(|n| format!("job-{n}"))).timeout(secs(3_600));
    let watch = tokio::spawn(watch.all());
    sleep(secs(60)).await;
    // A pause that is no refusal: with its end, all jobs are due at one instant.
    burst.serve(0);
    while waiter.stats().pause_left.is_zero() {
        sleep(ms(1)).await;
    }
    burst.serve(7);
    let before = waiter.stats().paused;
    sleep(secs(6)).await;
    let pause = waiter.stats().paused - before;
    let refused = waiter.stats().throttled;
    assert!(refused >= 2, "a burst of {refused}");
    assert!(pause <= secs(5), "a pause of {pause:?} after {refused} refusals at one instant");
    watch.abort();
}

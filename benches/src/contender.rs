//! The ways to wait that are compared: ours, and what a user would write instead.

#![expect(
    clippy::disallowed_methods,
    reason = "consumers are tasks, and lags are read off the clock"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cfw_waiter::{JobId, JobSource, JobState, Outcome, Policy, Schedule, UpdateKind, Waiter};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use crate::Failure;
use crate::by_hand::{ByHand, Loop};

/// Requests in flight at most, for all who bound them.
pub(crate) const MAX_IN_FLIGHT: u32 = 32;
/// The delays grow by this factor.
const FACTOR: f64 = 1.5;
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Far enough not to come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// Ours: one `Watch` of all jobs, read by one task.
    Watch,
    /// Ours: a task per job that awaits a `Wait`.
    Waits,
    /// Ours: all `Wait`s in one `FuturesUnordered`, read by one task.
    Unordered,
    /// By hand: a task per job that loops over sleep, request, look at the status.
    Tasks,
    /// The same, with a semaphore around the request.
    Bounded,
    /// A task per job that runs a retry loop of the `backon` crate.
    Backon,
}

impl Contender {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Watch, "one Watch"),
        (Self::Waits, "a task per Wait"),
        (Self::Unordered, "FuturesUnordered of Waits"),
        (Self::Tasks, "task per job"),
        (Self::Bounded, "task per job, semaphore"),
        (Self::Backon, "backon per job"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        let known = Self::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(known, _)| *known).ok_or_else(|| format!("no contender {name:?}").into())
    }
}

/// When to poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delays {
    pub(crate) first: Duration,
    pub(crate) max: Duration,
}

impl Delays {
    /// Returns the delay of a job of this age, before jitter and after the first poll.
    pub(crate) fn grown(self, age: Duration) -> Duration {
        (self.first + age.mul_f64(FACTOR - 1.0)).min(self.max)
    }
}

/// What a consumer does when a job has ended.
pub(crate) trait Ends: Send + Sync + 'static {
    /// Notes the end of a job. Returns the job to wait for in its place, if there is one.
    fn ended(&self, id: &JobId, state: &JobState) -> Option<JobId>;
}

/// What came of it: how late each job's end was noticed.
pub(crate) struct Tally {
    lags: Mutex<Vec<Duration>>,
    jobs: usize,
    done: Notify,
}

impl Tally {
    pub(crate) fn new(jobs: usize) -> Arc<Self> {
        let lags = Mutex::new(vec![Duration::ZERO; jobs]);
        lags.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Arc::new(Self { lags, jobs, done: Notify::new() })
    }

    /// Waits for the last end. Returns the lags, shortest first.
    pub(crate) async fn all(&self) -> Vec<Duration> {
        self.done.notified().await;
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lags.sort_unstable();
        lags
    }
}

impl Ends for Tally {
    fn ended(&self, _id: &JobId, state: &JobState) -> Option<JobId> {
        let now = SystemTime::now();
        let lag = state.end.and_then(|end| now.duration_since(end).ok()).unwrap_or_default();
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.push(lag);
        if lags.len() == self.jobs {
            self.done.notify_one();
        }
        None
    }
}

/// Starts to wait for all jobs on the current runtime.
pub(crate) fn start<S: JobSource>(
    contender: Contender,
    source: Arc<S>,
    ids: &[JobId],
    delays: Delays,
    tally: &Arc<Tally>,
) -> Result<(), Failure> {
    let ids = ids.iter().cloned();
    match contender {
        Contender::Watch => {
            let mut watch = waiter(source, delays)?.watch(ids);
            let tally = Arc::clone(tally);
            tokio::spawn(async move {
                while let Some(update) = watch.next().await {
                    if let UpdateKind::Ended(outcome) = update.kind {
                        note(&*tally, outcome);
                    }
                }
            });
        }
        Contender::Waits => {
            let waiter = waiter(source, delays)?;
            for id in ids {
                let (wait, tally) = (waiter.wait_for_job(id), Arc::clone(tally));
                tokio::spawn(async move { note(&*tally, wait.await) });
            }
        }
        Contender::Unordered => {
            let waiter = waiter(source, delays)?;
            let mut waits: FuturesUnordered<_> = ids.map(|id| waiter.wait_for_job(id)).collect();
            let tally = Arc::clone(tally);
            tokio::spawn(async move {
                while let Some(outcome) = waits.next().await {
                    note(&*tally, outcome);
                }
            });
        }
        Contender::Tasks => by_hand(Loop::Bare, source, ids, delays, tally),
        Contender::Bounded => by_hand(Loop::Bounded, source, ids, delays, tally),
        Contender::Backon => by_hand(Loop::Backon, source, ids, delays, tally),
    }
    Ok(())
}

fn by_hand<S: JobSource>(
    kind: Loop,
    source: Arc<S>,
    ids: impl Iterator<Item = JobId>,
    delays: Delays,
    tally: &Arc<Tally>,
) {
    let by_hand = ByHand::new(kind, source, delays, Arc::clone(tally));
    ids.for_each(|id| by_hand.spawn(id));
}

pub(crate) fn waiter<S: JobSource>(source: Arc<S>, delays: Delays) -> Result<Waiter, Failure> {
    let schedule = Schedule::exponential(delays.first, FACTOR, delays.max)?;
    let waiter = Waiter::builder(source)
        .policy(Policy::new().schedule(schedule).timeout(DEADLINE))
        .max_in_flight(MAX_IN_FLIGHT)
        .min_interval(delays.first.min(Duration::from_millis(500)))
        .attempt_timeout(ATTEMPT_TIMEOUT)
        // Nobody else has a rate, and the one of the service's client would be the bottleneck.
        .quota(None)
        .build()?;
    Ok(waiter)
}

/// Hands the end of a wait to the consumer. Returns the job to wait for in its place.
pub(crate) fn note(ends: &impl Ends, outcome: Outcome) -> Option<JobId> {
    let report = outcome.as_ref().unwrap_or_else(|error| error.report());
    ends.ended(&report.id, report.state.as_ref().unwrap_or(&JobState::running()))
}

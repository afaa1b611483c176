//! The ways to wait that are compared: ours, and what a user would write instead.

#![expect(
    clippy::disallowed_methods,
    reason = "what the waiter does with one task and one timer, the others do with one each per job"
)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable as _};
use cfw_waiter::{
    Attempt, JobId, JobSource, JobState, Outcome, Policy, Schedule, SourceError, UpdateKind, Waiter,
};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use crate::Failure;

/// Requests in flight at most, for all who bound them.
pub(crate) const MAX_IN_FLIGHT: u32 = 32;
/// The delays grow by this factor.
const FACTOR: f64 = 1.5;
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Far enough not to come.
const DEADLINE: Duration = Duration::from_secs(30 * 24 * 3600);

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

    fn ended(&self, state: &JobState) {
        let now = SystemTime::now();
        let lag = state.end.and_then(|end| now.duration_since(end).ok()).unwrap_or_default();
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.push(lag);
        if lags.len() == self.jobs {
            self.done.notify_one();
        }
    }

    /// Waits for the last end. Gives the lags, shortest first.
    pub(crate) async fn all(&self) -> Vec<Duration> {
        self.done.notified().await;
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lags.sort_unstable();
        lags
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
                        tally_outcome(&tally, outcome);
                    }
                }
            });
        }
        Contender::Waits => {
            let waiter = waiter(source, delays)?;
            for id in ids {
                let (wait, tally) = (waiter.wait_for_job(id), Arc::clone(tally));
                tokio::spawn(async move { tally_outcome(&tally, wait.await) });
            }
        }
        Contender::Unordered => {
            let waiter = waiter(source, delays)?;
            let mut waits: FuturesUnordered<_> = ids.map(|id| waiter.wait_for_job(id)).collect();
            let tally = Arc::clone(tally);
            tokio::spawn(async move {
                while let Some(outcome) = waits.next().await {
                    tally_outcome(&tally, outcome);
                }
            });
        }
        Contender::Tasks | Contender::Bounded | Contender::Backon => {
            let by_hand = Arc::new(ByHand {
                source,
                delays,
                window: Semaphore::new(MAX_IN_FLIGHT as usize),
                tally: Arc::clone(tally),
            });
            for id in ids {
                let by_hand = Arc::clone(&by_hand);
                match contender {
                    Contender::Bounded => drop(tokio::spawn(by_hand.bounded(id))),
                    Contender::Backon => drop(tokio::spawn(by_hand.backon(id))),
                    _ => drop(tokio::spawn(by_hand.bare(id))),
                }
            }
        }
    }
    Ok(())
}

fn waiter<S: JobSource>(source: Arc<S>, delays: Delays) -> Result<Waiter, Failure> {
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

fn tally_outcome(tally: &Tally, outcome: Outcome) {
    let state = match &outcome {
        Ok(report) => report.state.as_ref(),
        Err(error) => error.report().state.as_ref(),
    };
    tally.ended(state.unwrap_or(&JobState::running()));
}

/// What people write: all that the loops share.
struct ByHand<S> {
    source: Arc<S>,
    delays: Delays,
    window: Semaphore,
    tally: Arc<Tally>,
}

impl<S: JobSource> ByHand<S> {
    async fn bare(self: Arc<Self>, id: JobId) {
        let mut pace = Pace::new(&id, self.delays);
        while let Some(rest) = pace.next_rest() {
            sleep(rest).await;
            let answer =
                timeout(ATTEMPT_TIMEOUT, self.source.fetch(&id, Attempt::new(ATTEMPT_TIMEOUT)))
                    .await;
            if let Ok(Ok(state)) = answer
                && state.phase.is_terminal()
            {
                return self.tally.ended(&state);
            }
        }
    }

    async fn bounded(self: Arc<Self>, id: JobId) {
        let mut pace = Pace::new(&id, self.delays);
        while let Some(rest) = pace.next_rest() {
            sleep(rest).await;
            let Ok(permit) = self.window.acquire().await else { return };
            let answer =
                timeout(ATTEMPT_TIMEOUT, self.source.fetch(&id, Attempt::new(ATTEMPT_TIMEOUT)))
                    .await;
            drop(permit);
            if let Ok(Ok(state)) = answer
                && state.phase.is_terminal()
            {
                return self.tally.ended(&state);
            }
        }
    }

    async fn backon(self: Arc<Self>, id: JobId) {
        let Some(rest) = Pace::new(&id, self.delays).next_rest() else { return };
        sleep(rest).await;
        let attempt = || async {
            match timeout(ATTEMPT_TIMEOUT, self.source.fetch(&id, Attempt::new(ATTEMPT_TIMEOUT)))
                .await
            {
                Ok(Ok(state)) if state.phase.is_terminal() => Ok(state),
                Ok(Ok(_)) => Err(NotYet::Running),
                Ok(Err(error)) => Err(NotYet::Failed(error)),
                Err(_) => Err(NotYet::TimedOut),
            }
        };
        // It adds up to the whole delay as jitter, also above the maximum: with 0.6 of the others'
        // maximum its delays are between 0.6 and 1.2 of it, and as long as theirs on average.
        let delays = ExponentialBuilder::new()
            .with_min_delay(self.delays.first.mul_f64(0.6))
            .with_factor(1.5)
            .with_max_delay(self.delays.max.mul_f64(0.6))
            .with_jitter()
            .without_max_times()
            .with_total_delay(Some(DEADLINE));
        if let Ok(state) = attempt.retry(delays).sleep(sleep).await {
            self.tally.ended(&state);
        }
    }
}

/// What a retry loop takes for an error.
#[derive(Debug)]
enum NotYet {
    Running,
    Failed(SourceError),
    TimedOut,
}

impl fmt::Display for NotYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("still running"),
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

/// The waiter's own schedule and jitter, since polls that are spread otherwise share fewer wake-ups or more.
struct Pace {
    delays: Delays,
    started: Instant,
    own: f64,
    seed: u64,
    polls: u32,
}

impl Pace {
    fn new(id: &JobId, delays: Delays) -> Self {
        let hash = |hash: u64, &byte: &u8| mix(hash ^ u64::from(byte));
        let seed = id.as_str().as_bytes().iter().fold(0, hash);
        Self { delays, started: Instant::now(), own: unit(seed), seed, polls: 0 }
    }

    /// How long to sleep before the next poll; none after the deadline.
    fn next_rest(&mut self) -> Option<Duration> {
        let age = self.started.elapsed();
        self.seed = mix(self.seed);
        let jitter = (self.own + 0.25 * unit(self.seed)).fract();
        let rest = if self.polls == 0 {
            self.delays.first.mul_f64(1.0 - 0.5 * jitter)
        } else {
            let grown = self.delays.first + age.mul_f64(FACTOR - 1.0);
            grown.min(self.delays.max).mul_f64(1.0 - 0.2 * jitter)
        };
        self.polls += 1;
        (age < DEADLINE).then_some(rest)
    }
}

/// Steele, Lea and Flood's finaliser (OOPSLA 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

//! The loops that people write by hand: a task per job.

#![expect(
    clippy::disallowed_methods,
    reason = "what the waiter does with one task and one timer, these do with one each per job"
)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::Retryable as _;
use cfw_waiter::{Attempt, JobId, JobSource, JobState, SourceError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Timeout, sleep, timeout};

use crate::contender::{ATTEMPT_TIMEOUT, DEADLINE, Delays, Ends, MAX_IN_FLIGHT};

/// Which loop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loop {
    /// Sleep, request, look at the status.
    Bare,
    /// The same, with a semaphore around the request.
    Bounded,
    /// A retry loop of the `backon` crate.
    Backon,
}

/// All that the tasks share.
pub(crate) struct ByHand<S, E> {
    kind: Loop,
    source: Arc<S>,
    delays: Delays,
    window: Semaphore,
    ends: Arc<E>,
}

impl<S: JobSource, E: Ends> ByHand<S, E> {
    pub(crate) fn new(kind: Loop, source: Arc<S>, delays: Delays, ends: Arc<E>) -> Arc<Self> {
        let window = Semaphore::new(MAX_IN_FLIGHT as usize);
        Arc::new(Self { kind, source, delays, window, ends })
    }

    /// Spawns the task that waits for a job.
    pub(crate) fn spawn(self: &Arc<Self>, id: JobId) {
        let this = Arc::clone(self);
        match self.kind {
            Loop::Bare => drop(tokio::spawn(this.bare(id))),
            Loop::Bounded => drop(tokio::spawn(this.bounded(id))),
            Loop::Backon => drop(tokio::spawn(this.backon(id))),
        }
    }

    async fn bare(self: Arc<Self>, id: JobId) {
        let mut pace = Pace::new(&id, self.delays);
        while let Some(rest) = pace.next_rest() {
            sleep(rest).await;
            let answer = self.ask(&id).await;
            if let Ok(Ok(state)) = answer
                && state.phase.is_terminal()
            {
                return self.ended(&id, &state);
            }
        }
    }

    async fn bounded(self: Arc<Self>, id: JobId) {
        let mut pace = Pace::new(&id, self.delays);
        while let Some(rest) = pace.next_rest() {
            sleep(rest).await;
            let Ok(permit) = self.window.acquire().await else { return };
            let answer = self.ask(&id).await;
            drop(permit);
            if let Ok(Ok(state)) = answer
                && state.phase.is_terminal()
            {
                return self.ended(&id, &state);
            }
        }
    }

    async fn backon(self: Arc<Self>, id: JobId) {
        let mut pace = Pace::new(&id, self.delays);
        let Some(rest) = pace.next_rest() else { return };
        sleep(rest).await;
        let attempt = || async {
            match self.ask(&id).await {
                Ok(Ok(state)) if state.phase.is_terminal() => Ok(state),
                Ok(Ok(_)) => Err(NotYet::Running),
                Ok(Err(error)) => Err(NotYet::Failed(error)),
                Err(_) => Err(NotYet::TimedOut),
            }
        };
        if let Ok(state) = attempt.retry(pace).sleep(sleep).await {
            self.ended(&id, &state);
        }
    }

    /// Makes one request, under the time limit that everyone has.
    fn ask<'a>(
        &'a self,
        id: &'a JobId,
    ) -> Timeout<impl Future<Output = Result<JobState, SourceError>> + Send + 'a> {
        timeout(ATTEMPT_TIMEOUT, self.source.fetch(id, Attempt::new(ATTEMPT_TIMEOUT)))
    }

    fn ended(self: &Arc<Self>, id: &JobId, state: &JobState) {
        if let Some(next) = self.ends.ended(id, state) {
            self.spawn(next);
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
        // Eight bytes at a time, as the waiter does: new ids are part of what is measured.
        let word = |bytes: &[u8]| bytes.iter().rfold(0, |word, &byte| word << 8 | u64::from(byte));
        let seed = id.as_str().as_bytes().chunks(8).fold(0, |hash, bytes| mix(hash ^ word(bytes)));
        Self { delays, started: Instant::now(), own: unit(seed), seed, polls: 0 }
    }

    /// Returns how long to sleep before the next poll; none after the deadline.
    fn next_rest(&mut self) -> Option<Duration> {
        let age = self.started.elapsed();
        self.seed = mix(self.seed);
        let jitter = (self.own + 0.25 * unit(self.seed)).fract();
        let rest = if self.polls == 0 {
            self.delays.first.mul_f64(1.0 - 0.5 * jitter)
        } else {
            self.delays.grown(age).mul_f64(1.0 - 0.2 * jitter)
        };
        self.polls += 1;
        (age < DEADLINE).then_some(rest)
    }
}

/// The delays of a retry loop.
impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next_rest()
    }
}

/// Steele, Lea and Flood's finaliser (OOPSLA 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns a number in [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

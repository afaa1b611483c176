//! What a schedule makes of the past jobs of a kind, for people.

use std::sync::Arc;
use std::time::Duration;

use super::survival::Survival;

/// Polls after this part of the jobs has ended are left out, but for the first one.
const SHOWN: f64 = 0.99;
/// Where past jobs tell less than that, polls are left out after half of the jobs have ended by the guess that the plan makes.
const SHOWN_OF_GUESS: f64 = 0.5;
/// The most polls in an explanation.
const MOST_POLLS: usize = 1_000;

/// What a schedule makes of the past jobs of a kind: see [`Schedule::explain`](crate::Schedule::explain).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The number of past jobs whose duration is known.
    pub ended: usize,
    /// The number of past jobs of which only is known that they ran longer than some time.
    pub unfinished: usize,
    /// Whether polls follow what was learnt. If not, the fallback is used.
    pub is_learned: bool,
    /// The ages at which a job is polled, without jitter: up to the first poll after 99 % of the jobs have ended, or after the age
    /// up to which past jobs tell, and at least half of the jobs are expected to have ended. A poll
    /// [at once](crate::Policy::first_poll_at_once) is not among them, nor is an early one of a source that has not answered.
    pub polls: Vec<Duration>,
    /// The ages at which the fallback would poll, up to about the same age. Delays below 0.25 s count as that.
    pub fallback_polls: Vec<Duration>,
    /// What a job is expected to cost. None if past jobs do not tell.
    pub expected: Option<ExpectedCost>,
    /// What a job would be expected to cost with the fallback.
    pub expected_fallback: Option<ExpectedCost>,
    /// What jobs may still lose against the fallback, all together, in seconds. Negative after losses of jobs that ran at the
    /// same time.
    pub account: f64,
    /// The most that the account can hold, in seconds.
    pub account_limit: f64,
    /// The most that a job can lose against the fallback, in seconds: that of the plan in use, or of the most cautious plan if
    /// none is. Infinite if a plan polls so often that it is not counted. None without a past job.
    pub worst_loss: Option<f64>,
    pub(super) law: Arc<Survival>,
}

/// What a job is expected to cost with these polls, without jitter, for the jobs that end before the age up to which past jobs tell.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExpectedCost {
    /// The number of polls.
    pub polls: f64,
    /// The time from the end of the job to the poll that sees it.
    pub lag: Duration,
    /// That time and the price of the polls, which the schedule minimises.
    pub cost: Duration,
}

impl Explanation {
    /// Returns the probability that a job takes longer than `age`.
    pub fn survival(&self, age: Duration) -> f64 {
        self.law.probability(age.as_secs_f64())
    }

    /// Returns the age before which a part of the past jobs have ended, from 0 to 1. None if there are too few to tell.
    pub fn percentile(&self, part: f64) -> Option<Duration> {
        Duration::try_from_secs_f64(self.law.past_quantile(part)?).ok()
    }
}

impl ExpectedCost {
    /// Returns what polls at these ages cost on average, at a price of `c` seconds, for the jobs that end as long as the law is
    /// known. None if there are no such jobs.
    pub(super) fn new(law: &Survival, polls: impl Iterator<Item = f64>, c: f64) -> Option<Self> {
        let until = law.known_until();
        let later = law.probability(until);
        let share = 1.0 - later;
        let (mut count, mut lag, mut before) = (0.0, 0.0, 0.0);
        for poll in polls {
            if before >= until {
                break;
            }
            let end = poll.min(until);
            let (alive, left) = (law.probability(before), law.probability(end));
            count += alive - later;
            // The integral over the ends between two polls of the time up to the second one, by parts.
            lag +=
                (poll - before) * alive - (poll - end) * left - (law.area(end) - law.area(before));
            before = poll;
        }
        let (polls, lag) = (count / share, (lag / share).max(0.0));
        Some(Self {
            polls: Some(polls).filter(|polls| polls.is_finite())?,
            lag: Duration::try_from_secs_f64(lag).ok()?,
            cost: Duration::try_from_secs_f64(polls * c + lag).ok()?,
        })
    }
}

/// Returns the ages of polls that matter for nearly all jobs.
pub(super) fn shown(law: &Survival, polls: impl Iterator<Item = f64>) -> Vec<Duration> {
    let age = |part| law.quantile(0.0, part).unwrap_or(f64::INFINITY);
    let end = age(SHOWN).min(law.known_until().max(age(SHOWN_OF_GUESS)));
    let mut shown = Vec::new();
    for poll in polls.take(MOST_POLLS) {
        shown.extend(Duration::try_from_secs_f64(poll));
        if poll >= end {
            break;
        }
    }
    shown
}

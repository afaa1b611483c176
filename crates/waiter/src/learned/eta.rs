//! When a running job is likely to end, given its age.

use std::time::Duration;

use super::survival::Survival;

/// A job that this part of its kind has ended before is overdue.
const LATE: f64 = 0.95;

/// When a job is likely to end, as past jobs of its kind suggest: see [`JobView::eta`](crate::JobView::eta).
///
/// It comes of the same law as the polls of a [schedule that learns](crate::Schedule::learned), so jobs that were left before
/// their end count as longer ones. A few past jobs give wide ranges, and where the past jobs say nothing, nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eta {
    /// The age of the job: by the server's clock, else since its wait began, or as the user said.
    pub age: Duration,
    /// The number of past jobs of the kind whose duration is known.
    pub past_jobs: usize,
    /// The time that the job is likely to take longer. None if hardly any past job was as old.
    pub remaining: Option<Remaining>,
    /// The age before which 95 % of the jobs of this kind end. None if there are too few past jobs to tell.
    pub late_after: Option<Duration>,
}

/// The time that a job is likely to take longer, from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remaining {
    /// The expected time. The longest 5 % count as the 95th percentile, because past jobs do not tell how long those take.
    pub mean: Duration,
    /// The time within which half of the jobs that have reached this age end.
    pub p50: Duration,
    /// The time within which nine of ten such jobs end.
    pub p90: Duration,
}

impl Eta {
    /// Returns what a law that was estimated from `past_jobs` ended jobs suggests for a job of `age` seconds; none if that is
    /// nothing.
    pub(crate) fn new(law: &Survival, past_jobs: usize, age: f64) -> Option<Self> {
        let age = if age > 0.0 { age } else { 0.0 };
        let late_after = law.known_quantile(LATE);
        let remaining = if age < law.known_until() { Remaining::new(law, age) } else { None };
        let eta = Self {
            age: Duration::try_from_secs_f64(age).ok()?,
            past_jobs,
            remaining,
            late_after: late_after.and_then(|late| Duration::try_from_secs_f64(late).ok()),
        };
        (remaining.is_some() || eta.is_overdue()).then_some(eta)
    }

    /// Returns whether the job takes longer than 95 % of the jobs of its kind.
    pub fn is_overdue(&self) -> bool {
        self.late_after.is_some_and(|late| self.age >= late)
    }

    /// Returns how far the job is, from 0 to 1: its age as a part of the age before which nine of ten jobs end that have come
    /// as far. 1 if it is overdue.
    pub fn progress(&self) -> f64 {
        match self.remaining {
            Some(remaining) if !self.is_overdue() => {
                let age = self.age.as_secs_f64();
                let part = age / (age + remaining.p90.as_secs_f64());
                // Not a number for a job that ends at once.
                if part >= 0.0 { part } else { 1.0 }
            }
            _ => 1.0,
        }
    }
}

impl Remaining {
    fn new(law: &Survival, age: f64) -> Option<Self> {
        let from_now = |seconds: f64| Duration::try_from_secs_f64((seconds - age).max(0.0)).ok();
        let late = law.quantile(age, LATE)?;
        let mean = (law.area(late) - law.area(age)) / law.probability(age);
        Some(Self {
            mean: Duration::try_from_secs_f64(mean.max(0.0)).ok()?,
            p50: from_now(law.quantile(age, 0.5)?)?,
            p90: from_now(law.quantile(age, 0.9)?)?,
        })
    }
}

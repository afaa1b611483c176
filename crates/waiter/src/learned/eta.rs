//! When a running job is likely to end, given its age.

use std::time::Duration;

use super::survival::Survival;

/// A job that this part of the past jobs of its kind has ended before is overdue.
const LATE: f64 = 0.95;

/// When a job is likely to end, as past jobs of its kind suggest: see [`JobView::eta`](crate::JobView::eta).
///
/// It comes of the same law as the polls of a [schedule that learns](crate::Schedule::learned), so jobs that were left before
/// their end count as longer ones. That law contains a guess, which counts as a quarter of a job and expects any duration up
/// to three days. An estimate is given only where the past jobs decide it, and not the guess:
///
/// - A percentile is given if no more of the jobs that have reached the age are a guess than the part that exceeds the
///   percentile: half of them for `p50`, a tenth for `p90`. So a young job has no `p90` where one or two past ones are
///   known, nor has one that is older than most of them.
/// - `late_after` is that of the past jobs alone. It is given if the guess weighs no more than the 5 % of them that took
///   longer, which takes six past jobs, or more if old ones are unlike the newest. Until that age `p50` is always given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eta {
    /// The age of the job: by the server's clock, else since its wait began, or as the user said.
    pub age: Duration,
    /// The number of past jobs of the kind whose duration is known.
    pub past_jobs: usize,
    /// The time that the job is likely to take longer. None if hardly any past job was as old.
    pub remaining: Option<Remaining>,
    /// The age before which 95 % of the past jobs of this kind have ended. None if there are too few to tell.
    pub late_after: Option<Duration>,
}

/// The time that a job is likely to take longer, from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remaining {
    /// The expected time. The longest 5 % count as the 95th percentile, because past jobs do not tell how long those take,
    /// and so do more of them if more are a guess.
    pub mean: Duration,
    /// The time within which half of the jobs that have reached this age end.
    pub p50: Duration,
    /// The time within which nine of ten such jobs end. None if past jobs do not tell.
    pub p90: Option<Duration>,
}

impl Eta {
    /// Returns what a law that was estimated from `past_jobs` ended jobs suggests for a job of `age` seconds; none if that is
    /// nothing.
    pub(crate) fn new(law: &Survival, past_jobs: usize, age: f64) -> Option<Self> {
        let age = if age > 0.0 { age } else { 0.0 };
        let remaining = Remaining::new(law, age);
        let eta = Self {
            age: Duration::try_from_secs_f64(age).ok()?,
            past_jobs,
            remaining,
            late_after: law
                .past_quantile(LATE)
                // Of jobs that take longer than the grid nothing would be said before that age.
                .filter(|late| law.quantile(*late, 0.5).is_some())
                .and_then(|late| Duration::try_from_secs_f64(late).ok()),
        };
        (remaining.is_some() || eta.is_overdue()).then_some(eta)
    }

    /// Returns whether the job takes longer than 95 % of the past jobs of its kind.
    pub fn is_overdue(&self) -> bool {
        self.late_after.is_some_and(|late| self.age >= late)
    }

    /// Returns how far the job is, from 0 to 1: its age as a part of the age from which on it is overdue. 1 if it is overdue,
    /// and none if there are too few past jobs to tell.
    pub fn progress(&self) -> Option<f64> {
        let late = self.late_after?;
        let is_young = self.age < late;
        Some(if is_young { self.age.as_secs_f64() / late.as_secs_f64() } else { 1.0 })
    }
}

impl Remaining {
    fn new(law: &Survival, age: f64) -> Option<Self> {
        let from_now = |seconds: f64| Duration::try_from_secs_f64((seconds - age).max(0.0)).ok();
        let p50 = from_now(law.known_quantile(age, 0.5)?)?;
        let late = law.quantile(age, LATE.min(1.0 - law.guess(age)));
        // The grid ends after three days.
        let late = late.unwrap_or(f64::INFINITY);
        let mean = (law.area(late) - law.area(age)) / law.probability(age);
        Some(Self {
            mean: Duration::try_from_secs_f64(mean.max(0.0)).ok()?,
            p50,
            p90: law.known_quantile(age, 0.9).and_then(from_now),
        })
    }
}

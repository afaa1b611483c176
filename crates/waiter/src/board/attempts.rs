//! How long an attempt may take: the set time at first, and longer where answers take longer (rule 5).
//!
//! The time grows in steps that double it: for a job with each of its attempts that times out, and for all jobs
//! likewise, but no more than once for attempts that were sent with the same step. Among jobs that are answered at once
//! a slow one keeps its own step, and where all are slow each learns from the others.

use std::time::Duration;

use super::Board;
use super::jobs::Job;
use super::time::Time;
use crate::util::slab::Key;

/// The longest time to which time-outs raise that of an attempt.
const LONGEST: Duration = Duration::from_secs(60);
/// How many steps there are at most: the shortest attempt timeout, 1 ms, doubled 16 times, is above `LONGEST`.
const STEPS: usize = 17;
/// An answer leaves one and a half times as long as it took to the next attempt.
const HEADROOM: f64 = 1.5;

/// How long an attempt may take with each step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptTimeouts {
    steps: [AttemptTimeout; STEPS],
    last: Step,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptTimeout {
    /// How long one request of a fetch may take.
    pub(super) request: Duration,
    /// How long the fetch may take. A source that limits its requests itself has more, for what is between them.
    pub(super) fetch: Duration,
}

/// How often an attempt timeout was doubled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step(u8);

impl AttemptTimeouts {
    /// Makes the steps from the first attempt timeout on; `fetch` says how long a fetch may take with each.
    pub(crate) fn new(first: Duration, fetch: impl Fn(Duration) -> Duration) -> Self {
        let first_step = AttemptTimeout { request: first, fetch: fetch(first) };
        let mut timeouts = Self { steps: [first_step; STEPS], last: Step(0) };
        let mut request = first;
        for (at, step) in (0..).zip(&mut timeouts.steps).skip(1) {
            if request >= LONGEST {
                break;
            }
            request = request.saturating_mul(2).min(LONGEST);
            *step = AttemptTimeout { request, fetch: fetch(request) };
            timeouts.last = Step(at);
        }
        timeouts
    }

    pub(super) fn get(&self, step: Step) -> AttemptTimeout {
        self.steps[usize::from(step.0)]
    }

    /// Returns the first attempt timeout.
    pub(super) fn first(&self) -> AttemptTimeout {
        self.get(Step(0))
    }

    fn after_timeout(&self, step: Step) -> Step {
        Step(step.0 + 1).min(self.last)
    }

    /// Returns the step after an answer that took so long: one less, if that leaves enough time for another such answer.
    fn after_answer(&self, step: Step, took: Duration) -> Step {
        let less = Step(step.0.saturating_sub(1));
        if self.get(less).request >= took.mul_f64(HEADROOM) { less } else { step }
    }
}

impl Board {
    /// Returns how far the timeout of a job's next attempt has grown.
    pub(super) fn attempt_step(&self, key: Key<Job>) -> Step {
        self.attempt_step.max(self.jobs.attempt_step(key))
    }

    /// Gives a job's next attempt more time after one that timed out, and those of all jobs, unless they have more
    /// already than this one had.
    pub(super) fn lengthen_attempts(&mut self, key: Key<Job>, step: Step) {
        let longer = self.budget.attempt_timeouts.after_timeout(step);
        self.jobs.set_attempt_step(key, longer);
        if self.attempt_step == step {
            self.attempt_step = longer;
        }
    }

    /// Takes back what time-outs have added, as far as an answer to a request sent then allows.
    pub(super) fn shorten_attempts(&mut self, key: Key<Job>, sent: Time) {
        let own = self.jobs.attempt_step(key);
        if self.attempt_step.max(own) == Step(0) {
            return;
        }
        let (timeouts, took) = (&self.budget.attempt_timeouts, self.now.since(sent));
        self.attempt_step = timeouts.after_answer(self.attempt_step, took);
        self.jobs.set_attempt_step(key, timeouts.after_answer(own, took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(timeouts: &AttemptTimeouts) -> Vec<f64> {
        let steps = (0..=timeouts.last.0).map(Step);
        steps.map(|step| timeouts.get(step).request.as_secs_f64()).collect()
    }

    #[test]
    fn attempt_timeouts_double_up_to_a_minute() {
        let from = |first| seconds(&AttemptTimeouts::new(Duration::from_millis(first), |d| d));
        assert_eq!(from(10_000), [10.0, 20.0, 40.0, 60.0]);
        assert_eq!(from(30_000), [30.0, 60.0]);
        assert_eq!(from(60_000), [60.0]);
        assert_eq!(from(90_000), [90.0]);
        assert_eq!(from(u64::MAX).len(), 1);
        let shortest = from(1);
        assert_eq!((shortest.len(), shortest[16]), (STEPS, 60.0));
    }

    #[test]
    fn a_fetch_has_what_its_source_asks_for_with_each_attempt_timeout() {
        let timeouts = AttemptTimeouts::new(Duration::from_secs(20), |request| {
            request.saturating_mul(2).saturating_add(Duration::from_secs(1))
        });
        let fetch: Vec<u64> =
            (0..=timeouts.last.0).map(|step| timeouts.get(Step(step)).fetch.as_secs()).collect();
        assert_eq!(fetch, [41, 81, 121]);
    }

    #[test]
    fn an_answer_shortens_by_one_step_where_another_such_answer_fits() {
        let timeouts = AttemptTimeouts::new(Duration::from_secs(10), |d| d);
        let after = |step, took| timeouts.after_answer(Step(step), Duration::from_millis(took)).0;
        assert_eq!([after(3, 1), after(1, 1), after(0, 1)], [2, 0, 0]);
        assert_eq!([after(1, 6_666), after(1, 6_667), after(1, 11_000)], [0, 1, 1]);
        assert_eq!([after(2, 11_000), after(2, 14_000), after(3, 70_000)], [1, 2, 3]);
    }
}

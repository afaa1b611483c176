//! Which of the polls that are due is made first, where a budget holds them back and schedules learn.
//!
//! Polls are made in the order in which they became due. Among jobs whose polls follow a plan each gives its turn to the one
//! whose poll is worth most, unless it has not been polled for as long as its longest interval.

use std::cmp::Reverse;

use super::Board;
use super::agenda::Turn;
use super::jobs::{Job, Stage};
use super::learning::Learning;
use super::time::Time;
use super::waits::Wait;
use crate::learned::Planned;
use crate::util::slab::Key;

/// A ready job of which its worth decides when it is polled. It is stale once its job has another generation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) job: Key<Job>,
    pub(super) generation: u32,
    pub(super) standing: Standing,
}

const _: () = assert!(size_of::<Candidate>() == 32, "two in a cache line");

/// What a job's poll is worth depends on this, and on the time. Ages are in seconds; single precision tells milliseconds
/// apart up to an age of two hours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The number of its kind.
    kind: u32,
    /// The price of a poll, in seconds.
    price: f32,
    /// The age at which it was seen running.
    seen: f32,
    /// Its age at this time, when its wait began or had its last answer.
    age: f32,
    at: Time,
}

/// What a poll is worth, in prices of a poll. Of polls worth the same that of the job comes first that has waited for longer,
/// and then any, but always the same.
pub(super) type Worth = (f64, Reverse<Time>, Reverse<Key<Job>>);

impl Board {
    /// Takes the ready job to be polled next, with whose turn it is.
    pub(super) fn pop_ready(&mut self) -> Option<(Key<Job>, Turn)> {
        let (first, turn) = self.agenda.pop_ready(&self.jobs)?;
        if !matches!(self.jobs[first].stage, Stage::Ready { by_worth: true, .. }) {
            return Some((first, turn));
        }
        if self.is_overdue(first) {
            self.agenda.compact_candidates(&self.jobs);
            return Some((first, turn));
        }
        let (learning, now) = (&self.learning, self.now);
        let rank = |candidate: &Candidate| -> Worth {
            let standing = &candidate.standing;
            (worth(learning, now, standing), Reverse(standing.at), Reverse(candidate.job))
        };
        Some((self.agenda.pop_worthiest(&mut self.jobs, first, rank).unwrap_or(first), turn))
    }

    /// Returns the jobs whose worth decides when they are polled, and where they stand.
    #[cfg(test)]
    pub(super) fn standings(&self) -> Vec<(Key<Job>, Standing)> {
        self.agenda.current_standings(&self.jobs)
    }

    /// Returns what a poll is worth now.
    #[cfg(test)]
    pub(super) fn worth_now(&self, standing: &Standing) -> f64 {
        worth(&self.learning, self.now, standing)
    }

    /// Returns where a job stands on the plan that its polls follow; none if they follow none, or not it alone.
    pub(super) fn standing(&self, key: Key<Job>) -> Option<Standing> {
        if self.learning.is_idle() || !self.has_worth_order {
            return None;
        }
        let job = &self.jobs[key];
        let plan = self.plan_of_all(key).filter(|_| self.jobs.failure(key).is_none())?;
        let oldest = self.oldest_wait(job)?;
        let base = if oldest.answers(job) == 0 { oldest.started } else { job.last_answer };
        let known = self.known_ages(plan, key, base).filter(|known| plan.covers(known.seen))?;
        let kind = self.learning.number(&plan.kind)?;
        let ages = [plan.settings.price(), known.seen, known.age];
        #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes infinite")]
        let [price, seen, age] = ages.map(|secs| secs as f32);
        Some(Standing { kind, price, seen, age, at: known.at })
    }

    /// Returns the plan that all waits on a job keep to; none if one of them wants its next poll now, whatever it is worth.
    fn plan_of_all(&self, key: Key<Job>) -> Option<&Planned> {
        let job = &self.jobs[key];
        let newest = &self.waits[job.first_wait?];
        let policy = self.waits.policy(newest);
        let is_at_once = policy.first_poll_at_once && newest.answers(job) == 0;
        let plan = policy.schedule.plan().map(|plan| &**plan);
        plan.filter(|_| !(job.has_mixed_plans || job.is_due_now || is_at_once))
    }

    /// Returns whether a job on a plan has not been polled for as long as its longest interval.
    fn is_overdue(&self, key: Key<Job>) -> bool {
        let job = &self.jobs[key];
        self.oldest_wait(job).is_none_or(|wait| {
            let since = if wait.answers(job) == 0 { wait.started } else { job.last_answer };
            let plan = self.waits.policy(wait).schedule.plan();
            plan.is_none_or(|plan| self.now.since(since) >= plan.settings.get_max_interval())
        })
    }

    /// Returns the wait that knows best for how long a job has been due. Waits that join do not change that.
    fn oldest_wait(&self, job: &Job) -> Option<&Wait> {
        self.waits.on(job).last().map(|(_, wait)| wait)
    }

    /// Takes a ready job out of the order by worth, if a poll of it is wanted now whatever that is worth. It keeps its place
    /// among those that have been due for as long.
    pub(super) fn leave_worth_order(&mut self, key: Key<Job>) {
        let job = &self.jobs[key];
        let is_by_worth = matches!(job.stage, Stage::Ready { by_worth: true, .. });
        if is_by_worth && self.plan_of_all(key).is_none() {
            let due = job.due;
            self.make_ready(key, due, false);
        }
    }
}

/// Returns what a poll is worth, in prices of a poll.
fn worth(learning: &Learning, now: Time, standing: &Standing) -> f64 {
    let &Standing { kind, price, seen, age, at } = standing;
    let age = f64::from(age) + now.nanos_since(at) as f64 / 1e9;
    let worth = learning.law(kind).map_or(0.0, |law| law.worth(f64::from(seen), age));
    worth / f64::from(price)
}

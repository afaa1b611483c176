//! Checks the invariants that hold between events, in debug builds.

use std::collections::{BTreeMap, BTreeSet};

use super::jobs::Stage;
use super::{Board, Time};

/// Boards with up to this many jobs and waits are checked each time, up to `SOMETIMES` now and then, larger ones never.
const ALWAYS: usize = 64;
const SOMETIMES: usize = 4_096;
const EVERY: u32 = 4_096;

impl Board {
    /// Panics unless all invariants hold:
    ///
    /// - each live wait has a timer no later than its deadline;
    /// - each job is in flight, or ready, or has a timer for the time at which it is due, or is never due;
    /// - each job has waits, or a request that is about to be aborted;
    /// - each request in flight is given up some time, and its job knows it.
    #[expect(clippy::panic, reason = "a broken invariant is a bug in this crate")]
    pub(super) fn check(&self) {
        let size = self.jobs.len() + self.waits.live();
        self.checks.set(self.checks.get().wrapping_add(1));
        if size > SOMETIMES || size > ALWAYS && !self.checks.get().is_multiple_of(EVERY) {
            return;
        }
        let mut problems = Vec::new();
        let wait_timers: BTreeMap<_, Time> = self
            .agenda
            .wait_timers()
            .map(|timer| ((timer.key, timer.generation), timer.at))
            .collect();
        let mut live = 0;
        for (key, wait) in self.waits.iter() {
            let Some(job) = wait.job else { continue };
            live += 1;
            let deadline = self.deadline_of(key);
            let timer = wait_timers.get(&(key, wait.generation));
            if deadline != Time::NEVER && timer.is_none_or(|at| *at > deadline) {
                problems.push(format!("wait {key:?} until {deadline:?} has the timer {timer:?}"));
            }
            if size <= ALWAYS && !self.waits.on(&self.jobs[job]).any(|(other, _)| other == key) {
                problems.push(format!("wait {key:?} is not in the list of its job"));
            }
        }
        if live != self.waits.live() {
            problems.push(format!("{live} waits are live, not {}", self.waits.live()));
        }
        let poll_timers: BTreeMap<_, Time> = self
            .agenda
            .poll_timers()
            .map(|timer| ((timer.key, timer.generation), timer.at))
            .collect();
        let ready = self.agenda.ready_jobs(&self.jobs);
        let distinct: BTreeSet<_> = ready.iter().copied().collect();
        if ready.len() != distinct.len() {
            problems.push(format!("a job is ready twice: {ready:?}"));
        }
        let candidates = self.agenda.current_candidates(&self.jobs);
        for key in self.jobs.keys() {
            let job = &self.jobs[key];
            if let Stage::Ready { by_worth, .. } = job.stage
                && candidates.iter().filter(|other| **other == key).count() != usize::from(by_worth)
            {
                problems.push(format!("job {key:?} is not once among the candidates"));
            }
            match job.stage {
                Stage::InFlight(request) => {
                    let request = self.requests.id(request);
                    if self.requests.get(request).is_none_or(|request| request.job != key) {
                        problems.push(format!("job {key:?} is in flight without a request"));
                    }
                }
                Stage::Ready { .. } if !distinct.contains(&key) => {
                    problems.push(format!("job {key:?} is ready but not queued"));
                }
                Stage::Resting => {
                    let timer = poll_timers.get(&(key, job.timer_generation));
                    if job.due != Time::NEVER && timer != Some(&job.due) {
                        problems
                            .push(format!("job {key:?} due {:?} has the timer {timer:?}", job.due));
                    }
                }
                Stage::Ready { .. } => {}
            }
            if job.first_wait.is_none() && !job.is_in_flight() {
                problems.push(format!("job {key:?} has no waits"));
            }
        }
        for request in self.requests.ids() {
            let known = self.requests.get(request).map(|request| self.jobs[request.job].stage);
            if !matches!(known, Some(Stage::InFlight(key)) if self.requests.id(key) == request) {
                problems.push(format!("request {request:?} is of a job in {known:?}"));
            }
            if !self.requests.has_expiry(request) {
                problems.push(format!("request {request:?} is never given up"));
            }
        }
        if !self.touched.is_empty() {
            problems.push("some touched jobs were not settled".to_owned());
        }
        if !problems.is_empty() {
            panic!("{}", problems.join("; "));
        }
    }
}

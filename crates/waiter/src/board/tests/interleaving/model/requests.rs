//! Requests: when one may be sent, how long it may take, and how it is given up.

use std::time::Duration;

use super::super::super::world::*;
use super::{Model, ModelRequest, ROUNDING};

impl<R: Copy + Ord + std::fmt::Debug> Model<R> {
    /// Checks that a poll may be sent now, and records it.
    pub(in super::super) fn send(&mut self, id: R, job: usize, timeout: Duration) {
        let now = self.now;
        assert!(!self.is_in_flight(job), "rule 3: two requests in flight for job {job}");
        assert!(self.has_room(now), "rule 8: the window is full");
        if self.in_flight.len() >= self.limits.window as usize {
            self.note("a poll past a slow one");
        }
        let free = self.limits.free_at(now);
        assert!(now >= free, "rule 8: nothing is sent before {free:?}");
        let waits = self.live_on(job);
        assert!(!waits.is_empty(), "rule 10: job {job} is polled for nobody");
        let (earliest, _) = self.due(job);
        assert!(
            now.after(ROUNDING) >= earliest,
            "rule 4: job {job} is not due at {now:?}, but from {earliest:?} on"
        );
        self.check_turn(job);
        self.limits.send(now);
        if let Some(quota) = self.budget.quota {
            let recent = self.limits.sent_within(now, quota.per());
            assert!(recent <= quota.calls().get() as usize, "rule 8: {recent} in a window");
        }
        self.stats.polls += 1;
        let known = self.job(job);
        known.is_due_now = false;
        known.polls += 1;
        waits.into_iter().for_each(|wait| self.waits[wait].polls += 1);
        let step = self.step.max(self.jobs[&job].step);
        // The source has as long as the last wait does, and no longer than an attempt may take.
        let left = self.live_on(job).into_iter().map(|wait| {
            let wait = &self.waits[wait];
            wait.look.map_or(wait.deadline, |(_, until)| until).since(now)
        });
        let left = left.max().expect("there is a wait");
        assert_eq!(timeout, left.min(self.attempt_timeout(step)), "rule 5: {job} at {now:?}");
        self.in_flight.insert(id, ModelRequest { job, sent: now, step, timeout });
    }

    /// Ends a request that the driver aborts.
    pub(in super::super) fn abort(&mut self, id: R) {
        if let Some(at) = self.expired.iter().position(|expired| *expired == id) {
            self.expired.remove(at);
            return;
        }
        let request = self.in_flight.remove(&id).expect("only requests in flight are aborted");
        assert!(self.live_on(request.job).is_empty(), "a request with waits is aborted");
        self.job(request.job).last_answer = Some(self.now);
        self.note("an abort");
        self.settle();
    }

    pub(in super::super) fn forget_requests(&mut self) {
        for request in std::mem::take(&mut self.in_flight).into_values() {
            self.note("a request is revoked");
            let now = self.now;
            let known = self.job(request.job);
            (known.is_due_now, known.changed) = (true, now);
        }
        self.expired.clear();
        self.settle();
    }

    /// Whether the deadline that a request was sent with has passed, and another wait goes on.
    pub(super) fn is_cut_short(&self, id: R) -> bool {
        let Some(request) = self.in_flight.get(&id) else { return false };
        let ends_at = |&wait: &usize| self.waits[wait].ends_at(self.budget.resolution);
        request.timeout < self.attempt_timeout(request.step)
            && self.now.since(request.sent) >= request.timeout
            && self.live_on(request.job).iter().any(|wait| ends_at(wait) > self.now)
    }

    /// Returns how long an attempt may take when its timeout was doubled this often.
    pub(in super::super) fn attempt_timeout(&self, step: u32) -> Duration {
        (self.budget.attempt_timeouts.first().request * (1 << step)).min(secs(60))
    }

    pub(super) fn fetch_timeout(&self, step: u32) -> Duration {
        let first = self.budget.attempt_timeouts.first();
        self.attempt_timeout(step).mul_f64(first.fetch.div_duration_f64(first.request))
    }

    /// The most steps that make a difference.
    fn last_step(&self) -> u32 {
        (0..).find(|&step| self.attempt_timeout(step) == secs(60)).expect("it doubles")
    }

    pub(super) fn lengthen(&mut self, request: ModelRequest) {
        let longer = (request.step + 1).min(self.last_step());
        self.job(request.job).step = longer;
        if self.step == request.step {
            self.step = longer;
        }
    }

    pub(super) fn shorten(&mut self, request: ModelRequest) {
        let needed = self.now.since(request.sent).mul_f64(1.5);
        let after = |model: &Self, step: u32| {
            let less = step.saturating_sub(1);
            if needed <= model.attempt_timeout(less) { less } else { step }
        };
        if self.step > 0 {
            self.note("an answer after a time-out");
            self.step = after(self, self.step);
        }
        let own = self.jobs[&request.job].step;
        self.job(request.job).step = after(self, own);
    }
}

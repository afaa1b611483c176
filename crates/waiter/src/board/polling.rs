//! When a job is polled, and when a wait's time is up. The arithmetic of deadlines is here and nowhere
//! else, so that "never later than the deadline" follows from one place.

use std::hint::black_box;
use std::iter::{once, successors};
use std::time::Duration;

use super::entities::{AbortReason, Job, Request, Wait};
use super::time::Time;
use super::{Action, Board, RequestId, jitter};
use crate::ErrorClass;
use crate::schedule::mul_f64_saturating;
use crate::util::slab::NONE;
use crate::util::timer_queue::Timer;

/// How many nanoseconds before its deadline a wait polls for the last time, unless a quarter of its time is shorter.
const LAST_POLL: u64 = 1_000_000_000;
/// The rest after the first transient failure in a row, and the longest one.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(15);
/// So many jobs are looked at together before they are woken, at the most.
const PREFETCH: usize = 16;

/// What the deadlines of the waits on a job ask for together.
struct Limits {
    /// The earliest last poll still to be made.
    last: Time,
    first_deadline: Time,
}

impl Board {
    /// Wakes what is to be woken by now: waits whose time is up end, due jobs queue for a poll.
    pub(crate) fn handle_time(&mut self, now: Time) {
        let now = self.tick(now);
        while let Some(timer) = self.timers.pop_due(now) {
            if self.prefetched == 0 {
                self.prefetch(timer);
            }
            self.prefetched -= 1;
            self.wake_job(timer);
        }
        while let Some(timer) = self.expiries.pop_due(now) {
            let request = self.requests.get(timer.slot);
            if request.is_some_and(|request| {
                request.generation == timer.generation && request.wake == timer.at
            }) {
                self.wake_request(timer.slot);
            }
        }
    }

    /// Reads a little of all that polling the next jobs is going to read. Among a million jobs each first read is a
    /// cache miss, and the processor can wait for many of them at once, but only if they do not depend on
    /// each other's work.
    fn prefetch(&mut self, timer: Timer) {
        let mut slots = [NONE; PREFETCH];
        for (slot, next) in slots.iter_mut().zip(once(&timer).chain(self.timers.upcoming())) {
            *slot = next.slot;
            self.prefetched += 1;
        }
        let jobs = || slots.iter().filter_map(|&slot| self.jobs.get(slot));
        let mut waits = [NONE; PREFETCH];
        for (wait, job) in waits.iter_mut().zip(jobs()) {
            *wait = job.waits;
        }
        for wait in waits {
            black_box(self.waits.get(wait).map(|wait| wait.deadline));
        }
        for job in jobs() {
            black_box(job.id.touch());
        }
    }

    /// What the driver is to do next, if anything.
    pub(crate) fn poll_action(&mut self, now: Time) -> Option<Action> {
        let now = self.tick(now);
        if let Some(waker) = self.wakes.pop() {
            return Some(Action::Wake(waker));
        }
        if let Some(deferred) = self.deferred.pop() {
            return Some(Action::Drop(deferred));
        }
        while let Some((request, why)) = self.aborts.pop() {
            if why == AbortReason::TimedOut || self.abandon(request) {
                return Some(Action::Abort(request));
            }
        }
        // A source that answers at once and never lets up would put this off for ever.
        if self.pending_timers.len() > 2 * self.jobs.len() + 64 {
            self.time_pending();
        }
        if self.may_send() && self.throttle.free_at() <= now {
            while let Some((rank, slot)) = self.ready.pop() {
                if self.jobs.get(slot).is_some_and(|job| job.is_ready && job.rank() == rank) {
                    return Some(self.send(slot));
                }
            }
        }
        self.needs_wake = false;
        self.time_pending();
        None
    }

    /// When to call `handle_time` and `poll_action` again, if nothing happens before.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        let send = (!self.ready.is_empty() && self.may_send()).then(|| self.throttle.free_at());
        [self.timers.next(), self.expiries.next(), send].into_iter().flatten().min()
    }

    fn may_send(&self) -> bool {
        self.requests.len() < self.throttle.window() as usize
    }

    /// Sets when to look at a job next, after what its waits ask for may have changed.
    pub(super) fn schedule_job(&mut self, slot: u32) {
        let (due, first_deadline) = self.plan(slot);
        let job = &mut self.jobs[slot];
        job.due = due;
        let in_flight = job.request;
        if let Some(request) = self.requests.get_mut(in_flight) {
            let wake = request.expires.min(first_deadline);
            if wake < request.wake {
                self.time_request(in_flight, wake);
            }
        } else {
            job.is_ready = false;
            self.time_job(slot, due.min(first_deadline));
        }
    }

    fn time_job(&mut self, slot: u32, at: Time) {
        self.jobs[slot].wake = at;
        let jobs = &self.jobs;
        let valid = |timer: &Timer| jobs.get(timer.slot).is_some_and(|job| job.wake == timer.at);
        self.timers.push(Timer { at, slot, generation: 0 }, jobs.len(), valid);
    }

    fn time_request(&mut self, slot: u32, at: Time) {
        let request = &mut self.requests[slot];
        request.wake = at;
        let generation = request.generation;
        let requests = &self.requests;
        let valid = |timer: &Timer| {
            requests
                .get(timer.slot)
                .is_some_and(|f| f.generation == timer.generation && f.wake == timer.at)
        };
        self.expiries.push(Timer { at, slot, generation }, requests.len(), valid);
    }

    /// A job's timer rang, unless it is stale: perhaps a deadline, perhaps a poll that is due.
    fn wake_job(&mut self, Timer { at, slot, .. }: Timer) {
        let Some(job) = self.jobs.get(slot).filter(|job| job.wake == at) else { return };
        let mut limits = self.limits(job);
        if limits.first_deadline <= self.now {
            self.end_overdue(slot);
            let Some(job) = self.jobs.get(slot) else { return };
            limits = self.limits(job);
        }
        let job = &mut self.jobs[slot];
        // Since the job was armed nothing has changed but the time: its plan holds.
        if job.due > self.now {
            self.schedule_job(slot);
            return;
        }
        job.wake = Time::NEVER;
        job.is_ready = true;
        job.is_last = limits.last <= self.now;
        let rank = job.rank();
        if self.ready.len() > 2 * self.jobs.len() + 64 {
            let jobs = &self.jobs;
            self.ready.retain(|&(rank, slot)| {
                jobs.get(slot).is_some_and(|job| job.is_ready && job.rank() == rank)
            });
        }
        self.ready.push((rank, slot));
        self.pending_timers.push(slot);
    }

    /// Gives the due jobs that are held back a timer for their last poll or deadline, and the requests that
    /// were not answered at once one for their limit.
    fn time_pending(&mut self) {
        while let Some(slot) = self.pending_timers.pop() {
            let Some(job) = self.jobs.get(slot) else { continue };
            if let Some(request) = self.requests.get(job.request) {
                let wake = request.expires.min(self.limits(job).first_deadline);
                self.time_request(job.request, wake);
            } else if job.is_ready {
                let Limits { last, first_deadline } = self.limits(job);
                let last = Some(last).filter(|&last| last > self.now);
                self.time_job(slot, first_deadline.min(last.unwrap_or(Time::NEVER)));
            }
        }
    }

    /// A request's timer rang: perhaps a deadline, perhaps the attempt has taken too long.
    fn wake_request(&mut self, slot: u32) {
        let Request { job, expires, generation, .. } = self.requests[slot];
        self.end_overdue(job);
        // With its last wait gone the request is nobody's, and its abort is on the way.
        if self.jobs[job].waits == NONE {
            return;
        }
        if expires <= self.now {
            self.aborts.push((RequestId { slot, generation }, AbortReason::TimedOut));
            self.handle_expiry(slot);
        } else {
            let wake = self.limits(&self.jobs[job]).first_deadline.min(expires);
            self.time_request(slot, wake);
        }
    }

    /// Ends the waits on a job whose time is up.
    fn end_overdue(&mut self, slot: u32) {
        let mut next = self.jobs[slot].waits;
        let mut ended = false;
        while next != NONE {
            let wait = next;
            next = self.waits[wait].next_in_job;
            if self.deadline_of(&self.waits[wait]) <= self.now {
                self.end_timed_out(wait);
                ended = true;
            }
        }
        if ended {
            self.after_wait_removed(slot);
        }
    }

    /// Sends a poll.
    fn send(&mut self, slot: u32) -> Action {
        let now = self.now;
        // With the deadline of its last wait the request becomes nobody's, so this is its only own limit.
        let expires = now.after(self.budget.attempt_timeout);
        let generation = self.next_generation();
        let request = Request { job: slot, generation, sent: now, expires, wake: Time::NEVER };
        let request = self.requests.insert(request);
        self.pending_timers.push(slot);
        self.throttle.spend(now);
        self.stats.polls += 1;
        let job = &mut self.jobs[slot];
        job.request = request;
        job.is_ready = false;
        job.wake = Time::NEVER;
        job.polls = job.polls.saturating_add(1);
        Action::Poll { request: RequestId { slot: request, generation }, id: job.id.clone() }
    }

    /// Ends a request that is nobody's; false if it has ended, or someone has come for it meanwhile.
    fn abandon(&mut self, request: RequestId) -> bool {
        let Some(in_flight) =
            self.requests.get(request.slot).filter(|f| f.generation == request.generation)
        else {
            return false;
        };
        let job = in_flight.job;
        if self.jobs[job].waits != NONE {
            return false;
        }
        self.requests.remove(request.slot);
        self.forget(job);
        true
    }

    fn waits_on(&self, job: &Job) -> impl Iterator<Item = &Wait> {
        successors(self.waits.get(job.waits), |wait| self.waits.get(wait.next_in_job))
    }

    /// When a wait is told to be over, if nothing else ends it.
    fn deadline_of(&self, wait: &Wait) -> Time {
        wait.deadline.before(self.budget.resolution)
    }

    fn limits(&self, job: &Job) -> Limits {
        let mut limits = Limits { last: Time::NEVER, first_deadline: Time::NEVER };
        for wait in self.waits_on(job) {
            limits.first_deadline = limits.first_deadline.min(self.deadline_of(wait));
            limits.last = limits.last.min(wait.last_poll_owed(job).unwrap_or(Time::NEVER));
        }
        limits
    }

    /// When the waits on a job ask for its next poll, and the first of their deadlines.
    fn plan(&self, slot: u32) -> (Time, Time) {
        let job = &self.jobs[slot];
        let hash = jitter::hash_id(self.seed, job.id.as_str());
        let (mut due, mut first_deadline) = (Time::NEVER, Time::NEVER);
        for wait in self.waits_on(job) {
            first_deadline = first_deadline.min(self.deadline_of(wait));
            if let Some(last) = wait.last_poll_owed(job) {
                due = due.min(self.scheduled(slot, job, wait, hash)).min(last);
            }
        }
        if job.polls > 0 {
            due = due.max(job.ended.after(self.budget.min_interval));
        }
        (due, first_deadline)
    }

    /// When a wait's schedule asks for the next poll, at the wait's own age.
    fn scheduled(&self, slot: u32, job: &Job, wait: &Wait, hash: u64) -> Time {
        let answers = wait.answers(job);
        let base = if answers == 0 { wait.started } else { job.ended };
        let age = base.since(wait.started);
        let jitter = jitter::jitter(hash, job.polls);
        let due =
            wait.started.after(self.policies[wait.policy].schedule.next_age(age, answers, jitter));
        let Some(trouble) = self.troubles.get(&slot).filter(|_| answers > 0) else { return due };
        match trouble.error.class() {
            ErrorClass::Transient { .. } => {
                let doublings = trouble.failures.saturating_sub(1).min(10);
                let rest = FIRST_REST.saturating_mul(1 << doublings).min(LONGEST_REST);
                due.min(base.after(mul_f64_saturating(
                    rest,
                    1.0 - 0.5 * jitter::uniform(hash, job.polls, 2),
                )))
            }
            // The poll is still owed; the pause holds it back.
            ErrorClass::Throttled { .. } => base,
            ErrorClass::NotFound | ErrorClass::Fatal | ErrorClass::Refused => due,
        }
    }
}

impl Wait {
    /// When the wait polls for the last time; none if it has.
    fn last_poll_owed(&self, job: &Job) -> Option<Time> {
        let timeout = self.deadline.nanos_since(self.started);
        let last = self.deadline.before_nanos(LAST_POLL.min(timeout / 4));
        // An answer at or after this moment was the last poll, or came of one in request then (rule 5).
        (self.answers(job) == 0 || job.ended < last).then_some(last)
    }

    /// How many answers have come since the wait began.
    pub(super) fn answers(&self, job: &Job) -> u32 {
        self.polls(job).saturating_sub(u32::from(job.request != NONE))
    }

    /// How many polls were made for the wait, one in request included.
    pub(super) fn polls(&self, job: &Job) -> u32 {
        job.polls.saturating_sub(self.polls_before)
    }
}

//! When a job is polled, and when a wait's time is up. All arithmetic of deadlines is here, so that "never later than the
//! deadline" follows from one place.

use std::time::Duration;

use super::jobs::{FirstPoll, Job, Stage};
use super::requests::AbortReason;
use super::time::{Time, nanos};
use super::waits::{LastLook, Wait};
use super::{Action, Board, Role, jitter, pop};
use crate::ErrorClass;
use crate::schedule::mul_f64_saturating;
use crate::util::slab::Key;

/// The delay after the first transient failure in a row, and the longest one.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);
/// A driver that wakes later than this was suspended (rule 5).
const JUMP_NANOS: u64 = 2_000_000_000;
/// How long after a turn a driver may rest although scheduled polls become due, so that many share a turn. It is also
/// limited to a part of the minimum interval, so that no job is polled noticeably less often.
const LONGEST_REST: Duration = Duration::from_millis(5);
const RESTS_PER_INTERVAL: u32 = 100;
/// Among more than 100,000 jobs a rest is shorter by their number: what is due in 5 ms does not fit the processor's caches.
const REST_TIMES_JOBS: Duration = Duration::from_secs(500);
/// How long the last look of a wait may take whose deadline passed during a suspension.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// When the waits on a job want its next poll.
struct Plan {
    due: Time,
    /// Whether some wait has come to its last poll, and not made it.
    has_last_poll: bool,
}

impl Board {
    /// Ends the waits whose time is up, gives up requests that take too long, and queues the jobs that are due.
    pub(crate) fn handle_time(&mut self, now: Time) {
        let now = self.tick(now);
        let first = self.next_timer();
        if first > now {
            return;
        }
        let is_jump = now.nanos_since(first) > JUMP_NANOS;
        self.fire_deadlines(now, is_jump);
        while let Some((id, request)) = self.requests.pop_expired(now) {
            self.abort_timed_out(id);
            self.on_expiry(&request, is_jump);
        }
        while let Some(job) = self.agenda.pop_poll(now, &self.jobs, &self.waits) {
            self.fire_poll(job);
        }
        self.settle();
    }

    /// Returns what a driver is to do next, if anything.
    pub(crate) fn poll_action(&mut self, now: Time, role: Role) -> Option<Action> {
        let action = self.take_action(now, role);
        #[cfg(debug_assertions)]
        self.check();
        action
    }

    fn take_action(&mut self, now: Time, role: Role) -> Option<Action> {
        let now = self.tick(now);
        if let Some(waker) = pop(&mut self.outbox.wakers) {
            return Some(Action::Wake(waker));
        }
        if let Some(deferred) = pop(&mut self.outbox.deferred) {
            return Some(Action::Drop(deferred));
        }
        if role == Role::StandBy {
            return None;
        }
        while let Some((request, reason)) = self.requests.pop_abort() {
            if reason == AbortReason::TimedOut || self.cancel(request) {
                self.settle();
                return Some(Action::Abort(request));
            }
        }
        while self.may_send() && self.throttle.free_at(now) <= now {
            let Some((job, turn)) = self.pop_ready() else { break };
            // A wait that has left may have been the one that wanted this poll.
            if self.jobs[job].is_plan_stale {
                self.jobs[job].stage = Stage::Resting;
                self.schedule(job);
                continue;
            }
            self.agenda.note_turn(turn);
            return Some(self.send(job));
        }
        None
    }

    /// Returns when to call `handle_time` and `poll_action` again, if nothing happens before.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        self.next_event(Time::ZERO)
    }

    /// Returns when a driver that has done all there is to do should take its next turn: at `next_wake`, or up to
    /// `LONGEST_REST` later if that is for a scheduled poll. Deadlines, time limits of requests and polls that a budget
    /// holds back do not wait.
    pub(crate) fn next_turn(&self) -> Option<Time> {
        let jobs = u32::try_from(self.jobs.len().max(1)).unwrap_or(u32::MAX);
        let rest = LONGEST_REST.min(self.budget.min_interval / RESTS_PER_INTERVAL);
        let rest = rest.min(REST_TIMES_JOBS / jobs);
        self.next_event(self.now.after(rest))
    }

    /// Returns when the next thing happens, scheduled polls not before `earliest_poll`.
    fn next_event(&self, earliest_poll: Time) -> Option<Time> {
        let can_send = self.agenda.has_ready() && self.may_send();
        let send = if can_send { self.throttle.free_at(self.now) } else { Time::NEVER };
        let poll = self.agenda.next_poll().max(earliest_poll);
        self.next_limit().min(poll).min(send).some()
    }

    /// Returns when a wait's timer fires next. A stand-by driver wakes for these.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.agenda.next_deadline().some()
    }

    /// Returns when the first timer fires; never if there are none.
    fn next_timer(&self) -> Time {
        self.agenda.next_poll().min(self.next_limit())
    }

    /// Returns when the first timer of a wait or a request fires; never if there are none.
    fn next_limit(&self) -> Time {
        self.agenda.next_deadline().min(self.requests.next_expiry())
    }

    /// Returns whether the window has room for another request. One that has taken longer than a first attempt may no longer
    /// fills it: it must not keep a source that is being probed from the next probe for as long as attempts have grown.
    pub(super) fn may_send(&self) -> bool {
        let (all, slow) = (self.requests.len(), self.requests.slow());
        all - slow < self.throttle.window() as usize && all < self.budget.max_in_flight as usize
    }

    /// Returns whether the process was suspended until now: a timer should have fired more than `JUMP_NANOS` ago.
    pub(super) fn is_jump(&self, now: Time) -> bool {
        now.nanos_since(self.next_timer()) > JUMP_NANOS
    }

    pub(super) fn resolution_nanos(&self) -> u64 {
        nanos(self.budget.resolution)
    }

    // The timers of waits.

    /// Sets the timer of a new wait to its last poll, or to its deadline where that is all that is left.
    pub(super) fn begin_deadline(&mut self, key: Key<Wait>) {
        // A job may be added long after its watch started. A timer in the past would read as a suspension.
        let at = self.next_stage(key, Time::ZERO).max(self.now);
        self.agenda.set_deadline(key, self.waits[key].generation, at);
    }

    /// Returns when the timer of a wait fires next, of its stages from `from` on: its last poll, giving up on a source that
    /// was never reached, and its deadline.
    fn next_stage(&self, key: Key<Wait>, from: Time) -> Time {
        let wait = &self.waits[key];
        let last_poll = if wait.is_last_poll_due { Time::NEVER } else { wait.last_poll() };
        self.unreached_stage(wait, from).min(last_poll).min(self.deadline_of(key))
    }

    /// Returns when a wait ends, if nothing else ends it.
    pub(super) fn deadline_of(&self, key: Key<Wait>) -> Time {
        let look = self.waits.last_look(key);
        look.map_or(self.waits[key].deadline.before(self.budget.resolution), |look| look.until)
    }

    /// Handles the timers of waits that are due.
    pub(super) fn fire_deadlines(&mut self, until: Time, is_jump: bool) {
        if is_jump {
            self.forget_unreached();
        }
        while let Some(key) = self.agenda.pop_deadline(until, &self.waits) {
            let deadline = self.deadline_of(key);
            if deadline > until {
                if self.gives_up(key, until) {
                    self.end_unreachable(key);
                } else {
                    self.begin_next_stage(key, until);
                }
            } else if is_jump && self.waits.last_look(key).is_none() {
                self.begin_last_look(key);
            } else {
                self.end_timed_out(key);
            }
        }
    }

    /// Sets the timer of a wait to what comes next, and wants its last poll if the time for that has come.
    fn begin_next_stage(&mut self, key: Key<Wait>, until: Time) {
        let Some(wait) = self.waits.get_mut(key) else { return };
        let begins_last_poll = !wait.is_last_poll_due && wait.last_poll() <= until;
        wait.is_last_poll_due |= begins_last_poll;
        let (generation, job) = (wait.generation, wait.job);
        let at = self.next_stage(key, until.after_nanos(1));
        self.agenda.set_deadline(key, generation, at);
        if let Some(job) = job.filter(|_| begins_last_poll) {
            self.want_last_poll(job);
        }
    }

    /// The deadline passed while the process was suspended, or before the wait was resumed: one more poll tells how the job is now.
    pub(super) fn begin_last_look(&mut self, key: Key<Wait>) {
        let until = self.now.after(LAST_LOOK.min(self.budget.attempt_timeouts.first().fetch));
        self.waits.set_last_look(key, LastLook { since: self.now, until });
        let wait = &self.waits[key];
        self.agenda.set_deadline(key, wait.generation, until);
        if let Some(job) = wait.job {
            self.want_last_poll(job);
        }
    }

    fn want_last_poll(&mut self, key: Key<Job>) {
        let job = &mut self.jobs[key];
        if job.has_last_poll && !job.is_plan_stale && !job.is_in_flight() {
            // It is due as soon as may be for another wait, and asking all of a crowd once for each takes long.
            return;
        }
        job.has_last_poll = true;
        if !job.is_in_flight() {
            self.schedule(key);
        }
    }

    // The polls of jobs.

    /// Sets when a job is polled next, from what its waits want. It has no request in flight.
    pub(super) fn schedule(&mut self, key: Key<Job>) {
        let plan = self.plan(key);
        self.note_first_poll(key);
        let job = &mut self.jobs[key];
        job.has_last_poll = plan.has_last_poll;
        job.is_plan_stale = false;
        if plan.due > self.now {
            self.agenda.rest(job, key, plan.due);
            return;
        }
        // A ready job keeps its place, unless it becomes the last poll of a wait.
        let is_kept = match job.stage {
            Stage::Ready { is_last, .. } => is_last == plan.has_last_poll,
            Stage::Resting | Stage::InFlight(_) => false,
        };
        if !is_kept {
            self.make_ready(key, plan.due, plan.has_last_poll);
        }
    }

    /// Takes what a new wait wants into the plan of its job.
    pub(super) fn join_plan(&mut self, key: Key<Job>, wait: Key<Wait>) {
        let job = &self.jobs[key];
        if job.stage != Stage::Resting {
            // The request in flight, or the poll that is due, serves it as well.
            self.leave_worth_order(key);
            return;
        }
        let due = self.scheduled(key, job, (wait, &self.waits[wait]), self.jobs.hash(job));
        let due = due.max(self.earliest_poll(job));
        if due < job.due {
            self.note_first_poll(key);
            self.rest_until(key, due);
        }
    }

    /// Notes how the first poll of a job is planned, for the account of learned schedules.
    fn note_first_poll(&mut self, key: Key<Job>) {
        if self.learning.is_idle() {
            return;
        }
        let job = &mut self.jobs[key];
        if job.status.is_none() {
            let is_proven = self.throttle.is_proven(self.now);
            let planned = if is_proven { FirstPoll::AsPlanned } else { FirstPoll::Early };
            let is_same = job.first_poll == FirstPoll::Unplanned || job.first_poll == planned;
            job.first_poll = if is_same { planned } else { FirstPoll::Unknown };
        }
    }

    fn rest_until(&mut self, key: Key<Job>, due: Time) {
        if due > self.now {
            self.agenda.rest(&mut self.jobs[key], key, due);
        } else {
            self.make_ready(key, due, false);
        }
    }

    pub(super) fn make_ready(&mut self, key: Key<Job>, due: Time, is_last: bool) {
        let standing = self.standing(key);
        self.agenda.make_ready((&mut self.jobs[key], key), due, is_last, standing);
    }

    /// A job's timer fired: it is due, unless the wait that wanted this poll has left.
    fn fire_poll(&mut self, key: Key<Job>) {
        let job = &mut self.jobs[key];
        if job.is_plan_stale {
            self.schedule(key);
            return;
        }
        let (due, is_last) = (job.due, job.has_last_poll);
        self.make_ready(key, due, is_last);
    }

    /// Sends a poll.
    fn send(&mut self, key: Key<Job>) -> Action {
        let now = self.now;
        let step = self.attempt_step(key);
        let timeout = self.budget.attempt_timeouts.get(step);
        // With the deadline of its last wait the request is dropped, so this is its only limit here. The source gets the
        // smaller of both (rule 5).
        let expires = now.after(timeout.fetch);
        let first = self.budget.attempt_timeouts.first();
        let slow = if timeout.request > first.request { now.after(first.request) } else { expires };
        let timeout = self.time_left(&self.jobs[key], timeout.request).min(timeout.request);
        let generation = self.agenda.next_generation();
        let request = self.requests.insert(key, (now, slow, expires), (step, timeout), generation);
        self.throttle.spend(now);
        self.stats.polls += 1;
        let job = &mut self.jobs[key];
        job.stage = Stage::InFlight(request.key);
        job.is_due_now = false;
        job.polls = job.polls.saturating_add(1);
        let id = job.id.clone();
        Action::Poll { request, id, timeout }
    }

    /// Returns how long it is until the last wait on a job ends. Looks no further than for a wait with enough time.
    fn time_left(&self, job: &Job, enough: Duration) -> Duration {
        let mut time_left = Duration::ZERO;
        for (wait_key, wait) in self.waits.on(job) {
            let look = self.waits.last_look(wait_key);
            let deadline = look.map_or(wait.deadline, |look| look.until);
            time_left = time_left.max(deadline.since(self.now));
            if time_left >= enough {
                break;
            }
        }
        time_left
    }

    /// Returns the earliest time of a job's next poll, as far as the minimum interval goes.
    fn earliest_poll(&self, job: &Job) -> Time {
        let was_polled = job.polls > 0 || job.last_answer > Time::ZERO;
        if was_polled { job.last_answer.after(self.budget.min_interval) } else { Time::ZERO }
    }

    fn plan(&self, key: Key<Job>) -> Plan {
        let job = &self.jobs[key];
        let hash = self.jobs.hash(job);
        let mut plan = Plan { due: Time::NEVER, has_last_poll: false };
        for (wait_key, wait) in self.waits.on(job) {
            let is_last_look = self.waits.last_look(wait_key).is_some();
            if !is_last_look && !wait.wants_poll(job) {
                continue;
            }
            plan.due = plan.due.min(self.scheduled(key, job, (wait_key, wait), hash));
            if wait.is_last_poll_due || is_last_look {
                plan.has_last_poll = true;
                plan.due = plan.due.min(wait.last_poll());
            }
            // Waits come youngest first. Of those with one schedule the youngest wants the next poll first, once it has
            // had an answer: no need to ask four thousand others.
            let is_youngest_decisive = wait.has_older()
                && !job.has_mixed_plans
                && !job.has_last_poll
                && wait.answers(job) > 0
                && self.waits.policy(wait).schedule.never_shortens();
            if is_youngest_decisive {
                break;
            }
        }
        if job.is_due_now {
            plan.due = Time::ZERO;
        }
        if plan.due != Time::NEVER {
            plan.due = plan.due.max(self.earliest_poll(job));
        }
        plan
    }

    /// Returns when a wait's schedule asks for the next poll, at the age of the job as the wait knows it.
    fn scheduled(
        &self,
        key: Key<Job>,
        job: &Job,
        (wait_key, wait): (Key<Wait>, &Wait),
        hash: u64,
    ) -> Time {
        let answers = wait.answers(job);
        let policy = self.waits.policy(wait);
        let is_resumed = self.waits.resumed(wait_key).is_some();
        if answers == 0 && (policy.first_poll_at_once || is_resumed) {
            return wait.started;
        }
        let head_start = self.waits.head_start(wait_key);
        let base = if answers == 0 { wait.started } else { job.last_answer };
        let age = base.nanos_since(wait.started).saturating_add(head_start.age);
        // A first poll at once comes before the first delay.
        let delays = answers - u32::from(policy.first_poll_at_once || is_resumed);
        let plan = policy.schedule.plan();
        if let Some(due) = plan.and_then(|plan| self.planned_poll(plan, key, base, hash)) {
            return due.max(wait.started);
        }
        let jitter = jitter::jitter(hash, job.polls);
        let delay = policy.schedule.next_delay(age, delays, head_start.delays, jitter);
        let due = base.max(wait.started).after_nanos(delay);
        let Some(failing) = self.jobs.failure(key).filter(|_| answers > 0) else { return due };
        match failing.error.class() {
            ErrorClass::Transient { .. }
            | ErrorClass::Unreached
            | ErrorClass::Unexpected { .. } => {
                let doublings = failing.failures.saturating_sub(1).min(10);
                let backoff = FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
                let factor = 1.0 - 0.5 * jitter::uniform(hash, job.polls, 2);
                due.min(base.after(mul_f64_saturating(backoff, factor)))
            }
            // The poll is still wanted; the pause holds it back.
            ErrorClass::Throttled { .. } => base,
            ErrorClass::NotFound | ErrorClass::Fatal | ErrorClass::Refused => due,
        }
    }
}

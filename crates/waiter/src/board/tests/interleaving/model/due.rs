//! Rules 3 to 5, naively: when each wait wants its next poll, and whose turn it is.

use std::time::Duration;

use super::super::super::properties::id;
use super::super::super::world::*;
use super::budget::{Holds, SEED};
use super::{Model, ModelRequest, ModelWait, ROUNDING};
use crate::board::{Time, jitter};
use crate::{ErrorClass, Learned, Schedule};

/// What a schedule stands for.
#[derive(Clone, Debug)]
pub(in super::super) enum Spec {
    /// First delay, factor and longest delay.
    Exponential(Duration, f64, Duration),
    Delays(Vec<Duration>),
    Learned(Learned),
}

impl Spec {
    pub(in super::super) fn schedule(&self) -> Schedule {
        match self {
            Self::Exponential(first, factor, max) => Schedule::exponential(*first, *factor, *max),
            Self::Delays(delays) => Schedule::delays(delays.iter().copied()),
            Self::Learned(settings) => Schedule::learned(settings.clone()),
        }
        .expect("it is sound")
    }

    /// Returns the shortest and the longest delay at an age of the job, after `n` delays of the wait. `draw` is in [0, 1).
    fn delay(&self, age: Duration, since: Duration, n: u32, draw: f64) -> (Duration, Duration) {
        let delay = match self {
            Self::Exponential(first, factor, max) => {
                first.saturating_add(age.mul_f64(factor - 1.0)).min(*max)
            }
            Self::Delays(delays) => {
                let mut end = Duration::ZERO;
                let passed = delays.iter().take_while(|delay| {
                    end += **delay;
                    end <= since
                });
                delays[(passed.count() + n as usize).min(delays.len() - 1)]
            }
            // A plan may want the poll at any time: the tests of plans say when.
            Self::Learned(settings) => {
                let longest = settings.get_max_interval().max(secs(15));
                return (Duration::ZERO, longest);
            }
        };
        let part = if n == 0 { 0.5 } else { 0.2 };
        let delay = delay.mul_f64(1.0 - part * draw);
        (delay, delay)
    }
}

impl<R: Copy + Ord + std::fmt::Debug> Model<R> {
    fn spec(&self, wait: &ModelWait) -> &Spec {
        let is_it = |spec: &&Spec| spec.schedule() == wait.policy.schedule;
        self.specs.iter().find(is_it).expect("all schedules are made of one")
    }

    fn is_learned(&self, job: usize) -> bool {
        let is_learned = |&wait: &usize| matches!(self.spec(&self.waits[wait]), Spec::Learned(_));
        self.live_on(job).iter().any(is_learned)
    }

    /// Returns how many answers have come since a wait began.
    fn answers(&self, wait: &ModelWait) -> u32 {
        wait.polls - u32::from(self.is_in_flight(wait.job))
    }

    /// Returns whether a wait makes no further poll: one was answered at or after the time for its last one.
    fn is_done(&self, wait: &ModelWait) -> bool {
        let last_answer = self.jobs[&wait.job].last_answer.unwrap_or(Time::ZERO);
        wait.look.is_none() && self.answers(wait) > 0 && last_answer >= wait.last_poll()
    }

    /// Returns the earliest and the latest time at which a wait may want its next poll.
    fn wanted(&self, wait: &ModelWait) -> (Time, Time) {
        if self.is_done(wait) {
            return (Time::NEVER, Time::NEVER);
        }
        let (job, policy, answers) = (&self.jobs[&wait.job], &wait.policy, self.answers(wait));
        let is_last = wait.look.is_some() || wait.is_last_poll_due;
        let limit = if is_last { wait.last_poll() } else { Time::NEVER };
        let is_at_once = policy.first_poll_at_once || wait.resumed.is_some();
        // A plan goes on from the last poll, whatever wait that was for.
        let goes_on = matches!(self.spec(wait), Spec::Learned(_))
            && (job.status.is_some() && job.polls > 0 && job.failing.is_none());
        let starts_anew = answers == 0 && (is_at_once || !goes_on);
        let base = if starts_anew { wait.started } else { job.last_answer.unwrap_or(Time::ZERO) };
        if answers == 0 && is_at_once {
            return (base.min(limit), base.min(limit));
        }
        let hash = jitter::hash_id(SEED, &id(wait.job));
        let draw = jitter::jitter(hash, job.polls);
        let age = wait.since.saturating_add(base.since(wait.started));
        let delays = answers - u32::from(is_at_once);
        let (shortest, longest) = self.spec(wait).delay(age, wait.since, delays, draw);
        let base = base.max(wait.started);
        let (mut earliest, mut latest) = (base.after(shortest), base.after(longest));
        match job.failing.filter(|_| answers > 0) {
            Some(ErrorClass::Throttled { .. }) => (earliest, latest) = (base, base),
            Some(class) if class.is_transient() => {
                let backoff = secs(1 << job.failures.saturating_sub(1).min(10)).min(secs(15));
                let draw = jitter::uniform(hash, job.polls, 2);
                let retry = base.after(backoff.mul_f64(1.0 - 0.5 * draw));
                (earliest, latest) = (earliest.min(retry), latest.min(retry));
            }
            Some(_) | None => {}
        }
        (earliest.min(limit), latest.min(limit))
    }

    /// Returns the earliest and the latest time at which a job may be due, budgets aside.
    pub(in super::super) fn due(&self, job: usize) -> (Time, Time) {
        let (mut earliest, mut latest) = (Time::NEVER, Time::NEVER);
        for wait in self.live_on(job) {
            let wanted = self.wanted(&self.waits[wait]);
            (earliest, latest) = (earliest.min(wanted.0), latest.min(wanted.1));
        }
        let known = &self.jobs[&job];
        if known.is_due_now {
            (earliest, latest) = (Time::ZERO, Time::ZERO);
        }
        let remembered = self.forgotten.get(&job).copied();
        let last = known.last_answer.or(remembered).or((known.polls > 0).then_some(Time::ZERO));
        let soonest = last.map_or(Time::ZERO, |last| last.after(self.budget.min_interval));
        let not_before = |due: Time| if due == Time::NEVER { due } else { due.max(soonest) };
        (not_before(earliest), not_before(latest))
    }

    /// Returns whether a job's next poll is the last one of a wait.
    pub(in super::super) fn is_last_poll(&self, job: usize) -> bool {
        self.live_on(job).into_iter().any(|wait| {
            let wait = &self.waits[wait];
            wait.look.is_some() || wait.is_last_poll_due && !self.is_done(wait)
        })
    }

    /// Whether a job is due, and timers were looked at since.
    fn is_surely_due(&self, job: usize) -> bool {
        let (_, latest) = self.due(job);
        !self.is_in_flight(job)
            && !self.live_on(job).is_empty()
            && latest.after(ROUNDING) <= self.rung
    }

    /// Returns whether the window had room for a request at this time. One that takes longer than a first attempt may does
    /// not fill it.
    pub(super) fn has_room(&self, now: Time) -> bool {
        let first = self.attempt_timeout(0);
        let is_quick = |known: &&ModelRequest| known.step == 0 || now.since(known.sent) < first;
        let quick = self.in_flight.values().filter(is_quick).count();
        quick < self.limits.window as usize
            && self.in_flight.len() < self.budget.max_in_flight as usize
    }

    pub(super) fn holds(&self, job: usize) -> Holds {
        let is_window_full = !self.has_room(self.now) && !self.has_room(self.rung);
        self.limits.holds(self.now, self.is_surely_due(job), is_window_full)
    }

    pub(super) fn expires(&self, request: &ModelRequest) -> Time {
        request.sent.after(self.fetch_timeout(request.step))
    }

    /// Checks that it is a job's turn: last polls come first, but not twice in a row before others, and then those that have
    /// been due for longest. Jobs with plans may change places among themselves.
    pub(super) fn check_turn(&mut self, polled: usize) {
        let is_last = self.is_last_poll(polled);
        let others: Vec<usize> = self
            .jobs
            .keys()
            .copied()
            .filter(|&job| job != polled && self.is_surely_due(job))
            .collect();
        let (earliest, _) = self.due(polled);
        let overtakes = is_last && others.iter().any(|&job| !self.is_last_poll(job));
        for job in others {
            let is_other_last = self.is_last_poll(job);
            // A job keeps its place where that is not what its waits would ask for now.
            let is_plain = |job: usize| {
                let (due, known) = (self.due(job).0, &self.jobs[&job]);
                !self.is_learned(job)
                    && known.changed <= due
                    && known.left.is_none_or(|left| left < due)
            };
            if is_other_last == is_last {
                let (_, latest) = self.due(job);
                let is_before = latest.after(ROUNDING) < earliest;
                assert!(
                    !is_before || !is_plain(job) || !is_plain(polled),
                    "{job} was due before {polled}"
                );
            } else if is_last {
                assert!(!self.has_overtaken, "rule 5: two last polls in a row, and {job} is due");
            } else {
                assert!(self.was_last, "rule 5: the last poll of {job} comes before {polled}");
            }
        }
        (self.was_last, self.has_overtaken) = (is_last, overtakes);
    }

    /// Returns whether a job that is due may give its turn to another one whose poll is worth more: all its waits have
    /// schedules that learn, none wants this poll at once, and it has not gone unpolled for its longest interval.
    pub(in super::super) fn may_be_overtaken(&self, job: usize) -> bool {
        let known = &self.jobs[&job];
        let waits: Vec<_> = self.live_on(job).into_iter().map(|wait| &self.waits[wait]).collect();
        let wants_now = |wait: &&ModelWait| {
            wait.polls == 0 && (wait.policy.first_poll_at_once || wait.resumed.is_some())
        };
        if known.is_due_now || waits.iter().any(wants_now) {
            return false;
        }
        let first = waits.iter().map(|wait| wait.started).min();
        let was_polled = waits.iter().any(|wait| wait.polls > 0);
        let since = known.last_answer.filter(|_| was_polled).or(first).unwrap_or(Time::ZERO);
        let gone = self.now.since(since);
        waits.iter().all(|wait| {
            let settings = wait.policy.schedule.settings();
            settings.is_some_and(|settings| gone < settings.get_max_interval())
        })
    }

    /// Checks that a driver that has nothing to do has left nothing undone.
    pub(in super::super) fn check_all_sent(&self) {
        if !self.has_room(self.rung) || self.limits.free_at(self.now) > self.now {
            return;
        }
        for &job in self.jobs.keys() {
            assert!(
                !self.is_surely_due(job),
                "job {job} is due since {:?}: {self:?}",
                self.due(job)
            );
        }
    }

    /// Checks that the driver comes back in time for all that is to happen.
    pub(in super::super) fn check_wake(&self, wake: Time) {
        let free = self.limits.free_at(self.now);
        let resting = self.jobs.keys().filter(|&&job| !self.is_in_flight(job));
        // While the window is full the next answer wakes the driver.
        for &job in resting.filter(|_| self.has_room(self.rung)) {
            let (_, latest) = self.due(job);
            let due = latest.after(ROUNDING).max(free);
            assert!(wake <= due, "{wake:?} is too late for job {job}, to be polled at {due:?}");
        }
        for request in self.in_flight.values() {
            assert!(wake <= self.expires(request), "{wake:?} is too late for {request:?}");
        }
        for wait in self.waits.iter().filter(|wait| wait.is_live()) {
            let end = wait.ends_at(self.budget.resolution).max(wait.added);
            assert!(wake <= end, "{wake:?} is too late for {wait:?}");
            let last_poll = wait.last_poll().max(wait.added);
            let is_noted = wait.is_last_poll_due || wait.look.is_some();
            assert!(is_noted || wake <= last_poll, "{wake:?} is too late for {wait:?}");
        }
    }

    /// Checks when the board means to poll a job.
    pub(in super::super) fn check_due(&self, job: usize, due: Time) {
        let (earliest, latest) = self.due(job);
        let is_right = earliest.before(ROUNDING) <= due && due <= latest.after(ROUNDING);
        // What is due is due, whatever for.
        let is_due = latest.max(due) <= self.now;
        assert!(is_right || is_due, "job {job} is due at {due:?}, not {earliest:?} to {latest:?}");
    }
}

//! A naive reference of the core, written from the rules of waiting: what is due when, what may be sent, what each wait
//! hears and how it ends.
//!
//! It shares types with the board and no code. All is kept in plain lists and computed anew by linear scans whenever it is
//! asked for. Its inputs are those of the board, with two exceptions: the draws of jitter, which are an input as time is,
//! and choices that the rules leave open, such as which waits a stop in slices ends first. Those are read from the board.

mod budget;
mod due;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::budget::{Holds, ModelBudget};
pub(super) use self::due::Spec;
use super::super::world::*;
use crate::board::{Budget, Time, WaitOptions};
use crate::options::Resumed;
use crate::policy::UnknownStatus;
use crate::{ErrorClass, JobState, Phase, Policy, Progress, Stats, WaitErrorKind};

/// The kind of an end; none for success.
pub(super) type End = Option<WaitErrorKind>;

#[derive(Clone, Debug)]
pub(super) struct ModelWait {
    pub(super) watch: usize,
    pub(super) job: usize,
    added: Time,
    pub(super) started: Time,
    pub(super) deadline: Time,
    policy: Arc<Policy>,
    since: Duration,
    /// What the wait knew when it began, if it resumes another one.
    pub(super) resumed: Option<Arc<Resumed>>,
    /// Requests sent for it, one in flight included.
    pub(super) polls: u32,
    not_found: u32,
    not_found_since: Time,
    in_a_row: u32,
    in_total: u32,
    unexpected: u32,
    unexpected_since: Time,
    /// How long the poll in flight had been unanswered when its deadline came.
    pub(super) unanswered: Option<Duration>,
    /// What held back its job's poll when its deadline came.
    pub(super) holds: Option<Holds>,
    /// Whether its job's answers have turned bad, and its consumer has not heard of that.
    trouble: bool,
    /// Since when, and until when, it makes its last look.
    look: Option<(Time, Time)>,
    is_last_poll_due: bool,
    /// When and how it ended, and the status that it ended with.
    pub(super) end: Option<(Time, End, Option<String>)>,
    pub(super) heard: Option<String>,
    pub(super) heard_detail: Option<String>,
    pub(super) is_heard: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ModelJob {
    /// How many requests were ever sent for it.
    polls: u32,
    pub(super) status: Option<String>,
    pub(super) detail: Option<String>,
    last_answer: Option<Time>,
    failing: Option<ErrorClass>,
    failures: u32,
    /// How often its attempts timed out, less the answers since.
    step: u32,
    is_due_now: bool,
    /// When waits or handles last changed what is wanted of it.
    changed: Time,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ModelRequest {
    pub(super) job: usize,
    pub(super) sent: Time,
    pub(super) step: u32,
    /// How long the source was given.
    timeout: Duration,
}

#[derive(Debug)]
pub(super) struct Model<R> {
    budget: Budget,
    pub(super) now: Time,
    pub(super) waits: Vec<ModelWait>,
    pub(super) jobs: BTreeMap<usize, ModelJob>,
    pub(super) in_flight: BTreeMap<R, ModelRequest>,
    /// Requests that were given up and whose abort the driver has not heard of.
    pub(super) expired: Vec<R>,
    pub(super) stats: Stats,
    pub(super) ended: BTreeMap<usize, Progress>,
    pub(super) paths: BTreeMap<&'static str, u32>,
    /// When jobs that are forgotten were last polled.
    forgotten: BTreeMap<usize, Time>,
    /// The delays that the schedules of policies stand for.
    specs: Vec<Spec>,
    pub(super) limits: ModelBudget,
    /// When timers were last looked at.
    rung: Time,
    /// Whether the last poll that was sent was the last one of a wait, and whether it went before one that was due.
    was_last: bool,
    has_overtaken: bool,
    is_reached: bool,
    /// When the last attempt failed without an answer, of those that count.
    unreached: Option<Time>,
    /// Attempts sent before do not count.
    counts_since: Time,
    /// Waits that have come to their limits before any attempt failed.
    overdue: BTreeSet<usize>,
    /// The same as that of a job, for all.
    step: u32,
}

impl ModelWait {
    pub(super) fn is_live(&self) -> bool {
        self.end.is_none()
    }

    fn last_poll(&self) -> Time {
        let timeout = self.deadline.since(self.started);
        self.deadline.before(secs(1).min(timeout / 4))
    }

    fn ends_at(&self, resolution: Duration) -> Time {
        self.look.map_or(self.deadline.before(resolution), |(_, until)| until)
    }
}

impl<R: Copy + Ord + std::fmt::Debug> Model<R> {
    pub(super) fn new(budget: Budget, specs: Vec<Spec>) -> Self {
        Self {
            budget,
            specs,
            limits: ModelBudget::new(budget),
            rung: Time::ZERO,
            was_last: false,
            has_overtaken: false,
            now: Time::ZERO,
            waits: Vec::new(),
            jobs: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            expired: Vec::new(),
            stats: Stats::default(),
            ended: BTreeMap::new(),
            paths: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            is_reached: false,
            unreached: None,
            counts_since: Time::ZERO,
            overdue: BTreeSet::new(),
            step: 0,
        }
    }

    pub(super) fn note(&mut self, path: &'static str) {
        *self.paths.entry(path).or_default() += 1;
    }

    pub(super) fn live_on(&self, job: usize) -> Vec<usize> {
        let is_live = |&at: &usize| self.waits[at].job == job && self.waits[at].is_live();
        (0..self.waits.len()).filter(is_live).collect()
    }

    pub(super) fn is_in_flight(&self, job: usize) -> bool {
        self.in_flight.values().any(|request| request.job == job)
    }

    pub(super) fn is_watched(&self, watch: usize, job: usize) -> bool {
        self.live_on(job).iter().any(|&wait| self.waits[wait].watch == watch)
    }

    pub(super) fn join(
        &mut self,
        watch: usize,
        job: usize,
        options: &WaitOptions,
        time: (Time, Time),
    ) {
        let in_flight = self.is_in_flight(job);
        if self.live_on(job).is_empty() && in_flight {
            self.note("a request is taken over");
        }
        let now = self.now;
        let known = self.jobs.entry(job).or_default();
        known.changed = now;
        let known = known.clone();
        if known.status.is_some() {
            self.note("a late joiner");
        }
        let (started, deadline) = time;
        self.waits.push(ModelWait {
            watch,
            job,
            added: self.now,
            started,
            deadline,
            policy: Arc::clone(&options.policy),
            since: options.since,
            resumed: options.resumed.clone(),
            polls: u32::from(in_flight),
            not_found: 0,
            not_found_since: Time::ZERO,
            in_a_row: 0,
            in_total: 0,
            unexpected: 0,
            unexpected_since: Time::ZERO,
            unanswered: None,
            holds: None,
            trouble: known.failing.is_some(),
            look: None,
            is_last_poll_due: false,
            end: None,
            heard: options
                .resumed
                .as_ref()
                .and_then(|known| known.status.as_ref())
                .map(|known| known.1.to_string()),
            heard_detail: None,
            is_heard: false,
        });
        if options.resumed.is_some() {
            self.note("a wait that resumes another one");
        }
        if deadline.before(self.budget.resolution) <= self.now {
            let wait = self.waits.len() - 1;
            if options.resumed.is_some() {
                self.begin_look(wait);
                self.note("a last look of a wait that resumes too late");
            } else {
                self.end(wait, Some(WaitErrorKind::TimedOut));
                // It asked for no poll.
                self.waits[wait].holds = None;
            }
        }
    }

    fn begin_look(&mut self, wait: usize) {
        let most = secs(2).min(self.fetch_timeout(0));
        self.waits[wait].look = Some((self.now, self.now.after(most)));
    }

    pub(super) fn end(&mut self, wait: usize, kind: End) {
        let status = self.jobs.get(&self.waits[wait].job).and_then(|job| job.status.clone());
        let earlier = self.waits[wait].resumed.as_ref().and_then(|known| known.status.as_ref());
        let status = status.or_else(|| earlier.map(|(_, status)| status.to_string()));
        self.end_with(wait, kind, status);
    }

    fn end_with(&mut self, wait: usize, kind: End, status: Option<String>) {
        assert!(self.waits[wait].is_live());
        if self.waits[wait].look.is_some() && kind.is_none() {
            self.note("a last look sees the end");
        }
        if kind == Some(WaitErrorKind::TimedOut) {
            let job = self.waits[wait].job;
            let request = self.in_flight.values().find(|request| request.job == job);
            let (now, started) = (self.now, self.waits[wait].started);
            let unanswered = request.map(|request| now.since(request.sent.max(started)));
            self.waits[wait].holds = Some(self.holds(job));
            self.waits[wait].unanswered = unanswered;
            if unanswered.is_some() {
                self.note("a deadline with a poll in flight");
            }
        }
        self.waits[wait].end = Some((self.now, kind, status));
        let job = self.waits[wait].job;
        self.touch(job);
        self.stats.count_end(kind);
        let ended = self.ended.entry(self.waits[wait].watch).or_default();
        ended.waiting += 1;
        ended.count_end(false, kind);
    }

    /// Records that what is wanted of a job has changed.
    pub(super) fn touch(&mut self, job: usize) {
        let now = self.now;
        self.job(job).changed = now;
    }

    /// Forgets jobs without waits and requests.
    pub(super) fn settle(&mut self) {
        let kept: Vec<usize> = self.jobs.keys().copied().collect();
        for job in kept {
            if self.live_on(job).is_empty() && !self.is_in_flight(job) {
                self.forget(job);
            }
        }
        // Whose turn it was means nothing to waits that begin after all others have ended.
        self.has_overtaken &= self.waits.iter().any(ModelWait::is_live);
    }

    fn forget(&mut self, job: usize) {
        let known = self.jobs.remove(&job).expect("it is known");
        // Of one whose requests were all revoked nothing is known but that it was polled.
        let remembered = self.forgotten.get(&job).copied().unwrap_or(Time::ZERO);
        let last = known.last_answer.or((known.polls > 0).then_some(remembered));
        self.forgotten.extend(last.map(|last| (job, last)));
    }

    fn ring(&mut self, until: Time, is_jump: bool) {
        if is_jump && !self.is_reached {
            (self.unreached, self.counts_since) = (None, self.now);
        }
        for at in 0..self.waits.len() {
            let wait = &mut self.waits[at];
            if !wait.is_live() {
                continue;
            }
            if wait.ends_at(self.budget.resolution) <= until {
                if is_jump && wait.look.is_none() {
                    self.begin_look(at);
                    self.note("a last look after a jump");
                } else {
                    self.end(at, Some(WaitErrorKind::TimedOut));
                }
            } else if self.gives_up(at, until) {
                self.end(at, Some(WaitErrorKind::Unreachable));
            } else if self.waits[at].last_poll().max(self.waits[at].added) <= until {
                self.waits[at].is_last_poll_due = true;
            }
        }
    }

    fn gives_up(&mut self, at: usize, until: Time) -> bool {
        let wait = &self.waits[at];
        let Some(limit) = wait.policy.give_up_unreached else { return false };
        if self.is_reached
            || wait.look.is_some()
            || wait.started.after(limit).max(wait.added) > until
        {
            return false;
        }
        let has_failed = self.unreached.is_some_and(|failed| failed >= wait.started);
        if !has_failed {
            self.overdue.insert(at);
            self.note("a limit before any failure");
        }
        has_failed
    }

    pub(super) fn time(&mut self, is_jump: bool) {
        let now = self.now;
        self.ring(now, is_jump);
        // Waits end before polls become due.
        self.rung = now;
        let expired: Vec<R> = self
            .in_flight
            .iter()
            .filter(|(_, request)| self.expires(request) <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            let request = self.in_flight.remove(&id).expect("it was just listed");
            self.expired.push(id);
            if is_jump {
                self.note("a request is lost in a jump");
                self.job(request.job).is_due_now = true;
            } else {
                self.note("a request takes too long");
                self.stats.timed_out += 1;
                self.lengthen(request);
                self.error(request, ErrorClass::Unreached);
                self.respond(request);
            }
        }
        self.settle();
    }

    fn job(&mut self, job: usize) -> &mut ModelJob {
        self.jobs.get_mut(&job).expect("a job with a request is known")
    }

    /// Takes an answer; none of a request that is not in flight any more.
    pub(super) fn answer(
        &mut self,
        id: R,
        is_jump: bool,
        answer: Option<Result<&JobState, ErrorClass>>,
    ) {
        let until = self.now.before(self.budget.resolution).before(Duration::from_nanos(1));
        self.ring(until, is_jump);
        let cut_short = answer.and_then(Result::err).filter(|_| !is_jump && self.is_cut_short(id));
        if cut_short.is_some_and(may_be_for_want_of_time) {
            self.note("a request is cut short");
            self.ring(self.now, is_jump);
        }
        if let Some(request) = self.in_flight.remove(&id) {
            match answer {
                Some(Err(class)) if cut_short.is_some() && may_be_for_want_of_time(class) => {
                    self.is_reached |= class != ErrorClass::Unreached;
                    self.stats.transient += 1;
                    self.limits.bad(self.now, request.sent, None);
                    self.fail(request.job, class);
                    self.job(request.job).is_due_now = true;
                }
                Some(Ok(state)) => {
                    self.stats.answers += 1;
                    self.is_reached = true;
                    self.limits.good(self.now, request.sent);
                    self.shorten(request);
                    let job = self.job(request.job);
                    (job.failing, job.failures) = (None, 0);
                    self.observe(request.job, state);
                }
                Some(Err(class)) => {
                    let took = self.now.since(request.sent);
                    let may_be_cut =
                        matches!(class, ErrorClass::Transient { .. } | ErrorClass::Unreached);
                    if may_be_cut && !is_jump && took >= self.attempt_timeout(request.step) {
                        self.note("a source gives a request up");
                        self.lengthen(request);
                    }
                    self.error(request, class);
                }
                None => {
                    self.stats.panicked += 1;
                    self.limits.bad(self.now, request.sent, None);
                    self.end_all(request.job, WaitErrorKind::Panicked);
                }
            }
            self.respond(request);
        } else {
            self.note("a stale answer");
        }
        self.settle();
    }

    /// Whether the deadline that a request was sent with has passed, and another wait goes on.
    fn is_cut_short(&self, id: R) -> bool {
        let Some(request) = self.in_flight.get(&id) else { return false };
        let ends_at = |&wait: &usize| self.waits[wait].ends_at(self.budget.resolution);
        request.timeout < self.attempt_timeout(request.step)
            && self.now.since(request.sent) >= request.timeout
            && self.live_on(request.job).iter().any(|wait| ends_at(wait) > self.now)
    }

    pub(super) fn observe(&mut self, job: usize, state: &JobState) {
        let status = Some(state.status.to_string());
        let is_terminal = state.phase.is_terminal();
        if !is_terminal {
            self.job(job).status = status.clone();
            self.job(job).detail = state.detail.as_deref().map(str::to_owned);
        }
        for wait in self.live_on(job) {
            let model = &mut self.waits[wait];
            (model.not_found, model.in_a_row, model.unexpected) = (0, 0, 0);
            let fails = model.policy.unknown == UnknownStatus::Fail;
            let kind = match state.phase {
                Phase::Succeeded => None,
                Phase::Failed => Some(WaitErrorKind::Failed),
                Phase::Unknown if fails => Some(WaitErrorKind::UnknownStatus),
                Phase::Unknown | Phase::Running => continue,
            };
            self.end_with(wait, kind, status.clone());
        }
        if is_terminal {
            let known = self.job(job);
            (known.status, known.detail) = (None, None);
            (known.failing, known.failures) = (None, 0);
        }
    }

    fn error(&mut self, request: ModelRequest, class: ErrorClass) {
        let ModelRequest { job, sent, .. } = request;
        let now = self.now;
        if class != ErrorClass::Unreached {
            self.is_reached = true;
        } else if !self.is_reached && sent < self.counts_since {
            self.note("a failure from before a jump");
        } else if !self.is_reached {
            self.unreached = Some(now);
            for wait in std::mem::take(&mut self.overdue) {
                if self.waits[wait].is_live() && self.gives_up(wait, now) {
                    self.end(wait, Some(WaitErrorKind::Unreachable));
                }
            }
        }
        match class {
            ErrorClass::Transient { retry_after } => {
                self.stats.transient += 1;
                self.limits.bad(now, sent, retry_after);
                self.fail(job, class);
            }
            ErrorClass::Unexpected { can_pass: false } if self.stats.answers == 0 => {
                self.note("an unexpected answer before any state");
                self.stats.fatal += 1;
                self.end_all(job, WaitErrorKind::Fatal);
            }
            ErrorClass::Unreached | ErrorClass::Unexpected { .. } => {
                self.stats.transient += 1;
                self.limits.bad(now, sent, None);
                self.fail(job, class);
            }
            ErrorClass::Throttled { retry_after, quota } => {
                self.stats.throttled += 1;
                self.limits.refused(now, sent, retry_after, quota);
                self.fail(job, class);
            }
            ErrorClass::NotFound => {
                self.stats.not_found += 1;
                self.limits.good(now, sent);
                self.shorten(request);
                self.fail(job, class);
            }
            ErrorClass::Fatal => {
                self.stats.fatal += 1;
                self.end_all(job, WaitErrorKind::Fatal);
            }
            ErrorClass::Refused => {
                self.stats.refused += 1;
                let known: Vec<usize> = self.jobs.keys().copied().collect();
                known.into_iter().for_each(|job| self.end_all(job, WaitErrorKind::Refused));
            }
        }
        for at in self.live_on(job) {
            let wait = &mut self.waits[at];
            if class.is_not_found() {
                if wait.not_found == 0 {
                    wait.not_found_since = now;
                }
                (wait.not_found, wait.in_a_row, wait.unexpected) = (wait.not_found + 1, 0, 0);
                let span = now.since(wait.not_found_since);
                if wait.not_found >= 3 && span >= wait.policy.not_found_grace {
                    self.end(at, Some(WaitErrorKind::Lost));
                }
            } else if class.is_transient() {
                (wait.in_a_row, wait.in_total) = (wait.in_a_row + 1, wait.in_total + 1);
                if matches!(class, ErrorClass::Unexpected { .. }) {
                    if wait.unexpected == 0 {
                        wait.unexpected_since = now;
                    }
                    wait.unexpected += 1;
                    if wait.unexpected >= 3 && now.since(wait.unexpected_since) >= secs(10) {
                        self.note("three unexpected answers");
                        self.end(at, Some(WaitErrorKind::Fatal));
                        continue;
                    }
                }
                let policy = &wait.policy;
                if wait.in_a_row >= policy.in_a_row || wait.in_total >= policy.in_total {
                    self.end(at, Some(WaitErrorKind::TooManyFailures));
                }
            }
        }
    }

    /// Returns what a live wait knew when it began, how many polls it had, and when it began.
    pub(super) fn known(
        &self,
        watch: usize,
        job: usize,
        is_pending: bool,
    ) -> Option<(Option<Arc<Resumed>>, u32, Time)> {
        let mut waits = self.live_on(job).into_iter().map(|wait| &self.waits[wait]);
        let wait = waits.find(|wait| wait.watch == watch).filter(|_| !is_pending)?;
        Some((wait.resumed.clone(), wait.polls, wait.started))
    }

    /// Returns whether a job that is due may give its turn to another one whose poll is worth more: all its waits have
    /// schedules that learn, none wants this poll at once, and it has not gone unpolled for its longest interval.
    pub(super) fn may_be_overtaken(&self, job: usize) -> bool {
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

    /// Returns how long an attempt may take when its timeout was doubled this often.
    pub(super) fn attempt_timeout(&self, step: u32) -> Duration {
        (self.budget.attempt_timeouts.first().request * (1 << step)).min(secs(60))
    }

    fn fetch_timeout(&self, step: u32) -> Duration {
        let first = self.budget.attempt_timeouts.first();
        self.attempt_timeout(step).mul_f64(first.fetch.div_duration_f64(first.request))
    }

    /// The most steps that make a difference.
    fn last_step(&self) -> u32 {
        (0..).find(|&step| self.attempt_timeout(step) == secs(60)).expect("it doubles")
    }

    fn lengthen(&mut self, request: ModelRequest) {
        let longer = (request.step + 1).min(self.last_step());
        self.job(request.job).step = longer;
        if self.step == request.step {
            self.step = longer;
        }
    }

    fn shorten(&mut self, request: ModelRequest) {
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

    fn end_all(&mut self, job: usize, kind: WaitErrorKind) {
        self.live_on(job).into_iter().for_each(|wait| self.end(wait, Some(kind)));
    }

    /// The end of an answer, whatever it said.
    fn respond(&mut self, request: ModelRequest) {
        let now = self.now;
        self.job(request.job).last_answer = Some(now);
        for wait in self.live_on(request.job) {
            if self.waits[wait].look.is_some_and(|(since, _)| request.sent >= since) {
                self.end(wait, Some(WaitErrorKind::TimedOut));
            }
        }
    }

    /// Records a bad answer for a job. Its waits hear of the first one, and of one of another class.
    fn fail(&mut self, job: usize, class: ErrorClass) {
        let known = self.job(job);
        let is_alike = |before: ErrorClass| class_number(before) == class_number(class);
        let is_new = !known.failing.is_some_and(is_alike);
        known.failing = Some(class);
        if class.is_transient() {
            known.failures += 1;
        } else if class.is_not_found() {
            known.failures = 0;
        }
        for wait in self.live_on(job) {
            self.waits[wait].trouble |= is_new;
        }
    }

    /// Returns the class of the trouble that the consumer of a wait must hear of.
    pub(super) fn trouble(&self, wait: &ModelWait) -> Option<ErrorClass> {
        self.jobs.get(&wait.job)?.failing.filter(|_| wait.is_live() && wait.trouble)
    }

    pub(super) fn hear_trouble(&mut self, watch: usize, job: usize, class: ErrorClass) {
        let is_it =
            |wait: &&mut ModelWait| wait.watch == watch && wait.job == job && wait.end.is_none();
        let failing = self.jobs[&job].failing.expect("there is trouble");
        assert_eq!(class_number(class), class_number(failing), "{class} is not the news");
        let wait = self.waits.iter_mut().find(is_it).expect("there is a wait");
        assert!(std::mem::take(&mut wait.trouble), "trouble is told again: {wait:?}");
    }

    pub(super) fn forget_requests(&mut self) {
        for request in std::mem::take(&mut self.in_flight).into_values() {
            self.note("a request is revoked");
            let now = self.now;
            let known = self.job(request.job);
            (known.is_due_now, known.changed) = (true, now);
        }
        self.expired.clear();
        self.settle();
    }

    pub(super) fn poke(&mut self, job: usize) {
        if let Some(known) = self.jobs.get_mut(&job) {
            (known.is_due_now, known.changed) = (true, self.now);
        }
    }

    /// Checks that a poll may be sent now, and records it.
    pub(super) fn send(&mut self, id: R, job: usize, timeout: Duration) {
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
    pub(super) fn abort(&mut self, id: R) {
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

    pub(super) fn progress(&self, watch: usize, pending: usize) -> Progress {
        let mut progress = self.ended.get(&watch).copied().unwrap_or_default();
        progress.waiting += pending;
        for wait in self.waits.iter().filter(|wait| wait.watch == watch && wait.is_live()) {
            match self.jobs[&wait.job].status {
                Some(_) => progress.running += 1,
                None => progress.waiting += 1,
            }
        }
        progress
    }

    /// Checks that a jump is a jump, and that what should have rung long ago is one.
    pub(super) fn check_jump(&self, now: Time, is_jump: bool, last_turn: Time) {
        let late = |wait: &ModelWait| {
            let ends_at = wait.ends_at(self.budget.resolution);
            let last_poll = wait.last_poll();
            let is_last = wait.is_last_poll_due || wait.look.is_some();
            let next = if is_last { ends_at } else { ends_at.min(last_poll) };
            wait.is_live() && now.since(next.max(wait.added)) > secs(2)
        };
        if is_jump {
            assert!(now.since(last_turn) > secs(2), "no jump since {last_turn:?}");
        } else {
            assert!(!self.waits.iter().any(late), "a jump that is none at {now:?}");
            let overdue = |request: &ModelRequest| now.since(self.expires(request)) > secs(2);
            assert!(!self.in_flight.values().any(overdue), "a request is overdue at {now:?}");
        }
    }
}

/// The board rounds in other places.
const ROUNDING: Duration = Duration::from_millis(1);

fn class_number(class: ErrorClass) -> usize {
    match class {
        ErrorClass::Transient { .. } => 0,
        ErrorClass::Unreached => 1,
        ErrorClass::Unexpected { .. } => 2,
        ErrorClass::Throttled { .. } => 3,
        ErrorClass::NotFound => 4,
        ErrorClass::Fatal => 5,
        ErrorClass::Refused => 6,
    }
}

fn may_be_for_want_of_time(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::TRANSIENT | ErrorClass::Unreached)
}

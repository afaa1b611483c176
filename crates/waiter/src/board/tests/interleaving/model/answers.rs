//! What an answer, or none, means for the waits of its job and for all others.

use std::time::Duration;

use super::super::super::world::*;
use super::{Model, ModelRequest, ModelWait};
use crate::policy::UnknownStatus;
use crate::{ErrorClass, JobState, Phase, WaitErrorKind};

impl<R: Copy + Ord + std::fmt::Debug> Model<R> {
    /// Takes an answer; none of a request that is not in flight any more.
    pub(in super::super) fn answer(
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

    pub(in super::super) fn observe(&mut self, job: usize, state: &JobState) {
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

    pub(super) fn error(&mut self, request: ModelRequest, class: ErrorClass) {
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
                let named = self.limits.named_again;
                self.limits.refused(now, sent, retry_after, quota);
                if self.limits.named_again > named {
                    self.note("a quota that is named again");
                }
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

    /// The end of an answer, whatever it said.
    pub(super) fn respond(&mut self, request: ModelRequest) {
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
    pub(in super::super) fn trouble(&self, wait: &ModelWait) -> Option<ErrorClass> {
        self.jobs.get(&wait.job)?.failing.filter(|_| wait.is_live() && wait.trouble)
    }

    pub(in super::super) fn hear_trouble(&mut self, watch: usize, job: usize, class: ErrorClass) {
        let is_it =
            |wait: &&mut ModelWait| wait.watch == watch && wait.job == job && wait.end.is_none();
        let failing = self.jobs[&job].failing.expect("there is trouble");
        assert_eq!(class_number(class), class_number(failing), "{class} is not the news");
        let wait = self.waits.iter_mut().find(is_it).expect("there is a wait");
        assert!(std::mem::take(&mut wait.trouble), "trouble is told again: {wait:?}");
    }
}

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

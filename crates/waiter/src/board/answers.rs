//! What an answer means: the one `match` on it, and the verdicts that follow for each wait.

use std::time::Duration;

use super::jobs::{Change, Job, Stage};
use super::requests::Request;
use super::throttle::HeldBackBy;
use super::time::Time;
use super::waits::Wait;
use super::{Answer, Board, LogEventKind, RequestId};
use crate::policy::UnknownStatus;
use crate::report::ErrorContext;
use crate::util::human::Human;
use crate::util::slab::Key;
use crate::{
    ErrorClass, JobReport, JobState, Outcome, Phase, SourceError, WaitError, WaitErrorKind,
    WaitingOn,
};

/// The fewest not-found answers in a row that make a job lost (rule 7).
const NOT_FOUND_TO_LOSE: u32 = 3;
/// How many unexpected answers in a row, over at least how long, are taken as final (rule 6).
const UNEXPECTED_TO_END: u32 = 3;
const UNEXPECTED_SPAN: Duration = Duration::from_secs(10);

impl Board {
    /// Takes the answer to a request. Answers to requests no longer in flight are ignored. The driver lends the answer, and
    /// drops it outside the lock.
    pub(crate) fn handle_answer(&mut self, now: Time, request: RequestId, answer: &Answer) {
        let is_jump = self.is_jump(now);
        let now = self.tick(now);
        // An answer counts up to the deadline itself, though the wait would have ended a little earlier.
        self.fire_deadlines(now.before_nanos(self.resolution_nanos() + 1), is_jump);
        let is_cut_short = !is_jump && self.is_cut_short(request, answer);
        if is_cut_short {
            // The waits whose deadline it was end while it counts as unanswered.
            self.fire_deadlines(now, is_jump);
        }
        if let Some(request) = self.requests.remove(request) {
            let key = request.job;
            self.jobs[key].stage = Stage::Resting;
            match answer {
                Answer::Received(Ok(state)) => self.on_state(key, request.sent, state),
                Answer::Received(Err(error)) if is_cut_short => {
                    self.on_cut_short(key, request.sent, error.clone());
                }
                Answer::Received(Err(error)) => {
                    if !is_jump && self.has_timed_out(&request, error.class()) {
                        self.lengthen_attempts(key, request.step);
                    }
                    self.on_error(key, request.sent, error.clone());
                }
                Answer::Panicked(message) => {
                    self.stats.panicked += 1;
                    self.throttle.failed(now, request.sent, None);
                    let context =
                        ErrorContext { limit: Some(message.clone()), ..ErrorContext::default() };
                    self.end_waits(key, WaitErrorKind::Panicked, &context);
                }
            }
            self.after_response(key, request.sent);
        }
        self.settle();
    }

    /// Gives up a request that has taken too long: a transient failure, unless the process was suspended meanwhile.
    pub(super) fn on_expiry(&mut self, request: &Request, is_jump: bool) {
        let (key, sent) = (request.job, request.sent);
        self.jobs[key].stage = Stage::Resting;
        if is_jump {
            // Says nothing of the service, so the poll is still due.
            self.jobs[key].is_due_now = true;
            self.plan_next(key);
            return;
        }
        self.stats.timed_out += 1;
        let limit = self.budget.attempt_timeouts.get(request.step).fetch;
        self.lengthen_attempts(key, request.step);
        let cause = format!("no answer within {:#}", Human(limit));
        self.on_error(key, sent, SourceError::new(ErrorClass::Unreached, cause));
        self.after_response(key, sent);
    }

    /// Returns whether a source gave a request up at the deadline of waits that have gone, and others have come meanwhile.
    fn is_cut_short(&self, request: RequestId, answer: &Answer) -> bool {
        let Answer::Received(Err(error)) = answer else { return false };
        let Some(request) = self.requests.get(request) else { return false };
        let is_failure = matches!(error.class(), ErrorClass::TRANSIENT | ErrorClass::Unreached);
        is_failure
            && request.timeout < self.budget.attempt_timeouts.get(request.step).request
            && self.now.since(request.sent) >= request.timeout
            && self.waits_on(request.job).into_iter().any(|wait| self.deadline_of(wait) > self.now)
    }

    /// Records a failure for want of time that other waits had left. It ends no wait that came later, and the poll is still
    /// due.
    fn on_cut_short(&mut self, key: Key<Job>, sent: Time, error: SourceError) {
        if error.class() != ErrorClass::Unreached {
            self.record_reached();
        }
        self.stats.transient += 1;
        self.throttle.failed(self.now, sent, None);
        self.record_failure(key, error);
        self.jobs[key].is_due_now = true;
    }

    /// Returns whether a source that limits its requests itself gave this one up.
    fn has_timed_out(&self, request: &Request, class: ErrorClass) -> bool {
        let limit = self.budget.attempt_timeouts.get(request.step).request;
        matches!(class, ErrorClass::Transient { .. } | ErrorClass::Unreached)
            && self.now.since(request.sent) >= limit
    }

    /// Records when the answer came, ends the waits whose last look this was, and plans the next poll.
    fn after_response(&mut self, key: Key<Job>, sent: Time) {
        self.jobs[key].last_answer = self.now;
        if self.waits.has_last_looks() {
            for wait in self.waits_on(key) {
                if self.waits.last_look(wait).is_some_and(|look| sent >= look.since) {
                    self.end_timed_out(wait);
                }
            }
        }
        self.plan_next(key);
    }

    fn plan_next(&mut self, key: Key<Job>) {
        if self.jobs[key].first_wait.is_some() {
            self.schedule(key);
        } else {
            self.touched.push(key);
        }
    }

    fn on_state(&mut self, key: Key<Job>, sent: Time, state: &JobState) {
        self.stats.answers += 1;
        self.throttle.good(self.now, sent);
        self.has_warned = false;
        self.learning.note_latency(self.now.since(sent));
        if state.phase.is_terminal() {
            self.learn_end(key, state, false);
        }
        self.record_reached();
        self.shorten_attempts(key, sent);
        self.jobs.clear_failure(key, &mut self.outbox.deferred);
        if self.waits.has_failures() {
            self.waits.end_rows(&self.jobs[key]);
        }
        // Before the state is recorded, so that a report says when it was observed.
        self.jobs[key].last_answer = self.now;
        self.observe(key, state, None);
    }

    /// Records a state of a job, and what follows from it for the waits. `reported` is set for one from outside.
    pub(super) fn observe(&mut self, key: Key<Job>, state: &JobState, reported: Option<Time>) {
        if state.phase.is_terminal() {
            self.log_change(key, state);
            self.end_with_job(key, state);
            // A wait that takes over the request in flight starts afresh (rule 3).
            self.jobs.forget_state(key, &mut self.outbox.deferred);
            return;
        }
        let had_status = self.jobs[key].status.is_some();
        if self.is_logging() {
            self.log_change(key, state);
        }
        let (change, has_other_detail) = self.jobs.record_state(key, state, reported);
        if change == Change::Status {
            for wait in self.waits_on(key) {
                let Wait { watch, last_reported, .. } = self.waits[wait];
                if !had_status {
                    self.waits.progress_mut(watch).move_to_running();
                }
                // A wait that resumes another one may have reported this status before, without the detail.
                let is_same = self.jobs.reads_the_same(last_reported, self.jobs[key].status);
                if !is_same || has_other_detail {
                    self.outbox.wakers.extend(self.waits.mark_ready(wait));
                }
            }
        }
        if has_other_detail && change != Change::Status {
            for wait in self.waits_on(key) {
                self.outbox.wakers.extend(self.waits.mark_ready(wait));
            }
        }
        if state.phase == Phase::Unknown {
            for wait in self.waits_on(key) {
                if self.waits.policy(&self.waits[wait]).unknown == UnknownStatus::Fail {
                    self.end_with_error(
                        wait,
                        WaitErrorKind::UnknownStatus,
                        ErrorContext::default(),
                    );
                }
            }
        }
    }

    fn log_change(&mut self, key: Key<Job>, state: &JobState) {
        if !self.is_logging() {
            return;
        }
        let from = self.jobs.text(self.jobs[key].status);
        if from.as_deref() != Some(&*state.status) {
            self.log(key, LogEventKind::Changed { from, to: state.status.clone() });
        }
    }

    /// Ends all waits on a job that has ended.
    fn end_with_job(&mut self, key: Key<Job>, state: &JobState) {
        if let Some(lag) = state.detection_lag() {
            self.stats.lags += 1;
            self.stats.lag_total = self.stats.lag_total.saturating_add(lag);
            self.stats.lag_max = self.stats.lag_max.max(lag);
        }
        for wait in self.waits_on(key) {
            let report = self.report_with(wait, key, Some(state.clone()));
            let outcome = if state.phase == Phase::Succeeded {
                Ok(report)
            } else {
                let context = ErrorContext { age: Some(Duration::ZERO), ..ErrorContext::default() };
                Err(WaitError::with_context(WaitErrorKind::Failed, report, context))
            };
            self.end(wait, outcome);
        }
    }

    fn on_error(&mut self, key: Key<Job>, sent: Time, error: SourceError) {
        let now = self.now;
        let class = error.class();
        if class != ErrorClass::Unreached {
            self.record_reached();
        }
        match class {
            ErrorClass::Transient { retry_after } => {
                self.stats.transient += 1;
                self.throttle.failed(now, sent, retry_after);
                self.record_failure(key, error);
                self.end_failing(key);
            }
            ErrorClass::Unreached => {
                self.stats.transient += 1;
                self.throttle.failed(now, sent, None);
                self.record_unreached(sent, &error);
                self.record_failure(key, error);
                self.end_failing(key);
            }
            ErrorClass::Unexpected { can_pass } if can_pass || self.has_told() => {
                self.stats.transient += 1;
                self.throttle.failed(now, sent, None);
                self.record_failure(key, error);
                self.end_unexpected(key);
                self.end_failing(key);
            }
            ErrorClass::Throttled { retry_after, quota } => {
                self.stats.throttled += 1;
                self.throttle.throttled(now, sent, retry_after, quota);
                self.record_failure(key, error);
            }
            ErrorClass::NotFound => {
                self.stats.not_found += 1;
                // The service works, and says what it knows.
                self.throttle.good(now, sent);
                self.shorten_attempts(key, sent);
                self.record_failure(key, error);
                self.end_lost(key);
            }
            ErrorClass::Fatal | ErrorClass::Unexpected { .. } => {
                self.stats.fatal += 1;
                let context = ErrorContext { cause: Some(error), ..ErrorContext::default() };
                self.end_waits(key, WaitErrorKind::Fatal, &context);
            }
            ErrorClass::Refused => {
                self.stats.refused += 1;
                let context = ErrorContext { cause: Some(error), ..ErrorContext::default() };
                for job in self.jobs.keys() {
                    self.end_waits(job, WaitErrorKind::Refused, &context);
                }
            }
        }
    }

    /// Returns whether the source has ever told the state of a job.
    fn has_told(&self) -> bool {
        self.stats.answers > 0
    }

    /// Records a bad answer for a job, and reports it to its waits if it is new.
    fn record_failure(&mut self, key: Key<Job>, error: SourceError) {
        let class = error.class();
        let logged = self.is_logging().then(|| error.clone());
        if !self.jobs.record_failure(key, error, &mut self.outbox.deferred) {
            return;
        }
        // A job that the service does not know is no trouble of the service.
        let is_outage = !class.is_not_found() && !std::mem::replace(&mut self.has_warned, true);
        if let Some(error) = logged {
            self.log(key, LogEventKind::Trouble { error, is_outage });
        }
        for wait in self.waits_on(key) {
            if let Some(wait) = self.waits.get_mut(wait) {
                wait.reports_failure = true;
            }
            self.outbox.wakers.extend(self.waits.mark_ready(wait));
        }
    }

    /// Ends the waits whose policy allows no further failure (rule 6).
    fn end_failing(&mut self, key: Key<Job>) {
        let job = &self.jobs[key];
        let first = job.first_wait.map(|wait| self.waits.policy(&self.waits[wait]));
        if !job.has_mixed_plans && first.is_none_or(|policy| !policy.limits_failures()) {
            return;
        }
        for wait in self.waits_on(key) {
            let policy = self.waits.policy(&self.waits[wait]);
            if !policy.limits_failures() {
                continue;
            }
            let (in_a_row, in_total) = (policy.in_a_row, policy.in_total);
            let failures = self.waits.failures_mut(wait);
            failures.in_a_row = failures.in_a_row.saturating_add(1);
            failures.in_total = failures.in_total.saturating_add(1);
            let limit = if failures.in_a_row >= in_a_row {
                format!("limit {in_a_row} failures in a row")
            } else if failures.in_total >= in_total {
                format!("limit {in_total} failures in total")
            } else {
                continue;
            };
            self.end_with_limit(wait, WaitErrorKind::TooManyFailures, limit);
        }
    }

    /// Counts an unexpected answer, and ends the waits that have had too many (rule 6).
    fn end_unexpected(&mut self, key: Key<Job>) {
        let now = self.now;
        for wait in self.waits_on(key) {
            let failures = self.waits.failures_mut(wait);
            if failures.unexpected == 0 {
                failures.unexpected_since = now;
            }
            failures.unexpected = failures.unexpected.saturating_add(1);
            let (row, span) = (failures.unexpected, now.since(failures.unexpected_since));
            if row >= UNEXPECTED_TO_END && span >= UNEXPECTED_SPAN {
                let span = Human(span);
                let limit = format!("{row} unexpected answers in a row over {span}");
                self.end_with_limit(wait, WaitErrorKind::Fatal, limit);
            }
        }
    }

    /// Counts a not-found answer, and ends the waits for which the job is lost by now (rule 7).
    fn end_lost(&mut self, key: Key<Job>) {
        for wait in self.waits_on(key) {
            let grace = self.waits.policy(&self.waits[wait]).not_found_grace;
            let now = self.now;
            let failures = self.waits.failures_mut(wait);
            if failures.not_found == 0 {
                failures.not_found_since = now;
            }
            (failures.in_a_row, failures.unexpected) = (0, 0);
            failures.not_found = failures.not_found.saturating_add(1);
            let (row, span) = (failures.not_found, now.since(failures.not_found_since));
            if row >= NOT_FOUND_TO_LOSE && span >= grace {
                let (span, grace) = (Human(span), Human(grace));
                let limit = format!("{row} answers in a row over {span}, grace {grace:#}");
                self.end_with_limit(wait, WaitErrorKind::Lost, limit);
            }
        }
    }

    /// Ends a wait whose time is up.
    pub(super) fn end_timed_out(&mut self, wait: Key<Wait>) {
        let timeout = self.waits.limit(wait);
        let context = ErrorContext {
            limit: Some(format!("deadline {:#}", Human(timeout))),
            cause: self.cause(wait),
            waiting_on: self.waiting_on(wait),
            ..ErrorContext::default()
        };
        self.end_with_error(wait, WaitErrorKind::TimedOut, context);
    }

    /// Returns what a wait hangs on now: the answer to a poll, or what holds back one that is due.
    fn waiting_on(&self, key: Key<Wait>) -> Option<WaitingOn> {
        let wait = &self.waits[key];
        let job = &self.jobs[wait.job?];
        let since = |time: Time| self.now.since(time.max(wait.started));
        match job.stage {
            Stage::InFlight(request) => Some(WaitingOn::Answer(since(self.requests[request].sent))),
            Stage::Ready { .. } => {
                let held_back = since(job.due);
                match self.throttle.holds_back(self.now) {
                    Some(HeldBackBy::Service) => Some(WaitingOn::Throttling(held_back)),
                    Some(HeldBackBy::SetRate) => Some(WaitingOn::Rate(held_back)),
                    None if self.may_send() => None,
                    None => Some(WaitingOn::InFlight(held_back)),
                }
            }
            Stage::Resting => None,
        }
    }

    pub(super) fn end_removed(&mut self, wait: Key<Wait>) {
        let context = ErrorContext { cause: self.cause(wait), ..ErrorContext::default() };
        self.end_with_error(wait, WaitErrorKind::Removed, context);
    }

    pub(super) fn end_stopped(&mut self, wait: Key<Wait>, why: &str) {
        self.end_with_limit(wait, WaitErrorKind::Stopped, why.to_owned());
    }

    fn end_with_limit(&mut self, wait: Key<Wait>, kind: WaitErrorKind, limit: String) {
        let cause = self.cause(wait);
        let context = ErrorContext { limit: Some(limit), cause, ..ErrorContext::default() };
        self.end_with_error(wait, kind, context);
    }

    /// Ends all waits on a job without success.
    fn end_waits(&mut self, key: Key<Job>, kind: WaitErrorKind, context: &ErrorContext) {
        for wait in self.waits_on(key) {
            self.end_with_error(wait, kind, context.clone());
        }
    }

    pub(super) fn end_with_error(
        &mut self,
        wait: Key<Wait>,
        kind: WaitErrorKind,
        mut context: ErrorContext,
    ) {
        let Some(job) = self.waits[wait].job else { return };
        self.learn_unfinished(wait);
        context.age = self.jobs.age(job, self.now);
        let error = WaitError::with_context(kind, self.report(wait, job), context);
        self.end(wait, Err(error));
    }

    /// Ends a wait. Its job is settled at the end of the event.
    fn end(&mut self, wait: Key<Wait>, outcome: Outcome) {
        let Some(job) = self.waits[wait].job else { return };
        let kind = outcome.as_ref().err().map(WaitError::kind);
        self.stats.count_end(kind);
        let had_status = self.jobs[job].status.is_some();
        self.waits.progress_mut(self.waits[wait].watch).count_end(had_status, kind);
        self.leave_job(wait);
        self.waits.set_outcome(wait, outcome);
        self.outbox.wakers.extend(self.waits.mark_ready(wait));
    }

    /// Returns the waits on a job, the newest first. A list, because what is done with them changes the links.
    pub(super) fn waits_on(&self, key: Key<Job>) -> Vec<Key<Wait>> {
        self.waits.on(&self.jobs[key]).map(|(wait, _)| wait).collect()
    }

    /// Returns the error of the last answer for a wait's job, if that was bad.
    pub(super) fn cause(&self, wait: Key<Wait>) -> Option<SourceError> {
        self.waits[wait].job.and_then(|job| self.jobs.cause(job))
    }

    /// Returns a report on a job for one of its waits: the last known state, polls and time.
    pub(super) fn report(&self, wait: Key<Wait>, key: Key<Job>) -> JobReport {
        // Before the first answer, a wait that resumes another one knows what that one knew.
        let known = || self.waits.resumed(wait).and_then(|known| known.status.clone());
        let state = self
            .jobs
            .state(key)
            .or_else(|| known().map(|(phase, status)| JobState::new(phase, status)));
        self.report_with(wait, key, state)
    }

    fn report_with(&self, key: Key<Wait>, job: Key<Job>, state: Option<JobState>) -> JobReport {
        let (job, wait) = (&self.jobs[job], &self.waits[key]);
        let before = self.waits.resumed(key).map_or(0, |known| known.polls);
        let polls = wait.polls(job).saturating_add(before);
        JobReport { id: job.id.clone(), state, polls, elapsed: self.waits.elapsed(key, self.now) }
    }
}

//! What an answer means: the one `match` on it, and the verdicts that follow for each wait.

use std::borrow::Cow;

use std::time::Duration;

use super::entities::{JobDetails, PackedTime, Trouble};
use super::time::Time;
use super::{Answer, Board, Deferred, RequestId};
use crate::policy::UnknownStatus;
use crate::report::ErrorContext;
use crate::util::slab::NONE;
use crate::{
    ErrorClass, JobId, JobReport, JobState, Outcome, Phase, Policy, SourceError, WaitError,
    WaitErrorKind,
};

/// So many not-found answers in a row, at the least, make a job lost (rule 7).
const NOT_FOUND_TO_LOSE: u32 = 3;

/// Something worth a line in a log.
#[derive(Debug)]
pub(crate) enum LogEvent {
    /// The status of a job changed.
    Changed { id: JobId, from: Option<Cow<'static, str>>, to: Cow<'static, str> },
    /// The answers for a job turned bad; `first` if the whole source was well before.
    Trouble { id: JobId, error: SourceError, first: bool },
}

impl Board {
    /// Asks for log_events from now on, or for none.
    pub(crate) fn take_log_events(&mut self, wanted: bool) -> Vec<LogEvent> {
        let log_events = self.log_events.take().unwrap_or_default();
        self.log_events = wanted.then(Vec::new);
        log_events
    }

    /// What came of a request. One that is not in request any more is no news: its time was up, or nobody
    /// waited for it. The driver lends the answer, and drops it outside the lock.
    pub(crate) fn handle_answer(&mut self, now: Time, request: RequestId, answer: &Answer) {
        let now = self.tick(now);
        let Some(sent_request) =
            self.requests.get(request.slot).filter(|f| f.generation == request.generation)
        else {
            return;
        };
        let (slot, sent) = (sent_request.job, sent_request.sent);
        self.requests.remove(request.slot);
        self.jobs[slot].request = NONE;
        match answer {
            Answer::Told(Ok(state)) => self.on_state(slot, sent, state),
            Answer::Told(Err(error)) => self.on_error(slot, sent, error.clone()),
            Answer::Panicked(text) => {
                self.stats.panicked += 1;
                self.throttle.failed(now, sent, None);
                let context = ErrorContext { seen: None, limit: Some(text.clone()), cause: None };
                self.end_job(slot, WaitErrorKind::Panicked, &context);
            }
        }
        self.after_response(slot);
    }

    /// The attempt on a job has taken too long: a transient failure.
    pub(super) fn handle_expiry(&mut self, request: u32) {
        let Some(request) = self.requests.remove(request) else { return };
        self.jobs[request.job].request = NONE;
        self.stats.timed_out += 1;
        let cause = format!("no answer within {:?}", self.budget.attempt_timeout);
        self.on_error(request.job, request.sent, SourceError::new(ErrorClass::TRANSIENT, cause));
        self.after_response(request.job);
    }

    /// After an answer: when it came, and what that means for the next poll.
    fn after_response(&mut self, slot: u32) {
        if let Some(job) = self.jobs.get_mut(slot) {
            job.ended = self.now;
            self.after_wait_removed(slot);
        }
    }

    fn on_state(&mut self, slot: u32, sent: Time, state: &JobState) {
        self.stats.answers += 1;
        self.throttle.good(self.now, sent);
        self.in_trouble = false;
        self.end_trouble(slot);
        let changed = !self.statuses.is(self.jobs[slot].status, state);
        if changed && self.log_events.is_some() {
            let job = &self.jobs[slot];
            let (id, from) = (job.id.clone(), self.statuses.text(job.status));
            let note = LogEvent::Changed { id, from, to: state.status.clone() };
            self.log_events.get_or_insert_default().push(note);
        }
        if state.phase.is_terminal() {
            self.ended(slot, state);
            return;
        }
        let job = &mut self.jobs[slot];
        job.ended = self.now;
        if job.has_times || state.begin.is_some() || state.answered.is_some() {
            job.has_times = true;
            self.cold[slot].begin = PackedTime::of(state.begin);
            self.cold[slot].answered = PackedTime::of(state.answered);
        }
        if state.end.is_some() || state.detail.is_some() {
            self.details.insert(slot, JobDetails { end: state.end, detail: state.detail.clone() });
        } else if !self.details.is_empty() {
            self.details.remove(&slot);
        }
        if changed {
            self.changed(slot, state);
        }
        if state.phase == Phase::Unknown {
            let context = ErrorContext { seen: Some(Duration::ZERO), limit: None, cause: None };
            self.end_if(slot, WaitErrorKind::UnknownStatus, |board, wait| {
                let fails = board.policy_of(wait).unknown == UnknownStatus::Fail;
                fails.then(|| context.clone())
            });
        }
    }

    /// The job has a new status, and has not ended.
    fn changed(&mut self, slot: u32, state: &JobState) {
        let status = self.statuses.acquire(state);
        let before = std::mem::replace(&mut self.jobs[slot].status, status);
        self.statuses.release(before);
        let mut next = self.jobs[slot].waits;
        while next != NONE {
            let wait = next;
            next = self.waits[wait].next_in_job;
            if before == NONE {
                let progress = &mut self.watches[self.waits[wait].watch].progress;
                progress.waiting -= 1;
                progress.running += 1;
            }
            if self.waits[wait].last_reported != status {
                self.mark_ready(wait);
            }
        }
    }

    /// The job has ended: so do all waits on it.
    fn ended(&mut self, slot: u32, state: &JobState) {
        if let (Some(end), Some(answered)) = (state.end, state.answered) {
            // Servers tell in whole seconds when they answered, so that may seem to be before the end.
            let lag = answered.duration_since(end).unwrap_or_default();
            self.stats.lags += 1;
            self.stats.lag_total = self.stats.lag_total.saturating_add(lag);
            self.stats.lag_max = self.stats.lag_max.max(lag);
        }
        while self.jobs[slot].waits != NONE {
            let wait = self.jobs[slot].waits;
            let report = JobReport { state: Some(state.clone()), ..self.report(wait) };
            let outcome = if state.phase == Phase::Succeeded {
                Ok(report)
            } else {
                let context = ErrorContext { seen: Some(Duration::ZERO), limit: None, cause: None };
                Err(WaitError::new(WaitErrorKind::Failed, report, context))
            };
            self.end(wait, outcome);
        }
    }

    fn on_error(&mut self, slot: u32, sent: Time, error: SourceError) {
        let now = self.now;
        let class = error.class();
        match class {
            ErrorClass::Transient { retry_after } => {
                self.stats.transient += 1;
                self.throttle.failed(now, sent, retry_after);
                let cold = &mut self.cold[slot];
                cold.failed = cold.failed.saturating_add(1);
                let trouble = self.trouble(slot, error);
                trouble.failures = trouble.failures.saturating_add(1);
                self.end_the_failed(slot);
            }
            ErrorClass::Throttled { retry_after, quota } => {
                self.stats.throttled += 1;
                self.throttle.throttled(now, sent, retry_after, quota);
                self.trouble(slot, error);
            }
            ErrorClass::NotFound => {
                self.stats.not_found += 1;
                // The service works, and says what it knows.
                self.throttle.good(now, sent);
                let trouble = self.trouble(slot, error);
                trouble.failures = 0;
                trouble.not_found = trouble.not_found.saturating_add(1);
                if trouble.not_found == 1 {
                    trouble.not_found_since = now;
                }
                self.end_the_lost(slot);
            }
            ErrorClass::Fatal => {
                self.stats.fatal += 1;
                let context = ErrorContext { seen: None, limit: None, cause: Some(error) };
                self.end_job(slot, WaitErrorKind::Fatal, &context);
            }
            ErrorClass::Refused => {
                self.stats.refused += 1;
                let context = ErrorContext { seen: None, limit: None, cause: Some(error) };
                for other in self.jobs.slots() {
                    self.end_job(other, WaitErrorKind::Refused, &context);
                    if other != slot {
                        self.after_wait_removed(other);
                    }
                }
            }
        }
    }

    /// Notes that the last answer for a job was bad, and tells its waits if that is new.
    fn trouble(&mut self, slot: u32, error: SourceError) -> &mut Trouble {
        let before = self.troubles.get(&slot);
        let is_new = before.is_none_or(|before| !before.error.class().same_class(error.class()));
        let first = !std::mem::replace(&mut self.in_trouble, true);
        if is_new && let Some(log_events) = &mut self.log_events {
            log_events.push(LogEvent::Trouble {
                id: self.jobs[slot].id.clone(),
                error: error.clone(),
                first,
            });
        }
        if is_new {
            let mut next = self.jobs[slot].waits;
            while next != NONE {
                let wait = next;
                next = self.waits[wait].next_in_job;
                self.waits[wait].owes_trouble = true;
                self.mark_ready(wait);
            }
        }
        let seen = self.jobs[slot].ended;
        let trouble = self.troubles.entry(slot).or_insert_with(|| Trouble {
            error: error.clone(),
            seen,
            failures: 0,
            not_found: 0,
            not_found_since: Time::ZERO,
        });
        let before = std::mem::replace(&mut trouble.error, error);
        self.deferred.push(Deferred::Error(before));
        trouble
    }

    /// Forgets that the answers for a job were bad.
    pub(super) fn end_trouble(&mut self, slot: u32) {
        // Every good answer comes by here, and a map hashes even to find itself empty.
        if !self.troubles.is_empty() {
            self.deferred
                .extend(self.troubles.remove(&slot).map(|trouble| Deferred::Error(trouble.error)));
        }
    }

    /// Ends the waits whose policy allows no further failure (rule 6).
    fn end_the_failed(&mut self, slot: u32) {
        let (total, cause) = (self.cold[slot].failed, self.cause(slot));
        let row = self.troubles.get(&slot).map_or(0, |trouble| trouble.failures);
        self.end_if(slot, WaitErrorKind::TooManyFailures, |board, wait| {
            let policy = board.policy_of(wait);
            let wait = &board.waits[wait];
            let total = total.saturating_sub(wait.failed_before);
            let row = row.min(total);
            let limit = if row >= policy.in_a_row {
                format!("limit {} failures in a row", policy.in_a_row)
            } else if total >= policy.in_total {
                format!("limit {} failures in total", policy.in_total)
            } else {
                return None;
            };
            Some(ErrorContext { seen: None, limit: Some(limit), cause: cause.clone() })
        });
    }

    /// Ends the waits for which the job counts as lost (rule 7).
    fn end_the_lost(&mut self, slot: u32) {
        let Some(trouble) = self.troubles.get(&slot) else { return };
        let (row, span) = (trouble.not_found, self.now.since(trouble.not_found_since));
        let cause = Some(trouble.error.clone());
        if row < NOT_FOUND_TO_LOSE {
            return;
        }
        self.end_if(slot, WaitErrorKind::Lost, |board, wait| {
            let grace = board.policy_of(wait).not_found_grace;
            (span >= grace).then(|| ErrorContext {
                seen: None,
                limit: Some(format!("{row} answers in a row over {span:.1?}, grace {grace:?}")),
                cause: cause.clone(),
            })
        });
    }

    /// Ends a wait whose time is up.
    pub(super) fn end_timed_out(&mut self, wait: u32) {
        let entry = &self.waits[wait];
        let timeout = entry.deadline.since(entry.started);
        let context = ErrorContext {
            seen: None,
            limit: Some(format!("deadline {timeout:?}")),
            cause: self.cause(entry.job),
        };
        self.end_with(wait, WaitErrorKind::TimedOut, context);
    }

    pub(super) fn end_removed(&mut self, wait: u32) {
        let cause = self.cause(self.waits[wait].job);
        self.end_with(
            wait,
            WaitErrorKind::Removed,
            ErrorContext { seen: None, limit: None, cause },
        );
    }

    pub(super) fn end_all_stopped(&mut self, why: &str) {
        for slot in self.jobs.slots() {
            let context =
                ErrorContext { seen: None, limit: Some(why.to_owned()), cause: self.cause(slot) };
            self.end_job(slot, WaitErrorKind::Stopped, &context);
            self.after_wait_removed(slot);
        }
    }

    fn end_job(&mut self, slot: u32, kind: WaitErrorKind, context: &ErrorContext) {
        self.end_if(slot, kind, |_, _| Some(context.clone()));
    }

    /// Ends those waits on a job against which there is context.
    fn end_if(
        &mut self,
        slot: u32,
        kind: WaitErrorKind,
        verdict: impl Fn(&Self, u32) -> Option<ErrorContext>,
    ) {
        let mut next = self.jobs[slot].waits;
        while next != NONE {
            let wait = next;
            next = self.waits[wait].next_in_job;
            if let Some(context) = verdict(self, wait) {
                self.end_with(wait, kind, context);
            }
        }
    }

    /// Ends a wait without success. The caller looks after the job that it leaves.
    fn end_with(&mut self, wait: u32, kind: WaitErrorKind, mut context: ErrorContext) {
        let slot = self.waits[wait].job;
        if self.jobs[slot].status != NONE {
            context.seen = Some(self.now.since(self.last_success(slot)));
        }
        let error = WaitError::new(kind, self.report(wait), context);
        self.end(wait, Err(error));
    }

    fn end(&mut self, wait: u32, outcome: Outcome) {
        let entry = &self.waits[wait];
        let had_status = self.jobs[entry.job].status != NONE;
        let progress = &mut self.watches[entry.watch].progress;
        *(if had_status { &mut progress.running } else { &mut progress.waiting }) -= 1;
        *(if outcome.is_ok() { &mut progress.succeeded } else { &mut progress.failed }) += 1;
        self.unlink_from_job(wait);
        self.ends.insert(wait, outcome);
        self.mark_ready(wait);
    }

    /// The failure in which a job is, if it is.
    pub(super) fn cause(&self, slot: u32) -> Option<SourceError> {
        self.troubles.get(&slot).map(|trouble| trouble.error.clone())
    }

    /// When the last good answer for a job came, if one did.
    pub(super) fn last_success(&self, slot: u32) -> Time {
        self.troubles.get(&slot).map_or(self.jobs[slot].ended, |trouble| trouble.seen)
    }

    fn policy_of(&self, wait: u32) -> &Policy {
        &self.policies[self.waits[wait].policy]
    }

    /// What is known for a live wait.
    pub(super) fn report(&self, wait: u32) -> JobReport {
        let wait = &self.waits[wait];
        let job = &self.jobs[wait.job];
        JobReport {
            id: job.id.clone(),
            state: self.state(wait.job),
            polls: wait.polls(job),
            elapsed: self.now.since(wait.started),
        }
    }

    /// The last known state of a job.
    pub(super) fn state(&self, slot: u32) -> Option<JobState> {
        let (job, cold) = (&self.jobs[slot], &self.cold[slot]);
        let extra = self.details.get(&slot);
        Some(JobState {
            phase: self.statuses.phase(job.status)?,
            status: self.statuses.text(job.status)?,
            begin: cold.begin.time(),
            end: extra.and_then(|extra| extra.end),
            answered: cold.answered.time(),
            detail: extra.and_then(|extra| extra.detail.clone()),
        })
    }
}

//! The sans-I/O core: every job's state machine, the timers, the in-flight window, the budgets.
//!
//! Nothing here reads a clock, does I/O, draws from global randomness, runs user code or calls a waker.
//! Time is an argument and never runs back. Methods come in four kinds:
//!
//! - commands of handles: [`open`](Board::open), [`start`](Board::start), [`add`](Board::add),
//!   [`remove`](Board::remove), [`close`](Board::close), [`poke`](Board::poke), [`tell`](Board::tell);
//! - events, which drivers feed in: [`handle_time`](Board::handle_time), [`handle_answer`](Board::handle_answer),
//!   [`stop`](Board::stop);
//! - actions, which a driver takes out after any of the above until there are none:
//!   [`poll_action`](Board::poll_action), then [`next_wake`](Board::next_wake) for when to come back;
//! - updates, made when a consumer asks: [`next_update`](Board::next_update), [`jobs`](Board::jobs),
//!   [`progress`](Board::progress), [`stats`](Board::stats).
//!
//! A *job* is what the board knows of an id, shared by all waits on it; a *wait* is one watch's interest in a job. Facts
//! are shared per job, verdicts are per wait (rule 3).
//!
//! The board is composed of parts that own their invariants: `jobs`, `waits` (with the watches), `requests`, `agenda` and
//! `throttle`. What follows from an event for the jobs that it touched happens once, in [`settle`](Board::settle),
//! at the end of each command and event.

#![expect(
    clippy::indexing_slicing,
    reason = "what is indexed are slabs and interners, by typed keys from links that lead to occupied entries only"
)]

mod agenda;
mod answers;
mod attempts;
#[cfg(any(test, debug_assertions))]
mod check;
mod commands;
mod forgotten;
mod jitter;
mod jobs;
mod learning;
mod polling;
mod reach;
mod requests;
#[cfg(any(test, all(fuzzing, debug_assertions)))]
pub(crate) mod script;
#[cfg(test)]
mod tests;
mod throttle;
mod time;
mod updates;
mod waits;
mod worth;

use std::borrow::Cow;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use self::agenda::Agenda;
use self::attempts::Step;
use self::jobs::{Job, Jobs, Stage};
use self::learning::Learning;
use self::reach::Reach;
use self::requests::{AbortReason, Request, Requests};
use self::throttle::Throttle;
use self::waits::{Waits, Watch};
use crate::options::{Resumed, WallTimes};
use crate::util::slab::Key;
use crate::{
    History, JobId, JobOptions, JobState, Outcome, Phase, Policy, Quota, SourceError, Stats,
};

pub(crate) use self::attempts::AttemptTimeouts;
pub(crate) use self::time::{Time, nanos};
pub(crate) use self::waits::Pending;

/// How many of the waits on a job are looked at for its traces.
const MAX_WATCHES: usize = 32;

/// What one source may be asked, and how long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) max_in_flight: u32,
    pub(crate) quota: Option<Quota>,
    /// The shortest time between an answer and the next poll of the same job.
    pub(crate) min_interval: Duration,
    pub(crate) attempt_timeouts: AttemptTimeouts,
    /// How late the driver's timer may be. Deadlines are taken as that much earlier, so that no wait ends after its own
    /// (rule 5).
    pub(crate) resolution: Duration,
}

/// How waits are judged.
#[derive(Clone, Debug)]
pub(crate) struct WaitOptions {
    pub(crate) policy: Arc<Policy>,
    /// Set by the user for this wait or watch, whatever its policy says.
    pub(crate) timeout: Option<Duration>,
    /// The age of the job when the wait begins.
    pub(crate) since: Duration,
    /// Which past jobs a schedule that learns learns from.
    pub(crate) kind: Option<Arc<str>>,
    /// What an earlier wait knew, if this one resumes it.
    pub(crate) resumed: Option<Arc<Resumed>>,
}

impl WaitOptions {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self { policy, timeout: None, since: Duration::ZERO, kind: None, resumed: None }
    }

    /// Returns the options of one job in a watch with these.
    pub(crate) fn for_job(&self, job: Option<&JobOptions>) -> Self {
        let Some(job) = job else { return self.clone() };
        let own = job.policy.as_ref().map(|policy| Self::new(Arc::clone(policy)));
        let mut options = own.unwrap_or_else(|| self.clone());
        options.timeout = job.timeout.or(options.timeout);
        options.since = job.since;
        options.kind = job.kind.clone().or_else(|| self.kind.clone());
        options.resumed = job.resumed.clone();
        options
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(self.policy.timeout)
    }

    /// Returns the options of a wait that begins at a time: for one that resumes another, what is left of them by then.
    pub(crate) fn at(&self, started: Time) -> Cow<'_, Self> {
        let passed = self.resumed_at().map_or(Duration::ZERO, |at| started.since(at));
        if passed.is_zero() {
            return Cow::Borrowed(self);
        }
        let mut options = self.clone();
        options.timeout = Some(self.timeout().saturating_sub(passed));
        options.since = self.since.saturating_add(passed);
        if let Some(resumed) = &mut options.resumed {
            let resumed = Arc::make_mut(resumed);
            resumed.elapsed = resumed.elapsed.saturating_add(passed);
            resumed.at = Some(started);
        }
        Cow::Owned(options)
    }

    fn resumed_at(&self) -> Option<Time> {
        self.resumed.as_ref()?.at
    }
}

/// What another process needs to know of a job that is waited for, to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedJob {
    pub(crate) id: JobId,
    pub(crate) kind: Option<Arc<str>>,
    /// The age of the job.
    pub(crate) age: Duration,
    /// How long it has been waited for.
    pub(crate) elapsed: Duration,
    pub(crate) time_left: Duration,
    /// Its time was up before its wait began.
    pub(crate) is_overdue: bool,
    pub(crate) polls: u32,
    pub(crate) status: Option<(Phase, Cow<'static, str>)>,
    /// The times of the checkpoint from which it was resumed.
    pub(crate) times: Option<WallTimes>,
}

impl SavedJob {
    /// Makes the entry of a job whose wait has not begun, from the options of that wait and the time since its watch started.
    pub(crate) fn pending(id: JobId, options: &WaitOptions, elapsed: Duration, now: Time) -> Self {
        let elapsed = options.resumed_at().map_or(elapsed, |at| now.since(at));
        let resumed = options.resumed.as_deref();
        Self {
            id,
            kind: options.kind.clone(),
            age: options.since.saturating_add(elapsed),
            elapsed: resumed.map_or(Duration::ZERO, |known| known.elapsed).saturating_add(elapsed),
            time_left: options.timeout().saturating_sub(elapsed),
            is_overdue: options.timeout() <= elapsed,
            times: resumed.and_then(|known| known.times),
            polls: resumed.map_or(0, |known| known.polls),
            status: resumed.and_then(|known| known.status.clone()),
        }
    }
}

/// Names a watch, also after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WatchKey {
    key: Key<Watch>,
    generation: u32,
}

/// Names a runtime on which watches are polled. The board counts the live waits of each and knows nothing else of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeKey(pub(crate) usize);

/// Names a request in flight, also after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId {
    key: Key<Request>,
    generation: u32,
}

impl RequestId {
    /// Returns a small number, unique among the requests in flight.
    pub(crate) fn slot(self) -> usize {
        self.key.index()
    }
}

/// What a driver is to do, outside the lock.
#[derive(Debug)]
pub(crate) enum Action {
    /// Fetch this job. One request of the source may take `timeout`.
    Poll { request: RequestId, id: JobId, timeout: Duration },
    /// Drop the request; its answer would be ignored.
    Abort(RequestId),
    /// Wake a consumer whose watch has updates.
    Wake(Waker),
    /// Drop this value. It may hold an error of the source's, whose destructor is user code.
    Drop(Deferred),
}

/// A value that the board has no more use for.
#[derive(Debug)]
#[expect(dead_code, reason = "nothing reads it: it is carried out of the lock to be dropped")]
pub(crate) enum Deferred {
    /// An error that a later answer has replaced.
    Error(SourceError),
    /// The outcome of a wait whose consumer has gone; boxed because it is rare, and large among actions.
    Outcome(Box<Outcome>),
}

/// The result of a fetch.
#[derive(Debug)]
pub(crate) enum Answer {
    Received(Result<JobState, SourceError>),
    /// The source panicked with this message.
    Panicked(String),
}

/// What a driver may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It sends the requests, and holds all that are in flight.
    Leader,
    /// It keeps deadlines and wakes consumers.
    StandBy,
}

/// Something worth a line in a log.
#[derive(Debug)]
pub(crate) struct LogEvent {
    pub(crate) id: JobId,
    /// The watch of the oldest wait on the job, of the newest ones that are looked at.
    pub(crate) watch: Option<WatchKey>,
    pub(crate) kind: LogEventKind,
}

#[derive(Debug)]
pub(crate) enum LogEventKind {
    /// The status of the job changed.
    Changed { from: Option<Cow<'static, str>>, to: Cow<'static, str> },
    /// The answers for the job turned bad; `is_outage` if the whole source was well before.
    Trouble { error: SourceError, is_outage: bool },
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Board {
    budget: Budget,
    /// The latest time that was passed in (rule 14).
    now: Time,
    jobs: Jobs,
    waits: Waits,
    requests: Requests,
    agenda: Agenda,
    throttle: Throttle,
    learning: Learning,
    /// Whether of the polls that are due the one worth most is made first, where schedules learn.
    has_worth_order: bool,
    reach: Reach,
    /// How far the attempt timeout of all jobs has grown.
    attempt_step: Step,
    outbox: Outbox,
    stats: Stats,
    /// Jobs that the event at hand has changed, for `settle`. Invariant: empty between events.
    touched: Vec<Key<Job>>,
    /// Whether a warning of trouble was logged since the last good answer of the source.
    has_warned: bool,
    /// How often the invariants were to be checked.
    #[cfg(any(test, debug_assertions))]
    checks: std::cell::Cell<u32>,
}

/// What leaves the board to be done outside the lock.
#[derive(Debug, Default)]
struct Outbox {
    wakers: Vec<Waker>,
    deferred: Vec<Deferred>,
    /// None while no log is wanted.
    log: Option<Vec<LogEvent>>,
}

impl Board {
    pub(crate) fn new(seed: u64, budget: Budget) -> Self {
        Self {
            budget,
            now: Time::ZERO,
            jobs: Jobs::new(seed, budget.min_interval),
            waits: Waits::new(),
            requests: Requests::new(),
            agenda: Agenda::new(),
            throttle: Throttle::new(seed, budget.max_in_flight, budget.quota),
            learning: Learning::default(),
            has_worth_order: true,
            reach: Reach::default(),
            attempt_step: Step::default(),
            outbox: Outbox::default(),
            stats: Stats::default(),
            touched: Vec::new(),
            has_warned: false,
            #[cfg(any(test, debug_assertions))]
            checks: std::cell::Cell::new(0),
        }
    }

    /// Sets the past jobs that schedules learn from, before any wait begins.
    pub(crate) fn set_history(&mut self, history: History) {
        self.learning = Learning::new(history);
    }

    /// Makes all polls in the order in which they became due, to measure what the order by worth is good for.
    pub(crate) fn disable_worth_order(&mut self) {
        self.has_worth_order = false;
    }

    /// Takes what schedules have learnt since it was taken last.
    pub(crate) fn take_learned(&mut self) -> History {
        self.learning.take_news()
    }

    /// Returns whether there is no live wait.
    pub(crate) fn is_idle(&self) -> bool {
        self.waits.live() == 0
    }

    /// Returns how many live waits there are in watches that were polled last on this runtime.
    pub(crate) fn live_on(&self, runtime: RuntimeKey) -> usize {
        self.waits.live_on(runtime)
    }

    /// Returns whether there are watches that were polled last on this runtime.
    pub(crate) fn has_watches_on(&self, runtime: RuntimeKey) -> bool {
        self.waits.has_watches_on(runtime)
    }

    /// Returns whether requests are to be dropped.
    pub(crate) fn has_aborts(&self) -> bool {
        self.requests.has_aborts()
    }

    /// Takes the wakers to wake and the values to drop after a command of a handle.
    pub(crate) fn take_deferred(&mut self) -> (Vec<Waker>, Vec<Deferred>) {
        let Outbox { wakers, deferred, .. } = &mut self.outbox;
        // A vector keeps its memory while there is nothing in it to take.
        let wakers = if wakers.is_empty() { Vec::new() } else { std::mem::take(wakers) };
        let deferred = if deferred.is_empty() { Vec::new() } else { std::mem::take(deferred) };
        (wakers, deferred)
    }

    /// Returns the watches of the waits on an id, the newest wait first; of a crowd the newest ones only.
    pub(crate) fn watches_on(&self, id: &str) -> Vec<WatchKey> {
        let job = self.jobs.find(id).map(|key| &self.jobs[key]);
        job.into_iter().flat_map(|job| self.waits.watches_of(job).take(MAX_WATCHES)).collect()
    }

    /// Returns whether what there is to log is recorded.
    pub(crate) fn is_logging(&self) -> bool {
        self.outbox.log.is_some()
    }

    /// Records something to log, if that is wanted.
    fn log(&mut self, key: Key<Job>, kind: LogEventKind) {
        if let Some(log) = &mut self.outbox.log {
            let job = &self.jobs[key];
            let watch = self.waits.watches_of(job).take(MAX_WATCHES).last();
            log.push(LogEvent { id: job.id.clone(), watch, kind });
        }
    }

    /// Returns whether a request is in flight, wanted or not.
    pub(crate) fn has_requests(&self) -> bool {
        self.requests.len() > 0
    }

    /// Returns what there is to log, and starts or stops recording it.
    pub(crate) fn take_log(&mut self, is_wanted: bool) -> Vec<LogEvent> {
        match &mut self.outbox.log {
            Some(log) if is_wanted => std::mem::take(log),
            log => {
                let events = log.take().unwrap_or_default();
                *log = is_wanted.then(Vec::new);
                events
            }
        }
    }

    /// Advances the clock, which never runs back (rule 14).
    fn tick(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }

    /// Does what follows from a command or event for the jobs that it touched.
    ///
    /// Each of them ends with this, so none has to remember what a removed wait leaves behind.
    fn settle(&mut self) {
        // Most answers touch nothing but the timer of their job.
        if !self.touched.is_empty() {
            self.settle_touched();
        }
        #[cfg(debug_assertions)]
        self.check();
    }

    fn settle_touched(&mut self) {
        while let Some(key) = pop(&mut self.touched) {
            let Some(job) = self.jobs.get(key) else { continue };
            match (job.stage, job.first_wait) {
                (Stage::InFlight(request), None) => {
                    let request = self.requests.id(request);
                    self.requests.push_abort(request, AbortReason::NoWaiters);
                }
                (Stage::Resting | Stage::Ready { .. }, None) => {
                    self.jobs.remove(self.now, key, &mut self.outbox.deferred);
                }
                // The wait whose last poll this was may have left, and its rank with it.
                (Stage::Ready { is_last: true, .. }, Some(_)) if job.is_plan_stale => {
                    self.schedule(key);
                }
                (_, Some(_)) => {}
            }
        }
        self.tidy();
    }

    /// Removes stale entries from the agenda. They come of waits that begin or leave, not of polls.
    fn tidy(&mut self) {
        if self.waits.live() == 0 {
            self.agenda.clear();
        } else {
            self.agenda.compact(&self.jobs, &self.waits);
        }
    }
}

/// Takes the last item, and with the very last one gives back the memory of a crowd.
fn pop<T>(items: &mut Vec<T>) -> Option<T> {
    let item = items.pop()?;
    if items.is_empty() && items.capacity() > 1_024 {
        *items = Vec::new();
    }
    Some(item)
}

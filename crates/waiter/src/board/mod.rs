//! The sans-I/O core: every job's state machine, the timers, the in-request window, the budgets.
//!
//! Nothing here reads a clock, does I/O, draws from global randomness, runs user code or calls a waker.
//! Time comes in as an argument and never runs back. Methods come in four kinds:
//!
//! - entrances, called by handles: [`open`](Board::open), [`start`](Board::start), [`add`](Board::add),
//!   [`remove`](Board::remove), [`close`](Board::close);
//! - facts, fed by the driver: [`handle_time`](Board::handle_time), [`handle_answer`](Board::handle_answer),
//!   [`stop`](Board::stop);
//! - orders, which the driver fetches after any of the above until there is none:
//!   [`poll_action`](Board::poll_action), then [`next_wake`](Board::next_wake) for when to come back;
//! - news, made when a consumer asks: [`next_update`](Board::next_update), [`jobs`](Board::jobs),
//!   [`progress`](Board::progress), [`stats`](Board::stats).
//!
//! A *job* is what is known of an id, once for all; a *wait* is one watch's interest in it. Facts are
//! shared per job, verdicts are per wait (rule 3).

#![expect(
    clippy::indexing_slicing,
    reason = "what is indexed are slabs, by slots from links that lead to occupied slots only"
)]

mod answers;
mod commands;
mod entities;
mod jitter;
mod lists;
mod policies;
mod polling;
mod statuses;
#[cfg(test)]
mod tests;
mod throttle;
mod time;
mod updates;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use hashbrown::HashTable;

use self::entities::{AbortReason, Job, JobCold, JobDetails, Request, Trouble, Wait, Watch};
use self::policies::Policies;
use self::statuses::Statuses;
use self::throttle::Throttle;
use crate::util::ordered_queue::OrderedQueue;
use crate::util::slab::{NONE, Slab};
use crate::util::timer_queue::TimerQueue;
use crate::{JobId, JobState, Outcome, Policy, Quota, SourceError, Stats};

pub(crate) use self::answers::LogEvent;
pub(crate) use self::time::Time;

/// What one source may be asked, and how long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) max_in_flight: u32,
    pub(crate) quota: Option<Quota>,
    /// Between an answer and the next poll of the same job.
    pub(crate) min_interval: Duration,
    /// How long a fetch may take. A source that limits its requests itself has more, for what is between them.
    pub(crate) attempt_timeout: Duration,
    /// How late the driver's timer may be. Deadlines are taken as come that much earlier, so that no wait
    /// ends after its own (rule 5).
    pub(crate) resolution: Duration,
}

/// How the waits of a watch are to be judged.
#[derive(Clone, Debug)]
pub(crate) struct WaitOptions {
    pub(crate) policy: Arc<Policy>,
    pub(crate) timeout: Duration,
}

/// Names a watch, also after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchKey {
    slot: u32,
    generation: u32,
}

/// Names a request in request, also after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId {
    slot: u32,
    generation: u32,
}

impl RequestId {
    /// A small number, unique among the requests in request.
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What the driver is to do, outside the lock.
#[derive(Debug)]
pub(crate) enum Action {
    /// Fetch this job.
    Poll { request: RequestId, id: JobId },
    /// Drop the request; its answer would be ignored.
    Abort(RequestId),
    /// A consumer has news.
    Wake(Waker),
    /// This is done with. It may hold an error of the source's, whose destructor is user code.
    Drop(Deferred),
}

/// What the board has no more use for.
#[derive(Debug)]
#[expect(dead_code, reason = "nobody reads it: it is carried out of the lock to be dropped")]
pub(crate) enum Deferred {
    /// An error that a good answer, or another error, has made old.
    Error(SourceError),
    /// An end that nobody will hear of; boxed because it is rare, and large among the things wanted.
    End(Box<Outcome>),
}

/// What came of a fetch.
#[derive(Debug)]
pub(crate) enum Answer {
    Told(Result<JobState, SourceError>),
    Panicked(String),
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Board {
    seed: u64,
    budget: Budget,
    now: Time,
    generation: u32,
    /// Live waits.
    live: usize,

    jobs: Slab<Job>,
    cold: Slab<JobCold>,
    /// Jobs by the hash of their id, which is stored in the job alone.
    index: HashTable<u32>,
    waits: Slab<Wait>,
    watches: Slab<Watch>,
    requests: Slab<Request>,

    /// When to look at a job that rests, or at one that is due and held back, for its deadline.
    timers: TimerQueue,
    /// When to look at a request. Apart from `timers`, since requests are few and short.
    expiries: TimerQueue,
    /// Jobs that are due: those whose last poll it is first, then the longest due.
    ready: OrderedQueue<(u64, u32)>,
    /// Due jobs that have no timer yet: most are polled at once and never need one.
    pending_timers: Vec<u32>,
    /// So many of the next wake-ups were looked at ahead.
    prefetched: u32,

    policies: Policies,
    statuses: Statuses,
    /// Job to what is rarely there: trouble, or more than a status and two times.
    troubles: HashMap<u32, Trouble>,
    details: HashMap<u32, JobDetails>,
    /// Wait to how it ended, until that is told.
    ends: HashMap<u32, Outcome>,

    throttle: Throttle,
    wakes: Vec<Waker>,
    deferred: Vec<Deferred>,
    aborts: Vec<(RequestId, AbortReason)>,
    stats: Stats,
    /// Whether waits were added since the driver last looked.
    needs_wake: bool,
    /// Whether the last answers of the source were bad.
    in_trouble: bool,
    /// What the driver may log, if it asked for it.
    log_events: Option<Vec<LogEvent>>,
}

impl Board {
    pub(crate) fn new(seed: u64, budget: Budget) -> Self {
        Self {
            seed,
            budget,
            now: Time::ZERO,
            generation: 0,
            live: 0,
            jobs: Slab::new(),
            cold: Slab::new(),
            index: HashTable::new(),
            waits: Slab::new(),
            watches: Slab::new(),
            requests: Slab::new(),
            timers: TimerQueue::new(),
            expiries: TimerQueue::new(),
            ready: OrderedQueue::new(),
            pending_timers: Vec::new(),
            prefetched: 0,
            policies: Policies::new(),
            statuses: Statuses::new(),
            troubles: HashMap::new(),
            details: HashMap::new(),
            ends: HashMap::new(),
            throttle: Throttle::new(seed, budget.max_in_flight, budget.quota),
            wakes: Vec::new(),
            deferred: Vec::new(),
            aborts: Vec::new(),
            stats: Stats::default(),
            needs_wake: false,
            in_trouble: false,
            log_events: None,
        }
    }

    /// Whether nobody waits: the driver ends.
    pub(crate) fn is_idle(&self) -> bool {
        self.live == 0
    }

    /// Whether a handle has left something for the driver to do.
    pub(crate) fn needs_driver(&self) -> bool {
        self.needs_wake || !self.aborts.is_empty()
    }

    /// Whom to wake and what to drop, for a handle; the driver is told by `poll_action`.
    pub(crate) fn take_deferred(&mut self) -> (Vec<Waker>, Vec<Deferred>) {
        (std::mem::take(&mut self.wakes), std::mem::take(&mut self.deferred))
    }

    /// Whether a request is in request, be it for nobody.
    pub(crate) fn has_requests(&self) -> bool {
        self.requests.len() > 0
    }

    /// The driver is gone, and with it the requests in request; all waits end.
    pub(crate) fn stop(&mut self, why: &str) {
        self.end_all_stopped(why);
        self.forget_requests();
    }

    /// The requests in request are gone without an answer.
    pub(crate) fn forget_requests(&mut self) {
        for slot in self.requests.slots() {
            let Some(request) = self.requests.remove(slot) else { continue };
            if let Some(job) = self.jobs.get_mut(request.job) {
                job.request = NONE;
                self.after_wait_removed(request.job);
            }
        }
        self.aborts.clear();
    }

    /// The clock, which never runs back (rule 14).
    fn tick(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    fn watch(&self, key: WatchKey) -> Option<u32> {
        self.watches
            .get(key.slot)
            .filter(|watch| watch.generation == key.generation)
            .map(|_| key.slot)
    }

    fn find(&self, id: &str) -> Option<u32> {
        let hash = jitter::hash_id(self.seed, id);
        self.index.find(hash, |&slot| self.jobs[slot].id.as_str() == id).copied()
    }
}

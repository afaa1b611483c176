//! The sans-I/O core: every job's state machine, the timers, the in-flight window, the budgets.
//!
//! Nothing here reads a clock, does I/O, draws from global randomness, runs user code or calls a waker.
//! Time comes in as an argument and never runs back. Methods come in four kinds:
//!
//! - entrances, called by handles: [`open`](Board::open), [`start`](Board::start), [`add`](Board::add),
//!   [`remove`](Board::remove), [`close`](Board::close);
//! - facts, fed by the driver: [`handle_time`](Board::handle_time), [`handle_answer`](Board::handle_answer),
//!   [`stop`](Board::stop);
//! - orders, which the driver fetches after any of the above until there is none:
//!   [`next_want`](Board::next_want), then [`next_wake`](Board::next_wake) for when to come back;
//! - news, made when a consumer asks: [`next_update`](Board::next_update), [`jobs`](Board::jobs),
//!   [`progress`](Board::progress), [`stats`](Board::stats).
//!
//! A *job* is what is known of an id, once for all; a *wait* is one watch's interest in it. Facts are
//! shared per job, verdicts are per wait (rule 3).

#![expect(
    clippy::indexing_slicing,
    reason = "what is indexed are slabs, by slots from links that lead to occupied slots only"
)]

mod entrances;
mod facts;
mod links;
mod mix;
mod policies;
mod polls;
mod queue;
mod records;
mod slab;
mod statuses;
mod tell;
#[cfg(test)]
mod tests;
mod throttle;
mod time;
mod timers;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use hashbrown::HashTable;

use self::policies::Policies;
use self::queue::Queue;
use self::records::{Extra, Flight, Job, Past, Trouble, Wait, Watch, Why};
use self::slab::{NONE, Slab};
use self::statuses::Statuses;
use self::throttle::Throttle;
use self::timers::Timers;
use crate::{JobId, JobState, Outcome, Policy, Quota, SourceError, Stats};

pub(crate) use self::facts::Note;
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
pub(crate) struct Terms {
    pub(crate) policy: Arc<Policy>,
    pub(crate) timeout: Duration,
}

/// Names a watch, also after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchKey {
    slot: u32,
    stamp: u32,
}

/// Names a request in flight, also after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    slot: u32,
    stamp: u32,
}

impl Ticket {
    /// A small number, unique among the requests in flight.
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What the driver is to do, outside the lock.
#[derive(Debug)]
pub(crate) enum Want {
    /// Fetch this job.
    Poll { ticket: Ticket, id: JobId },
    /// Drop the request; its answer would be ignored.
    Abort(Ticket),
    /// A consumer has news.
    Wake(Waker),
    /// This is done with. It may hold an error of the source's, whose destructor is user code.
    Drop(Remains),
}

/// What the board has no more use for.
#[derive(Debug)]
#[expect(dead_code, reason = "nobody reads it: it is carried out of the lock to be dropped")]
pub(crate) enum Remains {
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
    stamp: u32,
    /// Live waits.
    live: usize,

    jobs: Slab<Job>,
    pasts: Slab<Past>,
    /// Jobs by the hash of their id, which is stored in the job alone.
    index: HashTable<u32>,
    waits: Slab<Wait>,
    watches: Slab<Watch>,
    flights: Slab<Flight>,

    /// When to look at a job that rests, or at one that is due and held back, for its deadline.
    timers: Timers,
    /// When to look at a flight. Apart from `timers`, since flights are few and short.
    expiries: Timers,
    /// Jobs that are due: those whose last poll it is first, then the longest due.
    ready: Queue<(u64, u32)>,
    /// Due jobs that have no timer yet: most are polled at once and never need one.
    untimed: Vec<u32>,
    /// So many of the next wake-ups were looked at ahead.
    foreseen: u32,

    policies: Policies,
    statuses: Statuses,
    /// Job to what is rarely there: trouble, or more than a status and two times.
    troubles: HashMap<u32, Trouble>,
    extras: HashMap<u32, Extra>,
    /// Wait to how it ended, until that is told.
    ends: HashMap<u32, Outcome>,

    throttle: Throttle,
    wakes: Vec<Waker>,
    remains: Vec<Remains>,
    aborts: Vec<(Ticket, Why)>,
    stats: Stats,
    /// Whether waits were added since the driver last looked.
    is_stirred: bool,
    /// Whether the last answers of the source were bad.
    in_trouble: bool,
    /// What the driver may log, if it asked for it.
    notes: Option<Vec<Note>>,
}

impl Board {
    pub(crate) fn new(seed: u64, budget: Budget) -> Self {
        Self {
            seed,
            budget,
            now: Time::ZERO,
            stamp: 0,
            live: 0,
            jobs: Slab::new(),
            pasts: Slab::new(),
            index: HashTable::new(),
            waits: Slab::new(),
            watches: Slab::new(),
            flights: Slab::new(),
            timers: Timers::new(),
            expiries: Timers::new(),
            ready: Queue::new(),
            untimed: Vec::new(),
            foreseen: 0,
            policies: Policies::new(),
            statuses: Statuses::new(),
            troubles: HashMap::new(),
            extras: HashMap::new(),
            ends: HashMap::new(),
            throttle: Throttle::new(seed, budget.max_in_flight, budget.quota),
            wakes: Vec::new(),
            remains: Vec::new(),
            aborts: Vec::new(),
            stats: Stats::default(),
            is_stirred: false,
            in_trouble: false,
            notes: None,
        }
    }

    /// Whether nobody waits: the driver ends.
    pub(crate) fn is_idle(&self) -> bool {
        self.live == 0
    }

    /// Whether a handle has left something for the driver to do.
    pub(crate) fn needs_driver(&self) -> bool {
        self.is_stirred || !self.aborts.is_empty()
    }

    /// Whom to wake and what to drop, for a handle; the driver is told by `next_want`.
    pub(crate) fn take_leftovers(&mut self) -> (Vec<Waker>, Vec<Remains>) {
        (std::mem::take(&mut self.wakes), std::mem::take(&mut self.remains))
    }

    /// Whether a request is in flight, be it for nobody.
    pub(crate) fn is_flying(&self) -> bool {
        self.flights.len() > 0
    }

    /// The driver is gone, and with it the requests in flight; all waits end.
    pub(crate) fn stop(&mut self, why: &str) {
        self.end_all_stopped(why);
        self.forget_flights();
    }

    /// The requests in flight are gone without an answer.
    pub(crate) fn forget_flights(&mut self) {
        for slot in self.flights.slots() {
            let Some(flight) = self.flights.remove(slot) else { continue };
            if let Some(job) = self.jobs.get_mut(flight.job) {
                job.flight = NONE;
                self.leave(flight.job);
            }
        }
        self.aborts.clear();
    }

    /// The clock, which never runs back (rule 14).
    fn tick(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }

    fn next_stamp(&mut self) -> u32 {
        self.stamp = self.stamp.wrapping_add(1);
        self.stamp
    }

    fn watch(&self, key: WatchKey) -> Option<u32> {
        self.watches.get(key.slot).filter(|watch| watch.stamp == key.stamp).map(|_| key.slot)
    }

    fn find(&self, id: &str) -> Option<u32> {
        let hash = mix::hash_id(self.seed, id);
        self.index.find(hash, |&slot| self.jobs[slot].id.as_str() == id).copied()
    }
}

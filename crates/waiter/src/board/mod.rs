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

mod facts;
mod links;
mod mix;
mod polls;
mod slab;
mod statuses;
mod tell;
#[cfg(test)]
mod tests;
mod throttle;
mod time;
mod timers;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use hashbrown::HashTable;

use self::slab::{NONE, Slab};
use self::statuses::Statuses;
use self::throttle::Throttle;
use self::timers::Timers;
use crate::{JobId, JobState, Outcome, Policy, Progress, Quota, SourceError, Stats};

pub(crate) use self::facts::Note;
pub(crate) use self::time::Time;

/// What one source may be asked, and how long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) max_in_flight: u32,
    pub(crate) quota: Option<Quota>,
    /// Between an answer and the next poll of the same job.
    pub(crate) min_interval: Duration,
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
    ready: BinaryHeap<Reverse<(u64, u32)>>,
    /// Due jobs that have no timer yet: most are polled at once and never need one.
    untimed: Vec<u32>,

    statuses: Statuses,
    /// Job to what is rarely there: trouble, or more than a status and two times.
    troubles: HashMap<u32, Trouble>,
    extras: HashMap<u32, Extra>,
    /// Wait to how it ended, until that is told.
    ends: HashMap<u32, Outcome>,

    throttle: Throttle,
    wakes: Vec<Waker>,
    aborts: Vec<(Ticket, Why)>,
    stats: Stats,
    /// Whether waits were added since the driver last looked.
    is_stirred: bool,
    /// Whether the last answers of the source were bad.
    in_trouble: bool,
    /// What the driver may log, if it asked for it.
    notes: Option<Vec<Note>>,
}

/// What is known of an id.
#[derive(Debug)]
struct Job {
    id: JobId,
    /// When the next poll is due, if none is in flight.
    due: Time,
    /// When the job's timer is set to; an entry for another time is stale.
    wake: Time,
    /// When the last good answer came.
    seen: Time,
    /// When the last answer came, good or bad.
    ended: Time,
    begin: Stamp,
    answered: Stamp,
    /// The order in which the job stands among the due ones.
    rank: u64,
    /// The last status.
    status: u32,
    /// Polls sent.
    polls: u32,
    /// Transient failures in total.
    failed: u32,
    /// The request in flight.
    flight: u32,
    /// The first wait on it.
    waits: u32,
    is_ready: bool,
}

/// One watch's interest in one job.
#[derive(Debug)]
struct Wait {
    policy: Arc<Policy>,
    started: Time,
    deadline: Time,
    /// The job; none once the wait has ended.
    job: u32,
    watch: u32,
    prev_in_job: u32,
    next_in_job: u32,
    prev_in_watch: u32,
    next_in_watch: u32,
    next_ready: u32,
    /// The status told last.
    told: u32,
    /// What the job's counts were when the wait began.
    polls_before: u32,
    failed_before: u32,
    is_ready: bool,
    owes_trouble: bool,
}

/// A consumer.
#[derive(Debug)]
struct Watch {
    stamp: u32,
    /// Its waits, in the order in which they were added.
    first: u32,
    last: u32,
    /// Its waits that have news, in the order in which they got it.
    first_ready: u32,
    last_ready: u32,
    waker: Option<Waker>,
    /// Handles that can still add.
    handles: u32,
    /// A consumer that hears nothing but ends.
    ends_only: bool,
    /// How waits are judged, from the start on.
    terms: Option<Terms>,
    /// Ids added before the start.
    pending: Pending,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Pending {
    ids: Vec<JobId>,
    known: HashSet<JobId>,
}

#[derive(Debug)]
struct Flight {
    job: u32,
    stamp: u32,
    sent: Time,
    expires: Time,
    /// When the flight's timer is set to; an entry for another time is stale.
    wake: Time,
}

/// Bad answers since the last good one.
#[derive(Debug)]
struct Trouble {
    error: SourceError,
    /// Transient failures in a row.
    failures: u32,
    /// Not-found answers in a row, with others than a status between them, and the first one's time.
    not_found: u32,
    not_found_since: Time,
}

/// What few states hold.
#[derive(Debug)]
struct Extra {
    end: Option<SystemTime>,
    detail: Option<Arc<str>>,
}

/// Why a request is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Nobody waits for it, unless someone has come meanwhile.
    Orphaned,
    /// It took too long; its slot is free already.
    Expired,
}

/// A server's time in eight bytes: nanoseconds from the Unix epoch, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(i64);

impl Stamp {
    const NONE: Self = Self(i64::MIN);

    fn of(time: Option<SystemTime>) -> Self {
        let nanos = time.and_then(|time| match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).ok(),
            Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanos| -nanos),
        });
        nanos.map_or(Self::NONE, Self)
    }

    fn time(self) -> Option<SystemTime> {
        if self == Self::NONE {
            return None;
        }
        let nanos = Duration::from_nanos(self.0.unsigned_abs());
        if self.0 >= 0 {
            SystemTime::UNIX_EPOCH.checked_add(nanos)
        } else {
            SystemTime::UNIX_EPOCH.checked_sub(nanos)
        }
    }
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
            index: HashTable::new(),
            waits: Slab::new(),
            watches: Slab::new(),
            flights: Slab::new(),
            timers: Timers::default(),
            expiries: Timers::default(),
            ready: BinaryHeap::new(),
            untimed: Vec::new(),
            statuses: Statuses::new(),
            troubles: HashMap::new(),
            extras: HashMap::new(),
            ends: HashMap::new(),
            throttle: Throttle::new(seed, budget.max_in_flight, budget.quota),
            wakes: Vec::new(),
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

    /// Whom to wake, for a handle; the driver is told by `next_want`.
    pub(crate) fn take_wakes(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakes)
    }

    /// Whether a request is in flight, be it for nobody.
    pub(crate) fn is_flying(&self) -> bool {
        self.flights.len() > 0
    }

    /// Opens a watch with `handles` handles that can add to it. It hears nothing before it is started.
    pub(crate) fn open(&mut self, ends_only: bool) -> WatchKey {
        let stamp = self.next_stamp();
        let slot = self.watches.insert(Watch {
            stamp,
            first: NONE,
            last: NONE,
            first_ready: NONE,
            last_ready: NONE,
            waker: None,
            handles: 0,
            ends_only,
            terms: None,
            pending: Pending::default(),
            progress: Progress::default(),
        });
        WatchKey { slot, stamp }
    }

    /// Starts a watch: its ids are waited for from now on, those added later from then on.
    pub(crate) fn start(&mut self, now: Time, watch: WatchKey, terms: Terms) {
        let Some(slot) = self.watch(watch) else { return };
        let pending = std::mem::take(&mut self.watches[slot].pending);
        self.watches[slot].terms = Some(terms);
        for id in pending.ids {
            self.add(now, watch, id);
        }
    }

    /// Whether ids that are added to a watch are waited for at once.
    pub(crate) fn is_started(&self, watch: WatchKey) -> bool {
        self.watch(watch).is_some_and(|slot| self.watches[slot].terms.is_some())
    }

    /// Adds a job to a watch; false if the watch holds it already, or is gone.
    pub(crate) fn add(&mut self, now: Time, watch: WatchKey, id: JobId) -> bool {
        let now = self.tick(now);
        let Some(slot) = self.watch(watch) else { return false };
        let entry = &mut self.watches[slot];
        let Some(terms) = entry.terms.clone() else {
            let is_new = entry.pending.known.insert(id.clone());
            if is_new {
                entry.pending.ids.push(id);
            }
            return is_new;
        };
        let job = match self.find(id.as_str()) {
            Some(job) if self.wait_in(slot, job).is_some() => return false,
            Some(job) => job,
            None => self.insert_job(id),
        };
        self.insert_wait(now, slot, job, terms);
        true
    }

    /// Removes a job from a watch, which hears that as the job's end; false if it does not hold it.
    pub(crate) fn remove(&mut self, now: Time, watch: WatchKey, id: &str) -> bool {
        self.tick(now);
        let Some(slot) = self.watch(watch) else { return false };
        let pending = &mut self.watches[slot].pending;
        if pending.known.remove(id) {
            pending.ids.retain(|known| known.as_str() != id);
            return true;
        }
        let Some(job) = self.find(id) else { return false };
        let Some(wait) = self.wait_in(slot, job) else { return false };
        self.end_removed(wait);
        self.leave(job);
        true
    }

    /// Forgets a watch, whose consumer is gone. Nothing is told. Gives back the consumer's waker.
    pub(crate) fn close(&mut self, watch: WatchKey) -> Option<Waker> {
        let slot = self.watch(watch)?;
        let mut next = self.watches[slot].first;
        while next != NONE {
            let wait = next;
            next = self.waits[wait].next_in_watch;
            let job = self.waits[wait].job;
            if job != NONE {
                self.unlink_from_job(wait);
                self.leave(job);
            }
            self.free_wait(wait);
        }
        self.watches.remove(slot)?.waker
    }

    /// One more handle that can add to a watch.
    pub(crate) fn hold(&mut self, watch: WatchKey) {
        if let Some(slot) = self.watch(watch) {
            self.watches[slot].handles += 1;
        }
    }

    /// One handle less; without any the watch ends with its last job.
    pub(crate) fn let_go(&mut self, watch: WatchKey) {
        let Some(slot) = self.watch(watch) else { return };
        let entry = &mut self.watches[slot];
        entry.handles -= 1;
        if entry.handles == 0 && entry.first == NONE {
            self.wakes.extend(entry.waker.take());
        }
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

    fn insert_job(&mut self, id: JobId) -> u32 {
        let hash = mix::hash_id(self.seed, id.as_str());
        let slot = self.jobs.insert(Job {
            id,
            due: Time::NEVER,
            wake: Time::NEVER,
            seen: Time::ZERO,
            ended: Time::ZERO,
            begin: Stamp::NONE,
            answered: Stamp::NONE,
            rank: 0,
            status: NONE,
            polls: 0,
            failed: 0,
            flight: NONE,
            waits: NONE,
            is_ready: false,
        });
        let (jobs, seed) = (&self.jobs, self.seed);
        self.index.insert_unique(hash, slot, |&slot| mix::hash_id(seed, jobs[slot].id.as_str()));
        slot
    }

    fn insert_wait(&mut self, now: Time, watch: u32, job: u32, terms: Terms) {
        let entry = &self.jobs[job];
        let wait = self.waits.insert(Wait {
            policy: terms.policy,
            started: now,
            deadline: now.after(terms.timeout),
            job,
            watch,
            prev_in_job: NONE,
            next_in_job: NONE,
            prev_in_watch: NONE,
            next_in_watch: NONE,
            next_ready: NONE,
            told: NONE,
            // The answer of a request in flight counts for whoever comes meanwhile.
            polls_before: entry.polls - u32::from(entry.flight != NONE),
            failed_before: entry.failed,
            is_ready: false,
            owes_trouble: self.troubles.contains_key(&job),
        });
        self.live += 1;
        self.is_stirred = true;
        self.link(wait, watch, job);
        self.watches[watch].progress.waiting += 1;
        let entry = &self.jobs[job];
        if entry.status != NONE || self.waits[wait].owes_trouble {
            if entry.status != NONE {
                let progress = &mut self.watches[watch].progress;
                progress.waiting -= 1;
                progress.running += 1;
            }
            self.has_news(wait);
        }
        self.arm(job);
    }

    /// After a wait on a job has gone: what is nobody's is forgotten or aborted, the rest planned anew.
    fn leave(&mut self, job: u32) {
        let entry = &self.jobs[job];
        if entry.waits != NONE {
            self.arm(job);
        } else if let Some(flight) = self.flights.get(entry.flight) {
            self.aborts.push((Ticket { slot: entry.flight, stamp: flight.stamp }, Why::Orphaned));
        } else {
            self.forget(job);
        }
    }

    /// Forgets a job: a new wait on its id starts afresh (rule 3).
    fn forget(&mut self, slot: u32) {
        let Some(job) = self.jobs.get(slot) else { return };
        let hash = mix::hash_id(self.seed, job.id.as_str());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.troubles.remove(&slot);
        self.extras.remove(&slot);
        self.statuses.release(job.status);
        self.jobs.remove(slot);
    }
}

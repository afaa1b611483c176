//! The waits and watches, and the lists through them: by job, by watch, and those with updates. Links are keys, not
//! pointers, so joining and leaving cost the same among a million waits as among two.

mod earlier;
mod pending;
mod watches;

use std::ops::Index;
use std::sync::Arc;
use std::task::Waker;

use super::jobs::{Job, Jobs, StatusKey};
use super::time::{Time, nanos};
use super::{RuntimeKey, WaitOptions};
use crate::options::Resumed;
use crate::util::interner::{Interned, Interner};
use crate::util::key_map::KeyMap;
use crate::util::slab::{Key, Slab};
use crate::{Outcome, Policy, Progress};

use self::earlier::Departed;
pub(super) use self::earlier::Polling;
pub(crate) use self::pending::Pending;
pub(super) use self::pending::PendingJob;

/// How long before its deadline a wait polls for the last time, unless a quarter of its timeout is shorter.
const LAST_POLL_NANOS: u64 = 1_000_000_000;

pub(super) type PolicyKey = Key<Interned<Arc<Policy>>>;

/// The interest of one watch in one job, in one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Wait {
    pub(super) started: Time,
    pub(super) deadline: Time,
    pub(super) policy: PolicyKey,
    /// None once the wait has ended.
    pub(super) job: Option<Key<Job>>,
    pub(super) watch: Key<Watch>,
    prev_in_job: Option<Key<Self>>,
    next_in_job: Option<Key<Self>>,
    prev_in_watch: Option<Key<Self>>,
    next_in_watch: Option<Key<Self>>,
    next_ready: Option<Key<Self>>,
    /// The status that the consumer heard last.
    pub(super) last_reported: Option<StatusKey>,
    /// The job's polls when the wait began, without one in flight: its answer counts for the wait.
    polls_before: u32,
    /// The generation of its timer.
    pub(super) generation: u32,
    /// Whether the time for its last poll has come.
    pub(super) is_last_poll_due: bool,
    /// Whether it is in its watch's list of those with updates.
    is_ready: bool,
    /// Whether the last change before its end was reported.
    pub(super) has_reported_end_state: bool,
    /// Whether a failure is to be reported, should the job still be failing when the consumer asks.
    pub(super) reports_failure: bool,
}

/// A consumer's set of waits.
#[derive(Debug)]
pub(super) struct Watch {
    generation: u32,
    /// Its waits, in the order in which they were added.
    first: Option<Key<Wait>>,
    last: Option<Key<Wait>>,
    /// Its waits with updates, in the order in which they got them.
    first_ready: Option<Key<Wait>>,
    last_ready: Option<Key<Wait>>,
    waker: Option<Waker>,
    /// Handles that can still add jobs.
    handles: usize,
    /// Whether only ends are reported to the consumer.
    ends_only: bool,
    /// Whether its consumer has gone, and its waits are being removed.
    is_closing: bool,
    /// The runtime on which it was polled last.
    runtime: Option<RuntimeKey>,
    /// For jobs without options of their own.
    options: WaitOptions,
    /// None before its first poll.
    started: Option<Time>,
    pub(super) pending: Box<Pending>,
    progress: Progress,
}

/// Bad answers since a wait began, where a verdict depends on them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WaitFailures {
    /// Not-found answers without a status between them, and when the first one came.
    pub(super) not_found: u32,
    pub(super) not_found_since: Time,
    /// Transient failures in a row, and in total.
    pub(super) in_a_row: u32,
    pub(super) in_total: u32,
    /// Unexpected answers without a status or a not-found answer between them, and when the first one came.
    pub(super) unexpected: u32,
    pub(super) unexpected_since: Time,
}

/// What the age of a job is worth to a wait that began later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadStart {
    /// The age when the wait began, in nanoseconds.
    pub(super) age: u64,
    /// How many delays of the schedule had passed then.
    pub(super) delays: u32,
}

/// The last look of a wait whose deadline passed while the process was suspended (rule 5).
#[derive(Clone, Copy, Debug)]
pub(super) struct LastLook {
    /// Only the answer to a request sent since then counts.
    pub(super) since: Time,
    pub(super) until: Time,
}

const _: () = assert!(size_of::<Option<Wait>>() == 64, "one cache line, without a tag");

#[derive(Debug)]
pub(super) struct Waits {
    waits: Slab<Wait>,
    watches: Slab<Watch>,
    policies: Interner<Arc<Policy>>,
    /// How waits ended, until that is reported.
    outcomes: KeyMap<Wait, Outcome>,
    failures: KeyMap<Wait, WaitFailures>,
    last_looks: KeyMap<Wait, LastLook>,
    head_starts: KeyMap<Wait, HeadStart>,
    /// The ages of jobs when waits began, in nanoseconds, as other waits on them know or knew them.
    older_ages: KeyMap<Wait, u64>,
    departed: KeyMap<Job, Departed>,
    /// The kinds of the jobs that have one.
    kinds: KeyMap<Wait, Arc<str>>,
    /// What earlier waits knew, for those that resume one.
    resumed: KeyMap<Wait, Arc<Resumed>>,
    /// The details that consumers heard last.
    reported_details: KeyMap<Wait, Arc<str>>,
    /// Waits that have not ended.
    live: usize,
    /// Which waits and watches were polled last on which runtime, by `RuntimeKey`.
    on_runtime: Vec<OnRuntime>,
    /// The policy acquired last: most waits share it.
    recent_policy: Option<PolicyKey>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OnRuntime {
    live_waits: usize,
    watches: usize,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self {
            waits: Slab::new(),
            watches: Slab::new(),
            policies: Interner::new(),
            outcomes: KeyMap::default(),
            failures: KeyMap::default(),
            last_looks: KeyMap::default(),
            head_starts: KeyMap::default(),
            older_ages: KeyMap::default(),
            departed: KeyMap::default(),
            kinds: KeyMap::default(),
            resumed: KeyMap::default(),
            reported_details: KeyMap::default(),
            live: 0,
            on_runtime: Vec::new(),
            recent_policy: None,
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn live_on(&self, runtime: RuntimeKey) -> usize {
        self.on_runtime.get(runtime.0).map_or(0, |counts| counts.live_waits)
    }

    pub(super) fn has_watches_on(&self, runtime: RuntimeKey) -> bool {
        self.on_runtime.get(runtime.0).is_some_and(|counts| counts.watches > 0)
    }

    pub(super) fn get(&self, key: Key<Wait>) -> Option<&Wait> {
        self.waits.get(key)
    }

    pub(super) fn get_mut(&mut self, key: Key<Wait>) -> Option<&mut Wait> {
        self.waits.get_mut(key)
    }

    /// Returns whether a wait has not ended.
    pub(super) fn is_live(&self, key: Key<Wait>, generation: u32) -> bool {
        self.waits.get(key).is_some_and(|wait| wait.generation == generation && wait.job.is_some())
    }

    /// Returns the waits on a job, the newest first.
    pub(super) fn on<'a>(&'a self, job: &Job) -> impl Iterator<Item = (Key<Wait>, &'a Wait)> {
        let pair = |key: Key<Wait>| self.waits.get(key).map(|wait| (key, wait));
        std::iter::successors(job.first_wait.and_then(pair), move |(_, wait)| {
            wait.next_in_job.and_then(pair)
        })
    }

    pub(super) fn policy(&self, wait: &Wait) -> &Policy {
        &self.policies[wait.policy]
    }

    /// Adds a wait on a job, as the newest one there and the last one in its watch.
    pub(super) fn insert(
        &mut self,
        jobs: &mut Jobs,
        job: Key<Job>,
        watch: Key<Watch>,
        (options, started): (&WaitOptions, Time),
        generation: u32,
    ) -> Key<Wait> {
        let policy = self.acquire_policy(&options.policy);
        let entry = &mut jobs[job];
        let previous = self.watches[watch].last;
        let key = self.waits.insert(Wait {
            started,
            deadline: started.after(options.timeout()),
            policy,
            job: Some(job),
            watch,
            prev_in_job: None,
            next_in_job: entry.first_wait,
            prev_in_watch: previous,
            next_in_watch: None,
            next_ready: None,
            last_reported: None,
            polls_before: entry.polls - u32::from(entry.is_in_flight()),
            generation,
            is_last_poll_due: false,
            is_ready: false,
            has_reported_end_state: false,
            reports_failure: false,
        });
        if let Some(next) = entry.first_wait.replace(key) {
            let next = &mut self.waits[next];
            next.prev_in_job = Some(key);
            // An older job's wait asks for longer delays, though it is the youngest.
            let is_mixed = next.policy != policy || next.started > started;
            entry.has_mixed_plans |= is_mixed || !options.since.is_zero();
        }
        if !options.since.is_zero() {
            let delays = options.policy.schedule.delays_until(options.since);
            self.head_starts.insert(key, HeadStart { age: nanos(options.since), delays });
        }
        if let Some(kind) = &options.kind {
            self.kinds.insert(key, Arc::clone(kind));
        }
        if let Some(resumed) = &options.resumed {
            // Its first poll came at once, so that it may ask for shorter delays than a younger wait.
            jobs[job].has_mixed_plans = true;
            self.waits[key].last_reported = jobs.acquire_status(resumed.status.as_ref());
            self.resumed.insert(key, Arc::clone(resumed));
        }
        let watch = &mut self.watches[watch];
        watch.last = Some(key);
        match previous {
            Some(previous) => self.waits[previous].next_in_watch = Some(key),
            None => watch.first = Some(key),
        }
        self.live += 1;
        if let Some(counts) = watch.runtime.and_then(|runtime| self.on_runtime.get_mut(runtime.0)) {
            counts.live_waits += 1;
        }
        key
    }

    fn acquire_policy(&mut self, policy: &Arc<Policy>) -> PolicyKey {
        let recent = self.recent_policy.filter(|&recent| {
            self.policies.get(recent).is_some_and(|known| Arc::ptr_eq(known, policy))
        });
        let key = match recent {
            Some(recent) => self.policies.share(recent),
            None => self.policies.acquire(policy),
        };
        self.recent_policy = Some(key);
        key
    }

    /// Takes a wait off its job: it is no longer live.
    pub(super) fn leave_job(&mut self, jobs: &mut Jobs, key: Key<Wait>) -> Option<Key<Job>> {
        let wait = &mut self.waits[key];
        let (prev, next, watch) = (wait.prev_in_job.take(), wait.next_in_job.take(), wait.watch);
        let job = wait.job.take()?;
        match prev {
            Some(prev) => self.waits[prev].next_in_job = next,
            None => jobs[job].first_wait = next,
        }
        if let Some(next) = next {
            self.waits[next].prev_in_job = prev;
        }
        jobs[job].is_plan_stale = true;
        self.live -= 1;
        let runtime = self.watches[watch].runtime;
        if let Some(counts) = runtime.and_then(|runtime| self.on_runtime.get_mut(runtime.0)) {
            counts.live_waits -= 1;
        }
        remove_rare(&mut self.failures, key);
        remove_rare(&mut self.last_looks, key);
        remove_rare(&mut self.reported_details, key);
        remove_rare(&mut self.older_ages, key);
        if jobs[job].first_wait.is_none() {
            remove_rare(&mut self.departed, job);
        }
        Some(job)
    }

    /// Takes a wait out of its watch and forgets it. It is off its job, not in the list of those with updates, and its
    /// outcome has been taken.
    pub(super) fn remove(&mut self, jobs: &mut Jobs, key: Key<Wait>) {
        let Some(wait) = self.waits.remove(key) else { return };
        debug_assert!(
            wait.job.is_none() && !wait.is_ready,
            "a wait is removed last from its watch"
        );
        let watch = &mut self.watches[wait.watch];
        match wait.prev_in_watch {
            Some(prev) => self.waits[prev].next_in_watch = wait.next_in_watch,
            None => watch.first = wait.next_in_watch,
        }
        match wait.next_in_watch {
            Some(next) => self.waits[next].prev_in_watch = wait.prev_in_watch,
            None => watch.last = wait.prev_in_watch,
        }
        // A checkpoint needs them until the end has been reported.
        remove_rare(&mut self.head_starts, key);
        remove_rare(&mut self.kinds, key);
        remove_rare(&mut self.resumed, key);
        self.policies.release(wait.policy);
        jobs.release_status(wait.last_reported);
    }

    /// Returns the wait of a watch on a job. Follows the lists of both in step, so the shorter one bounds the search.
    pub(super) fn find(&self, watch: Key<Watch>, key: Key<Job>, job: &Job) -> Option<Key<Wait>> {
        let of_watch =
            std::iter::successors(self.watches[watch].first, |&wait| self.next_in_watch(wait));
        let mut pairs = self.on(job).map(|(wait, _)| wait).zip(of_watch);
        pairs.find_map(|(of_job, of_watch)| {
            [of_job, of_watch]
                .into_iter()
                .find(|&wait| self[wait].watch == watch && self[wait].job == Some(key))
        })
    }

    /// Returns the wait of a watch with this key and generation or, if it was removed, the first one that was added after
    /// it. Generations grow in the order of adding.
    pub(super) fn find_from(
        &self,
        watch: Key<Watch>,
        key: Key<Wait>,
        generation: u32,
    ) -> Option<Key<Wait>> {
        if self.get(key).is_some_and(|wait| wait.generation == generation) {
            return Some(key);
        }
        let is_before =
            |&wait: &Key<Wait>| self[wait].generation.wrapping_sub(generation) > u32::MAX / 2;
        std::iter::successors(self.watches[watch].first, |&wait| self.next_in_watch(wait))
            .find(|wait| !is_before(wait))
    }

    pub(super) fn set_outcome(&mut self, key: Key<Wait>, outcome: Outcome) {
        self.outcomes.insert(key, outcome);
    }

    pub(super) fn outcome(&self, key: Key<Wait>) -> Option<&Outcome> {
        if self.outcomes.is_empty() { None } else { self.outcomes.get(&key) }
    }

    pub(super) fn take_outcome(&mut self, key: Key<Wait>) -> Option<Outcome> {
        remove_rare(&mut self.outcomes, key)
    }

    /// Returns the bad answers that count against a wait, to be changed.
    pub(super) fn failures_mut(&mut self, key: Key<Wait>) -> &mut WaitFailures {
        self.failures.entry(key).or_default()
    }

    /// Ends the rows of bad answers for the waits on a job, because a status was observed.
    pub(super) fn end_rows(&mut self, job: &Job) {
        let mut next = job.first_wait;
        while let Some(key) = next {
            if let Some(failures) = self.failures.get_mut(&key) {
                *failures = WaitFailures { in_total: failures.in_total, ..WaitFailures::default() };
            }
            next = self.waits[key].next_in_job;
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    pub(super) fn has_last_looks(&self) -> bool {
        !self.last_looks.is_empty()
    }

    pub(super) fn last_look(&self, key: Key<Wait>) -> Option<LastLook> {
        if self.last_looks.is_empty() { None } else { self.last_looks.get(&key).copied() }
    }

    /// Returns the detail that the consumer of a wait heard last.
    pub(super) fn reported_detail(&self, key: Key<Wait>) -> Option<&Arc<str>> {
        if self.reported_details.is_empty() { None } else { self.reported_details.get(&key) }
    }

    /// Records the detail that the consumer of a wait has heard. Few services tell one.
    pub(super) fn set_reported_detail(&mut self, key: Key<Wait>, detail: Option<Arc<str>>) {
        match detail {
            Some(detail) => drop(self.reported_details.insert(key, detail)),
            None => drop(remove_rare(&mut self.reported_details, key)),
        }
    }

    pub(super) fn set_last_look(&mut self, key: Key<Wait>, look: LastLook) {
        self.last_looks.insert(key, look);
    }

    // The list of waits with updates.

    /// Queues a wait for its consumer, unless only ends are reported and this is none. Returns the waker to be called.
    pub(super) fn mark_ready(&mut self, key: Key<Wait>) -> Option<Waker> {
        let wait = &mut self.waits[key];
        let watch = &mut self.watches[wait.watch];
        if watch.is_closing || (watch.ends_only && wait.job.is_some()) {
            return None;
        }
        if !std::mem::replace(&mut wait.is_ready, true) {
            match watch.last_ready.replace(key) {
                Some(previous) => self.waits[previous].next_ready = Some(key),
                None => watch.first_ready = Some(key),
            }
        }
        watch.waker.take()
    }

    /// Takes the first wait with updates out of the list.
    pub(super) fn pop_ready(&mut self, watch: Key<Watch>) {
        let entry = &mut self.watches[watch];
        let Some(wait) = entry.first_ready.and_then(|first| self.waits.get_mut(first)) else {
            return;
        };
        wait.is_ready = false;
        entry.first_ready = wait.next_ready.take();
        if entry.first_ready.is_none() {
            entry.last_ready = None;
        }
    }

    /// Returns how much room the tables of rare things keep.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        let verdicts = self.outcomes.capacity() + self.failures.capacity();
        let known = self.kinds.capacity() + self.resumed.capacity();
        let starts =
            self.head_starts.capacity() + self.older_ages.capacity() + self.departed.capacity();
        let reported = self.reported_details.capacity() + known;
        verdicts + self.last_looks.capacity() + starts + reported
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> [usize; 5] {
        let verdicts = self.outcomes.len() + self.failures.len();
        let known = self.kinds.len() + self.resumed.len();
        let starts = self.head_starts.len() + self.older_ages.len() + self.departed.len();
        let reported = self.reported_details.len() + known;
        let tables = verdicts + self.last_looks.len() + starts + reported;
        [self.waits.len(), self.watches.len(), self.policies.len(), tables, self.live]
    }

    #[cfg(any(test, debug_assertions))]
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key<Wait>, &Wait)> {
        self.waits.iter()
    }

    pub(super) fn next_in_watch(&self, key: Key<Wait>) -> Option<Key<Wait>> {
        self.waits.get(key)?.next_in_watch
    }
}

/// For keys of waits that are known to exist.
impl Index<Key<Wait>> for Waits {
    type Output = Wait;

    fn index(&self, key: Key<Wait>) -> &Wait {
        &self.waits[key]
    }
}

impl Wait {
    /// Returns whether an older wait is on the same job.
    pub(super) fn has_older(&self) -> bool {
        self.next_in_job.is_some()
    }

    /// Returns when the wait polls for the last time.
    pub(super) fn last_poll(&self) -> Time {
        let timeout = self.deadline.nanos_since(self.started);
        self.deadline.before_nanos(LAST_POLL_NANOS.min(timeout / 4))
    }

    /// Returns whether the wait wants another poll. An answer at or after the time of its last poll was the last one, or
    /// came of a request in flight then (rule 5).
    pub(super) fn wants_poll(&self, job: &Job) -> bool {
        self.answers(job) == 0 || job.last_answer < self.last_poll()
    }

    /// Returns how many answers have come since the wait began.
    pub(super) fn answers(&self, job: &Job) -> u32 {
        self.polls(job).saturating_sub(u32::from(job.is_in_flight()))
    }

    /// Returns how many polls were made for the wait, one in flight included.
    pub(super) fn polls(&self, job: &Job) -> u32 {
        job.polls.saturating_sub(self.polls_before)
    }
}

/// Removes what few waits have. A map hashes even to find itself empty, and keeps the memory of a crowd that has gone.
fn remove_rare<K, T>(map: &mut KeyMap<K, T>, key: Key<K>) -> Option<T> {
    if map.is_empty() {
        return None;
    }
    let removed = map.remove(&key);
    if map.is_empty() && map.capacity() > 1_024 {
        *map = KeyMap::default();
    }
    removed
}

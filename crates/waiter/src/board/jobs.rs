//! What the board knows of each job id, shared by all waits on it.

use std::borrow::Cow;
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use super::attempts::Step;
use super::forgotten::Forgotten;
use super::requests::Request;
use super::time::Time;
use super::waits::Wait;
use super::{Deferred, jitter};
use crate::state::ServerTime;
use crate::util::interner::{Interned, Interner};
use crate::util::key_map::KeyMap;
use crate::util::slab::{Key, Slab};
use crate::{JobId, JobState, Phase, SourceError};

/// A status in the service's own words, and what the source makes of it.
pub(super) type Status = (Phase, Cow<'static, str>);
pub(super) type StatusKey = Key<Interned<Status>>;

/// What each poll of a job needs, in one cache line: among a million jobs each line that a poll touches costs as much as
/// all that it computes.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Job {
    pub(super) id: JobId,
    /// When the next poll is due. Means nothing while a request is in flight.
    pub(super) due: Time,
    /// When the last answer came, good or bad, or the last attempt was given up; for a job without polls, when its id was
    /// polled last before the board forgot it.
    pub(super) last_answer: Time,
    pub(super) stage: Stage,
    /// None until a status was observed.
    pub(super) status: Option<StatusKey>,
    /// Requests sent.
    pub(super) polls: u32,
    /// The newest wait; each links to the next older one. None only while its request is about to be aborted.
    pub(super) first_wait: Option<Key<Wait>>,
    /// The generation of the job's timer. Timers of other generations are stale.
    pub(super) timer_generation: u32,
    /// Whether its waits have different policies, or were not added in the order in which they started.
    pub(super) has_mixed_plans: bool,
    /// Whether some wait may have come to its last poll, and not made it.
    pub(super) has_last_poll: bool,
    /// Whether a wait was removed since `due` was computed, which may therefore be too early.
    pub(super) is_plan_stale: bool,
    /// Whether the next poll is due as soon as the minimum interval allows: a handle asked for that, or the last request
    /// was given up and says nothing of the service.
    pub(super) is_due_now: bool,
    /// How the poll was planned that would see it first.
    pub(super) first_poll: FirstPoll,
    /// Whether the job's `JobCold` holds times.
    has_times: bool,
}

/// Where a job is between two polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its timer is set to `due`, unless it is never due.
    Resting,
    /// It is due, and only a budget holds it back.
    Ready {
        /// The generation of its entry in the ready queue. Entries of other generations are stale.
        generation: u32,
        /// Whether it is the last poll of some wait.
        is_last: bool,
        /// Whether it may be overtaken by one whose poll is worth more.
        by_worth: bool,
    },
    /// Its request has been sent.
    InFlight(Key<Request>),
}

/// How plans have the first poll of a job. Noted where schedules learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstPoll {
    Unplanned,
    /// When past jobs say.
    AsPlanned,
    /// As early as their fallbacks, because nothing good was heard of the source lately.
    Early,
    /// One or the other: it was planned again.
    Unknown,
}

/// Server times, which few polls read. It has the index of its job.
#[derive(Debug)]
struct JobCold {
    begin: ServerTime,
    answered: ServerTime,
}

/// Parts of a state that few services tell before a job's end.
#[derive(Debug)]
struct JobDetails {
    end: ServerTime,
    detail: Option<Arc<str>>,
    /// When a state was reported from outside, if that was after the last answer.
    reported: Time,
}

/// Bad answers since the last good one.
#[derive(Debug)]
pub(super) struct FailureState {
    /// The last one.
    pub(super) error: SourceError,
    /// Transient failures in a row.
    pub(super) failures: u32,
    /// When the last good answer came, if there was one.
    last_success: Time,
}

/// How a new state differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Phase and status are the same.
    None,
    /// The phase is another, the status reads the same.
    Phase,
    Status,
}

const _: () = assert!(size_of::<Option<Job>>() == 64, "one cache line, without a tag");
const _: () = assert!(size_of::<Option<JobCold>>() == 16, "no tag");

/// All jobs, with what is rarely known of them in side tables.
#[derive(Debug)]
pub(super) struct Jobs {
    seed: u64,
    jobs: Slab<Job>,
    /// Invariant: has an entry under the key of each job.
    cold: Slab<JobCold>,
    /// Jobs by the hash of their id, which only the job itself stores.
    index: HashTable<Key<Job>>,
    statuses: Interner<Status>,
    details: KeyMap<Job, JobDetails>,
    failures: KeyMap<Job, FailureState>,
    /// How far the attempt timeouts of single jobs have grown, where they have.
    attempt_steps: KeyMap<Job, Step>,
    forgotten: Forgotten,
}

impl Jobs {
    pub(super) fn new(seed: u64, min_interval: Duration) -> Self {
        Self {
            seed,
            jobs: Slab::new(),
            cold: Slab::new(),
            index: HashTable::new(),
            statuses: Interner::new(),
            details: KeyMap::default(),
            failures: KeyMap::default(),
            attempt_steps: KeyMap::default(),
            forgotten: Forgotten::new(min_interval),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn get(&self, key: Key<Job>) -> Option<&Job> {
        self.jobs.get(key)
    }

    pub(super) fn keys(&self) -> Vec<Key<Job>> {
        self.jobs.keys()
    }

    pub(super) fn find(&self, id: &str) -> Option<Key<Job>> {
        let hash = jitter::hash_id(self.seed, id);
        self.index.find(hash, |&key| self.jobs[key].id.as_str() == id).copied()
    }

    /// Returns the hash from which the jitter of a job is drawn.
    pub(super) fn hash(&self, job: &Job) -> u64 {
        jitter::hash_id(self.seed, job.id.as_str())
    }

    pub(super) fn insert(&mut self, now: Time, id: JobId) -> Key<Job> {
        let hash = jitter::hash_id(self.seed, id.as_str());
        let last_answer = self.forgotten.last_poll(now, hash).unwrap_or(Time::ZERO);
        let key = self.jobs.insert(Job {
            id,
            due: Time::NEVER,
            last_answer,
            stage: Stage::Resting,
            status: None,
            polls: 0,
            first_wait: None,
            timer_generation: 0,
            has_mixed_plans: false,
            has_last_poll: false,
            is_plan_stale: false,
            is_due_now: false,
            first_poll: FirstPoll::Unplanned,
            has_times: false,
        });
        let cold = JobCold { begin: ServerTime::NONE, answered: ServerTime::NONE };
        let cold = self.cold.insert(cold);
        debug_assert_eq!(cold, key.cast(), "both slabs grow and shrink in step");
        let (jobs, seed) = (&self.jobs, self.seed);
        let rehash = |&key: &Key<Job>| jitter::hash_id(seed, jobs[key].id.as_str());
        self.index.insert_unique(hash, key, rehash);
        key
    }

    /// Forgets a job: a new wait on its id starts afresh (rule 3), but for the minimum interval (rule 4).
    pub(super) fn remove(&mut self, now: Time, key: Key<Job>, deferred: &mut Vec<Deferred>) {
        self.forget_state(key, deferred);
        self.set_attempt_step(key, Step::default());
        let Some(job) = self.jobs.remove(key) else { return };
        self.cold.remove(key.cast());
        let hash = jitter::hash_id(self.seed, job.id.as_str());
        if job.polls > 0 {
            let last = if job.is_in_flight() { now } else { job.last_answer };
            // Zero stands for none.
            self.forgotten.record(now, hash, last.max(Time::ZERO.after_nanos(1)));
        }
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
        if self.index.len() * 8 + 64 < self.index.capacity() {
            let (jobs, seed) = (&self.jobs, self.seed);
            self.index.shrink_to_fit(|&key| jitter::hash_id(seed, jobs[key].id.as_str()));
        }
    }

    /// Replaces the state of a job. `reported` is the time at which a state was reported from outside, none for an answer.
    /// Returns how it differs, and whether it has another detail.
    pub(super) fn record_state(
        &mut self,
        key: Key<Job>,
        state: &JobState,
        reported: Option<Time>,
    ) -> (Change, bool) {
        let has_other_detail = self.detail(key).map(|detail| &**detail) != state.detail.as_deref();
        if state.end.is_some() || state.detail.is_some() || reported.is_some() {
            let (end, detail) = (state.end.into(), state.detail.clone());
            let reported = reported.unwrap_or(Time::ZERO);
            self.details.insert(key, JobDetails { end, detail, reported });
        } else {
            self.clear_details(key);
        }
        let job = &mut self.jobs[key];
        if job.has_times || state.begin.is_some() || state.answered.is_some() {
            job.has_times = true;
            let (begin, answered) = (state.begin.into(), state.answered.into());
            self.cold[key.cast()] = JobCold { begin, answered };
        }
        let before = job.status.map(|status| &self.statuses[status]);
        if before.is_some_and(|(phase, text)| (*phase, text) == (state.phase, &state.status)) {
            return (Change::None, has_other_detail);
        }
        let change = match before {
            Some((_, text)) if *text == state.status => Change::Phase,
            Some(_) | None => Change::Status,
        };
        let status = self.statuses.acquire(&(state.phase, state.status.clone()));
        if let Some(before) = job.status.replace(status) {
            self.statuses.release(before);
        }
        (change, has_other_detail)
    }

    /// Returns the detail of the last known state of a job.
    pub(super) fn detail(&self, key: Key<Job>) -> Option<&Arc<str>> {
        if self.details.is_empty() { None } else { self.details.get(&key)?.detail.as_ref() }
    }

    /// Drops the last known state of a job.
    pub(super) fn forget_state(&mut self, key: Key<Job>, deferred: &mut Vec<Deferred>) {
        self.clear_failure(key, deferred);
        self.clear_details(key);
        if let Some(status) = self.jobs[key].status.take() {
            self.statuses.release(status);
        }
    }

    fn clear_details(&mut self, key: Key<Job>) {
        if !self.details.is_empty()
            && self.details.remove(&key).is_some()
            && self.details.is_empty()
        {
            self.details.shrink_to(64);
        }
    }

    /// Returns the last known state of a job.
    pub(super) fn state(&self, key: Key<Job>) -> Option<JobState> {
        let job = &self.jobs[key];
        let (phase, status) = self.statuses[job.status?].clone();
        let cold = job.has_times.then(|| &self.cold[key.cast()]);
        let details = if self.details.is_empty() { None } else { self.details.get(&key) };
        Some(JobState {
            phase,
            status,
            begin: cold.and_then(|cold| cold.begin.into()),
            end: details.and_then(|details| details.end.into()),
            answered: cold.and_then(|cold| cold.answered.into()),
            detail: details.and_then(|details| details.detail.clone()),
        })
    }

    /// Records a bad answer. Returns whether that is worth a report: the answers for the job were good before, or bad in
    /// another way.
    pub(super) fn record_failure(
        &mut self,
        key: Key<Job>,
        error: SourceError,
        deferred: &mut Vec<Deferred>,
    ) -> bool {
        let last_success = self.last_success(key);
        let (mut is_new, class) = (true, error.class());
        let state = match self.failures.get_mut(&key) {
            Some(state) => {
                is_new = !state.error.class().same_class(class);
                deferred.push(Deferred::Error(std::mem::replace(&mut state.error, error)));
                state
            }
            None => {
                let state = FailureState { error, failures: 0, last_success };
                self.failures.entry(key).or_insert(state)
            }
        };
        if class.is_transient() {
            state.failures = state.failures.saturating_add(1);
        } else if class.is_not_found() {
            state.failures = 0;
        }
        is_new
    }

    /// Forgets that the answers for a job were bad.
    pub(super) fn clear_failure(&mut self, key: Key<Job>, deferred: &mut Vec<Deferred>) {
        // Every good answer passes here, and a map hashes even to find itself empty.
        if self.failures.is_empty() {
            return;
        }
        deferred.extend(self.failures.remove(&key).map(|state| Deferred::Error(state.error)));
        if self.failures.is_empty() {
            self.failures.shrink_to(64);
        }
    }

    pub(super) fn failure(&self, key: Key<Job>) -> Option<&FailureState> {
        if self.failures.is_empty() { None } else { self.failures.get(&key) }
    }

    /// Returns how far the timeout of the job's attempts has grown.
    pub(super) fn attempt_step(&self, key: Key<Job>) -> Step {
        if self.attempt_steps.is_empty() {
            return Step::default();
        }
        self.attempt_steps.get(&key).copied().unwrap_or_default()
    }

    pub(super) fn set_attempt_step(&mut self, key: Key<Job>, step: Step) {
        if step != Step::default() {
            self.attempt_steps.insert(key, step);
        } else if !self.attempt_steps.is_empty()
            && self.attempt_steps.remove(&key).is_some()
            && self.attempt_steps.is_empty()
        {
            self.attempt_steps.shrink_to(64);
        }
    }

    /// Returns the error of the last answer, if that was bad.
    pub(super) fn cause(&self, key: Key<Job>) -> Option<SourceError> {
        self.failure(key).map(|state| state.error.clone())
    }

    /// Returns when the last known state was observed, if there is one.
    fn last_success(&self, key: Key<Job>) -> Time {
        let answered =
            self.failure(key).map_or(self.jobs[key].last_answer, |state| state.last_success);
        let reported = if self.details.is_empty() { None } else { self.details.get(&key) };
        reported.map_or(answered, |details| details.reported.max(answered))
    }

    /// Returns when the last known state was observed; none if there is no state.
    pub(super) fn observed(&self, key: Key<Job>) -> Option<Time> {
        self.jobs[key].status.map(|_| self.last_success(key))
    }

    /// Returns between which ages a job was at the last answer by the server's clock, in seconds; none if it gave no times.
    pub(super) fn claimed_age(&self, key: Key<Job>) -> Option<(f64, f64)> {
        if !self.jobs[key].has_times {
            return None;
        }
        let cold = &self.cold[key.cast()];
        let age = cold.answered.secs_since(cold.begin)?;
        // The time of an answer is mostly cut to a second.
        Some((age, if cold.answered.is_whole_second() { age + 1.0 } else { age }))
    }

    /// Returns when the job began, as the last answer with a state says.
    pub(super) fn begin(&self, key: Key<Job>) -> ServerTime {
        if self.jobs[key].has_times { self.cold[key.cast()].begin } else { ServerTime::NONE }
    }

    /// Returns how long ago the last known state was observed; none if there is no state.
    pub(super) fn age(&self, key: Key<Job>, now: Time) -> Option<Duration> {
        self.observed(key).map(|observed| now.since(observed))
    }

    pub(super) fn text(&self, status: Option<StatusKey>) -> Option<Cow<'static, str>> {
        status.map(|status| self.statuses[status].1.clone())
    }

    pub(super) fn status(&self, status: Option<StatusKey>) -> Option<Status> {
        status.map(|status| self.statuses[status].clone())
    }

    pub(super) fn reads_the_same(&self, one: Option<StatusKey>, other: Option<StatusKey>) -> bool {
        let text = |status: Option<StatusKey>| status.map(|status| &self.statuses[status].1);
        one == other || text(one) == text(other)
    }

    pub(super) fn acquire_status(&mut self, status: Option<&Status>) -> Option<StatusKey> {
        status.map(|status| self.statuses.acquire(status))
    }

    pub(super) fn share_status(&mut self, status: Option<StatusKey>) -> Option<StatusKey> {
        status.map(|status| self.statuses.share(status))
    }

    pub(super) fn release_status(&mut self, status: Option<StatusKey>) {
        if let Some(status) = status {
            self.statuses.release(status);
        }
    }

    /// Returns how much room the index and the tables of rare things keep.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        let tables = self.details.capacity() + self.failures.capacity();
        self.index.capacity() + tables + self.attempt_steps.capacity() + self.forgotten.room()
    }

    #[cfg(test)]
    pub(super) fn count_statuses(&self) -> usize {
        self.statuses.len()
    }
}

/// For keys of jobs that are known to exist.
impl Index<Key<Job>> for Jobs {
    type Output = Job;

    fn index(&self, key: Key<Job>) -> &Job {
        &self.jobs[key]
    }
}

impl IndexMut<Key<Job>> for Jobs {
    fn index_mut(&mut self, key: Key<Job>) -> &mut Job {
        &mut self.jobs[key]
    }
}

impl Job {
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.stage, Stage::InFlight(_))
    }
}

//! When to look at what: the timers of jobs and waits, and the jobs that are ready to be polled.

use std::hint::black_box;
use std::iter::once;

use super::jobs::{Job, Jobs, Stage};
use super::time::Time;
use super::waits::{Wait, Waits};
use super::worth::{Candidate, Standing, Worth};
use crate::util::ordered_queue::OrderedQueue;
use crate::util::ranking::Ranking;
use crate::util::slab::Key;
use crate::util::timer_queue::{Timer, TimerQueue};

/// The most jobs that are prefetched together before they are woken.
const PREFETCH: usize = 16;
/// The most stale candidates that are removed at once.
const STALE: usize = 8;

/// The agenda of the board.
///
/// Each resting job that is due some time has one current timer, for its next poll. Each live wait with a deadline has
/// one current timer, for its last poll and then for its deadline; it is set when the wait begins, so no event in a
/// job's life can leave a wait without it. Requests have theirs in `Requests`.
#[derive(Debug)]
pub(super) struct Agenda {
    polls: TimerQueue<Key<Job>>,
    deadlines: TimerQueue<Key<Wait>>,
    /// Ready jobs that make the last poll of some wait, the longest due first.
    last_polls: OrderedQueue<ReadyEntry>,
    /// Ready jobs of the schedule, the longest due first.
    scheduled: OrderedQueue<ReadyEntry>,
    /// Those of them that give their turn to the one whose poll is worth most.
    candidates: Ranking<Candidate>,
    /// Whether the last poll made overtook scheduled ones.
    has_overtaken: bool,
    /// How many of the next poll timers have been prefetched.
    prefetched: usize,
    generation: u32,
}

/// Whose turn it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Whether a last poll overtook scheduled ones.
    has_overtaken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ReadyEntry {
    due: Time,
    job: Key<Job>,
    generation: u32,
}

impl Agenda {
    pub(super) const fn new() -> Self {
        Self {
            polls: TimerQueue::new(),
            deadlines: TimerQueue::new(),
            last_polls: OrderedQueue::new(),
            scheduled: OrderedQueue::new(),
            candidates: Ranking::new(),
            has_overtaken: false,
            prefetched: 0,
            generation: 0,
        }
    }

    /// Returns a number that no entry of the agenda, no request and no watch has.
    pub(super) fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    /// Lets a job rest until its next poll is due.
    pub(super) fn rest(&mut self, job: &mut Job, key: Key<Job>, due: Time) {
        let generation = self.next_generation();
        job.due = due;
        job.stage = Stage::Resting;
        job.timer_generation = generation;
        self.polls.push(Timer { at: due, key, generation });
    }

    /// Queues a job whose poll is due, since `due`. `standing` says what its poll is worth, if that decides, and it is not the
    /// last one of a wait.
    pub(super) fn make_ready(
        &mut self,
        (job, key): (&mut Job, Key<Job>),
        due: Time,
        is_last: bool,
        standing: Option<Standing>,
    ) {
        let generation = self.next_generation();
        let standing = standing.filter(|_| !is_last);
        job.due = due;
        job.timer_generation = generation;
        job.stage = Stage::Ready { generation, is_last, by_worth: standing.is_some() };
        let queue = if is_last { &mut self.last_polls } else { &mut self.scheduled };
        queue.push(ReadyEntry { due, job: key, generation });
        if let Some(standing) = standing {
            self.candidates.push(Candidate { job: key, generation, standing });
        }
    }

    /// Sets the current timer of a wait.
    pub(super) fn set_deadline(&mut self, key: Key<Wait>, generation: u32, at: Time) {
        self.deadlines.push(Timer { at, key, generation });
    }

    /// Returns the next wait whose timer is due.
    pub(super) fn pop_deadline(&mut self, now: Time, waits: &Waits) -> Option<Key<Wait>> {
        while let Some(timer) = self.deadlines.pop_due(now) {
            if is_current_wait(waits, &timer) {
                return Some(timer.key);
            }
        }
        None
    }

    /// Returns the next job whose poll timer is due.
    pub(super) fn pop_poll(&mut self, now: Time, jobs: &Jobs, waits: &Waits) -> Option<Key<Job>> {
        while let Some(timer) = self.polls.pop_due(now) {
            if self.prefetched == 0 {
                self.prefetch(timer, jobs, waits);
            }
            self.prefetched -= 1;
            if is_current_job(jobs, &timer) {
                return Some(timer.key);
            }
        }
        None
    }

    /// Reads a little of all that polling the next jobs is going to read. Among a million jobs each first read is a
    /// cache miss, and the processor can wait for many of them at once, but only if none depends on
    /// the others' work.
    fn prefetch(&mut self, timer: Timer<Key<Job>>, jobs: &Jobs, waits: &Waits) {
        let mut keys = [None; PREFETCH];
        for (key, next) in keys.iter_mut().zip(once(&timer).chain(self.polls.upcoming())) {
            *key = Some(next.key);
            self.prefetched += 1;
        }
        let upcoming = || keys.iter().flatten().filter_map(|&key| jobs.get(key));
        let mut first_waits = [None; PREFETCH];
        for (wait, job) in first_waits.iter_mut().zip(upcoming()) {
            *wait = job.first_wait;
        }
        for wait in first_waits.into_iter().flatten() {
            black_box(waits.get(wait).map(|wait| wait.deadline));
        }
        for job in upcoming() {
            black_box(job.id.touch());
        }
    }

    /// Takes the ready job to be polled next, with the turn to [note](Self::note_turn) if it is polled.
    ///
    /// Last polls overtake scheduled ones, but never two in a row: waits with short timeouts that are made again and
    /// again leave at least every other poll to the others (rule 5).
    pub(super) fn pop_ready(&mut self, jobs: &Jobs) -> Option<(Key<Job>, Turn)> {
        loop {
            let overtakes = !self.last_polls.is_empty() && !self.scheduled.is_empty();
            let from_last = if overtakes { !self.has_overtaken } else { self.scheduled.is_empty() };
            let queue = if from_last { &mut self.last_polls } else { &mut self.scheduled };
            let entry = queue.pop()?;
            if is_ready(jobs, &entry) {
                return Some((entry.job, Turn { has_overtaken: overtakes && from_last }));
            }
        }
    }

    /// Notes that a job taken is polled. One whose waits have changed is looked at again instead, and has had no turn.
    pub(super) fn note_turn(&mut self, turn: Turn) {
        self.has_overtaken = turn.has_overtaken;
    }

    /// Takes the candidate whose poll is worth most, if another than `first` is. That one, which was taken from the queue of
    /// scheduled polls, gets its place there, unless that one is to be looked at again.
    ///
    /// So candidates as a whole are polled as often as if all were polled in the order in which they became due, and jobs
    /// that are none notice nothing of the order among those that are.
    pub(super) fn pop_worthiest(
        &mut self,
        jobs: &mut Jobs,
        first: Key<Job>,
        worth: impl Fn(&Candidate) -> Worth,
    ) -> Option<Key<Job>> {
        self.compact_candidates(jobs);
        let is_candidate = |candidate: &Candidate| is_current_candidate(jobs, candidate);
        // Stale ones end here. A crowd of them must not hold the lock.
        let mut popped = (0..STALE).map_while(|_| self.candidates.pop(&worth));
        let best = popped.find(is_candidate)?.job;
        if best == first {
            return None;
        }
        let place = if jobs[best].is_plan_stale { jobs[first].due } else { jobs[best].due };
        let job = &mut jobs[first];
        job.due = place;
        let generation = job.timer_generation;
        self.scheduled.push(ReadyEntry { due: place, job: first, generation });
        Some(best)
    }

    /// Returns whether a job may be ready. Stale entries count.
    pub(super) fn has_ready(&self) -> bool {
        !self.last_polls.is_empty() || !self.scheduled.is_empty()
    }

    /// Returns when the earliest timer of a job fires; never if there are none.
    pub(super) fn next_poll(&self) -> Time {
        self.polls.next()
    }

    /// Returns when the earliest timer of a wait fires; never if there are none.
    pub(super) fn next_deadline(&self) -> Time {
        self.deadlines.next()
    }

    /// Removes stale entries once they outnumber the current ones, of one queue at a time: after a crowd has gone each
    /// takes milliseconds, for which the lock is held.
    pub(super) fn compact(&mut self, jobs: &Jobs, waits: &Waits) {
        let is_done = self.polls.compact(jobs.len(), |timer| is_current_job(jobs, timer))
            || self.deadlines.compact(waits.live(), |timer| is_current_wait(waits, timer));
        if !is_done && self.last_polls.len() + self.scheduled.len() > 2 * jobs.len() + 64 {
            self.last_polls.retain(|entry| is_ready(jobs, entry));
            self.scheduled.retain(|entry| is_ready(jobs, entry));
        } else if !is_done {
            self.compact_candidates(jobs);
        }
    }

    /// Removes stale candidates once they outnumber the current ones. They come of polls as well: of those made in the order
    /// in which they became due.
    pub(super) fn compact_candidates(&mut self, jobs: &Jobs) {
        if self.candidates.len() > 2 * jobs.len() + 64 {
            self.candidates.retain(|candidate| is_current_candidate(jobs, candidate));
        }
    }

    /// Empties the agenda, when there is no live wait.
    pub(super) fn clear(&mut self) {
        let generation = self.generation;
        *self = Self { generation, ..Self::new() };
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lengths().into_iter().sum()
    }

    /// Returns how many timers of polls and waits, ready entries and candidates there are, stale ones included.
    #[cfg(test)]
    pub(super) fn lengths(&self) -> [usize; 4] {
        let ready = self.last_polls.len() + self.scheduled.len();
        [self.polls.len(), self.deadlines.len(), ready, self.candidates.len()]
    }

    #[cfg(any(test, debug_assertions))]
    pub(super) fn poll_timers(&self) -> impl Iterator<Item = &Timer<Key<Job>>> {
        self.polls.iter()
    }

    #[cfg(any(test, debug_assertions))]
    pub(super) fn wait_timers(&self) -> impl Iterator<Item = &Timer<Key<Wait>>> {
        self.deadlines.iter()
    }

    #[cfg(any(test, debug_assertions))]
    pub(super) fn ready_jobs(&self, jobs: &Jobs) -> Vec<Key<Job>> {
        let entries = self.last_polls.iter().chain(self.scheduled.iter());
        entries.filter(|entry| is_ready(jobs, entry)).map(|entry| entry.job).collect()
    }

    #[cfg(any(test, debug_assertions))]
    pub(super) fn current_candidates(&self, jobs: &Jobs) -> Vec<Key<Job>> {
        let current = |candidate: &&Candidate| is_current_candidate(jobs, candidate);
        self.candidates.iter().filter(current).map(|candidate| candidate.job).collect()
    }
}

#[cfg(test)]
impl Agenda {
    pub(super) fn current_standings(&self, jobs: &Jobs) -> Vec<(Key<Job>, Standing)> {
        let current = self.candidates.iter().filter(|it| is_current_candidate(jobs, it));
        current.map(|candidate| (candidate.job, candidate.standing)).collect()
    }
}

fn is_ready(jobs: &Jobs, entry: &ReadyEntry) -> bool {
    jobs.get(entry.job).is_some_and(|job| {
        matches!(job.stage, Stage::Ready { generation, .. } if generation == entry.generation)
    })
}

fn is_current_candidate(jobs: &Jobs, candidate: &Candidate) -> bool {
    jobs.get(candidate.job).is_some_and(|job| {
        matches!(job.stage, Stage::Ready { generation, .. } if generation == candidate.generation)
    })
}

fn is_current_job(jobs: &Jobs, timer: &Timer<Key<Job>>) -> bool {
    jobs.get(timer.key).is_some_and(|job| job.timer_generation == timer.generation)
}

fn is_current_wait(waits: &Waits, timer: &Timer<Key<Wait>>) -> bool {
    waits.is_live(timer.key, timer.generation)
}

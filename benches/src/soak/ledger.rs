//! What each job must come to, and what was reported of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cfw_waiter::{JobId, Outcome, WaitErrorKind};

use super::lags::Lags;
use crate::memory;

/// How a job ends. It follows from its number, so that client and server agree without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Succeeds,
    Fails,
    /// Runs on. Its wait has a short timeout.
    Never,
    /// Its source panics.
    Panics,
    /// Is removed from its watch, unless it ends before.
    Removed,
}

impl Fate {
    pub(super) fn of(number: u64, is_in_memory: bool) -> Self {
        match number {
            _ if number.is_multiple_of(37) => Self::Never,
            _ if number % 101 == 2 && is_in_memory => Self::Panics,
            _ if number % 41 == 1 => Self::Removed,
            _ if number.is_multiple_of(5) => Self::Fails,
            _ => Self::Succeeds,
        }
    }

    /// Returns how long a job may be waited for.
    pub(super) fn timeout(self) -> Duration {
        Duration::from_secs(if self == Self::Never { 5 } else { 60 })
    }

    fn allows(self, end: Option<WaitErrorKind>) -> bool {
        match self {
            Self::Succeeds => end.is_none(),
            Self::Fails => end == Some(WaitErrorKind::Failed),
            Self::Never => end == Some(WaitErrorKind::TimedOut),
            Self::Panics => end == Some(WaitErrorKind::Panicked),
            Self::Removed => end.is_none_or(|end| end == WaitErrorKind::Removed),
        }
    }
}

/// A user of the library with jobs of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group(pub(super) usize);

impl Group {
    pub(super) const COUNT: usize = 5;
    /// A watch over HTTP, taken up again from checkpoints.
    pub(super) const WATCH: Self = Self(0);
    /// Waits over HTTP on runtimes that come and go.
    pub(super) const WAITS: Self = Self(1);
    /// Blocking waits over HTTP.
    pub(super) const BLOCKING: Self = Self(2);
    /// A watch of one waiter in memory, on a learned schedule.
    pub(super) const LEARNED: Self = Self(3);
    /// A watch in memory whose waiter is replaced again and again.
    pub(super) const RENEWED: Self = Self(4);

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    pub(super) fn is_in_memory(self) -> bool {
        self.0 >= Self::LEARNED.0
    }

    /// Returns how many jobs of the group live at a time.
    pub(super) fn size(self) -> usize {
        match self {
            Self::WATCH => 900,
            Self::WAITS => 600,
            Self::BLOCKING => 8,
            _ => 5_000,
        }
    }
}

#[derive(Debug)]
struct Entry {
    group: Group,
    /// When its wait ends at the latest; none while it is not waited for.
    deadline: Option<Instant>,
    /// When the job itself ends; none if only the server knows.
    ends: Option<Instant>,
}

/// Counts since the start, but for the lateness and the lags, which are those since the last reading.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) live: usize,
    pub(super) ends: u64,
    /// Waits that were dropped, and whose jobs were waited for anew.
    pub(super) dropped: u64,
    pub(super) resumed: u64,
    pub(super) polls: u64,
    /// Ends that were reported again, or of jobs that were not waited for.
    pub(super) twice: u64,
    /// Jobs without an end long after the deadline of their wait.
    pub(super) lost: u64,
    /// Ends other than those of the job.
    pub(super) wrong: u64,
    /// How long after its deadline an end was heard of.
    pub(super) latest: Duration,
    /// Over HTTP, and in memory.
    pub(super) lags: [Lags; 2],
    /// What went wrong first.
    pub(super) notes: Vec<String>,
}

impl Counts {
    fn note(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < 10 {
            self.notes.push(note());
        }
    }
}

#[derive(Default)]
struct State {
    entries: BTreeMap<u64, Entry>,
    queues: [VecDeque<u64>; Group::COUNT],
    live: [usize; Group::COUNT],
    counts: Counts,
    is_closing: bool,
}

#[derive(Default)]
pub(super) struct Ledger(Mutex<State>);

pub(super) fn id(number: u64) -> JobId {
    memory::id(usize::try_from(number).unwrap_or(usize::MAX))
}

pub(super) fn number(id: &JobId) -> u64 {
    let digits = id.as_str().rsplit('-').next().unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or(u64::MAX)
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job that waits for a user. `ends` is when it ends by itself.
    pub(super) fn enter(&self, group: Group, number: u64, ends: Option<Instant>) {
        let state = &mut *self.lock();
        state.entries.insert(number, Entry { group, deadline: None, ends });
        if let (Some(queue), Some(live)) =
            (state.queues.get_mut(group.0), state.live.get_mut(group.0))
        {
            queue.push_back(number);
            *live += 1;
        }
    }

    /// Takes a job of a group that is not waited for.
    pub(super) fn take(&self, group: Group) -> Option<u64> {
        self.lock().queues.get_mut(group.0)?.pop_front()
    }

    /// Notes that the wait for a job begins. Returns its timeout.
    pub(super) fn begin(&self, number: u64, now: Instant) -> Duration {
        let state = &mut *self.lock();
        let Some(entry) = state.entries.get_mut(&number) else { return Duration::ZERO };
        let timeout = Fate::of(number, entry.group.is_in_memory()).timeout();
        entry.deadline = Some(now + timeout);
        timeout
    }

    /// Notes that a wait was dropped. Its job is waited for again.
    pub(super) fn give_back(&self, number: u64) {
        let state = &mut *self.lock();
        state.counts.dropped += 1;
        if let Some(entry) = state.entries.get_mut(&number)
            && let Some(queue) = state.queues.get_mut(entry.group.0)
        {
            entry.deadline = None;
            queue.push_back(number);
        }
    }

    /// Returns when a job in memory ends by itself, if it does.
    pub(super) fn end_of(&self, number: u64) -> Option<Instant> {
        self.lock().entries.get(&number)?.ends
    }

    /// Notes the end of a wait.
    pub(super) fn end(&self, id: &JobId, outcome: &Outcome, now: Instant, wall: SystemTime) {
        let number = number(id);
        let state = &mut *self.lock();
        let counts = &mut state.counts;
        counts.ends += 1;
        let kind = outcome.as_ref().err().map(cfw_waiter::WaitError::kind);
        let entry = state.entries.remove(&number);
        let Some((Entry { group, ends, .. }, deadline)) =
            entry.and_then(|entry| Some((entry.deadline?, entry)).map(|(at, entry)| (entry, at)))
        else {
            counts.twice += 1;
            counts.note(|| format!("{id} ended again, or was not waited for: {outcome:?}"));
            return;
        };
        if let Some(live) = state.live.get_mut(group.0) {
            *live -= 1;
        }
        let is_in_memory = group.is_in_memory();
        let fate = Fate::of(number, is_in_memory);
        if !fate.allows(kind) {
            counts.wrong += 1;
            counts.note(|| format!("{id} {fate:?}, but: {outcome:?}"));
        }
        let late = now.saturating_duration_since(deadline);
        if late > Duration::from_secs(1) {
            counts.note(|| {
                format!("{id} of {group:?} ended {late:.1?} after its deadline: {outcome:?}")
            });
        }
        counts.latest = counts.latest.max(late);
        let report = outcome.as_ref().unwrap_or_else(|error| error.report());
        let end = report.state.as_ref().and_then(|state| state.end);
        let lag = match (ends, end) {
            (Some(ends), _) => now.checked_duration_since(ends),
            (None, Some(end)) => wall.duration_since(end).ok(),
            (None, None) => None,
        };
        if matches!(kind, None | Some(WaitErrorKind::Failed))
            && let (Some(lag), Some(lags)) = (lag, counts.lags.get_mut(usize::from(is_in_memory)))
        {
            lags.add(lag);
        }
    }

    /// Returns the jobs of a group that are waited for.
    pub(super) fn waited_for(&self, group: Group) -> Vec<u64> {
        let state = self.lock();
        let of_group =
            |(_, entry): &(&u64, &Entry)| entry.group == group && entry.deadline.is_some();
        state.entries.iter().filter(of_group).map(|(number, _)| *number).collect()
    }

    pub(super) fn add_polls(&self, polls: u64) {
        self.lock().counts.polls += polls;
    }

    pub(super) fn add_resumed(&self) {
        self.lock().counts.resumed += 1;
    }

    /// Returns how many jobs a group lacks.
    pub(super) fn lack(&self, group: Group) -> usize {
        let state = self.lock();
        let live = state.live.get(group.0).copied().unwrap_or_default();
        if state.is_closing { 0 } else { group.size().saturating_sub(live) }
    }

    /// No more jobs come.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
    }

    /// Whether a group has come to its last end.
    pub(super) fn is_over(&self, group: Group) -> bool {
        let state = self.lock();
        state.is_closing && state.live.get(group.0).is_none_or(|live| *live == 0)
    }

    /// Gives up the jobs whose end has not come long after its time, and returns the counts.
    pub(super) fn read(&self, now: Instant, patience: Duration) -> Counts {
        let state = &mut *self.lock();
        let is_lost = |entry: &Entry| entry.deadline.is_some_and(|at| now > at + patience);
        let lost: Vec<u64> =
            state.entries.iter().filter(|(_, e)| is_lost(e)).map(|(number, _)| *number).collect();
        for number in lost {
            let Some(entry) = state.entries.remove(&number) else { continue };
            if let Some(live) = state.live.get_mut(entry.group.0) {
                *live -= 1;
            }
            state.counts.lost += 1;
            state.counts.note(|| format!("{} has no end: {entry:?}", id(number)));
        }
        state.counts.live = state.live.iter().sum();
        let counts = state.counts.clone();
        (state.counts.latest, state.counts.lags) = Default::default();
        counts
    }
}

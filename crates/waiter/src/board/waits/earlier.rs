//! What waits know from before they began: how old their jobs were, and what the waits knew that they resume or outlive.

use std::sync::Arc;
use std::time::Duration;

use super::{HeadStart, Wait, Waits};
use crate::Schedule;
use crate::board::jobs::Job;
use crate::board::time::Time;
use crate::options::Resumed;
use crate::util::slab::Key;

/// Of how many waits that have left a job it is kept how they had it polled.
const MOST_DEPARTED: usize = 16;

/// How a wait has its job polled.
#[derive(Clone, Debug)]
pub(in crate::board) struct Polling {
    pub(in crate::board) schedule: Schedule,
    pub(in crate::board) started: Time,
    /// When it left the job.
    pub(in crate::board) left: Option<Time>,
    pub(in crate::board) last_poll: Time,
    pub(in crate::board) head_start: HeadStart,
    /// The age of the job when it began, in nanoseconds, as it or another wait knew it.
    pub(in crate::board) known_age: u64,
    pub(in crate::board) is_first_at_once: bool,
    /// Whether the account of its schedule has its polls.
    pub(in crate::board) is_booked: bool,
}

/// Waits that have left a job to others.
#[derive(Debug)]
pub(super) struct Departed {
    waits: Vec<Polling>,
    are_all: bool,
}

impl Default for Departed {
    fn default() -> Self {
        Self { waits: Vec::new(), are_all: true }
    }
}

impl Waits {
    /// Returns how old a wait's job was when the wait began.
    pub(in crate::board) fn head_start(&self, key: Key<Wait>) -> HeadStart {
        if self.head_starts.is_empty() {
            return HeadStart::default();
        }
        self.head_starts.get(&key).copied().unwrap_or_default()
    }

    /// Returns the age of a wait's job when the wait began, in nanoseconds, as it knows it or older waits knew it.
    pub(in crate::board) fn age_at_start(&self, key: Key<Wait>) -> u64 {
        let older = if self.older_ages.is_empty() { None } else { self.older_ages.get(&key) };
        self.head_start(key).age.max(older.copied().unwrap_or_default())
    }

    /// Returns how old a wait's job is at a time, in nanoseconds, as it knows it or older waits knew it.
    pub(in crate::board) fn age_at(&self, key: Key<Wait>, at: Time) -> u64 {
        let started = self.waits[key].started;
        let age = self.age_at_start(key).saturating_add(at.nanos_since(started));
        age.saturating_sub(started.nanos_since(at))
    }

    /// Makes a wait know what another one on the job knows of its age.
    pub(in crate::board) fn share_age(&mut self, from: Key<Wait>, to: Key<Wait>) {
        let age = self.age_at(from, self.waits[to].started);
        if age > self.age_at_start(to) {
            self.older_ages.insert(to, age);
        }
    }

    /// Returns how a wait has its job polled, if it leaves at a time.
    pub(in crate::board) fn polling(&self, key: Key<Wait>, left: Option<Time>) -> Polling {
        let wait = &self.waits[key];
        let policy = self.policy(wait);
        Polling {
            schedule: policy.schedule.clone(),
            started: wait.started,
            left,
            last_poll: wait.last_poll(),
            head_start: self.head_start(key),
            known_age: self.age_at_start(key),
            is_first_at_once: policy.first_poll_at_once || self.resumed(key).is_some(),
            is_booked: false,
        }
    }

    /// Returns how waits that have left a job had it polled, and whether these are all of them.
    pub(in crate::board) fn departed(&self, job: Key<Job>) -> (&[Polling], bool) {
        let departed = if self.departed.is_empty() { None } else { self.departed.get(&job) };
        departed.map_or((&[], true), |known| (&known.waits, known.are_all))
    }

    /// Keeps how a wait has its job polled that leaves it to others.
    pub(in crate::board) fn keep_departed(&mut self, job: Key<Job>, leaving: Polling) {
        let known = self.departed.entry(job).or_default();
        let is_like = |other: &&mut Polling| {
            other.started == leaving.started
                && other.schedule == leaving.schedule
                && other.is_first_at_once == leaving.is_first_at_once
        };
        if let Some(other) = known.waits.iter_mut().find(is_like) {
            other.left = other.left.max(leaving.left);
        } else if known.waits.len() < MOST_DEPARTED {
            known.waits.push(leaving);
        } else {
            known.are_all = false;
        }
    }

    /// Marks those waits as booked that have left a job.
    pub(in crate::board) fn mark_booked(
        &mut self,
        job: Key<Job>,
        is_booked: impl Fn(&Polling) -> bool,
    ) {
        let known = if self.departed.is_empty() { None } else { self.departed.get_mut(&job) };
        let waits = known.into_iter().flat_map(|known| &mut known.waits);
        waits.filter(|wait| is_booked(wait)).for_each(|wait| wait.is_booked = true);
    }

    /// Returns the kind of a wait's job, if it has one.
    pub(in crate::board) fn kind(&self, key: Key<Wait>) -> Option<&Arc<str>> {
        self.kinds.get(&key)
    }

    /// Returns what an earlier wait knew, if this one resumes it.
    pub(in crate::board) fn resumed(&self, key: Key<Wait>) -> Option<&Resumed> {
        if self.resumed.is_empty() { None } else { self.resumed.get(&key).map(|known| &**known) }
    }

    /// Returns how long a job had been waited for at a time, by the wait and by the one that it resumes.
    pub(in crate::board) fn elapsed(&self, key: Key<Wait>, at: Time) -> Duration {
        let before = self.resumed(key).map_or(Duration::ZERO, |known| known.elapsed);
        at.since(self.waits[key].started).saturating_add(before)
    }

    /// Returns how long a wait may take, with the time that the one that it resumes had taken.
    pub(in crate::board) fn limit(&self, key: Key<Wait>) -> Duration {
        let Wait { started, deadline, .. } = self[key];
        match self.resumed(key) {
            // Its time was up before it began.
            Some(known) if deadline == started => known.limit,
            _ => self.elapsed(key, deadline),
        }
    }
}

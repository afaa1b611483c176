//! What waits know from before they began: how old their jobs were, and what the waits knew that they resume or outlive.

use std::sync::Arc;
use std::time::Duration;

use super::{Earlier, HeadStart, Wait, Waits};
use crate::board::time::Time;
use crate::options::Resumed;
use crate::util::slab::Key;

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
        let earlier = if self.earlier.is_empty() { None } else { self.earlier.get(&key) };
        self.head_start(key).age.max(earlier.map_or(0, |earlier| earlier.age))
    }

    /// Returns how old a wait's job is at a time, in nanoseconds, as it knows it or older waits knew it.
    pub(in crate::board) fn age_at(&self, key: Key<Wait>, at: Time) -> u64 {
        let started = self.waits[key].started;
        let age = self.age_at_start(key).saturating_add(at.nanos_since(started));
        age.saturating_sub(started.nanos_since(at))
    }

    /// Returns since when a wait's job has been polled by its plan.
    pub(in crate::board) fn polled_since(&self, key: Key<Wait>) -> Time {
        let earlier = if self.earlier.is_empty() { None } else { self.earlier.get(&key) };
        let started = self.waits[key].started;
        earlier.map_or(started, |earlier| earlier.polled_since.min(started))
    }

    /// Makes a wait know what another one on the job knows of its age.
    pub(in crate::board) fn share_age(&mut self, from: Key<Wait>, to: Key<Wait>) {
        let age = self.age_at(from, self.waits[to].started);
        if age > self.age_at_start(to) {
            let polled_since = self.polled_since(to);
            self.earlier.insert(to, Earlier { age, polled_since });
        }
    }

    /// Makes a wait answer for the polls of another one that leaves, and which its plan has made.
    pub(in crate::board) fn take_over_polls(&mut self, from: Key<Wait>, to: Key<Wait>) {
        let (polled_since, age) = (self.polled_since(from), self.age_at_start(to));
        if polled_since < self.polled_since(to) {
            self.earlier.insert(to, Earlier { age, polled_since });
        }
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

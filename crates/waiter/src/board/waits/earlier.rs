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

    /// Returns since when a wait's job has been polled by plans of its kind.
    pub(in crate::board) fn polled_since(&self, key: Key<Wait>) -> Time {
        let earlier = if self.earlier.is_empty() { None } else { self.earlier.get(&key) };
        let started = self.waits[key].started;
        earlier.map_or(started, |earlier| earlier.polled_since.min(started))
    }

    /// Keeps what a wait that leaves knows of the age of its job, and since when it has been polled if their kind is one, for
    /// another wait on the job.
    pub(in crate::board) fn hand_over(
        &mut self,
        from: Key<Wait>,
        to: Key<Wait>,
        is_one_kind: bool,
    ) {
        let [before, after] = [from, to].map(|key| self.waits[key].started);
        let age = self.age_at_start(from).saturating_add(after.nanos_since(before));
        let age = age.saturating_sub(before.nanos_since(after)).max(self.age_at_start(to));
        let own = self.polled_since(to);
        let polled_since = if is_one_kind { own.min(self.polled_since(from)) } else { own };
        if age > self.head_start(to).age || polled_since < after {
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

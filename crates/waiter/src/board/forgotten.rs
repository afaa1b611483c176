//! When the ids that the board has forgotten were last polled. The minimum interval lies between two polls of an id also
//! where its waits come and go (rule 4).

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashTable;

use super::time::Time;

/// The most ids that are remembered, whatever the minimum interval is.
const MOST: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Forgotten {
    min_interval: Duration,
    polls: HashTable<LastPoll>,
    /// Each with the time at which it was recorded, the oldest first. Invariant: holds each entry of `polls`.
    records: VecDeque<(Time, u64)>,
}

#[derive(Debug)]
struct LastPoll {
    /// The hash of the id. Two ids with one hash are taken as one, which delays a poll at worst.
    hash: u64,
    recorded: Time,
    at: Time,
}

impl Forgotten {
    pub(super) const fn new(min_interval: Duration) -> Self {
        Self { min_interval, polls: HashTable::new(), records: VecDeque::new() }
    }

    /// Records when a job that is being forgotten was last polled, if that holds back its next poll.
    pub(super) fn record(&mut self, now: Time, hash: u64, at: Time) {
        if at.after(self.min_interval) <= now {
            return;
        }
        self.expire(now);
        while self.records.len() >= MOST {
            self.remove_oldest();
        }
        let poll = LastPoll { hash, recorded: now, at };
        match self.polls.find_mut(hash, |known| known.hash == hash) {
            Some(known) => *known = poll,
            None => {
                self.polls.insert_unique(hash, poll, |known| known.hash);
            }
        }
        self.records.push_back((now, hash));
    }

    /// Returns when an id was last polled, if the board forgot it less than a minimum interval ago.
    pub(super) fn last_poll(&mut self, now: Time, hash: u64) -> Option<Time> {
        self.expire(now);
        self.polls.find(hash, |known| known.hash == hash).map(|known| known.at)
    }

    fn expire(&mut self, now: Time) {
        let interval = self.min_interval;
        while self.records.front().is_some_and(|(recorded, _)| recorded.after(interval) <= now) {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        let Some((recorded, hash)) = self.records.pop_front() else { return };
        // One that was recorded again since has a later record.
        let is_oldest = |known: &LastPoll| known.hash == hash && known.recorded == recorded;
        if let Ok(entry) = self.polls.find_entry(hash, is_oldest) {
            entry.remove();
        }
        if self.records.is_empty() && self.records.capacity() > 1_024 {
            *self = Self::new(self.min_interval);
        }
    }

    /// Returns how much room it keeps.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.polls.capacity() + self.records.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::at(Duration::from_millis(ms))
    }

    #[test]
    fn the_last_poll_of_a_forgotten_id_is_remembered_for_the_minimum_interval() {
        let mut forgotten = Forgotten::new(Duration::from_millis(500));
        forgotten.record(at(1_000), 1, at(900));
        forgotten.record(at(1_000), 2, at(500));
        assert_eq!(forgotten.last_poll(at(1_499), 1), Some(at(900)));
        assert_eq!(forgotten.last_poll(at(1_000), 2), None, "its interval is over");
        // Recorded again, it is kept from then on.
        forgotten.record(at(1_450), 1, at(1_400));
        assert_eq!(forgotten.last_poll(at(1_949), 1), Some(at(1_400)));
        assert_eq!(forgotten.last_poll(at(1_950), 1), None);
        assert!(forgotten.polls.is_empty() && forgotten.records.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_its_memory_given_back() {
        let mut forgotten = Forgotten::new(Duration::MAX);
        for n in 0..2 * MOST as u64 {
            // Few bits differ, as few as in no hash.
            forgotten.record(at(n), n, at(n));
        }
        assert_eq!((forgotten.polls.len(), forgotten.records.len()), (MOST, MOST));
        for _ in 0..200_000 {
            forgotten.record(at(MOST as u64 * 2), 7, at(MOST as u64 * 2));
        }
        assert_eq!((forgotten.polls.len(), forgotten.records.len()), (1, MOST));
        forgotten.min_interval = Duration::from_millis(500);
        assert_eq!(forgotten.last_poll(at(MOST as u64 * 3), 7), None);
        assert_eq!(forgotten.room(), 0);
    }
}

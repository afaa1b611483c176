//! The lists through the waits: by job, by watch, and of those with news. Links are slots, not
//! pointers, so that joining and leaving cost the same among a million waits as among two.

use super::{Board, Deferred};
use crate::util::slab::NONE;

impl Board {
    /// Puts a new wait at the head of its job's list and at the tail of its watch's.
    pub(super) fn link(&mut self, wait: u32, watch: u32, job: u32) {
        let next = std::mem::replace(&mut self.jobs[job].waits, wait);
        self.waits[wait].next_in_job = next;
        if let Some(next) = self.waits.get_mut(next) {
            next.prev_in_job = wait;
        }
        let entry = &mut self.watches[watch];
        let prev = std::mem::replace(&mut entry.last, wait);
        if prev == NONE {
            entry.first = wait;
        } else {
            self.waits[prev].next_in_watch = wait;
        }
        self.waits[wait].prev_in_watch = prev;
    }

    /// Takes a live wait out of its job's list: it is live no more.
    pub(super) fn unlink_from_job(&mut self, wait: u32) {
        let entry = &mut self.waits[wait];
        let (prev, next) = (entry.prev_in_job, entry.next_in_job);
        let job = std::mem::replace(&mut entry.job, NONE);
        match self.waits.get_mut(prev) {
            Some(prev) => prev.next_in_job = next,
            None => self.jobs[job].waits = next,
        }
        if let Some(next) = self.waits.get_mut(next) {
            next.prev_in_job = prev;
        }
        self.live -= 1;
    }

    /// Takes a wait out of its watch's list.
    pub(super) fn unlink_from_watch(&mut self, wait: u32) {
        let entry = &self.waits[wait];
        let (prev, next, watch) = (entry.prev_in_watch, entry.next_in_watch, entry.watch);
        match self.waits.get_mut(prev) {
            Some(prev) => prev.next_in_watch = next,
            None => self.watches[watch].first = next,
        }
        match self.waits.get_mut(next) {
            Some(next) => next.prev_in_watch = prev,
            None => self.watches[watch].last = prev,
        }
    }

    /// Frees a wait that is in no list any more, or whose watch goes with it.
    pub(super) fn free_wait(&mut self, wait: u32) {
        if let Some(entry) = self.waits.remove(wait) {
            self.policies.release(entry.policy);
            self.statuses.release(entry.last_reported);
            self.deferred.extend(self.ends.remove(&wait).map(|end| Deferred::End(Box::new(end))));
        }
    }

    /// Queues a wait for its consumer, whom it wakes.
    pub(super) fn mark_ready(&mut self, wait: u32) {
        let entry = &mut self.waits[wait];
        let watch = &mut self.watches[entry.watch];
        if watch.ends_only && entry.job != NONE {
            return;
        }
        if !std::mem::replace(&mut entry.is_ready, true) {
            let prev = std::mem::replace(&mut watch.last_ready, wait);
            if prev == NONE {
                watch.first_ready = wait;
            } else {
                self.waits[prev].next_ready = wait;
            }
        }
        self.wakes.extend(watch.waker.take());
    }

    /// Takes the first wait out of the queue for a consumer.
    pub(super) fn pop_ready(&mut self, watch: u32) {
        let entry = &mut self.watches[watch];
        let wait = entry.first_ready;
        let next = std::mem::replace(&mut self.waits[wait].next_ready, NONE);
        self.waits[wait].is_ready = false;
        entry.first_ready = next;
        if next == NONE {
            entry.last_ready = NONE;
        }
    }

    /// The wait of a watch on a job.
    pub(super) fn wait_in(&self, watch: u32, job: u32) -> Option<u32> {
        let mut wait = self.jobs[job].waits;
        while wait != NONE && self.waits[wait].watch != watch {
            wait = self.waits[wait].next_in_job;
        }
        (wait != NONE).then_some(wait)
    }
}

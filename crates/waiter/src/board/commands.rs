//! What handles do to the board: open a watch, add to it, remove from it, drop it.

use std::task::Waker;

use super::entities::{AbortReason, Job, JobCold, PackedTime, Pending, Wait, Watch};
use super::{Board, RequestId, Time, WaitOptions, WatchKey, jitter};
use crate::util::slab::NONE;
use crate::{JobId, Progress};

impl Board {
    /// Opens a watch with `handles` handles that can add to it. It hears nothing before it is started.
    pub(crate) fn open(&mut self, ends_only: bool) -> WatchKey {
        let generation = self.next_generation();
        let slot = self.watches.insert(Watch {
            generation,
            first: NONE,
            last: NONE,
            first_ready: NONE,
            last_ready: NONE,
            waker: None,
            handles: 0,
            ends_only,
            options: None,
            pending: Pending::default(),
            progress: Progress::default(),
        });
        WatchKey { slot, generation }
    }

    /// Starts a watch: its ids are waited for from now on, those added later from then on.
    pub(crate) fn start(&mut self, now: Time, watch: WatchKey, options: WaitOptions) {
        let Some(slot) = self.watch(watch) else { return };
        let pending = std::mem::take(&mut self.watches[slot].pending);
        self.watches[slot].options = Some(options);
        for id in pending.ids {
            self.add(now, watch, id);
        }
    }

    /// Whether ids that are added to a watch are waited for at once.
    pub(crate) fn is_started(&self, watch: WatchKey) -> bool {
        self.watch(watch).is_some_and(|slot| self.watches[slot].options.is_some())
    }

    /// Adds a job to a watch; false if the watch holds it already, or is gone.
    pub(crate) fn add(&mut self, now: Time, watch: WatchKey, id: JobId) -> bool {
        let now = self.tick(now);
        let Some(slot) = self.watch(watch) else { return false };
        let entry = &mut self.watches[slot];
        let Some(options) = entry.options.clone() else {
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
        self.insert_wait(now, slot, job, options);
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
        self.after_wait_removed(job);
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
                self.after_wait_removed(job);
            }
            self.free_wait(wait);
        }
        self.watches.remove(slot)?.waker
    }

    /// One more handle that can add to a watch.
    pub(crate) fn acquire_handle(&mut self, watch: WatchKey) {
        if let Some(slot) = self.watch(watch) {
            self.watches[slot].handles += 1;
        }
    }

    /// One handle less; without any the watch ends with its last job.
    pub(crate) fn release_handle(&mut self, watch: WatchKey) {
        let Some(slot) = self.watch(watch) else { return };
        let entry = &mut self.watches[slot];
        entry.handles -= 1;
        if entry.handles == 0 && entry.first == NONE {
            self.wakes.extend(entry.waker.take());
        }
    }

    fn insert_job(&mut self, id: JobId) -> u32 {
        let hash = jitter::hash_id(self.seed, id.as_str());
        let slot = self.jobs.insert(Job {
            id,
            due: Time::NEVER,
            wake: Time::NEVER,
            ended: Time::ZERO,
            status: NONE,
            polls: 0,
            request: NONE,
            waits: NONE,
            is_ready: false,
            is_last: false,
            has_times: false,
        });
        // Both come and go together, so they have the same slots.
        self.cold.insert(JobCold {
            begin: PackedTime::NONE,
            answered: PackedTime::NONE,
            failed: 0,
        });
        let (jobs, seed) = (&self.jobs, self.seed);
        self.index.insert_unique(hash, slot, |&slot| jitter::hash_id(seed, jobs[slot].id.as_str()));
        slot
    }

    fn insert_wait(&mut self, now: Time, watch: u32, job: u32, options: WaitOptions) {
        let entry = &self.jobs[job];
        let wait = self.waits.insert(Wait {
            policy: self.policies.acquire(&options.policy),
            started: now,
            deadline: now.after(options.timeout),
            job,
            watch,
            prev_in_job: NONE,
            next_in_job: NONE,
            prev_in_watch: NONE,
            next_in_watch: NONE,
            next_ready: NONE,
            last_reported: NONE,
            // The answer of a request in request counts for whoever comes meanwhile.
            polls_before: entry.polls - u32::from(entry.request != NONE),
            failed_before: self.cold[job].failed,
            is_ready: false,
            owes_trouble: self.troubles.contains_key(&job),
        });
        self.live += 1;
        self.needs_wake = true;
        self.link(wait, watch, job);
        self.watches[watch].progress.waiting += 1;
        let entry = &self.jobs[job];
        if entry.status != NONE || self.waits[wait].owes_trouble {
            if entry.status != NONE {
                let progress = &mut self.watches[watch].progress;
                progress.waiting -= 1;
                progress.running += 1;
            }
            self.mark_ready(wait);
        }
        self.schedule_job(job);
    }

    /// After a wait on a job has gone: what is nobody's is forgotten or aborted, the rest planned anew.
    pub(super) fn after_wait_removed(&mut self, job: u32) {
        let entry = &self.jobs[job];
        if entry.waits != NONE {
            self.schedule_job(job);
        } else if let Some(request) = self.requests.get(entry.request) {
            self.aborts.push((
                RequestId { slot: entry.request, generation: request.generation },
                AbortReason::NoWaiters,
            ));
        } else {
            self.forget(job);
        }
    }

    /// Forgets a job: a new wait on its id starts afresh (rule 3).
    pub(super) fn forget(&mut self, slot: u32) {
        let Some(job) = self.jobs.remove(slot) else { return };
        self.cold.remove(slot);
        let hash = jitter::hash_id(self.seed, job.id.as_str());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.end_trouble(slot);
        self.details.remove(&slot);
        self.statuses.release(job.status);
    }
}

//! What handles do to the board: open a watch, add to it, remove from it, close it.

use std::task::Waker;

use super::jobs::{Job, Stage};
use super::requests::AbortReason;
use super::waits::{Pending, PendingJob, Wait, Watch};
use super::{Board, Deferred, RuntimeKey, Time, WaitOptions, WatchKey};
use crate::util::slab::Key;
use crate::{JobId, JobOptions, JobState, Progress};

impl Board {
    /// Opens a watch. It has no updates before it is started.
    pub(crate) fn open(
        &mut self,
        ends_only: bool,
        pending: Pending,
        options: WaitOptions,
    ) -> WatchKey {
        let generation = self.agenda.next_generation();
        self.waits.open(generation, ends_only, pending, options)
    }

    /// Changes how the waits of a watch are judged, unless it has started.
    pub(crate) fn set_options(&mut self, watch: WatchKey, change: impl FnOnce(&mut WaitOptions)) {
        if let Some(options) =
            self.waits.find_watch(watch).and_then(|watch| self.waits.options_mut(watch))
        {
            change(options);
        }
    }

    /// Starts a watch: the clocks of its pending jobs run from now on, those of jobs added later from then on.
    pub(crate) fn start(&mut self, now: Time, watch: WatchKey) {
        let now = self.tick(now);
        if let Some(watch) = self.waits.find_watch(watch) {
            self.waits.start(watch, now);
        }
    }

    /// Returns whether a watch has pending jobs left.
    pub(crate) fn has_pending(&self, watch: WatchKey) -> bool {
        self.waits.find_watch(watch).is_some_and(|watch| !self.waits[watch].pending.is_empty())
    }

    /// Adds up to `limit` of a started watch's pending jobs. Returns whether some are left.
    ///
    /// A crowd of jobs is added in several steps, so that others get at the board in between.
    pub(crate) fn add_pending(&mut self, now: Time, watch: WatchKey, limit: usize) -> bool {
        self.tick(now);
        let Some(watch) = self.waits.find_watch(watch) else { return false };
        let Some(started) = self.waits[watch].started() else { return false };
        let own = self.waits[watch].options().clone();
        for _ in 0..limit {
            let Some(PendingJob { id, options }) = self.waits.pending_mut(watch).pop() else {
                break;
            };
            let options = options.map(|job| own.for_job(Some(&job)));
            self.insert(watch, id, options.as_ref().unwrap_or(&own), started);
        }
        self.settle();
        !self.waits[watch].pending.is_empty()
    }

    /// Adds a job to a watch; false if the watch holds it already, or is gone.
    pub(crate) fn add(
        &mut self,
        now: Time,
        watch: WatchKey,
        id: JobId,
        options: Option<JobOptions>,
    ) -> bool {
        let now = self.tick(now);
        let Some(watch) = self.waits.find_watch(watch) else { return false };
        let is_new = if self.waits[watch].started().is_none() {
            self.waits.pending_mut(watch).add(id, options)
        } else if self.waits[watch].pending.contains(id.as_str()) {
            false
        } else {
            let options = self.waits[watch].options().for_job(options.as_ref());
            self.insert(watch, id, &options, now).is_some()
        };
        self.settle();
        is_new
    }

    /// Removes a job from a watch, which reports that as the job's end if it has started; false if the watch does not hold
    /// the job.
    pub(crate) fn remove(&mut self, now: Time, watch: WatchKey, id: &str) -> bool {
        self.tick(now);
        let Some(watch) = self.waits.find_watch(watch) else { return false };
        if let Some(PendingJob { id, options }) = self.waits.pending_mut(watch).remove(id) {
            if let Some(started) = self.waits[watch].started() {
                // Its clock runs already, so its end is reported like that of any other.
                let options = self.waits[watch].options().for_job(options.as_deref());
                if let Some(wait) = self.insert(watch, id, &options, started) {
                    self.end_removed(wait);
                }
                self.settle();
            }
            return true;
        }
        let Some(job) = self.jobs.find(id) else { return false };
        let Some(wait) = self.waits.find(watch, job, &self.jobs[job]) else { return false };
        self.end_removed(wait);
        self.settle();
        true
    }

    /// Forgets up to `limit` waits of a watch whose consumer is gone, and then the watch. No more updates are made for it.
    /// Returns whether some are left, and the consumer's waker when none are.
    pub(crate) fn close(&mut self, watch: WatchKey, limit: usize) -> (bool, Option<Waker>) {
        let Some(watch) = self.waits.begin_close(watch) else { return (false, None) };
        for _ in 0..limit {
            if self.waits[watch].first_ready().is_some() {
                self.waits.pop_ready(watch);
            } else if let Some(wait) = self.waits[watch].first() {
                self.learn_unfinished(wait);
                self.leave_job(wait);
                let outcome = self.waits.take_outcome(wait);
                self.outbox
                    .deferred
                    .extend(outcome.map(|outcome| Deferred::Outcome(Box::new(outcome))));
                self.waits.remove(&mut self.jobs, wait);
            } else if self.waits.pending_mut(watch).pop().is_none() {
                self.settle();
                return (false, self.waits.remove_watch(watch));
            }
        }
        self.settle();
        (true, None)
    }

    /// Counts one more handle that can add to a watch.
    pub(crate) fn acquire_handle(&mut self, watch: WatchKey) {
        if let Some(watch) = self.waits.find_watch(watch) {
            self.waits.acquire_handle(watch);
        }
    }

    /// Counts one handle less; without any, the watch ends with its last job.
    pub(crate) fn release_handle(&mut self, watch: WatchKey) {
        if let Some(watch) = self.waits.find_watch(watch) {
            self.waits.release_handle(watch);
            self.outbox.wakers.extend(self.waits.wake_if_complete(watch));
        }
    }

    /// Returns whether a watch is gone.
    pub(crate) fn is_closed(&self, watch: WatchKey) -> bool {
        self.waits.find_watch(watch).is_none()
    }

    /// Returns the runtime on which a watch was polled last.
    pub(crate) fn runtime_of(&self, watch: WatchKey) -> Option<RuntimeKey> {
        self.waits[self.waits.find_watch(watch)?].runtime()
    }

    /// Sets the runtime on which a watch is polled.
    pub(crate) fn set_runtime(&mut self, watch: WatchKey, runtime: RuntimeKey) {
        if let Some(watch) = self.waits.find_watch(watch) {
            self.waits.set_runtime(watch, runtime);
        }
    }

    /// Brings the next poll of a job forward, as far as the minimum interval and the budgets allow. False if no wait is on
    /// it.
    pub(crate) fn poke(&mut self, now: Time, id: &str) -> bool {
        self.tick(now);
        let Some(key) = self.find_wanted(id) else { return false };
        self.jobs[key].is_due_now = true;
        if self.jobs[key].stage == Stage::Resting {
            self.schedule(key);
            self.tidy();
        } else {
            self.leave_worth_order(key);
        }
        self.settle();
        true
    }

    /// Takes a state of a job that is known from elsewhere. It counts as an answer for the waits, and changes nothing in when
    /// the job is polled. False if no wait is on it.
    pub(crate) fn tell(&mut self, now: Time, id: &str, state: &JobState) -> bool {
        let now = self.tick(now);
        let Some(key) = self.find_wanted(id) else { return false };
        if self.waits.has_failures() {
            self.waits.end_rows(&self.jobs[key]);
        }
        self.learn_end(key, state, true);
        self.observe(key, state, Some(now));
        self.settle();
        true
    }

    /// Returns the job of an id, if a wait is on it.
    fn find_wanted(&self, id: &str) -> Option<Key<Job>> {
        self.jobs.find(id).filter(|&key| self.jobs[key].first_wait.is_some())
    }

    /// Adds a wait, unless the watch has one on this id. It may end at once.
    fn insert(
        &mut self,
        watch: Key<Watch>,
        id: JobId,
        options: &WaitOptions,
        started: Time,
    ) -> Option<Key<Wait>> {
        let job = match self.jobs.find(id.as_str()) {
            Some(job) if self.waits.find(watch, job, &self.jobs[job]).is_some() => return None,
            Some(job) => job,
            None => self.jobs.insert(self.now, id),
        };
        let options = options.at(started);
        let options = self.with_plan(job, &options);
        let generation = self.agenda.next_generation();
        let newest = self.jobs[job].first_wait;
        let wait = self.waits.insert(&mut self.jobs, job, watch, (&options, started), generation);
        if let Some(newest) = newest.filter(|_| !self.learning.is_idle()) {
            self.waits.share_age(newest, wait);
        }
        let progress = self.waits.progress_mut(watch);
        progress.waiting += 1;
        if self.jobs[job].status.is_some() {
            progress.move_to_running();
        }
        let is_failing = self.jobs.failure(job).is_some();
        if let Some(wait) = self.waits.get_mut(wait) {
            wait.reports_failure = is_failing;
        }
        if self.jobs[job].status.is_some() || is_failing {
            self.outbox.wakers.extend(self.waits.mark_ready(wait));
        }
        let is_late = self.deadline_of(wait) <= self.now;
        if is_late && options.resumed.is_some() {
            self.begin_last_look(wait);
        } else if is_late {
            self.end_timed_out(wait);
        } else {
            self.begin_deadline(wait);
            self.join_plan(job, wait);
            self.tidy();
        }
        Some(wait)
    }

    /// Takes a wait off its job.
    pub(super) fn leave_job(&mut self, wait: Key<Wait>) {
        let Some(job) = self.waits.leave_job(&mut self.jobs, wait) else { return };
        let left = &self.jobs[job];
        if left.first_wait.is_none() || matches!(left.stage, Stage::Ready { is_last: true, .. }) {
            self.touched.push(job);
        }
    }

    /// Ends all waits of watches that are polled on a runtime, up to `limit` of them. Returns whether some are left.
    pub(crate) fn stop(&mut self, now: Time, runtime: RuntimeKey, why: &str, limit: usize) -> bool {
        self.tick(now);
        let mut left = limit;
        for watch in self.waits.watch_keys() {
            if left == 0 {
                break;
            }
            if self.waits[watch.key].runtime() == Some(runtime) {
                left -= self.stop_some(watch.key, why, left);
            }
        }
        self.settle();
        self.waits.live_on(runtime) > 0
    }

    /// Ends all waits of a watch, up to `limit` of them. Returns whether some are left.
    pub(crate) fn stop_watch(
        &mut self,
        now: Time,
        watch: WatchKey,
        why: &str,
        limit: usize,
    ) -> bool {
        self.tick(now);
        let Some(watch) = self.waits.find_watch(watch) else { return false };
        self.stop_some(watch, why, limit);
        self.settle();
        self.waits[watch].live() > 0
    }

    /// Ends up to `limit` waits of a watch. Returns how many.
    fn stop_some(&mut self, watch: Key<Watch>, why: &str, limit: usize) -> usize {
        let mut ended = 0;
        let mut next = self.waits[watch].first();
        while let Some(wait) = next.filter(|_| ended < limit && self.waits[watch].live() > 0) {
            next = self.waits.next_in_watch(wait);
            if self.waits[wait].job.is_some() {
                self.end_stopped(wait, why);
                ended += 1;
            }
        }
        ended
    }

    /// The requests in flight are gone without an answer: their driver has ended, or another one takes over.
    pub(crate) fn forget_requests(&mut self) {
        for request in self.requests.ids() {
            let Some(gone) = self.requests.remove(request) else { continue };
            // As if it had never been sent, but for the count: the poll is still due.
            let job = &mut self.jobs[gone.job];
            self.agenda.rest(job, gone.job, Time::NEVER);
            job.is_due_now = true;
            if job.first_wait.is_none() {
                self.touched.push(gone.job);
            } else {
                self.schedule(gone.job);
            }
        }
        self.requests.clear_aborts();
        self.settle();
    }

    /// Drops a request that no wait wants. Returns false if it has ended, or a wait has come meanwhile.
    pub(super) fn cancel(&mut self, request: super::RequestId) -> bool {
        let Some(job) = self.requests.get(request).map(|known| known.job) else { return false };
        if self.jobs[job].first_wait.is_some() {
            return false;
        }
        self.requests.remove(request);
        self.jobs.remove(self.now, job, &mut self.outbox.deferred);
        true
    }

    /// Returns how many jobs of a watch are where.
    pub(crate) fn progress(&self, watch: WatchKey) -> Progress {
        let watch = self.waits.find_watch(watch);
        watch.map_or_else(Progress::default, |watch| self.waits[watch].progress())
    }

    pub(super) fn abort_timed_out(&mut self, request: super::RequestId) {
        self.requests.push_abort(request, AbortReason::TimedOut);
    }
}

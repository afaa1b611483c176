//! Watches: what a consumer holds.

use std::ops::Index;
use std::task::Waker;

use super::{OnRuntime, Pending, Wait, Waits, Watch};
use crate::Progress;
use crate::board::jobs::Job;
use crate::board::{RuntimeKey, Time, WaitOptions, WatchKey};
use crate::util::slab::Key;

impl Waits {
    pub(in crate::board) fn open(
        &mut self,
        generation: u32,
        ends_only: bool,
        pending: Pending,
        options: WaitOptions,
    ) -> WatchKey {
        let key = self.watches.insert(Watch {
            generation,
            first: None,
            last: None,
            first_ready: None,
            last_ready: None,
            waker: None,
            handles: 0,
            ends_only,
            is_closing: false,
            runtime: None,
            options,
            started: None,
            pending: Box::new(pending),
            progress: Progress::default(),
        });
        WatchKey { key, generation }
    }

    pub(in crate::board) fn find_watch(&self, watch: WatchKey) -> Option<Key<Watch>> {
        let found =
            self.watches.get(watch.key).filter(|known| known.generation == watch.generation);
        found.filter(|found| !found.is_closing).map(|_| watch.key)
    }

    /// Starts, or goes on with, closing a watch. Returns none once that is done.
    pub(in crate::board) fn begin_close(&mut self, watch: WatchKey) -> Option<Key<Watch>> {
        let found = self.watches.get_mut(watch.key)?;
        (found.generation == watch.generation).then(|| {
            found.is_closing = true;
            watch.key
        })
    }

    pub(in crate::board) fn watch_keys(&self) -> Vec<WatchKey> {
        let pair =
            |(key, watch): (Key<Watch>, &Watch)| WatchKey { key, generation: watch.generation };
        self.watches.iter().map(pair).collect()
    }

    /// Returns the watches of the waits on a job, the newest wait first.
    pub(in crate::board) fn watches_of(&self, job: &Job) -> impl Iterator<Item = WatchKey> {
        self.on(job).map(|(_, wait)| {
            let key = wait.watch;
            WatchKey { key, generation: self.watches[key].generation }
        })
    }

    pub(in crate::board) fn start(&mut self, watch: Key<Watch>, now: Time) {
        self.watches[watch].started.get_or_insert(now);
    }

    /// Returns the options of a watch that has not started.
    pub(in crate::board) fn options_mut(&mut self, watch: Key<Watch>) -> Option<&mut WaitOptions> {
        let watch = &mut self.watches[watch];
        watch.started.is_none().then_some(&mut watch.options)
    }

    /// Sets the runtime on which a watch is polled, and moves the count of its live waits there.
    pub(in crate::board) fn set_runtime(&mut self, watch: Key<Watch>, runtime: RuntimeKey) {
        let live = self.watches[watch].live();
        let before = self.watches[watch].runtime.replace(runtime);
        if let Some(counts) = before.and_then(|before| self.on_runtime.get_mut(before.0)) {
            counts.live_waits -= live;
            counts.watches -= 1;
        }
        if self.on_runtime.len() <= runtime.0 {
            self.on_runtime.resize(runtime.0 + 1, OnRuntime::default());
        }
        if let Some(counts) = self.on_runtime.get_mut(runtime.0) {
            counts.live_waits += live;
            counts.watches += 1;
        }
    }

    pub(in crate::board) fn acquire_handle(&mut self, watch: Key<Watch>) {
        self.watches[watch].handles += 1;
    }

    pub(in crate::board) fn release_handle(&mut self, watch: Key<Watch>) {
        self.watches[watch].handles -= 1;
    }

    pub(in crate::board) fn progress_mut(&mut self, watch: Key<Watch>) -> &mut Progress {
        &mut self.watches[watch].progress
    }

    pub(in crate::board) fn pending_mut(&mut self, watch: Key<Watch>) -> &mut Pending {
        &mut self.watches[watch].pending
    }

    /// Replaces the consumer's waker. Returns the one before, which is dropped outside the lock.
    pub(in crate::board) fn set_waker(&mut self, watch: Key<Watch>, waker: Waker) -> Option<Waker> {
        self.watches[watch].waker.replace(waker)
    }

    /// Takes the consumer's waker, if its watch has come to its end.
    pub(in crate::board) fn wake_if_complete(&mut self, watch: Key<Watch>) -> Option<Waker> {
        self.watches.get_mut(watch).filter(|watch| watch.is_complete())?.waker.take()
    }

    /// Removes a watch that holds no waits any more. Returns its waker.
    pub(in crate::board) fn remove_watch(&mut self, watch: Key<Watch>) -> Option<Waker> {
        let removed = self.watches.remove(watch)?;
        if let Some(counts) = removed.runtime.and_then(|runtime| self.on_runtime.get_mut(runtime.0))
        {
            counts.watches -= 1;
        }
        removed.waker
    }
}

/// For keys of watches that are known to exist.
impl Index<Key<Watch>> for Waits {
    type Output = Watch;

    fn index(&self, key: Key<Watch>) -> &Watch {
        &self.watches[key]
    }
}

impl Watch {
    pub(in crate::board) fn first(&self) -> Option<Key<Wait>> {
        self.first
    }

    pub(in crate::board) fn first_ready(&self) -> Option<Key<Wait>> {
        self.first_ready
    }

    pub(in crate::board) fn options(&self) -> &WaitOptions {
        &self.options
    }

    pub(in crate::board) fn started(&self) -> Option<Time> {
        self.started
    }

    pub(in crate::board) fn runtime(&self) -> Option<RuntimeKey> {
        self.runtime
    }

    pub(in crate::board) fn ends_only(&self) -> bool {
        self.ends_only
    }

    /// Returns how many of its waits are live.
    pub(in crate::board) fn live(&self) -> usize {
        self.progress.live()
    }

    /// Returns whether it has no jobs, and no handle can add any.
    pub(in crate::board) fn is_complete(&self) -> bool {
        self.first.is_none()
            && self.handles == 0
            && self.started.is_some()
            && self.pending.is_empty()
    }

    pub(in crate::board) fn has_waker(&self, waker: &Waker) -> bool {
        self.waker.as_ref().is_some_and(|known| known.will_wake(waker))
    }

    pub(in crate::board) fn progress(&self) -> Progress {
        Progress { waiting: self.progress.waiting + self.pending.len(), ..self.progress }
    }
}

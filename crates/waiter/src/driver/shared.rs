//! What handles and drivers share: the board and the drivers behind a lock, and the clock.
//!
//! No user code runs and no waker is called, cloned or dropped under the lock.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Poll, Waker};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::drivers::{Aftermath, Driver, Drivers};
use super::log::LogLine;
use crate::board::{Board, Budget, Deferred, LogEvent, Pending, Time, WaitOptions, WatchKey};
use crate::spans::{PollSpan, WaitSpan};
use crate::util::contain::{contain, contain_drop};
use crate::util::key_map::KeyHasher;
use crate::{Checkpoint, JobId, JobOptions, JobState, JobView, Update};

/// How many waits are added, listed, stopped or removed under one lock. Others get at the board in between.
const SLICE: usize = 512;

/// How often a thread yields between two slices while others wait for the lock.
const MAX_YIELDS: u32 = 1_000;

const NO_RUNTIME: &str = "there is no Tokio runtime to poll it on";
const RUNTIME_ENDED: &str = "its runtime was shut down, or has no timer";

pub(crate) struct Shared {
    core: Mutex<Core>,
    /// How many threads wait for the lock.
    waiting: AtomicUsize,
    epoch: Instant,
    /// The runtime on which everything is driven, if the user named one.
    runtime: Option<Handle>,
    start: Start,
}

/// Starts a driver. This closure is where the type of the source is erased, once per driver.
type Start = Box<dyn Fn(&Arc<Shared>, &Handle, Arc<Driver>) + Send + Sync>;

/// Returns the time that checkpoints are written in: another process has no other clock in common.
#[expect(clippy::disallowed_methods, reason = "the one wall clock")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

pub(crate) struct Core {
    pub(crate) board: Board,
    pub(crate) drivers: Drivers,
    spans: Spans,
}

/// The spans of started watches; of those only that a subscriber records. None is dropped under the lock.
type Spans = HashMap<WatchKey, WaitSpan, BuildHasherDefault<KeyHasher>>;

impl Core {
    /// Makes drivers follow a change to the board.
    pub(crate) fn follow(&mut self, caller: Option<&Arc<Driver>>) -> Aftermath {
        self.drivers.follow(&mut self.board, caller)
    }

    /// Keeps the span of a watch until that is closed.
    fn insert_span(&mut self, watch: WatchKey, span: &WaitSpan) -> Option<WaitSpan> {
        span.is_enabled().then(|| self.spans.insert(watch, span.clone())).flatten()
    }

    fn remove_span(&mut self, watch: WatchKey) -> Option<WaitSpan> {
        if self.spans.is_empty() {
            return None;
        }
        let span = self.spans.remove(&watch);
        if self.spans.is_empty() {
            // A crowd may have made it large.
            self.spans = Spans::default();
        }
        span
    }

    /// Returns the spans of the waits on an id, for the span of a poll; none if nothing would record that.
    pub(crate) fn spans_on(&self, id: &JobId) -> Vec<WaitSpan> {
        if self.spans.is_empty() || !PollSpan::may_be_wanted() {
            return Vec::new();
        }
        let watches = self.board.watches_on(id.as_str());
        watches.iter().filter_map(|watch| self.spans.get(watch).cloned()).collect()
    }

    /// Takes what there is to log, each with the span of a wait, and starts or stops recording it. `answer` is the index of
    /// the answer that it follows from.
    pub(crate) fn take_log(&mut self, is_wanted: bool, answer: Option<usize>) -> Vec<LogLine> {
        let events = self.board.take_log(is_wanted).into_iter();
        let line = |event: LogEvent| {
            let span = event.watch.and_then(|watch| self.spans.get(&watch).cloned());
            LogLine { event, span: span.unwrap_or_default(), answer }
        };
        events.map(line).collect()
    }

    /// Sets the runtime on which a watch is polled, if it is another one than before.
    fn move_to(&mut self, watch: WatchKey, runtime: Option<&Handle>) {
        let Some(runtime) = runtime else { return };
        let known = self.board.runtime_of(watch);
        if known.and_then(|known| self.drivers.id_of(known)) != Some(runtime.id()) {
            let key = self.drivers.key_of(runtime);
            self.board.set_runtime(watch, key);
        }
    }

    /// Ends the waits of a watch that was never polled on a runtime.
    fn stop_if_homeless(&mut self, watch: WatchKey, now: Time) -> bool {
        self.board.runtime_of(watch).is_none()
            && self.board.stop_watch(now, watch, NO_RUNTIME, SLICE)
    }
}

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "the epoch of the board's clock")]
    pub(crate) fn new(
        seed: u64,
        budget: Budget,
        runtime: Option<Handle>,
        start: Start,
    ) -> Arc<Self> {
        let board = Board::new(seed, budget);
        let core = Core { board, drivers: Drivers::default(), spans: Spans::default() };
        Arc::new(Self {
            core: Mutex::new(core),
            waiting: AtomicUsize::new(0),
            epoch: Instant::now(),
            runtime,
            start,
        })
    }

    /// Returns the time on the board's clock.
    #[expect(clippy::disallowed_methods, reason = "the one clock of the board")]
    pub(crate) fn now(&self) -> Time {
        Time::at(Instant::now().saturating_duration_since(self.epoch))
    }

    /// Returns the moment on the runtime's clock; none if it is further off than that can tell.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(time.since_epoch())
    }

    /// Runs a closure under the lock. The closure must leave nothing for others to do.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = match self.core.try_lock() {
            Ok(core) => core,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                let core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                core
            }
        };
        act(&mut core)
    }

    /// Lets others have the lock between two slices. The lock is not fair: a thread that takes it again at once can keep
    /// it from one that waits.
    fn give_way(&self) {
        for _ in 0..MAX_YIELDS {
            std::thread::yield_now();
            if self.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }

    /// Changes the board on behalf of a handle, and does what follows outside the lock.
    pub(crate) fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut Core, Time) -> T) -> T {
        let now = self.now();
        let (result, (wakers, deferred), aftermath) = self.with(|core| {
            let result = act(core, now);
            let aftermath = core.follow(None);
            (result, core.board.take_deferred(), aftermath)
        });
        finish(wakers, deferred);
        if !aftermath.is_empty() {
            self.carry_out(aftermath);
        }
        result
    }

    /// Does what a change of the board means for the drivers.
    pub(crate) fn carry_out(self: &Arc<Self>, aftermath: Aftermath) {
        let Aftermath { notify, start, unused } = aftermath;
        for (runtime, driver) in start {
            (self.start)(self, &runtime, driver);
        }
        notify.iter().for_each(|driver| driver.waker.notify());
        unused.into_iter().for_each(contain_drop);
    }

    fn current_runtime(&self) -> Option<Handle> {
        self.runtime.clone().or_else(|| Handle::try_current().ok())
    }

    /// Opens a watch that is to start later.
    pub(crate) fn open(self: &Arc<Self>, pending: Pending, options: WaitOptions) -> WatchKey {
        self.with(|core| core.board.open(false, pending, options))
    }

    /// Starts a watch on the current runtime. All under one lock: a job that a handle adds meanwhile finds the watch not
    /// started, or started with a runtime to be driven on.
    pub(crate) fn start(self: &Arc<Self>, watch: WatchKey, span: &WaitSpan) {
        let runtime = self.current_runtime();
        let replaced = self.change(|core, now| {
            core.move_to(watch, runtime.as_ref());
            core.board.start(now, watch);
            core.insert_span(watch, span)
        });
        drop(replaced);
    }

    /// Opens a watch for a single job, and starts it.
    pub(crate) fn wait(
        self: &Arc<Self>,
        id: JobId,
        options: WaitOptions,
        span: &WaitSpan,
    ) -> WatchKey {
        let runtime = self.current_runtime();
        let (watch, replaced) = self.change(|core, now| {
            let watch = core.board.open(true, Pending::default(), options);
            let replaced = core.insert_span(watch, span);
            core.move_to(watch, runtime.as_ref());
            core.board.start(now, watch);
            core.board.add(now, watch, id, None);
            core.stop_if_homeless(watch, now);
            (watch, replaced)
        });
        drop(replaced);
        watch
    }

    /// Removes a watch whose consumer is gone.
    pub(crate) fn close(self: &Arc<Self>, watch: WatchKey) {
        loop {
            let ((is_left, waker), span) =
                self.change(|core, _| (core.board.close(watch, SLICE), core.remove_span(watch)));
            waker.into_iter().for_each(contain_drop);
            drop(span);
            if !is_left {
                return;
            }
            self.give_way();
        }
    }

    /// Adds a job to a watch. It is driven where the watch is polled, wherever this is called.
    pub(crate) fn add(
        self: &Arc<Self>,
        watch: WatchKey,
        id: JobId,
        mut options: Option<JobOptions>,
    ) -> bool {
        self.change(|core, now| {
            if let Some(options) = &mut options {
                options.resume_at(now);
            }
            let is_new = core.board.add(now, watch, id, options);
            if is_new {
                core.stop_if_homeless(watch, now);
            }
            is_new
        })
    }

    /// Removes a job from a watch.
    pub(crate) fn remove(self: &Arc<Self>, watch: WatchKey, id: &str) -> bool {
        self.change(|core, now| core.board.remove(now, watch, id))
    }

    /// Brings a job's next poll forward.
    pub(crate) fn poke(self: &Arc<Self>, id: &str) -> bool {
        self.change(|core, now| core.board.poke(now, id))
    }

    /// Hands on a state of a job that is known from elsewhere.
    pub(crate) fn tell(self: &Arc<Self>, id: &str, state: &JobState) -> bool {
        let (is_known, log) = self.change(|core, now| {
            let is_known = core.board.tell(now, id, state);
            // Now, while the waits that it ends are open.
            let is_logging = core.board.is_logging();
            (is_known, core.take_log(is_logging, None))
        });
        log.into_iter().for_each(|line| line.write(&[]));
        is_known
    }

    /// Returns the next update of a watch. One that has none is driven on the current runtime from now on.
    pub(crate) fn next_update(
        self: &Arc<Self>,
        watch: WatchKey,
        waker: &Waker,
    ) -> Poll<Option<Update>> {
        let (update, has_waker, known) = self.with(|core| {
            let known = core.board.runtime_of(watch).and_then(|key| core.drivers.id_of(key));
            if core.board.has_pending(watch) {
                return (None, false, known);
            }
            let update = core.board.next_update(watch);
            let has_waker = update.is_pending() && core.board.has_waker(watch, waker);
            (Some(update), has_waker, known)
        });
        if let Some(Poll::Ready(update)) = update {
            return Poll::Ready(update);
        }
        let runtime = self.current_runtime();
        let is_here = runtime.as_ref().is_none_or(|runtime| known == Some(runtime.id()));
        if update.is_some() && is_here && has_waker {
            return Poll::Pending;
        }
        if update.is_none() || !is_here {
            let (update, is_left) = self.change(|core, now| {
                core.move_to(watch, runtime.as_ref());
                let is_left = core.board.add_pending(now, watch, SLICE);
                let is_left = core.stop_if_homeless(watch, now) || is_left;
                (core.board.next_update(watch), is_left)
            });
            if update.is_ready() {
                return update;
            }
            if is_left {
                // A crowd of jobs is added in several polls, between which other tasks run.
                waker.wake_by_ref();
                return Poll::Pending;
            }
        }
        // Cloning a waker is user code, so the lock is not held meanwhile: look again after it.
        let clone = waker.clone();
        let (update, unused) = self.with(|core| match core.board.next_update(watch) {
            Poll::Pending => (Poll::Pending, core.board.set_waker(watch, clone)),
            ready => (ready, Some(clone)),
        });
        unused.into_iter().for_each(contain_drop);
        update
    }

    /// Returns what another process needs to go on with the live jobs of a watch.
    pub(crate) fn checkpoint(&self, watch: WatchKey) -> Checkpoint {
        let (now, wall_clock) = (self.now(), wall_clock());
        let list = |cursor| self.with(|core| core.board.saved_jobs(now, watch, cursor, SLICE));
        let (mut jobs, mut next) = list(None);
        while next.is_some() {
            self.give_way();
            let (more, cursor) = list(next);
            jobs.extend(more);
            next = cursor;
        }
        Checkpoint::new(jobs, wall_clock)
    }

    /// Lists the live jobs of a watch.
    pub(crate) fn jobs(&self, watch: WatchKey) -> Vec<JobView> {
        let now = self.now();
        let (mut views, mut next) = self.with(|core| core.board.jobs(now, watch, None, SLICE));
        while next.is_some() {
            self.give_way();
            let (more, cursor) = self.with(|core| core.board.jobs(now, watch, next, SLICE));
            views.extend(more);
            next = cursor;
        }
        views
    }

    /// Returns a live job of a watch.
    pub(crate) fn job(&self, watch: WatchKey, id: &str) -> Option<JobView> {
        let now = self.now();
        self.with(|core| core.board.job(now, watch, id))
    }

    /// A driver was dropped before it was done, with its runtime or by a panic in this crate. The waits on its runtime end.
    pub(crate) fn driver_stopped(self: &Arc<Self>, driver: &Arc<Driver>) {
        if !self.with(|core| core.drivers.remove(driver, &mut core.board)) {
            return;
        }
        loop {
            let is_left = self.change(|core, now| {
                if !core.drivers.is_stopping(driver.runtime) {
                    return false;
                }
                let is_left = core.board.stop(now, driver.runtime, RUNTIME_ENDED, SLICE);
                if !is_left {
                    core.drivers.end_stopping(driver.runtime);
                }
                is_left
            });
            if !is_left {
                return;
            }
            self.give_way();
        }
    }
}

/// Wakes consumers and drops what the board has no more use for. All of it may be user code that panics.
fn finish(wakers: Vec<Waker>, deferred: Vec<Deferred>) {
    for waker in wakers {
        let _ = contain(|| waker.wake());
    }
    deferred.into_iter().for_each(contain_drop);
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared(..)")
    }
}

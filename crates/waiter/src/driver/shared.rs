//! What handles and driver share: the board behind a lock, and the clock.
//!
//! No user code runs and no waker is called under the lock.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use tokio::runtime::{self, Handle};
use tokio::time::Instant;

use crate::board::{Board, Budget, Time, WaitOptions, WatchKey};
use crate::driver::DriverWaker;
use crate::{JobId, Update};

pub(crate) struct Shared {
    core: Mutex<Core>,
    epoch: Instant,
    start: Start,
}

/// Starts a driver. This closure is where the type of the source is erased, once per driver.
type Start = Box<dyn Fn(&Arc<Shared>, &Handle, Driver) + Send + Sync>;

pub(crate) struct Core {
    pub(crate) board: Board,
    driver: Option<Driver>,
    drivers: u64,
    /// Drivers to be to_notify as soon as the lock is released.
    to_notify: Vec<Driver>,
}

/// A driver, as the handles see it.
#[derive(Clone)]
pub(crate) struct Driver {
    pub(crate) number: u64,
    pub(crate) waker: Arc<DriverWaker>,
    runtime: runtime::Id,
}

impl Core {
    pub(crate) fn is_driven_by(&self, number: u64) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.number == number)
    }

    /// The driver ends when nobody waits, and with it what is in flight for nobody.
    pub(crate) fn stop_if_idle(&mut self) -> bool {
        let idle = self.board.is_idle();
        if idle {
            self.board.forget_requests();
            self.driver = None;
        }
        idle
    }

    /// The driver to start for new waits, if none is at work.
    fn ensure_driver(&mut self, runtime: Option<&Handle>) -> Result<Option<Driver>, NoRuntime> {
        if let Some(driver) = &self.driver {
            // A driver that only has requests of nobody left may be on a runtime that does not run any more:
            // only a wait on the same runtime may take such a request over.
            let is_ours = runtime.is_some_and(|runtime| runtime.id() == driver.runtime);
            if is_ours || !self.board.is_idle() {
                return Ok(None);
            }
            self.board.forget_requests();
            self.to_notify.extend(self.driver.take());
        }
        let runtime = runtime.ok_or(NoRuntime)?;
        self.drivers += 1;
        let driver = Driver { number: self.drivers, waker: Arc::default(), runtime: runtime.id() };
        self.driver = Some(driver.clone());
        Ok(Some(driver))
    }
}

struct NoRuntime;

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "the epoch of the board's clock")]
    pub(crate) fn new(seed: u64, budget: Budget, start: Start) -> Arc<Self> {
        let core = Core {
            board: Board::new(seed, budget),
            driver: None,
            drivers: 0,
            to_notify: Vec::new(),
        };
        Arc::new(Self { core: Mutex::new(core), epoch: Instant::now(), start })
    }

    /// The time on the board's clock.
    #[expect(clippy::disallowed_methods, reason = "the one clock of the board")]
    pub(crate) fn now(&self) -> Time {
        Time::at(Instant::now().saturating_duration_since(self.epoch))
    }

    /// The moment on the runtime's clock; none if it is further off than that can tell.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(time.since_epoch())
    }

    /// Does something under the lock. For the driver, which hears of all wants anyway.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        act(&mut self.core.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something to the board on behalf of a handle; wakes whom it concerns.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut Board, Time) -> T) -> T {
        self.change_core(|core, now| act(&mut core.board, now))
    }

    fn change_core<T>(&self, act: impl FnOnce(&mut Core, Time) -> T) -> T {
        let now = self.now();
        let (result, (wakes, _deferred), to_notify) = self.with(|core| {
            let result = act(core, now);
            if core.board.is_idle() && !core.board.has_requests() {
                // The driver has nothing to do, and a wait to come must not rely on it: the runtime that it
                // is on may not run any more.
                core.to_notify.extend(core.driver.take());
            } else if core.board.needs_driver() {
                core.to_notify.extend(core.driver.clone());
            }
            (result, core.board.take_deferred(), std::mem::take(&mut core.to_notify))
        });
        wakes.into_iter().for_each(Waker::wake);
        to_notify.into_iter().for_each(|driver| driver.waker.notify());
        result
    }

    /// Opens a watch that is to start later.
    pub(crate) fn open(&self, ids: impl IntoIterator<Item = JobId>) -> WatchKey {
        self.change(|board, now| {
            let watch = board.open(false);
            for id in ids {
                board.add(now, watch, id);
            }
            watch
        })
    }

    /// Starts a watch, and a driver if none is at work.
    pub(crate) fn start(self: &Arc<Self>, watch: WatchKey, options: WaitOptions) {
        self.change_driven(|board, now| board.start(now, watch, options));
    }

    /// Opens a watch for a single job, and starts it.
    pub(crate) fn wait(self: &Arc<Self>, id: JobId, options: WaitOptions) -> WatchKey {
        self.change_driven(|board, now| {
            let watch = board.open(true);
            board.start(now, watch, options);
            board.add(now, watch, id);
            watch
        })
    }

    /// Ends a watch whose consumer is gone.
    pub(crate) fn close(&self, watch: WatchKey) {
        // The consumer's waker is dropped outside the lock: it may hold a task.
        let _waker = self.change(|board, _| board.close(watch));
    }

    /// Removes a job from a watch.
    pub(crate) fn remove(&self, watch: WatchKey, id: &str) -> bool {
        self.change(|board, now| board.remove(now, watch, id))
    }

    /// Adds a job to a watch, and starts a driver if that makes one needed.
    pub(crate) fn add(self: &Arc<Self>, watch: WatchKey, id: JobId) -> bool {
        if !self.with(|core| core.board.is_started(watch)) {
            return self.change(|board, now| board.add(now, watch, id));
        }
        self.change_driven(|board, now| board.add(now, watch, id))
    }

    /// Like `change`, for what brings new waits.
    fn change_driven<T>(self: &Arc<Self>, act: impl FnOnce(&mut Board, Time) -> T) -> T {
        let runtime = Handle::try_current().ok();
        let mut hired = None;
        let result = self.change_core(|core, now| {
            let ensure_driver = core.ensure_driver(runtime.as_ref());
            let result = act(&mut core.board, now);
            match ensure_driver {
                Ok(driver) => hired = driver,
                Err(NoRuntime) => core.board.stop("there is no Tokio runtime to poll it on"),
            }
            result
        });
        if let (Some(driver), Some(runtime)) = (hired, runtime) {
            (self.start)(self, &runtime, driver);
        }
        result
    }

    /// The next piece of news of a watch.
    pub(crate) fn next_update(&self, watch: WatchKey, waker: &Waker) -> Poll<Option<Update>> {
        // The waker that this one replaces is dropped outside the lock: it may hold a task.
        let (update, _replaced) = self.with(|core| core.board.next_update(watch, waker));
        update
    }

    /// A driver was dropped before it was done, with its runtime or by a panic in this crate.
    pub(crate) fn driver_stopped(&self, number: u64) {
        self.change_core(|core, _| {
            if core.is_driven_by(number) {
                core.driver = None;
                core.board.stop("its runtime was shut down, or has no timer");
            }
        });
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared(..)")
    }
}

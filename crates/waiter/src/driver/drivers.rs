//! Which runtimes have a driver, and which driver leads.
//!
//! A watch or wait belongs to the runtime on which it was polled last. Each runtime with live waits has one driver, a task
//! there. One of the drivers is the leader: it sends the requests and holds all that are in flight. The others stand by:
//! they keep the deadlines of all waits, wake consumers, and watch the leader. A runtime may exist and not run, so a
//! leader that does not react within a grace to a wake-up that is due loses its place.
//!
//! **Invariant:** the leader sends no request before the in-flight sets of all former leaders are empty, so no two requests
//! for one job make progress (rule 3). *Guard:* `revoked`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::runtime::{self, Handle};

use super::in_flight::Revoke;
use super::waker::DriverWaker;
use crate::board::{Board, Role, RuntimeKey, Time};

/// How long a leader may take to react before another driver takes over.
const GRACE: Duration = Duration::from_millis(250);
/// How often a stand-by makes sure that a leader with requests in flight reacts.
const SUPERVISION: Duration = Duration::from_secs(1);

/// A driver, as handles and other drivers see it.
pub(crate) struct Driver {
    pub(crate) runtime: RuntimeKey,
    pub(crate) waker: DriverWaker,
    /// When its last turn began, in nanoseconds of the board's clock.
    last_turn: AtomicU64,
    /// Until when it sleeps, in nanoseconds of the board's clock; zero before its first turn. Written under the lock.
    wakes_at: AtomicU64,
    /// Set before its task is spawned. Weak, since the set refers to its driver.
    in_flight: OnceLock<Weak<dyn Revoke>>,
}

impl Driver {
    /// Notes that a turn begins.
    pub(crate) fn begin_turn(&self, now: Time) {
        self.last_turn.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Notes, under the lock, until when it sleeps.
    pub(crate) fn sleep_until(&self, wake: Option<Time>) {
        let wake = wake.unwrap_or(Time::NEVER);
        self.wakes_at.store(wake.as_nanos(), Ordering::Relaxed);
    }

    /// Returns whether it would sleep beyond this moment. A driver that is awake looks at the board before it sleeps.
    fn sleeps_beyond(&self, time: Time) -> bool {
        time.as_nanos() < self.wakes_at.load(Ordering::Relaxed)
    }

    fn last_turn(&self) -> Time {
        Time::at(Duration::from_nanos(self.last_turn.load(Ordering::Relaxed)))
    }

    pub(crate) fn set_in_flight(&self, set: Weak<dyn Revoke>) {
        // Called once, by the one that starts the driver.
        let _ = self.in_flight.set(set);
    }

    /// Returns the set of its requests, unless its task has ended.
    pub(crate) fn in_flight(&self) -> Option<Arc<dyn Revoke>> {
        self.in_flight.get()?.upgrade()
    }
}

/// A runtime on which watches were polled last.
struct Runtime {
    id: runtime::Id,
    handle: Handle,
    /// Invariant: whenever the lock is free, a runtime with live waits has one, unless it is stopping. One without has none,
    /// unless that is about to abort the last requests.
    driver: Option<Arc<Driver>>,
    /// Whether its driver was dropped, and its waits are being ended.
    is_stopping: bool,
}

#[derive(Default)]
pub(crate) struct Drivers {
    /// By `RuntimeKey`.
    runtimes: Vec<Option<Runtime>>,
    leader: Option<Arc<Driver>>,
    /// When a stand-by last asked the leader to show that it reacts.
    pinged: Option<Time>,
    /// In-flight sets of former leaders that may not be empty.
    revoked: Vec<Arc<dyn Revoke>>,
}

/// What is to be done once the lock is released, after a change to the board.
#[derive(Default)]
pub(crate) struct Aftermath {
    /// Drivers to be woken.
    pub(crate) notify: Vec<Arc<Driver>>,
    /// Drivers to be started, each on its runtime.
    pub(crate) start: Vec<(Handle, Arc<Driver>)>,
    /// Handles of runtimes that no watch uses any more. Dropping one may drop tasks of the user's.
    pub(crate) unused: Vec<Handle>,
}

impl Aftermath {
    pub(crate) fn is_empty(&self) -> bool {
        self.notify.is_empty() && self.start.is_empty() && self.unused.is_empty()
    }
}

impl Drivers {
    /// Returns the key of a runtime.
    pub(crate) fn key_of(&mut self, runtime: &Handle) -> RuntimeKey {
        let id = runtime.id();
        let known = |slot: &Option<Runtime>| slot.as_ref().is_some_and(|known| known.id == id);
        if let Some(at) = self.runtimes.iter().position(known) {
            return RuntimeKey(at);
        }
        let entry = Some(Runtime { id, handle: runtime.clone(), driver: None, is_stopping: false });
        if let Some(at) = self.runtimes.iter().position(Option::is_none) {
            if let Some(slot) = self.runtimes.get_mut(at) {
                *slot = entry;
            }
            return RuntimeKey(at);
        }
        self.runtimes.push(entry);
        RuntimeKey(self.runtimes.len() - 1)
    }

    /// Returns the runtime that a key stands for.
    pub(crate) fn id_of(&self, key: RuntimeKey) -> Option<runtime::Id> {
        self.runtimes.get(key.0)?.as_ref().map(|known| known.id)
    }

    /// Makes drivers follow the board: each runtime with live waits has one, and no other. A driver that calls this is
    /// awake, and not notified.
    pub(crate) fn follow(&mut self, board: &mut Board, caller: Option<&Arc<Driver>>) -> Aftermath {
        let mut aftermath = Aftermath::default();
        for at in 0..self.runtimes.len() {
            let key = RuntimeKey(at);
            let Some(Some(runtime)) = self.runtimes.get_mut(at) else { continue };
            if board.live_on(key) > 0 {
                if runtime.driver.is_none() && !runtime.is_stopping {
                    let driver = Arc::new(Driver {
                        runtime: key,
                        waker: DriverWaker::default(),
                        last_turn: AtomicU64::new(0),
                        wakes_at: AtomicU64::new(0),
                        in_flight: OnceLock::new(),
                    });
                    runtime.driver = Some(Arc::clone(&driver));
                    aftermath.start.push((runtime.handle.clone(), driver));
                }
                continue;
            }
            // A wait that comes before the driver has aborted its requests may take one over (rule 10).
            let may_take_over = caller.is_none() && board.is_idle() && board.has_requests();
            if may_take_over && is(&self.leader, runtime.driver.as_ref()) {
                aftermath.notify.extend(runtime.driver.clone());
                continue;
            }
            if let Some(driver) = runtime.driver.take() {
                // Its task ends when it runs next, which may be never: no wait relies on it.
                aftermath.notify.push(Arc::clone(&driver));
                self.resign(&driver, board);
            }
            if !board.has_watches_on(key)
                && let Some(unused) = self.runtimes.get_mut(at).and_then(Option::take)
            {
                aftermath.unused.push(unused.handle);
            }
        }
        let drivers = self.runtimes.iter().flatten().filter_map(|runtime| runtime.driver.as_ref());
        // A driver that is alone has none, and computes nothing here.
        let others =
            drivers.filter(|driver| caller.is_none_or(|caller| !Arc::ptr_eq(driver, caller)));
        for driver in others {
            let turn = board.next_turn().unwrap_or(Time::NEVER);
            let leads = is(&self.leader, Some(driver));
            let oversleeps = if leads {
                driver.sleeps_beyond(turn)
            } else {
                let deadline = board.next_deadline().unwrap_or(Time::NEVER);
                driver.sleeps_beyond(deadline.min(turn.after(GRACE)))
            };
            if oversleeps || self.leader.is_none() || (leads && board.has_aborts()) {
                aftermath.notify.push(Arc::clone(driver));
            }
        }
        aftermath
    }

    /// Removes a driver that has ended with its runtime. Returns false if it has been replaced or removed already.
    pub(crate) fn remove(&mut self, driver: &Arc<Driver>, board: &mut Board) -> bool {
        let slot = self.runtimes.get_mut(driver.runtime.0).and_then(Option::as_mut);
        let Some(runtime) = slot.filter(|runtime| is(&runtime.driver, Some(driver))) else {
            return false;
        };
        runtime.driver = None;
        runtime.is_stopping = true;
        self.resign(driver, board);
        true
    }

    /// Returns whether the waits on this runtime are being ended. Once those that are left have moved or gone, the key may
    /// stand for another runtime.
    pub(crate) fn is_stopping(&self, key: RuntimeKey) -> bool {
        let runtime = self.runtimes.get(key.0).and_then(Option::as_ref);
        runtime.is_some_and(|runtime| runtime.is_stopping)
    }

    /// The waits on a runtime whose driver was dropped have ended.
    pub(crate) fn end_stopping(&mut self, key: RuntimeKey) {
        if let Some(Some(runtime)) = self.runtimes.get_mut(key.0) {
            runtime.is_stopping = false;
        }
    }

    /// Returns what a driver may do; none if it is to end.
    pub(crate) fn role(&mut self, driver: &Arc<Driver>) -> Option<Role> {
        let runtime = self.runtimes.get(driver.runtime.0)?.as_ref()?;
        if !is(&runtime.driver, Some(driver)) {
            return None;
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(driver));
            self.pinged = None;
        }
        Some(if is(&self.leader, Some(driver)) { Role::Leader } else { Role::StandBy })
    }

    pub(crate) fn leads(&self, driver: &Arc<Driver>) -> bool {
        is(&self.leader, Some(driver))
    }

    /// Returns the in-flight sets that a new leader must empty before it sends anything.
    pub(crate) fn revoked(&self) -> &[Arc<dyn Revoke>] {
        &self.revoked
    }

    /// Forgets in-flight sets that are empty now.
    pub(crate) fn forget_revoked(&mut self, emptied: &[Arc<dyn Revoke>]) {
        self.revoked.retain(|set| !emptied.iter().any(|other| Arc::ptr_eq(other, set)));
    }

    /// Looks after the leader on behalf of a stand-by, who takes over if the leader does not react. Returns when to look
    /// again.
    pub(crate) fn supervise(
        &mut self,
        driver: &Arc<Driver>,
        board: &mut Board,
        now: Time,
        aftermath: &mut Aftermath,
    ) -> Option<Time> {
        let leader = self.leader.clone()?;
        let last_turn = leader.last_turn();
        let in_flight = board.has_requests().then(|| last_turn.after(SUPERVISION));
        let due = [board.next_wake().map(|wake| wake.after(GRACE)), in_flight];
        let due = due.into_iter().flatten().min()?.max(last_turn.after(GRACE));
        if now < due {
            self.pinged = None;
            return Some(due);
        }
        match self.pinged {
            Some(pinged) if last_turn >= pinged => {
                self.pinged = None;
                Some(now.after(GRACE))
            }
            Some(pinged) if now < pinged.after(GRACE) => Some(pinged.after(GRACE)),
            Some(_) => {
                self.resign(&leader, board);
                self.leader = Some(Arc::clone(driver));
                Some(now)
            }
            None => {
                self.pinged = Some(now);
                aftermath.notify.push(leader);
                Some(now.after(GRACE))
            }
        }
    }

    /// Ends a leader's lead. What it has in flight is revoked.
    fn resign(&mut self, driver: &Arc<Driver>, board: &mut Board) {
        if !is(&self.leader, Some(driver)) {
            return;
        }
        self.leader = None;
        self.pinged = None;
        // A request that the board has given up stays in the set until its abort is carried out.
        if board.has_requests() || board.has_aborts() {
            self.revoked.extend(driver.in_flight());
            board.forget_requests();
        }
    }
}

fn is(slot: &Option<Arc<Driver>>, driver: Option<&Arc<Driver>>) -> bool {
    slot.as_ref().zip(driver).is_some_and(|(known, driver)| Arc::ptr_eq(known, driver))
}

//! How a driver is woken: by handles, by requests that can go on, and by other drivers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

#[derive(Default)]
pub(crate) struct DriverWaker {
    task: AtomicWaker,
    /// Whether `woken` may hold anything: most turns begin without.
    has_woken: AtomicBool,
    /// The slots of requests that can go on.
    woken: Mutex<Vec<usize>>,
}

impl DriverWaker {
    /// Sets the task that is to be woken.
    pub(crate) fn register(&self, waker: &Waker) {
        self.task.register(waker);
    }

    /// Wakes the driver.
    pub(crate) fn notify(&self) {
        self.task.wake();
    }

    /// Wakes the driver for the request in a slot.
    pub(crate) fn notify_for(&self, slot: usize) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        self.has_woken.store(true, Ordering::Release);
        self.notify();
    }

    /// Moves the slots of requests that can go on to `slots`.
    pub(crate) fn take_woken(&self, slots: &mut Vec<usize>) {
        // Before the list is read: what is added later sets it again, and wakes the driver.
        if !self.has_woken.swap(false, Ordering::Acquire) {
            return;
        }
        slots.append(&mut self.woken.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

//! How a driver is woken.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// What wakes a driver: handles ring it, and so do requests that can go on.
#[derive(Default)]
pub(crate) struct DriverWaker {
    driver: AtomicWaker,
    woken: Mutex<Vec<usize>>,
}

impl DriverWaker {
    /// Registers the task that is to be woken.
    pub(crate) fn register(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    pub(crate) fn notify(&self) {
        self.driver.wake();
    }

    /// The request in a slot can go on.
    pub(crate) fn notify_for(&self, slot: usize) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        self.notify();
    }

    pub(crate) fn take_woken(&self, slots: &mut Vec<usize>) {
        slots.append(&mut self.woken.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

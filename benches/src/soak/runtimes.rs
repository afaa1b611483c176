//! The runtimes that live now, for their number of tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

#[derive(Clone, Default)]
pub(super) struct Runtimes(Arc<Mutex<Vec<Handle>>>);

/// Counts a runtime for as long as it lives.
pub(super) struct Counted(Runtimes, tokio::runtime::Id);

impl Runtimes {
    fn lock(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, runtime: &Handle) -> Counted {
        self.lock().push(runtime.clone());
        Counted(self.clone(), runtime.id())
    }

    pub(super) fn tasks(&self) -> usize {
        self.lock().iter().map(|runtime| runtime.metrics().num_alive_tasks()).sum()
    }

    pub(super) fn first(&self) -> Option<Handle> {
        self.lock().first().cloned()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.lock().retain(|runtime| runtime.id() != self.1);
    }
}

//! The process groups of the commands that run, so that a process that must end at once ends them, too.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The groups, by their ids. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessGroups(Arc<Mutex<BTreeSet<u32>>>);

impl ProcessGroups {
    pub(crate) fn add(&self, id: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    pub(crate) fn remove(&self, id: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Kills all groups.
    pub(crate) fn kill_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|&id| kill(id));
    }
}

/// Kills a group. Does nothing if it has just ended.
#[cfg(unix)]
pub(crate) fn kill(id: u32) {
    if let Ok(id) = id.try_into() {
        let _ = nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(id),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
}

/// Other systems have no process groups: dropping the child kills it.
#[cfg(not(unix))]
pub(crate) fn kill(_: u32) {}

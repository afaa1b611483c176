//! The summary of a run.

use std::time::Duration;

use cfw_waiter::{JobView, Progress, Stats};

use crate::exit::Exit;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) exit: Exit,
    pub(crate) reason: Reason,
    pub(crate) progress: Progress,
    /// The jobs whose waits had not ended.
    pub(crate) unfinished: Vec<JobView>,
    /// The number of lines of standard input that were not job ids.
    pub(crate) rejected: u64,
    pub(crate) elapsed: Duration,
    pub(crate) stats: Stats,
}

/// The reason why the command stopped waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    AllEnded,
    FirstSuccess,
    FirstFailure,
    Interrupted,
}

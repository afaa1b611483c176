//! How it all came out.

use std::time::Duration;

use cfw_waiter::{JobView, Progress, Stats};

use crate::exit::Exit;

/// What there is to say at the end.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) exit: Exit,
    pub(crate) reason: Reason,
    pub(crate) progress: Progress,
    /// The jobs that were not waited for to their end.
    pub(crate) unfinished: Vec<JobView>,
    /// Lines of standard input that are no ids.
    pub(crate) rejected: u64,
    pub(crate) elapsed: Duration,
    pub(crate) stats: Stats,
}

/// Why the command stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    AllEnded,
    FirstSuccess,
    FirstFailure,
    Interrupted,
}

//! The summary of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use cfw_waiter::{JobView, Progress, Stats, WaitErrorKind};

use crate::exit::Exit;
use crate::signals::Signal;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) exit: Exit,
    pub(crate) reason: Reason,
    pub(crate) progress: Progress,
    pub(crate) failures: FailureCounts,
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
    Interrupted(Signal),
    /// The reader of standard output closed it.
    OutputClosed,
}

/// The number of waits that ended without success, by the name of the kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailureCounts(BTreeMap<&'static str, usize>);

impl FailureCounts {
    pub(crate) fn add(&mut self, kind: WaitErrorKind) {
        *self.0.entry(kind.as_str()).or_default() += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        self.0.iter().map(|(kind, count)| (*kind, *count))
    }

    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }
}

//! The summary of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cfw_waiter::{JobReport, Progress, Stats, WaitError, WaitErrorKind};

use crate::describe;
use crate::exit::Exit;
use crate::hint;
use crate::ids;
use crate::outcome;
use crate::signals::Signal;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) exit: Exit,
    pub(crate) reason: Reason,
    pub(crate) progress: Progress,
    pub(crate) failures: Failures,
    /// The jobs whose waits had not ended.
    pub(crate) unfinished: Vec<JobReport>,
    /// The number of ends that earlier runs reported, which the state file has.
    pub(crate) earlier: usize,
    /// The number of lines of the input that do not describe a job.
    pub(crate) rejected: u64,
    pub(crate) elapsed: Duration,
    pub(crate) stats: Stats,
}

impl Summary {
    /// Returns the summary of a run that a signal ended before its wait began.
    pub(crate) fn before_wait<'a>(
        signal: Signal,
        ids: impl Iterator<Item = &'a str>,
        elapsed: Duration,
    ) -> Self {
        let ids: BTreeSet<_> = ids.map(ids::trim).collect();
        let unfinished: Vec<_> = ids.into_iter().map(JobReport::new).collect();
        let mut progress = Progress::default();
        progress.waiting = unfinished.len();
        Self {
            exit: Exit::Interrupted(signal),
            reason: Reason::Interrupted(signal),
            progress,
            failures: Failures::default(),
            unfinished,
            earlier: 0,
            rejected: 0,
            elapsed,
            stats: Stats::default(),
        }
    }
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

/// The waits that ended without success.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    by_kind: BTreeMap<&'static str, usize>,
    /// A line for each of the first ones.
    recap: Vec<String>,
    /// The kinds that the hint is about. One look, with a timeout of zero, is no wait that could have been longer.
    advisable: BTreeSet<&'static str>,
}

impl Failures {
    pub(crate) fn add(&mut self, error: &WaitError) {
        let reason = || describe::reason(error);
        if error.kind() != WaitErrorKind::Removed {
            self.advisable.insert(error.kind().as_str());
        }
        self.add_kind(outcome::kind(error), error.report().id.as_str(), reason);
    }

    /// Adds a wait that ended in this way, for a reason.
    pub(crate) fn add_kind(
        &mut self,
        kind: WaitErrorKind,
        id: &str,
        reason: impl FnOnce() -> String,
    ) {
        self.count(kind);
        if self.recap.len() < describe::MAX_LISTED {
            let kind = kind.as_str().replace('_', " ");
            self.recap.push(format!("{kind}: {id} ({})", reason()));
        }
    }

    pub(crate) fn count(&mut self, kind: WaitErrorKind) {
        *self.by_kind.entry(kind.as_str()).or_default() += 1;
    }

    /// Returns a line for each of the first [`describe::MAX_LISTED`] waits.
    pub(crate) fn recap(&self) -> &[String] {
        &self.recap
    }

    /// Returns what to do about the waits of this run that ended without the end of their job.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        hint::hint(|kind| self.advisable.contains(kind.as_str()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        self.by_kind.iter().map(|(kind, count)| (*kind, *count))
    }

    pub(crate) fn total(&self) -> usize {
        self.by_kind.values().sum()
    }
}

//! The jobs of the project.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::job::{Job, JobPhase, JobView};

/// The jobs, and the polls of each id, whether or not a job has it.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    entries: HashMap<Arc<str>, JobEntry>,
}

#[derive(Debug, Default)]
struct JobEntry {
    job: Option<Job>,
    polls: u64,
    in_flight: u32,
    /// The path of the last poll, shared by the records of all polls with the same path.
    path: Option<Arc<str>>,
}

/// A poll that has just arrived.
#[derive(Debug)]
pub(crate) struct PollArrival {
    /// The job id, shared with the entry.
    pub(crate) job: Arc<str>,
    pub(crate) path: Arc<str>,
    /// The number of earlier polls of this id.
    pub(crate) earlier: u64,
    /// The number of other polls of this id in flight.
    pub(crate) in_flight: u32,
}

impl Jobs {
    /// Adds a job, or replaces the one with the same id.
    pub(crate) fn add(&mut self, id: Arc<str>, job: Job) {
        self.entries.entry(id).or_default().job = Some(job);
    }

    /// Removes a job. Returns false if there is none with this id.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        self.entries.get_mut(id).is_some_and(|entry| entry.job.take().is_some())
    }

    /// Ends a running job. Returns false if there is none with this id, or it has ended.
    pub(crate) fn end(&mut self, id: &str, now: Duration, fails: bool) -> bool {
        let job = self.entries.get_mut(id).and_then(|entry| entry.job.as_mut());
        job.is_some_and(|job| job.end(now, fails))
    }

    /// Returns `None` if there is no such job, or it has not appeared.
    pub(crate) fn view(&self, id: &str, now: Duration) -> Option<JobView<'_>> {
        self.entries.get(id)?.job.as_ref()?.view(now)
    }

    /// Returns the phase of a job even if it has not appeared.
    pub(crate) fn phase(&self, id: &str, now: Duration) -> Option<JobPhase> {
        Some(self.entries.get(id)?.job.as_ref()?.phase(now))
    }

    /// Counts a poll, which is in flight until [`finish_poll`](Self::finish_poll).
    pub(crate) fn start_poll(&mut self, id: String, path: &str) -> PollArrival {
        let job = match self.entries.get_key_value(id.as_str()) {
            Some((known, _)) => known.clone(),
            None => id.into(),
        };
        let entry = self.entries.entry(job.clone()).or_default();
        let path = match &entry.path {
            Some(known) if **known == *path => known.clone(),
            _ => entry.path.insert(path.into()).clone(),
        };
        let arrival = PollArrival { job, path, earlier: entry.polls, in_flight: entry.in_flight };
        entry.polls += 1;
        entry.in_flight += 1;
        arrival
    }

    pub(crate) fn finish_poll(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
    }
}

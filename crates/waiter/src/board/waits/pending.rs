//! The jobs of a watch that have no waits yet.

use std::collections::{HashMap, VecDeque};

use crate::{JobId, JobOptions};

/// Jobs that were added before the watch started. A removed one leaves a gap, so removing costs the same among any number.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Each with its serial number, in order.
    jobs: VecDeque<(usize, Option<PendingJob>)>,
    /// The serial number of each job.
    index: HashMap<JobId, usize>,
    next_serial: usize,
}

#[derive(Debug)]
pub(in crate::board) struct PendingJob {
    pub(in crate::board) id: JobId,
    /// None for those of the watch.
    pub(in crate::board) options: Option<Box<JobOptions>>,
}

impl Pending {
    /// Adds a job. Returns whether it is new.
    pub(crate) fn add(&mut self, id: JobId, options: Option<JobOptions>) -> bool {
        if self.index.contains_key(&id) {
            return false;
        }
        self.index.insert(id.clone(), self.next_serial);
        let options = options.map(Box::new);
        self.jobs.push_back((self.next_serial, Some(PendingJob { id, options })));
        self.next_serial += 1;
        true
    }

    /// Removes a job.
    pub(in crate::board) fn remove(&mut self, id: &str) -> Option<PendingJob> {
        let serial = self.index.remove(id)?;
        let at = self.jobs.partition_point(|(other, _)| *other < serial);
        let removed = self.jobs.get_mut(at)?.1.take();
        if self.jobs.len() > 2 * self.index.len() + 64 {
            self.jobs.retain(|(_, job)| job.is_some());
            self.jobs.shrink_to_fit();
            self.index.shrink_to_fit();
        }
        removed
    }

    /// Takes the first job.
    pub(in crate::board) fn pop(&mut self) -> Option<PendingJob> {
        let job = std::iter::from_fn(|| self.jobs.pop_front()).find_map(|(_, job)| job)?;
        self.index.remove(&job.id);
        if self.index.is_empty() {
            // Gives the memory back.
            *self = Self { next_serial: self.next_serial, ..Self::default() };
        }
        Some(job)
    }

    /// Returns how many places it has, gaps included.
    #[cfg(test)]
    pub(in crate::board) fn places(&self) -> usize {
        self.jobs.len()
    }

    /// Returns how much room it keeps.
    #[cfg(test)]
    pub(in crate::board) fn room(&self) -> usize {
        self.jobs.capacity() + self.index.capacity()
    }

    pub(in crate::board) fn get(&self, id: &str) -> Option<&PendingJob> {
        let serial = self.index.get(id)?;
        let at = self.jobs.partition_point(|(other, _)| other < serial);
        self.jobs.get(at)?.1.as_ref()
    }

    pub(in crate::board) fn contains(&self, id: &str) -> bool {
        self.index.contains_key(id)
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(in crate::board) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Returns the jobs from a serial number on, each with its own.
    pub(in crate::board) fn iter_from(
        &self,
        serial: usize,
    ) -> impl Iterator<Item = (usize, &PendingJob)> {
        let skipped = self.jobs.partition_point(|(other, _)| *other < serial);
        let jobs = self.jobs.iter().skip(skipped);
        jobs.filter_map(|(serial, job)| Some((*serial, job.as_ref()?)))
    }
}

impl FromIterator<JobId> for Pending {
    fn from_iter<I: IntoIterator<Item = JobId>>(ids: I) -> Self {
        let mut pending = Self::default();
        for id in ids {
            pending.add(id, None);
        }
        pending
    }
}

//! Jobs that come in while others are waited for.

use std::io;

use cfw_waiter::{JobId, WatchHandle};

use super::{Session, StopCondition};
use crate::clock::wall_clock;
use crate::exit::{CliError, Exit};
use crate::input::{BadLine, Batch, Job, Lines, Source};
use crate::output::Output;
use crate::summary::Reason;

impl Session {
    /// Starts to read the files and standard input, if any are named.
    pub(super) fn read(&mut self, sources: Vec<Source>) -> Result<(), CliError> {
        if sources.is_empty() {
            return Ok(());
        }
        // From now on a signal must not end the process before what was read is recorded.
        self.signals.attend();
        let lines = Lines::read(sources).map_err(|error| {
            CliError::misconfigured(format!("no thread to read job ids on: {error}"))
        })?;
        // The handle keeps the watch open while more ids can be read.
        self.lines = Some((lines, self.watch.handle()));
        Ok(())
    }

    /// Adds jobs, those that the state file has not got. It has them before any of them is polled.
    pub(super) fn add(&mut self, mut jobs: Vec<Job>) -> Result<(), CliError> {
        if let Some(state) = &mut self.state {
            let now = wall_clock();
            let mut new = Vec::new();
            for job in jobs {
                if !state.contains(job.id.as_str()) {
                    let (checkpoint, own) = self.defaults.checkpoint(&job, now);
                    state.add(checkpoint, own)?;
                    new.push(job);
                }
            }
            state.sync()?;
            jobs = new;
        }
        jobs.into_iter().for_each(|job| self.start(job));
        Ok(())
    }

    pub(super) fn start(&mut self, job: Job) {
        let (options, is_look) = self.defaults.options(&job, self.added);
        let id = JobId::from(job.id.as_str());
        if !self.watch.add_with(id.clone(), options) {
            // The watch already contains the id.
            return;
        }
        self.added = self.added.saturating_add(1);
        if is_look {
            self.looks.add(id.clone());
        }
        if let Some(kind) = job.kind {
            self.kinds.insert(id, kind);
        }
    }

    /// Handles the lines that one read has brought, and lets the next one begin.
    pub(super) fn handle_lines(
        &mut self,
        batch: Option<Batch>,
        output: &mut Output,
    ) -> Result<Option<Reason>, CliError> {
        let Some(mut batch) = batch else {
            self.lines = None;
            return Ok(None);
        };
        let (mut jobs, mut bad_lines) = (Vec::new(), Vec::new());
        for line in batch.lines.drain(..) {
            match line {
                Ok(job) => jobs.push(job),
                Err(bad) => bad_lines.push(bad),
            }
        }
        if let Some(state) = &mut self.state {
            let mut new = Vec::new();
            for bad in bad_lines {
                if state.reject(&bad)? {
                    new.push(bad);
                }
            }
            bad_lines = new;
        }
        self.add(jobs)?;
        drop(batch);
        for bad in bad_lines {
            let written = self.reject(&bad, false, output);
            if self.stop_condition == StopCondition::FirstFailure {
                return Ok(Some(Reason::FirstFailure));
            }
            if let Some(reason) = self.handle_written(written, output)? {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// Counts and reports a line that does not describe a job. `is_again` says that an earlier run may have reported it.
    pub(super) fn reject(
        &mut self,
        bad: &BadLine,
        is_again: bool,
        output: &mut Output,
    ) -> io::Result<()> {
        self.rejected += 1;
        self.exit = self.exit.max(Exit::Usage);
        output.rejected(bad, is_again)
    }

    /// Records what was read before the wait stopped: a pipe does not bring it again.
    pub(super) async fn record_lines(&mut self, output: &mut Output) -> Result<(), CliError> {
        if self.state.is_none() {
            return Ok(());
        }
        // What stopped the wait decides the exit code.
        let exit = self.exit;
        while let Some((lines, _)) = &mut self.lines {
            match lines.next_of_rest().await {
                Some(batch) => drop(self.handle_lines(Some(batch), output)?),
                None => self.lines = None,
            }
        }
        self.exit = exit;
        Ok(())
    }
}

pub(super) async fn next_lines(lines: &mut Option<(Lines, WatchHandle)>) -> Option<Batch> {
    match lines {
        Some((lines, _)) => lines.next().await,
        None => None,
    }
}

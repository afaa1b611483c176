//! Jobs that come in while others are waited for.

use cfw_waiter::{JobId, WatchHandle};
use tokio::sync::mpsc;

use super::{BATCH, Session, StopCondition};
use crate::clock::wall_clock;
use crate::exit::{CliError, Exit};
use crate::input::{Job, Line};
use crate::output::Output;
use crate::summary::Reason;

impl Session {
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

    /// Handles a line and, with a state file, those that have been read after it: their records are synced together.
    pub(super) fn handle_lines(
        &mut self,
        mut line: Option<Line>,
        output: &mut Output,
    ) -> Result<Option<Reason>, CliError> {
        let mut jobs = Vec::new();
        while let Some(Ok(job)) = line {
            jobs.push(job);
            let has_room = self.state.is_some() && jobs.len() < BATCH;
            let next = self.lines.as_mut().filter(|_| has_room);
            match next.and_then(|(lines, _)| lines.try_recv().ok()) {
                Some(next) => line = Some(next),
                None => return self.add(jobs).map(|()| None),
            }
        }
        self.add(jobs)?;
        match line {
            Some(Ok(_)) => {}
            Some(Err(bad)) => {
                self.rejected += 1;
                self.exit = self.exit.max(Exit::Usage);
                let written = output.rejected(&bad);
                if self.stop_condition == StopCondition::FirstFailure {
                    return Ok(Some(Reason::FirstFailure));
                }
                return Ok(self.handle_written(written, output)?);
            }
            None => self.lines = None,
        }
        Ok(None)
    }

    /// Records the jobs that were read before a signal. Nobody can read them again from a pipe.
    pub(super) fn record_lines(&mut self) -> Result<(), CliError> {
        if self.state.is_none() {
            return Ok(());
        }
        let lines = self.lines.as_mut().map(|(lines, _)| lines);
        let read = lines.into_iter().flat_map(|lines| {
            // A writer may be faster than this.
            std::iter::from_fn(|| lines.try_recv().ok()).take(4 * BATCH)
        });
        let jobs = read.filter_map(Result::ok).collect();
        self.add(jobs)
    }
}

pub(super) async fn next_line(
    lines: &mut Option<(mpsc::Receiver<Line>, WatchHandle)>,
) -> Option<Line> {
    match lines {
        Some((lines, _)) => lines.recv().await,
        None => None,
    }
}

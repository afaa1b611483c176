//! What a wait reads from its state file, and writes to it.

use std::io;

use cfw_waiter::{JobId, JobOptions, Outcome, Update, UpdateKind};

use super::{BATCH, Session, StopCondition};
use crate::clock::wall_clock;
use crate::describe;
use crate::ends;
use crate::exec;
use crate::exit::{CliError, Exit};
use crate::input::Job;
use crate::jobs::is_look;
use crate::json;
use crate::outcome;
use crate::output::Output;
use crate::state::{End, Entry, Report};
use crate::summary::Reason;
use crate::text::printable;

impl Session {
    /// Goes on with the jobs of the state file, and counts those that have ended. Returns whether their ends could be written
    /// that may not have been reported.
    ///
    /// # Errors
    ///
    /// Returns an error if the state file cannot be written.
    pub(super) fn resume(&mut self, output: &mut Output) -> Result<io::Result<()>, CliError> {
        let Some(state) = &mut self.state else { return Ok(Ok(())) };
        // What this run reports must not be lost if the system fails, either.
        state.sync()?;
        let entries = state.entries().to_vec();
        let rejected = state.rejected().to_vec();
        let name = state.name().to_owned();
        let now = wall_clock();
        let (mut waiting, mut ended) = (Vec::new(), Vec::new());
        for mut entry in entries {
            match entry.end.take() {
                // The wait ended with its run, and the job did not.
                Some(end) if entry.is_past && end.report.is_none() && !end.is_final() => {
                    entry.job = self.defaults.again(&entry.job, &entry.own, now);
                    state.add(entry.job.clone(), entry.own.clone())?;
                    waiting.push(entry);
                }
                Some(end) => ended.push((entry, end)),
                None => waiting.push(entry),
            }
        }
        state.sync()?;
        if waiting.is_empty() && ended.is_empty() && rejected.is_empty() {
            return Ok(Ok(()));
        }
        let mut written = output.resumed(&name, waiting.len(), ended.len());
        for bad in &rejected {
            let again = self.reject(bad, true, output);
            written = written.and(again);
        }
        for (entry, end) in ended {
            let again = self.count(&entry.job.id, &end, output, written.is_ok())?;
            written = written.and(again);
        }
        waiting.into_iter().for_each(|entry| self.go_on(entry));
        Ok(written)
    }

    /// Counts an end of an earlier run, and reports it if that may not have been done.
    fn count(
        &mut self,
        id: &JobId,
        end: &End,
        output: &mut Output,
        is_open: bool,
    ) -> Result<io::Result<()>, CliError> {
        let error = end.error();
        let exit = error.map_or(Exit::Succeeded, Exit::from_kind);
        match error {
            None => self.earlier.succeeded += 1,
            Some(kind) => {
                self.earlier.failed += 1;
                let reason = || printable(end.reason.clone().unwrap_or_default());
                self.failures.add_kind(kind, id.as_str(), reason);
            }
        }
        // With --fail-fast the first one counts.
        if self.stop_condition != StopCondition::FirstFailure || self.exit == Exit::Succeeded {
            self.exit = self.exit.max(exit);
        }
        let Some(report) = &end.report else {
            self.earlier.reported += 1;
            return Ok(Ok(()));
        };
        if !is_open {
            return Ok(Ok(()));
        }
        let json = json::again_line(&report.object);
        let written = output.again(id.as_str(), error.is_none(), report, &json);
        if written.is_ok() {
            match &mut self.exec {
                Some(exec) => {
                    let outcome = ends::name(error);
                    exec.add(exec::End { id: id.as_str().to_owned(), outcome, exit, json });
                }
                None => self.record_report(id.as_str(), output)?,
            }
        }
        Ok(written)
    }

    /// Waits for a job of the state file.
    fn go_on(&mut self, entry: Entry) {
        let Entry { job, own, .. } = entry;
        let now = wall_clock();
        if is_look(&job) {
            let age = now.duration_since(job.created).unwrap_or_default();
            if let Ok(id) = cfw_api::JobId::new(job.id.as_str()) {
                let timeout = Some(std::time::Duration::ZERO);
                self.start(Job { id, kind: own.kind, age: Some(age), timeout });
            }
            return;
        }
        if self.watch.add_with(job.id.clone(), JobOptions::resumed(&job, now)) {
            self.added = self.added.saturating_add(1);
            if let Some(kind) = own.kind {
                self.kinds.insert(job.id, kind);
            }
        }
    }

    /// Returns why the wait is over before it begins, if the ends of earlier runs suffice.
    pub(super) fn earlier_stop(&self) -> Option<Reason> {
        match self.stop_condition {
            StopCondition::FirstSuccess if self.earlier.succeeded > 0 => Some(Reason::FirstSuccess),
            StopCondition::FirstFailure if self.earlier.failed > 0 || self.rejected > 0 => {
                Some(Reason::FirstFailure)
            }
            _ => None,
        }
    }

    /// Takes the updates that are ready, and records them: ends before they are reported.
    pub(super) fn record(&mut self, first: Update) -> Result<(), CliError> {
        if self.state.is_none() {
            self.recorded.push_back(first);
            return Ok(());
        }
        let (mut next, mut has_ends) = (Some(first), false);
        while let Some(update) = next {
            has_ends |= matches!(update.kind, UpdateKind::Ended(_));
            self.record_update(&update)?;
            self.recorded.push_back(update);
            next = if self.recorded.len() < BATCH { self.ready_update() } else { None };
        }
        match &mut self.state {
            Some(state) if has_ends => state.sync(),
            Some(state) => state.write(),
            None => Ok(()),
        }
    }

    fn record_update(&mut self, update: &Update) -> Result<(), CliError> {
        let Some(state) = &mut self.state else { return Ok(()) };
        match &update.kind {
            UpdateKind::Changed { to, .. } => {
                let polls = self.watch.job(&update.id).map_or(0, |job| job.report.polls);
                state.observe(update.id.as_str(), to, polls)
            }
            UpdateKind::Ended(outcome) => {
                let kind = self.kinds.get(&update.id).map(String::as_str);
                state.end(end(update, outcome, kind)?)
            }
            _ => Ok(()),
        }
    }

    /// Records that an end was reported: at once, or when the live display has drawn it.
    pub(super) fn record_report(&mut self, id: &str, output: &mut Output) -> Result<(), CliError> {
        if self.state.is_none() || output.is_closed() {
            return Ok(());
        }
        self.undrawn.push(id.to_owned());
        if output.screen().is_some() { Ok(()) } else { self.record_drawn() }
    }

    /// Records that the ends were reported that the live display has drawn.
    pub(super) fn record_drawn(&mut self) -> Result<(), CliError> {
        let drawn = std::mem::take(&mut self.undrawn);
        let Some(state) = self.state.as_mut().filter(|_| !drawn.is_empty()) else { return Ok(()) };
        drawn.iter().try_for_each(|id| state.reported(id))?;
        state.write()
    }

    /// Records how far the waits have come.
    pub(super) fn record_progress(&mut self) -> Result<(), CliError> {
        let Some(state) = &mut self.state else { return Ok(()) };
        state.progress(self.watch.checkpoint().jobs)?;
        state.write()
    }
}

/// Returns what the state file keeps of an end.
fn end(update: &Update, outcome: &Outcome, kind: Option<&str>) -> Result<End, CliError> {
    let Update { id, elapsed, .. } = update;
    let report = Report {
        elapsed_ms: json::millis(*elapsed),
        text: describe::end(id, outcome).1,
        object: json::end_object(id, kind, *elapsed, outcome)?,
    };
    let error = outcome.as_ref().err();
    Ok(End::new(id, error.map(outcome::kind), error.map(describe::reason), report))
}

//! What a wait writes: updates, trouble, rows and heartbeats.

use std::io;

use cfw_waiter::{JobId, Stats, Update, UpdateKind, Waiter};

use super::Session;
use crate::describe;
use crate::output::Output;
use crate::signals::{JobSignal, stop_process};
use crate::summary::Reason;
use crate::trouble::{self, Notice};

impl Session {
    pub(super) fn write_update(
        &mut self,
        update: &Update,
        waiter: &Waiter,
        output: &mut Output,
    ) -> io::Result<()> {
        if self.looks.contains(&update.id) && matches!(update.kind, UpdateKind::Trouble(_)) {
            // Its end comes next, and tells the error. Nothing is tried again.
            return Ok(());
        }
        if self.troubles.is_any() || matches!(update.kind, UpdateKind::Trouble(_)) {
            let notices = self.troubles.update(update, &self.state(&waiter.stats()));
            self.write_notices(&notices, Some(&update.id), output)?;
        }
        let kind = self.kinds.get(&update.id).map(String::as_str);
        let eta = match update.kind {
            UpdateKind::Changed { .. } | UpdateKind::Progressed(_) if self.has_history => {
                self.watch.job(&update.id).and_then(|job| job.eta)
            }
            _ => None,
        };
        output.update(update, kind, eta)
    }

    /// Reports the jobs that have become overdue, each once.
    pub(super) fn report_overdue(&mut self, output: &mut Output) -> io::Result<()> {
        let mut notices = Vec::new();
        for job in self.watch.jobs() {
            let Some(eta) = job.eta.filter(|eta| eta.is_overdue()) else { continue };
            let (id, elapsed) = (job.report.id, job.report.elapsed);
            if self.overdue.insert(id.clone()) {
                notices.push(Notice::Overdue { id, elapsed, eta });
            }
        }
        self.write_notices(&notices, None, output)
    }

    pub(super) fn state<'a>(&self, stats: &'a Stats) -> trouble::Run<'a> {
        let live = self.watch.progress().live();
        trouble::Run { live, stats, now: self.stopwatch.elapsed() }
    }

    /// Looks for the end of trouble.
    pub(super) fn check(
        &mut self,
        waiter: &Waiter,
        output: &mut Output,
    ) -> io::Result<Option<Reason>> {
        let stats = waiter.stats();
        let jobs = self.watch.jobs();
        let jobs =
            jobs.iter().map(|job| (&job.report.id, job.report.elapsed, job.trouble.is_some()));
        let notices = self.troubles.check(jobs, &self.state(&stats));
        let written = self.write_notices(&notices, None, output);
        self.handle_written(written, output)
    }

    /// Writes notices. If `updated` is a job, its update is written next.
    fn write_notices(
        &self,
        notices: &[Notice],
        updated: Option<&JobId>,
        output: &mut Output,
    ) -> io::Result<()> {
        let now = self.stopwatch.elapsed();
        notices.iter().try_for_each(|notice| {
            let kind = self.kinds.get(notice.id()).map(String::as_str);
            output.notice(notice, kind, now, updated)
        })
    }

    pub(super) fn draw(&self, waiter: &Waiter, output: &mut Output) {
        if let Some(screen) = output.screen() {
            let stats = waiter.stats();
            screen.draw(
                &self.watch,
                self.progress(),
                &self.failures,
                &stats,
                self.stopwatch.elapsed(),
            );
        }
    }

    pub(super) fn write_heartbeat(&self, waiter: &Waiter, output: &mut Output) {
        let now = self.stopwatch.elapsed();
        let jobs = self.watch.jobs();
        let state = describe::heartbeat(
            &jobs,
            self.progress(),
            &self.failures,
            &waiter.stats(),
            &self.troubles,
            now,
            &self.origin,
        );
        output.line(describe::heartbeat_line(now, &state));
    }

    pub(super) fn handle_job_control(
        &mut self,
        signal: JobSignal,
        waiter: &Waiter,
        output: &mut Output,
    ) {
        let Some(screen) = output.screen() else { return };
        match signal {
            JobSignal::Stop => {
                screen.clear();
                self.is_stopped = stop_process();
                // The shell has written below since.
                screen.forget();
            }
            // Another process stopped this one, so that the display could not be removed.
            JobSignal::Continue if !self.is_stopped => screen.forget(),
            JobSignal::Continue => self.is_stopped = false,
        }
        self.draw(waiter, output);
    }
}

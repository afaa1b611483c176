//! The wait: its stop condition and its result.

mod display;
mod look;

use std::collections::{HashMap, HashSet};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cfw_waiter::{JobId, Progress, Update, UpdateKind, Waiter, Watch, WatchHandle};
use tokio::sync::mpsc;

use crate::args::WaitArgs;
use crate::clock::Stopwatch;
use crate::exec::{self, Exec};
use crate::exit::Exit;
use crate::input::{Job, Line};
use crate::jobs::{Defaults, Jobs};
use crate::json;
use crate::outcome;
use crate::output::Output;
use crate::signals::{Signal, Signals};
use crate::summary::{Failures, Reason, Summary};
use crate::timers::{Due, Timers};
use crate::trouble::Troubles;

use self::look::Looks;

/// The condition for stopping before all jobs have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCondition {
    AllEnded,
    FirstSuccess,
    FirstFailure,
}

impl StopCondition {
    pub(crate) fn from_args(args: &WaitArgs) -> Self {
        match (args.any, args.fail_fast) {
            (true, _) => Self::FirstSuccess,
            (false, true) => Self::FirstFailure,
            (false, false) => Self::AllEnded,
        }
    }
}

/// The runs of `--exec` that have not ended with the wait.
pub(crate) struct LastRuns {
    exec: Exec,
    reason: Reason,
    signals: Signals,
}

impl LastRuns {
    /// Waits for the runs to end, within limits, and reports them.
    pub(crate) async fn finish(self, output: &mut Output) {
        let (limit, signals) = match self.reason {
            // A second signal ends the process at once.
            Reason::Interrupted(_) => (exec::SIGNAL_LIMIT, None),
            _ => (exec::EXIT_LIMIT, Some(self.signals)),
        };
        let report = |report| {
            output.exec(&report);
            // Nothing draws frames any more.
            output.draw_lines();
        };
        self.exec.finish(limit, signals, report).await;
    }
}

/// Waits for the jobs, writes the updates to `output`, and returns the summary and the runs of `exec` that go on.
///
/// # Errors
///
/// Returns an error if standard output cannot be written, unless its reader has closed it. The wait stops then.
pub(crate) async fn wait(
    waiter: &Waiter,
    jobs: Jobs,
    stop_condition: StopCondition,
    signals: Signals,
    exec: Option<Exec>,
    output: &mut Output,
) -> io::Result<(Summary, Option<LastRuns>)> {
    let watch = waiter.watch([] as [JobId; 0]);
    // The handle keeps the watch open while more ids can be read.
    let lines = jobs.lines.map(|lines| (lines, watch.handle()));
    let mut session = Session {
        watch,
        lines,
        origin: jobs.origin,
        defaults: jobs.defaults,
        added: 0,
        looks: Looks::default(),
        has_history: jobs.has_history,
        overdue: HashSet::new(),
        kinds: HashMap::new(),
        exec,
        signals,
        stop_condition,
        exit: Exit::default(),
        failures: Failures::default(),
        rejected: 0,
        troubles: Troubles::default(),
        stopwatch: Stopwatch::start(),
        is_stopped: false,
    };
    jobs.jobs.into_iter().for_each(|job| session.add(job));
    let mut timers = Timers::start(output)?;
    let reason = session.run(waiter, output, &mut timers).await?;
    let exit = match reason {
        Reason::Interrupted(signal) => Exit::Interrupted(signal),
        Reason::OutputClosed => Exit::BrokenPipe,
        Reason::FirstSuccess => Exit::Succeeded,
        Reason::AllEnded | Reason::FirstFailure => session.exit,
    };
    let summary = Summary {
        exit,
        reason,
        progress: with_looks(session.watch.progress()),
        failures: session.failures,
        unfinished: session.watch.jobs().into_iter().map(|job| job.report).collect(),
        rejected: session.rejected,
        elapsed: session.stopwatch.elapsed(),
        stats: waiter.stats(),
    };
    let signals = session.signals;
    let last_runs = session.exec.map(|exec| LastRuns { exec, reason, signals });
    Ok((summary, last_runs))
}

/// Counts jobs that were looked at once as ended without success.
fn with_looks(mut progress: Progress) -> Progress {
    progress.failed += std::mem::take(&mut progress.removed);
    progress
}

/// The state of a wait.
struct Session {
    watch: Watch,
    /// `None` if no file and no standard input is read, or all have ended.
    lines: Option<(mpsc::Receiver<Line>, WatchHandle)>,
    /// Where the lines come from.
    origin: String,
    defaults: Defaults,
    /// The number of jobs so far.
    added: u32,
    /// Jobs whose waits end with the answer to their first poll.
    looks: Looks,
    /// Whether past jobs can tell when these are likely to end.
    has_history: bool,
    /// Jobs that were reported as overdue.
    overdue: HashSet<JobId>,
    /// The kinds of the jobs that have one.
    kinds: HashMap<JobId, String>,
    exec: Option<Exec>,
    signals: Signals,
    stop_condition: StopCondition,
    /// The most severe result so far.
    exit: Exit,
    failures: Failures,
    rejected: u64,
    troubles: Troubles,
    stopwatch: Stopwatch,
    /// The process was stopped by `stop_process`, after the display had been removed.
    is_stopped: bool,
}

enum Event {
    /// A line, or `None` after the last one.
    Line(Option<Line>),
    /// An update, or `None` after the last one.
    Update(Option<Update>),
    /// A run of `--exec` has ended.
    Exec(exec::Report),
    Due(Due),
    Signal(Signal),
}

impl Session {
    /// Handles events until the stop condition holds, and returns the reason.
    async fn run(
        &mut self,
        waiter: &Waiter,
        output: &mut Output,
        timers: &mut Timers,
    ) -> io::Result<Reason> {
        loop {
            let reason = match self.next_event(timers).await {
                Event::Signal(signal) => Some(Reason::Interrupted(signal)),
                Event::Line(line) => self.handle_line(line, output)?,
                Event::Update(None) => Some(self.handle_last_end(output)),
                Event::Update(Some(update)) => {
                    let written = self.write_update(&update, waiter, output);
                    // A stop that this update brings about takes precedence over a closed output.
                    match self.handle_update(&update)? {
                        Some(reason) => {
                            self.handle_simultaneous(waiter, output)?;
                            Some(reason)
                        }
                        None => self.handle_written(written, output)?,
                    }
                }
                Event::Exec(report) => {
                    output.exec(&report);
                    None
                }
                Event::Due(Due::Check) => {
                    let live = self.watch.progress().live();
                    let is_worth_it = timers.count_check(live) && self.troubles.is_any();
                    if self.has_history && timers.is_overdue_check(live) {
                        let written = self.report_overdue(output);
                        if let Some(reason) = self.handle_written(written, output)? {
                            return Ok(reason);
                        }
                    }
                    if is_worth_it { self.check(waiter, output)? } else { None }
                }
                Event::Due(Due::Redraw) => {
                    self.draw(waiter, output);
                    None
                }
                Event::Due(Due::Heartbeat) => {
                    self.write_heartbeat(waiter, output);
                    None
                }
                Event::Due(Due::JobControl(signal)) => {
                    self.handle_job_control(signal, waiter, output);
                    None
                }
            };
            if let Some(reason) = reason {
                return Ok(reason);
            }
        }
    }

    async fn next_event(&mut self, timers: &mut Timers) -> Event {
        let wants_checks = self.troubles.is_any() || self.has_history;
        let others = async {
            tokio::select! {
                line = next_line(&mut self.lines), if self.lines.is_some() => Event::Line(line),
                update = self.watch.next() => Event::Update(update.map(|update| self.looks.normalize(update))),
                Some(report) = next_report(&mut self.exec) => Event::Exec(report),
                due = timers.next(wants_checks) => Event::Due(due),
            }
        };
        tokio::select! {
            // Ctrl-C often ends the reader of standard output as well. It is checked first, so that
            // the broken pipe does not hide it. The others take turns, so that none starves.
            biased;
            signal = self.signals.first() => Event::Signal(signal),
            event = others => event,
        }
    }

    fn add(&mut self, job: Job) {
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

    fn handle_line(
        &mut self,
        line: Option<Line>,
        output: &mut Output,
    ) -> io::Result<Option<Reason>> {
        match line {
            Some(Ok(job)) => self.add(job),
            Some(Err(bad)) => {
                self.rejected += 1;
                self.exit = self.exit.max(Exit::Usage);
                let written = output.rejected(&bad);
                if self.stop_condition == StopCondition::FirstFailure {
                    return Ok(Some(Reason::FirstFailure));
                }
                return self.handle_written(written, output);
            }
            None => self.lines = None,
        }
        Ok(None)
    }

    /// Handles the result of a write to standard output. Its reader may close it, which stops the wait
    /// unless all jobs have ended: then only the exit code matters.
    fn handle_written(
        &self,
        written: io::Result<()>,
        output: &mut Output,
    ) -> io::Result<Option<Reason>> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                output.stop_json();
                let is_ended = self.watch.progress().live() == 0 && self.lines.is_none();
                Ok((!is_ended).then_some(Reason::OutputClosed))
            }
            written => written.map(|()| None),
        }
    }

    /// Records the end of a wait. Returns a reason if the stop condition holds now.
    fn handle_update(&mut self, update: &Update) -> io::Result<Option<Reason>> {
        let UpdateKind::Ended(outcome) = &update.kind else {
            if self.looks.is_answer(update) {
                self.watch.remove(&update.id);
            }
            return Ok(None);
        };
        let exit = outcome::exit(outcome);
        let kind = self.kinds.remove(&update.id);
        self.looks.remove(&update.id);
        self.overdue.remove(&update.id);
        if let Some(exec) = &mut self.exec
            && let Some(json) = json::update_line(update, kind.as_deref(), None)?
        {
            let (id, outcome) = (update.id.as_str().to_owned(), outcome::name(outcome));
            exec.add(exec::End { id, outcome, exit, json });
        }
        if let Err(error) = outcome {
            self.failures.add(error);
        }
        self.exit = self.exit.max(exit);
        Ok(match (self.stop_condition, exit) {
            (StopCondition::FirstSuccess, Exit::Succeeded) => Some(Reason::FirstSuccess),
            (StopCondition::FirstFailure, Exit::Succeeded) => None,
            (StopCondition::FirstFailure, _) => Some(Reason::FirstFailure),
            (StopCondition::FirstSuccess | StopCondition::AllEnded, _) => None,
        })
    }

    /// Handles the updates that are there when the wait stops: the summary counts the ends among them. The exit code is
    /// that of the end that stopped the wait.
    fn handle_simultaneous(&mut self, waiter: &Waiter, output: &mut Output) -> io::Result<()> {
        let exit = self.exit;
        while let Some(update) = self.ready_update() {
            let written = self.write_update(&update, waiter, output);
            self.handle_update(&update)?;
            self.handle_written(written, output)?;
        }
        self.exit = exit;
        Ok(())
    }

    fn ready_update(&mut self) -> Option<Update> {
        match pin!(self.watch.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(update) => update.map(|update| self.looks.normalize(update)),
            Poll::Pending => None,
        }
    }

    fn handle_last_end(&mut self, output: &mut Output) -> Reason {
        if self.watch.progress().total() == 0 && self.rejected == 0 {
            self.exit = self.exit.max(Exit::Usage);
            output.line(format!("cfw-wait: no job id {}", self.origin));
        }
        Reason::AllEnded
    }
}

async fn next_line(lines: &mut Option<(mpsc::Receiver<Line>, WatchHandle)>) -> Option<Line> {
    match lines {
        Some((lines, _)) => lines.recv().await,
        None => None,
    }
}

async fn next_report(exec: &mut Option<Exec>) -> Option<exec::Report> {
    match exec {
        Some(exec) => exec.next_report().await,
        None => None,
    }
}

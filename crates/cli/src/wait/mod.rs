//! The wait: its stop condition and its result.

mod display;
mod last_steps;
mod lines;
mod look;
mod resume;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cfw_waiter::{JobId, Progress, Update, UpdateKind, Waiter, Watch, WatchHandle};

use crate::args::WaitArgs;
use crate::clock::Stopwatch;
use crate::exec::{self, Exec};
use crate::exit::{CliError, Exit};
use crate::input::{Batch, Lines};
use crate::jobs::{Defaults, Jobs};
use crate::json;
use crate::outcome;
use crate::output::Output;
use crate::signals::{Signal, Signals};
use crate::state::State;
use crate::summary::{Failures, Reason, Summary};
use crate::timers::{Due, Timers};
use crate::trouble::Troubles;

pub(crate) use self::last_steps::LastSteps;
use self::lines::next_lines;
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

/// The most updates that are taken before their records are synced together.
const BATCH: usize = 256;

/// Waits for the jobs, writes the updates to `output`, and returns the summary and what is to be done after it.
///
/// # Errors
///
/// Returns an error if the state file cannot be written, or standard output, unless its reader has closed it. The wait stops
/// then.
pub(crate) async fn wait(
    waiter: &Waiter,
    jobs: Jobs,
    stop_condition: StopCondition,
    signals: Signals,
    exec: Option<Exec>,
    output: &mut Output,
) -> Result<(Summary, LastSteps), CliError> {
    let mut session = Session {
        watch: waiter.watch([] as [JobId; 0]),
        lines: None,
        origin: jobs.origin,
        defaults: jobs.defaults,
        state: jobs.state,
        earlier: Earlier::default(),
        recorded: VecDeque::new(),
        undrawn: Vec::new(),
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
    let resumed = session.resume(output)?;
    session.add(jobs.jobs)?;
    let mut timers = Timers::start(output, session.state.is_some())?;
    let reason = match session.handle_written(resumed, output)?.or_else(|| session.earlier_stop()) {
        Some(reason) => reason,
        None => {
            session.read(jobs.sources)?;
            session.run(waiter, output, &mut timers).await?
        }
    };
    session.record_lines(output).await?;
    session.record_progress()?;
    let exit = match reason {
        Reason::Interrupted(signal) => Exit::Interrupted(signal),
        Reason::OutputClosed => Exit::BrokenPipe,
        Reason::FirstSuccess => Exit::Succeeded,
        Reason::AllEnded | Reason::FirstFailure => session.exit,
    };
    let summary = Summary {
        exit,
        reason,
        progress: session.progress(),
        failures: session.failures,
        unfinished: session.watch.jobs().into_iter().map(|job| job.report).collect(),
        earlier: session.earlier.reported,
        rejected: session.rejected,
        elapsed: session.stopwatch.elapsed(),
        stats: waiter.stats(),
    };
    let Session { exec, state, undrawn, signals, .. } = session;
    Ok((summary, LastSteps { exec, state, undrawn, reason, signals }))
}

/// The jobs that ended in earlier runs, by the state file.
#[derive(Debug, Default)]
struct Earlier {
    succeeded: usize,
    failed: usize,
    /// Those whose ends were reported then.
    reported: usize,
}

/// The state of a wait.
struct Session {
    watch: Watch,
    /// `None` if no file and no standard input is read, or all have ended.
    lines: Option<(Lines, WatchHandle)>,
    /// Where the lines come from.
    origin: String,
    defaults: Defaults,
    state: Option<State>,
    earlier: Earlier,
    /// Updates that were taken from the watch, and of which the state file has what it must.
    recorded: VecDeque<Update>,
    /// Jobs whose ends are reported when the live display is drawn next.
    undrawn: Vec<String>,
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
    /// The lines of one read, or `None` after the last ones.
    Lines(Option<Batch>),
    /// An update of the watch, or `None` after the last one.
    Update(Option<Update>),
    /// An update that was recorded.
    Recorded(Update),
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
    ) -> Result<Reason, CliError> {
        loop {
            let reason = match self.next_event(timers).await {
                Event::Signal(signal) => {
                    // The next run would report their ends again.
                    while let Some(update) = self.recorded.pop_front() {
                        let (written, _) = self.report(&update, waiter, output)?;
                        self.handle_written(written, output)?;
                    }
                    Some(Reason::Interrupted(signal))
                }
                Event::Lines(lines) => self.handle_lines(lines, output)?,
                Event::Update(None) => Some(self.handle_last_end(output)),
                Event::Update(Some(update)) => {
                    self.record(update)?;
                    None
                }
                Event::Recorded(update) => {
                    let (written, reason) = self.report(&update, waiter, output)?;
                    // A stop that this update brings about takes precedence over a closed output.
                    match reason {
                        Some(reason) => {
                            self.handle_simultaneous(waiter, output)?;
                            Some(reason)
                        }
                        None => self.handle_written(written, output)?,
                    }
                }
                Event::Exec(report) => {
                    output.exec(&report);
                    if let Some(id) = report.id {
                        self.record_report(&id, output)?;
                    }
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
                Event::Due(Due::Checkpoint) => {
                    self.record_progress()?;
                    None
                }
                Event::Due(Due::Redraw) => {
                    self.draw(waiter, output);
                    self.record_drawn()?;
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
                lines = next_lines(&mut self.lines), if self.lines.is_some() => Event::Lines(lines),
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
            Some(update) = async { self.recorded.pop_front() } => Event::Recorded(update),
            event = others => event,
        }
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

    /// Writes an update, and handles it.
    fn report(
        &mut self,
        update: &Update,
        waiter: &Waiter,
        output: &mut Output,
    ) -> Result<(io::Result<()>, Option<Reason>), CliError> {
        let written = self.write_update(update, waiter, output);
        let is_end = matches!(update.kind, UpdateKind::Ended(_));
        // A run of --exec is part of the report.
        if is_end && self.exec.is_none() && written.is_ok() {
            self.record_report(update.id.as_str(), output)?;
        }
        let reason = self.handle_update(update)?;
        Ok((written, reason))
    }

    /// Handles the end of a wait. Returns a reason if the stop condition holds now.
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
    fn handle_simultaneous(
        &mut self,
        waiter: &Waiter,
        output: &mut Output,
    ) -> Result<(), CliError> {
        let exit = self.exit;
        loop {
            while let Some(update) = self.recorded.pop_front() {
                let (written, _) = self.report(&update, waiter, output)?;
                self.handle_written(written, output)?;
            }
            let Some(update) = self.ready_update() else { break };
            self.record(update)?;
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
        if self.progress().total() == 0 && self.rejected == 0 {
            self.exit = self.exit.max(Exit::Usage);
            output.line(format!("cfw-wait: no job id {}", self.origin));
        }
        Reason::AllEnded
    }

    /// Returns how many jobs are where, those of earlier runs included. Jobs that were looked at once count as ended without
    /// success.
    fn progress(&self) -> Progress {
        let mut progress = self.watch.progress();
        progress.failed += std::mem::take(&mut progress.removed) + self.earlier.failed;
        progress.succeeded += self.earlier.succeeded;
        progress
    }
}

async fn next_report(exec: &mut Option<Exec>) -> Option<exec::Report> {
    match exec {
        Some(exec) => exec.next_report().await,
        None => None,
    }
}

//! The wait: its jobs, its stop condition, and its result.

use std::io;
use std::time::Duration;

use cfw_api::{Client, JobId};
use cfw_waiter::{
    Outcome, Policy, Schedule, Stats, Update, UpdateKind, Waiter, Watch, WatchHandle,
};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::args::WaitArgs;
use crate::clock::Stopwatch;
use crate::describe;
use crate::exit::{CliError, Exit};
use crate::ids;
use crate::input::{self, Line};
use crate::output::Output;
use crate::screen::REDRAW;
use crate::signals::{JobControl, JobSignal, Signal, Signals, stop_process};
use crate::summary::{Failures, Reason, Summary};
use crate::trouble::{self, Notice, Troubles};

/// The factor by which the delay between two polls grows.
const GROWTH: f64 = 1.5;
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(15);

/// The time between two checks whether trouble has ended, and four times that for many jobs.
const CHECK: Duration = Duration::from_millis(250);
const MANY: usize = 1000;

/// The jobs to wait for.
pub(crate) struct Jobs {
    ids: Vec<JobId>,
    /// Lines of standard input, if it is read.
    stdin: Option<mpsc::Receiver<Line>>,
}

impl Jobs {
    /// Checks the ids of the command line, and starts to read standard input if `-` is among them.
    pub(crate) fn from_args(args: &WaitArgs) -> Result<Self, CliError> {
        if args.ids.is_empty() {
            let message =
                "no JOB_ID: name the jobs to wait for, or - to read their ids from standard input";
            return Err(CliError::usage(message));
        }
        let ids = args.ids.iter().filter(|id| *id != "-").map(|id| ids::parse(id));
        let ids = ids
            .collect::<Result<_, _>>()
            .map_err(|error| CliError::usage(format!("JOB_ID: {error}")))?;
        if !args.ids.iter().any(|id| id == "-") {
            return Ok(Self { ids, stdin: None });
        }
        if args.cloud.token_file.as_deref() == Some("-") {
            let message = "standard input cannot hold both: JOB_ID - and --token-file -";
            return Err(CliError::usage(message));
        }
        let stdin = input::read_stdin().map_err(|error| {
            CliError::misconfigured(format!("no thread to read standard input on: {error}"))
        })?;
        Ok(Self { ids, stdin: Some(stdin) })
    }

    pub(crate) fn from_ids(ids: Vec<JobId>) -> Self {
        Self { ids, stdin: None }
    }
}

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

/// Builds the waiter that the flags describe.
pub(crate) fn build_waiter(args: &WaitArgs, client: Client) -> Result<Waiter, CliError> {
    let max = args.max_interval.as_ref().map(|max| max.duration);
    let first = match (&args.interval, max) {
        (Some(first), _) => first.duration,
        // A maximum below the default first delay lowers the first delay, too.
        (None, Some(max)) => FIRST_INTERVAL.min(max),
        (None, None) => FIRST_INTERVAL,
    };
    let max = max.unwrap_or(MAX_INTERVAL.max(first));
    let schedule = Schedule::exponential(first, GROWTH, max);
    let schedule = schedule.map_err(|error| CliError::usage(interval_message(args, &error)))?;
    let mut policy = Policy::new()
        .schedule(schedule)
        .timeout(args.timeout.duration)
        .not_found_grace(args.grace.duration);
    if let Some(limit) = args.max_failures {
        policy = policy.failures_in_a_row(limit);
    }
    let mut builder = Waiter::builder(client)
        .policy(policy)
        .max_in_flight(args.concurrency)
        .min_interval(args.min_interval.duration)
        .attempt_timeout(args.attempt_timeout.duration);
    if let Some(rate) = args.rate {
        builder = builder.quota(rate.0);
    }
    builder.build().map_err(|error| CliError::usage(interval_message(args, &error)))
}

/// Describes an error of the schedule, with the interval flags that were given.
fn interval_message(args: &WaitArgs, error: &cfw_waiter::ConfigError) -> String {
    let mut flags = Vec::new();
    for (flag, value) in [
        ("--interval", &args.interval),
        ("--max-interval", &args.max_interval),
        ("--min-interval", &Some(args.min_interval.clone())),
    ] {
        if let Some(value) = value {
            flags.push(format!("{flag} {value}"));
        }
    }
    format!("{}: {error}", flags.join(" "))
}

/// Waits for the jobs, writes the updates to `output`, and returns the summary.
///
/// # Errors
///
/// Returns an error if standard output cannot be written, unless its reader has closed it. The wait stops then.
pub(crate) async fn wait(
    waiter: &Waiter,
    jobs: Jobs,
    stop_condition: StopCondition,
    signals: Signals,
    output: &mut Output,
) -> io::Result<Summary> {
    let watch = waiter.watch(jobs.ids);
    // The handle keeps the watch open while more ids can be read.
    let stdin = jobs.stdin.map(|lines| (lines, watch.handle()));
    let mut session = Session {
        watch,
        stdin,
        signals,
        stop_condition,
        exit: Exit::default(),
        failures: Failures::default(),
        rejected: 0,
        troubles: Troubles::default(),
        stopwatch: Stopwatch::start(),
    };
    let mut timers = Timers::new(output)?;
    let reason = session.run(waiter, output, &mut timers).await?;
    let exit = match reason {
        Reason::Interrupted(signal) => Exit::Interrupted(signal),
        Reason::OutputClosed => Exit::BrokenPipe,
        Reason::FirstSuccess => Exit::Succeeded,
        Reason::AllEnded | Reason::FirstFailure => session.exit,
    };
    Ok(Summary {
        exit,
        reason,
        progress: session.watch.progress(),
        failures: session.failures,
        unfinished: session.watch.jobs(),
        rejected: session.rejected,
        elapsed: session.stopwatch.elapsed(),
        stats: waiter.stats(),
    })
}

/// The state of a wait.
struct Session {
    watch: Watch,
    /// `None` if standard input is not read, or has ended.
    stdin: Option<(mpsc::Receiver<Line>, WatchHandle)>,
    signals: Signals,
    stop_condition: StopCondition,
    /// The most severe result so far.
    exit: Exit,
    failures: Failures,
    rejected: u64,
    troubles: Troubles,
    stopwatch: Stopwatch,
}

enum Event {
    /// A line of standard input, or `None` at its end.
    Line(Option<Line>),
    /// An update, or `None` after the last one.
    Update(Option<Update>),
    Redraw,
    Heartbeat,
    /// Time to look for the end of trouble.
    Check,
    Signal(Signal),
    JobControl(JobSignal),
}

/// What happens besides the wait.
struct Timers {
    redraw: Option<Interval>,
    heartbeat: Option<Interval>,
    check: Interval,
    /// The number of checks so far.
    checks: u32,
    job_control: Option<JobControl>,
    /// The process was stopped by [`stop_process`], after the display had been removed.
    is_stopped: bool,
}

impl Timers {
    fn new(output: &mut Output) -> io::Result<Self> {
        let is_live = output.screen().is_some();
        Ok(Self {
            redraw: is_live.then(|| interval(REDRAW)),
            heartbeat: output.heartbeat().map(|time| {
                let mut heartbeat = interval(time);
                heartbeat.reset();
                heartbeat
            }),
            check: interval(CHECK),
            checks: 0,
            // Without a display to remove, the default action is right.
            job_control: is_live.then(JobControl::install).transpose()?,
            is_stopped: false,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the display is independent of the polls")]
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
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
                    let notices = self.troubles.update(&update, &self.state(&waiter.stats()));
                    let ended = is_end(&update).then_some(&update.id);
                    let written = self.write_notices(&notices, ended, output);
                    let written = written.and_then(|()| output.update(&update));
                    // A stop that this update brings about takes precedence over a closed output.
                    match self.handle_update(&update) {
                        Some(reason) => Some(reason),
                        None => self.handle_written(written, output)?,
                    }
                }
                Event::Check => self.check(waiter, output, timers)?,
                Event::Redraw => {
                    self.draw(waiter, output);
                    None
                }
                Event::Heartbeat => {
                    self.write_heartbeat(waiter, output);
                    None
                }
                Event::JobControl(signal) => {
                    self.handle_job_control(signal, waiter, output, timers);
                    None
                }
            };
            if let Some(reason) = reason {
                return Ok(reason);
            }
        }
    }

    async fn next_event(&mut self, timers: &mut Timers) -> Event {
        let is_troubled = self.troubles.is_any();
        let others = async {
            tokio::select! {
                line = next_line(&mut self.stdin), if self.stdin.is_some() => Event::Line(line),
                update = self.watch.next() => Event::Update(update),
                () = tick(&mut timers.redraw) => Event::Redraw,
                () = tick(&mut timers.heartbeat) => Event::Heartbeat,
                _ = timers.check.tick(), if is_troubled => Event::Check,
                signal = next_signal(&mut timers.job_control) => Event::JobControl(signal),
            }
        };
        tokio::select! {
            // Ctrl-C often ends the reader of standard output as well. It is checked first, so that
            // the broken pipe does not hide it.
            biased;
            signal = self.signals.first() => Event::Signal(signal),
            event = others => event,
        }
    }

    fn state<'a>(&self, stats: &'a Stats) -> trouble::Run<'a> {
        let live = self.watch.progress().live();
        trouble::Run { live, stats, now: self.stopwatch.elapsed() }
    }

    /// Looks for the end of trouble.
    fn check(
        &mut self,
        waiter: &Waiter,
        output: &mut Output,
        timers: &mut Timers,
    ) -> io::Result<Option<Reason>> {
        timers.checks = timers.checks.wrapping_add(1);
        // Listing many jobs takes time.
        if self.watch.progress().live() > MANY && !timers.checks.is_multiple_of(4) {
            return Ok(None);
        }
        let stats = waiter.stats();
        let jobs = self.watch.jobs();
        let jobs =
            jobs.iter().map(|job| (&job.report.id, job.report.elapsed, job.trouble.is_some()));
        let notices = self.troubles.check(jobs, &self.state(&stats));
        let written = self.write_notices(&notices, None, output);
        self.handle_written(written, output)
    }

    /// Writes notices. If `ended` is a job, its end is written next.
    fn write_notices(
        &self,
        notices: &[Notice],
        ended: Option<&cfw_waiter::JobId>,
        output: &mut Output,
    ) -> io::Result<()> {
        let now = self.stopwatch.elapsed();
        notices.iter().try_for_each(|notice| output.notice(notice, now, ended))
    }

    fn draw(&self, waiter: &Waiter, output: &mut Output) {
        if let Some(screen) = output.screen() {
            let stats = waiter.stats();
            screen.draw(&self.watch, &self.failures, &stats, self.stopwatch.elapsed());
        }
    }

    fn write_heartbeat(&self, waiter: &Waiter, output: &mut Output) {
        let now = self.stopwatch.elapsed();
        let jobs = self.watch.jobs();
        let state = describe::heartbeat(
            &jobs,
            self.watch.progress(),
            &self.failures,
            &waiter.stats(),
            &self.troubles,
            now,
        );
        output.line(describe::heartbeat_line(now, &state));
    }

    fn handle_job_control(
        &self,
        signal: JobSignal,
        waiter: &Waiter,
        output: &mut Output,
        timers: &mut Timers,
    ) {
        let Some(screen) = output.screen() else { return };
        match signal {
            JobSignal::Stop => {
                screen.clear();
                timers.is_stopped = stop_process();
            }
            // Another process stopped this one, so that the display could not be removed.
            JobSignal::Continue if !timers.is_stopped => screen.forget(),
            JobSignal::Continue => timers.is_stopped = false,
        }
        self.draw(waiter, output);
    }

    fn handle_line(
        &mut self,
        line: Option<Line>,
        output: &mut Output,
    ) -> io::Result<Option<Reason>> {
        match line {
            Some(Ok(id)) => {
                // False if the watch already contains the id.
                self.watch.add(id);
            }
            Some(Err(bad)) => {
                self.rejected += 1;
                self.exit = self.exit.max(Exit::Usage);
                let written = output.rejected(&bad);
                if self.stop_condition == StopCondition::FirstFailure {
                    return Ok(Some(Reason::FirstFailure));
                }
                return self.handle_written(written, output);
            }
            None => self.stdin = None,
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
                let is_ended = self.watch.progress().live() == 0 && self.stdin.is_none();
                Ok((!is_ended).then_some(Reason::OutputClosed))
            }
            written => written.map(|()| None),
        }
    }

    /// Records the end of a wait. Returns a reason if the stop condition holds now.
    fn handle_update(&mut self, update: &Update) -> Option<Reason> {
        let UpdateKind::Ended(outcome) = &update.kind else { return None };
        if let Err(error) = outcome {
            self.failures.add(error);
        }
        let exit = exit_for(outcome);
        self.exit = self.exit.max(exit);
        match (self.stop_condition, exit) {
            (StopCondition::FirstSuccess, Exit::Succeeded) => Some(Reason::FirstSuccess),
            (StopCondition::FirstFailure, Exit::Succeeded) => None,
            (StopCondition::FirstFailure, _) => Some(Reason::FirstFailure),
            (StopCondition::FirstSuccess | StopCondition::AllEnded, _) => None,
        }
    }

    fn handle_last_end(&mut self, output: &mut Output) -> Reason {
        if self.watch.progress().total() == 0 && self.rejected == 0 {
            self.exit = self.exit.max(Exit::Usage);
            output.line("cfw-wait: no job id on standard input".to_owned());
        }
        Reason::AllEnded
    }
}

/// Returns whether the update is the last change of a job, or its end.
fn is_end(update: &Update) -> bool {
    match &update.kind {
        UpdateKind::Changed { to, .. } => to.phase.is_terminal(),
        UpdateKind::Ended(_) => true,
        _ => false,
    }
}

fn exit_for(outcome: &Outcome) -> Exit {
    outcome.as_ref().map_or_else(|error| Exit::from_kind(error.kind()), |_| Exit::Succeeded)
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

async fn next_signal(job_control: &mut Option<JobControl>) -> JobSignal {
    match job_control {
        Some(job_control) => job_control.next().await,
        None => std::future::pending().await,
    }
}

async fn next_line(stdin: &mut Option<(mpsc::Receiver<Line>, WatchHandle)>) -> Option<Line> {
    match stdin {
        Some((lines, _)) => lines.recv().await,
        None => None,
    }
}

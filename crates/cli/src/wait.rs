//! The wait: its jobs, its stop condition, and its result.

use std::io;
use std::pin::pin;
use std::time::Duration;

use cfw_api::{Client, JobId};
use cfw_waiter::{Outcome, Policy, Schedule, Update, UpdateKind, Waiter, Watch, WatchHandle};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::args::WaitArgs;
use crate::clock::Stopwatch;
use crate::exit::{CliError, Exit};
use crate::ids;
use crate::input::{self, Line};
use crate::output::Output;
use crate::screen::REDRAW;
use crate::summary::{FailureCounts, Reason, Summary};

/// The factor by which the delay between two polls grows.
const GROWTH: f64 = 1.5;
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(15);

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
/// Returns an error if standard output cannot be written. The wait stops then.
pub(crate) async fn wait(
    waiter: &Waiter,
    jobs: Jobs,
    stop_condition: StopCondition,
    output: &mut Output,
) -> io::Result<Summary> {
    let watch = waiter.watch(jobs.ids);
    // The handle keeps the watch open while more ids can be read.
    let stdin = jobs.stdin.map(|lines| (lines, watch.handle()));
    let mut session = Session {
        watch,
        stdin,
        stop_condition,
        exit: Exit::default(),
        failures: FailureCounts::default(),
        rejected: 0,
    };
    let stopwatch = Stopwatch::start();
    let reason = session.run(waiter, output, &stopwatch).await?;
    let exit = match reason {
        Reason::Interrupted => Exit::Interrupted,
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
        elapsed: stopwatch.elapsed(),
        stats: waiter.stats(),
    })
}

/// The state of a wait.
struct Session {
    watch: Watch,
    /// `None` if standard input is not read, or has ended.
    stdin: Option<(mpsc::Receiver<Line>, WatchHandle)>,
    stop_condition: StopCondition,
    /// The most severe result so far.
    exit: Exit,
    failures: FailureCounts,
    rejected: u64,
}

enum Event {
    /// A line of standard input, or `None` at its end.
    Line(Option<Line>),
    /// An update, or `None` after the last one.
    Update(Option<Update>),
    Redraw,
}

impl Session {
    /// Handles events until the stop condition holds, and returns the reason.
    async fn run(
        &mut self,
        waiter: &Waiter,
        output: &mut Output,
        stopwatch: &Stopwatch,
    ) -> io::Result<Reason> {
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        #[expect(clippy::disallowed_methods, reason = "the redraws are independent of the polls")]
        let mut redraw = tokio::time::interval(REDRAW);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                // Ctrl-C often ends the reader of standard output as well. It is checked first, so
                // that the broken pipe does not hide it.
                biased;
                _ = &mut interrupted => return Ok(Reason::Interrupted),
                event = self.next_event(&mut redraw, output.is_live()) => event,
            };
            let reason = match event {
                Event::Line(line) => self.handle_line(line, output)?,
                Event::Update(None) => Some(self.handle_last_end(output)),
                Event::Update(Some(update)) => {
                    output.update(&update)?;
                    self.handle_update(&update)
                }
                Event::Redraw => {
                    let stats = waiter.stats();
                    output.draw(&self.watch, &self.failures, &stats, stopwatch.elapsed());
                    None
                }
            };
            if let Some(reason) = reason {
                return Ok(reason);
            }
        }
    }

    async fn next_event(&mut self, redraw: &mut Interval, is_live: bool) -> Event {
        tokio::select! {
            line = next_line(&mut self.stdin), if self.stdin.is_some() => Event::Line(line),
            update = self.watch.next() => Event::Update(update),
            _ = redraw.tick(), if is_live => Event::Redraw,
        }
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
                output.rejected(&bad)?;
                if self.stop_condition == StopCondition::FirstFailure {
                    return Ok(Some(Reason::FirstFailure));
                }
            }
            None => self.stdin = None,
        }
        Ok(None)
    }

    /// Records the end of a wait. Returns a reason if the stop condition holds now.
    fn handle_update(&mut self, update: &Update) -> Option<Reason> {
        let UpdateKind::Ended(outcome) = &update.kind else { return None };
        if let Err(error) = outcome {
            self.failures.add(error.kind());
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

fn exit_for(outcome: &Outcome) -> Exit {
    outcome.as_ref().map_or_else(|error| Exit::from_kind(error.kind()), |_| Exit::Succeeded)
}

async fn next_line(stdin: &mut Option<(mpsc::Receiver<Line>, WatchHandle)>) -> Option<Line> {
    match stdin {
        Some((lines, _)) => lines.recv().await,
        None => None,
    }
}

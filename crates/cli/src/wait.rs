//! The waiting itself: which jobs, until when, and what comes of it.

use std::io;
use std::pin::pin;
use std::time::Duration;

use cfw_api::{Client, JobId};
use cfw_waiter::{Outcome, Policy, Schedule, Update, UpdateKind, Waiter, Watch, WatchHandle};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use crate::args::WaitArgs;
use crate::clock::Stopwatch;
use crate::exit::{Complaint, Exit};
use crate::input::{self, Line};
use crate::output::Output;
use crate::screen::REDRAW;
use crate::summary::{Reason, Summary};

/// How much the pause between two polls grows each time.
const GROWTH: f64 = 1.5;
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(15);

/// The jobs of one call of the command.
pub(crate) struct Jobs {
    ids: Vec<JobId>,
    more: Option<mpsc::Receiver<Line>>,
}

impl Jobs {
    /// Checks the ids of the command line, and begins to read standard input if it names it.
    pub(crate) fn of(args: &WaitArgs) -> Result<Self, Complaint> {
        if args.ids.is_empty() {
            let message =
                "no JOB_ID: name the jobs to wait for, or - to read their ids from standard input";
            return Err(Complaint::usage(message));
        }
        let ids = args.ids.iter().filter(|id| *id != "-").map(JobId::new);
        let ids = ids
            .collect::<Result<_, _>>()
            .map_err(|error| Complaint::usage(format!("JOB_ID: {error}")))?;
        if !args.ids.iter().any(|id| id == "-") {
            return Ok(Self { ids, more: None });
        }
        if args.cloud.token_file.as_deref() == Some("-") {
            let message = "standard input cannot hold both: JOB_ID - and --token-file -";
            return Err(Complaint::usage(message));
        }
        let more = input::read_stdin().map_err(|error| {
            Complaint::misconfigured(format!("no thread to read standard input on: {error}"))
        })?;
        Ok(Self { ids, more: Some(more) })
    }

    pub(crate) fn named(ids: Vec<JobId>) -> Self {
        Self { ids, more: None }
    }
}

/// When to stop before all jobs have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    AllEnded,
    FirstSuccess,
    FirstFailure,
}

impl Until {
    pub(crate) fn of(args: &WaitArgs) -> Self {
        match (args.any, args.fail_fast) {
            (true, _) => Self::FirstSuccess,
            (false, true) => Self::FirstFailure,
            (false, false) => Self::AllEnded,
        }
    }
}

/// The waiter that the flags describe.
pub(crate) fn waiter(args: &WaitArgs, client: Client) -> Result<Waiter, Complaint> {
    let max = args.max_interval.as_ref().map(|length| length.duration);
    let first = match (&args.interval, max) {
        (Some(length), _) => length.duration,
        // Whoever bounds the pauses below the usual first one means that one, too.
        (None, Some(max)) => FIRST_INTERVAL.min(max),
        (None, None) => FIRST_INTERVAL,
    };
    let max = max.unwrap_or(MAX_INTERVAL.max(first));
    let schedule = Schedule::exponential(first, GROWTH, max);
    let schedule = schedule.map_err(|error| Complaint::usage(pauses(args, &error)))?;
    let policy = Policy::new()
        .schedule(schedule)
        .timeout(args.timeout.duration)
        .not_found_grace(args.grace.duration);
    let mut builder = Waiter::builder(client)
        .policy(policy)
        .max_in_flight(args.concurrency)
        .min_interval(args.min_interval.duration);
    if let Some(rate) = args.rate {
        builder = builder.quota(rate.0);
    }
    builder.build().map_err(|error| Complaint::usage(pauses(args, &error)))
}

/// An error about pauses, after the flags that can be meant.
fn pauses(args: &WaitArgs, error: &cfw_waiter::ConfigError) -> String {
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

/// Waits, tells `output` what happens, and sums up.
///
/// # Errors
///
/// If standard output cannot be written; the waiting has stopped then.
pub(crate) async fn wait(
    waiter: &Waiter,
    jobs: Jobs,
    until: Until,
    output: &mut Output,
) -> io::Result<Summary> {
    let watch = waiter.watch(jobs.ids);
    // The watch stays open while there may be more ids.
    let more = jobs.more.map(|lines| (lines, watch.handle()));
    let mut run = Run { watch, more, until, exit: Exit::default(), rejected: 0 };
    let stopwatch = Stopwatch::start();
    let reason = run.run(waiter, output, &stopwatch).await?;
    let exit = match reason {
        Reason::Interrupted => Exit::Interrupted,
        Reason::FirstSuccess => Exit::Succeeded,
        Reason::AllEnded | Reason::FirstFailure => run.exit,
    };
    Ok(Summary {
        exit,
        reason,
        progress: run.watch.progress(),
        unfinished: run.watch.jobs(),
        rejected: run.rejected,
        elapsed: stopwatch.elapsed(),
        stats: waiter.stats(),
    })
}

struct Run {
    watch: Watch,
    more: Option<(mpsc::Receiver<Line>, WatchHandle)>,
    until: Until,
    exit: Exit,
    rejected: u64,
}

enum Event {
    Line(Option<Line>),
    Update(Option<Update>),
    Redraw,
}

impl Run {
    async fn run(
        &mut self,
        waiter: &Waiter,
        output: &mut Output,
        stopwatch: &Stopwatch,
    ) -> io::Result<Reason> {
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        #[expect(
            clippy::disallowed_methods,
            reason = "the screen is for people and has its own pace"
        )]
        let mut redraw = tokio::time::interval(REDRAW);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                // Ctrl-C often ends the reader of our output, too, and must be seen before the broken pipe.
                biased;
                _ = &mut interrupted => return Ok(Reason::Interrupted),
                event = self.next(&mut redraw, output.is_live()) => event,
            };
            let reason = match event {
                Event::Line(line) => self.take(line, output)?,
                Event::Update(None) => Some(self.all_ended(output)),
                Event::Update(Some(update)) => {
                    output.update(&update)?;
                    self.judge(&update)
                }
                Event::Redraw => {
                    output.draw(&self.watch, &waiter.stats(), stopwatch.elapsed());
                    None
                }
            };
            if let Some(reason) = reason {
                return Ok(reason);
            }
        }
    }

    async fn next(&mut self, redraw: &mut Interval, is_live: bool) -> Event {
        tokio::select! {
            line = next_line(&mut self.more), if self.more.is_some() => Event::Line(line),
            update = self.watch.next() => Event::Update(update),
            _ = redraw.tick(), if is_live => Event::Redraw,
        }
    }

    /// A line of standard input, or its end.
    fn take(&mut self, line: Option<Line>, output: &mut Output) -> io::Result<Option<Reason>> {
        match line {
            Some(Ok(id)) => {
                // False if it is waited for already, which is what was asked for.
                self.watch.add(id);
            }
            Some(Err(bad)) => {
                self.rejected += 1;
                self.exit = self.exit.max(Exit::Usage);
                output.rejected(&bad)?;
                if self.until == Until::FirstFailure {
                    return Ok(Some(Reason::FirstFailure));
                }
            }
            None => self.more = None,
        }
        Ok(None)
    }

    /// Takes note of an end; says whether it is the last that matters.
    fn judge(&mut self, update: &Update) -> Option<Reason> {
        let UpdateKind::Ended(outcome) = &update.kind else { return None };
        let exit = exit(outcome);
        self.exit = self.exit.max(exit);
        match (self.until, exit) {
            (Until::FirstSuccess, Exit::Succeeded) => Some(Reason::FirstSuccess),
            (Until::FirstFailure, Exit::Succeeded) => None,
            (Until::FirstFailure, _) => Some(Reason::FirstFailure),
            (Until::FirstSuccess | Until::AllEnded, _) => None,
        }
    }

    fn all_ended(&mut self, output: &mut Output) -> Reason {
        if self.watch.progress().total() == 0 && self.rejected == 0 {
            self.exit = self.exit.max(Exit::Usage);
            output.line("cfw-wait: no job id on standard input".to_owned());
        }
        Reason::AllEnded
    }
}

fn exit(outcome: &Outcome) -> Exit {
    outcome.as_ref().map_or_else(|error| Exit::of(error.kind()), |_| Exit::Succeeded)
}

async fn next_line(more: &mut Option<(mpsc::Receiver<Line>, WatchHandle)>) -> Option<Line> {
    match more {
        Some((lines, _)) => lines.recv().await,
        None => None,
    }
}

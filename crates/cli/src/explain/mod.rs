//! `cfw-wait explain`: when jobs of a kind are polled, and why.

mod json;
mod svg;
mod text;

use std::path::Path;
use std::time::Duration;

use cfw_waiter::{ExpectedCost, Explanation, History};

use crate::args::{ExplainArgs, ExplainFormat, IntervalArgs};
use crate::exit::{CliError, Exit};
use crate::input::kind_problem;
use crate::{history, print, waiter};

/// The most kinds that an error names.
const MOST_KINDS: usize = 10;

/// What is explained.
struct Subject<'a> {
    kind: &'a str,
    /// The file of the history.
    path: &'a Path,
    poll_cost: Duration,
    /// With the first poll of each wait.
    explanation: Explanation,
    /// The durations of the past jobs that have ended.
    durations: Vec<Duration>,
}

/// Explains the schedule of a kind of jobs on standard output.
///
/// # Errors
///
/// Returns an error if the history cannot be read, the kind is not in it, intervals contradict each other, or standard
/// output cannot be written.
pub(crate) fn explain(args: &ExplainArgs) -> Result<Exit, CliError> {
    let (path, history) = history::read(&args.past_jobs)?;
    let schedule = waiter::learned(&args.intervals, &args.past_jobs)?;
    waiter::check_intervals(&args.intervals, &schedule)?;
    let min_interval = args.intervals.min_interval.duration;
    let mut explanation = schedule
        .explain(&history, &args.kind, min_interval)
        .ok_or_else(|| CliError::usage(unknown_kind(&args.kind, &path, &history)))?;
    let poll_cost = args.past_jobs.poll_cost.duration;
    add_first_poll(&mut explanation, &args.intervals, poll_cost);
    let samples = history.samples(&args.kind).filter(|sample| !sample.is_at_least());
    let subject = Subject {
        kind: &args.kind,
        path: &path,
        poll_cost,
        explanation,
        durations: samples.map(|sample| sample.duration()).collect(),
    };
    let output = match args.output {
        ExplainFormat::Text => text::text(&subject),
        ExplainFormat::Json => json::line(&subject)?,
        ExplainFormat::Svg => svg::document(&subject),
    };
    print(output.as_bytes())
}

/// Adds the poll with which the command begins a wait, and of which its schedule does not know: at once, by either schedule; or,
/// where that is left out, early in a learned one, because the service has not answered this process yet.
fn add_first_poll(explanation: &mut Explanation, args: &IntervalArgs, poll_cost: Duration) {
    let Explanation { polls, fallback_polls, expected, expected_fallback, .. } = explanation;
    let add = |cost: &mut ExpectedCost| {
        cost.polls += 1.0;
        cost.cost = cost.cost.saturating_add(poll_cost);
    };
    if !args.delay_first_poll {
        polls.insert(0, Duration::ZERO);
        fallback_polls.insert(0, Duration::ZERO);
        expected_fallback.iter_mut().for_each(add);
        expected.iter_mut().for_each(add);
    } else if explanation.is_learned {
        let first = waiter::first_interval(args);
        polls.retain(|poll| *poll > first);
        polls.insert(0, first);
        expected.iter_mut().for_each(add);
    }
}

fn unknown_kind(kind: &str, path: &Path, history: &History) -> String {
    let path = path.display();
    // A library may name its kinds as it likes.
    let is_kind = |kind: &&str| kind_problem(kind).is_none() && has_samples(history, kind);
    let mut kinds: Vec<_> = history.kinds().filter(is_kind).collect();
    if kinds.is_empty() {
        return format!("KIND {kind}: no past job of any kind is known in {path}");
    }
    let more = match kinds.len().saturating_sub(MOST_KINDS) {
        0 => String::new(),
        1 => " and 1 more kind".to_owned(),
        more => format!(" and {more} more kinds"),
    };
    kinds.truncate(MOST_KINDS);
    let kinds = kinds.join(", ");
    format!("KIND {kind}: no past job is known in {path}; it has {kinds}{more}")
}

fn has_samples(history: &History, kind: &str) -> bool {
    history.samples(kind).next().is_some()
}

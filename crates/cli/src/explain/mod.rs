//! `cfw-wait explain`: when jobs of a kind are polled, and why.

mod json;
mod svg;
mod text;

use std::path::Path;
use std::time::Duration;

use cfw_waiter::{Explanation, History};

use crate::args::{ExplainArgs, ExplainFormat};
use crate::exit::{CliError, Exit};
use crate::text::printable;
use crate::{history, print, waiter};

/// What is explained.
struct Subject<'a> {
    kind: &'a str,
    /// The file of the history.
    path: &'a Path,
    poll_cost: Duration,
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
    let explanation = schedule
        .explain(&history, &args.kind, min_interval)
        .ok_or_else(|| CliError::usage(unknown_kind(&args.kind, &path, &history)))?;
    let samples = history.samples(&args.kind).filter(|sample| !sample.is_at_least());
    let subject = Subject {
        kind: &args.kind,
        path: &path,
        poll_cost: args.past_jobs.poll_cost.duration,
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

fn unknown_kind(kind: &str, path: &Path, history: &History) -> String {
    let path = path.display();
    let kinds: Vec<_> = history.kinds().filter(|kind| has_samples(history, kind)).collect();
    printable(if kinds.is_empty() {
        format!("KIND {kind}: no past job of any kind is known in {path}")
    } else {
        format!("KIND {kind}: no past job is known in {path}; it has {}", kinds.join(", "))
    })
}

fn has_samples(history: &History, kind: &str) -> bool {
    history.samples(kind).next().is_some()
}

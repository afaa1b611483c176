//! Output for programs: one JSON object per line. SCHEMA.md describes the objects.

use std::io::{self, Write as _};
use std::time::Duration;

use cfw_waiter::{
    ErrorClass, Eta, JobId, JobState, Outcome, SourceError, Stats, Update, UpdateKind, WaitError,
    WaitingOn,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::input::BadLine;
use crate::outcome;
use crate::streams;
use crate::summary::{Reason, Summary};
use crate::text;
use crate::trouble::Notice;

/// The version of the schema. Fields and kinds may be added within a version, but not changed.
pub(crate) const VERSION: u32 = 1;

/// Writes an update to standard output. `kind` is the kind of the job, if the user named one, and `eta` says when it is
/// likely to end.
pub(crate) fn write_update(
    update: &Update,
    kind: Option<&str>,
    eta: Option<Eta>,
) -> io::Result<()> {
    match update_line(update, kind, eta)? {
        Some(line) => write(&line),
        None => Ok(()),
    }
}

/// Returns the line for an update, or `None` if this version of the command does not know it.
///
/// # Errors
///
/// Returns an error if the update cannot be serialized.
pub(crate) fn update_line(
    update: &Update,
    kind: Option<&str>,
    eta: Option<Eta>,
) -> io::Result<Option<Vec<u8>>> {
    let (job_id, elapsed_ms) = (&update.id, millis(update.elapsed));
    let event = match &update.kind {
        UpdateKind::Changed { from, to } => {
            Event::Changed { job_id, kind, elapsed_ms, from: from.as_deref(), state: to, eta }
        }
        UpdateKind::Progressed(state) => Event::Progressed { job_id, kind, elapsed_ms, state, eta },
        UpdateKind::Ended(outcome) => ended(job_id, kind, elapsed_ms, outcome),
        // `notice_line` is for trouble. This version of the command does not know other kinds.
        _ => return Ok(None),
    };
    line(&event).map(Some)
}

/// Returns the object of an end, without version and time, for a line that is written later.
///
/// # Errors
///
/// Returns an error if the end cannot be serialized.
pub(crate) fn end_object(
    job_id: &JobId,
    kind: Option<&str>,
    elapsed: Duration,
    outcome: &Outcome,
) -> io::Result<Box<RawValue>> {
    let object = serde_json::value::to_raw_value(&ended(job_id, kind, millis(elapsed), outcome))?;
    Ok(object)
}

/// Returns the line of an end that an earlier run may have reported. `object` is what [`end_object`] returned, or a state file
/// has, which was checked when it was read.
pub(crate) fn again_line(object: &RawValue) -> Vec<u8> {
    let object = object.get().strip_prefix('{').and_then(|object| object.strip_suffix('}'));
    let object = object.unwrap_or(r#""type":"ended""#);
    let (version, time) = (VERSION, time());
    format!("{{\"v\":{version},\"time\":\"{time}\",{object},\"again\":true}}\n").into_bytes()
}

/// Writes a line of [`again_line`].
pub(crate) fn write_again(line: &[u8]) -> io::Result<()> {
    write(line)
}

/// Writes what a state file holds of earlier runs.
pub(crate) fn write_resumed(unfinished: usize, ended: usize) -> io::Result<()> {
    write(&line(&Event::Resumed { unfinished, ended })?)
}

/// Writes the begin or the end of trouble, or that a job is overdue, to standard output. `kind` is that of its job.
pub(crate) fn write_notice(notice: &Notice, kind: Option<&str>) -> io::Result<()> {
    write(&line(&match notice {
        Notice::JobTrouble { id, elapsed, error } => Event::Trouble {
            job_id: id,
            kind,
            elapsed_ms: millis(*elapsed),
            scope: "job",
            jobs: 1,
            error: PollError::from_source(error),
        },
        Notice::ServiceTrouble { id, elapsed, error, jobs } => Event::Trouble {
            job_id: id,
            kind,
            elapsed_ms: millis(*elapsed),
            scope: "service",
            jobs: *jobs,
            error: PollError::from_source(error),
        },
        Notice::JobRecovered { id, elapsed, lasted } => Event::Recovered {
            scope: "job",
            job_id: Some(id),
            kind,
            elapsed_ms: Some(millis(*elapsed)),
            jobs: 1,
            lasted_ms: millis(*lasted),
            failed_polls: None,
        },
        Notice::ServiceRecovered { jobs, lasted, failed_polls, .. } => Event::Recovered {
            scope: "service",
            job_id: None,
            kind: None,
            elapsed_ms: None,
            jobs: *jobs,
            lasted_ms: millis(*lasted),
            failed_polls: Some(*failed_polls),
        },
        Notice::Overdue { id, elapsed, eta } => {
            Event::Overdue { job_id: id, kind, elapsed_ms: millis(*elapsed), eta }
        }
    })?)
}

/// Writes a line of the input that does not describe a job. `again` says that an earlier run may have reported it.
pub(crate) fn write_rejected(bad: &BadLine, again: bool) -> io::Result<()> {
    let (file, line_number) = (bad.path.as_deref(), bad.number);
    write(&line(&Event::Rejected { file, line: line_number, message: &bad.problem, again })?)
}

/// Writes the summary, which is the last line.
pub(crate) fn write_summary(summary: &Summary) -> io::Result<()> {
    let Summary { exit, reason, progress, earlier, rejected, elapsed, stats, .. } = summary;
    write(&line(&Event::Summary {
        exit_code: exit.code(),
        reason: reason_name(*reason),
        signal: match reason {
            Reason::Interrupted(signal) => Some(signal.name()),
            _ => None,
        },
        total: progress.total(),
        succeeded: progress.succeeded,
        unsuccessful: progress.failed,
        unfinished: progress.live(),
        earlier: Some(*earlier).filter(|earlier| *earlier > 0),
        rejected: *rejected,
        elapsed_ms: millis(*elapsed),
        polls: Polls::from_stats(stats),
    })?)
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    time: String,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    Changed {
        job_id: &'a JobId,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        elapsed_ms: u64,
        from: Option<&'a str>,
        #[serde(flatten)]
        state: &'a JobState,
        #[serde(flatten)]
        eta: Option<Eta>,
    },
    Progressed {
        job_id: &'a JobId,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        elapsed_ms: u64,
        #[serde(flatten)]
        state: &'a JobState,
        #[serde(flatten)]
        eta: Option<Eta>,
    },
    Trouble {
        job_id: &'a JobId,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        elapsed_ms: u64,
        scope: &'static str,
        jobs: usize,
        error: PollError<'a>,
    },
    Recovered {
        scope: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        job_id: Option<&'a JobId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        elapsed_ms: Option<u64>,
        jobs: usize,
        lasted_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        failed_polls: Option<u64>,
    },
    Overdue {
        job_id: &'a JobId,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        elapsed_ms: u64,
        #[serde(flatten)]
        eta: &'a Eta,
    },
    Ended {
        job_id: &'a JobId,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<&'a str>,
        elapsed_ms: u64,
        outcome: &'static str,
        exit_code: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'a str>,
        polls: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        waiting_on: Option<WaitingOn>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<PollError<'a>>,
    },
    Resumed {
        unfinished: usize,
        ended: usize,
    },
    Rejected {
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'a str>,
        line: u64,
        message: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    Summary {
        exit_code: u8,
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<&'static str>,
        total: usize,
        succeeded: usize,
        unsuccessful: usize,
        unfinished: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        earlier: Option<usize>,
        rejected: u64,
        elapsed_ms: u64,
        polls: Polls,
    },
}

/// A failed poll, as the library serializes it, except that the message is safe to print on a terminal.
#[derive(Serialize)]
struct PollError<'a> {
    class: ErrorClass,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_msg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> PollError<'a> {
    fn from_source(error: &'a SourceError) -> Self {
        let class = error.class();
        let retry_after = match class {
            ErrorClass::Transient { retry_after } | ErrorClass::Throttled { retry_after, .. } => {
                retry_after
            }
            _ => None,
        };
        Self {
            class,
            message: text::error_chain(error),
            error_code: error.code(),
            error_msg: error.message(),
            request_id: error.request_id(),
            retry_after_ms: retry_after.map(millis),
        }
    }
}

#[derive(Serialize)]
struct Polls {
    total: u64,
    answered: u64,
    transient: u64,
    throttled: u64,
    not_found: u64,
    paused_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_lag_ms: Option<u64>,
}

impl Polls {
    fn from_stats(stats: &Stats) -> Self {
        Self {
            total: stats.polls,
            answered: stats.answers,
            transient: stats.transient,
            throttled: stats.throttled,
            not_found: stats.not_found,
            paused_ms: millis(stats.paused),
            mean_lag_ms: stats.mean_lag().map(millis),
        }
    }
}

fn ended<'a>(
    job_id: &'a JobId,
    kind: Option<&'a str>,
    elapsed_ms: u64,
    outcome: &'a Outcome,
) -> Event<'a> {
    let (report, error) = match outcome {
        Ok(report) => (report, None),
        Err(error) => (error.report(), Some(error)),
    };
    let state = report.state.as_ref();
    Event::Ended {
        job_id,
        kind,
        elapsed_ms,
        outcome: outcome::name(outcome),
        exit_code: outcome::exit(outcome).code(),
        status: state.map(|state| &*state.status),
        polls: report.polls,
        detail: state.and_then(|state| state.detail.as_deref()),
        message: error.map(outcome::message),
        waiting_on: error.and_then(WaitError::waiting_on),
        error: error.and_then(|error| error.cause()).map(PollError::from_source),
    }
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::AllEnded => "all_ended",
        Reason::FirstSuccess => "first_success",
        Reason::FirstFailure => "first_failure",
        Reason::Interrupted(_) => "interrupted",
        // The reader that would see it has closed standard output.
        Reason::OutputClosed => "output_closed",
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the line for an event, with its line break.
fn line(event: &Event<'_>) -> io::Result<Vec<u8>> {
    let line = Line { v: VERSION, time: time(), event };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text)
}

fn time() -> String {
    format!("{:.3}", Timestamp::now())
}

/// Writes one line. Standard output is line-buffered, so that this is one write without delay.
fn write(line: &[u8]) -> io::Result<()> {
    let mut stdout = streams::stdout();
    stdout.write_all(line)?;
    // A non-blocking pipe may have taken a part.
    stdout.flush()
}

#[cfg(test)]
mod tests;

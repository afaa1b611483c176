//! Sentences for people: what has happened to a job, how the run stands, and how it ended.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::Duration;

use cfw_waiter::{
    ErrorClass, Eta, JobId, JobState, JobView, Outcome, Phase, Progress, SourceError, Stats,
    Update, UpdateKind, WaitError, WaitErrorKind, WaitingOn,
};

use crate::outcome;
use crate::signals::Signal;
use crate::style::Style;
use crate::summary::{Failures, Reason, Summary};
use crate::text::{
    error_chain, format_clock, format_counts, format_duration, format_estimate, format_jobs,
    format_polls, printable,
};
use crate::trouble::{Notice, Troubles};

/// The most unfinished and the most unsuccessful jobs that the summary lists. The others are only counted.
pub(crate) const MAX_LISTED: usize = 20;

const NO_REASON: &str = "the service gave no reason; look at the firewall for one";

/// Describes an update in one line without the job id. Returns `None` for a terminal status, because
/// the end that follows contains it, and for trouble, which [`notice`] describes.
pub(crate) fn update(update: &Update) -> Option<(Style, String)> {
    match &update.kind {
        UpdateKind::Changed { to, .. } if to.phase.is_terminal() => None,
        UpdateKind::Changed { from, to } => {
            let mut text = from.as_ref().map_or_else(String::new, |from| format!("{from} -> "));
            text.push_str(&status(to));
            if to.phase == Phase::Unknown {
                text.push_str(" (a status not known here; still waiting)");
            }
            Some((Style::Dim, printable(text)))
        }
        UpdateKind::Progressed(state) => Some((Style::Dim, printable(status(state)))),
        UpdateKind::Ended(outcome) => Some(end(&update.id, outcome)),
        _ => None,
    }
}

/// Returns the status, and what the service says beside it.
fn status(state: &JobState) -> String {
    let JobState { status, detail, .. } = state;
    detail.as_ref().map_or_else(|| status.to_string(), |detail| format!("{status}: {detail}"))
}

/// Describes the begin or the end of trouble, or a job that is overdue: a label, which is a job id or a number of jobs, and one line.
pub(crate) fn notice(notice: &Notice) -> (Style, String, String) {
    match notice {
        Notice::JobTrouble { id, error, .. } => {
            (Style::Warning, id.to_string(), trouble_line(id, error))
        }
        Notice::ServiceTrouble { id, error, jobs, .. } => {
            let label = if *jobs > 1 { format_jobs(*jobs) } else { id.to_string() };
            (Style::Warning, label, trouble_line(id, error))
        }
        Notice::JobRecovered { id, lasted, .. } => {
            let text = format!("polls succeed again after {}", format_duration(*lasted));
            (Style::Success, id.to_string(), text)
        }
        Notice::ServiceRecovered { id, jobs, lasted, failed_polls } => {
            let label = if *jobs > 1 { format_jobs(*jobs) } else { id.to_string() };
            let mut text = format!("polls succeed again after {}", format_duration(*lasted));
            // Writing to a string cannot fail.
            let _ = write!(text, " ({} failed)", format_polls(*failed_polls));
            (Style::Success, label, text)
        }
        Notice::Overdue { id, eta, .. } => (Style::Warning, id.to_string(), overdue(eta)),
    }
}

fn overdue(eta: &Eta) -> String {
    let age = format_duration(eta.age);
    let mut text = format!("overdue: it has taken {age}");
    if let Some(late_after) = eta.late_after {
        let _ = write!(text, "; 95 % of such jobs end within {}", format_duration(late_after));
    }
    let _ = write!(text, " ({} known)", format_jobs(eta.past_jobs));
    text
}

/// Describes when a job is likely to end, in few words: the times within which half and nine of ten such jobs end, where
/// past jobs tell both.
pub(crate) fn eta(eta: &Eta) -> String {
    match eta.remaining {
        Some(remaining) if !eta.is_overdue() => {
            let p50 = format_estimate(remaining.p50);
            match remaining.p90.map(format_estimate) {
                Some(p90) if p90 == p50 => format!("{p50} left"),
                Some(p90) => format!("{p50}-{p90} left"),
                None => format!("{p50}-? left"),
            }
        }
        _ => "overdue".to_owned(),
    }
}

fn trouble_line(id: &JobId, error: &SourceError) -> String {
    let going_on = match error.class() {
        ErrorClass::NotFound => "still waiting",
        _ => "still trying",
    };
    format!("{}; {going_on}", trouble(id, error))
}

/// Describes trouble by its cause. The request id is left out: the NDJSON has it, and the error at the end.
pub(crate) fn trouble(id: &JobId, error: &SourceError) -> String {
    let text = poll_error(id, error);
    let request = error.request_id().map(|request| format!(" (request {request})"));
    let text = request.map_or(text.clone(), |request| text.replace(&request, ""));
    text.trim_end_matches('.').to_owned()
}

/// Describes a failed poll by its cause, without the id of the job.
pub(crate) fn poll_error(id: &JobId, error: &SourceError) -> String {
    let text = error_chain(error).replace(&format!("list job {id}: "), "");
    let class = match error.class() {
        ErrorClass::Transient { .. } => "transient failure: ",
        ErrorClass::Unreached => "not reached: ",
        // These classes say something that the cause does not.
        _ => "",
    };
    text.strip_prefix(class).map(str::to_owned).unwrap_or(text)
}

/// Describes the end of a wait.
pub(crate) fn end(id: &JobId, outcome: &Outcome) -> (Style, String) {
    let (report, error) = match outcome {
        Ok(report) => (report, None),
        Err(error) => (error.report(), Some(error)),
    };
    let after = format!("after {}", format_duration(report.elapsed));
    let polls = format_polls(report.polls);
    let status = report.state.as_ref().map(|state| &*state.status);
    let Some(error) = error else {
        let text = format!("{} {after} ({polls})", status.unwrap_or("succeeded"));
        return (Style::Success, printable(text));
    };
    let cause = error.cause().map(|cause| poll_error(id, cause));
    let text = match error.kind() {
        WaitErrorKind::Failed => {
            let status = status.unwrap_or("Failed");
            format!("failed with status {status} {after} ({polls}): {}", reason(error))
        }
        WaitErrorKind::TimedOut => {
            let mut text =
                status.map_or("without any status".to_owned(), |status| format!("still {status}"));
            let _ = write!(text, " {after}: timed out ({polls}");
            match error.waiting_on() {
                Some(answer @ WaitingOn::Answer(_)) if report.polls == 1 => {
                    let _ = write!(text, ", {answer}");
                }
                Some(answer @ WaitingOn::Answer(_)) => {
                    let _ = write!(text, ", the last one {answer}");
                }
                Some(held_back) => {
                    let _ = write!(text, ", the next one {held_back}");
                }
                None => {}
            }
            if let Some(seen) = error.last_seen() {
                let _ = write!(text, ", last status {} ago", format_duration(seen));
            }
            text.push(')');
            if let Some(cause) = cause {
                let _ = write!(text, "; last error: {cause}");
            }
            text
        }
        WaitErrorKind::Lost => {
            let mut text = format!("lost: the service does not know it {after} ({polls})");
            if let Some(cause) = cause {
                let _ = write!(text, "; last error: {cause}");
            }
            text
        }
        WaitErrorKind::Refused | WaitErrorKind::Fatal => match cause {
            Some(cause) => format!("cannot be polled: {cause}; ended {after} ({polls})"),
            None => format!("cannot be polled; ended {after} ({polls})"),
        },
        WaitErrorKind::Removed => outcome::look(error),
        // Rare ends, in the words of the library.
        _ => {
            let text = outcome::message(error).replace(&format!("list job {id}: "), "");
            text.strip_prefix(&format!("job {id} ")).map(str::to_owned).unwrap_or(text)
        }
    };
    (Style::Error, printable(text))
}

/// Returns the reason of an end without success in a few words.
pub(crate) fn reason(error: &WaitError) -> String {
    let report = error.report();
    let cause = || error.cause().map(|cause| poll_error(&report.id, cause));
    let text = match error.kind() {
        WaitErrorKind::Failed => {
            let detail = report.state.as_ref().and_then(|state| state.detail.as_deref());
            detail.unwrap_or(NO_REASON).to_owned()
        }
        WaitErrorKind::TimedOut | WaitErrorKind::Removed => {
            let status = report.state.as_ref().map(|state| format!("still {}", state.status));
            let text = status.or_else(cause).unwrap_or_else(|| "without any status".to_owned());
            match error.waiting_on() {
                Some(answer @ WaitingOn::Answer(_)) => format!("{text}; the last poll {answer}"),
                Some(held_back) => format!("{text}; the next poll {held_back}"),
                None => text,
            }
        }
        WaitErrorKind::Lost => "the service does not know it".to_owned(),
        _ => cause().unwrap_or_else(|| {
            let text = error.to_string();
            text.strip_prefix(&format!("job {} ", report.id)).map(str::to_owned).unwrap_or(text)
        }),
    };
    printable(text)
}

/// Describes how the run stands, for a log that is otherwise silent. `origin` is where more ids come from.
pub(crate) fn heartbeat(
    jobs: &[JobView],
    progress: Progress,
    failures: &Failures,
    stats: &Stats,
    troubles: &Troubles,
    now: Duration,
    origin: &str,
) -> String {
    let mut text = format_counts(progress, failures);
    let Some(longest) = jobs.iter().min_by_key(|job| Reverse(job.report.elapsed)) else {
        let _ = write!(text, "; waiting for ids {origin}");
        return text;
    };
    let elapsed = format_duration(longest.report.elapsed);
    if jobs.len() == 1 {
        let _ = write!(text, "; {} for {elapsed}", longest.report.id);
    } else {
        let _ = write!(text, "; longest {} for {elapsed}", longest.report.id);
    }
    if let Some(eta) = &longest.eta {
        let _ = write!(text, ", {}", self::eta(eta));
    }
    let is_overdue = |job: &&JobView| job.eta.is_some_and(|eta| eta.is_overdue());
    let overdue = jobs.iter().filter(is_overdue).count();
    if overdue > 0 && jobs.len() > 1 {
        let _ = write!(text, "; {overdue} overdue");
    }
    let next_poll = jobs.iter().filter_map(|job| job.next_poll).min();
    if !stats.pause_left.is_zero() {
        let _ = write!(text, "; paused, {} left", format_duration(stats.pause_left));
    } else if jobs.iter().any(|job| job.in_flight) {
        text.push_str("; polling");
    } else if next_poll.is_some_and(|delay| delay < Duration::from_millis(50)) {
        text.push_str("; poll due");
    } else if let Some(next_poll) = next_poll {
        let _ = write!(text, "; next poll in {}", format_duration(next_poll));
    }
    if let Some(trouble) = troubles.current() {
        let lasting = format_duration(now.saturating_sub(trouble.since));
        let error = self::trouble(trouble.id, trouble.error);
        let _ = match trouble.jobs {
            0 | 1 => write!(text, "; trouble for {lasting}: {error}"),
            jobs => write!(text, "; trouble for {lasting}, {}: {error}", format_jobs(jobs)),
        };
    }
    text
}

/// Returns the summary in one line, followed by the jobs that did not succeed and those that are unfinished.
pub(crate) fn summary(summary: &Summary) -> Vec<String> {
    let Summary {
        reason, progress, failures, unfinished, earlier, elapsed, stats, rejected, ..
    } = summary;
    let mut text = match reason {
        Reason::Interrupted(Signal::Interrupt) => "interrupted: ".to_owned(),
        Reason::Interrupted(signal) => format!("interrupted by {}: ", signal.name()),
        Reason::OutputClosed => "standard output was closed: ".to_owned(),
        Reason::AllEnded | Reason::FirstSuccess | Reason::FirstFailure => String::new(),
    };
    text.push_str(&format_counts(*progress, failures));
    match rejected {
        0 => {}
        1 => text.push_str(", 1 bad line"),
        _ => {
            let _ = write!(text, ", {rejected} bad lines");
        }
    }
    let _ = write!(text, " ({}, {}", format_duration(*elapsed), format_polls(stats.polls));
    if stats.transient > 0 {
        let _ = write!(text, ", {} of them failed", stats.transient);
    }
    if !stats.paused.is_zero() {
        let _ = write!(text, ", paused {}", format_duration(stats.paused));
    }
    text.push(')');
    let mut lines = vec![text];
    if progress.total() > 1 || *earlier > 0 {
        lines.extend(failures.recap().iter().cloned());
        if let Some(more @ 1..) = failures.total().checked_sub(MAX_LISTED) {
            lines.push(format!("without success: {more} more"));
        }
    }
    // With --any the first success was all that was asked for.
    if *reason == Reason::FirstSuccess {
        return lines;
    }
    for report in unfinished.iter().take(MAX_LISTED) {
        let status = report.state.as_ref().map_or("no status", |state| &*state.status);
        lines.push(printable(format!("not finished: {} ({status})", report.id)));
    }
    if let Some(more @ 1..) = unfinished.len().checked_sub(MAX_LISTED) {
        lines.push(format!("not finished: {more} more"));
    }
    lines
}

/// Returns the plain line of a heartbeat.
pub(crate) fn heartbeat_line(now: Duration, state: &str) -> String {
    format!("[{:>5}] {state}", format_clock(now))
}

/// Returns a plain line for a log: a clock, a label, and the text.
pub(crate) fn log_line(elapsed: Duration, label: &str, text: &str) -> String {
    format!("[{:>5}] {label}  {text}", format_clock(elapsed))
}

#[cfg(test)]
mod tests;

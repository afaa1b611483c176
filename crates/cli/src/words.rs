//! What a person reads: words for news, and colours.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use cfw_waiter::{JobId, Outcome, Phase, Progress, SourceError, Update, UpdateKind};

use crate::summary::{Reason, Summary};

/// So many unfinished jobs are named at the end; of more, only the number.
const NAMED: usize = 20;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(pub(crate) bool);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warning,
    Faint,
}

impl Paint {
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Warning => 33,
            Tone::Faint => 2,
        };
        if self.0 && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A piece of news in one line without the job's name, and how it sounds. None where it repeats
/// another one: a terminal status is told by the end that follows.
pub(crate) fn news(update: &Update) -> Option<(Tone, String)> {
    match &update.kind {
        UpdateKind::Changed { to, .. } if to.phase.is_terminal() => None,
        UpdateKind::Changed { from, to } => {
            let mut text = from.as_ref().map_or_else(String::new, |from| format!("{from} -> "));
            text.push_str(&to.status);
            if to.phase == Phase::Unknown {
                text.push_str(" (a status not known here; waiting on)");
            }
            Some((Tone::Faint, text))
        }
        UpdateKind::Trouble(error) => {
            Some((Tone::Warning, format!("{}; waiting on", trouble(&update.id, error))))
        }
        UpdateKind::Ended(outcome) => Some(end(&update.id, outcome)),
        _ => None,
    }
}

/// What went wrong with a poll.
pub(crate) fn trouble(id: &JobId, error: &SourceError) -> String {
    // The line begins with the id already, and an id is long.
    chain(error).replace(&format!("list job {id}: "), "")
}

fn end(id: &JobId, outcome: &Outcome) -> (Tone, String) {
    match outcome {
        Ok(report) => {
            let status = report.state.as_ref().map_or("succeeded", |state| &*state.status);
            let text =
                format!("{status} after {} ({})", length(report.elapsed), polls(report.polls));
            (Tone::Good, text)
        }
        Err(error) => {
            let text = chain(error).replace(&format!("list job {id}: "), "");
            let text = text.strip_prefix(&format!("job {id} ")).map(str::to_owned).unwrap_or(text);
            (Tone::Bad, text)
        }
    }
}

/// The last line, and which jobs were left.
pub(crate) fn summary(summary: &Summary) -> Vec<String> {
    let Summary { reason, progress, unfinished, elapsed, stats, rejected, .. } = summary;
    let mut text = match reason {
        Reason::Interrupted => "interrupted: ".to_owned(),
        Reason::AllEnded | Reason::FirstSuccess | Reason::FirstFailure => String::new(),
    };
    text.push_str(&counts(*progress));
    // Writing to a string cannot fail, here and below.
    match rejected {
        0 => {}
        1 => text.push_str(", 1 bad line"),
        _ => {
            let _ = write!(text, ", {rejected} bad lines");
        }
    }
    let _ = write!(text, " ({}, {}", length(*elapsed), polls(stats.polls));
    if stats.transient > 0 {
        let _ = write!(text, ", {} of them failed", stats.transient);
    }
    if !stats.paused.is_zero() {
        let _ = write!(text, ", paused {}", length(stats.paused));
    }
    text.push(')');
    let mut lines = vec![text];
    for view in unfinished.iter().take(NAMED) {
        let status = view.report.state.as_ref().map_or("no status", |state| &*state.status);
        lines.push(format!("not finished: {} ({status})", view.report.id));
    }
    if let Some(more @ 1..) = unfinished.len().checked_sub(NAMED) {
        lines.push(format!("not finished: {more} more"));
    }
    lines
}

/// How many jobs are where.
pub(crate) fn counts(progress: Progress) -> String {
    let mut text = match progress.total() {
        1 => "1 job".to_owned(),
        total => format!("{total} jobs"),
    };
    let mut gap = ": ";
    for (count, word) in [
        (progress.succeeded, "succeeded"),
        (progress.failed, "did not"),
        (progress.running, "running"),
        (progress.waiting, "without a status"),
    ] {
        if count > 0 {
            let _ = write!(text, "{gap}{count} {word}");
            gap = ", ";
        }
    }
    text
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Libraries differ in whether a message repeats that of its cause.
        if !text.ends_with(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// `0.4s`, `12.0s`, `3m 04s`, `1h 02m`.
pub(crate) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{}.{}s", seconds, duration.subsec_millis() / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `0:04`, `12:03`, `1:02:03`.
pub(crate) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

pub(crate) fn polls(count: impl Into<u64>) -> String {
    match count.into() {
        1 => "1 poll".to_owned(),
        count => format!("{count} polls"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (millis, text, time) in [
            (0, "0.0s", "0:00"),
            (460, "0.4s", "0:00"),
            (59_999, "59.9s", "0:59"),
            (184_000, "3m 04s", "3:04"),
            (3_723_000, "1h 02m", "1:02:03"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!((&*length(duration), &*clock(duration)), (text, time));
        }
    }

    #[test]
    fn no_colour_means_no_escape() {
        assert_eq!(Paint(false).paint(Tone::Bad, "x"), "x");
        assert_eq!(Paint(true).paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Paint(true).paint(Tone::Bad, ""), "");
    }
}

//! Text for people: counts, durations and errors.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use cfw_waiter::Progress;

pub(crate) use crate::printable::printable;
use crate::summary::Failures;

/// Formats the number of jobs in each state.
pub(crate) fn format_counts(progress: Progress, failures: &Failures) -> String {
    let mut text = format_jobs(progress.total());
    let mut separator = ": ";
    let mut add = |count: usize, state: &str| {
        if count > 0 {
            let _ = write!(text, "{separator}{count} {state}");
            separator = ", ";
        }
    };
    add(progress.succeeded, "succeeded");
    for (kind, count) in failures.iter() {
        add(count, &kind.replace('_', " "));
    }
    // Ends that the watch has counted but not yet returned as updates.
    add(progress.failed.saturating_sub(failures.total()), "unsuccessful");
    add(progress.running, "running");
    add(progress.waiting, "without a status");
    text
}

/// Formats an error and its causes in one line.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat the message of the cause.
        if !text.ends_with(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    printable(text)
}

/// Formats as `0.4s`, `12.0s`, `3m 04s`, `1h 02m`. It rounds, because waits end a few milliseconds before their
/// deadline.
pub(crate) fn format_duration(duration: Duration) -> String {
    let tenths = duration.saturating_add(Duration::from_millis(50)).as_millis() / 100;
    let seconds = duration.saturating_add(Duration::from_millis(500)).as_secs();
    match seconds {
        _ if tenths < 600 => format!("{}.{}s", tenths / 10, tenths % 10),
        0..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Formats as `8s`, `95s`, `12m`, `3h`: coarsely, for times that are only estimated.
pub(crate) fn format_estimate(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds.round() {
        ..1.0 => "1s".to_owned(),
        ..100.0 => format!("{seconds:.0}s"),
        ..6_000.0 => format!("{:.0}m", seconds / 60.0),
        _ => format!("{:.0}h", seconds / 3_600.0),
    }
}

/// Formats as `0:04`, `12:03`, `1:02:03`. It rounds, as [`format_duration`] does.
pub(crate) fn format_clock(duration: Duration) -> String {
    let seconds = duration.saturating_add(Duration::from_millis(500)).as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

pub(crate) fn format_jobs(count: usize) -> String {
    match count {
        1 => "1 job".to_owned(),
        count => format!("{count} jobs"),
    }
}

pub(crate) fn format_polls(count: impl Into<u64>) -> String {
    match count.into() {
        1 => "1 poll".to_owned(),
        count => format!("{count} polls"),
    }
}

#[cfg(test)]
mod tests {
    use cfw_waiter::WaitErrorKind;

    use super::*;

    #[test]
    fn no_text_of_others_moves_hides_or_reorders_anything() {
        #[derive(Debug)]
        struct Hostile(Option<Box<Self>>);
        impl std::fmt::Display for Hostile {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let text =
                    if self.0.is_some() { "a\u{202e}b\x1b[2J" } else { "c\u{200b}\u{2066}d\r\n" };
                f.write_str(text)
            }
        }
        impl Error for Hostile {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.0.as_deref().map(|cause| cause as &(dyn Error + 'static))
            }
        }
        let error = Hostile(Some(Box::new(Hostile(None))));
        assert_eq!(error_chain(&error), "a b [2J: c  d  ");
        let harmless = "Größe 日本語 – 😀 é";
        assert_eq!(printable(harmless.to_owned()), harmless);
    }

    #[test]
    fn formats_durations_and_clocks() {
        for (millis, text, clock) in [
            (0, "0.0s", "0:00"),
            (440, "0.4s", "0:00"),
            (460, "0.5s", "0:00"),
            (59_949, "59.9s", "1:00"),
            (2_960, "3.0s", "0:03"),
            (59_999, "1m 00s", "1:00"),
            (184_499, "3m 04s", "3:04"),
            (1_799_998, "30m 00s", "30:00"),
            (3_599_998, "1h 00m", "1:00:00"),
            (3_723_000, "1h 02m", "1:02:03"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!((&*format_duration(duration), &*format_clock(duration)), (text, clock));
        }
    }

    #[test]
    fn estimates_are_coarse() {
        for (millis, text) in [
            (0, "1s"),
            (400, "1s"),
            (8_600, "9s"),
            (99_400, "99s"),
            (99_600, "2m"),
            (5_999_000, "100m"),
            (6_100_000, "2h"),
            (90_000_000, "25h"),
        ] {
            assert_eq!(format_estimate(Duration::from_millis(millis)), text);
        }
        assert_eq!(format_estimate(Duration::MAX).len(), 17);
    }

    #[test]
    fn ends_without_success_are_counted_by_kind() {
        let progress = |succeeded, failed| {
            let mut progress = Progress::default();
            (progress.succeeded, progress.failed) = (succeeded, failed);
            progress
        };
        let mut failures = Failures::default();
        assert_eq!(format_counts(progress(1, 0), &failures), "1 job: 1 succeeded");
        for kind in [
            WaitErrorKind::TimedOut,
            WaitErrorKind::Failed,
            WaitErrorKind::Failed,
            WaitErrorKind::TooManyFailures,
        ] {
            failures.count(kind);
        }
        let counts = "4 jobs: 2 failed, 1 timed out, 1 too many failures";
        assert_eq!(format_counts(progress(0, 4), &failures), counts);
        let counts =
            "6 jobs: 1 succeeded, 2 failed, 1 timed out, 1 too many failures, 1 unsuccessful";
        assert_eq!(format_counts(progress(1, 5), &failures), counts, "an update is outstanding");
    }
}

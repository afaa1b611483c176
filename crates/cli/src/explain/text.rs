//! The explanation for people.

use std::fmt::Write as _;
use std::time::Duration;

use cfw_waiter::{ExpectedCost, Explanation};

use crate::text::{format_duration, format_jobs, printable};

use super::Subject;

/// The most polls that are listed. A line with them fits into 80 columns, as all do that name no file.
const MAX_POLLS: usize = 6;

/// Returns the lines of the explanation.
pub(super) fn text(subject: &Subject<'_>) -> String {
    let Subject { kind, path, poll_cost, explanation, .. } = subject;
    let known = format_jobs(explanation.ended);
    let title = format!("{kind}: {known} in {}", path.display());
    let mut text = printable(title) + "\n\n";
    let mut line = |label: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<18}{value}");
    };
    line("durations", &durations(explanation));
    match explanation.unfinished {
        0 => {}
        1 => line("", "1 job ran on after its wait; it counts as longer"),
        jobs => line("", &format!("{jobs} jobs ran on after their waits; they count as longer")),
    }
    line("first polls", &ages(&explanation.polls));
    line("else", &ages(&explanation.fallback_polls));
    let pair = (explanation.expected, explanation.expected_fallback);
    if let (Some(expected), Some(fallback)) = pair {
        line("a job costs", &cost(&expected));
        line("else", &cost(&fallback));
        line("", &format!("a poll counts as {}", format_short(*poll_cost)));
    }
    line("schedule in use", schedule(explanation));
    line("account", &account(explanation));
    if let Some(worst_loss) = explanation.worst_loss.filter(|loss| loss.is_finite()) {
        line("", &format!("a job can lose {}", format_seconds(worst_loss)));
    }
    text
}

fn durations(explanation: &Explanation) -> String {
    let named = [(0.5, "half"), (0.9, "90 %"), (0.95, "95 %")];
    let known = named.map(|(part, name)| {
        let age = explanation.percentile(part)?;
        Some(format!("{name} within {}", format_duration(age)))
    });
    let known: Vec<_> = known.into_iter().flatten().collect();
    if known.is_empty() { "too few past jobs to tell".to_owned() } else { known.join(", ") }
}

/// Lists the first polls. More follow until the job has ended.
fn ages(polls: &[Duration]) -> String {
    let is_at_once = polls.first().is_some_and(Duration::is_zero);
    let later = || polls.iter().copied().take(MAX_POLLS).skip(usize::from(is_at_once));
    let mut ages: Vec<_> = later().map(format_duration).collect();
    if ages.iter().zip(ages.iter().skip(1)).any(|(age, next)| age == next) {
        ages = later().map(format_exactly).collect();
    }
    let ages = ages.join(", ");
    match (is_at_once, &*ages) {
        (true, "") => "at once, ..".to_owned(),
        (true, _) => format!("at once, then at {ages}, .."),
        (false, _) => format!("at {ages}, .."),
    }
}

fn cost(expected: &ExpectedCost) -> String {
    let (lag, cost) = (format_short(expected.lag), format_short(expected.cost));
    format!("{:.1} polls, and its end is noticed after {lag}: {cost}", expected.polls)
}

fn schedule(explanation: &Explanation) -> &'static str {
    if explanation.is_learned {
        "the learned one"
    } else if explanation.worst_loss.is_none() {
        "the one without past jobs, as none is known"
    } else {
        "the one without past jobs: the worst loss exceeds the account"
    }
}

fn account(explanation: &Explanation) -> String {
    let Explanation { account, account_limit, .. } = explanation;
    if *account < 0.0 {
        let debt = format_seconds(-account);
        return format!("{debt} in debt, which jobs have to save before any may lose");
    }
    let (balance, limit) = (format_seconds(*account), format_seconds(*account_limit));
    format!("{balance} of {limit} may be lost in all")
}

/// Formats a number of seconds; one below zero as zero.
fn format_seconds(seconds: f64) -> String {
    format_duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// Formats as `4ms` below a tenth of a second, which would read `0.0s`.
fn format_short(duration: Duration) -> String {
    match duration.as_micros().saturating_add(500) / 1_000 {
        millis @ 1..100 => format!("{millis}ms"),
        _ => format_duration(duration),
    }
}

/// Formats as `12.04s`, `3m 04.2s`, `1h 02m 03s`: for times close to each other.
fn format_exactly(duration: Duration) -> String {
    let tenths = duration.saturating_add(Duration::from_millis(50)).as_millis() / 100;
    match tenths {
        0..600 => format!("{:.2}s", duration.as_secs_f64()),
        600..36_000 => {
            format!("{}m {:02}.{}s", tenths / 600, tenths / 10 % 60, tenths % 10)
        }
        _ => {
            let seconds = duration.saturating_add(Duration::from_millis(500)).as_secs();
            format!("{}h {:02}m {:02}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(millis: &[u64]) -> String {
        ages(&millis.iter().copied().map(Duration::from_millis).collect::<Vec<_>>())
    }

    #[test]
    fn polls_close_to_each_other_are_told_apart() {
        assert_eq!(listed(&[1_000, 100_200]), "at 1.0s, 1m 40s, ..");
        assert_eq!(
            listed(&[0, 60_000, 101_570, 102_260]),
            "at once, then at 1m 00.0s, 1m 41.6s, 1m 42.3s, .."
        );
        assert_eq!(
            listed(&[30_000, 3_599_970, 3_610_000, 3_640_400]),
            "at 30.00s, 1h 00m 00s, 1h 00m 10s, 1h 00m 40s, .."
        );
        assert_eq!(listed(&[0]), "at once, ..");
        let many: Vec<u64> = (0..20).map(|n| n * 1_000).collect();
        assert_eq!(listed(&many), "at once, then at 1.0s, 2.0s, 3.0s, 4.0s, 5.0s, ..");
    }

    #[test]
    fn short_times_are_not_zero() {
        for (micros, text) in [
            (0, "0.0s"),
            (499, "0.0s"),
            (1_000, "1ms"),
            (99_400, "99ms"),
            (99_600, "0.1s"),
            (1_000_000, "1.0s"),
        ] {
            assert_eq!(format_short(Duration::from_micros(micros)), text);
        }
        assert_eq!([-3.0, 0.04, 70.0].map(format_seconds), ["0.0s", "0.0s", "1m 10s"]);
        assert!(format_seconds(f64::INFINITY).ends_with('m'));
    }
}

//! The explanation for people.

use std::fmt::Write as _;
use std::time::Duration;

use cfw_waiter::{ExpectedCost, Explanation};

use crate::text::{format_duration, format_jobs, printable};

use super::Subject;

/// The most polls that are listed.
const MAX_POLLS: usize = 8;

/// Returns the lines of the explanation.
pub(super) fn text(subject: &Subject<'_>) -> String {
    let Subject { kind, path, poll_cost, explanation, .. } = subject;
    let known = format_jobs(explanation.ended);
    let mut text = format!("{kind}: {known} in {}\n\n", path.display());
    let mut line = |label: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<18}{value}");
    };
    line("durations", &durations(explanation));
    if explanation.unfinished > 0 {
        let left = format_jobs(explanation.unfinished);
        line("", &format!("{left} more ended later than the wait; they count as longer ones"));
    }
    line("first polls at", &ages(&explanation.polls));
    line("else at", &ages(&explanation.fallback_polls));
    let pair = (explanation.expected, explanation.expected_fallback);
    if let (Some(expected), Some(fallback)) = pair {
        line("a job costs", &cost(&expected));
        line("else", &cost(&fallback));
        line("", &format!("a poll counts as {}", format_duration(*poll_cost)));
    }
    line("schedule in use", schedule(explanation));
    line("account", &account(explanation));
    printable_lines(&text)
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

fn ages(polls: &[Duration]) -> String {
    let first: Vec<_> = polls.iter().take(MAX_POLLS).map(|age| format_duration(*age)).collect();
    let dots = if polls.len() > MAX_POLLS { ", .." } else { "" };
    format!("{}{dots}", first.join(", "))
}

fn cost(expected: &ExpectedCost) -> String {
    let (lag, cost) = (format_duration(expected.lag), format_duration(expected.cost));
    format!("{:.1} polls, and its end is noticed after {lag}: {cost}", expected.polls)
}

fn schedule(explanation: &Explanation) -> &'static str {
    if explanation.is_learned {
        "the learned one"
    } else if explanation.worst_loss.is_none() {
        "the one without past jobs, because none is known"
    } else {
        "the one without past jobs, because the account does not cover the worst loss"
    }
}

fn account(explanation: &Explanation) -> String {
    let Explanation { account, account_limit, worst_loss, .. } = explanation;
    let mut text = format!("{account:.1}s of {account_limit:.0}s may be lost in all");
    if let Some(worst_loss) = worst_loss.filter(|loss| loss.is_finite()) {
        let _ = write!(text, "; a job can lose {:.1}s", worst_loss.max(0.0));
    }
    text
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line.trim_end().to_owned()) + "\n").collect()
}

//! The explanation for programs.

use std::io;
use std::time::Duration;

use cfw_waiter::ExpectedCost;
use jiff::Timestamp;
use serde::Serialize;

use crate::json::{VERSION, millis};

use super::Subject;

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    time: String,
    r#type: &'static str,
    kind: &'a str,
    history: String,
    past_jobs: usize,
    unfinished: usize,
    poll_cost_ms: u64,
    learned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p90_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95_ms: Option<u64>,
    polls_ms: Vec<u64>,
    fallback_polls_ms: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_fallback: Option<Cost>,
    account: Account,
}

#[derive(Serialize)]
struct Cost {
    polls: f64,
    lag_ms: u64,
    cost_ms: u64,
}

#[derive(Serialize)]
struct Account {
    balance_ms: i64,
    limit_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    worst_loss_ms: Option<i64>,
}

/// Returns the explanation as one line.
///
/// # Errors
///
/// Returns an error if it cannot be serialized.
pub(super) fn line(subject: &Subject<'_>) -> io::Result<String> {
    let Subject { kind, path, poll_cost, explanation, .. } = subject;
    let percentile = |part| explanation.percentile(part).map(millis);
    let line = Line {
        v: VERSION,
        time: format!("{:.3}", Timestamp::now()),
        r#type: "explanation",
        kind,
        history: path.display().to_string(),
        past_jobs: explanation.ended,
        unfinished: explanation.unfinished,
        poll_cost_ms: millis(*poll_cost),
        learned: explanation.is_learned,
        p50_ms: percentile(0.5),
        p90_ms: percentile(0.9),
        p95_ms: percentile(0.95),
        polls_ms: ages(&explanation.polls),
        fallback_polls_ms: ages(&explanation.fallback_polls),
        expected: explanation.expected.map(Cost::new),
        expected_fallback: explanation.expected_fallback.map(Cost::new),
        account: Account {
            balance_ms: signed_millis(explanation.account),
            limit_ms: signed_millis(explanation.account_limit),
            worst_loss_ms: explanation
                .worst_loss
                .filter(|loss| loss.is_finite())
                .map(signed_millis),
        },
    };
    Ok(serde_json::to_string(&line)? + "\n")
}

impl Cost {
    fn new(expected: ExpectedCost) -> Self {
        // A hundredth of a poll is more than is known.
        let polls = (expected.polls * 100.0).round() / 100.0;
        Self { polls, lag_ms: millis(expected.lag), cost_ms: millis(expected.cost) }
    }
}

fn ages(polls: &[Duration]) -> Vec<u64> {
    polls.iter().copied().map(millis).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "such a cast saturates")]
fn signed_millis(seconds: f64) -> i64 {
    (seconds * 1e3).round() as i64
}

//! The end of a wait, as the command reports it.
//!
//! The command removes a job from its watch in one case: with a timeout of zero, when its one look found the job
//! running. This end is reported as a deadline that has passed.

use cfw_waiter::{Outcome, WaitError, WaitErrorKind};

use crate::exit::Exit;
use crate::text;

/// Returns why the wait ended.
pub(crate) fn kind(error: &WaitError) -> WaitErrorKind {
    match error.kind() {
        WaitErrorKind::Removed => WaitErrorKind::TimedOut,
        kind => kind,
    }
}

/// Returns the name of the end, which is part of the schema.
pub(crate) fn name(outcome: &Outcome) -> &'static str {
    outcome.as_ref().map_or_else(|error| kind(error).as_str(), |_| "succeeded")
}

/// Returns the exit code for the end.
pub(crate) fn exit(outcome: &Outcome) -> Exit {
    outcome.as_ref().map_or_else(|error| Exit::from_kind(kind(error)), |_| Exit::Succeeded)
}

/// Describes the error and its causes in one line.
pub(crate) fn message(error: &WaitError) -> String {
    if error.kind() != WaitErrorKind::Removed {
        return text::error_chain(error);
    }
    let report = error.report();
    let status = report.state.as_ref().map_or("without a status", |state| &*state.status);
    format!(
        "job {} still {status} after {}: timed out ({}, looked at once: --timeout 0)",
        report.id,
        text::format_duration(report.elapsed),
        text::format_polls(report.polls)
    )
}

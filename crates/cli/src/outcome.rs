//! The end of a wait, as the command reports it.
//!
//! The command removes a job from its watch in one case: with a timeout of zero, when its one look has been answered. If it
//! found the job running, its end is reported as a deadline that has passed, and otherwise by the error.

use cfw_waiter::{ErrorClass, Outcome, SourceError, WaitError, WaitErrorKind};

use crate::describe;
use crate::ends;
use crate::exit::Exit;
use crate::text;

/// Returns why the wait ended.
pub(crate) fn kind(error: &WaitError) -> WaitErrorKind {
    match error.kind() {
        WaitErrorKind::Removed if error.report().state.is_some() => WaitErrorKind::TimedOut,
        WaitErrorKind::Removed => match error.cause().map(SourceError::class) {
            Some(ErrorClass::NotFound) => WaitErrorKind::Lost,
            // A job that runs is another exit code than one of which nothing is known.
            _ => WaitErrorKind::Unreachable,
        },
        kind => kind,
    }
}

/// Returns the name of the end, which is part of the schema.
pub(crate) fn name(outcome: &Outcome) -> &'static str {
    ends::name(outcome.as_ref().err().map(kind))
}

/// Returns the exit code for the end.
pub(crate) fn exit(outcome: &Outcome) -> Exit {
    outcome.as_ref().map_or_else(|error| Exit::from_kind(kind(error)), |_| Exit::Succeeded)
}

/// Describes the error and its causes in one line.
pub(crate) fn message(error: &WaitError) -> String {
    let id = &error.report().id;
    match (error.kind(), &error.report().state) {
        (WaitErrorKind::Removed, Some(_)) => format!("job {id} {}", look(error)),
        (WaitErrorKind::Removed, None) => format!("job {id}: {}", look(error)),
        _ => text::error_chain(error),
    }
}

/// Describes what one look has found, without the id of the job.
pub(crate) fn look(error: &WaitError) -> String {
    let report = error.report();
    let (after, polls) = (text::format_duration(report.elapsed), text::format_polls(report.polls));
    if let Some(state) = &report.state {
        let status = &state.status;
        return format!(
            "still {status} after {after}: timed out ({polls}, looked at once: --timeout 0)"
        );
    }
    let Some(cause) = error.cause() else {
        return format!("the one look got no answer within {after} ({polls})");
    };
    let text = describe::poll_error(&report.id, cause);
    match cause.class() {
        ErrorClass::Unreached => format!("the one look got no answer: {text}"),
        ErrorClass::NotFound => format!("the one look did not find it: {text}"),
        _ => format!("the one look got no status: {text}"),
    }
}

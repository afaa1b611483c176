//! The names of the ends of waits, which are part of the schema.

use cfw_waiter::WaitErrorKind;

/// The name of the end of a job that succeeded.
pub(crate) const SUCCEEDED: &str = "succeeded";

/// Why waits end without success.
pub(crate) const KINDS: [WaitErrorKind; 11] = [
    WaitErrorKind::Failed,
    WaitErrorKind::TimedOut,
    WaitErrorKind::Lost,
    WaitErrorKind::Refused,
    WaitErrorKind::Fatal,
    WaitErrorKind::Unreachable,
    WaitErrorKind::TooManyFailures,
    WaitErrorKind::UnknownStatus,
    WaitErrorKind::Panicked,
    WaitErrorKind::Stopped,
    WaitErrorKind::Removed,
];

/// Returns the name of the end: why the wait ended, or `None` for success.
pub(crate) fn name(error: Option<WaitErrorKind>) -> &'static str {
    error.map_or(SUCCEEDED, WaitErrorKind::as_str)
}

/// Returns the end of this name. Returns `None` if it is no name.
pub(crate) fn from_name(name: &str) -> Option<Option<WaitErrorKind>> {
    if name == SUCCEEDED {
        return Some(None);
    }
    KINDS.into_iter().find(|kind| kind.as_str() == name).map(Some)
}

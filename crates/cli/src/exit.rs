//! The exit codes: each of them here, and what leads to it.

use std::io;
use std::process::ExitCode;

use cfw_waiter::WaitErrorKind;

/// Everything that was waited for succeeded.
pub(crate) const SUCCEEDED: u8 = 0;
/// A job failed, or its wait ended in a way that no other code stands for.
pub(crate) const FAILED: u8 = 1;
/// The command was called wrongly: a flag, a value, an id.
pub(crate) const USAGE: u8 = 2;
/// The service refused the credentials, no poll can succeed, or the command cannot run as configured.
pub(crate) const MISCONFIGURED: u8 = 3;
/// The service does not know a job, and has not for the whole grace.
pub(crate) const LOST: u8 = 4;
/// A job was still running at its deadline. As `timeout(1)` has it.
pub(crate) const TIMED_OUT: u8 = 124;
/// Interrupted by Ctrl-C. As shells have it: 128 and the signal's number.
pub(crate) const INTERRUPTED: u8 = 130;

/// How the command ends, from the best to the worst: of several ends the greatest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    #[default]
    Succeeded,
    TimedOut,
    Lost,
    Failed,
    Usage,
    Misconfigured,
    Interrupted,
}

impl Exit {
    /// The code that a wait of this end asks for.
    pub(crate) fn of(kind: WaitErrorKind) -> Self {
        match kind {
            WaitErrorKind::Refused | WaitErrorKind::Fatal => Self::Misconfigured,
            WaitErrorKind::Lost => Self::Lost,
            WaitErrorKind::TimedOut => Self::TimedOut,
            // Failed, and ends that nobody can act on by the code alone: the message tells them apart.
            _ => Self::Failed,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Succeeded => SUCCEEDED,
            Self::TimedOut => TIMED_OUT,
            Self::Lost => LOST,
            Self::Failed => FAILED,
            Self::Usage => USAGE,
            Self::Misconfigured => MISCONFIGURED,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why the command cannot go on: a code, and one line for people if there is anything to say.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) exit: Exit,
    pub(crate) message: Option<String>,
}

impl Complaint {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: Some(message.into()) }
    }

    pub(crate) fn misconfigured(message: impl Into<String>) -> Self {
        Self { exit: Exit::Misconfigured, message: Some(message.into()) }
    }
}

/// Standard output cannot be written. A reader who has left has read what he wanted.
impl From<io::Error> for Complaint {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Succeeded, message: None };
        }
        Self::misconfigured(format!("standard output cannot be written: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_end_counts() {
        let order = [
            Exit::Succeeded,
            Exit::TimedOut,
            Exit::Lost,
            Exit::Failed,
            Exit::Usage,
            Exit::Misconfigured,
            Exit::Interrupted,
        ];
        assert!(order.is_sorted());
        assert_eq!(order.map(Exit::code), [0, 124, 4, 1, 2, 3, 130]);
    }

    #[test]
    fn every_end_of_a_wait_has_its_code() {
        for (kind, code) in [
            (WaitErrorKind::Failed, 1),
            (WaitErrorKind::TimedOut, 124),
            (WaitErrorKind::Lost, 4),
            (WaitErrorKind::Refused, 3),
            (WaitErrorKind::Fatal, 3),
            (WaitErrorKind::TooManyFailures, 1),
            (WaitErrorKind::UnknownStatus, 1),
            (WaitErrorKind::Panicked, 1),
            (WaitErrorKind::Stopped, 1),
            (WaitErrorKind::Removed, 1),
        ] {
            assert_eq!(Exit::of(kind).code(), code, "{kind:?}");
        }
    }
}

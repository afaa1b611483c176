//! The exit codes, and the errors and ends that lead to them.

use std::io;
use std::process::ExitCode;

use cfw_waiter::WaitErrorKind;

use crate::signals::Signal;

/// All jobs succeeded, or one did with `--any`.
pub(crate) const SUCCEEDED: u8 = 0;
/// A job failed, or its wait ended for a reason without a code of its own.
pub(crate) const FAILED: u8 = 1;
/// The arguments are not valid, or a line of the input does not describe a job.
pub(crate) const USAGE: u8 = 2;
/// The service refused the credentials, no poll can succeed, the service was never reached, or the command cannot run as configured.
pub(crate) const MISCONFIGURED: u8 = 3;
/// The service has not found a job for the whole grace period.
pub(crate) const LOST: u8 = 4;
/// A job was still running at its deadline. `timeout(1)` uses the same code.
pub(crate) const TIMED_OUT: u8 = 124;
/// The reader of standard output closed it before all jobs had ended. Shells give the same code, 128
/// plus the number of the signal, to commands that end by SIGPIPE.
pub(crate) const BROKEN_PIPE: u8 = 141;

/// The result of the command, in ascending severity. The greatest of several results counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    #[default]
    Succeeded,
    TimedOut,
    Lost,
    Failed,
    Usage,
    Misconfigured,
    BrokenPipe,
    /// 129, 130 or 143.
    Interrupted(Signal),
}

impl Exit {
    /// Returns the result for a wait that ended with this error.
    pub(crate) fn from_kind(kind: WaitErrorKind) -> Self {
        match kind {
            WaitErrorKind::Refused | WaitErrorKind::Fatal | WaitErrorKind::Unreachable => {
                Self::Misconfigured
            }
            WaitErrorKind::Lost => Self::Lost,
            WaitErrorKind::TimedOut => Self::TimedOut,
            // `Failed`, and rare ends that only the message distinguishes.
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
            Self::BrokenPipe => BROKEN_PIPE,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that ends the command, with an optional message of one line.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    pub(crate) message: Option<String>,
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: Some(message.into()) }
    }

    pub(crate) fn misconfigured(message: impl Into<String>) -> Self {
        Self { exit: Exit::Misconfigured, message: Some(message.into()) }
    }
}

/// Converts an error of standard output. A reader that has closed it is not an error here: no job is
/// unfinished.
impl From<io::Error> for CliError {
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
    fn results_are_ordered_by_severity() {
        let order = [
            Exit::Succeeded,
            Exit::TimedOut,
            Exit::Lost,
            Exit::Failed,
            Exit::Usage,
            Exit::Misconfigured,
            Exit::BrokenPipe,
            Exit::Interrupted(Signal::Hangup),
            Exit::Interrupted(Signal::Interrupt),
            Exit::Interrupted(Signal::Terminate),
        ];
        assert!(order.is_sorted());
        assert_eq!(order.map(Exit::code), [0, 124, 4, 1, 2, 3, 141, 129, 130, 143]);
    }

    #[test]
    fn every_error_kind_has_an_exit_code() {
        for (kind, code) in [
            (WaitErrorKind::Failed, 1),
            (WaitErrorKind::TimedOut, 124),
            (WaitErrorKind::Lost, 4),
            (WaitErrorKind::Refused, 3),
            (WaitErrorKind::Fatal, 3),
            (WaitErrorKind::Unreachable, 3),
            (WaitErrorKind::TooManyFailures, 1),
            (WaitErrorKind::UnknownStatus, 1),
            (WaitErrorKind::Panicked, 1),
            (WaitErrorKind::Stopped, 1),
            (WaitErrorKind::Removed, 1),
        ] {
            assert_eq!(Exit::from_kind(kind).code(), code, "{kind:?}");
        }
    }
}

//! What a shell does with the command as one of its jobs: stops and continues it.

use std::io;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp, getpid, getsid, tcgetpgrp};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What the system returns for a process, a group or a session outside of this process's container.
const OUTSIDE: Pid = Pid::from_raw(0);

/// Receives the signals of job control.
pub(crate) struct JobControl {
    stop: Stream,
    go_on: Stream,
}

/// A signal of job control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobSignal {
    /// Ctrl-Z.
    Stop,
    /// The process goes on after a stop.
    Continue,
}

impl JobControl {
    /// Installs the handlers. Without them, the system stops the process without notice.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses a handler.
    pub(crate) fn install() -> io::Result<Self> {
        let stream = |number| signal(SignalKind::from_raw(number));
        Ok(Self { stop: stream(Signal::SIGTSTP as i32)?, go_on: stream(Signal::SIGCONT as i32)? })
    }

    /// Waits for the next signal.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a signal that has arrived is returned by the next call.
    pub(crate) async fn next(&mut self) -> JobSignal {
        tokio::select! {
            _ = self.stop.recv() => JobSignal::Stop,
            _ = self.go_on.recv() => JobSignal::Continue,
        }
    }
}

/// Stops this process until it is continued, and returns whether it did.
///
/// It does not stop in the process group of the session leader, as the default action does not: no shell
/// could continue it.
pub(crate) fn stop_process() -> bool {
    let session = getsid(None).unwrap_or(OUTSIDE);
    let is_orphaned = session != OUTSIDE && session == getpgrp();
    !is_orphaned && kill(getpid(), Signal::SIGSTOP).is_ok()
}

/// Returns whether this process may draw on the terminal that is standard error. A background job of a shell
/// would draw over what the user types.
pub(crate) fn is_foreground() -> bool {
    tcgetpgrp(io::stderr())
        .map_or(true, |foreground| foreground == OUTSIDE || foreground == getpgrp())
}

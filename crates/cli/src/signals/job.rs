//! What a shell does with the command as one of its jobs: stops and continues it.

use std::io;

use rustix::process::{getpgrp, getpid, getsid, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

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
        Ok(Self {
            stop: stream(rustix::process::Signal::TSTP.as_raw())?,
            go_on: stream(rustix::process::Signal::CONT.as_raw())?,
        })
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
    let is_orphaned = getsid(None).is_ok_and(|session| session == getpgrp());
    !is_orphaned && kill_process(getpid(), rustix::process::Signal::STOP).is_ok()
}

/// Returns whether this process may draw on the terminal that is standard error. A background job of a shell
/// would draw over what the user types.
pub(crate) fn is_foreground() -> bool {
    tcgetpgrp(io::stderr()).map_or(true, |foreground| foreground == getpgrp())
}

//! Signals that end the command.
//!
//! The first signal ends a wait in an orderly way, with a summary. A second one, or any signal while
//! nothing waits, ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::process_groups::ProcessGroups;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;

#[cfg(not(unix))]
mod other;
#[cfg(not(unix))]
use other as system;

#[cfg(unix)]
mod job;
#[cfg(unix)]
pub(crate) use job::{JobControl, JobSignal, is_foreground, stop_process};

#[cfg(not(unix))]
pub(crate) use other::{JobControl, JobSignal, is_foreground, stop_process};

/// A signal that ends the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    /// The terminal or the session has ended.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// A request to stop, such as that of a container runtime or a pipeline.
    Terminate,
}

impl Signal {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// Returns the number of the signal, which is the same on all systems.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// Returns the exit code that shells use: 128 plus the number of the signal.
    pub(crate) const fn exit_code(self) -> u8 {
        128 + self.number()
    }
}

/// Receives the signals of the process.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    received: watch::Receiver<Option<Signal>>,
    is_awaited: Arc<AtomicBool>,
    groups: ProcessGroups,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// Until then the default action applies. As process 1 of a container there is none: signals
    /// without a handler are ignored there.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses a handler.
    pub(crate) fn install(runtime: &Runtime) -> io::Result<Self> {
        let _guard = runtime.enter();
        let mut source = system::Source::install()?;
        let (sender, received) = watch::channel(None);
        let is_awaited = Arc::new(AtomicBool::new(false));
        let is_awaited_too = Arc::clone(&is_awaited);
        let groups = ProcessGroups::default();
        let groups_too = groups.clone();
        // A task of a worker thread, so that a signal arrives while the main thread is blocked.
        runtime.spawn(async move {
            let first = source.next().await;
            if is_awaited_too.load(Ordering::Acquire) {
                sender.send_replace(Some(first));
                source.next_distinct().await;
            }
            groups_too.kill_all();
            exit(first)
        });
        Ok(Self { received, is_awaited, groups })
    }

    /// Returns the process groups that are killed when a signal ends the command at once.
    pub(crate) fn process_groups(&self) -> ProcessGroups {
        self.groups.clone()
    }

    /// Waits for the first signal. From the call on, the caller ends the command in an orderly way.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a signal that has arrived is returned by each later call.
    pub(crate) async fn first(&mut self) -> Signal {
        self.is_awaited.store(true, Ordering::Release);
        match self.received.wait_for(Option::is_some).await.ok().and_then(|signal| *signal) {
            Some(signal) => signal,
            // The task has ended with the runtime, so that no signal can arrive.
            None => std::future::pending().await,
        }
    }
}

#[expect(clippy::exit, reason = "the second signal must not wait for anything")]
fn exit(signal: Signal) -> ! {
    std::process::exit(signal.exit_code().into())
}

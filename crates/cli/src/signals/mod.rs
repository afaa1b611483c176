//! Signals that end the command.
//!
//! The first signal ends a wait, also one that has not begun yet, in an orderly way, with a summary. A second one, or any
//! signal to a command that waits for nothing, ends the process at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io, thread};

use tokio::runtime::{Builder, Runtime};
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

/// The handlers of the signals, which no task reads yet.
pub(crate) struct Handlers(system::Source);

impl Handlers {
    /// Installs the handlers.
    ///
    /// Until then the default action applies. As process 1 of a container there is none: signals
    /// without a handler are ignored there.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses a handler, or the descriptors for one.
    pub(crate) fn install() -> io::Result<Self> {
        // Tokio drops a signal that comes between the installation of its handler and the registration of its stream. It
        // needs a driver to do so, and none runs here: such a signal waits until the runtime of the command starts.
        let idle = Builder::new_current_thread().enable_io().build()?;
        let _guard = idle.enter();
        system::Source::install().map(Self)
    }
}

/// Receives the signals of the process.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    received: watch::Receiver<Option<Signal>>,
    state: Arc<Mutex<State>>,
    groups: ProcessGroups,
}

/// What a signal does.
#[derive(Debug)]
struct State {
    stage: Stage,
    /// The first signal, if it has arrived.
    first: Option<Signal>,
    sender: watch::Sender<Option<Signal>>,
}

/// A stage of the command, which decides what the first signal does.
enum Stage {
    /// The arguments are not parsed yet. A signal has its effect at the next stage.
    Starting,
    /// A signal ends the process at once.
    Unattended,
    /// The command prepares a wait, which may block. A signal calls the function, which writes the summary, and ends the
    /// process.
    Preparing(Box<dyn FnOnce(Signal) + Send>),
    /// The caller of [`Signals::first`] ends the command.
    Attended,
}

impl Signals {
    /// Reads the signals of the handlers in a task of the runtime, also those that have arrived before.
    pub(crate) fn start(handlers: Handlers, runtime: &Runtime) -> Self {
        let (sender, received) = watch::channel(None);
        let state = State { stage: Stage::Starting, first: None, sender };
        let state = Arc::new(Mutex::new(state));
        let groups = ProcessGroups::default();
        let signals = Self { received, state, groups };
        let task_signals = signals.clone();
        let Handlers(mut source) = handlers;
        // A task of a worker thread, so that a signal arrives while the main thread is blocked.
        runtime.spawn(async move {
            let first = source.next().await;
            task_signals.receive(first);
            source.next_distinct().await;
            task_signals.groups.kill_all();
            exit(first)
        });
        signals
    }

    /// Returns the process groups that are killed when a signal ends the command at once.
    pub(crate) fn process_groups(&self) -> ProcessGroups {
        self.groups.clone()
    }

    /// From now on a signal calls `summarize`, and ends the process.
    pub(crate) fn prepare(&self, summarize: impl FnOnce(Signal) + Send + 'static) {
        self.enter(Stage::Preparing(Box::new(summarize)));
    }

    /// From now on a signal ends the process at once.
    pub(crate) fn leave_unattended(&self) {
        self.enter(Stage::Unattended);
    }

    /// From now on the command ends in an orderly way after a signal, which [`first`](Self::first) returns.
    pub(crate) fn attend(&self) {
        self.enter(Stage::Attended);
    }

    /// Waits for the first signal. From the call on, the caller ends the command in an orderly way.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a signal that has arrived is returned by each later call.
    pub(crate) async fn first(&mut self) -> Signal {
        self.attend();
        match self.received.wait_for(Option::is_some).await.ok().and_then(|signal| *signal) {
            Some(signal) => signal,
            // The task has ended with the runtime, so that no signal can arrive.
            None => std::future::pending().await,
        }
    }

    fn enter(&self, stage: Stage) {
        let mut state = self.lock();
        if !matches!((&state.stage, &stage), (Stage::Attended, Stage::Attended)) {
            state.stage = stage;
            state.act(&self.groups);
        }
    }

    /// Takes note of the first signal.
    fn receive(&self, signal: Signal) {
        let signals = self.clone();
        let act = move || {
            let mut state = signals.lock();
            state.first = Some(signal);
            state.act(&signals.groups);
        };
        // A thread, because a summary may block. The task that calls this waits for the second signal then.
        let thread = thread::Builder::new().name("cfw-wait-signal".to_owned());
        if thread.spawn(act.clone()).is_err() {
            act();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives the first signal, if it has arrived, the effect that it has at this stage.
    ///
    /// The lock is held until the process has ended, so that the command does not begin its wait, of which the summary would
    /// not tell.
    fn act(&mut self, groups: &ProcessGroups) {
        let Some(signal) = self.first else { return };
        match std::mem::replace(&mut self.stage, Stage::Unattended) {
            Stage::Starting => self.stage = Stage::Starting,
            Stage::Attended => {
                self.stage = Stage::Attended;
                self.sender.send_replace(Some(signal));
            }
            Stage::Preparing(summarize) => {
                summarize(signal);
                exit(signal);
            }
            Stage::Unattended => {
                groups.kill_all();
                exit(signal);
            }
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "Starting",
            Self::Unattended => "Unattended",
            Self::Preparing(_) => "Preparing",
            Self::Attended => "Attended",
        })
    }
}

#[expect(clippy::exit, reason = "nothing that is under way is waited for")]
fn exit(signal: Signal) -> ! {
    std::process::exit(signal.exit_code().into())
}

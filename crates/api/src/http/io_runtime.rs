//! The runtime on which connections are read and written.
//!
//! hyper reads a connection for as long as there is something to read, up to about 50 MiB at a time: with a flood of
//! interim (1xx) answers some 0.8 s in an optimised build, and 20 s without optimisation. Nothing else runs on that
//! thread meanwhile. reqwest lets no caller wrap a connection nor see interim answers, so nothing can be counted, and
//! the time limits of requests hold only on another thread.

use std::{
    io,
    sync::{OnceLock, mpsc},
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// Linux shows 15 characters.
const THREAD_NAME: &str = "cfw-api-io";

/// Where connections run.
#[derive(Debug)]
pub(crate) enum IoRuntime {
    /// On a thread of the client, which its first request starts. On the caller's runtime if that fails.
    Own(OnceLock<Option<IoThread>>),
    /// On a runtime of the application.
    Given(Handle),
    /// Each on the runtime of the request that opens it.
    Caller,
}

impl IoRuntime {
    /// Returns a runtime on a thread of its own, which is not started yet.
    pub(crate) fn own() -> Self {
        Self::Own(OnceLock::new())
    }

    /// Returns the runtime of the connections, or `None` for the caller's. Starts the thread if necessary.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        match self {
            Self::Own(thread) => thread.get_or_init(start).as_ref().map(|thread| &thread.handle),
            Self::Given(handle) => Some(handle),
            Self::Caller => None,
        }
    }
}

fn start() -> Option<IoThread> {
    match IoThread::start() {
        Ok(thread) => Some(thread),
        // No file descriptor or no thread is left.
        Err(error) => {
            tracing::debug!(%error, "connections have no thread of their own");
            None
        }
    }
}

/// A thread with a runtime. It ends after this is dropped, and does not hold up the drop.
#[derive(Debug)]
pub(crate) struct IoThread {
    handle: Handle,
    /// Dropped, it ends the thread.
    _running: oneshot::Sender<()>,
}

impl IoThread {
    fn start() -> io::Result<Self> {
        let (running, stopped) = oneshot::channel();
        let (sender, started) = mpsc::channel();
        // The runtime is built on the new thread, because an async context must not drop one, and because Tokio may
        // panic without file descriptors. Then the sender is dropped unused.
        thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
            let built = Builder::new_current_thread().enable_all().build();
            let handle = built.as_ref().map(|runtime| runtime.handle().clone());
            let _ = sender.send(handle.map_err(|error| error.kind().into()));
            if let Ok(runtime) = built {
                // An error: the sender is dropped, never used.
                let _ = runtime.block_on(stopped);
                // A look-up of a name can take long. Nothing waits for it any more.
                runtime.shutdown_background();
            }
        })?;
        let handle = started.recv().unwrap_or_else(|error| Err(io::Error::other(error)))?;
        Ok(Self { handle, _running: running })
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn the_thread_ends_with_its_owner() {
        let io_runtime = IoRuntime::own();
        let handle = io_runtime.handle().unwrap().clone();
        let task = handle.spawn(async { thread::current().name().map(str::to_owned) });
        assert_eq!(task.await.unwrap().as_deref(), Some(THREAD_NAME));
        let unfinished = handle.spawn(pending::<()>());
        drop(io_runtime);
        assert!(unfinished.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn one_thread_serves_all_requests() {
        let io_runtime = IoRuntime::own();
        let ids = [(); 2].map(|()| io_runtime.handle().unwrap().id());
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], Handle::current().id());
    }

    #[tokio::test]
    async fn a_runtime_of_the_application_is_used_as_it_is() {
        let given = IoRuntime::Given(Handle::current());
        assert_eq!(given.handle().map(Handle::id), Some(Handle::current().id()));
        assert!(IoRuntime::Caller.handle().is_none());
    }
}

//! Waiting for callers without a runtime: scripts, tools, plugins.
//!
//! A [`Waiter`] here owns one thread with a runtime, on which everything is driven; its waits block the thread that calls them,
//! which sleeps. Any number of threads can wait at once. Called on a thread of a Tokio runtime they block that thread, as any
//! blocking call does; there use [`crate::Waiter`].
//!
//! ```
//! use cfw_waiter::{JobState, Policy, UpdateKind, blocking, source_fn};
//! use std::time::Duration;
//!
//! let source = source_fn(|_id| async { Ok(JobState::succeeded()) });
//! let policy = Policy::new().first_poll_at_once(true);
//! let waiter = blocking::Waiter::new(cfw_waiter::Waiter::builder(source).policy(policy))?;
//!
//! let report = waiter.wait_for_job("job-1").timeout(Duration::from_secs(900)).wait()?;
//! assert_eq!(report.polls, 1);
//!
//! for update in waiter.watch(["job-2", "job-3"]) {
//!     if let UpdateKind::Ended(outcome) = update.kind {
//!         println!("{}: {}", update.id, outcome.is_ok());
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::{
    Checkpoint, ConfigError, History, JobCheckpoint, JobId, JobOptions, JobSource, JobState,
    JobView, Outcome, Policy, Progress, Stats, Update, WaiterBuilder, WatchHandle,
};

/// The thread on which everything is driven. It ends with the last waiter, wait and watch that needs it.
struct Background {
    handle: Handle,
    thread: ThreadId,
    _ends: oneshot::Sender<()>,
}

impl Background {
    fn start() -> Result<Self, ConfigError> {
        let problem = |error| ConfigError::new("runtime", format!("cannot be started: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(problem)?;
        let handle = runtime.handle().clone();
        let (ends, ended) = oneshot::channel();
        let run = move || drop(runtime.block_on(ended));
        let thread =
            thread::Builder::new().name("cfw-waiter".into()).spawn(run).map_err(problem)?;
        Ok(Self { handle, thread: thread.thread().id(), _ends: ends })
    }

    /// Panics on the thread that a wait would wait for.
    fn assert_elsewhere(&self) {
        let is_elsewhere = thread::current().id() != self.thread;
        assert!(is_elsewhere, "a blocking wait in a source of its own waiter never ends");
    }
}

/// A waiter whose waits block: see [the module](self). Clones are the same waiter.
#[derive(Clone)]
pub struct Waiter {
    waiter: crate::Waiter,
    background: Arc<Background>,
}

impl Waiter {
    /// Makes a waiter, and starts its thread. A runtime that the builder names is not used.
    ///
    /// # Errors
    ///
    /// As [`WaiterBuilder::build`], and if no thread can be started.
    pub fn new<S: JobSource>(builder: WaiterBuilder<S>) -> Result<Self, ConfigError> {
        let background = Background::start()?;
        let waiter = builder.runtime(background.handle.clone()).build()?;
        Ok(Self { waiter, background: Arc::new(background) })
    }

    /// Makes a wait for one job: see [`crate::Waiter::wait_for_job`].
    pub fn wait_for_job(&self, id: impl Into<JobId>) -> Wait {
        let background = Arc::clone(&self.background);
        Wait { wait: self.waiter.wait_for_job(id), background }
    }

    /// Watches many jobs, as an iterator: see [`crate::Waiter::watch`].
    pub fn watch<I>(&self, ids: I) -> Watch
    where
        I: IntoIterator,
        I::Item: Into<JobId>,
    {
        self.wrap(self.waiter.watch(ids))
    }

    /// Goes on with the jobs of a checkpoint: see [`crate::Waiter::resume`].
    pub fn resume(&self, checkpoint: &Checkpoint) -> Watch {
        self.wrap(self.waiter.resume(checkpoint))
    }

    /// Goes on with one job of a checkpoint: see [`crate::Waiter::resume_job`].
    pub fn resume_job(&self, job: &JobCheckpoint) -> Wait {
        let background = Arc::clone(&self.background);
        Wait { wait: self.waiter.resume_job(job), background }
    }

    /// Takes a state that is known from elsewhere: see [`crate::Waiter::tell`].
    pub fn tell(&self, id: impl AsRef<str>, state: JobState) -> bool {
        self.waiter.tell(id, state)
    }

    /// Brings the next poll of a job forward: see [`crate::Waiter::poke`].
    pub fn poke(&self, id: impl AsRef<str>) -> bool {
        self.waiter.poke(id)
    }

    /// Returns what this waiter has done so far.
    pub fn stats(&self) -> Stats {
        self.waiter.stats()
    }

    /// Takes what schedules that learn have learnt since it was taken last: see [`crate::Waiter::take_learned`].
    pub fn take_learned(&self) -> History {
        self.waiter.take_learned()
    }

    fn wrap(&self, watch: crate::Watch) -> Watch {
        Watch { watch, background: Arc::clone(&self.background) }
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.waiter.fmt(f)
    }
}

/// A wait for one job. It begins with [`wait`](Self::wait) or [`wait_at_most`](Self::wait_at_most).
#[must_use = "a wait does nothing unless it is waited for"]
pub struct Wait {
    wait: crate::Wait,
    // Dropped after the wait, whose driver it is.
    background: Arc<Background>,
}

impl Wait {
    /// Sets how long the wait may take: see [`crate::Wait::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait = self.wait.timeout(timeout);
        self
    }

    /// Sets how the wait is judged: see [`crate::Wait::policy`].
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.wait = self.wait.policy(policy);
        self
    }

    /// Sets how old the job is: see [`crate::Wait::since`].
    pub fn since(mut self, age: Duration) -> Self {
        self.wait = self.wait.since(age);
        self
    }

    /// Sets the kind of the job: see [`crate::Wait::kind`].
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.wait = self.wait.kind(kind);
        self
    }

    /// Returns the id of the job.
    pub fn id(&self) -> &JobId {
        self.wait.id()
    }

    /// Blocks until the job has ended, or the wait has: at its deadline at the latest.
    ///
    /// # Errors
    ///
    /// As [`crate::Wait`], whose output this is.
    ///
    /// # Panics
    ///
    /// If a source calls it for its own waiter: the wait would never end.
    pub fn wait(self) -> Outcome {
        self.background.assert_elsewhere();
        block_on(self.wait)
    }

    /// Blocks until the wait has ended, but no longer than a limit. The wait itself goes on after that.
    ///
    /// # Errors
    ///
    /// The wait, if it has not ended. Dropping it ends it.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_at_most(mut self, limit: Duration) -> Result<Outcome, Self> {
        self.background.assert_elsewhere();
        block_on_at_most(&mut self.wait, limit).ok_or(self)
    }

    /// Returns what another process needs to go on: see [`crate::Wait::checkpoint`].
    pub fn checkpoint(&self) -> Checkpoint {
        self.wait.checkpoint()
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wait.fmt(f)
    }
}

/// Many jobs as an iterator of [`Update`]s, which blocks until there is one: see [`crate::Watch`].
///
/// It ends after the last end, unless a [`handle`](Self::handle) lives that could add more.
#[must_use = "a watch does nothing unless it is iterated over"]
pub struct Watch {
    watch: crate::Watch,
    // Dropped after the watch, whose driver it is.
    background: Arc<Background>,
}

impl Watch {
    /// Sets how long each job may be waited for: see [`crate::Watch::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.watch = self.watch.timeout(timeout);
        self
    }

    /// Sets how the jobs are judged: see [`crate::Watch::policy`].
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.watch = self.watch.policy(policy);
        self
    }

    /// Sets the kind of the jobs: see [`crate::Watch::kind`].
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.watch = self.watch.kind(kind);
        self
    }

    /// Blocks until there is an update, but no longer than a limit: none if there was none by then, or the watch is at its
    /// end, which [`progress`](Self::progress) tells apart.
    ///
    /// # Panics
    ///
    /// As [`Wait::wait`].
    pub fn next_at_most(&mut self, limit: Duration) -> Option<Update> {
        self.background.assert_elsewhere();
        block_on_at_most(pin!(self.watch.next()), limit).flatten()
    }

    /// Adds a job: see [`crate::Watch::add`].
    pub fn add(&self, id: impl Into<JobId>) -> bool {
        self.watch.add(id)
    }

    /// Adds a job with options of its own: see [`crate::Watch::add_with`].
    pub fn add_with(&self, id: impl Into<JobId>, options: impl Into<JobOptions>) -> bool {
        self.watch.add_with(id, options)
    }

    /// Removes a job: see [`crate::Watch::remove`].
    pub fn remove(&self, id: impl AsRef<str>) -> bool {
        self.watch.remove(id)
    }

    /// Returns a handle to add and remove jobs from other threads: see [`crate::Watch::handle`].
    pub fn handle(&self) -> WatchHandle {
        self.watch.handle()
    }

    /// Returns how each job stands: see [`crate::Watch::jobs`].
    pub fn jobs(&self) -> Vec<JobView> {
        self.watch.jobs()
    }

    /// Returns how one job stands: see [`crate::Watch::job`].
    pub fn job(&self, id: impl AsRef<str>) -> Option<JobView> {
        self.watch.job(id)
    }

    /// Returns how many jobs are where.
    pub fn progress(&self) -> Progress {
        self.watch.progress()
    }

    /// Returns what another process needs to go on: see [`crate::Watch::checkpoint`].
    pub fn checkpoint(&self) -> Checkpoint {
        self.watch.checkpoint()
    }
}

impl Iterator for Watch {
    type Item = Update;

    /// Blocks until there is an update. Panics if a source calls it for its own waiter.
    fn next(&mut self) -> Option<Update> {
        self.background.assert_elsewhere();
        block_on(pin!(self.watch.next()))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.watch.fmt(f)
    }
}

/// Wakes a thread that sleeps in `park`.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future + Unpin>(future: F) -> F::Output {
    poll_until(future, || {
        thread::park();
        true
    })
    .expect("it goes on until the future is ready")
}

#[expect(clippy::disallowed_methods, reason = "how long a thread sleeps is a matter of real time")]
fn block_on_at_most<F: Future + Unpin>(future: F, limit: Duration) -> Option<F::Output> {
    let start = Instant::now();
    poll_until(future, || {
        let left = limit.saturating_sub(start.elapsed());
        thread::park_timeout(left);
        !left.is_zero()
    })
}

/// Polls a future until it is ready, or `sleep` returns false after it was polled.
fn poll_until<F: Future + Unpin>(
    mut future: F,
    mut sleep: impl FnMut() -> bool,
) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
            return Some(output);
        }
        if !sleep() {
            return None;
        }
    }
}

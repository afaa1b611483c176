//! Many jobs as one stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tracing::{Span, debug, debug_span};

use crate::board::{WaitOptions, WatchKey};
use crate::driver::shared::Shared;
use crate::{JobId, JobReport, JobView, Outcome, Policy, Progress, Update, UpdateKind, WaitError};

/// Watches many jobs: see [`Waiter::watch`](crate::Waiter::watch).
///
/// A stream of [`Update`]s: for each job its changes of status in order, trouble when its answers turn bad,
/// then exactly one end. Items are not `Result`s, since one job's trouble is not another's. The stream ends
/// after the last end, unless a [`WatchHandle`] lives that could add more.
///
/// A consumer that keeps up hears every change that was observed. One that lags delays no poll, and finds
/// for each job at most one change (from the status it heard last to the newest one), at most one trouble,
/// and always the end.
///
/// # Cancel safety
///
/// [`next`](Self::next) loses nothing when it is dropped. Dropping the watch ends the waits: no further
/// request is made for them, and those in flight for them alone are aborted.
///
/// ```
/// use cfw_waiter::{JobState, UpdateKind, Waiter, source_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let waiter = Waiter::new(source_fn(|_id| async { Ok(JobState::succeeded()) }));
/// let mut watch = waiter.watch(["job-1", "job-2"]);
/// while let Some(update) = watch.next().await {
///     match update.kind {
///         UpdateKind::Changed { from, to } => println!("{}: {from:?} -> {}", update.id, to.status),
///         UpdateKind::Trouble(error) => println!("{}: {error}", update.id),
///         UpdateKind::Ended(outcome) => println!("{}: ended, {}", update.id, outcome.is_ok()),
///         _ => {}
///     }
/// }
/// assert_eq!(watch.progress().succeeded, 2);
/// # }
/// ```
#[must_use = "a watch does nothing unless it is polled"]
pub struct Watch {
    shared: Arc<Shared>,
    key: WatchKey,
    /// What the watch starts with, at its first poll.
    options: Option<WaitOptions>,
    span: Span,
}

impl Watch {
    pub(crate) fn new(
        shared: Arc<Shared>,
        ids: impl Iterator<Item = JobId>,
        options: WaitOptions,
    ) -> Self {
        let ids: Vec<JobId> = ids.collect();
        let key = shared.open(ids);
        Self { shared, key, options: Some(options), span: Span::none() }
    }

    /// Sets how long each job may be waited for, from the first poll of the watch on, or from when it is added
    /// later. After the first poll this changes nothing.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Some(options) = &mut self.options {
            options.timeout = timeout;
        }
        self
    }

    /// Sets how the jobs are judged, their timeout included. After the first poll this changes nothing.
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        if let Some(options) = &mut self.options {
            options.policy = policy.into();
            options.timeout = options.policy.timeout;
        }
        self
    }

    /// The next update; none when all jobs have ended and no handle is left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Update> {
        std::future::poll_fn(|cx| self.poll_update(cx)).await
    }

    /// Adds a job, whose clock starts at once if the watch has been polled already.
    ///
    /// False, and nothing changes, if the watch waits for the job already. One that has ended starts afresh, and
    /// has an end of its own. After the stream has ended, adding makes it go on.
    pub fn add(&self, id: impl Into<JobId>) -> bool {
        self.shared.add(self.key, id.into())
    }

    /// Removes a job, which is told as its end, [`Removed`](crate::WaitErrorKind::Removed).
    ///
    /// False, and nothing changes, if the watch does not hold the job or it has ended. A job removed before the
    /// first poll is told nowhere: its wait had not begun.
    pub fn remove(&self, id: impl AsRef<str>) -> bool {
        self.shared.remove(self.key, id.as_ref())
    }

    /// A handle to add and remove jobs from elsewhere. The stream stays open while one lives.
    pub fn handle(&self) -> WatchHandle {
        WatchHandle::new(Arc::clone(&self.shared), self.key)
    }

    /// How each job stands that has not ended, in the order in which they were added: a snapshot, made anew.
    pub fn jobs(&self) -> Vec<JobView> {
        let now = self.shared.now();
        self.shared.with(|core| core.board.jobs(now, self.key))
    }

    /// How many jobs are where: a snapshot that costs nothing.
    pub fn progress(&self) -> Progress {
        self.shared.with(|core| core.board.progress(self.key))
    }

    /// Waits for all jobs, and tells how each ended, in the order in which they did.
    pub async fn all(mut self) -> Vec<(JobId, Outcome)> {
        let mut outcomes = Vec::new();
        while let Some((id, outcome)) = self.next_end().await {
            outcomes.push((id, outcome));
        }
        outcomes
    }

    /// Waits for all jobs to succeed, or for the first that does not; the others are watched no further then.
    ///
    /// # Errors
    ///
    /// How the first job ended that did not succeed.
    pub async fn all_or_first_failure(mut self) -> Result<Vec<JobReport>, WaitError> {
        let mut reports = Vec::new();
        while let Some((_, outcome)) = self.next_end().await {
            reports.push(outcome?);
        }
        Ok(reports)
    }

    /// Waits for the first job that succeeds; the others are watched no further then.
    ///
    /// # Errors
    ///
    /// How all jobs ended, if none succeeded; empty if there were none.
    pub async fn first_success(mut self) -> Result<JobReport, Vec<WaitError>> {
        let mut errors = Vec::new();
        while let Some((_, outcome)) = self.next_end().await {
            match outcome {
                Ok(report) => return Ok(report),
                Err(error) => errors.push(error),
            }
        }
        Err(errors)
    }

    async fn next_end(&mut self) -> Option<(JobId, Outcome)> {
        loop {
            let Update { id, kind, .. } = self.next().await?;
            if let UpdateKind::Ended(outcome) = kind {
                return Some((id, outcome));
            }
        }
    }

    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        if let Some(options) = self.options.take() {
            self.span = debug_span!("watch", jobs = self.progress().live());
            self.shared.start(self.key, options);
        }
        let update = self.shared.next_update(self.key, cx.waker());
        if let Poll::Ready(Some(Update { id, kind: UpdateKind::Ended(outcome), .. })) = &update {
            let _entered = self.span.enter();
            match outcome {
                Ok(report) => debug!(job = %id, polls = report.polls, "job succeeded"),
                Err(error) => debug!(job = %id, %error, "wait ended without success"),
            }
        }
        update
    }
}

impl Stream for Watch {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.poll_update(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.close(self.key);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

/// Adds jobs to a [`Watch`] and removes them, from anywhere. The stream stays open while a handle lives.
pub struct WatchHandle {
    shared: Arc<Shared>,
    key: WatchKey,
}

impl WatchHandle {
    fn new(shared: Arc<Shared>, key: WatchKey) -> Self {
        shared.with(|core| core.board.acquire_handle(key));
        Self { shared, key }
    }

    /// Adds a job: see [`Watch::add`]. False, too, if the watch has been dropped.
    pub fn add(&self, id: impl Into<JobId>) -> bool {
        self.shared.add(self.key, id.into())
    }

    /// Removes a job: see [`Watch::remove`].
    pub fn remove(&self, id: impl AsRef<str>) -> bool {
        self.shared.remove(self.key, id.as_ref())
    }

    /// How many jobs are where: see [`Watch::progress`].
    pub fn progress(&self) -> Progress {
        self.shared.with(|core| core.board.progress(self.key))
    }
}

impl Clone for WatchHandle {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared), self.key)
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.shared.change(|board, _| board.release_handle(self.key));
    }
}

impl fmt::Debug for WatchHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchHandle").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

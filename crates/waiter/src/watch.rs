//! Many jobs as one stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::{FusedStream, Stream};

use crate::board::{Pending, WaitOptions, WatchKey};
use crate::driver::shared::Shared;
use crate::spans::{SpanLevel, WaitSpan};
use crate::{
    Checkpoint, JobId, JobOptions, JobReport, JobView, Outcome, Policy, Progress, Update,
    UpdateKind, WaitError, WaitErrorKind,
};

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
    is_started: bool,
    /// Whether the last poll found the stream at its end.
    is_terminated: bool,
    span_level: SpanLevel,
    span: WaitSpan,
}

impl Watch {
    pub(crate) fn new(
        shared: Arc<Shared>,
        ids: impl Iterator<Item = JobId>,
        options: WaitOptions,
    ) -> Self {
        // Before the lock is taken: it may be a crowd, and the iterator is user code.
        let pending: Pending = ids.collect();
        let key = shared.open(pending, options);
        let (span_level, span) = (SpanLevel::default(), WaitSpan::default());
        Self { shared, key, is_started: false, is_terminated: false, span_level, span }
    }

    pub(crate) fn span_level(mut self, level: SpanLevel) -> Self {
        self.span_level = level;
        self
    }

    /// Sets how long each job may be waited for, from the first poll of the watch on, or from when it is added
    /// later, whatever the watch's policy says. After the first poll this changes nothing.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set_options(|options| options.timeout = Some(timeout));
        self
    }

    /// Sets how the jobs are judged. Its timeout counts unless [`timeout`](Self::timeout) sets another. After the first
    /// poll this changes nothing.
    pub fn policy(self, policy: impl Into<Arc<Policy>>) -> Self {
        let mut policy = policy.into();
        self.set_options(|options| std::mem::swap(&mut options.policy, &mut policy));
        self
    }

    /// Sets the kind of the jobs that have none of their own: see [`Wait::kind`](crate::Wait::kind). After the first poll this
    /// changes nothing.
    pub fn kind(self, kind: impl Into<Arc<str>>) -> Self {
        let mut kind = Some(kind.into());
        self.set_options(|options| std::mem::swap(&mut options.kind, &mut kind));
        self
    }

    fn set_options(&self, change: impl FnOnce(&mut WaitOptions)) {
        self.shared.with(|core| core.board.set_options(self.key, change));
    }

    /// Returns the next update; none when all jobs have ended and no handle is left.
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
        self.shared.add(self.key, id.into(), None)
    }

    /// Adds a job with options of its own, or with a policy of its own, its timeout included: see [`add`](Self::add).
    pub fn add_with(&self, id: impl Into<JobId>, options: impl Into<JobOptions>) -> bool {
        self.shared.add(self.key, id.into(), Some(options.into()))
    }

    /// Removes a job, which is reported as its end, [`Removed`](WaitErrorKind::Removed).
    ///
    /// False, and nothing changes, if the watch does not hold the job or it has ended. A job removed before the
    /// first poll is not reported: its wait had not begun.
    pub fn remove(&self, id: impl AsRef<str>) -> bool {
        self.shared.remove(self.key, id.as_ref())
    }

    /// Returns a handle to add and remove jobs from elsewhere. The stream stays open while one lives.
    ///
    /// Jobs that it adds are driven on the runtime on which the watch is polled.
    pub fn handle(&self) -> WatchHandle {
        WatchHandle::new(Arc::clone(&self.shared), self.key)
    }

    /// Returns how each job stands that has not ended, in the order in which they were added: a snapshot, made anew.
    ///
    /// Jobs of a watch that has not been polled yet are included. Of many jobs the snapshot is taken in parts, between which
    /// some may change.
    pub fn jobs(&self) -> Vec<JobView> {
        self.shared.jobs(self.key)
    }

    /// Returns how one job stands; none if the watch does not hold it or it has ended.
    pub fn job(&self, id: impl AsRef<str>) -> Option<JobView> {
        self.shared.job(self.key, id.as_ref())
    }

    /// Returns what another process needs to go on with the jobs that have not ended, by
    /// [`Waiter::resume`](crate::Waiter::resume).
    ///
    /// What was not reported yet by [`next`](Self::next), an end or a change of status, is reported by the next process, which
    /// finds it with its first poll. Write a checkpoint after each update that you have dealt with. Of many jobs it is taken in
    /// parts, between which some may change.
    ///
    /// Each process adds to its [`History`](crate::History) what it has seen of a job: that it ran at least as long, if its
    /// waits are dropped before the end, or its duration. A job whose begin the source tells counts once.
    pub fn checkpoint(&self) -> Checkpoint {
        self.shared.checkpoint(self.key)
    }

    /// Returns how many jobs are where: a snapshot that costs nothing.
    pub fn progress(&self) -> Progress {
        self.shared.with(|core| core.board.progress(self.key))
    }

    /// Waits for all jobs. Returns how each ended, in the order in which they did.
    pub async fn all(mut self) -> Vec<(JobId, Outcome)> {
        let mut outcomes = Vec::new();
        while let Some((id, outcome)) = self.next_end().await {
            outcomes.push((id, outcome));
        }
        outcomes
    }

    /// Waits for all jobs to succeed, or for the first that does not; the others are watched no further then. Removed jobs
    /// do not count.
    ///
    /// # Errors
    ///
    /// How the first job ended that did not succeed.
    pub async fn all_or_first_failure(mut self) -> Result<Vec<JobReport>, WaitError> {
        let mut reports = Vec::new();
        while let Some((_, outcome)) = self.next_end().await {
            match outcome {
                Err(error) if error.kind() == WaitErrorKind::Removed => {}
                outcome => reports.push(outcome?),
            }
        }
        Ok(reports)
    }

    /// Waits for the first job that succeeds; the others are watched no further then.
    ///
    /// # Errors
    ///
    /// How all jobs ended, if none succeeded; empty if there were none. Removed jobs do not count.
    pub async fn first_success(mut self) -> Result<JobReport, Vec<WaitError>> {
        let mut errors = Vec::new();
        while let Some((_, outcome)) = self.next_end().await {
            match outcome {
                Ok(report) => return Ok(report),
                Err(error) if error.kind() == WaitErrorKind::Removed => {}
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
        if !self.is_started {
            self.is_started = true;
            let jobs = self.progress().live();
            self.span = WaitSpan::of_watch(self.span_level, jobs);
            self.shared.start(self.key, &self.span);
        }
        let update = self.shared.next_update(self.key, cx.waker());
        self.is_terminated = matches!(update, Poll::Ready(None));
        if let Poll::Ready(Some(Update { id, kind: UpdateKind::Ended(outcome), .. })) = &update {
            self.span.log_end(id, outcome);
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

/// Terminated once it has returned `None`. Adding a job makes it go on.
impl FusedStream for Watch {
    fn is_terminated(&self) -> bool {
        self.is_terminated && self.progress().live() == 0
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.span.is_enabled() {
            self.span.record_progress(self.progress());
        }
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
        self.shared.add(self.key, id.into(), None)
    }

    /// Adds a job with options of its own: see [`Watch::add_with`].
    pub fn add_with(&self, id: impl Into<JobId>, options: impl Into<JobOptions>) -> bool {
        self.shared.add(self.key, id.into(), Some(options.into()))
    }

    /// Removes a job: see [`Watch::remove`].
    pub fn remove(&self, id: impl AsRef<str>) -> bool {
        self.shared.remove(self.key, id.as_ref())
    }

    /// Returns how each job stands: see [`Watch::jobs`].
    pub fn jobs(&self) -> Vec<JobView> {
        self.shared.jobs(self.key)
    }

    /// Returns how one job stands: see [`Watch::job`].
    pub fn job(&self, id: impl AsRef<str>) -> Option<JobView> {
        self.shared.job(self.key, id.as_ref())
    }

    /// Returns how many jobs are where: see [`Watch::progress`].
    pub fn progress(&self) -> Progress {
        self.shared.with(|core| core.board.progress(self.key))
    }

    /// Returns whether the watch has been dropped.
    pub fn is_closed(&self) -> bool {
        self.shared.with(|core| core.board.is_closed(self.key))
    }
}

impl Clone for WatchHandle {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared), self.key)
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.shared.change(|core, _| core.board.release_handle(self.key));
    }
}

impl fmt::Debug for WatchHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchHandle").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

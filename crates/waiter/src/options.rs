//! How one job of a watch is waited for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::board::Time;
use crate::{Phase, Policy};

/// Options for one job of a watch: see [`Watch::add_with`](crate::Watch::add_with).
///
/// What is not set is that of the watch. A policy converts into options.
///
/// ```
/// use cfw_waiter::{JobOptions, JobState, Waiter, source_fn};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let waiter = Waiter::new(source_fn(|_id| async { Ok(JobState::succeeded()) }));
/// let watch = waiter.watch(["job-1"]);
/// // Created 90 seconds ago by another process.
/// watch.add_with("job-2", JobOptions::new().since(Duration::from_secs(90)));
/// assert_eq!(watch.all().await.len(), 2);
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobOptions {
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) since: Duration,
    pub(crate) kind: Option<Arc<str>>,
    pub(crate) resumed: Option<Arc<Resumed>>,
}

/// What an earlier wait knew of a job, which another wait resumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// When the options became those of a wait: the time until its first poll counts. None counts from that poll.
    pub(crate) at: Option<Time>,
    /// The times of the checkpoint, so that the next one has the same.
    pub(crate) times: Option<WallTimes>,
    /// How long the job had been waited for when the wait resumed, the time in which nothing waited included.
    pub(crate) elapsed: Duration,
    /// How long it could be waited for in all.
    pub(crate) limit: Duration,
    pub(crate) polls: u32,
    /// The last status, and what the source made of it.
    pub(crate) status: Option<(Phase, Cow<'static, str>)>,
}

/// The times of a checkpoint, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WallTimes {
    pub(crate) created: SystemTime,
    pub(crate) started: SystemTime,
    pub(crate) deadline: SystemTime,
}

impl JobOptions {
    /// Lets the time of a resumed wait run from now on, though its watch may start later.
    pub(crate) fn resume_at(&mut self, now: Time) {
        if let Some(resumed) = &mut self.resumed {
            Arc::make_mut(resumed).at.get_or_insert(now);
        }
    }

    /// Makes options of which none is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how the wait is judged. The policy's timeout replaces that of the watch too, unless
    /// [`timeout`](Self::timeout) sets another.
    #[must_use]
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Sets how long the job may be waited for, from when its wait begins.
    ///
    /// Zero ends the wait at once without a request; [`Duration::MAX`] means no deadline, in effect.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how old the job is when its wait begins: see [`Wait::since`](crate::Wait::since). Default: zero.
    #[must_use]
    pub fn since(mut self, age: Duration) -> Self {
        self.since = age;
        self
    }

    /// Sets the kind of the job: see [`Wait::kind`](crate::Wait::kind).
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.kind = Some(kind.into());
        self
    }
}

impl From<Policy> for JobOptions {
    fn from(policy: Policy) -> Self {
        Self::new().policy(policy)
    }
}

impl From<Arc<Policy>> for JobOptions {
    fn from(policy: Arc<Policy>) -> Self {
        Self::new().policy(policy)
    }
}

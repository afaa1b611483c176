//! Where the state of a job comes from: one trait, and how often it may be asked.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::{ConfigError, JobId, JobState, SourceError};

/// Fetches the state of one job: all that the waiter needs to know of a service.
///
/// Implement it for any job endpoint; `cfw_api::Client` implements it with feature `cfw`. A source
/// must not block, and needs neither retries nor delays of its own: it makes one request and reports
/// what came of it. `Arc<S>` is a source where `S` is, and [`source_fn`] makes one of a
/// closure.
///
/// # Cancel safety
///
/// The waiter drops the future when no wait needs the job any more or the attempt has taken too
/// long, so dropping it at any point must be harmless, as it is for a read.
///
/// ```
/// use cfw_waiter::{Attempt, JobId, JobSource, JobState, SourceError};
///
/// struct AlwaysDone;
///
/// impl JobSource for AlwaysDone {
///     async fn fetch(&self, _id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
///         Ok(JobState::succeeded())
///     }
/// }
/// ```
pub trait JobSource: Send + Sync + 'static {
    /// Asks once for the state of `id`.
    ///
    /// A source whose fetch is one request can ignore `attempt`: the waiter drops a fetch that takes too long.
    fn fetch(
        &self,
        id: &JobId,
        attempt: Attempt,
    ) -> impl Future<Output = Result<JobState, SourceError>> + Send;

    /// Returns how often the service may be asked, if that is known beforehand.
    ///
    /// A quota set on the builder replaces it. The default is none: only the schedules and the
    /// requests in flight bound the rate then.
    fn quota(&self) -> Option<Quota> {
        None
    }

    /// Returns how long a fetch may take if each of its requests may take `attempt_timeout`.
    ///
    /// The waiter asks for it when it is built, for each value to which time-outs may raise the attempt timeout.
    ///
    /// The default is the same: a fetch is one request. A source whose fetch is more than one limits each by
    /// [`Attempt::timeout`] itself, and adds here what lies between them, such as renewing credentials.
    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        attempt_timeout
    }
}

/// What a source may know of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// How long one request may take: the attempt timeout of the waiter, more after time-outs, or less where all waits on the
    /// job end before.
    pub timeout: Duration,
}

impl Attempt {
    /// Makes an attempt, for calling a source without a waiter.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl<S: JobSource> JobSource for Arc<S> {
    fn fetch(
        &self,
        id: &JobId,
        attempt: Attempt,
    ) -> impl Future<Output = Result<JobState, SourceError>> + Send {
        (**self).fetch(id, attempt)
    }

    fn quota(&self) -> Option<Quota> {
        (**self).quota()
    }

    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        (**self).fetch_timeout(attempt_timeout)
    }
}

/// Makes a source of an async closure that takes the id by value.
///
/// ```
/// use cfw_waiter::{JobState, Waiter, source_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), cfw_waiter::WaitError> {
/// let waiter = Waiter::new(source_fn(|_id| async { Ok(JobState::succeeded()) }));
/// waiter.wait_for_job("job-1").await?;
/// # Ok(())
/// # }
/// ```
pub fn source_fn<F, Fut>(fetch: F) -> SourceFn<F>
where
    F: Fn(JobId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<JobState, SourceError>> + Send,
{
    SourceFn(fetch)
}

/// The source made by [`source_fn`].
#[derive(Clone)]
pub struct SourceFn<F>(F);

impl<F> fmt::Debug for SourceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceFn(..)")
    }
}

impl<F, Fut> JobSource for SourceFn<F>
where
    F: Fn(JobId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<JobState, SourceError>> + Send,
{
    fn fetch(
        &self,
        id: &JobId,
        _attempt: Attempt,
    ) -> impl Future<Output = Result<JobState, SourceError>> + Send {
        (self.0)(id.clone())
    }
}

/// How many calls any window of a length may hold.
///
/// ```
/// use cfw_waiter::Quota;
/// use std::time::Duration;
///
/// let quota = Quota::new(200, Duration::from_secs(300))?;
/// assert_eq!(quota.calls().get(), 200);
/// # Ok::<(), cfw_waiter::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    calls: NonZeroU32,
    per: Duration,
    burst: NonZeroU32,
}

impl Quota {
    /// Allows `calls` in any window of length `per`.
    ///
    /// A tenth of the calls (at least one) may come at once; the others are spread evenly.
    ///
    /// # Errors
    ///
    /// If either is zero.
    pub fn new(calls: u32, per: Duration) -> Result<Self, ConfigError> {
        let Some(calls) = NonZeroU32::new(calls) else {
            return Err(ConfigError::new("calls", "0 let no request through"));
        };
        if per.is_zero() {
            return Err(ConfigError::new("per", "0s is no window"));
        }
        let burst = NonZeroU32::new(calls.get() / 10).unwrap_or(NonZeroU32::MIN);
        Ok(Self { calls, per, burst })
    }

    /// Sets how many calls may come at once, between 1 and [`calls`](Self::calls).
    ///
    /// The more at once, the slower the steady pace: the window never holds more than the quota.
    #[must_use]
    pub fn with_burst(mut self, burst: u32) -> Self {
        self.burst = NonZeroU32::new(burst.min(self.calls.get())).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Returns how many calls one window may hold.
    pub fn calls(self) -> NonZeroU32 {
        self.calls
    }

    /// Returns the length of the window.
    pub fn per(self) -> Duration {
        self.per
    }

    /// Returns how many calls may come at once.
    pub fn burst(self) -> NonZeroU32 {
        self.burst
    }
}

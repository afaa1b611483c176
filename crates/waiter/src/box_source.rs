//! A source whose type is erased.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Attempt, JobId, JobSource, JobState, Quota, SourceError};

/// A source whose type is erased, for programs that choose one at run time.
///
/// It costs an allocation for each poll, which a source of a known type does not. Clones share the source.
///
/// ```
/// use cfw_waiter::{BoxSource, ErrorClass, JobState, SourceError, Waiter, source_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), cfw_waiter::WaitError> {
/// let is_rehearsal = true;
/// let source = if is_rehearsal {
///     BoxSource::new(source_fn(|_id| async { Ok(JobState::succeeded()) }))
/// } else {
///     BoxSource::new(source_fn(|_id| async { Err(SourceError::from(ErrorClass::Fatal)) }))
/// };
/// Waiter::new(source).wait_for_job("job-1").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BoxSource(Arc<dyn ErasedSource>);

impl BoxSource {
    /// Erases the type of a source.
    pub fn new(source: impl JobSource) -> Self {
        Self(Arc::new(source))
    }
}

impl fmt::Debug for BoxSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxSource(..)")
    }
}

type BoxFetch<'a> = Pin<Box<dyn Future<Output = Result<JobState, SourceError>> + Send + 'a>>;

/// [`JobSource`] with its future boxed, so that it can be an object.
trait ErasedSource: Send + Sync {
    fn fetch_boxed<'a>(&'a self, id: &'a JobId, attempt: Attempt) -> BoxFetch<'a>;
    fn quota_boxed(&self) -> Option<Quota>;
    fn fetch_timeout_boxed(&self, attempt_timeout: Duration) -> Duration;
}

impl<S: JobSource> ErasedSource for S {
    fn fetch_boxed<'a>(&'a self, id: &'a JobId, attempt: Attempt) -> BoxFetch<'a> {
        Box::pin(self.fetch(id, attempt))
    }

    fn quota_boxed(&self) -> Option<Quota> {
        self.quota()
    }

    fn fetch_timeout_boxed(&self, attempt_timeout: Duration) -> Duration {
        self.fetch_timeout(attempt_timeout)
    }
}

impl JobSource for BoxSource {
    async fn fetch(&self, id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        self.0.fetch_boxed(id, attempt).await
    }

    fn quota(&self) -> Option<Quota> {
        self.0.quota_boxed()
    }

    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        self.0.fetch_timeout_boxed(attempt_timeout)
    }
}

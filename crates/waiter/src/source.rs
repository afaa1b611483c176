//! Where the state of a job comes from: one trait, and the errors it may answer with.

use std::error::Error as StdError;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{ConfigError, JobId, JobState};

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

/// What a failed fetch means for the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// It may work next time: an outage, a time-out, a cut answer, a busy service. With a
    /// `retry_after` the whole source pauses that long.
    Transient {
        /// How long the service asked to pause.
        retry_after: Option<Duration>,
    },
    /// No answer of the service arrived: it could not be connected to, or did not answer in time. This counts as a
    /// transient failure. Where no other answer ever came of the source, a policy can give up:
    /// [`Policy::give_up_unreached`](crate::Policy::give_up_unreached).
    Unreached,
    /// An answer that is not the service's own word: a gateway's or a proxy's, say. This counts as a transient failure until
    /// it has come three times in a row over at least 10 s; then it ends the wait as a fatal error.
    Unexpected {
        /// Whether such an answer is known to pass. One that is not known to is fatal at once, unless the source has told
        /// the state of any job before.
        can_pass: bool,
    },
    /// The service refuses for want of quota: the whole source slows down.
    Throttled {
        /// How long the service asked to pause.
        retry_after: Option<Duration>,
        /// The quota that the refusal names.
        quota: Option<Quota>,
    },
    /// The service does not know the job: perhaps not yet, perhaps no longer.
    NotFound,
    /// No poll of this job can ever succeed: a malformed id, a wrong endpoint.
    Fatal,
    /// The credentials are finally refused: no poll of any job can succeed.
    Refused,
}

impl ErrorClass {
    /// A transient failure without a hint.
    pub const TRANSIENT: Self = Self::Transient { retry_after: None };
    /// A refusal for want of quota without a hint.
    pub const THROTTLED: Self = Self::Throttled { retry_after: None, quota: None };

    /// Returns the class as a word for logs and metrics, in snake case. It never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient { .. } => "transient",
            Self::Throttled { .. } => "throttled",
            Self::Unreached => "unreached",
            Self::Unexpected { .. } => "unexpected",
            Self::NotFound => "not_found",
            Self::Fatal => "fatal",
            Self::Refused => "refused",
        }
    }

    /// Returns the class in words.
    fn description(self) -> &'static str {
        match self {
            Self::Transient { .. } => "transient failure",
            Self::Unreached => "not reached",
            Self::Unexpected { .. } => "unexpected answer",
            Self::Throttled { .. } => "throttled",
            Self::NotFound => "not found",
            Self::Fatal => "fatal error",
            Self::Refused => "credentials refused",
        }
    }

    /// Returns whether it counts as a transient failure.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::Transient { .. } | Self::Unreached | Self::Unexpected { .. })
    }

    pub(crate) fn is_not_found(self) -> bool {
        matches!(self, Self::NotFound)
    }

    /// Returns whether both are of one class, whatever the hints in them say.
    pub(crate) fn same_class(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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
            return Err(ConfigError::new("per", "0ns is no window"));
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

/// Why a fetch failed, with the words of the service.
///
/// `Display` gives the class and the service's words; where those are not known, the error that it wraps. Like
/// `std::io::Error` it speaks for that error, so [`source`](std::error::Error::source) continues below it and a chain that is
/// joined says nothing twice; [`get_ref`](Self::get_ref) returns the wrapped error. Keep secrets out of the cause and the
/// words: people read them.
///
/// ```
/// use cfw_waiter::{ErrorClass, SourceError};
///
/// let error = SourceError::new(ErrorClass::TRANSIENT, "connection reset")
///     .with_code("CFW.00100001", "System busy")
///     .with_request_id("0fb688fc");
/// assert_eq!(error.to_string(), "transient failure: CFW.00100001: System busy (request 0fb688fc)");
/// ```
#[derive(Clone)]
pub struct SourceError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    class: ErrorClass,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl SourceError {
    /// Makes an error of a class, with its cause (a text will do).
    pub fn new(class: ErrorClass, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::with_cause(class, Some(cause.into().into()))
    }

    fn with_cause(class: ErrorClass, cause: Option<Arc<dyn StdError + Send + Sync>>) -> Self {
        Self(Arc::new(Inner { class, cause, code: None, message: None, request_id: None }))
    }

    /// Adds the service's error code and message.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>, message: impl Into<String>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.code = Some(code.into()).filter(|code| !code.is_empty());
        inner.message = Some(message.into()).filter(|message| !message.is_empty());
        self
    }

    /// Adds the id under which the support of the service finds the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).request_id = Some(id.into());
        self
    }

    /// Returns what the failure means for the wait.
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// Returns the service's error code.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the service's error message.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Returns the id of the refused or failed request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the error that was passed to [`new`](Self::new), for a downcast; a placeholder for an error made of its
    /// class alone.
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self.0.cause.as_deref().unwrap_or(&NoCause)
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.class.description())?;
        if self.0.code.is_some() || self.0.message.is_some() {
            for part in [self.code(), self.message()].into_iter().flatten() {
                write!(f, ": {part}")?;
            }
        } else if let Some(cause) = &self.0.cause {
            write!(f, ": {cause}")?;
        }
        match self.request_id() {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceError")
            .field("class", &self.0.class)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("request_id", &self.0.request_id)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl StdError for SourceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // `Display` shows the wrapped error, or the words of the service, which the wrapped error would repeat.
        self.0.cause.as_ref()?.source()
    }
}

/// An error without a cause.
impl From<ErrorClass> for SourceError {
    fn from(class: ErrorClass) -> Self {
        Self::with_cause(class, None)
    }
}

/// Stands for the cause of an error that was made without one.
#[derive(Debug)]
struct NoCause;

impl fmt::Display for NoCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no cause is known")
    }
}

impl StdError for NoCause {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::chain::error_chain;

    #[test]
    fn display_and_sources_of_an_error_say_each_thing_once() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the answer is cut")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let outer = || Outer("x".parse::<u8>().expect_err("no number"));
        let rows = [
            (SourceError::from(ErrorClass::Fatal), "fatal error", "fatal error"),
            (
                SourceError::new(ErrorClass::Fatal, "bad id"),
                "fatal error: bad id",
                "fatal error: bad id",
            ),
            (
                SourceError::new(ErrorClass::TRANSIENT, outer()),
                "transient failure: the answer is cut",
                "transient failure: the answer is cut: invalid digit found in string",
            ),
            (
                SourceError::new(ErrorClass::TRANSIENT, outer()).with_code("A.1", "busy"),
                "transient failure: A.1: busy",
                "transient failure: A.1: busy: invalid digit found in string",
            ),
            (
                SourceError::from(ErrorClass::Refused).with_request_id("r1"),
                "credentials refused (request r1)",
                "credentials refused (request r1)",
            ),
        ];
        for (error, text, chain) in rows {
            assert_eq!(
                (error.to_string(), error_chain(&error)),
                (text.to_owned(), chain.to_owned())
            );
        }
        assert_eq!(SourceError::from(ErrorClass::Fatal).get_ref().to_string(), "no cause is known");
    }
}

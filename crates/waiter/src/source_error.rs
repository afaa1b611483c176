//! The errors that a source may answer with.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Quota;
use crate::util::chain::error_chain;

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
        /// Whether such an answer is known to pass. One that is not known to is fatal at once, unless the source has
        /// reported the state of any job before.
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

/// Why a fetch failed, with the words of the service.
///
/// `Display` gives the class and the service's words; where those are not known, the error that it wraps. Like
/// `std::io::Error` it speaks for that error, so [`source`](std::error::Error::source) continues below it and a chain that is
/// joined says nothing twice; [`get_ref`](Self::get_ref) returns the wrapped error. Keep secrets out of the cause and the
/// words: people read them.
///
/// `{:?}` writes the joined chain, as a `main` that returns the error does, and `{:#?}` the fields.
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
        if !f.alternate() {
            return f.write_str(&error_chain(self));
        }
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
                (error.to_string(), error_chain(&error), format!("{error:?}")),
                (text.to_owned(), chain.to_owned(), chain.to_owned())
            );
            assert!(format!("{error:#?}").starts_with("SourceError {\n    class: "), "{error:#?}");
        }
        assert_eq!(SourceError::from(ErrorClass::Fatal).get_ref().to_string(), "no cause is known");
    }
}

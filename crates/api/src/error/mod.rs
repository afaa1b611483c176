//! The error of a call: its operation, what happened, and what to do about it.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::{FirewallId, JobId};

mod chain;
mod class;
mod config;

pub(crate) use self::chain::fmt_chain;
pub use self::{
    class::{Class, Quota},
    config::ConfigError,
};

/// The longest server text that is kept: of a message, and of each code and id.
pub(crate) const MESSAGE_CHARS: usize = 200;
pub(crate) const CODE_CHARS: usize = 64;

/// Why a call failed.
///
/// [`class`](Self::class) says what to do about it, [`kind`](Self::kind) what happened. The message is for
/// people. It holds no secret, even if the server echoed one, and does not repeat the cause, which is in
/// [`source`](StdError::source). `{:?}` writes the message and its causes, as a `main` that returns the error does, and
/// `{:#?}` the fields. Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    call: String,
    kind: ErrorKind,
    class: Class,
    /// Says what happened in place of the kind.
    summary: Option<String>,
    details: Details,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What an answer says, cleaned of secrets.
#[derive(Clone, Default)]
pub(crate) struct Details {
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) request_id: Option<String>,
}

/// What happened to a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection, or it broke before an answer came: refused, reset, no address for the name, no TLS, a proxy
    /// that refuses.
    Connect,
    /// No complete answer within the time limit.
    Timeout,
    /// The client refused the server's certificate, or the server refused the client's.
    Certificate,
    /// An answer came, but it cannot be used: cut, empty, not JSON, about another job.
    Answer,
    /// The server answered with an error.
    Service,
    /// The server refuses this many requests.
    Throttled,
    /// The server knows no such job or firewall.
    NotFound,
    /// The credentials were refused, now or in an earlier call.
    Refused,
    /// The [`TokenProvider`](crate::TokenProvider) returned no token.
    Provider,
    /// The request cannot be made.
    Request,
}

impl Error {
    /// Returns what happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns what came of a request without an answer, in words that name the host: the first part of the message after
    /// the call. None for other errors.
    pub fn summary(&self) -> Option<&str> {
        self.0.summary.as_deref()
    }

    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Returns whether the same call may succeed later: the class is transient, unreached or throttled.
    pub fn is_transient(&self) -> bool {
        match self.0.class {
            Class::Transient { .. }
            | Class::Unreached
            | Class::Unexpected { .. }
            | Class::Throttled { .. } => true,
            Class::NotFound | Class::Unauthorized | Class::Fatal => false,
        }
    }

    /// Returns how long the server asked to wait before the next call, at most five minutes.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.class {
            Class::Transient { retry_after } | Class::Throttled { retry_after, .. } => retry_after,
            Class::Unreached
            | Class::Unexpected { .. }
            | Class::NotFound
            | Class::Unauthorized
            | Class::Fatal => None,
        }
    }

    /// Returns the HTTP status, if an answer came.
    pub fn status(&self) -> Option<u16> {
        self.0.details.status
    }

    /// Returns the error code of the answer's body, such as `CFW.00200005`.
    pub fn code(&self) -> Option<&str> {
        self.0.details.code.as_deref()
    }

    /// Returns the server's message without secrets, on one line of at most 200 characters.
    pub fn message(&self) -> Option<&str> {
        self.0.details.message.as_deref()
    }

    /// Returns the request id, which the service's support asks for.
    pub fn request_id(&self) -> Option<&str> {
        self.0.details.request_id.as_deref()
    }
}

/// The operation that an error message or a log line names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation<'a> {
    ListJob(&'a JobId),
    CreateFirewall,
    GetFirewall(&'a FirewallId),
    DeleteFirewall(&'a FirewallId),
    Token,
    Project,
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListJob(id) => write!(f, "list job {id}"),
            Self::CreateFirewall => f.write_str("create firewall"),
            Self::GetFirewall(id) => write!(f, "get firewall {id}"),
            Self::DeleteFirewall(id) => write!(f, "delete firewall {id}"),
            Self::Token => f.write_str("obtain a token"),
            Self::Project => f.write_str("look up the project"),
        }
    }
}

impl Error {
    pub(crate) fn new(operation: Operation<'_>, kind: ErrorKind, class: Class) -> Self {
        Self(Arc::new(Inner {
            call: operation.to_string(),
            kind,
            class,
            summary: None,
            details: Details::default(),
            source: None,
        }))
    }

    pub(crate) fn transient(operation: Operation<'_>, kind: ErrorKind) -> Self {
        Self::new(operation, kind, Class::Transient { retry_after: None })
    }

    /// Says what happened more exactly than the kind.
    pub(crate) fn with_summary(self, summary: impl Into<String>) -> Self {
        self.with(|inner| inner.summary = Some(summary.into()))
    }

    pub(crate) fn with_message(self, message: impl Into<String>) -> Self {
        self.with(|inner| inner.details.message = Some(message.into()))
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source: Box<dyn StdError + Send + Sync> = source.into();
        self.with(|inner| inner.source = Some(source.into()))
    }

    pub(crate) fn with_details(self, details: Details) -> Self {
        self.with(|inner| inner.details = details)
    }

    /// Sets which answer the error is about.
    pub(crate) fn with_response(self, status: u16, request_id: Option<String>) -> Self {
        self.with(|inner| {
            inner.details.status = Some(status);
            inner.details.request_id = request_id;
        })
    }

    pub(crate) fn with_class(&self, class: Class) -> Self {
        self.clone().with(|inner| inner.class = class)
    }

    /// Returns the same error for another operation, for which no request was sent.
    pub(crate) fn for_operation(&self, operation: Operation<'_>) -> Self {
        self.clone().with(|inner| inner.call = operation.to_string())
    }

    /// Returns the error of a step of `operation`.
    pub(crate) fn within(&self, operation: Operation<'_>) -> Self {
        self.clone().with(|inner| inner.call = format!("{operation}: {}", inner.call))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { call, kind, summary, details, .. } = &*self.0;
        let Details { status, code, message, request_id } = details;
        write!(f, "{call}: ")?;
        let kind = match kind {
            ErrorKind::Connect => "no connection, or it broke",
            ErrorKind::Timeout => "timed out",
            ErrorKind::Certificate => "certificate refused",
            ErrorKind::Answer => "unusable answer",
            ErrorKind::Service => "answered with an error",
            ErrorKind::Throttled => "throttled",
            ErrorKind::NotFound => "not found",
            ErrorKind::Refused => "credentials refused",
            ErrorKind::Provider => "the provider has none",
            ErrorKind::Request => "cannot be sent",
        };
        f.write_str(summary.as_deref().unwrap_or(kind))?;
        if let Some(message) = message {
            write!(f, ": {message}")?;
        }
        let status = status.map(|status| status.to_string());
        // IAM repeats the status as its code.
        let code = code.as_deref().filter(|code| Some(*code) != status.as_deref());
        let parts =
            [("HTTP ", status.as_deref()), ("", code), ("request id ", request_id.as_deref())];
        let parts: Vec<String> = parts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}{}", value?)))
            .collect();
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt_chain(self, f);
        }
        let Inner { call, kind, class, summary, details, source } = &*self.0;
        let Details { status, code, message, request_id } = details;
        f.debug_struct("Error")
            .field("call", call)
            .field("kind", kind)
            .field("class", class)
            .field("summary", summary)
            .field("status", status)
            .field("code", code)
            .field("message", message)
            .field("request_id", request_id)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

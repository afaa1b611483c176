//! The error of a call: what was asked, what came back, and what to do about it.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::{
    Class, FirewallId, JobId, body::ErrorBody, classify::Verdict, redact::sanitise,
    transport::Reply,
};

/// Why a call failed.
///
/// [`class`](Self::class) says what to do about it, [`kind`](Self::kind) what happened. The message is for
/// people and holds no secret, even where the server echoed one; the cause, if any, is in
/// [`source`](StdError::source) and not repeated in the message. Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    call: String,
    kind: ErrorKind,
    class: Class,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What happened to a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection, or it broke before an answer came: refused, reset, no address for the name.
    Connect,
    /// No complete answer within the time limit.
    Timeout,
    /// The server's certificate was refused, or ours by the server.
    Certificate,
    /// An answer came, but not one that can be used: cut, empty, not JSON, about another job.
    Answer,
    /// The server answered with an error.
    Service,
    /// The server refuses so many requests.
    Throttled,
    /// The server knows no such thing.
    NotFound,
    /// The credentials were refused, or are known to have been and were not sent.
    Refused,
    /// The [`TokenProvider`](crate::TokenProvider) has no token.
    Provider,
    /// The call cannot be made as it was asked for.
    Request,
}

impl Error {
    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Whether the same call may succeed later: the class is transient or throttled.
    pub fn is_transient(&self) -> bool {
        match self.0.class {
            Class::Transient { .. } | Class::Throttled { .. } => true,
            Class::NotFound | Class::Unauthorized | Class::Fatal => false,
        }
    }

    /// How long the server asked to wait before the next call, at most five minutes.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.class {
            Class::Transient { retry_after } | Class::Throttled { retry_after, .. } => retry_after,
            Class::NotFound | Class::Unauthorized | Class::Fatal => None,
        }
    }

    /// The HTTP status, if an answer came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The error code in the answer's body, such as `CFW.00200005`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The server's own words, free of secrets, on one line of at most 200 characters.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The request id to give to the service's support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }
}

/// How much of a server's text is kept: of its message, and of each of its codes and ids.
pub(crate) const MESSAGE_CHARS: usize = 200;
pub(crate) const CODE_CHARS: usize = 64;

/// What is being done, as error messages and logs name it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'a> {
    ListJob(&'a JobId),
    CreateFirewall,
    GetFirewall(&'a FirewallId),
    DeleteFirewall(&'a FirewallId),
    Token,
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListJob(id) => write!(f, "list job {id}"),
            Self::CreateFirewall => f.write_str("create firewall"),
            Self::GetFirewall(id) => write!(f, "get firewall {id}"),
            Self::DeleteFirewall(id) => write!(f, "delete firewall {id}"),
            Self::Token => f.write_str("obtain a token"),
        }
    }
}

impl Error {
    pub(crate) fn new(what: What<'_>, kind: ErrorKind, class: Class) -> Self {
        Self(Arc::new(Inner {
            call: what.to_string(),
            kind,
            class,
            status: None,
            code: None,
            message: None,
            request_id: None,
            source: None,
        }))
    }

    /// A fault that is likely to pass.
    pub(crate) fn transient(what: What<'_>, kind: ErrorKind) -> Self {
        Self::new(what, kind, Class::Transient { retry_after: None })
    }

    /// An answer that says what went wrong.
    pub(crate) fn answered(
        what: What<'_>,
        reply: &Reply,
        body: &ErrorBody,
        verdict: Verdict,
        secrets: &[&str],
    ) -> Self {
        let kind = match verdict {
            Verdict::Transient | Verdict::Fatal => ErrorKind::Service,
            Verdict::Throttled => ErrorKind::Throttled,
            Verdict::NotFound => ErrorKind::NotFound,
            Verdict::Refused(_) => ErrorKind::Refused,
        };
        let shown =
            |text: &str, cap| Some(sanitise(text, secrets, cap)).filter(|text| !text.is_empty());
        Self::new(what, kind, Class::new(verdict, reply.retry_after, &body.text)).with(|inner| {
            inner.status = Some(reply.status);
            inner.code = body.code.as_ref().and_then(|code| shown(code, CODE_CHARS));
            inner.message = shown(&body.text, MESSAGE_CHARS);
            let in_body = || body.request_id.as_ref().and_then(|id| shown(id, CODE_CHARS));
            inner.request_id = reply.request_id.clone().or_else(in_body);
        })
    }

    /// Adds our own words.
    pub(crate) fn because(self, message: impl Into<String>) -> Self {
        self.with(|inner| inner.message = Some(message.into()))
    }

    pub(crate) fn caused_by(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source: Box<dyn StdError + Send + Sync> = source.into();
        self.with(|inner| inner.source = Some(source.into()))
    }

    /// Adds where an unusable answer came from.
    pub(crate) fn with_reply(self, reply: &Reply) -> Self {
        self.with(|inner| {
            inner.status = Some(reply.status);
            inner.request_id.clone_from(&reply.request_id);
        })
    }

    /// The same error, with other advice.
    pub(crate) fn of_class(&self, class: Class) -> Self {
        self.clone().with(|inner| inner.class = class)
    }

    /// The same error for another call, which did not get as far as sending a request.
    pub(crate) fn again_in(&self, what: What<'_>) -> Self {
        self.clone().with(|inner| inner.call = what.to_string())
    }

    /// The error of a step of `what`, for the caller of `what`.
    pub(crate) fn within(&self, what: What<'_>) -> Self {
        self.clone().with(|inner| inner.call = format!("{what}: {}", inner.call))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { call, kind, status, code, message, request_id, .. } = &*self.0;
        write!(f, "{call}: ")?;
        f.write_str(match kind {
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
        })?;
        if let Some(message) = message {
            write!(f, ": {message}")?;
        }
        let status = status.map(|status| status.to_string());
        // IAM repeats the status as its code.
        let code = code.as_deref().filter(|code| Some(*code) != status.as_deref());
        let parts =
            [("HTTP ", status.as_deref()), ("", code), ("request id ", request_id.as_deref())];
        let details: Vec<String> = parts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}{}", value?)))
            .collect();
        if !details.is_empty() {
            write!(f, " ({})", details.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { call, kind, class, status, code, message, request_id, source } = &*self.0;
        f.debug_struct("Error")
            .field("call", call)
            .field("kind", kind)
            .field("class", class)
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

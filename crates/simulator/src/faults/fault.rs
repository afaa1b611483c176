//! The kinds of faults.

use std::time::Duration;

/// One fault that affects one request.
///
/// Some faults answer **instead** of the service, which then does not process the request:
/// [`Throttled`](Self::Throttled), [`Status`](Self::Status),
/// [`ServiceUnavailable`](Self::ServiceUnavailable), [`Busy`](Self::Busy),
/// [`NotFound`](Self::NotFound), [`Code`](Self::Code), [`Redirect`](Self::Redirect) and
/// [`BadGatewayHtml`](Self::BadGatewayHtml). All others **corrupt the
/// answer** after the service has processed the request, so that a firewall whose creation ends in
/// [`Reset`](Self::Reset) exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 429 with `APIGW.0308`.
    Throttled {
        /// The `Retry-After` header, sent verbatim: `"2"`, `"56.818"`, a date, or invalid text.
        retry_after: Option<String>,
        /// The text after "policy user over ratelimit,": `"limit:10,time:1 minute"`.
        quota: Option<String>,
    },
    /// A status with an empty body, as proxies send it. A status below 200 is sent as 500.
    Status(u16),
    /// 503 with `APIGW.0610`.
    ServiceUnavailable {
        /// The `Retry-After` header, sent verbatim.
        retry_after: Option<String>,
    },
    /// 400 with `CFW.00100001`, "System busy. Try again later."
    Busy,
    /// 400 with `CFW.00200005`, "Object not found."
    NotFound,
    /// Any status with any code and text, in the body shape of CFW.
    Code {
        /// The HTTP status.
        status: u16,
        /// The `error_code`.
        code: String,
        /// The `error_msg`.
        msg: String,
    },
    /// 307 to `/redirected` on this server. The record shows a client that follows it.
    Redirect,
    /// 502 with an HTML page.
    BadGatewayHtml,
    /// A connection reset instead of an answer.
    Reset,
    /// The correct answer, delayed by this much.
    Slow(Duration),
    /// No answer. The connection stays open until the client closes it.
    Hang,
    /// Half of the body. Then the connection closes.
    CutBody,
    /// The correct status with a plain-text body.
    NotJson,
    /// The correct status with an empty body.
    EmptyBody,
    /// The correct answer with another job's id in `data.id`. Affects polls only.
    WrongId,
    /// The correct answer with the status `Paused`. Affects polls only.
    UnknownStatus,
    /// A body that begins like the correct one and never ends.
    Endless,
}

impl Fault {
    /// Returns a 429 that names neither a time nor a quota.
    #[must_use]
    pub const fn throttled() -> Self {
        Self::Throttled { retry_after: None, quota: None }
    }

    /// Returns a 429 with this `Retry-After` header, which need not be valid.
    #[must_use]
    pub fn throttled_for(retry_after: impl Into<String>) -> Self {
        Self::Throttled { retry_after: Some(retry_after.into()), quota: None }
    }

    /// Returns a 429 whose text names the quota, such as `"limit:10,time:1 minute"`.
    #[must_use]
    pub fn quota(quota: impl Into<String>) -> Self {
        Self::Throttled { retry_after: None, quota: Some(quota.into()) }
    }

    /// Returns a 503 without a `Retry-After` header.
    #[must_use]
    pub const fn unavailable() -> Self {
        Self::ServiceUnavailable { retry_after: None }
    }

    /// Returns an answer with this status, `error_code` and `error_msg`.
    #[must_use]
    pub fn code(status: u16, code: impl Into<String>, msg: impl Into<String>) -> Self {
        Self::Code { status, code: code.into(), msg: msg.into() }
    }

    /// Returns one fault of each transient kind, except those that cost a client seconds:
    /// [`Hang`](Self::Hang) and [`Throttled`](Self::Throttled).
    #[must_use]
    pub fn transient() -> Vec<Self> {
        vec![
            Self::Status(500),
            Self::Status(504),
            Self::unavailable(),
            Self::Busy,
            Self::BadGatewayHtml,
            Self::Reset,
            Self::Slow(Duration::from_millis(20)),
            Self::CutBody,
            Self::NotJson,
            Self::EmptyBody,
            Self::WrongId,
        ]
    }
}

//! The kinds of faults.

use std::time::Duration;

/// One fault that affects one request.
///
/// Some faults answer **instead** of the service, which then does not process the request:
/// [`Throttled`](Self::Throttled), [`Status`](Self::Status),
/// [`ServiceUnavailable`](Self::ServiceUnavailable), [`Busy`](Self::Busy),
/// [`NotFound`](Self::NotFound), [`Code`](Self::Code), [`GatewayCode`](Self::GatewayCode),
/// [`OverLimit`](Self::OverLimit), [`Redirect`](Self::Redirect), [`Html`](Self::Html),
/// [`BadGatewayHtml`](Self::BadGatewayHtml) and [`Echo`](Self::Echo). All others **corrupt the
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
    /// Any status with any code and text, in the format of the gateway.
    GatewayCode {
        /// The HTTP status.
        status: u16,
        /// The `error_code`.
        code: String,
        /// The `error_msg`.
        msg: String,
    },
    /// 413 with `overLimit`, as OpenStack services answer too many requests.
    OverLimit {
        /// The `Retry-After` header and the field `retryAfter`, sent verbatim.
        retry_after: Option<String>,
    },
    /// 307 to `/redirected` on this server. The record shows a client that follows it.
    Redirect,
    /// 502 with an HTML page.
    BadGatewayHtml,
    /// Any status with an HTML page, as proxies send it.
    Html(u16),
    /// 400 with the request in its text: method, path, headers and body, with all secrets.
    Echo(EchoEncoding),
    /// A connection reset instead of an answer.
    Reset,
    /// The correct answer, delayed by this much.
    Slow(Duration),
    /// The correct answer, its body delayed by this much after its headers.
    SlowBody(Duration),
    /// No answer. The connection stays open until the client closes it.
    Hang,
    /// Interim answers (103) without end, and no final answer, until the client closes the
    /// connection.
    InterimFlood,
    /// The correct answer. After it the connection stays open, but gives no answer to anything, until
    /// the client closes it. Later requests on it do not arrive, so that they are not recorded.
    DeadConnection,
    /// Half of the body. Then the connection closes.
    CutBody,
    /// The correct status with a plain-text body.
    NotJson,
    /// The correct status with an empty body.
    EmptyBody,
    /// The correct answer with another job's id in `data.id`. Affects polls only.
    WrongId,
    /// The correct answer with an equal id in another form: a UUID in upper case and with its dashes
    /// removed or added, or a number as a JSON number. Other ids are unchanged. Affects polls only.
    EqualId,
    /// The correct answer with the status `Paused`. Affects polls only.
    UnknownStatus,
    /// The correct answer with `Content-Encoding: gzip`, whatever the request accepts.
    Gzip,
    /// A body that begins like the correct one and never ends.
    Endless,
}

/// The encoding of an [echo](Fault::Echo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EchoEncoding {
    /// Verbatim, as plain text.
    Plain,
    /// As a JSON string, in the error format of the service.
    Json,
    /// As HTML, with `&`, `<`, `>` and quotes as entities.
    Html,
    /// Percent-encoded, except letters and digits.
    Percent,
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

    /// Returns an answer of the gateway with this status, `error_code` and `error_msg`.
    #[must_use]
    pub fn gateway_code(status: u16, code: impl Into<String>, msg: impl Into<String>) -> Self {
        Self::GatewayCode { status, code: code.into(), msg: msg.into() }
    }

    /// Returns one of each kind of 4xx answer that the service itself does not give to a valid
    /// request. A proxy, a gateway node or a neighbour service can give one in between.
    #[must_use]
    pub fn foreign_client_errors() -> Vec<Self> {
        let not_published = "The API does not exist or has not been published in the environment";
        vec![
            Self::Html(400),
            Self::Status(400),
            Self::Status(401),
            Self::Html(403),
            Self::gateway_code(404, "APIGW.0101", not_published),
            Self::Status(405),
            Self::OverLimit { retry_after: Some("1".to_owned()) },
            Self::Status(421),
        ]
    }

    /// Returns one fault of each kind that passes if it comes now and then, also before the first correct answer: those of
    /// [`transient`](Self::transient), and the 4xx answers of [`foreign_client_errors`](Self::foreign_client_errors) that
    /// neither refuse credentials nor call the path or method wrong. [`OverLimit`](Self::OverLimit) is left out, as are others
    /// that cost a client seconds.
    ///
    /// A client cannot tell a long row of such 4xx answers from a wrong configuration, so a high share of them
    /// can end its waits.
    #[must_use]
    pub fn passing() -> Vec<Self> {
        let mut faults = Self::transient();
        faults.extend([Self::Html(400), Self::Status(400), Self::Html(403), Self::Status(421)]);
        faults
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

use std::time::Duration;

/// One thing that goes wrong with one request.
///
/// Some faults answer **instead** of the service, which then has not seen the request:
/// [`Throttled`](Self::Throttled), [`Status`](Self::Status),
/// [`ServiceUnavailable`](Self::ServiceUnavailable), [`Busy`](Self::Busy),
/// [`NotFound`](Self::NotFound), [`Code`](Self::Code), [`Redirect`](Self::Redirect) and
/// [`BadGatewayHtml`](Self::BadGatewayHtml). All others **spoil the answer** after the service
/// has done its work, so that a firewall whose creation ends in [`Reset`](Self::Reset) exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 429 with `APIGW.0308`.
    Throttled {
        /// The `Retry-After` header, as it shall be sent: `"2"`, `"56.818"`, a date, nonsense.
        retry_after: Option<String>,
        /// What the text says after "policy user over ratelimit,": `"limit:10,time:1 minute"`.
        quota: Option<String>,
    },
    /// A bare status with an empty body, as proxies send it. One below 200 is sent as 500.
    Status(u16),
    /// 503 with `APIGW.0610`.
    ServiceUnavailable {
        /// The `Retry-After` header, as it shall be sent.
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
    /// 307 to `/redirected` on this very server. Whoever follows is found in the record.
    Redirect,
    /// 502 with a page of HTML.
    BadGatewayHtml,
    /// The connection is reset in place of an answer.
    Reset,
    /// The true answer, this much later.
    Slow(Duration),
    /// No answer ever; the connection stays open until the client closes it.
    Hang,
    /// Half of the body, then the connection closes.
    CutBody,
    /// The true status with a body of plain text.
    NotJson,
    /// The true status with an empty body.
    EmptyBody,
    /// The true answer with another job's id in `data.id`. Other routes answer as ever.
    WrongId,
    /// The true answer with the status `Paused`. Other routes answer as ever.
    UnknownStatus,
    /// A body that begins like the true one and never ends.
    Endless,
}

impl Fault {
    /// 429 without a word about when to come back.
    #[must_use]
    pub const fn throttled() -> Self {
        Self::Throttled { retry_after: None, quota: None }
    }

    /// 429 with this `Retry-After` header, which need not make sense.
    #[must_use]
    pub fn throttled_for(retry_after: impl Into<String>) -> Self {
        Self::Throttled { retry_after: Some(retry_after.into()), quota: None }
    }

    /// 429 whose text names the quota, such as `"limit:10,time:1 minute"`.
    #[must_use]
    pub fn quota(quota: impl Into<String>) -> Self {
        Self::Throttled { retry_after: None, quota: Some(quota.into()) }
    }

    /// 503 without a `Retry-After` header.
    #[must_use]
    pub const fn unavailable() -> Self {
        Self::ServiceUnavailable { retry_after: None }
    }

    /// A CFW answer with this status, `error_code` and `error_msg`.
    #[must_use]
    pub fn code(status: u16, code: impl Into<String>, msg: impl Into<String>) -> Self {
        Self::Code { status, code: code.into(), msg: msg.into() }
    }

    /// One of each kind that a good client survives within milliseconds and without being told to
    /// slow down: all transient ones but [`Hang`](Self::Hang) and [`Throttled`](Self::Throttled).
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

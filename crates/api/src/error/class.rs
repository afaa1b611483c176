//! What a caller does about an error.

use std::{num::NonZeroU32, time::Duration};

/// What to do about an error.
///
/// An answer is classified by its HTTP status and the error code of its body. The first row that fits decides. A 2xx
/// with an error code in place of a result is classified by the status that usually goes with the code.
///
/// | Status | Code | Class |
/// | --- | --- | --- |
/// | 400 | `CFW.00100001`, `CFW.00109003`, `CFW.00109004`, `CFW.00200023`, `CFW.00300001` | `Transient` |
/// | 400 | `CFW.00800001`, `CFW.00800002`, `CFW.00800003`, `CFW.00900016`, `CFW.01100008` | `Transient` |
/// | 400 | `CFW.00200005` | `NotFound` |
/// | 404 | `APIGW.*` | `Unexpected { can_pass: false }` |
/// | 500 | `APIGW.0103` | `Unexpected { can_pass: false }` |
/// | 500 | `APIGW.0104`, `APIGW.0105`, `APIGW.0106` | `Fatal` |
/// | 429 | any | `Throttled` |
/// | 408, 425, 500 to 599 | any | `Transient` |
/// | 401 | any | `Unauthorized` |
/// | 404 | any | `NotFound` |
/// | 400 to 499 | `CFW.*`, `APIGW.*` | `Fatal` |
/// | 413 | `Retry-After`, `overLimit` | `Throttled` |
/// | 405 | any | `Unexpected { can_pass: false }` |
/// | 300 to 499 | any | `Unexpected { can_pass: true }` |
///
/// `APIG` and `APIC` are the same as `APIGW`, and eight digits the same as `CFW` and the digits. `Retry-After` is a header, and
/// `overLimit` the name of OpenStack's error. With the statuses 401 and 403 the text comes first, because the gateway has one
/// code for refusals of different kinds. A refusal is `Unauthorized` only when renewing or repeating the
/// credentials has not helped; until then it is `Transient`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Passes by itself: try again later.
    Transient {
        /// How long the server asks to wait, at most five minutes.
        retry_after: Option<Duration>,
    },
    /// No answer of the service arrived: no connection, no TLS, a proxy that refuses, or no answer in time. Try again
    /// later.
    Unreached,
    /// An answer that is not the service's own: a status in the 300s or 400s without a code that is known, or a certificate that
    /// is refused. It may come of a gateway or proxy in between, so one alone decides nothing.
    Unexpected {
        /// Whether such an answer is known to pass. One that is not known to is final unless the service has answered well
        /// before.
        can_pass: bool,
    },
    /// Too many requests. This concerns all requests of the caller, not this one alone.
    Throttled {
        /// How long the server asks to wait, at most five minutes.
        retry_after: Option<Duration>,
        /// The limit that was exceeded, if the server names it.
        quota: Option<Quota>,
    },
    /// The service does not know the job or firewall, or not yet: jobs can appear late.
    NotFound,
    /// The credentials were refused for good: renewing them did not help, or is not possible.
    Unauthorized,
    /// Trying again cannot help.
    Fatal,
}

/// A limit on requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Quota {
    /// Calls allowed in one window.
    pub calls: NonZeroU32,
    /// The window, never zero.
    pub per: Duration,
}

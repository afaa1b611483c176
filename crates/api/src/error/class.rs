//! What a caller does about an error.

use std::{num::NonZeroU32, time::Duration};

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Passes by itself: try again later.
    Transient {
        /// How long the server asks to wait, at most five minutes.
        retry_after: Option<Duration>,
    },
    /// No answer of the service arrived: it could not be connected to, or did not answer in time. Try again later.
    Unreached,
    /// An answer that is not the service's own: a status in the 300s or 400s without a code that is known. It may come of a
    /// gateway or proxy in between, so one alone decides nothing.
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

//! The error for a request without a complete answer: what failed and where, and below it the cause alone.

use std::{error::Error as StdError, io, time::Duration};

use reqwest::Url;

use super::{clients::host_and_port, redact::sanitise};
use crate::{
    Class, Error, ErrorKind,
    error::{CODE_CHARS, MESSAGE_CHARS, Operation},
};

/// Returns the error of a request that failed after `waited`, before the head of an answer arrived.
pub(super) fn without_head(
    operation: Operation<'_>,
    error: &reqwest::Error,
    waited: Duration,
    proxy: Option<&str>,
    secrets: &[&str],
) -> Error {
    let host = target(error, secrets);
    let (via, to) = match proxy {
        Some(proxy) => (format!("the proxy {proxy}"), format!("the proxy {proxy} for {host}")),
        None => ("the proxy".to_owned(), host.clone()),
    };
    let cause = root_cause(error);
    let is_https = error.url().is_none_or(|url| url.scheme() == "https");
    if let Some(unsent) = unsent(operation, error, &cause, secrets) {
        return unsent;
    }
    let (kind, summary, cause) = if !error.is_connect() {
        if error.is_timeout() {
            (ErrorKind::Timeout, no_answer_within(waited, &host), None)
        } else {
            (ErrorKind::Connect, format!("the connection to {host} broke"), Some(cause))
        }
    } else if error.is_timeout() {
        let cause = io::ErrorKind::TimedOut.into();
        (ErrorKind::Timeout, format!("cannot connect to {to}"), Some(cause))
    } else {
        let summary = match Step::of(error) {
            Step::Resolve if proxy.is_some() => format!("cannot resolve {via}"),
            Step::Resolve => format!("cannot resolve {}", host_alone(error, secrets)),
            Step::Tunnel => format!("{via} opens no tunnel to {host}"),
            Step::Unknown if is_https => format!("TLS handshake with {host} failed"),
            Step::Connect | Step::Unknown => format!("cannot connect to {to}"),
        };
        (ErrorKind::Connect, summary, Some(cause))
    };
    tracing::debug!(call = %operation, ?kind, "no answer");
    let failed = Error::new(operation, kind, Class::Unreached).with_summary(summary);
    match cause {
        Some(cause) => failed.with_source(cleaned(&cause, secrets)),
        None => failed,
    }
}

/// Returns the error of a request to `host` for which no head of an answer arrived within `limit`.
pub(super) fn head_timed_out(
    operation: Operation<'_>,
    host: &Url,
    limit: Duration,
    secrets: &[&str],
) -> Error {
    tracing::debug!(call = %operation, kind = ?ErrorKind::Timeout, "no answer");
    let host = sanitise(&host_and_port(host), secrets, CODE_CHARS);
    Error::new(operation, ErrorKind::Timeout, Class::Unreached)
        .with_summary(no_answer_within(limit, &host))
}

fn no_answer_within(limit: Duration, host: &str) -> String {
    format!("timed out: no answer from {host} within {}", seconds(limit))
}

/// Formats a time limit to the millisecond, as `10s` or `0.3s`.
fn seconds(limit: Duration) -> String {
    let millis = limit.saturating_add(Duration::from_micros(500)).as_millis();
    format!("{}s", Duration::from_millis(millis.try_into().unwrap_or(u64::MAX)).as_secs_f64())
}

/// Returns the error of an answer whose body was not complete within `limit`.
pub(super) fn body_timed_out(operation: Operation<'_>, limit: Duration) -> Error {
    tracing::debug!(call = %operation, "answer not complete in time");
    let summary = format!("timed out: the answer was not complete within {}", seconds(limit));
    Error::transient(operation, ErrorKind::Timeout).with_summary(summary)
}

/// Returns the error of an answer whose body broke off, or was not complete within `limit`.
pub(super) fn without_body(
    operation: Operation<'_>,
    error: &reqwest::Error,
    limit: Duration,
    secrets: &[&str],
) -> Error {
    let cause = root_cause(error);
    if let Some(unsent) = unsent(operation, error, &cause, secrets) {
        return unsent;
    }
    if error.is_timeout() {
        return body_timed_out(operation, limit);
    }
    tracing::debug!(call = %operation, "answer cut");
    Error::transient(operation, ErrorKind::Answer).with_source(cleaned(&cause, secrets))
}

/// Returns the error for a refused certificate, or for a request that cannot be built.
fn unsent(
    operation: Operation<'_>,
    error: &reqwest::Error,
    cause: &io::Error,
    secrets: &[&str],
) -> Option<Error> {
    let (kind, class) = if !error.is_timeout() && names_certificate(error) {
        // One node of a service, or a gateway that asks for a login, may have another certificate for a while.
        (ErrorKind::Certificate, Class::Unexpected { can_pass: false })
    } else if error.is_builder() {
        (ErrorKind::Request, Class::Fatal)
    } else {
        return None;
    };
    tracing::debug!(call = %operation, ?kind, "not sent");
    Some(Error::new(operation, kind, class).with_source(cleaned(cause, secrets)))
}

/// The step of connecting that failed.
#[derive(Clone, Copy)]
enum Step {
    Resolve,
    Connect,
    Tunnel,
    /// TLS, or a failure that hyper does not name.
    Unknown,
}

impl Step {
    /// hyper's types of these errors are private, but not their messages.
    const MESSAGES: [(&str, Self); 3] =
        [("dns error", Self::Resolve), ("tunnel error", Self::Tunnel), ("tcp ", Self::Connect)];

    fn of(error: &reqwest::Error) -> Self {
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if let Some((_, step)) =
                Self::MESSAGES.iter().find(|(start, _)| text.starts_with(start))
            {
                return *step;
            }
            cause = error.source();
        }
        Self::Unknown
    }
}

/// Returns the last error of a chain in the words of `std`, where it has any.
fn root_cause(error: &reqwest::Error) -> io::Error {
    let mut kind = io::ErrorKind::Other;
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            kind = error.kind();
            last = match error.raw_os_error() {
                Some(_) if is_named(kind) => kind.to_string(),
                _ => error.to_string(),
            };
        } else {
            last = error.to_string();
        }
        cause = error.source();
    }
    for prefix in ["failed to lookup address information: ", "tunnel error: "] {
        if let Some(rest) = last.strip_prefix(prefix) {
            last = rest.to_owned();
        }
    }
    if let Some(first) = last.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    io::Error::new(kind, last)
}

/// Returns whether `std` has a name for this kind of error.
fn is_named(kind: io::ErrorKind) -> bool {
    !matches!(kind, io::ErrorKind::Other) && kind.to_string() != "uncategorized error"
}

fn cleaned(cause: &io::Error, secrets: &[&str]) -> io::Error {
    io::Error::new(cause.kind(), sanitise(&cause.to_string(), secrets, MESSAGE_CHARS))
}

fn host_alone(error: &reqwest::Error, secrets: &[&str]) -> String {
    let host = error.url().and_then(|url| url.host_str()).unwrap_or("the host");
    sanitise(host, secrets, CODE_CHARS)
}

fn target(error: &reqwest::Error, secrets: &[&str]) -> String {
    let target = error.url().map_or_else(|| "the host".to_owned(), host_and_port);
    sanitise(&target, secrets, CODE_CHARS)
}

/// Returns whether any error of the chain is about a certificate. The error types of TLS libraries differ by
/// feature and platform, but all of their messages use this word.
fn names_certificate(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().to_ascii_lowercase().contains("certificate") {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_recognised_anywhere_in_the_chain() {
        let rows = [
            // rustls, OpenSSL, and an alert that the server sends about ours.
            ("invalid peer certificate: UnknownIssuer", true),
            ("error:0A000086:SSL routines::certificate verify failed", true),
            ("received fatal alert: BadCertificate", true),
            ("connection reset by peer", false),
            ("received fatal alert: HandshakeFailure", false),
        ];
        for (text, expected) in rows {
            let chain = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, text));
            assert_eq!(names_certificate(&chain), expected, "{text}");
        }
    }
}

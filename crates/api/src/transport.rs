//! One HTTP exchange: a request out, a bounded answer in, every failure sorted.

use std::{
    error::Error as StdError,
    time::{Duration, SystemTime},
};

use reqwest::{
    Response,
    header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use secrecy::SecretString;

use crate::{
    Class, Error, ErrorKind,
    clock::Clock,
    error::{CODE_CHARS, What},
    http::Http,
    redact::sanitise,
    times,
};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// The longest body that is read. A job's status has some hundred bytes, a token's catalog some ten thousand.
const MAX_BODY: usize = 1 << 20;

/// Sends requests, one at a time each.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: Http,
    pub(crate) request_timeout: Duration,
    pub(crate) user_agent: HeaderValue,
    pub(crate) clock: Clock,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) answered: Option<SystemTime>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
    /// The token that IAM has made.
    pub(crate) subject_token: Option<SecretString>,
    /// Complete where the status is a success; else perhaps only its beginning.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Transport {
    /// Sends `request` once and reads the answer, all within the time limit. What the answer says about
    /// itself is freed of `secrets`; its body is not.
    pub(crate) async fn exchange(
        &self,
        what: What<'_>,
        mut request: reqwest::Request,
        secrets: &[&str],
    ) -> Result<Reply, Error> {
        // The hand-over to hyper needs a runtime and panics without one.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(what, ErrorKind::Request, Class::Fatal)
                .because("no tokio runtime is running"));
        }
        let limit = request
            .timeout()
            .map_or(self.request_timeout, |limit| self.request_timeout.min(*limit));
        *request.timeout_mut() = Some(limit);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        // The manual calls it mandatory, even where there is no content.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));

        let Some(http) = self.http.for_url(request.url()) else {
            // Only a catalog can name a URL that was not known when the client was built.
            let problem = format!(
                "the endpoint in the token's catalog, {}, cannot be reached without TLS and certificates",
                request.url().authority()
            );
            return Err(Error::new(what, ErrorKind::Request, Class::Fatal).because(problem));
        };
        let in_request = self.http.begin();
        let sent = in_request.send(http.execute(request)).await;
        let mut response = sent.map_err(|error| failure(what, error, ErrorKind::Connect))?;
        let mut reply = self.head(&response, secrets);
        match body(&mut response).await {
            Ok(body) => reply.body = body,
            // These statuses say all that matters, and throwing away a Retry-After would be a pity.
            Err(_) if matches!(reply.status, 429 | 500..=599) => (),
            Err(BodyFault::TooLong) if reply.is_success() => {
                let fault =
                    Error::transient(what, ErrorKind::Answer).because("body longer than 1 MiB");
                return Err(fault.with_reply(&reply));
            }
            Err(BodyFault::TooLong) => (),
            Err(BodyFault::Broken(error)) => {
                return Err(failure(what, error, ErrorKind::Answer).with_reply(&reply));
            }
        }
        tracing::debug!(call = %what, status = reply.status, request_id = reply.request_id, "answered");
        Ok(reply)
    }

    fn head(&self, response: &Response, secrets: &[&str]) -> Reply {
        let headers = response.headers();
        let answered = text(headers, DATE).and_then(times::from_http_date);
        let retry_after = text(headers, RETRY_AFTER)
            .and_then(|value| times::retry_after(value, answered, self.clock.now()));
        let request_id =
            [HeaderName::from_static("x-request-id"), HeaderName::from_static("x-iam-trace-id")]
                .into_iter()
                .filter_map(|name| text(headers, name))
                .map(|id| sanitise(id, secrets, CODE_CHARS))
                .find(|id| !id.is_empty());
        let subject_token = text(headers, SUBJECT_TOKEN).map(SecretString::from);
        Reply {
            subject_token,
            status: response.status().as_u16(),
            answered,
            retry_after,
            request_id,
            body: Vec::new(),
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

enum BodyFault {
    TooLong,
    Broken(reqwest::Error),
}

async fn body(response: &mut Response) -> Result<Vec<u8>, BodyFault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyFault::Broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(BodyFault::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Sorts a failure that left us without a complete answer; all but a refused certificate can pass.
fn failure(what: What<'_>, error: reqwest::Error, otherwise: ErrorKind) -> Error {
    let error = error.without_url();
    let kind = if error.is_timeout() {
        ErrorKind::Timeout
    } else if names_certificate(&error) {
        ErrorKind::Certificate
    } else if error.is_builder() {
        ErrorKind::Request
    } else {
        otherwise
    };
    tracing::debug!(call = %what, ?kind, "no answer");
    let failed = match kind {
        ErrorKind::Certificate | ErrorKind::Request => Error::new(what, kind, Class::Fatal),
        _ => Error::transient(what, kind),
    };
    failed.caused_by(error)
}

/// TLS libraries differ by feature and platform and none of their types is ours to name, but all of them
/// call a certificate a certificate.
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
    use std::io;

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

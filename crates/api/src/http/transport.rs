//! One HTTP exchange: a request is sent, a bounded answer is read, and each failure is sorted.

use std::{error::Error as StdError, time::Duration};

use reqwest::{
    Request,
    header::{CONTENT_TYPE, HeaderValue, USER_AGENT},
};

use super::{
    clients::HttpClients,
    redact::sanitise,
    response::{BodyError, HttpResponse, read_body},
};
use crate::{
    Class, Error, ErrorKind,
    clock::Clock,
    error::{CODE_CHARS, Operation},
};

/// Sends requests and reads their answers.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) clients: HttpClients,
    pub(crate) request_timeout: Duration,
    /// Whether the application set it: then no request takes longer, whatever limit comes with it.
    pub(crate) is_timeout_set: bool,
    pub(crate) user_agent: HeaderValue,
    pub(crate) clock: Clock,
}

impl Transport {
    /// Returns how long a request may take that comes with this limit.
    pub(crate) fn request_limit(&self, limit: Option<Duration>) -> Duration {
        match limit {
            Some(limit) if self.is_timeout_set => limit.min(self.request_timeout),
            Some(limit) => limit,
            None => self.request_timeout,
        }
    }

    /// Sends `request` once and reads the answer, both within the request timeout. Header values of the
    /// answer are cleaned of `secrets`; its body is not.
    pub(crate) async fn exchange(
        &self,
        operation: Operation<'_>,
        mut request: Request,
        secrets: &[&str],
    ) -> Result<HttpResponse, Error> {
        // hyper panics when it is handed a request outside of a runtime.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(operation, ErrorKind::Request, Class::Fatal)
                .with_message("no tokio runtime is running"));
        }
        let limit = self.request_limit(request.timeout().copied());
        *request.timeout_mut() = Some(limit);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        // Mandatory by the manual, even without a body.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));

        let Some(client) = self.clients.for_url(request.url()) else {
            // Only the catalog can name a URL that was unknown when the client was built.
            let problem = format!(
                "the endpoint in the token's catalog, {}, cannot be reached without TLS and certificates",
                sanitise(request.url().authority(), secrets, CODE_CHARS)
            );
            return Err(
                Error::new(operation, ErrorKind::Request, Class::Fatal).with_message(problem)
            );
        };
        let active_request = self.clients.start_request();
        let sent = active_request.send(client.execute(request)).await;
        let mut response = sent.map_err(|error| failure(operation, error, ErrorKind::Connect))?;
        let mut answer = HttpResponse::from_head(&response, secrets, self.clock.now());
        match read_body(&mut response).await {
            Ok(body) => answer.body = body,
            // The status and `Retry-After` of these are enough; an error here would lose them.
            Err(_) if matches!(answer.status, 429 | 500..=599) => (),
            Err(BodyError::TooLong) if answer.is_success() => {
                return Err(answer.unusable(operation, "body longer than 1 MiB"));
            }
            Err(BodyError::TooLong) => (),
            Err(BodyError::Broken(error)) => {
                return Err(failure(operation, error, ErrorKind::Answer)
                    .with_response(answer.status, answer.request_id));
            }
        }
        tracing::debug!(
            call = %operation, status = answer.status, request_id = answer.request_id, "answered"
        );
        Ok(answer)
    }
}

/// Sorts a failure without a complete answer. All are transient but a refused certificate and a request that
/// cannot be built.
fn failure(operation: Operation<'_>, error: reqwest::Error, otherwise: ErrorKind) -> Error {
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
    tracing::debug!(call = %operation, ?kind, "no answer");
    let failed = match kind {
        ErrorKind::Certificate | ErrorKind::Request => Error::new(operation, kind, Class::Fatal),
        _ => Error::transient(operation, kind),
    };
    failed.with_source(error)
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

//! An answer, read up to a bound, and the error that it becomes.

use std::time::{Duration, SystemTime};

use reqwest::{
    Response, Url,
    header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER},
};
use secrecy::SecretString;

use super::{
    classify::{Classification, classify},
    clients::host_and_port,
    redact::sanitise,
};
use crate::{
    Class, Error, ErrorKind,
    error::{CODE_CHARS, Details, MESSAGE_CHARS, Operation},
    times,
    wire::error_body::ErrorBody,
};

/// The longest body that is read. A job's status has some hundred bytes, a token's catalog some ten thousand.
const MAX_BODY: usize = 1 << 20;

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) answered: Option<SystemTime>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
    /// What a redirect points to, without path and query, which can hold secrets.
    pub(crate) redirect: Option<String>,
    /// The token in IAM's `X-Subject-Token` header.
    pub(crate) subject_token: Option<SecretString>,
    /// Complete if the status is a success. Else it may be cut.
    pub(crate) body: Vec<u8>,
}

/// Why a body was not read to its end.
pub(crate) enum BodyError {
    /// The part of it that was read.
    TooLong(Vec<u8>),
    TimedOut,
    Broken(reqwest::Error),
}

impl HttpResponse {
    /// Reads the head of `response`. Header values are cleaned of `secrets`.
    pub(super) fn from_head(response: &Response, secrets: &[&str], now: SystemTime) -> Self {
        const REQUEST_IDS: [HeaderName; 2] =
            [HeaderName::from_static("x-request-id"), HeaderName::from_static("x-iam-trace-id")];
        let headers = response.headers();
        let answered = text(headers, DATE).and_then(times::from_http_date);
        let subject_token = text(headers, HeaderName::from_static("x-subject-token"));
        // The token that the answer issues is a secret, too.
        let secrets: Vec<&str> = secrets.iter().copied().chain(subject_token).collect();
        Self {
            status: response.status().as_u16(),
            answered,
            retry_after: text(headers, RETRY_AFTER)
                .and_then(|value| times::retry_after(value, answered, now)),
            request_id: REQUEST_IDS
                .into_iter()
                .filter_map(|name| text(headers, name))
                .map(|id| sanitise(id, &secrets, CODE_CHARS))
                .find(|id| !id.is_empty()),
            redirect: text(headers, LOCATION).filter(|_| response.status().is_redirection()).map(
                |location| sanitise(&redirect(response.url(), location), &secrets, MESSAGE_CHARS),
            ),
            subject_token: subject_token.map(SecretString::from),
            body: Vec::new(),
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the error for an answer that cannot be used.
    pub(crate) fn unusable(&self, operation: Operation<'_>, problem: impl Into<String>) -> Error {
        Error::transient(operation, ErrorKind::Answer)
            .with_message(problem)
            .with_response(self.status, self.request_id.clone())
    }

    /// Classifies the answer, which reports an error in `body`.
    pub(crate) fn classify(&self, body: &ErrorBody) -> Classification {
        classify(self.status, body, self.retry_after.is_some())
    }

    /// Classifies an answer of IAM, to a request for a token or a project.
    pub(crate) fn classify_iam(&self, body: &ErrorBody) -> Classification {
        match (self.classify(body), &body.code) {
            // IAM's own word: its codes are numbers, and belong to no family.
            (Classification::Unexpected { can_pass: true } | Classification::NotFound, Some(_)) => {
                Classification::Fatal
            }
            // Not a lost job: the URL is wrong.
            (Classification::NotFound, None) => Classification::Unexpected { can_pass: false },
            (other, _) => other,
        }
    }

    /// Returns the error for an answer that reports one in `body`.
    pub(crate) fn error(
        &self,
        operation: Operation<'_>,
        body: &ErrorBody,
        classification: Classification,
        secrets: &[&str],
    ) -> Error {
        let kind = match classification {
            Classification::Transient
            | Classification::Fatal
            | Classification::Unexpected { .. } => ErrorKind::Service,
            Classification::Throttled => ErrorKind::Throttled,
            Classification::NotFound => ErrorKind::NotFound,
            Classification::Refused(_) => ErrorKind::Refused,
        };
        let clean =
            |text: &str, cap| Some(sanitise(text, secrets, cap)).filter(|text| !text.is_empty());
        let retry_after = self.retry_after.or(body.retry_after);
        let class = Class::new(classification, retry_after, &body.text);
        Error::new(operation, kind, class).with_details(Details {
            status: Some(self.status),
            code: body.code.as_ref().and_then(|code| clean(code, CODE_CHARS)),
            // The page of a redirect says less.
            message: self.redirect.clone().or_else(|| clean(&body.text, MESSAGE_CHARS)),
            request_id: self
                .request_id
                .clone()
                .or_else(|| body.request_id.as_ref().and_then(|id| clean(id, CODE_CHARS))),
        })
    }
}

/// Reads a body up to [`MAX_BODY`].
pub(super) async fn read_body(response: &mut Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            body.extend_from_slice(chunk.get(..MAX_BODY - body.len()).unwrap_or_default());
            return Err(BodyError::TooLong(body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Describes a redirect by the host.
fn redirect(from: &Url, location: &str) -> String {
    match from.join(location) {
        Ok(to)
            if (to.host(), to.port_or_known_default())
                == (from.host(), from.port_or_known_default()) =>
        {
            "a redirect on the same host, which is not followed".to_owned()
        }
        Ok(to) if to.has_host() => {
            format!("a redirect to {}, which is not followed", host_and_port(&to))
        }
        _ => "a redirect, which is not followed".to_owned(),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

//! One HTTP exchange: a request is sent, a bounded answer is read, and each failure is sorted.

use std::time::Duration;

use reqwest::{
    Request,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT},
};

use super::{
    clients::HttpClients,
    no_answer::{without_body, without_head},
    redact::sanitise,
    response::{BodyError, HttpResponse, read_body},
};
use crate::{
    Class, Error, ErrorKind,
    clock::Clock,
    error::{CODE_CHARS, Operation},
};

/// Only a proxy answers so, never the service.
const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

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
        // Without this, any encoding would be acceptable.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // Mandatory by the manual, even without a body.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));

        let Some(mut pooled) = self.clients.for_url(request.url(), limit) else {
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
        let sent = active_request.send(pooled.client().execute(request)).await;
        let mut response = sent.map_err(|error| {
            pooled.failed(&error);
            let proxy = error.url().and_then(|url| self.clients.proxy(url));
            without_head(operation, &error, limit, proxy.as_deref(), secrets)
        })?;
        let mut answer = HttpResponse::from_head(&response, secrets, self.clock.now());
        if answer.status == PROXY_AUTHENTICATION_REQUIRED {
            return Err(Error::new(operation, ErrorKind::Connect, Class::Unreached)
                .with_summary("the proxy refuses the request without other credentials")
                .with_response(answer.status, None));
        }
        let body = read_body(&mut response).await;
        match &body {
            Err(BodyError::Broken(error)) => pooled.failed(error),
            _ => pooled.answered(answer.status, response.version()),
        }
        let encoding = response.headers().get(CONTENT_ENCODING);
        match body {
            // An encoding that was not asked for, from a proxy that caches, say.
            Ok(_) if encoding.is_some_and(|encoding| encoding != "identity") => {
                if answer.is_success() {
                    let encoding = encoding.and_then(|name| name.to_str().ok()).unwrap_or("?");
                    let encoding = sanitise(encoding, secrets, CODE_CHARS);
                    let problem = format!(
                        "encoded as {encoding:?}, although nothing but identity is accepted"
                    );
                    return Err(answer.unusable(operation, problem));
                }
            }
            Ok(body) => answer.body = body,
            // The status and `Retry-After` of these are enough; an error here would lose them.
            Err(_) if matches!(answer.status, 429 | 500..=599) => (),
            Err(BodyError::TooLong) if answer.is_success() => {
                return Err(answer.unusable(operation, "body longer than 1 MiB"));
            }
            Err(BodyError::TooLong) => (),
            Err(BodyError::Broken(error)) => {
                return Err(without_body(operation, &error, limit, secrets)
                    .with_response(answer.status, answer.request_id));
            }
        }
        tracing::debug!(
            call = %operation, status = answer.status, request_id = answer.request_id, "answered"
        );
        Ok(answer)
    }
}

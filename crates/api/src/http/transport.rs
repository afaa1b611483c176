//! One HTTP exchange: a request is sent, a bounded answer is read, and each failure is sorted.

use std::{future::poll_fn, pin::pin, time::Duration};

use reqwest::{
    Request, Url,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::{
    classify::is_from_service,
    client_pool::{Server, now},
    clients::HttpClients,
    io_runtime::IoRuntime,
    no_answer::{body_timed_out, head_timed_out, without_body, without_head},
    redact::sanitise,
    response::{BodyError, HttpResponse, read_body},
};
use crate::{
    Class, Error, ErrorKind,
    clock::Clock,
    error::{CODE_CHARS, Operation},
    wire::{error_body::ErrorBody, without_bom},
};

/// How long the body of an answer is waited for whose status says enough.
const LATE_BODY: Duration = Duration::from_secs(1);

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
    pub(crate) io_runtime: IoRuntime,
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

    /// Polls `future` where the sockets, tasks and timers that it creates belong to the runtime of the connections.
    async fn on_io_runtime<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _context = self.io_runtime.handle().map(Handle::enter);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Sends `request` to `host` once and reads the answer, both within the request timeout. Header values of the
    /// answer are cleaned of `secrets`; its body is not.
    pub(crate) async fn exchange(
        &self,
        operation: Operation<'_>,
        host: &Url,
        mut request: Request,
        secrets: &[&str],
    ) -> Result<HttpResponse, Error> {
        // hyper panics when it is handed a request outside of a runtime.
        if Handle::try_current().is_err() {
            return Err(Error::new(operation, ErrorKind::Request, Class::Fatal)
                .with_message("no tokio runtime is running"));
        }
        let limit = self.request_limit(request.timeout().copied());
        // The limit is kept on the caller's runtime, which a server cannot keep busy.
        *request.timeout_mut() = self.clients.own_timeout(limit);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        // Without this, any encoding would be acceptable.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // Mandatory by the manual, even without a body.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));

        let started = now();
        let deadline = after(started, limit);
        let server = match operation {
            Operation::Token | Operation::Project => Server::Iam,
            _ => Server::Service,
        };
        let Some(mut pooled) = self.clients.for_url(server, request.url(), started, limit) else {
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
        let sending = self.on_io_runtime(active_request.send(pooled.client().execute(request)));
        let Ok(sent) = timeout_at(deadline, sending).await else {
            pooled.timed_out();
            return Err(head_timed_out(operation, host, limit, secrets));
        };
        let mut response = sent.map_err(|error| {
            pooled.failed(&error);
            let proxy = error.url().and_then(|url| self.clients.proxy(url));
            // Pings can find the connection dead before the limit.
            let waited = limit.min(now().saturating_duration_since(started));
            without_head(operation, &error, waited, proxy.as_deref(), secrets)
        })?;
        let mut answer = HttpResponse::from_head(&response, secrets, self.clock.now());
        if answer.status == PROXY_AUTHENTICATION_REQUIRED {
            let proxy = self.clients.proxy(response.url());
            let proxy =
                proxy.map_or_else(|| "a proxy".to_owned(), |proxy| format!("the proxy {proxy}"));
            let summary = format!("{proxy} refuses the request without other credentials");
            return Err(Error::new(operation, ErrorKind::Connect, Class::Unreached)
                .with_summary(summary)
                .with_response(answer.status, None));
        }
        let is_status_enough = matches!(answer.status, 429 | 500..=599);
        let patience = if is_status_enough { LATE_BODY } else { limit };
        let reading = self.on_io_runtime(read_body(&mut response));
        let body = timeout_at(deadline.min(after(now(), patience)), reading)
            .await
            .unwrap_or(Err(BodyError::TimedOut));
        match &body {
            Err(BodyError::TimedOut) if !is_status_enough => pooled.timed_out(),
            Err(BodyError::Broken(error)) => pooled.failed(error),
            Ok(body) | Err(BodyError::TooLong(body)) => {
                let foreign = is_foreign(answer.status, body);
                pooled.answered(answer.status, response.version(), foreign);
            }
            Err(BodyError::TimedOut) => pooled.answered(answer.status, response.version(), false),
        }
        let encoding =
            response.headers().get(CONTENT_ENCODING).filter(|encoding| !is_identity(encoding));
        match (body, encoding) {
            // An encoding that was not asked for, from a proxy that caches, say. Some servers name one that they do not
            // use, such as `utf-8`.
            (Ok(body) | Err(BodyError::TooLong(body)), Some(encoding)) if !is_plain(&body) => {
                let encoding = sanitise(encoding.to_str().unwrap_or("?"), secrets, CODE_CHARS);
                let problem =
                    format!("encoded as {encoding:?}, although nothing but identity is accepted");
                // What a 400 would have said is unknown: perhaps "busy". In other errors the status counts.
                if answer.is_success() || answer.status == 400 {
                    return Err(answer.unusable(operation, problem));
                }
                answer.body = problem.into_bytes();
            }
            (Ok(body), _) => answer.body = body,
            (Err(BodyError::TooLong(_)), _) if answer.is_success() => {
                return Err(answer.unusable(operation, "body longer than 1 MiB"));
            }
            // No error of the service is as long. The beginning says what it is, and the status what it means.
            (Err(BodyError::TooLong(beginning)), _) => answer.body = beginning,
            // The status and `Retry-After` of these are enough; an error here would lose them.
            (Err(_), _) if is_status_enough => (),
            (Err(BodyError::TimedOut), _) => {
                return Err(body_timed_out(operation, limit)
                    .with_response(answer.status, answer.request_id));
            }
            (Err(BodyError::Broken(error)), _) => {
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

/// Returns whether a body shows that the service did not write it: a page, or an error without a code of the service.
/// Answers of an overloaded service have any body.
fn is_foreign(status: u16, body: &[u8]) -> bool {
    match status {
        200..=299 => !is_object(body),
        429 | 500..=599 => false,
        _ => !is_from_service(&ErrorBody::parse(body)),
    }
}

/// Returns whether a `Content-Encoding` means that the body is not encoded.
fn is_identity(encoding: &HeaderValue) -> bool {
    let encoding = encoding.as_bytes().trim_ascii();
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
}

/// Returns whether a body is not compressed: JSON, in which texts can have any bytes, or a text.
fn is_plain(body: &[u8]) -> bool {
    is_object(body)
        || match std::str::from_utf8(body) {
            Ok(text) => !text.contains(|c: char| c.is_control() && !c.is_whitespace()),
            Err(_) => false,
        }
}

/// Returns whether a body begins as JSON objects do.
fn is_object(body: &[u8]) -> bool {
    without_bom(body).trim_ascii_start().starts_with(b"{")
}

/// Returns the end of a time limit. One too long for the clock has none that matters.
fn after(start: Instant, limit: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    start.checked_add(limit.min(CENTURY)).unwrap_or(start)
}

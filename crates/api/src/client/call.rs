//! One call of the API: authorized, sent, classified, and sent once more after a refusal.

use reqwest::{
    Method, Request, Url,
    header::{CACHE_CONTROL, HeaderName, HeaderValue},
};

use super::{Client, Inner};
use crate::{
    Class, Error, ErrorKind,
    auth::Lease,
    error::{MESSAGE_CHARS, Operation},
    http::{
        classify::{Classification, is_from_service, server_time},
        endpoint::Endpoint,
        redact::sanitise,
        response::HttpResponse,
    },
    id::{self, segment},
    wire::{BadBody, error_body::ErrorBody, page_problem},
};

const X_CLIENT_TOKEN: HeaderName = HeaderName::from_static("x-client-token");

/// As many headers as a request has, at most: the map would otherwise be allocated twice.
const MAX_HEADERS: usize = 12;

/// The longest text of a job that is kept. The manual limits error messages to as much.
const JOB_TEXT_CHARS: usize = 512;

/// A call, independent of the client.
pub(super) struct Call<'a, T> {
    pub(super) operation: Operation<'a>,
    pub(super) method: Method,
    /// Returns the URL for an encoded project id.
    pub(super) url: &'a (dyn Fn(&Endpoint, &str) -> Url + Sync),
    pub(super) body: Vec<u8>,
    /// Makes a repeated request idempotent.
    pub(super) client_token: Option<&'a str>,
    pub(super) parse: &'a ParseBody<'a, T>,
}

/// Parses the body of a success. Texts for the caller pass through the given function.
type ParseBody<'a, T> = dyn Fn(&[u8], &Sanitize<'_>) -> Result<T, BadBody> + Sync + 'a;
type Sanitize<'a> = dyn Fn(&str) -> String + 'a;

impl Client {
    /// Makes a call: once, and once more if the credentials were refused and could be renewed.
    pub(super) async fn send<T>(&self, call: &Call<'_, T>) -> Result<(T, HttpResponse), Error> {
        let Inner { manager, transport, .. } = &*self.inner;
        let operation = call.operation;
        let mut sent_before = false;
        loop {
            let lease = manager.acquire(operation).await?;
            let endpoint = self.endpoint(call, &lease)?;
            let request = self.request(call, endpoint, &lease)?;
            let secrets = lease.secrets();
            let answer = transport.exchange(operation, endpoint.url(), request, &secrets).await?;

            let bad_body = if answer.is_success() {
                match (call.parse)(&answer.body, &|text| {
                    sanitise(text, &lease.secrets(), JOB_TEXT_CHARS)
                }) {
                    Ok(value) => {
                        lease.accepted();
                        return Ok((value, answer));
                    }
                    Err(bad_body) => Some(bad_body),
                }
            } else {
                None
            };
            let body = ErrorBody::parse(&answer.body);
            match bad_body {
                Some(BadBody::Malformed(_)) if body.code.is_some() => (),
                Some(BadBody::Malformed(problem) | BadBody::WrongJob(problem)) => {
                    let problem = page_problem(&answer.body).unwrap_or(problem);
                    let problem = sanitise(&problem, &lease.secrets(), MESSAGE_CHARS);
                    return Err(answer.unusable(operation, problem));
                }
                None => (),
            }
            let classification = answer.classify(&body);
            let error = answer.error(operation, &body, classification, &lease.secrets());
            match classification {
                Classification::Refused(refusal) => {
                    let server_time = server_time(&body.text).or(answer.answered);
                    match lease.refused(refusal, server_time, &error) {
                        None if !sent_before => sent_before = true,
                        // Refused twice, but the second generation had been accepted for other calls. The next
                        // call renews it.
                        None => {
                            return Err(error.with_class(Class::Transient { retry_after: None }));
                        }
                        Some(error) => return Err(error),
                    }
                    continue;
                }
                // The service is behind the gateway, which has accepted the credentials.
                _ if is_from_service(&body) => lease.accepted(),
                // A gateway in trouble, or something before it, may not have checked the credentials. Otherwise a
                // balancer's pages would prove wrong ones again and again, and these would be sent without end.
                Classification::NotFound
                | Classification::Fatal
                | Classification::Transient
                | Classification::Throttled
                | Classification::Unexpected { .. } => (),
            }
            return Err(error);
        }
    }

    fn endpoint<'a, T>(
        &'a self,
        call: &Call<'_, T>,
        lease: &'a Lease<'_>,
    ) -> Result<&'a Endpoint, Error> {
        self.inner.endpoint.endpoint(lease.endpoint()).map_err(|problem| {
            Error::new(call.operation, ErrorKind::Request, Class::Fatal).with_message(problem)
        })
    }

    fn request<T>(
        &self,
        call: &Call<'_, T>,
        endpoint: &Endpoint,
        lease: &Lease<'_>,
    ) -> Result<Request, Error> {
        let invalid = || Error::new(call.operation, ErrorKind::Request, Class::Fatal);
        let project_id = self.inner.project_id.as_deref().or_else(|| lease.project_id());
        let project_id = project_id.ok_or_else(|| {
            invalid().with_message("no project: none is set, and the token has none")
        })?;
        // The answer of IAM is not trusted to hold an id.
        if let Some(problem) = id::problem(project_id) {
            return Err(invalid().with_message(format!("the project's id {problem}")));
        }
        let url = (call.url)(endpoint, &segment(project_id));
        let mut request = Request::new(call.method.clone(), url);
        request.headers_mut().reserve(MAX_HEADERS);
        *request.timeout_mut() = self.limit;
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        if let Some(token) = call.client_token {
            let token =
                HeaderValue::from_str(token).map_err(|error| invalid().with_source(error))?;
            request.headers_mut().insert(X_CLIENT_TOKEN, token);
        }
        lease
            .authorize(&mut request, project_id)
            .map_err(|problem| invalid().with_message(problem))?;
        if request.method() == Method::GET {
            // Without it a cache may answer each poll with the status of the first. It is not signed, since a cache may
            // change it.
            request.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        Ok(request)
    }
}

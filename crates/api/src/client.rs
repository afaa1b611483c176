//! The client and its calls.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{
    Method, Request, Url,
    header::{HeaderName, HeaderValue},
};

use crate::{
    Class, ClientBuilder, Error, ErrorKind,
    body::{ErrorBody, Unusable},
    builder::Known,
    classify::{Verdict, server_time, verdict},
    credentials::{Keeper, Pass},
    endpoint::Endpoint,
    error::{MESSAGE_CHARS, What},
    id::segment,
    redact::sanitise,
    transport::{Reply, Transport},
};

const X_CLIENT_TOKEN: HeaderName = HeaderName::from_static("x-client-token");

/// How much of a job's texts is kept: as much as the manual allows an error's to have.
const JOB_TEXT_CHARS: usize = 512;

mod firewalls;
mod jobs;

/// A client of the Cloud Firewall service, for one project.
///
/// Cloning is cheap, and clones share connections and credentials. Each call is one HTTP request: nothing is
/// retried here but what credentials need, see the [crate documentation](crate).
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// A limit of this handle's own on each request.
    limit: Option<Duration>,
}

struct Inner {
    endpoint: Known,
    project_id: Option<String>,
    keeper: Keeper,
    transport: Arc<Transport>,
}

impl Client {
    /// Starts a client: endpoint, project id and credentials are required.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn assemble(
        endpoint: Known,
        project_id: Option<String>,
        keeper: Keeper,
        transport: Arc<Transport>,
    ) -> Self {
        Self { inner: Arc::new(Inner { endpoint, project_id, keeper, transport }), limit: None }
    }

    /// The same client, connections and credentials, with requests that may take no longer than this, nor
    /// longer than the [`request_timeout`](ClientBuilder::request_timeout) that was set.
    #[must_use]
    pub fn limit_requests(mut self, limit: Duration) -> Self {
        self.limit = Some(self.limit.map_or(limit, |known| known.min(limit)));
        self
    }

    /// The longest time that a call may take: to wait for another one to prove new credentials, or for their
    /// renewal, and to send a request, once more if it was refused.
    pub fn longest_call(&self) -> Duration {
        let proof = self.inner.transport.request_timeout;
        let request = self.limit.map_or(proof, |limit| limit.min(proof));
        request.saturating_mul(2).saturating_add(proof).saturating_add(Keeper::LONGEST_RENEWAL)
    }

    /// Makes a call: once, and once more if the credentials were refused and could be renewed.
    async fn send<T>(&self, call: &Call<'_, T>) -> Result<(T, Reply), Error> {
        let Inner { keeper, transport, .. } = &*self.inner;
        let what = call.what;
        let mut sent_before = false;
        loop {
            let pass = keeper.pass(what).await?;
            let request = self.request(call, &pass)?;
            let reply = transport.exchange(what, request, &pass.secrets()).await?;

            let fault = if reply.is_success() {
                match (call.read)(&reply.body, &|text| {
                    sanitise(text, &pass.secrets(), JOB_TEXT_CHARS)
                }) {
                    Ok(value) => {
                        pass.accepted();
                        return Ok((value, reply));
                    }
                    Err(fault) => Some(fault),
                }
            } else {
                None
            };
            let body = ErrorBody::parse(&reply.body);
            match fault {
                Some(Unusable::Mute(_)) if body.code.is_some() => (),
                Some(Unusable::Mute(problem) | Unusable::Astray(problem)) => {
                    return Err(Error::transient(what, ErrorKind::Answer)
                        .because(sanitise(&problem, &pass.secrets(), MESSAGE_CHARS))
                        .with_reply(&reply));
                }
                None => (),
            }
            let verdict = verdict(reply.status, body.code.as_deref(), &body.text);
            let error = Error::answered(what, &reply, &body, verdict, &pass.secrets());
            match verdict {
                Verdict::Refused(refusal) => {
                    let server_time = server_time(&body.text).or(reply.answered);
                    match pass.refused(refusal, server_time, &error) {
                        None if !sent_before => sent_before = true,
                        // Refused twice, but what was refused now had been let through for others: the next
                        // call will have it renewed.
                        None => return Err(error.of_class(Class::Transient { retry_after: None })),
                        Some(error) => return Err(error),
                    }
                    continue;
                }
                Verdict::NotFound | Verdict::Fatal => pass.accepted(),
                // The service's own "busy" comes from behind the gateway.
                Verdict::Transient if reply.status == 400 => pass.accepted(),
                // A gateway in trouble has not looked at the credentials, perhaps.
                Verdict::Transient | Verdict::Throttled => (),
            }
            return Err(error);
        }
    }

    fn request<T>(&self, call: &Call<'_, T>, pass: &Pass<'_>) -> Result<Request, Error> {
        let unfit = || Error::new(call.what, ErrorKind::Request, Class::Fatal);
        let endpoint = match &self.inner.endpoint {
            Known::Surely(endpoint) => endpoint,
            Known::Unless(endpoint) => pass.endpoint().unwrap_or(endpoint),
            Known::FromToken => pass.endpoint().ok_or_else(|| {
                unfit().because("no endpoint: none is set, the token's catalog has no cfw entry that fits, and there is no region")
            })?,
        };
        let project_id = self.inner.project_id.as_deref().or_else(|| pass.project_id());
        let project_id = project_id
            .ok_or_else(|| unfit().because("no project: none is set, and the token has none"))?;
        let url = (call.url)(endpoint, &segment(project_id));
        let mut request = Request::new(call.method.clone(), url);
        *request.timeout_mut() = self.limit;
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        if let Some(token) = call.client_token {
            let token = HeaderValue::from_str(token).map_err(|error| unfit().caused_by(error))?;
            request.headers_mut().insert(X_CLIENT_TOKEN, token);
        }
        pass.put_on(&mut request, project_id).map_err(|problem| unfit().because(problem))?;
        Ok(request)
    }
}

/// One call of the API, apart from who makes it.
struct Call<'a, T> {
    what: What<'a>,
    method: Method,
    /// The URL, for an encoded project id.
    url: &'a (dyn Fn(&Endpoint, &str) -> Url + Sync),
    body: Vec<u8>,
    /// What makes a repeated request the same request.
    client_token: Option<&'a str>,
    read: &'a Read<'a, T>,
}

/// Reads the body of a success, with a function that makes texts fit to be shown, or says what makes it
/// unusable.
type Read<'a, T> = dyn Fn(&[u8], &Show<'_>) -> Result<T, Unusable> + Sync + 'a;
type Show<'a> = dyn Fn(&str) -> String + 'a;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { endpoint, project_id, transport, .. } = &*self.inner;
        f.debug_struct("Client")
            .field("endpoint", endpoint)
            .field("project_id", project_id)
            .field("request_timeout", &transport.request_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

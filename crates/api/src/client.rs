//! The client and its calls.

use std::{fmt, sync::Arc};

use reqwest::{Method, Request};

use crate::{
    Class, ClientBuilder, Error, ErrorKind, Job, JobId, JobStatus,
    body::ErrorBody,
    builder::Known,
    classify::{Verdict, server_time, verdict},
    credentials::{Keeper, Pass},
    error::What,
    id::segment,
    redact::sanitise,
    transport::{Reply, Transport},
    wire,
};

/// How much of a job's texts is kept: as much as the manual allows an error's to have.
const JOB_TEXT_CHARS: usize = 512;

/// A client of the Cloud Firewall service, for one project.
///
/// Cloning is cheap, and clones share connections and credentials. Each call is one HTTP request: nothing is
/// retried here but what credentials need, see the [crate documentation](crate).
#[derive(Clone)]
pub struct Client(Arc<Inner>);

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
        Self(Arc::new(Inner {
            endpoint,
            project_id,
            keeper,
            transport,
        }))
    }

    /// Asks for the state of one job: `GET /v3/{project_id}/jobs/{job_id}`, "List Job Status" in the manual.
    ///
    /// ```no_run
    /// # async fn f(client: cfw_api::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let id = "cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f".parse()?;
    /// let job = client.list_job(&id).await?;
    /// println!("{}: {}", job.id, job.status);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If no usable answer comes. [`Error::class`] tells whether to ask again: a job just created can be
    /// [not found](Class::NotFound) for a while.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request. Asking again is always safe.
    #[doc(alias = "ListJob")]
    #[doc(alias = "ListJobStatus")]
    pub async fn list_job(&self, id: &JobId) -> Result<Job, Error> {
        let call = Call {
            what: What::ListJob(id),
            method: Method::GET,
            path: &|project| format!("/v3/{project}/jobs/{}", segment(id.as_str())),
            read: &|body, shown| {
                wire::job(id, body).map(|body| Job {
                    id: id.clone(),
                    status: match body.status {
                        JobStatus::Other(text) => JobStatus::Other(shown(&text)),
                        known => known,
                    },
                    begin_time: body.begin_time,
                    end_time: body.end_time,
                    error_code: body.error_code.map(|code| shown(&code)),
                    error_msg: body.error_msg.map(|text| shown(&text)),
                    answered: None,
                    request_id: None,
                })
            },
        };
        let (job, reply) = self.send(call).await?;
        Ok(Job {
            answered: reply.answered,
            request_id: reply.request_id,
            ..job
        })
    }

    /// Makes a call: once, and once more if the credentials were refused and could be renewed.
    async fn send<T>(&self, call: Call<'_, T>) -> Result<(T, Reply), Error> {
        let Inner {
            keeper, transport, ..
        } = &*self.0;
        let what = call.what;
        let mut sent_before = false;
        loop {
            let pass = keeper.pass(what).await?;
            let request = self.request(&call, &pass)?;
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
            if let (Some(fault), None) = (fault, &body.code) {
                return Err(Error::transient(what, ErrorKind::Answer)
                    .because(fault)
                    .with_reply(&reply));
            }
            let verdict = verdict(reply.status, body.code.as_deref(), &body.text);
            let error = Error::answered(what, &reply, &body, verdict, &pass.secrets());
            match verdict {
                Verdict::Refused(refusal) => {
                    let server_time = server_time(&body.text).or(reply.answered);
                    match pass.refused(refusal, server_time, &error) {
                        None if !sent_before => sent_before = true,
                        None => return Err(error),
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
        let endpoint = match &self.0.endpoint {
            Known::Surely(endpoint) => endpoint,
            Known::Unless(endpoint) => pass.endpoint().unwrap_or(endpoint),
            Known::FromToken => pass.endpoint().ok_or_else(|| {
                unfit().because("no endpoint: none is set, the token's catalog has no cfw entry that fits, and there is no region")
            })?,
        };
        let project_id = self.0.project_id.as_deref().or_else(|| pass.project_id());
        let project_id = project_id
            .ok_or_else(|| unfit().because("no project: none is set, and the token has none"))?;
        let path = (call.path)(&segment(project_id).to_string());
        let url = endpoint
            .join(&path)
            .map_err(|error| unfit().caused_by(error))?;
        let mut request = Request::new(call.method.clone(), url);
        pass.put_on(&mut request, project_id)
            .map_err(|problem| unfit().because(problem))?;
        Ok(request)
    }
}

/// One call of the API, apart from who makes it.
struct Call<'a, T> {
    what: What<'a>,
    method: Method,
    /// The path for an encoded project id.
    path: &'a (dyn Fn(&str) -> String + Sync),
    read: &'a Read<'a, T>,
}

/// Reads the body of a success, with a function that makes texts fit to be shown, or says what makes it
/// unusable.
type Read<'a, T> = dyn Fn(&[u8], &Show<'_>) -> Result<T, String> + Sync + 'a;
type Show<'a> = dyn Fn(&str) -> String + 'a;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            endpoint,
            project_id,
            transport,
            ..
        } = &*self.0;
        f.debug_struct("Client")
            .field("endpoint", endpoint)
            .field("project_id", project_id)
            .field("request_timeout", &transport.request_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

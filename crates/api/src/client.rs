//! The client and its calls.

use std::{fmt, sync::Arc};

use reqwest::{Method, Request, header::HeaderName};

use crate::{
    Class, ClientBuilder, Error, ErrorKind, Job, JobId, JobStatus,
    body::ErrorBody,
    classify::{Verdict, verdict},
    credentials::Keeper,
    endpoint::Endpoint,
    error::What,
    id::segment,
    redact::sanitise,
    transport::{Reply, Transport},
    wire,
};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// How much of a job's texts is kept: as much as the manual allows an error's to have.
const JOB_TEXT_CHARS: usize = 512;

/// A client of the Cloud Firewall service, for one project.
///
/// Cloning is cheap, and clones share connections and credentials. Each call is one HTTP request: nothing is
/// retried here but what credentials need, see the [crate documentation](crate).
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    project_id: String,
    keeper: Keeper,
    transport: Transport,
}

impl Client {
    /// Starts a client: endpoint, project id and credentials are required.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn assemble(
        endpoint: Endpoint,
        project_id: String,
        keeper: Keeper,
        transport: Transport,
    ) -> Self {
        Self(Arc::new(Inner { endpoint, project_id, keeper, transport }))
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
        let what = What::ListJob(id);
        let path =
            format_args!("/v3/{}/jobs/{}", segment(&self.0.project_id), segment(id.as_str()))
                .to_string();
        let (body, reply) = self.send(what, Method::GET, &path, |body| wire::job(id, body)).await?;
        Ok(Job {
            id: id.clone(),
            status: match body.status {
                JobStatus::Other(text) => JobStatus::Other(self.shown(&text)),
                known => known,
            },
            begin_time: body.begin_time,
            end_time: body.end_time,
            error_code: body.error_code.map(|code| self.shown(&code)),
            error_msg: body.error_msg.map(|text| self.shown(&text)),
            answered: reply.answered,
            request_id: reply.request_id,
        })
    }

    fn shown(&self, text: &str) -> String {
        sanitise(text, &self.0.keeper.secrets(), JOB_TEXT_CHARS)
    }

    /// Sends a request and reads a success with `read`, which says what makes a body unusable.
    async fn send<T>(
        &self,
        what: What<'_>,
        method: Method,
        path: &str,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<(T, Reply), Error> {
        let Inner { endpoint, keeper, transport, .. } = &*self.0;
        let url = endpoint
            .join(&path)
            .map_err(|error| Error::new(what, ErrorKind::Request, Class::Fatal).caused_by(error))?;
        let mut request = Request::new(method, url);
        request.headers_mut().insert(X_AUTH_TOKEN, keeper.header()?);
        let reply = transport.exchange(what, request, &keeper.secrets()).await?;

        let fault = match reply.is_success().then(|| read(&reply.body)) {
            Some(Ok(value)) => return Ok((value, reply)),
            Some(Err(fault)) => Some(fault),
            None => None,
        };
        let body = ErrorBody::parse(&reply.body);
        if let (Some(fault), None) = (fault, &body.code) {
            return Err(Error::transient(what, ErrorKind::Answer)
                .because(fault)
                .with_reply(&reply));
        }
        let verdict = verdict(reply.status, body.code.as_deref(), &body.text);
        let error = Error::answered(what, &reply, &body, verdict, &keeper.secrets());
        if let Verdict::Refused(_) = verdict {
            keeper.refused(&error);
        }
        Err(error)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { endpoint, project_id, transport, .. } = &*self.0;
        f.debug_struct("Client")
            .field("endpoint", &endpoint.to_string())
            .field("project_id", project_id)
            .field("request_timeout", &transport.request_timeout)
            .finish_non_exhaustive()
    }
}

//! Calls about jobs.

use reqwest::Method;

use super::{Client, call::Call};
use crate::{Error, Job, JobId, JobStatus, error::Operation, id::segment, wire};

impl Client {
    /// Fetches the state of one job: `GET /v3/{project_id}/jobs/{job_id}`, "List Job Status" in the manual.
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
    /// If no usable answer comes. [`Error::class`] says whether to try again: a new job can be
    /// [not found](crate::Class::NotFound) for a while.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request. The call can safely be repeated.
    #[doc(alias = "ListJob")]
    #[doc(alias = "ListJobStatus")]
    pub async fn list_job(&self, id: &JobId) -> Result<Job, Error> {
        let call = Call {
            operation: Operation::ListJob(id),
            method: Method::GET,
            body: Vec::new(),
            client_token: None,
            url: &|endpoint, project| {
                endpoint.join(&["/v3/", project, "/jobs/", &segment(id.as_str())].concat())
            },
            parse: &|body, sanitise| {
                wire::job::parse(id, body).map(|body| Job {
                    id: id.clone(),
                    status: match body.status {
                        JobStatus::Other(text) => JobStatus::Other(sanitise(&text)),
                        known => known,
                    },
                    begin_time: body.begin_time,
                    end_time: body.end_time,
                    error_code: body.error_code.map(|code| sanitise(&code)),
                    error_msg: body.error_msg.map(|text| sanitise(&text)),
                    answered: None,
                    request_id: None,
                })
            },
        };
        let (job, answer) = self.send(&call).await?;
        Ok(Job { answered: answer.answered, request_id: answer.request_id, ..job })
    }
}

//! Calls about firewalls: the mutations that start jobs, and the result of those.

use reqwest::Method;

use super::{Client, call::Call};
use crate::{
    Class, CreateFirewall, Created, Error, Firewall, FirewallId, JobId, error::Operation,
    id::segment, wire,
};

impl Client {
    /// Creates a firewall: `POST /v2/{project_id}/firewall`.
    ///
    /// A job creates a pay-per-use firewall. Once the job has succeeded, the firewall exists under the job's id.
    ///
    /// ```no_run
    /// # async fn f(client: cfw_api::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use cfw_api::{CreateFirewall, FirewallId};
    ///
    /// let created = client.create_firewall(&CreateFirewall::builder("edge").build()?).await?;
    /// if let Some(job) = created.job_id {
    ///     println!("wait for job {job}, which creates firewall {}", FirewallId::from(job.clone()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the service refuses or no usable answer comes. After a [transient](Error::is_transient) error the
    /// firewall may be in creation: send the *same* request again. Its client token makes the create idempotent.
    ///
    /// # Cancel safety
    /// Dropping the future does not cancel a request that was sent. Send the same request again to learn its job.
    pub async fn create_firewall(&self, request: &CreateFirewall) -> Result<Created, Error> {
        let call = Call {
            operation: Operation::CreateFirewall,
            method: Method::POST,
            url: &|endpoint, project| endpoint.join(&["/v2/", project, "/firewall"].concat()),
            body: request.body(),
            client_token: Some(request.client_token()),
            parse: &|body, _| Ok(wire::firewall::created(body)?),
        };
        let (created, answer) = self.send(&call).await?;
        Ok(Created { request_id: answer.request_id, ..created })
    }

    /// Deletes a pay-per-use firewall: `DELETE /v2/{project_id}/firewall/{id}`. Returns the job that deletes it.
    ///
    /// Whether such a job can be listed is not documented. [`get_firewall`](Self::get_firewall) shows reliably when
    /// the firewall is gone.
    ///
    /// # Errors
    /// If the service refuses or no usable answer comes; [not found](Class::NotFound) if there is no such
    /// firewall, perhaps because an earlier delete, whose answer was lost, has succeeded.
    ///
    /// # Cancel safety
    /// Dropping the future does not cancel a request that was sent.
    pub async fn delete_firewall(&self, id: &FirewallId) -> Result<JobId, Error> {
        let call = Call {
            operation: Operation::DeleteFirewall(id),
            method: Method::DELETE,
            url: &|endpoint, project| {
                endpoint.join(&["/v2/", project, "/firewall/", &segment(id.as_str())].concat())
            },
            body: Vec::new(),
            client_token: None,
            parse: &|body, _| Ok(wire::firewall::deleted(body)?),
        };
        Ok(self.send(&call).await?.0)
    }

    /// Fetches one firewall: `GET /v1/{project_id}/firewall/exist`. Returns `None` if it does not exist or no longer
    /// exists: the service says so, does not list it, or lists it as deleted.
    ///
    /// # Errors
    /// If no usable answer comes. An HTTP 404 is an error of class [not found](Class::NotFound) and not `None`: the
    /// service itself does not send it, and a proxy's answer must not count as the end of a firewall.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request. The call can safely be repeated.
    pub async fn get_firewall(&self, id: &FirewallId) -> Result<Option<Firewall>, Error> {
        let call = Call {
            operation: Operation::GetFirewall(id),
            method: Method::GET,
            url: &|endpoint, project| {
                let mut url = endpoint.join(&["/v1/", project, "/firewall/exist"].concat());
                // Offset, limit and service type (0, the internet border) are mandatory even with an id.
                let id = segment(id.as_str());
                url.set_query(Some(&format!(
                    "offset=0&limit=10&service_type=0&fw_instance_id={id}"
                )));
                url
            },
            body: Vec::new(),
            client_token: None,
            parse: &|body, sanitise| {
                let found = wire::firewall::find(id, body)?;
                Ok(found
                    .map(|found| Firewall { name: found.name.as_deref().map(sanitise), ..found }))
            },
        };
        match self.send(&call).await {
            Ok((found, _)) => Ok(found),
            Err(error) if error.class() == Class::NotFound && error.status() != Some(404) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

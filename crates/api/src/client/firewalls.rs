//! Calls about firewalls: the mutations whose jobs are waited for, and what they have come to.

use reqwest::Method;

use super::{Call, Client};
use crate::{
    Class, CreateFirewall, Created, Error, Firewall, FirewallId, JobId, error::What, firewall,
    id::segment,
};

impl Client {
    /// Creates a firewall: `POST /v2/{project_id}/firewall`.
    ///
    /// A pay-per-use firewall is created by a job; once that has succeeded, the firewall is there, under the
    /// job's id.
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
    /// firewall may be on its way: send the *same* request again, which its client token makes the same
    /// create.
    ///
    /// # Cancel safety
    /// Dropping the future does not take back a request that is on its way; send the same one again to learn
    /// of its job.
    pub async fn create_firewall(&self, request: &CreateFirewall) -> Result<Created, Error> {
        let call = Call {
            what: What::CreateFirewall,
            method: Method::POST,
            url: &|endpoint, project| endpoint.join(&["/v2/", project, "/firewall"].concat()),
            body: request.body(),
            client_token: Some(request.client_token()),
            read: &|body, _| Ok(firewall::created(body)?),
        };
        let (created, reply) = self.send(&call).await?;
        Ok(Created { request_id: reply.request_id, ..created })
    }

    /// Deletes a pay-per-use firewall: `DELETE /v2/{project_id}/firewall/{id}`. Returns the job that does it.
    ///
    /// Whether such a job can be asked for is not documented. [`get_firewall`](Self::get_firewall) tells for
    /// sure when the firewall is gone.
    ///
    /// # Errors
    /// If the service refuses or no usable answer comes; [not found](Class::NotFound) if there is no such
    /// firewall, perhaps because an earlier delete, whose answer was lost, has done its work.
    ///
    /// # Cancel safety
    /// Dropping the future does not take back a request that is on its way.
    pub async fn delete_firewall(&self, id: &FirewallId) -> Result<JobId, Error> {
        let call = Call {
            what: What::DeleteFirewall(id),
            method: Method::DELETE,
            url: &|endpoint, project| {
                endpoint.join(&["/v2/", project, "/firewall/", &segment(id.as_str())].concat())
            },
            body: Vec::new(),
            client_token: None,
            read: &|body, _| Ok(firewall::deleted(body)?),
        };
        Ok(self.send(&call).await?.0)
    }

    /// Asks for one firewall: `GET /v1/{project_id}/firewall/exist`. `None` means that it is gone, or was
    /// never there: the service says so, does not list it, or lists it as deleted.
    ///
    /// # Errors
    /// If no usable answer comes. An HTTP 404 is an error of class [not found](Class::NotFound) and no `None`:
    /// the service itself does not answer so, and a proxy's word must not pass for a firewall's end.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request. Asking again is always safe.
    pub async fn get_firewall(&self, id: &FirewallId) -> Result<Option<Firewall>, Error> {
        let call = Call {
            what: What::GetFirewall(id),
            method: Method::GET,
            url: &|endpoint, project| {
                let mut url = endpoint.join(&["/v1/", project, "/firewall/exist"].concat());
                // Offset, limit and service type (0, the internet border) are mandatory, whatever the id.
                let id = segment(id.as_str());
                url.set_query(Some(&format!(
                    "offset=0&limit=10&service_type=0&fw_instance_id={id}"
                )));
                url
            },
            body: Vec::new(),
            client_token: None,
            read: &|body, shown| {
                let found = firewall::find(id, body)?;
                Ok(found.map(|found| Firewall { name: found.name.as_deref().map(shown), ..found }))
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

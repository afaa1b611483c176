//! The client.

use std::{fmt, sync::Arc, time::Duration};

use crate::{auth::CredentialManager, http::transport::Transport};

mod builder;
mod call;
mod endpoint_source;
mod firewalls;
mod from_settings;
mod jobs;

pub use self::builder::ClientBuilder;
use self::endpoint_source::EndpointSource;

/// A client of the Cloud Firewall service, for one project.
///
/// Cloning is cheap, and clones share connections and credentials. Each call is one HTTP request. It is repeated
/// only after credentials were renewed, see the [crate documentation](crate).
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Limits each request of this handle.
    limit: Option<Duration>,
}

struct Inner {
    endpoint: EndpointSource,
    project_id: Option<String>,
    manager: CredentialManager,
    transport: Arc<Transport>,
}

impl Client {
    /// Returns a builder. Endpoint, project id and credentials are required.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), limit: None }
    }

    /// Returns this client, with the same connections and credentials, whose requests take no longer than `limit`,
    /// nor longer than the [`request_timeout`](ClientBuilder::request_timeout) if that was set. A limit above its default
    /// allows more.
    #[must_use]
    pub fn limit_requests(mut self, limit: Duration) -> Self {
        self.limit = Some(self.limit.map_or(limit, |known| known.min(limit)));
        self
    }

    /// Returns the longest time that a call may take: waiting for another call to probe new credentials, or for
    /// their renewal, and sending a request twice.
    pub fn longest_call(&self) -> Duration {
        let transport = &self.inner.transport;
        let request = transport.request_limit(self.limit);
        let probe = transport.request_timeout;
        request
            .saturating_mul(2)
            .saturating_add(probe)
            .saturating_add(CredentialManager::MAX_RENEWAL)
    }
}

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

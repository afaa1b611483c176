//! What the tests of the client share: a client for loopback, and its constants.

use cfw_api::{Client, ClientBuilder, Credentials, JobId};

pub(crate) const ID: &str = "cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f";
pub(crate) const TOKEN: &str = "SENSITIVE-token-0123456789abcdef";

pub(crate) fn id() -> JobId {
    JobId::new(ID).unwrap()
}

pub(crate) fn builder(endpoint: &str) -> ClientBuilder {
    Client::builder()
        .endpoint(endpoint)
        .project_id("project")
        .credentials(Credentials::token(TOKEN))
}

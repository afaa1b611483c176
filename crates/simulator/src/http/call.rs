//! The context of a handler.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::request::Parts;

use crate::faults::fault::Fault;
use crate::http::answer::Answer;
use crate::model::route::Route;
use crate::state::shared::Shared;

/// A request that has been read and is answered now.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) route: Route,
    pub(crate) now: Duration,
    pub(crate) parts: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) fault: Option<&'a Fault>,
    pub(crate) request_id: &'a str,
}

impl Call<'_> {
    pub(crate) fn forbidden(&self) -> Answer {
        let msg = "The IAM user is not allowed to access the API of this project";
        Answer::gateway(403, "APIGW.0302", msg, self.request_id)
    }

    pub(crate) fn not_published(&self) -> Answer {
        let msg = "The API does not exist or has not been published in the environment";
        Answer::gateway(404, "APIGW.0101", msg, self.request_id)
    }
}

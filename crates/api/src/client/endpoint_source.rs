//! Where the endpoint of a client comes from.

use crate::http::endpoint::Endpoint;

/// What is known of the service's endpoint before there is a token.
#[derive(Debug)]
pub(crate) enum EndpointSource {
    /// This endpoint.
    Fixed(Endpoint),
    /// This endpoint, unless the token's catalog has one.
    Fallback(Endpoint),
    /// The one in the token's catalog.
    Catalog,
}

//! Where the endpoint of a client comes from.

use crate::{auth::CatalogEndpoint, http::endpoint::Endpoint};

/// Where the endpoint of the service comes from, before there is a token.
#[derive(Debug)]
pub(crate) enum EndpointSource {
    /// This endpoint.
    Fixed(Endpoint),
    /// The one in the token's catalog, or this one if the catalog has none for the service.
    Fallback(Endpoint),
    /// The one in the token's catalog. The text says why no other can be derived.
    Catalog(String),
}

impl EndpointSource {
    /// Returns the endpoint, given the token's catalog. The error says why there is none.
    pub(super) fn endpoint<'a>(
        &'a self,
        catalog: &'a CatalogEndpoint,
    ) -> Result<&'a Endpoint, String> {
        match (self, catalog) {
            (Self::Fixed(endpoint), _)
            | (_, CatalogEndpoint::Found(endpoint))
            | (Self::Fallback(endpoint), CatalogEndpoint::None) => Ok(endpoint),
            (Self::Fallback(_) | Self::Catalog(_), CatalogEndpoint::Unfit(problem)) => {
                Err(format!("no endpoint: {problem}; {REMEDY}"))
            }
            (Self::Catalog(reason), CatalogEndpoint::None) => Err(format!(
                "no endpoint: the token's catalog has no cfw entry, and {reason}; {REMEDY}"
            )),
        }
    }
}

const REMEDY: &str = "set the endpoint (CFW_ENDPOINT)";

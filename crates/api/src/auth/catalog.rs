//! The service's endpoint in the catalog of a token.

use serde_json::Value;

/// Which endpoint to take from a token's catalog.
pub(crate) struct CatalogQuery {
    /// Whether to request a catalog. It adds some ten kilobytes to the answer.
    pub(crate) wanted: bool,
    pub(crate) region: Option<String>,
    /// `public`, `internal` or `admin`.
    pub(crate) interface: String,
    pub(crate) allow_plain_http: bool,
}

/// Returns the service's URL of the newest version and of the wanted region and interface.
pub(super) fn cfw_url<'a>(token: &'a Value, catalog_query: &CatalogQuery) -> Option<&'a str> {
    let catalog = token.get("catalog")?.as_array()?;
    fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
        value.get(key)?.as_str()
    }
    let fits = |endpoint: &&Value| {
        let of_interface = text(endpoint, "interface")
            .is_none_or(|interface| interface == catalog_query.interface);
        let in_region = match (text(endpoint, "region"), &catalog_query.region) {
            (None | Some("*"), _) | (_, None) => true,
            (Some(region), Some(wanted)) => region == wanted,
        };
        of_interface && in_region
    };
    ["cfwv3", "cfwv2", "cfwv1", "cfw"].into_iter().find_map(|name| {
        let entries = catalog.iter().filter(|entry| text(entry, "type") == Some(name));
        let mut endpoints =
            entries.filter_map(|entry| entry.get("endpoints")?.as_array()).flatten();
        text(endpoints.find(fits)?, "url")
    })
}

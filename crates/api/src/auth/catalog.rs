//! The service's endpoint in the catalog of a token.

use serde_json::Value;

use crate::http::endpoint::Endpoint;

/// Which endpoint to take from a token's catalog.
pub(crate) struct CatalogQuery {
    /// Whether to request a catalog. It adds some ten kilobytes to the answer.
    pub(crate) wanted: bool,
    pub(crate) region: Option<String>,
    /// `public`, `internal` or `admin`, the preferred one first.
    pub(crate) interfaces: Vec<String>,
    pub(crate) allow_plain_http: bool,
}

/// What a catalog says about the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CatalogEndpoint {
    /// It has no entry for the service.
    None,
    Found(Endpoint),
    /// It has entries, but none for the wanted region and interface, or several. The text lists them.
    Unfit(String),
}

/// The types under which clouds list the service, the newest version first.
const TYPES: [&str; 4] = ["cfwv3", "cfwv2", "cfwv1", "cfw"];

/// An endpoint of the service in the catalog.
struct Candidate<'a> {
    /// The index in [`TYPES`].
    version: usize,
    region: Option<&'a str>,
    interface: &'a str,
    endpoint: Endpoint,
}

/// Returns the service's endpoint in the catalog of `token`, which IAM sent from `iam`.
pub(super) fn find(token: &Value, query: &CatalogQuery, iam: &Endpoint) -> CatalogEndpoint {
    let (candidates, problems) = candidates(token, query, iam);
    if candidates.is_empty() && problems.is_empty() {
        return CatalogEndpoint::None;
    }
    let unfit = |problem: &str| {
        let mut listed: Vec<String> = candidates.iter().map(Candidate::describe).collect();
        listed.extend(problems.iter().cloned());
        listed.sort_unstable();
        listed.dedup();
        CatalogEndpoint::Unfit(format!(
            "the token's catalog has {problem}, but {}",
            listed.join("; ")
        ))
    };
    if candidates.is_empty() {
        return unfit("no usable cfw endpoint");
    }
    let in_region: Vec<&Candidate<'_>> =
        candidates.iter().filter(|candidate| candidate.is_in(query.region.as_deref())).collect();
    if in_region.is_empty() {
        let region = query.region.as_deref().unwrap_or_default();
        return unfit(&format!("no cfw endpoint for region {region}"));
    }
    let of_interface = query.interfaces.iter().find_map(|interface| {
        let fitting: Vec<&Candidate<'_>> = in_region
            .iter()
            .copied()
            .filter(|candidate| candidate.interface.eq_ignore_ascii_case(interface))
            .collect();
        (!fitting.is_empty()).then_some(fitting)
    });
    let Some(fitting) = of_interface else {
        return unfit(&format!("no {} cfw endpoint", query.interfaces.join(" or ")));
    };
    let mut regions = fitting.iter().filter_map(|candidate| candidate.region);
    let first = regions.next();
    if query.region.is_none()
        && regions.any(|region| !first.is_some_and(|first| first.eq_ignore_ascii_case(region)))
    {
        return unfit("cfw endpoints in several regions and none is set");
    }
    // An endpoint of the region itself precedes one for all regions.
    let best =
        fitting.iter().min_by_key(|candidate| (candidate.version, candidate.region.is_none()));
    match best {
        Some(candidate) => CatalogEndpoint::Found(candidate.endpoint.clone()),
        None => CatalogEndpoint::None,
    }
}

/// Returns the usable endpoints of the service, and what is wrong with the others.
fn candidates<'a>(
    token: &'a Value,
    query: &CatalogQuery,
    iam: &Endpoint,
) -> (Vec<Candidate<'a>>, Vec<String>) {
    let text = |value: &'a Value, key: &str| value.get(key).and_then(Value::as_str);
    let catalog = token.get("catalog").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (mut candidates, mut problems) = (Vec::new(), Vec::new());
    for entry in catalog {
        let Some(version) =
            text(entry, "type").and_then(|name| TYPES.iter().position(|known| *known == name))
        else {
            continue;
        };
        let endpoints =
            entry.get("endpoints").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for endpoint in endpoints {
            let region = text(endpoint, "region")
                .or_else(|| text(endpoint, "region_id"))
                .filter(|r| *r != "*");
            let Some(url) = text(endpoint, "url") else {
                problems.push("an entry without a URL, which was skipped".to_owned());
                continue;
            };
            match Endpoint::parse("catalog", url, query.allow_plain_http) {
                // A service on this machine is not what the IAM of a cloud is about.
                Ok(endpoint) if endpoint.is_loopback() && !iam.is_loopback() => {
                    problems.push("an entry for this machine, which was skipped".to_owned());
                }
                Ok(url) => candidates.push(Candidate {
                    version,
                    region,
                    interface: text(endpoint, "interface").unwrap_or("public"),
                    endpoint: url.without_version(),
                }),
                Err(error) => problems.push(format!("an entry that was skipped ({error})")),
            }
        }
    }
    (candidates, problems)
}

impl Candidate<'_> {
    fn is_in(&self, region: Option<&str>) -> bool {
        match (self.region, region) {
            (None, _) | (_, None) => true,
            (Some(region), Some(wanted)) => region.eq_ignore_ascii_case(wanted),
        }
    }

    fn describe(&self) -> String {
        format!("{} ({}, {})", self.endpoint, self.region.unwrap_or("all regions"), self.interface)
    }
}

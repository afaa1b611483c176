//! Where the jobs of a state file are: their ids mean nothing elsewhere.

use cfw_api::Settings;
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// The longest part of a place, in bytes. In JSON a byte takes six at most.
const LONGEST: usize = 1 << 10;

/// The service and the project, as far as they are known without asking. No secret is part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project_name: Option<String>,
    /// The host, and the port unless it is that of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

impl Place {
    pub(crate) fn from_settings(settings: &Settings) -> Self {
        Self {
            project_id: settings.project_id().map(str::to_owned),
            project_name: settings.project_name().map(str::to_owned),
            endpoint: settings.endpoint().map(host),
            region: settings.region().map(str::to_owned),
        }
    }

    /// Checks that no part is longer than the first line of a file has room for.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let Self { project_id, project_name, endpoint, region } = self;
        for (what, part) in [
            ("project id", project_id),
            ("project name", project_name),
            ("host of the endpoint", endpoint),
            ("region", region),
        ] {
            if part.as_ref().is_some_and(|part| part.len() > LONGEST) {
                return Err(Problem::TooLong(what, LONGEST));
            }
        }
        Ok(())
    }

    /// Compares this place with the one that a file has recorded, and returns the parts that are known in either. A part that
    /// is known in one of them only is no difference.
    pub(super) fn merge(self, recorded: Self) -> Result<Self, Problem> {
        let Self { project_id, project_name, endpoint, region } = recorded;
        Ok(Self {
            project_id: same("project", project_id, self.project_id)?,
            project_name: same("project", project_name, self.project_name)?,
            endpoint: same("endpoint", endpoint, self.endpoint)?,
            region: same("region", region, self.region)?,
        })
    }
}

fn same(
    what: &'static str,
    recorded: Option<String>,
    given: Option<String>,
) -> Result<Option<String>, Problem> {
    match (recorded, given) {
        (Some(recorded), Some(given)) if recorded != given => {
            Err(Problem::Elsewhere(what, recorded, given))
        }
        (recorded, given) => Ok(recorded.or(given)),
    }
}

/// Returns the host of a URL, and its port unless it is that of the scheme, without the user and the password that it may hold.
fn host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = if scheme.eq_ignore_ascii_case("http") { ":80" } else { ":443" };
    let host = host.strip_suffix(port).or_else(|| host.strip_suffix(':')).unwrap_or(host);
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_without_secrets() {
        for (url, expected) in [
            ("https://CFW.example.com/v1?a=b", "cfw.example.com"),
            ("https://user:SENSITIVE@cfw.example.com:8443#x", "cfw.example.com:8443"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("cfw.example.com", "cfw.example.com"),
            ("https://a:SENSITIVE@b@c", "c"),
            ("HTTPS://cfw.example.com:443/", "cfw.example.com"),
            ("https://cfw.example.com:/v1/", "cfw.example.com"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://cfw.example.com:443", "cfw.example.com:443"),
            ("https://cfw.example.com:1443", "cfw.example.com:1443"),
            ("https://[2001:db8::443]", "[2001:db8::443]"),
        ] {
            assert_eq!(host(url), expected);
        }
    }

    #[test]
    fn no_part_is_longer_than_a_header_has_room_for() {
        let place = |name: &str| Place { project_name: Some(name.to_owned()), ..Place::default() };
        place(&"x".repeat(LONGEST)).check().unwrap();
        let problem = place(&"x".repeat(LONGEST + 1)).check().unwrap_err().to_string();
        assert_eq!(problem, "cannot be used: the project name is longer than 1024 bytes");
        // As long as can be, in JSON.
        let part = Some("\u{1}".repeat(LONGEST));
        let [project_id, project_name, endpoint, region] = [(); 4].map(|()| part.clone());
        let longest = Place { project_id, project_name, endpoint, region };
        longest.check().unwrap();
        assert!(serde_json::to_string(&longest).unwrap().len() + 100 < super::super::HEADER);
    }

    #[test]
    fn places_differ_only_in_what_both_name() {
        let place = |project: Option<&str>, endpoint: Option<&str>| Place {
            project_id: project.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            ..Place::default()
        };
        let merge =
            |recorded, given: Place| given.merge(recorded).map_err(|error| error.to_string());
        let all = || place(Some("p"), Some("h"));
        assert_eq!(merge(all(), all()), Ok(all()));
        assert_eq!(merge(place(None, Some("h")), place(Some("p"), None)), Ok(all()));
        assert_eq!(merge(Place::default(), Place::default()), Ok(Place::default()));
        assert_eq!(
            merge(all(), place(Some("q"), Some("h"))),
            Err(r#"holds jobs of project "p", and not of "q"; use a file for each"#.to_owned())
        );
        let endpoint = merge(all(), place(Some("p"), Some("i"))).unwrap_err();
        assert!(
            endpoint.starts_with(r#"holds jobs of endpoint "h", and not of "i""#),
            "{endpoint}"
        );
    }
}

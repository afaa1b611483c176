//! Base URLs.

use std::{fmt, net::IpAddr};

use reqwest::Url;

use crate::ConfigError;

/// A URL to which paths are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Checks a base URL. Plain http exposes tokens, so it must be allowed explicitly except for this machine.
    pub(crate) fn parse(
        field: &'static str,
        text: &str,
        allow_plain_http: bool,
    ) -> Result<Self, ConfigError> {
        let text = text.trim();
        let wrong = |problem: &str| {
            // The text before an '@' can be a password, and a query or fragment can hold a signature.
            if text.contains(['@', '?', '#']) {
                ConfigError::hidden(field, problem)
            } else {
                ConfigError::new(field, text, problem)
            }
        };
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("https" | "http") => (),
            _ => {
                return Err(wrong(
                    "has no scheme: it must start with https:// (or http:// on this machine)",
                ));
            }
        }
        let url =
            crate::url::parse(text).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds a user name or password: give credentials apart from it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("holds a query or fragment: it must be a base URL"));
        }
        if url.scheme() == "http" && !is_loopback(&url) && !allow_plain_http {
            return Err(wrong(
                "is plain http, which shows the token to the network: use https, or allow plain http explicitly",
            ));
        }
        Ok(Self(url))
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Appends `path`, which starts with a slash and is encoded. Only the path is parsed, so this cannot fail.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        match self.0.path().trim_end_matches('/') {
            "" => url.set_path(path),
            base => url.set_path(&[base, path].concat()),
        }
        url
    }

    /// Removes the path from a version on. URLs in a catalog end in a version and perhaps a project, which the
    /// paths of calls contain as well.
    pub(crate) fn without_version(mut self) -> Self {
        let is_no_version = |name: &&str| {
            !name
                .strip_prefix('v')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let base: Vec<&str> = self.0.path().split('/').take_while(is_no_version).collect();
        let base = base.join("/");
        self.0.set_path(&base);
        self
    }

    /// Returns the path to the third version of IAM below this URL, which may end in it.
    pub(crate) fn version_path(&self) -> &'static str {
        if self.0.path().trim_end_matches('/').ends_with("/v3") { "" } else { "/v3" }
    }

    /// Returns the host, without a port.
    pub(crate) fn host(&self) -> Option<&str> {
        self.0.host_str()
    }

    /// Removes the path of a URL from a version on, without other checks.
    pub(crate) fn without_version_of(url: &str) -> String {
        // Templates such as `%(project_id)s` are part of what is removed.
        match crate::url::parse(url) {
            Ok(url) => Self(url).without_version().to_string(),
            Err(_) => url.to_owned(),
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        is_local(&self.0)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

/// Returns whether a URL is plain http on this machine, which needs neither proxies nor certificates.
pub(crate) fn is_local(url: &Url) -> bool {
    url.scheme() == "http" && is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_checked() {
        let good = [
            "https://cfw.eu-de.otc.t-systems.com",
            "https://h:8443/gw/cfw/",
            " https://h\n",
            "HTTPS://h",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost:1",
            "http://a.localhost",
        ];
        for text in good {
            Endpoint::parse("endpoint", text, false).unwrap();
        }
        let rows = [
            ("cfw.example.com", "endpoint \"cfw.example.com\": has no scheme: "),
            ("localhost:8080", "endpoint \"localhost:8080\": has no scheme: "),
            ("ftp://h", "endpoint \"ftp://h\": has no scheme: "),
            ("", "endpoint \"\": has no scheme: "),
            ("https://", "endpoint \"https://\": is not a URL: empty host"),
            ("https://h/?a=SENSITIVE", "endpoint: holds a query"),
            ("https://h/#SENSITIVE", "endpoint: holds a query or fragment"),
            ("h/?a=SENSITIVE", "endpoint: has no scheme"),
            ("http://example.com", "endpoint \"http://example.com\": is plain http"),
            ("http://10.0.0.1", "endpoint \"http://10.0.0.1\": is plain http"),
            (
                "http://localhost.example.com",
                "endpoint \"http://localhost.example.com\": is plain http",
            ),
            ("https://user:SENSITIVE@h", "endpoint: holds a user name or password"),
            ("user:SENSITIVE@h", "endpoint: has no scheme"),
        ];
        for (text, message) in rows {
            let error = Endpoint::parse("endpoint", text, false).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        Endpoint::parse("endpoint", "http://10.0.0.1", true).unwrap();
    }

    #[test]
    fn a_catalog_url_loses_its_version_and_project() {
        let rows = [
            ("https://v3.example.com/v3/0123", "https://v3.example.com/"),
            ("https://h/v1.0/0123", "https://h/"),
            ("https://h/gw/v2", "https://h/gw"),
            ("https://h/vpn", "https://h/vpn"),
            ("https://h", "https://h/"),
        ];
        for (url, base) in rows {
            assert_eq!(
                Endpoint::parse("endpoint", url, false).unwrap().without_version().to_string(),
                base
            );
        }
    }

    #[test]
    fn a_path_is_appended_to_the_base() {
        for base in ["https://h/gw", "https://h/gw/"] {
            let endpoint = Endpoint::parse("endpoint", base, false).unwrap();
            assert_eq!(
                endpoint.join("/v3/p/jobs/a%20b%25").as_str(),
                "https://h/gw/v3/p/jobs/a%20b%25"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn a_path_that_is_appended_reads_like_one_that_is_parsed(
            base in "https?://(127\\.0\\.0\\.1|\\[::1\\]|localhost)(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9.%_-]{0,5}){0,3}",
            id: String,
        ) {
            let endpoint = Endpoint::parse("endpoint", &base, false).unwrap();
            let path = format!("/v3/p/jobs/{}", crate::id::segment(&id));
            let base = endpoint.0.as_str().trim_end_matches('/');
            let parsed = Url::parse(&format!("{base}{path}")).unwrap();
            proptest::prop_assert_eq!(endpoint.join(&path), parsed);
        }
    }
}

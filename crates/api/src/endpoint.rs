//! Base URLs, checked once.

use std::fmt;

use reqwest::Url;

use crate::ConfigError;

/// A URL to which paths are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Checks a base URL. Plain http carries tokens for all to read, so off this machine it must be asked for.
    pub(crate) fn parse(
        field: &'static str,
        text: &str,
        allow_plain_http: bool,
    ) -> Result<Self, ConfigError> {
        let text = text.trim();
        let wrong = |problem: &str| {
            // What stands before an '@' can be a password.
            if text.contains('@') {
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
        let url = Url::parse(text).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds a user name or password: give credentials apart from it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("holds a query or fragment: it must be a base URL"));
        }
        let endpoint = Self(url);
        if endpoint.is_plain() && !endpoint.is_loopback() && !allow_plain_http {
            return Err(wrong(
                "is plain http: use https, or allow_plain_http(true) if everyone may read the token",
            ));
        }
        Ok(endpoint)
    }

    /// The URL of `path`, which starts with a slash, is encoded, and may have a query.
    pub(crate) fn join(
        &self,
        path: &impl fmt::Display,
    ) -> Result<Url, impl std::error::Error + Send + Sync + 'static> {
        Url::parse(&format!("{}{path}", self.0.as_str().trim_end_matches('/')))
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address =
            host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        address.is_ok_and(|address| address.is_loopback())
            || host == "localhost"
            || host.ends_with(".localhost")
    }
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
            ("https://h/?a=b", "endpoint \"https://h/?a=b\": holds a query"),
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
    fn a_path_is_appended_to_the_base() {
        for base in ["https://h/gw", "https://h/gw/"] {
            let endpoint = Endpoint::parse("endpoint", base, false).unwrap();
            assert_eq!(
                endpoint.join(&"/v3/p/jobs/a%20b%25").unwrap().as_str(),
                "https://h/gw/v3/p/jobs/a%20b%25"
            );
        }
    }
}

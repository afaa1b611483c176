//! Which proxy a request goes through: by the variables that curl knows, `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and
//! `NO_PROXY`, each in upper or lower case.
//!
//! reqwest reads the same variables, but passes over what it cannot use, and its `NO_PROXY` knows neither `*.domain`
//! nor `host:port`.

use std::{fmt, net::IpAddr, sync::Arc};

use reqwest::{ClientBuilder, Url};

use crate::ConfigError;

/// The proxies of the environment. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Proxies(Arc<Inner>);

#[derive(Default)]
struct Inner {
    http: Option<Variable>,
    https: Option<Variable>,
    except: Vec<Exception>,
}

/// A variable that names a proxy. The value may hold a password.
#[derive(Clone)]
struct Variable {
    name: &'static str,
    proxy: Result<Url, &'static str>,
}

impl Proxies {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the variables of proxies are read"
    )]
    pub(super) fn from_env() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        // A web server passes a request's header `Proxy` on to a CGI script as HTTP_PROXY.
        if lookup("REQUEST_METHOD").is_some() {
            return Self::default();
        }
        let variable = |names: [&'static str; 2]| {
            let (name, value) = names.iter().find_map(|name| Some((*name, lookup(name)?)))?;
            let value = value.trim();
            (!value.is_empty()).then(|| Variable { name, proxy: parse(value) })
        };
        let all = variable(["ALL_PROXY", "all_proxy"]);
        let except = lookup("NO_PROXY").or_else(|| lookup("no_proxy")).unwrap_or_default();
        Self(Arc::new(Inner {
            http: variable(["HTTP_PROXY", "http_proxy"]).or_else(|| all.clone()),
            https: variable(["HTTPS_PROXY", "https_proxy"]).or(all),
            except: except
                .split(|c: char| c == ',' || c.is_whitespace())
                .filter(|entry| !entry.is_empty())
                .map(Exception::parse)
                .collect(),
        }))
    }

    /// Returns an error if requests to a URL need a proxy that cannot be used.
    pub(super) fn check(&self, url: &Url) -> Result<(), ConfigError> {
        match self.variable(url) {
            Some(Variable { name, proxy: Err(problem) }) => {
                Err(ConfigError::hidden(name, *problem))
            }
            _ => Ok(()),
        }
    }

    /// Returns the proxy for a URL.
    pub(super) fn proxy(&self, url: &Url) -> Option<&Url> {
        self.variable(url)?.proxy.as_ref().ok()
    }

    fn variable(&self, url: &Url) -> Option<&Variable> {
        let variable = match url.scheme() {
            "http" => self.0.http.as_ref(),
            _ => self.0.https.as_ref(),
        }?;
        let is_excepted = self.0.except.iter().any(|exception| exception.matches(url));
        (!is_excepted).then_some(variable)
    }

    /// Makes a client use these proxies.
    pub(super) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        let builder = builder.no_proxy();
        if self.0.http.is_none() && self.0.https.is_none() {
            return builder;
        }
        let proxies = self.clone();
        builder.proxy(reqwest::Proxy::custom(move |url| proxies.proxy(url).cloned()))
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies(..)")
    }
}

fn parse(value: &str) -> Result<Url, &'static str> {
    let scheme = value.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let url = match scheme.as_deref() {
        Some("http" | "https") => crate::url::parse(value),
        None => crate::url::parse(&format!("http://{value}")),
        Some("socks4" | "socks4a" | "socks5" | "socks5h") => {
            return Err("names a SOCKS proxy, which is not supported: use one for HTTP");
        }
        Some(_) => return Err("names a proxy that is neither http:// nor https://"),
    };
    url.map_err(|_| "is no URL of a proxy")
}

/// An entry of `NO_PROXY`: hosts that are contacted directly.
#[derive(Debug, PartialEq)]
struct Exception {
    hosts: Hosts,
    /// None for all ports.
    port: Option<u16>,
}

#[derive(Debug, PartialEq)]
enum Hosts {
    All,
    Network(IpAddr, u32),
    /// A domain and the names in it.
    Domain(String),
}

impl Exception {
    fn parse(entry: &str) -> Self {
        let (host, port) = match entry.rsplit_once(':') {
            // Colons without brackets are an IPv6 address.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                match port.parse() {
                    Ok(port) => (host, Some(port)),
                    Err(_) => (entry, None),
                }
            }
            _ => (entry, None),
        };
        Self { hosts: Hosts::parse(host), port }
    }

    fn matches(&self, url: &Url) -> bool {
        self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
            && self.hosts.contain(url.host_str().unwrap_or_default())
    }
}

impl Hosts {
    fn parse(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, length.parse().ok()),
            None => (text, Some(u128::BITS)),
        };
        if let (Some(address), Some(length)) = (address_of(address), length) {
            return Self::Network(address, length);
        }
        let domain = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        Self::Domain(domain.trim_end_matches('.').to_ascii_lowercase())
    }

    fn contain(&self, host: &str) -> bool {
        match (self, address_of(host)) {
            (Self::All, _) => true,
            (Self::Network(network, length), Some(address)) => is_in(address, *network, *length),
            (Self::Domain(domain), None) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                host.strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Self::Network(..), None) | (Self::Domain(_), Some(_)) => false,
        }
    }
}

fn address_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Returns whether the first `length` bits of two addresses of a family are equal.
fn is_in(address: IpAddr, network: IpAddr, length: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= length.min(u32::BITS)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= length.min(u128::BITS)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;

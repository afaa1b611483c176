//! The HTTP clients that we build, as few as the URLs need.

use std::{path::PathBuf, time::Duration};

use reqwest::{ClientBuilder, Url, redirect};

use crate::{
    ConfigError,
    connector::{InRequest, Thrift},
    endpoint::{Endpoint, is_local},
};

/// Whether https can be spoken by the clients that we build.
const TLS: bool =
    cfg!(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"));

#[derive(Debug)]
pub(crate) struct Http {
    clients: Clients,
    /// Of the connections of clients that we build.
    thrift: Thrift,
}

#[derive(Debug)]
enum Clients {
    /// The user's own, for everything.
    Own(reqwest::Client),
    /// One for plain http on this machine, which needs neither proxy nor certificates, and one for all else.
    Split { local: Option<reqwest::Client>, remote: Option<reqwest::Client> },
}

impl Http {
    pub(crate) fn own(client: reqwest::Client) -> Self {
        Self { clients: Clients::Own(client), thrift: Thrift::new(Duration::ZERO) }
    }

    /// Makes the clients for URLs that are known, by the name of their setting, and, if more URLs may
    /// become known, one for those, if that is possible.
    pub(crate) fn for_urls(
        known: &[(&'static str, &Endpoint)],
        more: bool,
        connect_timeout: Duration,
        trust: &Trust,
    ) -> Result<Self, ConfigError> {
        let thrift = Thrift::new(connect_timeout);
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(connect_timeout)
                .connector_layer(thrift.clone())
                // A redirect would take the token to whatever host the answer names.
                .redirect(redirect::Policy::none())
                // reqwest resends what HTTP/2 refused, with the same signature and outside all our limits.
                .retry(reqwest::retry::never())
        };
        if let Some((field, endpoint)) =
            known.iter().find(|(_, endpoint)| endpoint.is_https() && !TLS)
        {
            let problem = "is https, but cfw-api was built without TLS: enable its feature `rustls`, \
                           `rustls-no-provider` or `native-tls`";
            return Err(ConfigError::new(field, endpoint.to_string(), problem));
        }
        let is_local = known.iter().any(|(_, endpoint)| endpoint.is_local());
        let mut remote = known
            .iter()
            .map(|(_, endpoint)| endpoint)
            .filter(|endpoint| !endpoint.is_local())
            .peekable();
        let is_remote = remote.peek().is_some();
        // Proxy variables are honoured even for 127.0.0.1, and no proxy reaches our loopback.
        let without_proxy = is_remote && !more && remote.all(|endpoint| endpoint.is_loopback());

        let local =
            is_local.then(|| built(without_certificates(builder().no_proxy()))).transpose()?;
        let trusting = trust.apply(builder())?;
        let remote = || built(if without_proxy { trusting.no_proxy() } else { trusting });
        let remote = if is_remote {
            Some(remote()?)
        } else if more && TLS {
            remote().ok()
        } else {
            None
        };
        Ok(Self { clients: Clients::Split { local, remote }, thrift })
    }

    /// To be called before a request is sent, and held until its answer is there.
    pub(crate) fn begin(&self) -> InRequest<'_> {
        self.thrift.begin()
    }

    pub(crate) fn for_url(&self, url: &Url) -> Option<&reqwest::Client> {
        match &self.clients {
            Clients::Own(client) => Some(client),
            Clients::Split { local, .. } if is_local(url) => local.as_ref(),
            Clients::Split { remote, .. } => remote.as_ref(),
        }
    }
}

fn built(builder: ClientBuilder) -> Result<reqwest::Client, ConfigError> {
    builder.build().map_err(|error| {
        // The cause is what helps, and it is about certificates and TLS, not about secrets.
        let cause = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        ConfigError::hidden("http_client", format!("cannot be built: {cause}"))
    })
}

/// Whom to believe beyond the system's certificates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) anyone: bool,
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
impl Trust {
    fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, ConfigError> {
        let builder = builder.tls_danger_accept_invalid_certs(self.anyone);
        let Some(path) = &self.ca_file else {
            return Ok(builder);
        };
        let wrong = |problem| ConfigError::new("ca_file", path.display().to_string(), problem);
        let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        match reqwest::Certificate::from_pem_bundle(&pem) {
            Ok(certificates) if !certificates.is_empty() => {
                Ok(builder.tls_certs_merge(certificates))
            }
            _ => Err(wrong("holds no certificates in PEM form".to_owned())),
        }
    }
}

/// Without TLS there is nobody to believe.
#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
impl Trust {
    fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, ConfigError> {
        Ok(builder)
    }
}

/// Plain http needs no certificates, but reqwest gives up on a machine that has none.
#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
fn without_certificates(builder: ClientBuilder) -> ClientBuilder {
    builder.tls_certs_only([])
}

#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
fn without_certificates(builder: ClientBuilder) -> ClientBuilder {
    builder
}

//! The HTTP clients: as few as the URLs need.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use reqwest::{
    ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use tokio::time::Instant;

use super::{
    client_pool::{ClientPool, PooledRequest, Server},
    connection_limit::{ActiveRequest, ConnectionLimiter},
    endpoint::{Endpoint, is_local},
    proxies::Proxies,
};
use crate::ConfigError;

/// Whether the built-in clients support https.
const TLS: bool =
    cfg!(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"));

#[derive(Debug)]
pub(crate) struct HttpClients {
    clients: Clients,
    /// Limits the connections of the built-in clients.
    limiter: ConnectionLimiter,
    /// The proxies of the client for other machines.
    proxies: Proxies,
}

#[derive(Debug)]
enum Clients {
    /// The application's client, for all URLs.
    Application(reqwest::Client),
    /// A client for plain http on this machine, which needs neither proxy nor certificates, and one for all
    /// other URLs.
    Split { local: Option<ClientPool>, remote: Option<ClientPool> },
}

impl HttpClients {
    pub(crate) fn of_application(client: reqwest::Client) -> Self {
        Self {
            clients: Clients::Application(client),
            limiter: ConnectionLimiter::new(Duration::ZERO),
            proxies: Proxies::default(),
        }
    }

    /// Makes the clients for the URLs of `known` settings. With `more`, further URLs may become known later, and
    /// a client for those is made if that is possible.
    pub(crate) fn for_urls(
        known: &[(&'static str, &Endpoint)],
        more: bool,
        connect_timeout: Duration,
        tls: &TlsOptions,
        resolver: Option<&Resolver>,
    ) -> Result<Self, ConfigError> {
        let limiter = ConnectionLimiter::new(connect_timeout);
        let (layer, resolver) = (limiter.clone(), resolver.cloned());
        let builder = move || {
            let builder = reqwest::Client::builder()
                .connect_timeout(connect_timeout)
                .connector_layer(layer.clone())
                // A redirected request carries the token to the host that the answer names.
                .redirect(redirect::Policy::none())
                // reqwest would resend requests that HTTP/2 refused, with the same signature and without our limits.
                .retry(reqwest::retry::never());
            let builder = with_pings(builder);
            match resolver.clone() {
                Some(resolver) => builder.dns_resolver(resolver),
                None => builder,
            }
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
        // No proxy can reach this machine.
        let without_proxy = is_remote && !more && remote.all(|endpoint| endpoint.is_loopback());
        let proxies = if without_proxy { Proxies::default() } else { Proxies::from_env() };
        for (_, endpoint) in known.iter().filter(|(_, endpoint)| !endpoint.is_local()) {
            proxies.check(endpoint.url())?;
        }

        let tls = tls.load()?;
        let local = || {
            let builder = builder.clone();
            ClientPool::new(Box::new(move || {
                built(without_certificates(builder().no_proxy().dns_resolver(Loopback)))
            }))
        };
        let local = is_local.then(local).transpose()?;
        let remote = || {
            let proxies = proxies.clone();
            ClientPool::new(Box::new(move || built(proxies.apply(tls.apply(builder())))))
        };
        let remote = if is_remote {
            Some(remote()?)
        } else if more && TLS {
            remote().ok()
        } else {
            None
        };
        Ok(Self { clients: Clients::Split { local, remote }, limiter, proxies })
    }

    /// Returns the proxy through which a URL is reached: its host and port.
    pub(super) fn proxy(&self, url: &Url) -> Option<String> {
        let proxy = self.proxies.proxy(url).filter(|_| !is_local(url))?;
        Some(host_and_port(proxy))
    }

    /// Registers a request. The guard is held until the answer has been read.
    pub(crate) fn start_request(&self) -> ActiveRequest<'_> {
        self.limiter.start_request()
    }

    /// Returns the limit that the client itself must apply to a request. An application's client may have another
    /// default.
    pub(super) fn own_timeout(&self, limit: Duration) -> Option<Duration> {
        matches!(self.clients, Clients::Application(_)).then_some(limit)
    }

    /// Starts a request to `server` at `now` that may take as long as `limit`, if there is a client for the URL.
    pub(super) fn for_url(
        &self,
        server: Server,
        url: &Url,
        now: Instant,
        limit: Duration,
    ) -> Option<PooledRequest<'_>> {
        let pool = match &self.clients {
            Clients::Application(client) => {
                return Some(PooledRequest::of_application(client, now));
            }
            Clients::Split { local, .. } if is_local(url) => local.as_ref(),
            Clients::Split { remote, .. } => remote.as_ref(),
        };
        Some(pool?.start(server, now, limit))
    }
}

/// Returns a URL's host and port, without user name, password and path.
pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A resolver in place of the system's.
pub(crate) type Resolver = Arc<dyn Resolve>;

/// Lets HTTP/2 find a dead connection while a request waits for its answer: within 7 s, whatever the request's limit.
#[cfg(feature = "http2")]
fn with_pings(builder: ClientBuilder) -> ClientBuilder {
    builder
        .http2_keep_alive_interval(Duration::from_secs(3))
        .http2_keep_alive_timeout(Duration::from_secs(4))
}

#[cfg(not(feature = "http2"))]
fn with_pings(builder: ClientBuilder) -> ClientBuilder {
    builder
}

/// Resolves every name to this machine. The resolver of the system may ask others for names such as
/// `cfw.localhost`, and plain http is allowed to them.
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: [SocketAddr; 2] =
            [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
        let addresses: Addrs = Box::new(addresses.into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

fn built(builder: ClientBuilder) -> Result<reqwest::Client, ConfigError> {
    builder.build().map_err(|error| {
        // The cause says what to do. It is about certificates and TLS and holds no secret.
        let cause = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        ConfigError::hidden("http_client", format!("cannot be built: {cause}"))
    })
}

/// Which certificates to accept beyond the system's.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsOptions {
    pub(crate) ca_file: Option<PathBuf>,
    /// The files of the client's certificate and of its key.
    pub(crate) identity: Option<(PathBuf, Option<PathBuf>)>,
    pub(crate) accept_invalid_certs: bool,
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
impl TlsOptions {
    /// Reads the files.
    fn load(&self) -> Result<Tls, ConfigError> {
        let identity = match &self.identity {
            Some((certificate, key)) => Some(identity(certificate, key.as_deref())?),
            None => None,
        };
        let certificates = match &self.ca_file {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        Ok(Tls { certificates, identity, accept_invalid_certs: self.accept_invalid_certs })
    }
}

/// Certificates that have been read.
#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
struct Tls {
    certificates: Vec<reqwest::Certificate>,
    identity: Option<reqwest::Identity>,
    accept_invalid_certs: bool,
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
impl Tls {
    fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        let mut builder = builder.tls_danger_accept_invalid_certs(self.accept_invalid_certs);
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        match self.certificates.is_empty() {
            true => builder,
            false => builder.tls_certs_merge(self.certificates.iter().cloned()),
        }
    }
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
fn certificates(path: &std::path::Path) -> Result<Vec<reqwest::Certificate>, ConfigError> {
    let pem = read("ca_file", path)?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unusable("ca_file", path, "holds no certificates in PEM form".to_owned())),
    }
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
fn identity(
    certificate: &std::path::Path,
    key: Option<&std::path::Path>,
) -> Result<reqwest::Identity, ConfigError> {
    let pem = read("client_certificate", certificate)?;
    let key = key.map(|key| read("client_certificate", key)).transpose()?;
    #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
    let identity = {
        let mut pem = pem;
        if let Some(key) = key {
            pem.push(b'\n');
            pem.extend_from_slice(&key);
        }
        reqwest::Identity::from_pem(&pem)
    };
    #[cfg(not(any(feature = "rustls", feature = "rustls-no-provider")))]
    let identity = {
        let key = key.unwrap_or_else(|| pem.clone());
        reqwest::Identity::from_pkcs8_pem(&pem, &key)
    };
    // The parser's message could quote the key.
    identity.map_err(|_| {
        unusable(
            "client_certificate",
            certificate,
            "holds no certificate and key in PEM form".to_owned(),
        )
    })
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
fn read(field: &'static str, path: &std::path::Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| unusable(field, path, format!("cannot be read: {error}")))
}

#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
fn unusable(field: &'static str, path: &std::path::Path, problem: String) -> ConfigError {
    ConfigError::new(field, path.display().to_string(), problem)
}

/// Without TLS there are no certificates.
#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
struct Tls;

#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
impl TlsOptions {
    fn load(&self) -> Result<Tls, ConfigError> {
        Ok(Tls)
    }
}

#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
impl Tls {
    fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        builder
    }
}

/// Plain http needs no certificates, but reqwest fails to build a client on a machine without any.
#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
fn without_certificates(builder: ClientBuilder) -> ClientBuilder {
    builder.tls_certs_only([])
}

#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
fn without_certificates(builder: ClientBuilder) -> ClientBuilder {
    builder
}

//! Builds a client. All settings are checked here.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use reqwest::header::HeaderValue;
use tokio::runtime::Handle;

use super::{Client, EndpointSource, Inner};
use crate::{
    ConfigError, Credentials,
    auth::{CatalogQuery, CredentialManager, Kind, ProjectQuery},
    clock::Clock,
    clouds::{Named, is_domain},
    http::{
        clients::{HttpClients, Resolver, TlsOptions},
        endpoint::Endpoint,
        io_runtime::IoRuntime,
        transport::Transport,
    },
    id,
};

/// How long one HTTP request may take unless the application says otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of a [`Client`]. Setters cannot fail; [`build`](Self::build) checks them all.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) cloud_domain: Option<String>,
    pub(super) interfaces: Vec<String>,
    pub(super) auth_url: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) credentials: Option<Credentials>,
    pub(super) is_from_settings: bool,
    connect_timeout: Duration,
    request_timeout: Option<Duration>,
    user_agent: String,
    http_client: Option<reqwest::Client>,
    tls: TlsOptions,
    allow_plain_http: bool,
    clock: Clock,
    resolver: Option<Resolver>,
    io_runtime: Option<Handle>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoint: None,
            region: None,
            cloud_domain: None,
            interfaces: Vec::new(),
            auth_url: None,
            project_id: None,
            project_name: None,
            credentials: None,
            is_from_settings: false,
            connect_timeout: Duration::from_secs(5),
            request_timeout: None,
            user_agent: concat!("cfw-api/", env!("CARGO_PKG_VERSION")).to_owned(),
            http_client: None,
            tls: TlsOptions::default(),
            allow_plain_http: false,
            clock: Clock::system(),
            resolver: None,
            io_runtime: None,
        }
    }

    /// Sets the base URL of the service, such as `https://cfw.eu-de.otc.t-systems.com`.
    ///
    /// Without it, [passwords](Credentials::password) and [application
    /// credentials](Credentials::application_credential) take it from their token's catalog. Otherwise it is derived
    /// from the [`region`](Self::region), if the cloud is known. Plain `http` is refused, except for this machine or
    /// with [`allow_plain_http`](Self::allow_plain_http).
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets the region, such as `eu-de`. It selects one of several endpoints in a catalog.
    ///
    /// If the catalog does not list the service, or without one, the endpoint is
    /// `https://cfw.<region>.<domain of the cloud>` for a region that Open Telekom Cloud or Huawei Cloud has
    /// published, provided that the URL of IAM, if there is one, is in the same cloud. Otherwise the endpoint must be
    /// set, because credentials are not sent to a guessed host.
    pub fn region(mut self, name: impl Into<String>) -> Self {
        self.region = Some(name.into());
        self
    }

    /// Sets the domain of the cloud's hosts, such as `prod-cloud-ocb.orange-business.com`, for clouds other than
    /// Open Telekom Cloud and Huawei Cloud. The URL of IAM, if there is one, must be in it.
    pub fn cloud_domain(mut self, domain: impl Into<String>) -> Self {
        self.cloud_domain = Some(domain.into());
        self
    }

    /// Sets which of a catalog's endpoints to use: `public` (the default), `internal` or `admin`.
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interfaces = vec![name.into()];
        self
    }

    /// Sets the id of the project that the jobs and firewalls belong to. Required, except with [password
    /// credentials](Credentials::password), whose token names it.
    pub fn project_id(mut self, id: impl Into<String>) -> Self {
        self.project_id = Some(id.into());
        self
    }

    /// Sets the name of the project. With an [access key](Credentials::access_key), the id is looked up by it, or by
    /// the region, unless [`project_id`](Self::project_id) is set.
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.project_name = Some(name.into());
        self
    }

    /// Sets the URL of IAM for credentials that do not name it: tokens and access keys. It shows which cloud they
    /// belong to, so that an endpoint is derived only in that cloud, and it is where the project of an access key is
    /// looked up.
    pub fn auth_url(mut self, url: impl Into<String>) -> Self {
        self.auth_url = Some(url.into());
        self
    }

    /// Sets the credentials. Required.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets how long to wait for a connection, TLS included. The default is 5 s: a reachable host needs a
    /// fraction of it, and waiting longer for a dead one delays the next attempt. Not applied to an
    /// [`http_client`](Self::http_client) of the application.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets how long one HTTP request may take, from connecting to the last byte of the answer. The default is
    /// 10 s, and a waiter can allow more after time-outs unless this is set. A shorter limit makes failures of slow
    /// answers; a much longer one hides dead connections.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = Some(limit);
        self
    }

    /// Sets the `User-Agent` header. The default is `cfw-api/` and the version.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Uses this HTTP client, with its proxies, certificates and connection pool.
    ///
    /// It should not follow redirects (`redirect::Policy::none()`), because a redirected request carries the
    /// token, nor repeat requests (`retry::never()`). The built-in clients open no more connections than there
    /// are requests at once; hyper's pool alone sometimes opens a few more.
    ///
    /// The built-in clients leave connections that seem dead or lead to a host that fails, all together: the idle ones
    /// close when the requests in flight have ended, and until then add to the new ones. This client keeps its own. With HTTP/2 it should find dead connections by pings: `http2_keep_alive_interval` with a
    /// `http2_keep_alive_timeout` of a few seconds.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Runs the connections on this runtime. Default: on a thread of the client's own, which the first request starts and
    /// which ends with the last clone of the client. If no thread can be started, they run on the caller's runtime. The
    /// connections of an [`http_client`](Self::http_client) run on the runtime of the request that opens them.
    ///
    /// They have a thread because hyper reads a connection for as long as there is something to read, up to about 50 MiB
    /// at a time. A server that floods the client with interim (1xx) answers keeps the thread of that connection busy
    /// for a second at a time, or 20 s without optimisation, and nothing else runs there meanwhile. The time limits of
    /// requests, and the waits and signal handlers of the application, stay on the caller's runtime and are kept.
    ///
    /// Set it to let several clients share a thread, or to `Handle::current()` to have none, where every server is
    /// trusted to behave: then no answer costs a wake-up of another thread.
    ///
    /// The runtime must have its I/O and time drivers enabled, and must run for as long as requests are made. Tokio
    /// panics in a request that is made after the runtime has been shut down.
    pub fn io_runtime(mut self, runtime: Handle) -> Self {
        self.io_runtime = Some(runtime);
        self
    }

    /// Sets a PEM file of certificates to trust in addition to the system's. It is read when the client is built.
    /// Not applied to an [`http_client`](Self::http_client) of the application.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.ca_file = Some(path.into());
        self
    }

    /// Sets a PEM file with the certificate that this client presents, and one with its private key unless the first
    /// holds it. Both are read when the client is built. Not applied to an [`http_client`](Self::http_client) of the
    /// application.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: Option<PathBuf>,
    ) -> Self {
        self.tls.identity = Some((certificate.into(), key));
        self
    }

    /// Accepts any certificate of the server. Anyone on the network path can then read the token. Not applied to
    /// an [`http_client`](Self::http_client) of the application.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.tls.accept_invalid_certs = accept;
        self
    }

    /// Allows plain `http` to other machines. Anyone on the network path can then read the token.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    #[cfg(test)]
    pub(crate) fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = Some(resolver);
        self
    }

    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Checks the settings and builds the client. Sends no request.
    ///
    /// # Errors
    /// If a required setting is missing or a setting cannot be used. The error names it and its value. Also if
    /// the endpoint is `https` and this crate was built without a TLS feature, or if the system's certificates
    /// cannot be loaded.
    pub fn build(self) -> Result<Client, ConfigError> {
        let credentials =
            self.credentials.ok_or_else(|| ConfigError::hidden("credentials", "are missing"))?;
        let parse = |field, url: &str| Endpoint::parse(field, url, self.allow_plain_http);
        let explicit = self.endpoint.as_deref().map(|url| parse("endpoint", url)).transpose()?;
        if let Some(domain) = self.cloud_domain.as_deref().filter(|domain| !is_domain(domain)) {
            let problem = "is no domain, such as myhuaweicloud.eu";
            return Err(ConfigError::new("cloud_domain", domain, problem));
        }
        // Settings are read from variables, so the user can set the variable, and not the field.
        let missing = |field: &'static str, reason: &str| {
            let remedy = match field {
                "endpoint" if self.is_from_settings => "; set CFW_ENDPOINT",
                "project_id" if self.is_from_settings => "; set CFW_PROJECT_ID",
                _ => "",
            };
            ConfigError::hidden(field, format!("is missing{reason}{remedy}"))
        };
        let login_url = match &credentials.0 {
            Kind::Password(password) => Some(&password.auth_url),
            Kind::Application(credential) => Some(&credential.auth_url),
            Kind::Token(_) | Kind::AccessKey(_) | Kind::Provider(_) => None,
        };
        let login_url = login_url.map(|url| parse("auth_url", url)).transpose()?;
        let wants_catalog = explicit.is_none() && login_url.is_some();
        // Without a login, the URL of IAM shows which cloud is meant. A wrong one matters only if it is needed.
        let iam = match (&login_url, self.auth_url.as_deref()) {
            (Some(url), _) => Some(Ok(url.clone())),
            (None, Some(url)) => Some(parse("auth_url", url)),
            (None, None) => None,
        };
        let named = Named {
            region: self.region.as_deref(),
            project_name: self.project_name.as_deref(),
            auth_host: iam.as_ref().and_then(|iam| iam.as_ref().ok()?.host()),
            has_auth_url: iam.is_some(),
            domain: self.cloud_domain.as_deref(),
        };
        let derived = |service| {
            named.host(service).and_then(|host| {
                parse("endpoint", &format!("https://{host}")).map_err(|error| error.to_string())
            })
        };
        let endpoint = match explicit {
            Some(endpoint) => EndpointSource::Fixed(endpoint),
            None if wants_catalog => {
                derived("cfw").map_or_else(EndpointSource::Catalog, EndpointSource::Fallback)
            }
            None => EndpointSource::Fixed(
                derived("cfw").map_err(|reason| missing("endpoint", &format!(", and {reason}")))?,
            ),
        };
        if let Some(id) = &self.project_id
            && let Some(problem) = id::problem(id)
        {
            return Err(ConfigError::new("project_id", id, problem));
        }
        let project_query = match (&credentials.0, &self.project_id, &login_url) {
            (_, Some(_), _) | (_, None, Some(_)) => None,
            (Kind::AccessKey(_), None, None) => {
                // Each region has a project of its name.
                let name = self.project_name.clone().or_else(|| named.region_of_project());
                let name = name.ok_or_else(|| {
                    let reason =
                        ", and there is neither a project name nor a region to look it up by";
                    missing("project_id", reason)
                })?;
                let iam = match iam.clone() {
                    Some(iam) => iam?,
                    None => derived("iam").map_err(|reason| {
                        let reason =
                            format!(", and cannot be looked up without a URL of IAM: {reason}");
                        missing("project_id", &reason)
                    })?,
                };
                Some(ProjectQuery { iam, name })
            }
            _ => return Err(missing("project_id", "")),
        };
        let request_timeout = self.request_timeout.unwrap_or(REQUEST_TIMEOUT);
        for (field, limit) in
            [("connect_timeout", self.connect_timeout), ("request_timeout", request_timeout)]
        {
            if limit.is_zero() {
                return Err(ConfigError::new(field, "0s", "must be longer than nothing"));
            }
        }
        let user_agent = HeaderValue::from_str(&self.user_agent).map_err(|_| {
            ConfigError::new(
                "user_agent",
                self.user_agent,
                "holds characters that no header can carry",
            )
        })?;
        let io_runtime = match (self.io_runtime, &self.http_client) {
            (Some(runtime), _) => IoRuntime::Given(runtime),
            // Other users of the application's client share its connections, which must outlive this client.
            (None, Some(_)) => IoRuntime::Caller,
            (None, None) => IoRuntime::own(),
        };
        let clients = match self.http_client {
            Some(client) => HttpClients::of_application(client),
            None => {
                let mut known = Vec::new();
                known.extend(login_url.as_ref().map(|url| ("auth_url", url)));
                known.extend(project_query.as_ref().map(|query| ("auth_url", &query.iam)));
                if let EndpointSource::Fixed(endpoint) = &endpoint {
                    known.push(("endpoint", endpoint));
                }
                HttpClients::for_urls(
                    &known,
                    wants_catalog,
                    self.connect_timeout,
                    &self.tls,
                    self.resolver.as_ref(),
                )?
            }
        };
        let transport = Arc::new(Transport {
            clients,
            request_timeout,
            is_timeout_set: self.request_timeout.is_some(),
            user_agent,
            clock: self.clock,
            io_runtime,
        });
        let catalog_query = CatalogQuery {
            wanted: wants_catalog,
            region: named.catalog_region(),
            interfaces: match self.interfaces.is_empty() {
                true => vec!["public".to_owned()],
                false => self.interfaces.clone(),
            },
            allow_plain_http: self.allow_plain_http,
        };
        let manager = CredentialManager::new(
            credentials,
            Arc::clone(&transport),
            catalog_query,
            project_query,
        )?;
        Ok(Client::new(Inner { endpoint, project_id: self.project_id, manager, transport }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not checked yet, so it may hold a password.
        let endpoint = self.endpoint.as_deref().filter(|url| !url.contains('@'));
        f.debug_struct("ClientBuilder")
            .field("endpoint", &endpoint)
            .field("region", &self.region)
            .field("project_id", &self.project_id)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

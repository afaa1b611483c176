//! Building a client: everything that can be wrong with its settings is found here.

use std::time::Duration;

use reqwest::{header::HeaderValue, redirect};

use crate::{
    Client, ConfigError, Credentials, clock::Clock, credentials::Keeper, endpoint::Endpoint, id,
    transport::Transport,
};

/// Whether an https endpoint can be reached by the client that we build.
const TLS: bool =
    cfg!(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"));

/// Settings of a [`Client`]. Setters cannot fail; [`build`](Self::build) checks them all.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    endpoint: Option<String>,
    project_id: Option<String>,
    credentials: Option<Credentials>,
    connect_timeout: Duration,
    request_timeout: Duration,
    user_agent: String,
    http_client: Option<reqwest::Client>,
    allow_plain_http: bool,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoint: None,
            project_id: None,
            credentials: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            user_agent: concat!("cfw-api/", env!("CARGO_PKG_VERSION")).to_owned(),
            http_client: None,
            allow_plain_http: false,
        }
    }

    /// The base URL of the service, such as `https://cfw.eu-de.otc.t-systems.com`. Required.
    ///
    /// Plain `http` is refused, except for this machine or with [`allow_plain_http`](Self::allow_plain_http).
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// The id of the project that the jobs and firewalls belong to. Required.
    pub fn project_id(mut self, id: impl Into<String>) -> Self {
        self.project_id = Some(id.into());
        self
    }

    /// Who calls. Required.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// How long to wait for a connection, TLS included. 5 s by default: a host that answers at all does so in
    /// a fraction of it, and a poll that waits for a dead one is a poll lost. Not applied to an own
    /// [`http_client`](Self::http_client).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long one HTTP request may take, from connecting to the last byte of the answer. 10 s by default.
    /// Shorter than the gateway's own limits, and slow answers count as failures; much longer, and a dead
    /// connection goes unnoticed.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// The `User-Agent` header; `cfw-api/` and the version by default.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Uses this HTTP client, with its own proxies, certificates and connection pool.
    ///
    /// It should follow no redirects (`redirect::Policy::none()`), because a redirected request takes the
    /// token along, and not repeat requests by itself (`retry::never()`).
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Allows plain `http` to other machines. Everyone on the way can then read the token.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// Checks the settings and makes the client. No request is sent.
    ///
    /// # Errors
    /// If a required setting is missing or one cannot be used; the error names it and its value. Also if the
    /// endpoint is `https` and this crate was built without a TLS feature, or the system's certificates cannot
    /// be loaded.
    pub fn build(self) -> Result<Client, ConfigError> {
        let endpoint =
            self.endpoint.ok_or_else(|| ConfigError::hidden("endpoint", "is missing"))?;
        let endpoint = Endpoint::parse("endpoint", &endpoint, self.allow_plain_http)?;
        let project_id =
            self.project_id.ok_or_else(|| ConfigError::hidden("project_id", "is missing"))?;
        if let Some(problem) = id::problem(&project_id) {
            return Err(ConfigError::new("project_id", project_id, problem));
        }
        let credentials =
            self.credentials.ok_or_else(|| ConfigError::hidden("credentials", "are missing"))?;
        for (field, limit) in
            [("connect_timeout", self.connect_timeout), ("request_timeout", self.request_timeout)]
        {
            if limit.is_zero() {
                return Err(ConfigError::new(field, "0s", "must be longer than nothing"));
            }
        }
        let user_agent = HeaderValue::from_str(&self.user_agent).map_err(|_| {
            ConfigError::new(
                "user_agent",
                &*self.user_agent,
                "holds characters that no header can carry",
            )
        })?;
        let http = match self.http_client {
            Some(client) => client,
            None => http_client(&endpoint, self.connect_timeout)?,
        };
        let transport = Transport {
            http,
            request_timeout: self.request_timeout,
            user_agent,
            clock: Clock::system(),
        };
        Ok(Client::assemble(endpoint, project_id, Keeper::new(credentials)?, transport))
    }
}

fn http_client(
    endpoint: &Endpoint,
    connect_timeout: Duration,
) -> Result<reqwest::Client, ConfigError> {
    if !endpoint.is_plain() && !TLS {
        let problem = "is https, but cfw-api was built without TLS: enable its feature `rustls`, \
                       `rustls-no-provider` or `native-tls`";
        return Err(ConfigError::new("endpoint", endpoint.to_string(), problem));
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        // A redirect would take the token to whatever host the answer names.
        .redirect(redirect::Policy::none())
        // reqwest resends what HTTP/2 refused, with the same signature and outside all our limits.
        .retry(reqwest::retry::never());
    if endpoint.is_loopback() {
        // Proxy variables are honoured even for 127.0.0.1, and no proxy reaches our loopback.
        builder = builder.no_proxy();
        if endpoint.is_plain() {
            builder = without_certificates(builder);
        }
    }
    builder.build().map_err(|error| {
        // The cause is what helps, and it is about certificates and TLS, not about secrets.
        let cause = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        ConfigError::hidden("http_client", format!("cannot be built: {cause}"))
    })
}

/// Plain http needs no certificates, but reqwest gives up on a machine that has none.
#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
fn without_certificates(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder.tls_certs_only([])
}

#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
fn without_certificates(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> ClientBuilder {
        Client::builder()
            .endpoint("http://127.0.0.1:1")
            .project_id("0123456789abcdef0123456789abcdef")
            .credentials(Credentials::token("SENSITIVE"))
    }

    #[test]
    fn a_bad_setting_is_named_with_its_value() {
        let zero = Duration::ZERO;
        let rows = [
            (Client::builder(), "endpoint: is missing"),
            (Client::builder().endpoint("http://127.0.0.1:1"), "project_id: is missing"),
            (
                Client::builder().endpoint("http://127.0.0.1:1").project_id("p"),
                "credentials: are missing",
            ),
            (complete().project_id("a/b"), "project_id \"a/b\": holds a '/'"),
            (complete().project_id(""), "project_id \"\": is empty"),
            (
                complete().connect_timeout(zero),
                "connect_timeout \"0s\": must be longer than nothing",
            ),
            (
                complete().request_timeout(zero),
                "request_timeout \"0s\": must be longer than nothing",
            ),
            (
                complete().user_agent("a\nb"),
                "user_agent \"a\\nb\": holds characters that no header can carry",
            ),
            (complete().credentials(Credentials::token(" \n")), "token: is empty"),
            (
                complete().credentials(Credentials::token("SENSI\nTIVE")),
                "token: holds characters that no header can carry",
            ),
        ];
        for (builder, message) in rows {
            assert_eq!(builder.build().unwrap_err().to_string(), message);
        }
        let error = complete().endpoint("nowhere").build().unwrap_err();
        assert_eq!((error.field(), error.value()), ("endpoint", Some("nowhere")));
    }

    #[test]
    fn extremes_that_make_sense_are_taken() {
        let day = Duration::from_secs(86_400);
        complete().connect_timeout(Duration::MAX).request_timeout(Duration::MAX).build().unwrap();
        complete().connect_timeout(day).credentials(Credentials::token(" t\n")).build().unwrap();
    }

    #[test]
    #[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
    fn https_without_a_tls_feature_is_an_error_that_says_so() {
        let error = complete().endpoint("https://cfw.example.com").build().unwrap_err().to_string();
        assert!(error.starts_with(
            r#"endpoint "https://cfw.example.com/": is https, but cfw-api was built without"#
        ));
        let own = reqwest::Client::builder().build().unwrap();
        complete().endpoint("https://cfw.example.com").http_client(own).build().unwrap();
    }
}

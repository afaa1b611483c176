//! The credentials that a caller provides.

use std::{fmt, path::PathBuf};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::{
    password::{ApplicationCredential, Password},
    provider::{SharedProvider, TokenProvider},
    token_file::TokenFile,
};
use crate::{ConfigError, clean::clean};

/// The credentials of a client.
///
/// Secrets do not appear in `Debug` output, errors or logs.
#[derive(Clone)]
pub struct Credentials(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Token(SecretString),
    Password(Password),
    Application(ApplicationCredential),
    AccessKey(AccessKey),
    Provider(SharedProvider),
}

impl Credentials {
    /// Uses a token that was obtained elsewhere. It cannot be renewed: once the service refuses it, later calls
    /// fail without a request. White space around it is dropped, such as the end of the line in a file.
    pub fn token(token: impl Into<String>) -> Self {
        Self(Kind::Token(clean(&token.into()).into()))
    }

    /// Uses a user and a password, for which IAM issues a token that lasts a day. The token is renewed before it
    /// expires, and earlier if the service refuses it.
    ///
    /// IAM also returns the project's id and the URL of the service, so that
    /// [`project_id`](crate::ClientBuilder::project_id) and [`endpoint`](crate::ClientBuilder::endpoint) can
    /// be left out.
    pub fn password(password: Password) -> Self {
        Self(Kind::Password(password))
    }

    /// Uses an application credential, for which IAM issues tokens as for a [password](Self::password).
    pub fn application_credential(credential: ApplicationCredential) -> Self {
        Self(Kind::Application(credential))
    }

    /// Uses the token in a file, which is read again after the service has refused it. So another program can
    /// replace it, as Kubernetes and Vault agents do. A file without a new token ends the client's calls, and one
    /// of more than 64 KiB is refused. A pipe has its token only once: use [`token`](Self::token) for it.
    pub fn token_file(path: impl Into<PathBuf>) -> Self {
        Self::provider(TokenFile::new(path.into()))
    }

    /// Uses an access key, with which every request is signed. No token is needed.
    pub fn access_key(key: AccessKey) -> Self {
        Self(Kind::AccessKey(key))
    }

    /// Uses tokens from a source of the application. It is called for the first request, before a token expires,
    /// and after one was refused, each time once for all calls.
    pub fn provider(provider: impl TokenProvider) -> Self {
        Self(Kind::Provider(SharedProvider::new(provider)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Token(_) => "Credentials::Token(..)",
            Kind::Password(_) => "Credentials::Password(..)",
            Kind::Application(_) => "Credentials::Application(..)",
            Kind::AccessKey(_) => "Credentials::AccessKey(..)",
            Kind::Provider(_) => "Credentials::Provider(..)",
        })
    }
}

/// An access key (AK) and its secret (SK), permanent or temporary.
///
/// Ids of jobs and firewalls with a `%` cannot be used with it, because signers encode them differently.
#[derive(Clone)]
pub struct AccessKey {
    pub(crate) access: SecretString,
    pub(crate) secret: SecretString,
    pub(crate) security_token: Option<SecretString>,
}

impl AccessKey {
    /// Makes a permanent key. White space around both parts is dropped.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access: clean(&access_key.into()).into(),
            secret: clean(&secret_key.into()).into(),
            security_token: None,
        }
    }

    /// Makes it a temporary key, which is valid only together with this token.
    pub fn security_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(clean(&token.into()).into());
        self
    }

    /// Returns what an answer must not show.
    pub(super) fn secrets(&self) -> [&str; 3] {
        [
            self.secret.expose_secret(),
            self.access.expose_secret(),
            self.security_token.as_ref().map_or("", |token| token.expose_secret()),
        ]
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        header("access_key", &self.access)?;
        header("secret_key", &self.secret)?;
        if let Some(token) = &self.security_token {
            header("security_token", token)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

/// Makes a header value of a secret, marked as sensitive. Fails if no header can hold it.
pub(super) fn header(
    field: &'static str,
    secret: &SecretString,
) -> Result<HeaderValue, ConfigError> {
    if secret.expose_secret().is_empty() {
        return Err(ConfigError::hidden(field, "is empty"));
    }
    let mut value = HeaderValue::from_str(secret.expose_secret())
        .map_err(|_| ConfigError::hidden(field, "holds characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

//! Who calls: what a user hands in. How it is kept, renewed and used is in the modules below.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::ConfigError;

mod generation;
mod iam;
mod keeper;
mod ledger;
mod provider;

pub(crate) use self::{
    iam::Search,
    keeper::{Keeper, Pass},
};
pub use self::{
    iam::{IdOrName, Password, User},
    provider::{Provide, Token, TokenError, TokenProvider},
};

/// What proves to the service who calls.
///
/// Nothing that holds a secret shows it: not in `Debug`, nor in an error, nor in a log.
#[derive(Clone)]
pub struct Credentials(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Token(SecretString),
    Password(Password),
    AccessKey(AccessKey),
    Provider(provider::Shared),
}

impl Credentials {
    /// A token that was obtained elsewhere. It cannot be renewed: once the service refuses it, later calls
    /// fail without a request. White space around it is dropped, such as the end of the line in a file.
    pub fn token(token: impl Into<String>) -> Self {
        Self(Kind::Token(token.into().trim().into()))
    }

    /// A user and a password, for which IAM gives a token that lasts a day. It is renewed in time, and
    /// earlier if the service refuses it.
    ///
    /// The token also tells the project's id and the URL of the service, so that
    /// [`project_id`](crate::ClientBuilder::project_id) and [`endpoint`](crate::ClientBuilder::endpoint) can
    /// be left out.
    pub fn password(password: Password) -> Self {
        Self(Kind::Password(password))
    }

    /// An access key, with which every request is signed anew. No token is needed.
    pub fn access_key(key: AccessKey) -> Self {
        Self(Kind::AccessKey(key))
    }

    /// Tokens from your own source. It is asked when the first call is made, before a token expires, and
    /// after one was refused, each time once for all calls.
    pub fn provider(provider: impl TokenProvider) -> Self {
        Self(Kind::Provider(provider::Shared::new(provider)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Token(_) => "Credentials::Token(..)",
            Kind::Password(_) => "Credentials::Password(..)",
            Kind::AccessKey(_) => "Credentials::AccessKey(..)",
            Kind::Provider(_) => "Credentials::Provider(..)",
        })
    }
}

/// An access key (AK) and its secret (SK), permanent or temporary.
///
/// Ids of jobs and firewalls that hold a `%` cannot be used with it: signers disagree about them.
#[derive(Clone)]
pub struct AccessKey {
    pub(crate) access: SecretString,
    pub(crate) secret: SecretString,
    pub(crate) security_token: Option<SecretString>,
}

impl AccessKey {
    /// A permanent key. White space around both parts is dropped.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access: access_key.into().trim().into(),
            secret: secret_key.into().trim().into(),
            security_token: None,
        }
    }

    /// Makes it a temporary key, which is valid only together with this token.
    pub fn security_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(token.into().trim().into());
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
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

/// Makes a secret a header value, which checks it, and which no log shows.
fn header(field: &'static str, secret: &SecretString) -> Result<HeaderValue, ConfigError> {
    if secret.expose_secret().is_empty() {
        return Err(ConfigError::hidden(field, "is empty"));
    }
    let mut value = HeaderValue::from_str(secret.expose_secret())
        .map_err(|_| ConfigError::hidden(field, "holds characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

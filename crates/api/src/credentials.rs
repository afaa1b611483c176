//! Who calls.

use std::{fmt, sync::OnceLock};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::{ConfigError, Error};

/// What proves to the service who calls.
#[derive(Clone)]
pub struct Credentials(SecretString);

impl Credentials {
    /// A token that was obtained elsewhere. It is not renewed: once the service refuses it, later calls
    /// fail without a request. White space around it is dropped, such as the end of the line in a file.
    pub fn token(token: impl Into<String>) -> Self {
        Self(token.into().trim().into())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials::Token(..)")
    }
}

/// Holds the credentials of a client and remembers how the service took them.
#[derive(Debug)]
pub(crate) struct Keeper {
    token: SecretString,
    header: HeaderValue,
    refused: OnceLock<Error>,
}

impl Keeper {
    pub(crate) fn new(credentials: Credentials) -> Result<Self, ConfigError> {
        let Credentials(token) = credentials;
        if token.expose_secret().is_empty() {
            return Err(ConfigError::hidden("token", "is empty"));
        }
        let mut header = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
            ConfigError::hidden("token", "holds characters that no header can carry")
        })?;
        header.set_sensitive(true);
        Ok(Self { token, header, refused: OnceLock::new() })
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        match self.refused.get() {
            Some(error) => Err(error.clone()),
            None => Ok(self.header.clone()),
        }
    }

    pub(crate) fn refused(&self, error: &Error) {
        // Only the first refusal is kept: later ones were on their way already and say the same.
        let _ = self.refused.set(error.clone());
    }

    pub(crate) fn secrets(&self) -> [&str; 1] {
        [self.token.expose_secret()]
    }
}

//! Users and access keys.

use std::fmt;

use crate::util::random::{hash, hex_id};

/// An IAM user of the simulated cloud.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    password: String,
    domain: String,
    totp: Option<String>,
}

impl User {
    /// Creates a user of the domain `OTC00000000001000000001`, without a second factor.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            domain: "OTC00000000001000000001".to_owned(),
            totp: None,
        }
    }

    /// Sets the name of the user's domain, also called the account.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// Requires this passcode in addition to the password.
    #[must_use]
    pub fn with_totp(mut self, passcode: impl Into<String>) -> Self {
        self.totp = Some(passcode.into());
        self
    }

    /// Returns the user's name, which is unique within the domain.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the user's id.
    #[must_use]
    pub fn id(&self) -> String {
        hex_id(0, hash(&self.domain), hash(&self.name))
    }

    /// Returns the password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the name of the domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the id of the domain.
    #[must_use]
    pub fn domain_id(&self) -> String {
        hex_id(0, hash(&self.domain), 0)
    }

    /// Returns the passcode that is required in addition to the password, if any.
    #[must_use]
    pub fn totp(&self) -> Option<&str> {
        self.totp.as_deref()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// A key pair for `SDK-HMAC-SHA256` signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    access: String,
    secret: String,
    security_token: Option<String>,
}

impl AccessKey {
    /// Creates a permanent key.
    pub fn new(access: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { access: access.into(), secret: secret.into(), security_token: None }
    }

    /// Makes it a temporary key, which is valid only together with this `X-Security-Token`.
    #[must_use]
    pub fn with_security_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(token.into());
        self
    }

    /// Returns the access key id (AK), which requests contain.
    #[must_use]
    pub fn access(&self) -> &str {
        &self.access
    }

    /// Returns the secret key (SK), which signs requests and is never sent.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the security token of a temporary key.
    #[must_use]
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_secrets() {
        let user = User::new("u", "SENSITIVE").with_totp("SENSITIVE");
        let key = AccessKey::new("SENSITIVE", "SENSITIVE").with_security_token("SENSITIVE");
        assert!(!format!("{user:?} {key:?}").contains("SENSITIVE"));
    }
}

use std::fmt;

use crate::random::{hash, hex_id};

/// An IAM user of the simulated cloud.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    password: String,
    domain: String,
    totp: Option<String>,
}

impl User {
    /// A user of the domain `OTC00000000001000000001` without a second factor.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            domain: "OTC00000000001000000001".to_owned(),
            totp: None,
        }
    }

    /// The name of the user's domain, also called the account.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// Asks for this passcode beside the password.
    #[must_use]
    pub fn with_totp(mut self, passcode: impl Into<String>) -> Self {
        self.totp = Some(passcode.into());
        self
    }

    /// The user's name, unique within the domain.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's id.
    #[must_use]
    pub fn id(&self) -> String {
        hex_id(0, hash(&self.domain), hash(&self.name))
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The name of the domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The id of the domain.
    #[must_use]
    pub fn domain_id(&self) -> String {
        hex_id(0, hash(&self.domain), 0)
    }

    /// The passcode asked for beside the password, if any.
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
    /// A permanent key.
    pub fn new(access: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { access: access.into(), secret: secret.into(), security_token: None }
    }

    /// Makes it a temporary key, which is only known together with this `X-Security-Token`.
    #[must_use]
    pub fn with_security_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(token.into());
        self
    }

    /// The access key (AK), which requests name.
    #[must_use]
    pub fn access(&self) -> &str {
        &self.access
    }

    /// The secret key (SK), which requests never hold.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The security token of a temporary key.
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
    fn secrets_are_not_printed() {
        let user = User::new("u", "SENSITIVE").with_totp("SENSITIVE");
        let key = AccessKey::new("SENSITIVE", "SENSITIVE").with_security_token("SENSITIVE");
        let builder = crate::Simulator::builder().user(user.clone()).access_key(key.clone());
        assert!(!format!("{user:?} {key:?} {builder:?}").contains("SENSITIVE"));
    }
}

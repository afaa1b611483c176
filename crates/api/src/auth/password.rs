//! The logins for which IAM issues a token.

use std::fmt;

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::clean::clean;

/// A user, a password and a project, for which IAM issues tokens.
///
/// ```
/// use cfw_api::{Credentials, IdOrName, Password, User};
///
/// let user = User::Name { name: "pipeline".into(), domain: IdOrName::Name("OTC-EU-DE-00000000001000000000".into()) };
/// let project = IdOrName::Name("eu-de_team".into());
/// let password = Password::new("https://iam.eu-de.otc.t-systems.com/v3", user, "secret", project);
/// let credentials = Credentials::password(password);
/// ```
#[derive(Clone)]
pub struct Password {
    pub(crate) auth_url: String,
    pub(crate) user: User,
    pub(crate) password: SecretString,
    pub(crate) project: IdOrName,
    pub(crate) passcode: Option<SecretString>,
}

/// A user of IAM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum User {
    /// Known by id.
    Id(String),
    /// Known by a name, which is unique only in its domain (account).
    Name {
        /// The user's name.
        name: String,
        /// The domain that the user belongs to.
        domain: IdOrName,
    },
}

/// A domain or project of IAM, known by either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdOrName {
    /// Its id.
    Id(String),
    /// Its name.
    Name(String),
}

impl Password {
    /// Makes the credentials. `auth_url` is the URL of IAM, with or without `/v3` at its end. The password is used
    /// as it is.
    pub fn new(
        auth_url: impl Into<String>,
        user: User,
        password: impl Into<String>,
        project: IdOrName,
    ) -> Self {
        let password = password.into().into();
        Self { auth_url: auth_url.into(), user, password, project, passcode: None }
    }

    /// Adds the one-time passcode of a user with a second factor.
    ///
    /// IAM accepts it for one token, so calls fail once that token has expired, after a day.
    pub fn passcode(mut self, code: impl Into<String>) -> Self {
        self.passcode = Some(clean(&code.into()).into());
        self
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { auth_url: _, user, password: _, project, passcode: _ } = self;
        f.debug_struct("Password")
            .field("user", user)
            .field("project", project)
            .finish_non_exhaustive()
    }
}

impl IdOrName {
    pub(super) fn key_and_value(&self) -> (&'static str, &str) {
        match self {
            Self::Id(id) => ("id", id),
            Self::Name(name) => ("name", name),
        }
    }

    pub(super) fn json(&self) -> Value {
        let (key, value) = self.key_and_value();
        json!({ key: value })
    }
}

/// An application credential of IAM: a secret for programs, with a project of its own.
///
/// ```
/// use cfw_api::{ApplicationCredential, Credentials};
///
/// let url = "https://iam.eu-de.otc.t-systems.com/v3";
/// let credential = ApplicationCredential::by_id(url, "21dced0fd20347869b93710d2b98aae0", "secret");
/// let credentials = Credentials::application_credential(credential);
/// ```
#[derive(Clone)]
pub struct ApplicationCredential {
    pub(crate) auth_url: String,
    pub(crate) name: IdOrName,
    /// The owner, without whom a name is not unique.
    pub(crate) user: Option<User>,
    pub(crate) secret: SecretString,
}

impl ApplicationCredential {
    /// Makes the credentials. `auth_url` is the URL of IAM, with or without `/v3` at its end.
    pub fn by_id(
        auth_url: impl Into<String>,
        id: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        Self {
            auth_url: auth_url.into(),
            name: IdOrName::Id(id.into()),
            user: None,
            secret: clean(&secret.into()).into(),
        }
    }

    /// Makes the credentials from a name, which is unique only for its user.
    pub fn by_name(
        auth_url: impl Into<String>,
        name: impl Into<String>,
        user: User,
        secret: impl Into<String>,
    ) -> Self {
        Self {
            name: IdOrName::Name(name.into()),
            user: Some(user),
            ..Self::by_id(auth_url, "", secret)
        }
    }
}

impl fmt::Debug for ApplicationCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplicationCredential")
            .field("name", &self.name)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

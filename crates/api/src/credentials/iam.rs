//! Tokens from IAM, for a user and a password.

use std::{fmt, time::Duration};

use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{header, ledger::Fresh};
use crate::{
    Class, ConfigError, Error, ErrorKind,
    body::{ErrorBody, without_bom},
    classify::{Verdict, verdict},
    endpoint::Endpoint,
    error::What,
    times,
    transport::{Reply, Transport},
};

/// A user, a password and a project, for which IAM gives tokens.
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
    user: User,
    password: SecretString,
    project: IdOrName,
    passcode: Option<SecretString>,
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
    /// `auth_url` is IAM's, with or without `/v3` at its end. The password is taken as it is.
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
    /// It is good for one token, so the client's calls fail once that has expired, after a day.
    pub fn passcode(mut self, code: impl Into<String>) -> Self {
        self.passcode = Some(code.into().trim().into());
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
    fn key_and_value(&self) -> (&'static str, &str) {
        match self {
            Self::Id(id) => ("id", id),
            Self::Name(name) => ("name", name),
        }
    }

    fn json(&self) -> Value {
        let (key, value) = self.key_and_value();
        json!({ key: value })
    }
}

/// A login that is ready to be sent, any number of times.
pub(super) struct Iam {
    url: Url,
    body: SecretString,
    password: SecretString,
    passcode: SecretString,
    search: Search,
}

/// What to look for in a token's catalog.
pub(crate) struct Search {
    /// Whether to look at all: the answer with a catalog is some ten kilobytes longer.
    pub(crate) wanted: bool,
    pub(crate) region: Option<String>,
    /// `public`, `internal` or `admin`.
    pub(crate) interface: String,
    pub(crate) allow_plain_http: bool,
}

impl Iam {
    pub(super) fn new(password: Password, search: Search) -> Result<Self, ConfigError> {
        let Password { auth_url, user, password, project, passcode } = password;
        let endpoint = Endpoint::parse("auth_url", &auth_url, search.allow_plain_http)?;
        let version =
            if endpoint.path().trim_end_matches('/').ends_with("/v3") { "" } else { "/v3" };
        let mut url = endpoint.join(&format!("{version}/auth/tokens"));
        if !search.wanted {
            url.set_query(Some("nocatalog=1"));
        }
        let named = |field, value: &str| match value {
            "" => Err(ConfigError::hidden(field, "is empty")),
            _ => Ok(()),
        };
        named("password", password.expose_secret())?;
        named("project", project.key_and_value().1)?;
        let mut who = match &user {
            User::Id(id) => {
                named("user", id)?;
                json!({ "id": id })
            }
            User::Name { name, domain } => {
                named("user", name)?;
                named("user_domain", domain.key_and_value().1)?;
                json!({ "name": name, "domain": domain.json() })
            }
        };
        let mut identity = json!({ "methods": ["password"] });
        if let Some(code) = &passcode {
            named("passcode", code.expose_secret())?;
            let mut who = who.clone();
            insert(&mut who, "passcode", code.expose_secret().into());
            identity = json!({ "methods": ["password", "totp"], "totp": { "user": who } });
        }
        insert(&mut who, "password", password.expose_secret().into());
        insert(&mut identity, "password", json!({ "user": who }));
        let body =
            json!({ "auth": { "identity": identity, "scope": { "project": project.json() } } });
        Ok(Self {
            url,
            body: body.to_string().into(),
            password,
            passcode: passcode.unwrap_or_default(),
            search,
        })
    }

    /// Logs in once. A wrong password is an error that is not transient: repeating it locks the account.
    pub(super) async fn token(&self, transport: &Transport) -> Result<Fresh, Error> {
        let secrets = [self.password.expose_secret(), self.passcode.expose_secret()];
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.body_mut() = Some(self.body.expose_secret().to_owned().into());
        let reply = transport.exchange(What::Token, request, &secrets).await?;
        if !reply.is_success() {
            let body = ErrorBody::parse(&reply.body);
            let verdict = match verdict(reply.status, body.code.as_deref(), &body.text) {
                // No job is lost here: it is the URL that is wrong.
                Verdict::NotFound => Verdict::Fatal,
                other => other,
            };
            return Err(Error::answered(What::Token, &reply, &body, verdict, &secrets));
        }
        let fault = |text: &str| {
            Error::transient(What::Token, ErrorKind::Answer).because(text).with_reply(&reply)
        };
        let secret =
            reply.subject_token.as_ref().ok_or_else(|| fault("no X-Subject-Token header"))?;
        let header = header("token", secret).map_err(|_| fault("X-Subject-Token: no token"))?;
        let body: Value = serde_json::from_slice(without_bom(&reply.body))
            .map_err(|_| fault("not JSON, or cut"))?;
        let token = body.get("token").unwrap_or(&Value::Null);
        let endpoint = cfw_url(token, &self.search)
            .map(|url| Endpoint::parse("endpoint", url, self.search.allow_plain_http))
            .transpose()
            .map(|endpoint| endpoint.map(Endpoint::without_version))
            .map_err(|error| {
                Error::new(What::Token, ErrorKind::Request, Class::Fatal).caused_by(error)
            })?;
        Ok(Fresh {
            secret: secret.clone(),
            header,
            life: life(token, &reply, transport),
            project_id: token.pointer("/project/id").and_then(Value::as_str).map(str::to_owned),
            endpoint,
        })
    }
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(key.to_owned(), value);
    }
}

/// How long a token is good for, reckoned by the server's clock where it shows it: ours may be off.
fn life(token: &Value, reply: &Reply, transport: &Transport) -> Option<Duration> {
    let expires_at = times::from_text(token.get("expires_at")?.as_str()?)?;
    expires_at.duration_since(reply.answered.unwrap_or_else(|| transport.clock.now())).ok()
}

/// The service's URL in a token's catalog: of the newest version, and in the right region if there are several.
fn cfw_url<'a>(token: &'a Value, search: &Search) -> Option<&'a str> {
    let catalog = token.get("catalog")?.as_array()?;
    fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
        value.get(key)?.as_str()
    }
    let fits = |endpoint: &&Value| {
        let of_interface =
            text(endpoint, "interface").is_none_or(|interface| interface == search.interface);
        let in_region = match (text(endpoint, "region"), &search.region) {
            (None | Some("*"), _) | (_, None) => true,
            (Some(region), Some(wanted)) => region == wanted,
        };
        of_interface && in_region
    };
    ["cfwv3", "cfwv2", "cfwv1", "cfw"].into_iter().find_map(|name| {
        let entries = catalog.iter().filter(|entry| text(entry, "type") == Some(name));
        let mut endpoints =
            entries.filter_map(|entry| entry.get("endpoints")?.as_array()).flatten();
        text(endpoints.find(fits)?, "url")
    })
}

#[cfg(test)]
mod tests;

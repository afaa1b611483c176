//! The login at IAM, which issues a token.

use std::time::Duration;

use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    catalog::{self, CatalogEndpoint, CatalogQuery},
    credentials::header,
    material::AuthMaterial,
    password::{ApplicationCredential, Password, User},
    state::Renewed,
};
use crate::{
    ConfigError, Error,
    error::Operation,
    http::{endpoint::Endpoint, redact::sanitise, response::HttpResponse, transport::Transport},
    times,
    wire::{error_body::ErrorBody, without_bom},
};

/// The longest list of a catalog's endpoints in an error.
const CATALOG_CHARS: usize = 1000;

/// A login request, checked, that can be sent any number of times.
pub(super) struct Login {
    url: Url,
    iam: Endpoint,
    body: SecretString,
    secrets: [SecretString; 2],
    catalog_query: CatalogQuery,
}

impl Login {
    pub(super) fn with_password(
        password: Password,
        catalog_query: CatalogQuery,
    ) -> Result<Self, ConfigError> {
        let Password { auth_url, user, password, project, passcode } = password;
        check("password", password.expose_secret())?;
        check("project", project.key_and_value().1)?;
        let mut who = user_json(&user)?;
        let mut identity = json!({ "methods": ["password"] });
        if let Some(code) = &passcode {
            check("passcode", code.expose_secret())?;
            let mut who = who.clone();
            insert(&mut who, "passcode", code.expose_secret().into());
            identity = json!({ "methods": ["password", "totp"], "totp": { "user": who } });
        }
        insert(&mut who, "password", password.expose_secret().into());
        insert(&mut identity, "password", json!({ "user": who }));
        let auth = json!({ "identity": identity, "scope": { "project": project.json() } });
        Self::new(&auth_url, auth, [password, passcode.unwrap_or_default()], catalog_query)
    }

    pub(super) fn with_application_credential(
        credential: ApplicationCredential,
        catalog_query: CatalogQuery,
    ) -> Result<Self, ConfigError> {
        let ApplicationCredential { auth_url, name, user, secret } = credential;
        let (key, value) = name.key_and_value();
        check("application_credential", value)?;
        check("application_credential_secret", secret.expose_secret())?;
        let mut who = json!({ key: value, "secret": secret.expose_secret() });
        if let Some(user) = &user {
            insert(&mut who, "user", user_json(user)?);
        }
        // Without a scope: the credential has its own project, and IAM refuses another.
        let identity =
            json!({ "methods": ["application_credential"], "application_credential": who });
        Self::new(
            &auth_url,
            json!({ "identity": identity }),
            [secret, SecretString::default()],
            catalog_query,
        )
    }

    fn new(
        auth_url: &str,
        auth: Value,
        secrets: [SecretString; 2],
        catalog_query: CatalogQuery,
    ) -> Result<Self, ConfigError> {
        let iam = Endpoint::parse("auth_url", auth_url, catalog_query.allow_plain_http)?;
        let mut url = iam.join(&format!("{}/auth/tokens", iam.version_path()));
        if !catalog_query.wanted {
            url.set_query(Some("nocatalog=1"));
        }
        let body = json!({ "auth": auth }).to_string().into();
        Ok(Self { url, iam, body, secrets, catalog_query })
    }

    /// Returns the secrets that the login sends. The second can be empty.
    pub(super) fn secrets(&self) -> [&str; 2] {
        [self.secrets[0].expose_secret(), self.secrets[1].expose_secret()]
    }

    /// Logs in once. The error for wrong credentials is not transient, because repeating them locks the account.
    pub(super) async fn token(&self, transport: &Transport) -> Result<Renewed, Error> {
        let secrets = self.secrets();
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.body_mut() = Some(self.body.expose_secret().to_owned().into());
        let answer =
            transport.exchange(Operation::Token, self.iam.url(), request, &secrets).await?;
        if !answer.is_success() {
            let body = ErrorBody::parse(&answer.body);
            let classification = answer.classify_iam(&body);
            return Err(answer.error(Operation::Token, &body, classification, &secrets));
        }
        let unusable = |text: &str| answer.unusable(Operation::Token, text);
        let secret =
            answer.subject_token.as_ref().ok_or_else(|| unusable("no X-Subject-Token header"))?;
        let header = header("token", secret).map_err(|_| unusable("X-Subject-Token: no token"))?;
        let body: Value = serde_json::from_slice(without_bom(&answer.body))
            .map_err(|_| unusable("not JSON, or cut"))?;
        let token = body.get("token").unwrap_or(&Value::Null);
        Ok(Renewed {
            material: AuthMaterial::Token { secret: secret.clone(), header },
            life: life(token, &answer, transport),
            project_id: token.pointer("/project/id").and_then(Value::as_str).map(str::to_owned),
            endpoint: match self.catalog_query.wanted {
                true => match catalog::find(token, &self.catalog_query, &self.iam) {
                    // The text quotes the answer, which could echo the login.
                    CatalogEndpoint::Unfit(problem) => {
                        let secrets = [secrets[0], secrets[1], secret.expose_secret()];
                        CatalogEndpoint::Unfit(sanitise(&problem, &secrets, CATALOG_CHARS))
                    }
                    found => found,
                },
                false => CatalogEndpoint::None,
            },
        })
    }
}

fn check(field: &'static str, value: &str) -> Result<(), ConfigError> {
    match value {
        "" => Err(ConfigError::hidden(field, "is empty")),
        _ => Ok(()),
    }
}

fn user_json(user: &User) -> Result<Value, ConfigError> {
    Ok(match user {
        User::Id(id) => {
            check("user", id)?;
            json!({ "id": id })
        }
        User::Name { name, domain } => {
            check("user", name)?;
            check("user_domain", domain.key_and_value().1)?;
            json!({ "name": name, "domain": domain.json() })
        }
    })
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(key.to_owned(), value);
    }
}

/// Returns the time until a token expires, by the server's clock if the answer has a date: ours may be off.
fn life(token: &Value, answer: &HttpResponse, transport: &Transport) -> Option<Duration> {
    let expires_at = times::from_text(token.get("expires_at")?.as_str()?)?;
    expires_at.duration_since(answer.answered.unwrap_or_else(|| transport.clock.now())).ok()
}

#[cfg(test)]
mod tests;

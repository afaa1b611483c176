//! The login with a password, for which IAM issues a token.

use std::time::Duration;

use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    catalog::{CatalogQuery, cfw_url},
    credentials::header,
    password::{Password, User},
    state::NewToken,
};
use crate::{
    Class, ConfigError, Error, ErrorKind,
    error::Operation,
    http::{
        classify::{Classification, classify},
        endpoint::Endpoint,
        response::HttpResponse,
        transport::Transport,
    },
    times,
    wire::{error_body::ErrorBody, without_bom},
};

/// A login request, checked, that can be sent any number of times.
pub(super) struct PasswordLogin {
    url: Url,
    body: SecretString,
    password: SecretString,
    passcode: SecretString,
    catalog_query: CatalogQuery,
}

impl PasswordLogin {
    pub(super) fn new(
        password: Password,
        catalog_query: CatalogQuery,
    ) -> Result<Self, ConfigError> {
        let Password { auth_url, user, password, project, passcode } = password;
        let endpoint = Endpoint::parse("auth_url", &auth_url, catalog_query.allow_plain_http)?;
        let version =
            if endpoint.path().trim_end_matches('/').ends_with("/v3") { "" } else { "/v3" };
        let mut url = endpoint.join(&format!("{version}/auth/tokens"));
        if !catalog_query.wanted {
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
            catalog_query,
        })
    }

    /// Logs in once. The error for a wrong password is not transient, because repeating it locks the account.
    pub(super) async fn token(&self, transport: &Transport) -> Result<NewToken, Error> {
        let secrets = [self.password.expose_secret(), self.passcode.expose_secret()];
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.body_mut() = Some(self.body.expose_secret().to_owned().into());
        let answer = transport.exchange(Operation::Token, request, &secrets).await?;
        if !answer.is_success() {
            let body = ErrorBody::parse(&answer.body);
            let classification = match classify(answer.status, body.code.as_deref(), &body.text) {
                // Not a lost job: the URL is wrong.
                Classification::NotFound => Classification::Fatal,
                other => other,
            };
            return Err(answer.error(Operation::Token, &body, classification, &secrets));
        }
        let unusable = |text: &str| answer.unusable(Operation::Token, text);
        let secret =
            answer.subject_token.as_ref().ok_or_else(|| unusable("no X-Subject-Token header"))?;
        let header = header("token", secret).map_err(|_| unusable("X-Subject-Token: no token"))?;
        let body: Value = serde_json::from_slice(without_bom(&answer.body))
            .map_err(|_| unusable("not JSON, or cut"))?;
        let token = body.get("token").unwrap_or(&Value::Null);
        let endpoint = cfw_url(token, &self.catalog_query)
            .map(|url| Endpoint::parse("endpoint", url, self.catalog_query.allow_plain_http))
            .transpose()
            .map(|endpoint| endpoint.map(Endpoint::without_version))
            .map_err(|error| {
                Error::new(Operation::Token, ErrorKind::Request, Class::Fatal).with_source(error)
            })?;
        Ok(NewToken {
            secret: secret.clone(),
            header,
            life: life(token, &answer, transport),
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

/// Returns the time until a token expires, by the server's clock if the answer has a date: ours may be off.
fn life(token: &Value, answer: &HttpResponse, transport: &Transport) -> Option<Duration> {
    let expires_at = times::from_text(token.get("expires_at")?.as_str()?)?;
    expires_at.duration_since(answer.answered.unwrap_or_else(|| transport.clock.now())).ok()
}

#[cfg(test)]
mod tests;

//! Logins: `POST /v3/auth/tokens`.

use std::time::Duration;

use axum::http::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::model::account::User;
use crate::state::config::{Config, PROJECT_NAME, REGION};
use crate::state::shared::State;
use crate::util::clock::format_iam;
use crate::util::random::{hash, hex_id};

const LOCKOUT: Duration = Duration::from_secs(15 * 60);

#[derive(Deserialize)]
struct Request {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Identity,
    scope: Option<Scope>,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Option<Method>,
    totp: Option<Method>,
}

#[derive(Deserialize)]
struct Method {
    user: LoginUser,
}

/// The user and the secrets of one login method.
#[derive(Deserialize)]
struct LoginUser {
    id: Option<String>,
    name: Option<String>,
    domain: Option<IdOrName>,
    password: Option<String>,
    passcode: Option<String>,
}

#[derive(Deserialize)]
struct Scope {
    project: Option<IdOrName>,
}

#[derive(Deserialize)]
struct IdOrName {
    id: Option<String>,
    name: Option<String>,
}

pub(crate) fn create_token(state: &mut State, call: &Call<'_>) -> Answer {
    let config = &call.shared.config;
    // The message of serde is left out: it can quote the body, and with it the password.
    let Ok(Request { auth }) = serde_json::from_slice(call.body) else {
        return Answer::iam(400, "Bad Request", "Request body is invalid.");
    };
    let lockout = &mut state.login_lockout;
    if lockout.is_locked(call.now) {
        return Answer::iam(401, "Unauthorized", "The account is locked.");
    }
    if !auth.identity.authenticates(&config.user) {
        lockout.record_failure(config.login_attempts, call.now, LOCKOUT);
        return Answer::iam(401, "Unauthorized", "The username or password is wrong.");
    }
    lockout.record_success();
    let project = auth.scope.and_then(|scope| scope.project);
    if project.as_ref().is_some_and(|project| !project.matches(&config.project_id, PROJECT_NAME)) {
        return Answer::iam(401, "Unauthorized", "The project does not exist or is not yours.");
    }
    issue_token(state, call, &auth.identity.methods, project.is_some())
}

fn issue_token(state: &mut State, call: &Call<'_>, methods: &[String], is_scoped: bool) -> Answer {
    let config = &call.shared.config;
    let expires = call.now.saturating_add(config.token_lifetime);
    let n = state.next_id();
    let token = state.tokens.issue(config.seed, n, expires, is_scoped);
    let domain = json!({ "id": config.user.domain_id(), "name": config.user.domain() });
    let mut body = json!({
        "methods": methods,
        "issued_at": format_iam(call.shared.unix_millis(state, call.now)),
        "expires_at": format_iam(call.shared.unix_millis(state, expires)),
        "user": { "id": config.user.id(), "name": config.user.name(), "domain": &domain },
        "roles": [{ "id": "0", "name": "te_admin" }],
    });
    if let Some(body) = body.as_object_mut() {
        if is_scoped {
            let project =
                json!({ "id": config.project_id, "name": PROJECT_NAME, "domain": domain });
            body.insert("project".to_owned(), project);
        } else {
            body.insert("domain".to_owned(), domain);
        }
        if !call.parts.uri.query().is_some_and(|query| query.contains("nocatalog")) {
            body.insert("catalog".to_owned(), catalog(config, &call.shared.endpoint));
        }
    }
    Answer::json(201, &json!({ "token": body }))
        .header(HeaderName::from_static("x-subject-token"), Some(&token))
}

/// Lists CFW as a service per version, as clients of Open Telekom Cloud expect, and as one service
/// without a version.
fn catalog(config: &Config, endpoint: &str) -> Value {
    let service = |kind: &str, path: String| {
        let id = |n| hex_id(config.seed, hash(kind), n);
        json!({
            "id": id(0),
            "name": kind.trim_end_matches(char::is_numeric).trim_end_matches('v'),
            "type": kind,
            "endpoints": [{
                "id": id(1),
                "interface": "public",
                "region": REGION,
                "region_id": REGION,
                "url": format!("{endpoint}{path}"),
            }],
        })
    };
    let project_id = &config.project_id;
    json!([
        service("identity", "/v3".to_owned()),
        service("cfw", String::new()),
        service("cfwv1", format!("/v1/{project_id}")),
        service("cfwv2", format!("/v2/{project_id}")),
        service("cfwv3", format!("/v3/{project_id}")),
    ])
}

impl Identity {
    fn authenticates(&self, user: &User) -> bool {
        let uses = |method: &str| self.methods.iter().any(|used| used == method);
        let password = self.password.as_ref().is_some_and(|method| {
            method.user.matches(user) && method.user.password.as_deref() == Some(user.password())
        });
        let totp = user.totp().is_none_or(|passcode| {
            uses("totp")
                && self.totp.as_ref().is_some_and(|method| {
                    method.user.matches(user) && method.user.passcode.as_deref() == Some(passcode)
                })
        });
        uses("password") && password && totp
    }
}

impl LoginUser {
    fn matches(&self, user: &User) -> bool {
        let by_id = self.id.as_deref() == Some(&user.id());
        let by_name = self.name.as_deref() == Some(user.name())
            && self
                .domain
                .as_ref()
                .is_some_and(|domain| domain.matches(&user.domain_id(), user.domain()));
        by_id || by_name
    }
}

impl IdOrName {
    fn matches(&self, id: &str, name: &str) -> bool {
        match &self.id {
            Some(known) => known == id,
            None => self.name.as_deref() == Some(name),
        }
    }
}

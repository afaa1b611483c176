//! `POST /v3/auth/tokens`.

use std::time::Duration;

use axum::http::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accounts::User;
use crate::answer::Answer;
use crate::builder::Config;
use crate::clock::iso;
use crate::gateway::Call;
use crate::random::{hash, hex_id};
use crate::simulator::{PROJECT_NAME, REGION};
use crate::state::State;

const LOCKED_FOR: Duration = Duration::from_secs(15 * 60);

/// The wrong passwords of the one user.
#[derive(Default)]
pub(crate) struct Logins {
    failures: u32,
    locked_until: Option<Duration>,
}

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
    user: Claim,
}

/// Who somebody claims to be.
#[derive(Deserialize)]
struct Claim {
    id: Option<String>,
    name: Option<String>,
    domain: Option<Named>,
    password: Option<String>,
    passcode: Option<String>,
}

#[derive(Deserialize)]
struct Scope {
    project: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    name: Option<String>,
}

pub(crate) fn create_token(state: &mut State, call: &Call<'_>) -> Answer {
    let config = &call.shared.config;
    // Not serde's words: they would quote the body, and with it the password.
    let Ok(Request { auth }) = serde_json::from_slice(call.body) else {
        return error(400, "Bad Request", "Request body is invalid.");
    };
    let logins = &mut state.logins;
    if logins.locked_until.is_some_and(|end| call.now < end) {
        return error(401, "Unauthorized", "The account is locked.");
    }
    if !auth.identity.proves(&config.user) {
        logins.failures += 1;
        if logins.failures >= config.login_attempts {
            *logins =
                Logins { failures: 0, locked_until: Some(call.now.saturating_add(LOCKED_FOR)) };
        }
        return error(401, "Unauthorized", "The username or password is wrong.");
    }
    *logins = Logins::default();
    let project = auth.scope.and_then(|scope| scope.project);
    if project.as_ref().is_some_and(|project| !project.is(&config.project_id, PROJECT_NAME)) {
        return error(401, "Unauthorized", "The project does not exist or is not yours.");
    }
    issue(state, call, &auth.identity.methods, project.is_some())
}

fn issue(state: &mut State, call: &Call<'_>, methods: &[String], scoped: bool) -> Answer {
    let config = &call.shared.config;
    let expires = call.now.saturating_add(config.token_lifetime);
    let n = state.next_id();
    let token = state.tokens.issue(config.seed, n, expires, scoped);
    let domain = json!({ "id": config.user.domain_id(), "name": config.user.domain() });
    let mut body = json!({
        "methods": methods,
        "issued_at": iso(call.shared.unix_millis(state, call.now)),
        "expires_at": iso(call.shared.unix_millis(state, expires)),
        "user": { "id": config.user.id(), "name": config.user.name(), "domain": &domain },
        "roles": [{ "id": "0", "name": "te_admin" }],
    });
    if let Some(body) = body.as_object_mut() {
        if scoped {
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

/// One service per version of CFW, as clients of the Open Telekom Cloud look for.
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
        service("cfwv1", format!("/v1/{project_id}")),
        service("cfwv2", format!("/v2/{project_id}")),
        service("cfwv3", format!("/v3/{project_id}")),
    ])
}

fn error(status: u16, title: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "error": { "code": status, "message": message, "title": title } }),
    )
}

impl Identity {
    fn proves(&self, user: &User) -> bool {
        let uses = |method: &str| self.methods.iter().any(|used| used == method);
        let password = self.password.as_ref().is_some_and(|method| {
            method.user.is(user) && method.user.password.as_deref() == Some(user.password())
        });
        let totp = user.totp().is_none_or(|passcode| {
            uses("totp")
                && self.totp.as_ref().is_some_and(|method| {
                    method.user.is(user) && method.user.passcode.as_deref() == Some(passcode)
                })
        });
        uses("password") && password && totp
    }
}

impl Claim {
    fn is(&self, user: &User) -> bool {
        let by_id = self.id.as_deref() == Some(&user.id());
        let by_name = self.name.as_deref() == Some(user.name())
            && self
                .domain
                .as_ref()
                .is_some_and(|domain| domain.is(&user.domain_id(), user.domain()));
        by_id || by_name
    }
}

impl Named {
    fn is(&self, id: &str, name: &str) -> bool {
        match &self.id {
            Some(own) => own == id,
            None => self.name.as_deref() == Some(name),
        }
    }
}

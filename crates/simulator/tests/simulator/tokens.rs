//! Tokens: their issue, their end and their refusal.

use cfw_simulator::{Credential, JobScript, Simulator, TokenRefusal, User};
use serde_json::{Value, json};

use crate::support::{Answer, Client, ms, poll_with};

async fn log_in(sim: &Simulator, body: &Value) -> Answer {
    let mut client = Client::connect(sim).await;
    client.call("POST", "/v3/auth/tokens", &[], &body.to_string()).await
}

/// Returns the body of a login for a project token.
fn login(sim: &Simulator, password: &str) -> Value {
    let domain = json!({ "name": sim.user().domain() });
    let user = json!({ "name": sim.user().name(), "password": password, "domain": domain });
    json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": user } },
        "scope": { "project": { "name": sim.project_name() } },
    }})
}

async fn token(sim: &Simulator) -> String {
    let answer = log_in(sim, &login(sim, sim.user().password())).await;
    answer.header("X-Subject-Token").unwrap().to_owned()
}

#[tokio::test]
async fn a_password_login_returns_a_project_token() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let answer = log_in(&sim, &login(&sim, sim.user().password())).await;
    assert_eq!(answer.status, 201);
    assert!(answer.header("X-IAM-Trace-Id").is_some());
    let token = answer.header("X-Subject-Token").unwrap();
    assert!(token.len() > 1500, "kilobytes, not {}", token.len());
    let body = &answer.json()["token"];
    assert_eq!(body["project"]["id"], sim.project_id());
    assert_eq!(body["project"]["domain"]["name"], sim.user().domain());
    let time = |name: &str| body[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("expires_at").duration_since(time("issued_at")).as_hours(), 24);
    assert_eq!(body["expires_at"].as_str().unwrap().len(), "2015-11-09T01:42:57.527363Z".len());
    let catalog = body["catalog"].as_array().unwrap();
    let url_of = |kind: &str| {
        let service = catalog.iter().find(|service| service["type"] == kind).unwrap();
        assert_eq!(
            (&service["name"], &service["endpoints"][0]["region"]),
            (&json!("cfw"), &json!("eu-de"))
        );
        service["endpoints"][0]["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(url_of("cfw"), sim.endpoint());
    for version in ["v1", "v2", "v3"] {
        let url = format!("{}/{version}/{}", sim.endpoint(), sim.project_id());
        assert_eq!(url_of(&format!("cfw{version}")), url);
    }
    assert_eq!(poll_with(&sim, &id, &[("X-Auth-Token", token)]).await.status, 200);
    assert_eq!(sim.counts().tokens, 1);
}

#[tokio::test]
async fn logins_accept_ids_and_can_omit_the_catalog() {
    let sim = Simulator::start().await.unwrap();
    let user = json!({ "id": sim.user().id(), "password": sim.user().password() });
    let body = json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": user } },
        "scope": { "project": { "id": sim.project_id() } },
    }});
    let mut client = Client::connect(&sim).await;
    let answer = client.call("POST", "/v3/auth/tokens?nocatalog=1", &[], &body.to_string()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["token"].get("catalog"), None);
}

#[tokio::test]
async fn invalid_logins_get_the_errors_of_iam() {
    let sim = Simulator::builder().login_attempts(100).start().await.unwrap();
    let good = login(&sim, sim.user().password());
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let wrong = "The username or password is wrong.";
    let user = "/auth/identity/password/user";
    for (body, status, message) in [
        (json!({ "auth": {} }), 400, "Request body is invalid."),
        (changed(&format!("{user}/password"), json!("guess")), 401, wrong),
        (changed(&format!("{user}/name"), json!("unknown")), 401, wrong),
        (changed(&format!("{user}/domain"), json!({ "name": "elsewhere" })), 401, wrong),
        (changed("/auth/identity/methods", json!(["totp"])), 401, wrong),
        (
            changed("/auth/scope/project/name", json!("eu-de_other")),
            401,
            "The project does not exist or is not yours.",
        ),
    ] {
        let answer = log_in(&sim, &body).await;
        assert_eq!(answer.status, status, "{body}");
        let error = &answer.json()["error"];
        assert_eq!((&error["code"], &error["message"]), (&json!(status), &json!(message)));
    }
}

#[tokio::test]
async fn wrong_passwords_in_a_row_lock_the_user() {
    let sim = Simulator::builder().login_attempts(2).start().await.unwrap();
    let (good, bad) = (login(&sim, sim.user().password()), login(&sim, "guess"));
    let mut seen = Vec::new();
    for body in [&bad, &good, &bad, &bad, &good] {
        let answer = log_in(&sim, body).await;
        let message = answer.json()["error"]["message"].as_str().unwrap_or("fine").to_owned();
        seen.push(message);
    }
    let wrong = "The username or password is wrong.";
    assert_eq!(seen, [wrong, "fine", wrong, wrong, "The account is locked."]);
}

#[tokio::test]
async fn a_second_factor_is_required() {
    let user = User::new("ada", "pw").with_domain("D").with_totp("123456");
    let sim = Simulator::builder().user(user).start().await.unwrap();
    let mut body = login(&sim, "pw");
    assert_eq!(log_in(&sim, &body).await.status, 401);
    body["auth"]["identity"]["methods"] = json!(["password", "totp"]);
    for (passcode, status) in [("654321", 401), ("123456", 201)] {
        let user = json!({ "id": sim.user().id(), "passcode": passcode });
        body["auth"]["identity"]["totp"] = json!({ "user": user });
        assert_eq!(log_in(&sim, &body).await.status, status);
    }
}

#[tokio::test]
async fn an_unscoped_token_is_refused_by_cfw() {
    let sim = Simulator::start().await.unwrap();
    let mut body = login(&sim, sim.user().password());
    body["auth"].as_object_mut().unwrap().remove("scope");
    let answer = log_in(&sim, &body).await;
    assert_eq!(answer.json()["token"].get("project"), None);
    let token = answer.header("X-Subject-Token").unwrap();
    assert_eq!(poll_with(&sim, "a", &[("X-Auth-Token", token)]).await.status, 403);
}

#[tokio::test]
async fn tokens_can_expire_or_be_revoked() {
    let sim = Simulator::builder().token_lifetime(ms(0)).start().await.unwrap();
    let prefix = "Incorrect IAM authentication information: ";
    let reason = |answer: Answer| {
        assert_eq!((answer.status, &answer.json()["error_code"]), (401, &json!("APIGW.0301")));
        answer.json()["error_msg"].as_str().unwrap().strip_prefix(prefix).unwrap().to_owned()
    };
    let short = token(&sim).await;
    let expired = reason(poll_with(&sim, "a", &[("X-Auth-Token", &short)]).await);
    assert!(
        expired.starts_with("token expires, expires_at: 20") && expired.ends_with('Z'),
        "{expired}"
    );
    sim.expire_tokens();
    let expired = reason(poll_with(&sim, "a", &[("X-Auth-Token", sim.token())]).await);
    assert!(expired.starts_with("token expires"), "{expired}");
    sim.revoke_tokens();
    for token in [&short, sim.token()] {
        assert_eq!(
            reason(poll_with(&sim, "a", &[("X-Auth-Token", token)]).await),
            "decrypt token fail"
        );
    }
    assert_eq!(sim.counts().refused, 4);
    assert_eq!(sim.requests()[1].credential, Credential::RefusedToken);
}

#[tokio::test]
async fn the_refusal_of_tokens_can_be_changed() {
    let sim = Simulator::start().await.unwrap();
    let bad = [("X-Auth-Token", "bad")];
    sim.set_token_refusal(TokenRefusal::MustUpdate);
    let answer = poll_with(&sim, "a", &bad).await;
    assert_eq!((answer.status, &answer.json()["error_code"]), (401, &json!("APIGW.0307")));
    sim.set_token_refusal(TokenRefusal::Forbidden);
    let answer = poll_with(&sim, "a", &bad).await;
    assert_eq!(
        (answer.status, answer.json()),
        (403, json!({ "message": "X-Auth-Token is invalid" }))
    );
}

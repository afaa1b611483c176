//! Passwords and keys at work: who asks IAM how often, and what becomes of refusals.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use cfw_api::{AccessKey, Class, Client, Credentials, ErrorKind, JobStatus};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_json, method, path},
};

use crate::{
    cloud::{at_once, cloud, once, password, password_client, refusal, running},
    common::{builder, id},
};

#[tokio::test]
async fn a_password_is_exchanged_for_a_token_as_the_manual_says() {
    let server = MockServer::start().await;
    let login = serde_json::json!({"auth": {
        "identity": {
            "methods": ["password", "totp"],
            "password": {"user": {"name": "user", "domain": {"name": "domain"}, "password": "SENSITIVE-password"}},
            "totp": {"user": {"name": "user", "domain": {"name": "domain"}, "passcode": "123456"}},
        },
        "scope": {"project": {"name": "eu-de"}},
    }});
    let catalog = serde_json::json!({"token": {
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "project": {"id": "p-1"},
        "catalog": [{"type": "cfwv3", "endpoints": [
            {"interface": "public", "region": "eu-de", "url": format!("{}/gw/v3/p-1", server.uri())},
        ]}],
    }});
    Mock::given(method("POST"))
        .and(path("/v3/auth/tokens"))
        .and(body_json(login))
        .respond_with(
            ResponseTemplate::new(201)
                .insert_header("X-Subject-Token", "token-1")
                .set_body_json(catalog),
        )
        .expect(1)
        .mount(&server)
        .await;
    let job = Mock::given(path(format!("/gw/v3/p-1/jobs/{}", id())));
    job.respond_with(running()).expect(2).mount(&server).await;
    let credentials =
        Credentials::password(password(&format!("{}/v3/", server.uri())).passcode("123456"));
    let client = Client::builder().region("eu-de").credentials(credentials).build().unwrap();
    for _ in 0..2 {
        assert_eq!(client.list_job(&id()).await.unwrap().status, JobStatus::Running);
    }
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_for_all_calls_and_none_fails() {
    let cloud = cloud().await;
    let client = password_client(&cloud.server);
    for revoked in 0..4 {
        cloud.revoked.store(revoked, SeqCst);
        let jobs = at_once(&client, 100).await;
        assert!(jobs.iter().all(Result::is_ok), "{jobs:?}");
        assert_eq!(cloud.issued.load(SeqCst), revoked + 1);
    }
    // Each call went out once, and again only where its token had been refused.
    let calls = cloud.server.received_requests().await.unwrap().len();
    assert!((404..=704).contains(&calls), "{calls}");
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_final() {
    let cloud = cloud().await;
    cloud.revoked.store(usize::MAX, SeqCst);
    let client = password_client(&cloud.server);
    for jobs in [at_once(&client, 50).await, at_once(&client, 50).await] {
        for error in jobs.into_iter().map(Result::unwrap_err) {
            assert_eq!((error.kind(), error.class()), (ErrorKind::Refused, Class::Unauthorized));
        }
    }
    assert_eq!(cloud.issued.load(SeqCst), 2);
    assert_eq!(cloud.server.received_requests().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    let body = r#"{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}"#;
    let server = once(ResponseTemplate::new(401).set_body_string(body)).await;
    let client = password_client(&server);
    for jobs in [at_once(&client, 50).await, at_once(&client, 50).await] {
        for error in jobs.into_iter().map(Result::unwrap_err) {
            assert_eq!((error.kind(), error.class()), (ErrorKind::Refused, Class::Unauthorized));
            let job = id();
            let expected = format!(
                "list job {job}: obtain a token: credentials refused: The username or password is wrong. (HTTP 401)"
            );
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[tokio::test]
async fn a_wrong_key_is_tried_once() {
    let server = once(refusal(401, "verify aksk signature fail,canonicalRequest:GET|/v3")).await;
    let credentials = Credentials::access_key(AccessKey::new("AK", "SENSITIVE-secret-key"));
    let client = builder(&server.uri()).credentials(credentials).build().unwrap();
    for jobs in [at_once(&client, 100).await, at_once(&client, 100).await] {
        for error in jobs.into_iter().map(Result::unwrap_err) {
            assert_eq!((error.kind(), error.class()), (ErrorKind::Refused, Class::Unauthorized));
        }
    }
}

#[tokio::test]
async fn a_locked_key_rests_and_says_how_long() {
    let server = once(refusal(401, "AK access failed to reach the limit,forbidden.")).await;
    let credentials = Credentials::access_key(AccessKey::new("AK", "SENSITIVE-secret-key"));
    let client = builder(&server.uri()).credentials(credentials).build().unwrap();
    for error in at_once(&client, 50).await.into_iter().map(Result::unwrap_err) {
        assert!(error.is_transient());
        assert!(error.retry_after().unwrap() > Duration::from_secs(290), "{error:?}");
    }
}

#[tokio::test]
async fn iam_in_trouble_is_transient_but_a_wrong_auth_url_is_not() {
    let rows = [
        (503, "", ErrorKind::Service, true),
        (429, "", ErrorKind::Throttled, true),
        (400, r#"{"error":{"code":400,"message":"bad"}}"#, ErrorKind::Service, false),
        (404, "", ErrorKind::Service, false),
        (201, "{}", ErrorKind::Answer, true),
    ];
    for (status, body, kind, transient) in rows {
        // The same failure answers all calls for a second.
        let server = once(ResponseTemplate::new(status).set_body_string(body)).await;
        let client = password_client(&server);
        for _ in 0..3 {
            let error = client.list_job(&id()).await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{status} {error}");
            assert!(transient || error.class() == Class::Fatal, "{status} {error:?}");
        }
    }
}

// Without TLS, because one row is about what then cannot be reached.
#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
#[tokio::test]
async fn what_neither_the_settings_nor_the_token_tell_is_an_error() {
    let token = |body| {
        ResponseTemplate::new(201).insert_header("X-Subject-Token", "t").set_body_string(body)
    };
    let rows = [
        (r#"{"token":{"project":{"id":"p"}}}"#, "no endpoint"),
        (
            r#"{"token":{"project":{"id":"p"},"catalog":[{"type":"vpc","endpoints":[{"url":"http://h"}]}]}}"#,
            "no endpoint",
        ),
        (
            r#"{"token":{"catalog":[{"type":"cfw","endpoints":[{"url":"http://127.0.0.1:1"}]}]}}"#,
            "no project",
        ),
        (
            r#"{"token":{"catalog":[{"type":"cfw","endpoints":[{"url":"https://h.example"}]}]}}"#,
            "no project",
        ),
        (
            r#"{"token":{"project":{"id":"p"},"catalog":[{"type":"cfw","endpoints":[{"url":"https://h.example"}]}]}}"#,
            "the endpoint in the token's catalog, h.example, cannot be reached",
        ),
    ];
    for (body, problem) in rows {
        let server = once(token(body)).await;
        let credentials = Credentials::password(password(&server.uri()));
        let error = Client::builder()
            .credentials(credentials)
            .build()
            .unwrap()
            .list_job(&id())
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Request, Class::Fatal), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
    // A token must not be sent over plain http because a catalog says so.
    let body = r#"{"token":{"project":{"id":"p"},"catalog":[{"type":"cfw","endpoints":[{"url":"http://h.example"}]}]}}"#;
    let server = once(token(body)).await;
    let credentials = Credentials::password(password(&server.uri()));
    let error = Client::builder()
        .credentials(credentials)
        .build()
        .unwrap()
        .list_job(&id())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Request, Class::Fatal), "{error}");
}

#[tokio::test]
async fn an_id_with_a_percent_sign_is_not_signed() {
    let client = builder("http://127.0.0.1:1")
        .credentials(Credentials::access_key(AccessKey::new("AK", "SK")))
        .build();
    let error = client.unwrap().list_job(&"a%b".parse().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Request, Class::Fatal));
}

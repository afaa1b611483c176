//! Passwords and keys at work: who asks IAM how often, and what becomes of refusals.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use cfw_api::{AccessKey, Class, Client, Credentials, ErrorKind, JobStatus};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_json, method, path, query_param},
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
    for jobs in [at_once(&client, 500).await, at_once(&client, 500).await] {
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
    for jobs in [at_once(&client, 500).await, at_once(&client, 500).await] {
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
    for jobs in [at_once(&client, 500).await, at_once(&client, 500).await] {
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
            r#"{"token":{"project":{"id":".."},"catalog":[{"type":"cfw","endpoints":[{"url":"http://127.0.0.1:1"}]}]}}"#,
            "the project's id is a relative path",
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

/// A service that knows the project `cn-north-4` and lets in any signature.
async fn with_projects() -> MockServer {
    let server = MockServer::start().await;
    let projects =
        r#"{"projects":[{"id":"no","name":"cn-north-4_x"},{"id":"p-1","name":"cn-north-4"}]}"#;
    Mock::given(method("GET"))
        .and(path("/v3/projects"))
        .and(query_param("name", "cn-north-4"))
        .respond_with(ResponseTemplate::new(200).set_body_string(projects))
        .expect(1)
        .mount(&server)
        .await;
    let job = Mock::given(path(format!("/v3/p-1/jobs/{}", id())));
    job.respond_with(running()).mount(&server).await;
    server
}

fn key_client(server: &MockServer, region: &str) -> Client {
    Client::builder()
        .endpoint(server.uri())
        .auth_url(format!("{}/v3", server.uri()))
        .region(region)
        .credentials(Credentials::access_key(AccessKey::new("AK", "SENSITIVE-secret-key")))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_project_of_a_key_is_looked_up_once() {
    let server = with_projects().await;
    let client = key_client(&server, "CN-North-4");
    for _ in 0..2 {
        let jobs = at_once(&client, 100).await;
        assert!(jobs.iter().all(Result::is_ok), "{jobs:?}");
    }
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 201);
    for request in &requests {
        let authorization = request.headers["authorization"].to_str().unwrap();
        assert!(authorization.contains("SignedHeaders=host;"), "{authorization}");
        assert_eq!(
            request.headers.contains_key("x-project-id"),
            request.url.path() != "/v3/projects"
        );
    }
}

#[tokio::test]
async fn a_project_that_cannot_be_looked_up_is_an_error_without_further_requests() {
    let rows = [
        (
            ResponseTemplate::new(200).set_body_string(r#"{"projects":[]}"#),
            ErrorKind::Request,
            Class::Fatal,
            "has no project \"eu-de\"",
        ),
        (
            ResponseTemplate::new(200).set_body_string(
                r#"{"projects":[{"id":"a","name":"eu-de"},{"id":"b","name":"eu-de"}]}"#,
            ),
            ErrorKind::Request,
            Class::Fatal,
            "several projects \"eu-de\"",
        ),
        (
            refusal(401, "verify aksk signature fail"),
            ErrorKind::Refused,
            Class::Unauthorized,
            "credentials refused",
        ),
        (ResponseTemplate::new(404), ErrorKind::Service, Class::Fatal, "look up the project"),
        (
            ResponseTemplate::new(403)
                .set_body_string(r#"{"error":{"code":403,"message":"no","title":"Forbidden"}}"#),
            ErrorKind::Service,
            Class::Fatal,
            "HTTP 403",
        ),
        // Not IAM's own word: the client tries again after a rest.
        (
            ResponseTemplate::new(403).set_body_string("no"),
            ErrorKind::Service,
            Class::Transient { retry_after: None },
            "HTTP 403",
        ),
        (
            ResponseTemplate::new(200).set_body_string("{}"),
            ErrorKind::Answer,
            Class::Transient { retry_after: None },
            "projects: expected an array",
        ),
        (
            ResponseTemplate::new(503),
            ErrorKind::Service,
            Class::Transient { retry_after: None },
            "HTTP 503",
        ),
    ];
    for (answer, kind, class, text) in rows {
        let server = once(answer).await;
        let client = key_client(&server, "eu-de");
        for error in at_once(&client, 100).await.into_iter().map(Result::unwrap_err) {
            assert_eq!((error.kind(), error.class()), (kind, class), "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
    let server = once(refusal(401, "AK access failed to reach the limit,forbidden.")).await;
    for error in
        at_once(&key_client(&server, "eu-de"), 20).await.into_iter().map(Result::unwrap_err)
    {
        assert!(error.is_transient() && error.retry_after().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_file_is_read_again_after_a_refusal() {
    let cloud = cloud().await;
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join("replaced_token");
    let client = |file: &std::path::Path| {
        builder(&cloud.server.uri())
            .project_id("p-1")
            .credentials(Credentials::token_file(file))
            .build()
            .unwrap()
    };
    std::fs::write(&file, "\u{feff}token-1\r\n").unwrap();
    let replaced = client(&file);
    assert!(at_once(&replaced, 20).await.iter().all(Result::is_ok));
    cloud.revoked.store(1, SeqCst);
    std::fs::write(&file, "token-2").unwrap();
    assert!(at_once(&replaced, 50).await.iter().all(Result::is_ok));
    // The same again rests, because it was accepted before: the file was read once, and the token sent once more by none.
    cloud.revoked.store(2, SeqCst);
    let before = cloud.server.received_requests().await.unwrap().len();
    for error in at_once(&replaced, 1).await.into_iter().chain(at_once(&replaced, 20).await) {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.is_transient() && error.retry_after().is_some(), "{error:?}");
    }
    assert_eq!(cloud.server.received_requests().await.unwrap().len(), before + 1);

    for (bytes, problem, is_transient) in [
        (vec![b'x'; 64 * 1024 + 1], "is longer than 64 KiB", false),
        (b"\xff".to_vec(), "is not UTF-8", false),
        (b" \n".to_vec(), "is empty", true),
    ] {
        let file = directory.join("bad_token");
        std::fs::write(&file, bytes).unwrap();
        let error = client(&file).list_job(&id()).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(problem) && cause.contains("bad_token"), "{cause}");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Provider, is_transient));
    }
    std::fs::write(&file, vec![b'x'; 64 * 1024]).unwrap();
    let error = client(&directory.join("no_such_token")).list_job(&id()).await.unwrap_err();
    assert!(error.is_transient(), "it can be absent while it is replaced");
}

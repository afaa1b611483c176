//! Requests as they go out and answers as they come in, over HTTP on loopback.

use std::time::{Duration, SystemTime};

use crate::common::{ID, TOKEN, builder, id};
use cfw_api::{Class, ErrorKind, JobId, JobStatus};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, header, method, path},
};

#[tokio::test]
async fn a_job_is_asked_for_as_the_manual_says() {
    let server = MockServer::start().await;
    let body = include_str!("../data/manual_example.json");
    Mock::given(method("GET"))
        .and(path(format!("/v3/project/jobs/{ID}")))
        .and(header("X-Auth-Token", TOKEN))
        .and(header("Content-Type", "application/json"))
        // Without it a cache may answer each poll with the status of the first.
        .and(header("Cache-Control", "no-cache"))
        .and(header("User-Agent", concat!("cfw-api/", env!("CARGO_PKG_VERSION"))))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("X-Request-Id", "r-1")
                .insert_header("Date", "Wed, 05 Jan 2022 08:15:16 GMT")
                // Proxies mislabel; the body is what counts.
                .set_body_raw(body, "text/html"),
        )
        .expect(1)
        .mount(&server)
        .await;
    let job = builder(&server.uri()).build().unwrap().list_job(&id()).await.unwrap();
    assert_eq!((job.id.as_str(), job.status), (ID, JobStatus::Success));
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!((job.begin_time, job.end_time), (at(1_641_370_501), at(1_641_370_515)));
    assert_eq!((job.answered, job.request_id.as_deref()), (at(1_641_370_516), Some("r-1")));
    assert_eq!((job.error_code, job.error_msg), (None, None));
}

#[tokio::test]
async fn an_id_and_a_user_agent_reach_the_server_as_they_are() {
    let server = MockServer::start().await;
    let id = JobId::new("a b%c?d#é").unwrap();
    Mock::given(path("/gw/v3/project/jobs/a%20b%25c%3Fd%23%C3%A9"))
        .and(header("User-Agent", "pipeline/7"))
        .respond_with(
            ResponseTemplate::new(200).set_body_string(r#"{"data":{"status":"Verifying"}}"#),
        )
        .mount(&server)
        .await;
    let client =
        builder(&format!("{}/gw/", server.uri())).user_agent("pipeline/7").build().unwrap();
    assert_eq!(client.list_job(&id).await.unwrap().status, JobStatus::Other("Verifying".into()));
}

#[tokio::test]
async fn an_error_answer_is_classified_and_keeps_what_support_asks_for() {
    let pause = Some(Duration::from_secs(7));
    let rows = [
        (
            400,
            r#"{"error_code":"CFW.00100001","error_msg":"System busy. Try again later."}"#,
            ErrorKind::Service,
            Class::Transient { retry_after: pause },
        ),
        (
            400,
            r#"{"error_code":"CFW.00200005","error_msg":"Object not found."}"#,
            ErrorKind::NotFound,
            Class::NotFound,
        ),
        (
            400,
            r#"{"error_code":"CFW.00200016","error_msg":"status error"}"#,
            ErrorKind::Service,
            Class::Fatal,
        ),
        (
            404,
            r#"{"error_code":"APIGW.0101","error_msg":"The API does not exist"}"#,
            ErrorKind::Service,
            Class::Unexpected { can_pass: false },
        ),
        (405, "", ErrorKind::Service, Class::Unexpected { can_pass: false }),
        (400, "", ErrorKind::Service, Class::Unexpected { can_pass: true }),
        (403, "<html>no</html>", ErrorKind::Service, Class::Unexpected { can_pass: true }),
        (421, "", ErrorKind::Service, Class::Unexpected { can_pass: true }),
        (413, "", ErrorKind::Throttled, Class::Throttled { retry_after: pause, quota: None }),
        (503, "<html>busy</html>", ErrorKind::Service, Class::Transient { retry_after: pause }),
        (503, "", ErrorKind::Service, Class::Transient { retry_after: pause }),
        (
            200,
            r#"{"error_code":"CFW.00200005","error_msg":"Object not found."}"#,
            ErrorKind::NotFound,
            Class::NotFound,
        ),
        (200, r#"{"error_code":"CFW.99999999","data":null}"#, ErrorKind::Service, Class::Fatal),
        (200, "", ErrorKind::Answer, Class::Transient { retry_after: None }),
        (204, "", ErrorKind::Answer, Class::Transient { retry_after: None }),
        (
            200,
            r#"{"data":{"status":""}}"#,
            ErrorKind::Answer,
            Class::Transient { retry_after: None },
        ),
        (200, r#"{"message":"hello"}"#, ErrorKind::Answer, Class::Transient { retry_after: None }),
        // The reason why another job failed is no error of ours.
        (
            200,
            r#"{"error_code":"CFW.00600003","data":{"id":"other","status":"Failed"}}"#,
            ErrorKind::Answer,
            Class::Transient { retry_after: None },
        ),
    ];
    for (status, body, kind, class) in rows {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status)
            .insert_header("X-Request-Id", "r-1")
            .insert_header("Retry-After", "7")
            .set_body_string(body);
        Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
        let error = builder(&server.uri()).build().unwrap().list_job(&id()).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (kind, class), "{status} {body}");
        assert_eq!(
            (error.status(), error.request_id()),
            (Some(status), Some("r-1")),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn the_pause_is_that_of_the_header_or_else_of_the_body() {
    let seconds = |s| Some(Duration::from_secs(s));
    let in_body = r#"{"overLimit":{"code":413,"message":"m","retryAfter":"7"}}"#;
    let rows = [
        (None, in_body, seconds(7)),
        (Some("3"), in_body, seconds(3)),
        (Some("0"), in_body, seconds(7)),
        (Some("3"), r#"{"overLimit":{}}"#, seconds(3)),
        (None, r#"{"overLimit":{}}"#, None),
    ];
    for (header, body, retry_after) in rows {
        let server = MockServer::start().await;
        let mut answer = ResponseTemplate::new(413).set_body_string(body);
        if let Some(value) = header {
            answer = answer.insert_header("Retry-After", value);
        }
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let error = builder(&server.uri()).build().unwrap().list_job(&id()).await.unwrap_err();
        let class = Class::Throttled { retry_after, quota: None };
        assert_eq!(error.class(), class, "{header:?} {body}");
    }
}

#[tokio::test]
async fn the_message_tells_who_what_and_where_to_look() {
    let server = MockServer::start().await;
    let body =
        r#"{"error_code":"CFW.00200016","error_msg":"Instance status error.","request_id":"r-2"}"#;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(400).set_body_string(body))
        .mount(&server)
        .await;
    let error = builder(&server.uri())
        .build()
        .unwrap()
        .list_job(&"j-1".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "list job j-1: answered with an error: Instance status error. (HTTP 400, CFW.00200016, request id r-2)"
    );
    assert_eq!(
        (error.code(), error.message()),
        (Some("CFW.00200016"), Some("Instance status error."))
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&elsewhere).await;
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(307).insert_header("Location", elsewhere.uri());
    Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
    let error = builder(&server.uri()).build().unwrap().list_job(&id()).await.unwrap_err();
    assert_eq!((error.status(), error.class()), (Some(307), Class::Unexpected { can_pass: true }));
    let text = format!("a redirect to {}, which is not followed", elsewhere.address());
    assert_eq!(error.message(), Some(&*text));
}

#[tokio::test]
async fn a_redirect_is_described_by_its_host_alone() {
    let other = "a redirect to login.example:443, which is not followed";
    let same = "a redirect on the same host, which is not followed";
    for (location, expected) in [
        ("https://user:SENSITIVE@login.example/SENSITIVE?token=SENSITIVE#SENSITIVE", other),
        ("//login.example:443/", "a redirect to login.example:443, which is not followed"),
        ("/v3/SENSITIVE", same),
        ("?next=SENSITIVE", same),
        ("mailto:SENSITIVE", "a redirect, which is not followed"),
        ("http://[SENSITIVE", "a redirect, which is not followed"),
    ] {
        let server = MockServer::start().await;
        let page = "<html><title>302 Found</title>";
        let answer = ResponseTemplate::new(302).insert_header("Location", location);
        Mock::given(any()).respond_with(answer.set_body_string(page)).mount(&server).await;
        let error = builder(&server.uri()).build().unwrap().list_job(&id()).await.unwrap_err();
        assert_eq!(error.message(), Some(expected), "{location}");
        assert!(!format!("{error:?} {error:#?}").contains("SENSITIVE"), "{error:#?}");
    }
}

#[tokio::test]
async fn a_page_instead_of_a_job_is_described_by_its_title() {
    let server = MockServer::start().await;
    let page = "\n<!doctype html><html><head><meta charset=utf-8><title>Sign in</title></head>";
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_string(page))
        .mount(&server)
        .await;
    let error = builder(&server.uri()).build().unwrap().list_job(&id()).await.unwrap_err();
    let text = "not JSON, but an HTML page with the title \"Sign in\"";
    assert_eq!(
        (error.message(), error.class()),
        (Some(text), Class::Transient { retry_after: None })
    );
}

#[tokio::test]
async fn a_failed_job_keeps_the_reason_beside_it() {
    let server = MockServer::start().await;
    let body = include_str!("../data/failed_with_code.json");
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_string(body))
        .mount(&server)
        .await;
    let job = builder(&server.uri()).build().unwrap().list_job(&id()).await.unwrap();
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(
        (job.error_code.as_deref(), job.error_msg.as_deref()),
        (Some("CFW.00600003"), Some("no available flavor"))
    );
}

#[tokio::test]
async fn a_refused_token_is_not_sent_again() {
    let server = MockServer::start().await;
    let body = r#"{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: decrypt token fail"}"#;
    let answer = ResponseTemplate::new(401).set_body_string(body);
    Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
    let client = builder(&server.uri()).build().unwrap();
    for _ in 0..3 {
        let error = client.list_job(&id()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.class(), error.status()),
            (ErrorKind::Refused, Class::Unauthorized, Some(401))
        );
    }
}

#[test]
fn clients_and_errors_go_anywhere() {
    fn anywhere<T: Send + Sync + Clone + 'static>() {}
    anywhere::<cfw_api::Client>();
    anywhere::<cfw_api::Error>();
    fn sendable<T: Send>(_: &T) {}
    let (client, id) = (builder("http://127.0.0.1:1").build().unwrap(), id());
    sendable(&client.list_job(&id));
}

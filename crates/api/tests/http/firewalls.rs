//! Mutations of firewalls, and what they have come to.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::{TOKEN, builder};
use cfw_api::{
    Class, CreateFirewall, Credentials, ErrorKind, FirewallId, FirewallStatus, IdOrName, Password,
    User,
};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, body_json, header, method, path, query_param},
};

mod helpers {
    use super::*;

    pub(crate) fn id() -> FirewallId {
        FirewallId::new("f-1").unwrap()
    }

    pub(crate) async fn answering(status: u16, body: &str) -> MockServer {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status)
            .insert_header("X-Request-Id", "r-1")
            .set_body_string(body);
        Mock::given(any()).respond_with(answer).mount(&server).await;
        server
    }
}

use helpers::*;

#[tokio::test]
async fn a_create_is_sent_as_the_manual_says_and_answers_with_a_job() {
    let server = MockServer::start().await;
    let request = CreateFirewall::builder("edge").tag("team", "net").build().unwrap();
    let body = serde_json::json!({
        "name": "edge",
        "flavor": {"version": "Professional"},
        "charge_info": {"charge_mode": "postPaid"},
        "tags": [{"key": "team", "value": "net"}],
    });
    Mock::given(method("POST"))
        .and(path("/v2/project/firewall"))
        .and(header("X-Auth-Token", TOKEN))
        .and(header("Content-Type", "application/json"))
        .and(header("X-Client-Token", request.client_token()))
        .and(body_json(body))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("X-Request-Id", "r-1")
                .set_body_string(r#"{"job_id":"f-1","order_id":"","data":{"name":"edge"}}"#),
        )
        .expect(2)
        .mount(&server)
        .await;
    let client = builder(&server.uri()).build().unwrap();
    for _ in 0..2 {
        let created = client.create_firewall(&request).await.unwrap();
        assert_eq!(created.job_id.clone().map(FirewallId::from), Some(id()));
        assert_eq!((created.order_id, created.request_id.as_deref()), (None, Some("r-1")));
    }
}

#[tokio::test]
async fn a_create_is_sent_again_as_it_was_after_the_token_was_renewed() {
    let server = MockServer::start().await;
    let logins = AtomicUsize::new(0);
    let login = move |_: &Request| {
        ResponseTemplate::new(201)
            .insert_header("X-Subject-Token", format!("token-{}", logins.fetch_add(1, SeqCst)))
            .set_body_string(r#"{"token":{"project":{"id":"project"}}}"#)
    };
    Mock::given(path("/v3/auth/tokens")).respond_with(login).expect(2).mount(&server).await;
    let create = |request: &Request| match request.headers["x-auth-token"].to_str().unwrap() {
        "token-0" => ResponseTemplate::new(401),
        _ => ResponseTemplate::new(200).set_body_string(r#"{"job_id":"f-1"}"#),
    };
    Mock::given(path("/v2/project/firewall")).respond_with(create).expect(2).mount(&server).await;
    let user = User::Id("u".into());
    let password = Password::new(server.uri(), user, "pw", IdOrName::Id("project".into()));
    let client =
        builder(&server.uri()).credentials(Credentials::password(password)).build().unwrap();
    let request = CreateFirewall::builder("edge").build().unwrap();
    client.create_firewall(&request).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let creates: Vec<_> =
        requests.iter().filter(|request| request.url.path() == "/v2/project/firewall").collect();
    assert_eq!(creates[0].body, creates[1].body);
    assert_eq!(creates[0].headers["x-client-token"], creates[1].headers["x-client-token"]);
}

#[tokio::test]
async fn a_delete_answers_with_a_job_in_data() {
    let server = MockServer::start().await;
    Mock::given(method("DELETE"))
        .and(path("/v2/project/firewall/f-1"))
        .respond_with(ResponseTemplate::new(200).set_body_string(r#"{"data":"j-9"}"#))
        .expect(1)
        .mount(&server)
        .await;
    let job = builder(&server.uri()).build().unwrap().delete_firewall(&id()).await.unwrap();
    assert_eq!(job.as_str(), "j-9");
}

#[tokio::test]
async fn a_mutation_that_is_refused_or_unclear_is_an_error_by_its_code() {
    let rows = [
        (
            400,
            r#"{"error_code":"CFW.00200016","error_msg":"instance status error"}"#,
            ErrorKind::Service,
            false,
        ),
        (
            400,
            r#"{"error_code":"CFW.00200009","error_msg":"duplicate"}"#,
            ErrorKind::Service,
            false,
        ),
        (
            400,
            r#"{"error_code":"CFW.01100008","error_msg":"cluster is expanding"}"#,
            ErrorKind::Service,
            true,
        ),
        (
            400,
            r#"{"error_code":"CFW.00200005","error_msg":"Object not found."}"#,
            ErrorKind::NotFound,
            false,
        ),
        (
            200,
            r#"{"error_code":"CFW.00600003","error_msg":"no available flavor"}"#,
            ErrorKind::Service,
            false,
        ),
        (200, r#"{"data":{}}"#, ErrorKind::Answer, true),
        (200, "", ErrorKind::Answer, true),
    ];
    for (status, body, kind, transient) in rows {
        let server = answering(status, body).await;
        let client = builder(&server.uri()).build().unwrap();
        let create = client
            .create_firewall(&CreateFirewall::builder("edge").build().unwrap())
            .await
            .unwrap_err();
        let delete = client.delete_firewall(&id()).await.unwrap_err();
        for (error, call) in [(create, "create firewall: "), (delete, "delete firewall f-1: ")] {
            assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{error}");
            assert_eq!(
                (error.status(), error.request_id()),
                (Some(status), Some("r-1")),
                "{error}"
            );
            assert!(error.to_string().starts_with(call), "{error}");
        }
    }
}

#[tokio::test]
async fn a_firewall_is_asked_for_with_all_that_is_mandatory() {
    let server = MockServer::start().await;
    let body = r#"{"data":{"records":[{"fw_instance_id":"f 1&","name":"edge","status":2}]}}"#;
    Mock::given(method("GET"))
        .and(path("/v1/project/firewall/exist"))
        .and(query_param("fw_instance_id", "f 1&"))
        .and(query_param("offset", "0"))
        .and(query_param("limit", "10"))
        .and(query_param("service_type", "0"))
        .respond_with(ResponseTemplate::new(200).set_body_string(body))
        .mount(&server)
        .await;
    let id = FirewallId::new("f 1&").unwrap();
    let firewall =
        builder(&server.uri()).build().unwrap().get_firewall(&id).await.unwrap().unwrap();
    assert_eq!((firewall.id, firewall.status), (id, FirewallStatus::Running));
    assert_eq!(firewall.name.as_deref(), Some("edge"));
}

#[tokio::test]
async fn a_firewall_is_gone_only_when_the_service_says_so() {
    let gone = [
        (400, r#"{"error_code":"CFW.00200005","error_msg":"Object not found."}"#),
        (200, r#"{"error_code":"CFW.00200005","error_msg":"Object not found."}"#),
        (200, r#"{"data":{"records":[]}}"#),
        (200, r#"{"data":{"records":[{"fw_instance_id":"f-1","status":4}]}}"#),
    ];
    for (status, body) in gone {
        let server = answering(status, body).await;
        assert_eq!(
            builder(&server.uri()).build().unwrap().get_firewall(&id()).await.unwrap(),
            None,
            "{status} {body}"
        );
    }
    let unclear = [
        (404, "<html>no such page</html>", Class::NotFound),
        (
            404,
            r#"{"error_code":"APIGW.0101","error_msg":"The API does not exist"}"#,
            Class::Unexpected { can_pass: false },
        ),
        (200, "{}", Class::Transient { retry_after: None }),
        (503, "", Class::Transient { retry_after: None }),
    ];
    for (status, body, class) in unclear {
        let server = answering(status, body).await;
        let error = builder(&server.uri()).build().unwrap().get_firewall(&id()).await.unwrap_err();
        assert_eq!(error.class(), class, "{status} {body}");
    }
}

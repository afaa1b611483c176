//! Credentials over time, by a clock that the tests set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method},
};

use super::*;
use crate::{AccessKey, Class, Credentials, IdOrName, JobId, Password, User, clock::Clock, times};

/// 2026-05-28T09:27:52Z.
const NOW: u64 = 1_779_960_472;

#[derive(Clone)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(hands.0.load(SeqCst)))
    }

    fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, SeqCst);
    }
}

fn id() -> JobId {
    JobId::new("j-1").unwrap()
}

fn running() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(r#"{"data":{"status":"Running"}}"#)
}

fn key_client(server: &MockServer, key: AccessKey, clock: Clock) -> Client {
    let credentials = Credentials::access_key(key);
    Client::builder()
        .endpoint(server.uri())
        .project_id("p-1")
        .credentials(credentials)
        .clock(clock)
        .build()
        .unwrap()
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

/// A service whose clock is 16 min 18 s ahead of ours. `refusal` makes its answer to another time.
async fn ahead(refusal: fn() -> ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| match header(request, "x-sdk-date") {
        "20260528T094410Z" => running(),
        _ => refusal(),
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

const EXPIRED: &str =
    "Incorrect IAM authentication information: calc aksk signature fail:signature expired";

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_the_text_or_the_date_header() {
    let by_text: fn() -> ResponseTemplate = || {
        let text =
            format!("{EXPIRED}, signature time:20260528T092752Z,server time:20260528T094410Z");
        ResponseTemplate::new(401)
            .set_body_string(format!(r#"{{"error_code":"APIGW.0301","error_msg":"{text}"}}"#))
    };
    let by_header: fn() -> ResponseTemplate = || {
        ResponseTemplate::new(401)
            .insert_header("Date", "Thu, 28 May 2026 09:44:10 GMT")
            .set_body_string(format!(r#"{{"error_code":"APIGW.0301","error_msg":"{EXPIRED}"}}"#))
    };
    for refusal in [by_text, by_header] {
        let server = ahead(refusal).await;
        let client = key_client(&server, AccessKey::new("AK", "SK"), Hands::new().clock());
        for _ in 0..3 {
            client.list_job(&id()).await.unwrap();
        }
        let requests = server.received_requests().await.unwrap();
        let dates: Vec<_> = requests.iter().map(|request| header(request, "x-sdk-date")).collect();
        assert_eq!(
            dates,
            ["20260528T092752Z", "20260528T094410Z", "20260528T094410Z", "20260528T094410Z"]
        );
        assert_ne!(header(&requests[0], "authorization"), header(&requests[1], "authorization"));
    }
}

#[tokio::test]
async fn a_clock_that_stays_wrong_is_given_up() {
    let server = MockServer::start().await;
    let text = format!("{EXPIRED}, signature time:20260528T092752Z,server time:20260528T094410Z");
    let body = format!(r#"{{"error_code":"APIGW.0301","error_msg":"{text}"}}"#);
    let refusal = ResponseTemplate::new(401).set_body_string(body);
    Mock::given(any()).respond_with(refusal).expect(2).mount(&server).await;
    let client = key_client(&server, AccessKey::new("AK", "SK"), Hands::new().clock());
    for _ in 0..3 {
        assert_eq!(client.list_job(&id()).await.unwrap_err().class(), Class::Unauthorized);
    }
}

#[tokio::test]
async fn a_server_cannot_choose_when_we_sign() {
    let server = MockServer::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    Mock::given(any())
        .respond_with(move |_: &Request| {
            // Refused and accepted by turns, each time with another clock.
            const CLOCKS: [&str; 3] = ["20260528T094410Z", "20260528T121212Z", "19990101T000000Z"];
            let number = asked.fetch_add(1, SeqCst);
            if number % 2 == 1 {
                return running();
            }
            let clock = CLOCKS[(number / 2) % CLOCKS.len()];
            let text = format!("{EXPIRED}, signature time:20260528T092752Z,server time:{clock}");
            ResponseTemplate::new(401)
                .set_body_string(format!(r#"{{"error_code":"APIGW.0301","error_msg":"{text}"}}"#))
        })
        .mount(&server)
        .await;
    let client = key_client(&server, AccessKey::new("AK", "SK"), Hands::new().clock());
    let jobs =
        [client.list_job(&id()).await, client.list_job(&id()).await, client.list_job(&id()).await];
    assert_eq!(jobs.map(|job| job.is_ok()), [true, false, false]);
    let requests = server.received_requests().await.unwrap();
    let dates: Vec<_> = requests.iter().map(|request| header(request, "x-sdk-date")).collect();
    assert_eq!(dates, ["20260528T092752Z", "20260528T094410Z", "20260528T094410Z"]);
}

#[tokio::test]
async fn every_attempt_is_signed_anew_and_a_temporary_key_goes_with_its_token() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(running()).mount(&server).await;
    let hands = Hands::new();
    let key = AccessKey::new("AK", "SK").security_token("security");
    let client = key_client(&server, key, hands.clock());
    client.list_job(&id()).await.unwrap();
    hands.forward(1);
    client.list_job(&id()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let signature = |request| header(request, "authorization").rsplit_once("Signature=").unwrap().1;
    assert_ne!(signature(&requests[0]), signature(&requests[1]));
    for (request, date) in requests.iter().zip(["20260528T092752Z", "20260528T092753Z"]) {
        assert_eq!(header(request, "x-sdk-date"), date);
        assert_eq!(header(request, "x-project-id"), "p-1");
        assert_eq!(header(request, "x-security-token"), "security");
        assert!(!request.headers.contains_key("x-auth-token"));
        let authorization = header(request, "authorization");
        let start = "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-project-id;x-sdk-date;x-security-token, Signature=";
        assert!(authorization.starts_with(start), "{authorization}");
        let when = times::from_compact(date).unwrap();
        let host = header(request, "host");
        assert_eq!(host, server.address().to_string());
        let headers = [("host", host), ("x-project-id", "p-1"), ("x-security-token", "security")];
        let unsigned = crate::auth::sign::Unsigned {
            method: "GET",
            path: "/v3/p-1/jobs/j-1",
            query: &[],
            headers: &headers,
            body: crate::auth::sign::Body::Bytes(b""),
        };
        let key = crate::auth::sign::SigningKey { access: "AK", secret: "SK" };
        assert_eq!(authorization, crate::auth::sign::sign(&unsigned, key, when).authorization);
    }
}

/// IAM whose tokens live for an hour by its own clock, which is a day ahead, and a service that takes any.
async fn iam(logins: Arc<AtomicUsize>) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(move |_: &Request| {
            let number = logins.fetch_add(1, SeqCst) + 1;
            ResponseTemplate::new(201)
                .insert_header("Date", "Fri, 29 May 2026 09:27:52 GMT")
                .insert_header("X-Subject-Token", format!("token-{number}"))
                .set_body_string(r#"{"token":{"expires_at":"2026-05-29T10:27:52.527363Z","project":{"id":"p"}}}"#)
        })
        .mount(&server)
        .await;
    Mock::given(method("GET")).respond_with(running()).mount(&server).await;
    server
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_by_the_servers_clock() {
    let (hands, logins) = (Hands::new(), Arc::new(AtomicUsize::new(0)));
    let server = iam(Arc::clone(&logins)).await;
    let user = User::Id("u".into());
    let credentials =
        Credentials::password(Password::new(server.uri(), user, "pw", IdOrName::Id("p".into())));
    let client = Client::builder()
        .endpoint(server.uri())
        .credentials(credentials)
        .clock(hands.clock())
        .build()
        .unwrap();
    client.list_job(&id()).await.unwrap();
    hands.forward(3299);
    client.list_job(&id()).await.unwrap();
    assert_eq!(logins.load(SeqCst), 1, "more than five minutes are left");
    hands.forward(2);
    client.list_job(&id()).await.unwrap();
    // The renewal goes on beside the calls, which use the old token until the new one is there.
    let mut used = String::new();
    for _ in 0..1000 {
        client.list_job(&id()).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        let last = requests.iter().rfind(|request| request.method == "GET").unwrap();
        used = header(last, "x-auth-token").to_owned();
        if used == "token-2" {
            break;
        }
    }
    assert_eq!(used, "token-2");
    assert_eq!(logins.load(SeqCst), 2);
}

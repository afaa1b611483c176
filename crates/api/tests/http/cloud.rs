//! Clouds and providers for the tests of credentials.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use cfw_api::{
    Client, Credentials, IdOrName, Password, RefreshReason, Token, TokenError, TokenProvider, User,
};
use tokio::task::JoinSet;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method, path, path_regex},
};

use crate::common::id;

/// IAM that numbers its tokens, and a service that lets in only the newest that is not revoked.
pub(crate) struct Cloud {
    pub(crate) server: MockServer,
    pub(crate) issued: Arc<AtomicUsize>,
    pub(crate) revoked: Arc<AtomicUsize>,
}

pub(crate) async fn cloud() -> Cloud {
    let server = MockServer::start().await;
    let (issued, revoked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, bound) = (Arc::clone(&issued), Arc::clone(&revoked));
    Mock::given(method("POST"))
        .and(path("/v3/auth/tokens"))
        .respond_with(move |_: &Request| {
            let number = count.fetch_add(1, SeqCst) + 1;
            ResponseTemplate::new(201)
                .insert_header("X-Subject-Token", format!("token-{number}"))
                .set_body_string(r#"{"token":{"expires_at":"2099-01-01T00:00:00.000000Z","project":{"id":"p-1"}}}"#)
        })
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path_regex("^/v3/p-1/jobs/"))
        .respond_with(move |request: &Request| {
            let token = request.headers["x-auth-token"].to_str().unwrap();
            let number: usize = token.strip_prefix("token-").unwrap().parse().unwrap();
            if number > bound.load(SeqCst) {
                running()
            } else {
                refusal(401, "token expires, expires_at: now")
            }
        })
        .mount(&server)
        .await;
    Cloud { server, issued, revoked }
}

pub(crate) fn running() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(r#"{"data":{"status":"Running"}}"#)
}

pub(crate) fn refusal(status: u16, text: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(format!(
        r#"{{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: {text}"}}"#
    ))
}

pub(crate) fn password(auth_url: &str) -> Password {
    let user = User::Name { name: "user".into(), domain: IdOrName::Name("domain".into()) };
    Password::new(auth_url, user, "SENSITIVE-password", IdOrName::Name("eu-de".into()))
}

pub(crate) fn password_client(server: &MockServer) -> Client {
    let credentials = Credentials::password(password(&server.uri()));
    Client::builder().endpoint(server.uri()).credentials(credentials).build().unwrap()
}

/// What `n` calls at once come to.
pub(crate) async fn at_once(
    client: &Client,
    n: usize,
) -> Vec<Result<cfw_api::Job, cfw_api::Error>> {
    let mut calls = JoinSet::new();
    for _ in 0..n {
        let client = client.clone();
        calls.spawn(async move { client.list_job(&id()).await });
    }
    calls.join_all().await
}

/// A service that answers every request alike, once.
pub(crate) async fn once(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
    server
}

/// A provider that is a function of how often it was asked, and why.
pub(crate) struct Provider<F>(pub(crate) F, pub(crate) AtomicUsize);

impl<F: Fn(usize, RefreshReason) -> Result<Token, TokenError> + Send + Sync + 'static> TokenProvider
    for Provider<F>
{
    async fn token(&self, why: RefreshReason) -> Result<Token, TokenError> {
        (self.0)(self.1.fetch_add(1, SeqCst), why)
    }
}

pub(crate) fn provider<F>(answer: F) -> Credentials
where
    F: Fn(usize, RefreshReason) -> Result<Token, TokenError> + Send + Sync + 'static,
{
    Credentials::provider(Provider(answer, AtomicUsize::new(0)))
}

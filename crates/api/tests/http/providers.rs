//! Tokens from a user's own source, and renewals that outlive their callers.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use cfw_api::{
    Class, Credentials, ErrorKind, JobStatus, RefreshReason, Token, TokenError, TokenProvider,
};
use tokio::sync::Notify;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::{
    cloud::{at_once, once, provider, refusal, running},
    common::{builder, id},
};

#[tokio::test]
async fn a_403_that_says_the_token_is_invalid_renews_it() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(|request: &Request| match request.headers["x-auth-token"].to_str().unwrap() {
            "new" => running(),
            _ => ResponseTemplate::new(403)
                .set_body_string(r#"{"message":"X-Auth-Token is invalid"}"#),
        })
        .mount(&server)
        .await;
    let credentials = provider(|_, why| {
        Ok(Token::new(if why == RefreshReason::Refused { "new" } else { "old" }))
    });
    let client = builder(&server.uri()).credentials(credentials).build().unwrap();
    client.list_job(&id()).await.unwrap();
}

#[tokio::test]
async fn only_what_was_let_through_counts_between_two_refusals() {
    let refused = || refusal(401, "token expires, expires_at: now");
    let body = |code: &str| format!(r#"{{"error_code":"{code}","error_msg":"m"}}"#);
    // What the service itself answers shows that the token was accepted; what may come from in front of
    // the check of tokens does not.
    let rows = [
        (400, body("CFW.00100001"), true),
        (400, body("CFW.00200005"), true),
        (400, body("CFW.00200016"), true),
        (404, body("00200005"), true),
        (500, body("CFW.00300001"), true),
        (404, "<html>".to_owned(), false),
        (404, String::new(), false),
        (404, body("APIGW.0101"), false),
        (403, body("APIGW.0302"), false),
        (403, String::new(), false),
        (429, body("APIGW.0308"), false),
        (503, String::new(), false),
        (200, String::new(), false),
    ];
    for (status, body, lets_through) in rows {
        let server = MockServer::start().await;
        let sent = AtomicUsize::new(0);
        let between = ResponseTemplate::new(status).set_body_string(body.clone());
        let answer = move |_: &Request| match sent.fetch_add(1, SeqCst) {
            0 | 2 => refused(),
            1 => between.clone(),
            _ => running(),
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let credentials = provider(|n, _| Ok(Token::new(format!("token-{n}"))));
        let client = builder(&server.uri()).credentials(credentials).build().unwrap();
        client.list_job(&id()).await.unwrap_err();
        assert_eq!(client.list_job(&id()).await.is_ok(), lets_through, "{status} {body}");
    }
}

#[tokio::test]
async fn a_provider_is_told_why_and_its_errors_are_passed_on() {
    let failing = |error: fn() -> TokenError| {
        let credentials = provider(move |_, why| {
            assert_eq!(why, RefreshReason::First);
            Err(error())
        });
        builder("http://127.0.0.1:1").credentials(credentials).build().unwrap()
    };
    let error =
        failing(|| io::Error::other("broker down").into()).list_job(&id()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Provider, true));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "broker down");
    let error = failing(|| TokenError::fatal("no such user")).list_job(&id()).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Provider, Class::Fatal));
    let bad = builder("http://127.0.0.1:1")
        .credentials(provider(|_, _| Ok(Token::new("a\nb"))))
        .build()
        .unwrap();
    assert_eq!(bad.list_job(&id()).await.unwrap_err().class(), Class::Fatal);
}

#[tokio::test]
async fn a_provider_that_panics_fails_its_calls_and_hangs_none() {
    let credentials = provider(|_, _| panic!("as the test wants it"));
    let client = builder("http://127.0.0.1:1").credentials(credentials).build().unwrap();
    for error in at_once(&client, 10).await.into_iter().map(Result::unwrap_err) {
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Provider, true));
    }
}

// No socket is involved, so that the paused clock may run ahead.
#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_given_up_after_ten_seconds() {
    struct Silent;
    impl TokenProvider for Silent {
        async fn token(&self, _: RefreshReason) -> Result<Token, TokenError> {
            std::future::pending().await
        }
    }
    let client =
        builder("http://127.0.0.1:1").credentials(Credentials::provider(Silent)).build().unwrap();
    let error = client.list_job(&id()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    assert_eq!(error.to_string(), format!("list job {}: obtain a token: timed out", id()));
}

/// Returns a new token on request, and counts its calls.
#[derive(Default)]
struct Gate {
    asked: AtomicUsize,
    open: Notify,
}

impl TokenProvider for Gate {
    async fn token(&self, _: RefreshReason) -> Result<Token, TokenError> {
        let number = self.asked.fetch_add(1, SeqCst);
        self.open.notified().await;
        Ok(Token::new(format!("token-{number}")))
    }
}

#[tokio::test]
async fn a_renewal_survives_the_call_that_started_it() {
    let server = once(running()).await;
    let gate = Arc::new(Gate::default());
    let credentials = Credentials::provider(Arc::clone(&gate));
    let client = builder(&server.uri()).credentials(credentials).build().unwrap();
    let id = id();
    {
        let mut first = std::pin::pin!(client.list_job(&id));
        tokio::select! {
            biased;
            _ = &mut first => panic!("the gate is shut"),
            () = tokio::task::yield_now() => (),
        }
    }
    let open = async { gate.open.notify_one() };
    let (job, ()) = tokio::join!(client.list_job(&id), open);
    assert_eq!(job.unwrap().status, JobStatus::Running);
    assert_eq!(gate.asked.load(SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_meets_two_revocations_may_be_made_again() {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let token = request.headers["x-auth-token"].to_str().unwrap();
        match (token, request.url.path().ends_with("/unlucky")) {
            ("token-0" | "token-1", true) => refusal(401, "token expires, expires_at: now"),
            _ => running(),
        }
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let gate = Arc::new(Gate::default());
    let credentials = Credentials::provider(Arc::clone(&gate));
    let client = builder(&server.uri()).credentials(credentials).build().unwrap();
    let (lucky, unlucky) = ("lucky".parse().unwrap(), "unlucky".parse().unwrap());
    gate.open.notify_one();
    client.list_job(&lucky).await.unwrap();

    let mut call = std::pin::pin!(client.list_job(&unlucky));
    while gate.asked.load(SeqCst) < 2 {
        tokio::select! {
            biased;
            _ = &mut call => panic!("the gate is shut"),
            () = tokio::task::yield_now() => (),
        }
    }
    // Refused with one token, it sleeps while another call is accepted with the next.
    gate.open.notify_one();
    client.list_job(&lucky).await.unwrap();
    let error = call.await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, true));
    gate.open.notify_one();
    client.list_job(&unlucky).await.unwrap();
    assert_eq!(gate.asked.load(SeqCst), 3);
}

//! Failures below HTTP: each has its kind, and all but a wrong request are transient.

use std::error::Error as _;

use crate::common::{builder, id};
use crate::server::{Then, list_job_of};
use cfw_api::{Class, ErrorKind};
use tokio::net::TcpListener;

const OK_HEAD: &str = "HTTP/1.1 200 OK\r\nX-Request-Id: r-1\r\nContent-Length: 30\r\n\r\n";

#[tokio::test]
async fn a_connection_that_breaks_is_transient() {
    let rows = [
        (Then::Say(b"".to_vec()), ErrorKind::Connect, None),
        (Then::SayAndReset(""), ErrorKind::Connect, None),
        (Then::Say(b"no http at all".to_vec()), ErrorKind::Connect, None),
        (Then::SayAndHang(""), ErrorKind::Timeout, None),
        (Then::Say([OK_HEAD, "{\"data\":"].concat().into()), ErrorKind::Answer, Some(200)),
        (
            Then::SayAndReset("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{\"data\":"),
            ErrorKind::Answer,
            Some(200),
        ),
        (
            Then::SayAndHang("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{\"data\":"),
            ErrorKind::Timeout,
            Some(200),
        ),
        // What a cut 400 would have said is unknown: perhaps "busy".
        (
            Then::Say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 30\r\n\r\n{".to_vec()),
            ErrorKind::Answer,
            Some(400),
        ),
        // Without a length, only the JSON shows the cut.
        (
            Then::Say(b"HTTP/1.1 200 OK\r\n\r\n{\"data\":{\"status\":\"Succ".to_vec()),
            ErrorKind::Answer,
            Some(200),
        ),
    ];
    for (then, kind, status) in rows {
        let error = list_job_of(then).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        let summary = match (kind, error.status()) {
            (ErrorKind::Connect, _) => format!("list job {}: the connection to 127.0.0.1:", id()),
            (ErrorKind::Timeout, None) => {
                format!("list job {}: timed out: no answer from 127.0.0.1:", id())
            }
            (ErrorKind::Timeout, Some(_)) => {
                format!("list job {}: timed out: the answer was not complete within ", id())
            }
            _ => format!("list job {}: ", id()),
        };
        assert!(error.to_string().starts_with(&summary), "{error}");
        // On a busy machine the time can be up before the head is read.
        if kind != ErrorKind::Timeout {
            assert_eq!(error.status(), status, "{error:?}");
        }
        let class = match status {
            None => Class::Unreached,
            Some(_) => Class::Transient { retry_after: None },
        };
        // On a busy machine the time can be up before the head is read.
        if kind != ErrorKind::Timeout || status.is_none() {
            assert_eq!(error.class(), class, "{error:?}");
        }
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_refused_connection_is_transient_and_keeps_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = builder(&endpoint).build().unwrap().list_job(&id()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient(), error.status()),
        (ErrorKind::Connect, true, None)
    );
    let mut chain = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        chain.push(inner.to_string());
        cause = inner.source();
    }
    let address = endpoint.strip_prefix("http://").unwrap();
    assert_eq!(error.class(), Class::Unreached);
    assert_eq!(
        chain,
        [
            format!("list job {}: cannot connect to {address}", id()),
            "connection refused".to_owned()
        ]
    );
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn tls_to_a_plain_port_names_the_host_and_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client =
        builder(&format!("https://{address}")).danger_accept_invalid_certs(true).build().unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (id, serve) = (id(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read(&mut [0; 4096]).await;
    });
    let error = tokio::join!(client.list_job(&id), serve).0.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Unreached));
    assert_eq!(
        (error.to_string(), error.source().unwrap().to_string()),
        (
            format!("list job {id}: TLS handshake with {address} failed"),
            "received corrupt message of type InvalidContentType".to_owned()
        )
    );
}

#[tokio::test]
async fn a_proxys_refusal_is_no_answer_of_the_service() {
    let head = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let error = list_job_of(Then::Say(head.into())).await.unwrap_err();
    assert_eq!((error.class(), error.status()), (Class::Unreached, Some(407)));
    assert_eq!(error.summary(), Some("a proxy refuses the request without other credentials"));
}

#[tokio::test]
async fn a_status_that_says_enough_counts_though_the_body_is_cut() {
    let head =
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 56.818\r\nContent-Length: 30\r\n\r\n{";
    let error = list_job_of(Then::SayAndReset(head)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs_f64(56.818)));
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_a_bound() {
    let body = [b"HTTP/1.1 200 OK\r\n\r\n{\"data\":".as_slice(), &vec![b' '; 2 << 20]].concat();
    let error = list_job_of(Then::Say(body)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Answer);
    assert!(error.is_transient());
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    // An error's status still counts, and its beginning is shown.
    for (head, class) in [
        ("404 Not Found", Class::NotFound),
        ("429 Too Many Requests", Class::Throttled { retry_after: None, quota: None }),
        ("400 Bad Request", Class::Unexpected { can_pass: true }),
    ] {
        let head = format!("HTTP/1.1 {head}\r\n\r\n<html>Wrong way");
        let error = list_job_of(Then::Say([head.as_bytes(), &vec![b' '; 2 << 20]].concat()))
            .await
            .unwrap_err();
        assert_eq!((error.class(), error.message()), (class, Some("<html>Wrong way")));
    }
}

#[tokio::test]
async fn an_endless_head_is_read_up_to_a_bound() {
    let long = |line: &str| {
        let lines = line.repeat((4 << 20) / line.len());
        ["HTTP/1.1 200 OK\r\n", &lines].concat().into_bytes()
    };
    let value = "v".repeat(1_000);
    for head in [long("x: y\r\n"), long(&format!("x: {value}\r\n")), long("x")] {
        // Without a bound it would be read to its end, and the connection be reported as closed.
        let error = list_job_of(Then::Say(head)).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Unreached));
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        assert!(causes.iter().any(|cause| cause.contains("too large")), "{causes:?}");
    }
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_read_and_one_byte_more_is_not() {
    let json = r#"{"data":{"status":"Running"}}"#;
    for (length, is_read) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let rest = " ".repeat(length - json.len());
        let answer = format!("HTTP/1.1 200 OK\r\n\r\n{json}{rest}");
        assert_eq!(list_job_of(Then::Say(answer.into())).await.is_ok(), is_read, "{length}");
    }
}

#[tokio::test]
async fn an_encoding_that_was_not_asked_for_is_named() {
    let gzip = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x7f";
    let error = list_job_of(Then::Say(gzip.into())).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient { retry_after: None });
    assert!(error.to_string().contains("encoded as \"gzip\""), "{error}");
    // The status of an error counts, except of a 400, which can mean anything.
    let transient = Class::Transient { retry_after: None };
    for (status, class) in [
        ("503 Service Unavailable", transient),
        ("400 Bad Request", transient),
        ("404 Not Found", Class::NotFound),
        ("403 Forbidden", Class::Unexpected { can_pass: true }),
    ] {
        let error =
            list_job_of(Then::Say(gzip.replace("200 OK", status).into())).await.unwrap_err();
        assert_eq!(error.class(), class, "{status}");
        assert!(error.to_string().contains("encoded as \"gzip\""), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_is_plain_is_read_whatever_its_encoding_is_called() {
    for encoding in ["identity", "Identity", "", " identity ", "utf-8", "gzip"] {
        let head = format!("Content-Encoding: {encoding}\r\n\r\n");
        let good =
            format!("HTTP/1.1 200 OK\r\n{head}\u{feff} {{\"data\":{{\"status\":\"Running\"}}}}");
        list_job_of(Then::Say(good.into())).await.unwrap();
        let busy = format!("HTTP/1.1 400 Bad\r\n{head}{{\"error_code\":\"CFW.00200016\"}}");
        let error = list_job_of(Then::Say(busy.into())).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (Class::Fatal, Some("CFW.00200016")));
        for page in ["<html>\tWrong way \u{e9}</html>", ""] {
            let page = format!("HTTP/1.1 400 Bad\r\n{head}{page}");
            let error = list_job_of(Then::Say(page.into())).await.unwrap_err();
            assert_eq!(error.class(), Class::Unexpected { can_pass: true }, "{encoding}");
            assert!(!error.to_string().contains("encoded as"), "{error}");
        }
        // Other bytes are shown as they are only if nothing says that they are compressed.
        let bytes = format!("HTTP/1.1 403 Forbidden\r\n{head}a\u{7f}");
        let error = list_job_of(Then::Say(bytes.into())).await.unwrap_err().to_string();
        let is_named = error.contains("encoded as");
        assert_eq!(is_named, ["utf-8", "gzip"].contains(&encoding), "{encoding}: {error}");
    }
}

/// The pause of a throttled answer begins when its head arrives, not when the request times out.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the bar is a time")]
async fn a_body_that_never_ends_does_not_delay_what_the_status_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let limit = std::time::Duration::from_secs(30);
    let client = builder(&endpoint).request_timeout(limit).build().unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (id, serve) = (id(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = "HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n";
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    });
    let started = std::time::Instant::now();
    let error = tokio::join!(client.list_job(&id), serve).0.unwrap_err();
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(3)));
    assert!(started.elapsed() < limit / 2, "{:?}", started.elapsed());
}

#[test]
fn a_call_outside_a_runtime_is_an_error_and_no_panic() {
    let (client, id) = (builder("http://127.0.0.1:1").build().unwrap(), id());
    let mut call = std::pin::pin!(client.list_job(&id));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = call.as_mut().poll(&mut context) else {
        panic!("not ready")
    };
    assert_eq!((error.kind(), error.class()), (ErrorKind::Request, Class::Fatal));
    assert_eq!(
        error.to_string(),
        format!("list job {id}: cannot be sent: no tokio runtime is running")
    );
}

#[tokio::test]
async fn names_of_this_machine_are_not_asked_for_elsewhere() {
    let server = wiremock::MockServer::start().await;
    let answer =
        wiremock::ResponseTemplate::new(200).set_body_string(r#"{"data":{"status":"Running"}}"#);
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    for name in ["localhost", "cfw.localhost", "a.b.localhost"] {
        let endpoint = format!("http://{name}:{}", server.address().port());
        let client = builder(&endpoint).build().unwrap();
        client.list_job(&id()).await.unwrap();
    }
}

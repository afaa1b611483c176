//! The effects of faults.

use std::io::ErrorKind;
use std::time::Duration;

use cfw_simulator::{EchoEncoding, Fault, JobScript, Route, Simulator};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::support::{Answer, Client, eventually, job_path, ms, poll, poll_with, sleep, status};

/// Starts a simulator and sends one poll, which `fault` affects. Returns the job id and the client.
async fn poll_with_fault(fault: Fault) -> (Simulator, String, Client) {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    sim.fail_next(1, fault);
    let mut client = Client::connect(&sim).await;
    client.send("GET", &job_path(&sim, &id), &[("X-Auth-Token", sim.token())], "").await;
    (sim, id, client)
}

async fn answer_with(fault: Fault) -> Answer {
    let (_sim, _, mut client) = poll_with_fault(fault).await;
    client.receive().await.unwrap()
}

#[tokio::test]
async fn gateway_faults_have_gateway_errors() {
    let throttled = "The throttling threshold has been reached: policy user over ratelimit";
    let retry = |after: &str| Some(after.to_owned());
    for (fault, status, code, msg, retry_after) in [
        (Fault::throttled(), 429, "APIGW.0308", throttled.to_owned(), None),
        (Fault::throttled_for("56.818"), 429, "APIGW.0308", throttled.to_owned(), retry("56.818")),
        (
            Fault::quota("limit:10,time:1 minute"),
            429,
            "APIGW.0308",
            format!("{throttled},limit:10,time:1 minute"),
            None,
        ),
        (Fault::unavailable(), 503, "APIGW.0610", "No backend available.".to_owned(), None),
        (
            Fault::ServiceUnavailable { retry_after: retry("2") },
            503,
            "APIGW.0610",
            "No backend available.".to_owned(),
            retry("2"),
        ),
    ] {
        let answer = answer_with(fault).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("Retry-After"), retry_after.as_deref());
        let request_id = answer.header("X-Request-Id").unwrap();
        assert_eq!(
            answer.json(),
            json!({"error_msg": msg, "error_code": code, "request_id": request_id})
        );
    }
}

#[tokio::test]
async fn service_faults_have_cfw_errors() {
    for (fault, status, code, msg) in [
        (Fault::Busy, 400, "CFW.00100001", "System busy. Try again later."),
        (Fault::NotFound, 400, "CFW.00200005", "Object not found."),
        (
            Fault::code(418, "CFW.00300001", "parse command error"),
            418,
            "CFW.00300001",
            "parse command error",
        ),
    ] {
        let answer = answer_with(fault).await;
        assert_eq!(
            (answer.status, answer.json()),
            (status, json!({"error_code": code, "error_msg": msg}))
        );
    }
}

#[tokio::test]
async fn a_status_fault_has_no_body() {
    for (status, sent) in [(500, 500), (504, 504), (100, 500), (7, 500)] {
        let (sim, _, mut client) = poll_with_fault(Fault::Status(status)).await;
        let answer = client.receive().await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (sent, 0));
        assert_eq!(sim.requests()[0].status, Some(sent));
    }
}

#[tokio::test]
async fn a_bad_gateway_fault_is_html() {
    let answer = answer_with(Fault::BadGatewayHtml).await;
    assert_eq!((answer.status, answer.header("Content-Type")), (502, Some("text/html")));
    assert!(answer.text().starts_with("<html>"));
}

#[tokio::test]
async fn foreign_client_errors_are_not_answers_of_the_service() {
    let mut seen = Vec::new();
    for fault in Fault::foreign_client_errors() {
        let answer = answer_with(fault).await;
        let kind = match serde_json::from_slice::<serde_json::Value>(&answer.body) {
            Ok(json) => json.as_object().unwrap().keys().next().unwrap().clone(),
            Err(_) if answer.body.is_empty() => "empty".to_owned(),
            Err(_) => answer.header("Content-Type").unwrap().to_owned(),
        };
        seen.push((answer.status, kind));
    }
    let expected = [
        (400, "text/html"),
        (400, "empty"),
        (401, "empty"),
        (403, "text/html"),
        (404, "error_code"),
        (405, "empty"),
        (413, "overLimit"),
        (421, "empty"),
    ];
    assert_eq!(seen, expected.map(|(status, kind)| (status, kind.to_owned())));
}

#[tokio::test]
async fn gzip_is_sent_unasked() {
    let answer = answer_with(Fault::Gzip).await;
    assert_eq!((answer.status, answer.header("Content-Encoding")), (200, Some("gzip")));
    assert_eq!(answer.body.get(..3), Some(&[0x1f, 0x8b, 8][..]));
    // It is stored, not compressed.
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains(r#""status":"#), "{text}");
}

#[tokio::test]
async fn html_and_gateway_codes_can_have_any_status() {
    let page = answer_with(Fault::Html(403)).await;
    assert!(page.text().contains("<h1>403 Forbidden</h1>"), "{}", page.text());
    let answer = answer_with(Fault::gateway_code(403, "APIGW.0306", "refused")).await;
    let request_id = answer.header("X-Request-Id").unwrap();
    let expected =
        json!({ "error_msg": "refused", "error_code": "APIGW.0306", "request_id": request_id });
    assert_eq!((answer.status, answer.json()), (403, expected));
}

#[tokio::test]
async fn over_limit_has_the_format_of_openstack() {
    let answer = answer_with(Fault::OverLimit { retry_after: Some("1".to_owned()) }).await;
    assert_eq!((answer.status, answer.header("Retry-After")), (413, Some("1")));
    assert_eq!(answer.json()["overLimit"]["retryAfter"], "1");
    let answer = answer_with(Fault::OverLimit { retry_after: None }).await;
    assert_eq!((answer.status, answer.header("Retry-After")), (413, None));
    assert_eq!(answer.json()["overLimit"].get("retryAfter"), None);
}

#[tokio::test]
async fn an_echo_contains_the_request_in_its_encoding() {
    let token = r#"se"<cr>&et'"#;
    for (encoding, content_type, echoed) in [
        (EchoEncoding::Plain, "text/plain", token),
        (EchoEncoding::Json, "application/json", r#"se\"<cr>&et'"#),
        (EchoEncoding::Html, "text/html", "se&quot;&lt;cr&gt;&amp;et&#39;"),
        (EchoEncoding::Percent, "text/plain", "se%22%3Ccr%3E%26et%27"),
    ] {
        let sim = Simulator::start().await.unwrap();
        sim.fail_next(1, Fault::Echo(encoding));
        let answer = poll_with(&sim, "a", &[("X-Auth-Token", token)]).await;
        assert_eq!((answer.status, answer.header("Content-Type")), (400, Some(content_type)));
        assert!(answer.text().contains(echoed), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_echo_of_a_login_contains_its_body() {
    let sim = Simulator::start().await.unwrap();
    sim.fail_next_on(Route::Token, 1, Fault::Echo(EchoEncoding::Json));
    let mut client = Client::connect(&sim).await;
    let body = r#"{"auth":"pass\"word"}"#;
    let answer = client.call("POST", "/v3/auth/tokens", &[], body).await;
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with(body), "{message}");
    assert!(answer.text().contains(r#"pass\\\"word"#), "escaped twice: {}", answer.text());
}

#[tokio::test]
async fn an_equal_id_has_another_form() {
    let (_sim, id, mut client) = poll_with_fault(Fault::EqualId).await;
    let answer = client.receive().await.unwrap().json();
    let equal = id.replace('-', "").to_uppercase();
    assert_eq!(answer["data"]["id"], json!(equal));
    assert_eq!(answer["data"]["status"], "Running");
}

#[tokio::test]
async fn a_slow_body_is_complete_but_late() {
    let (sim, id, mut client) = poll_with_fault(Fault::SlowBody(ms(30))).await;
    let answer = client.receive().await.unwrap();
    assert_eq!((answer.json()["data"]["id"].as_str(), answer.is_whole), (Some(&*id), true));
    eventually(|| sim.in_flight() == 0).await;
    let request = sim.requests().remove(0);
    assert!(request.answered.unwrap() - request.at >= ms(30), "{request:?}");
}

#[tokio::test]
async fn the_headers_of_a_slow_body_are_not_delayed() {
    let (sim, _, mut client) = poll_with_fault(Fault::SlowBody(Duration::from_secs(10))).await;
    let headers = client.receive_headers().await.unwrap();
    assert_eq!(headers.status, 200);
    assert_ne!(headers.header("Content-Length"), Some("0"));
    assert_eq!(sim.in_flight(), 1);
}

#[tokio::test]
async fn a_dead_connection_answers_once_and_stays_open() {
    let (sim, id, mut client) = poll_with_fault(Fault::DeadConnection).await;
    assert_eq!(client.receive().await.unwrap().status, 200);
    client.send("GET", &job_path(&sim, &id), &[("X-Auth-Token", sim.token())], "").await;
    assert_eq!(status(&sim, &id).await, "Running", "a new connection works");
    let is_silent = tokio::select! {
        biased;
        _ = client.receive() => false,
        () = sleep(ms(20)) => true,
    };
    assert!(is_silent);
    assert_eq!(sim.counts().polls, 2, "the second request on it did not arrive");
    eventually(|| sim.connections().open == 1).await;
    drop(client);
    eventually(|| sim.connections().open == 0).await;
}

#[tokio::test]
async fn an_interim_flood_never_ends_until_the_client_closes() {
    const INTERIM_ANSWER: &[u8] = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let (sim, id, mut client) = poll_with_fault(Fault::InterimFlood).await;
    let mut read = Vec::new();
    while read.len() < 4 << 20 {
        let length = tokio::select! {
            length = client.stream().read_buf(&mut read) => length.unwrap(),
            () = sleep(Duration::from_secs(10)) => 0,
        };
        assert!(length > 0, "{} bytes", read.len());
    }
    assert!(read.chunks_exact(INTERIM_ANSWER.len()).all(|answer| answer == INTERIM_ANSWER));
    assert_eq!(sim.in_flight(), 1);
    assert_eq!(status(&sim, &id).await, "Running", "other connections are served meanwhile");
    drop(client);
    eventually(|| sim.in_flight() == 0 && sim.connections().open == 0).await;
    let request = sim.requests().remove(0);
    assert_eq!((request.answered, request.status), (None, None));
}

#[tokio::test]
async fn a_redirect_points_to_a_recorded_route() {
    let (sim, _, mut client) = poll_with_fault(Fault::Redirect).await;
    let answer = client.receive().await.unwrap();
    let location = format!("{}/redirected", sim.endpoint());
    assert_eq!((answer.status, answer.header("Location")), (307, Some(location.as_str())));
    client.call("GET", "/redirected", &[], "").await;
    let last = sim.requests().pop().unwrap();
    assert_eq!((last.route, &*last.path), (Route::Other, "/redirected"));
}

#[tokio::test]
async fn a_reset_is_not_a_regular_close() {
    let (sim, id, mut client) = poll_with_fault(Fault::Reset).await;
    assert_eq!(client.receive().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(status(&sim, &id).await, "Running", "the next connection is fine");
    let request = sim.requests().remove(0);
    assert_eq!((request.answered, request.fault.as_deref()), (None, Some(&Fault::Reset)));
}

#[tokio::test]
async fn a_slow_answer_is_complete_but_late() {
    let (sim, id, mut client) = poll_with_fault(Fault::Slow(ms(30))).await;
    let answer = client.receive().await.unwrap();
    assert_eq!(answer.json()["data"]["id"], json!(id));
    let request = sim.requests().remove(0);
    assert!(request.answered.unwrap() - request.at >= ms(30), "{request:?}");
}

#[tokio::test]
async fn a_hanging_request_is_in_flight_until_the_client_closes() {
    let (sim, _, client) = poll_with_fault(Fault::Hang).await;
    eventually(|| sim.in_flight() == 1).await;
    drop(client);
    eventually(|| sim.in_flight() == 0 && sim.connections().open == 0).await;
    let request = sim.requests().remove(0);
    assert_eq!((request.answered, request.status), (None, None));
}

#[tokio::test]
async fn a_cut_body_is_half_of_the_whole_one() {
    let (sim, id, mut client) = poll_with_fault(Fault::CutBody).await;
    let cut = client.receive().await.unwrap();
    let whole = poll(&sim, &id).await;
    assert_eq!(cut.header("Content-Length"), whole.header("Content-Length"));
    assert!(!cut.is_whole);
    assert_eq!(cut.body, whole.body[..whole.body.len() / 2]);
}

#[tokio::test]
async fn corrupted_bodies_keep_the_status() {
    let plain = answer_with(Fault::NotJson).await;
    assert_eq!((plain.status, plain.header("Content-Type")), (200, Some("text/plain")));
    assert!(serde_json::from_slice::<serde_json::Value>(&plain.body).is_err());
    let empty = answer_with(Fault::EmptyBody).await;
    assert_eq!((empty.status, empty.header("Content-Length")), (200, Some("0")));
}

#[tokio::test]
async fn an_answer_can_have_another_id_or_status() {
    let (_sim, id, mut client) = poll_with_fault(Fault::WrongId).await;
    let body = client.receive().await.unwrap().json();
    assert_ne!(body["data"]["id"], json!(id));
    assert_eq!(body["data"]["status"], "Running");
    let (_sim, id, mut client) = poll_with_fault(Fault::UnknownStatus).await;
    let body = client.receive().await.unwrap().json();
    assert_eq!((&body["data"]["id"], &body["data"]["status"]), (&json!(id), &json!("Paused")));
}

#[tokio::test]
async fn an_endless_body_is_never_complete_json() {
    let (sim, _, mut client) = poll_with_fault(Fault::Endless).await;
    let answer = client.receive().await.unwrap();
    assert_eq!((answer.status, answer.header("Transfer-Encoding")), (200, Some("chunked")));
    let mut read = Vec::new();
    while read.len() < 4 << 20 {
        assert!(client.stream().read_buf(&mut read).await.unwrap() > 0);
    }
    assert_eq!(read.iter().filter(|byte| **byte == b'{').count(), 2);
    assert_eq!(read.iter().filter(|byte| **byte == b'}').count(), 1);
    assert_eq!(sim.in_flight(), 1);
    drop(client);
    eventually(|| sim.in_flight() == 0).await;
}

#[tokio::test]
async fn each_transient_fault_but_a_delay_prevents_one_answer() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let faults = Fault::transient();
    sim.fail_polls(&id, faults.clone());
    for fault in &faults {
        let mut client = Client::connect(&sim).await;
        client.send("GET", &job_path(&sim, &id), &[("X-Auth-Token", sim.token())], "").await;
        let answer = client.receive().await;
        let good = answer.is_ok_and(|answer| {
            answer.status == 200
                && serde_json::from_slice::<serde_json::Value>(&answer.body)
                    .is_ok_and(|body| body["data"]["id"] == json!(id))
        });
        assert_eq!(good, matches!(fault, Fault::Slow(_)), "{fault:?}");
    }
    assert_eq!(status(&sim, &id).await, "Running");
}

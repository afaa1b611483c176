//! Signed requests.

use std::time::Duration;

use cfw_simulator::{AccessKey, Credential, JobScript, Simulator};
use hmac_sha256::{HMAC, Hash};
use serde_json::json;

use crate::support::{Answer, Client, job_path, poll_with};

/// Signs as the manual says, independently of the code under test.
fn signed(secret: &str, path: &str, date: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let empty = hex(&Hash::hash(b""));
    let canonical = format!("GET\n{path}/\n{query}\nx-sdk-date:{date}\n\nx-sdk-date\n{empty}");
    let text = format!("SDK-HMAC-SHA256\n{date}\n{}", hex(&Hash::hash(canonical.as_bytes())));
    let signature = hex(&HMAC::mac(text, secret));
    format!("SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature={signature}")
}

async fn signing() -> (Simulator, String, String) {
    let sim = Simulator::builder().access_key(AccessKey::new("AK", "SK")).start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let date = jiff::Timestamp::from_millisecond(server_millis(&sim).await).unwrap();
    (sim, id, date.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// Returns the server's time from its `Date` header.
async fn server_millis(sim: &Simulator) -> i64 {
    let answer = Client::connect(sim).await.call("GET", "/", &[], "").await;
    let date = answer.header("Date").unwrap();
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).unwrap().as_millisecond()
}

async fn poll_signed(sim: &Simulator, id: &str, date: &str, authorization: &str) -> Answer {
    poll_with(sim, id, &[("X-Sdk-Date", date), ("Authorization", authorization)]).await
}

fn detail(answer: &Answer) -> String {
    assert_eq!((answer.status, &answer.json()["error_code"]), (401, &json!("APIGW.0301")));
    let msg = answer.json()["error_msg"].as_str().unwrap().to_owned();
    msg.strip_prefix("Incorrect IAM authentication information: ").unwrap().to_owned()
}

#[tokio::test]
async fn a_valid_signature_is_accepted_and_a_replay_is_recorded() {
    let (sim, id, date) = signing().await;
    let authorization = signed("SK", &job_path(&sim, &id), &date);
    for _ in 0..2 {
        assert_eq!(poll_signed(&sim, &id, &date, &authorization).await.status, 200);
    }
    let requests = sim.polls_of(&id);
    assert_eq!(requests[0].credential, Credential::Signature);
    let replayed: Vec<_> = requests.iter().map(|r| r.headers.as_ref().unwrap().replayed).collect();
    assert_eq!((replayed, sim.counts().replayed), (vec![false, true], 1));
}

#[tokio::test]
async fn invalid_signatures_get_the_errors_of_the_gateway() {
    let (sim, id, date) = signing().await;
    let path = job_path(&sim, &id);
    let good = signed("SK", &path, &date);
    let wrong = signed("guess", &path, &date);
    let unknown = good.replace("Access=AK", "Access=OTHER");
    let unsigned = good.replace("SignedHeaders=x-sdk-date", "SignedHeaders=host");
    let missing = good.replace("SignedHeaders=x-sdk-date", "SignedHeaders=x-none;x-sdk-date");
    let echo = detail(&poll_signed(&sim, &id, &date, &wrong).await);
    assert!(
        echo.starts_with(&format!("verify aksk signature fail,canonicalRequest:GET|{path}/|")),
        "{echo}"
    );
    assert!(echo.ends_with(&format!("|authorization:{wrong}")), "{echo}");
    for (authorization, text) in [
        (unknown.as_str(), "Get secretKey failed,ak:OTHER,err:ak not exist"),
        ("Bearer x", "decrypt token fail"),
        (&unsigned, "calc aksk signature fail:no signed x-sdk-date of the form YYYYMMDDTHHMMSSZ"),
        (&missing, "calc aksk signature fail:a signed header is missing"),
    ] {
        assert_eq!(detail(&poll_signed(&sim, &id, &date, authorization).await), text);
    }
}

#[tokio::test]
async fn a_temporary_key_needs_its_security_token() {
    let key = AccessKey::new("AK", "SK").with_security_token("ST");
    let sim = Simulator::builder().access_key(key).start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let date = jiff::Timestamp::from_millisecond(server_millis(&sim).await).unwrap();
    let date = date.strftime("%Y%m%dT%H%M%SZ").to_string();
    let authorization = signed("SK", &job_path(&sim, &id), &date);
    let refused = detail(&poll_signed(&sim, &id, &date, &authorization).await);
    assert_eq!(refused, "Get secretKey failed,ak:AK,err:ak not exist");
    let headers = [
        ("X-Sdk-Date", date.as_str()),
        ("Authorization", &authorization),
        ("X-Security-Token", "ST"),
    ];
    assert_eq!(poll_with(&sim, &id, &headers).await.status, 200);
}

#[tokio::test]
async fn the_servers_clock_can_be_wrong() {
    let (sim, id, date) = signing().await;
    let before = server_millis(&sim).await;
    let authorization = signed("SK", &job_path(&sim, &id), &date);
    for (ahead, status) in [(14, 200), (16, 401)] {
        sim.set_clock_ahead(Duration::from_secs(ahead * 60));
        assert_eq!(poll_signed(&sim, &id, &date, &authorization).await.status, status);
        sim.set_clock_behind(Duration::from_secs(ahead * 60));
        assert_eq!(poll_signed(&sim, &id, &date, &authorization).await.status, status);
    }
    assert!((before - 960_000..before - 950_000).contains(&server_millis(&sim).await));
    let text = detail(&poll_signed(&sim, &id, &date, &authorization).await);
    let text =
        text.strip_prefix("calc aksk signature fail:signature expired, signature time:").unwrap();
    let (signature_time, server_time) = text.split_once(",server time:").unwrap();
    assert_eq!((signature_time, server_time.len()), (date.as_str(), date.len()));
}

#[tokio::test]
async fn six_failures_in_a_row_lock_the_key() {
    let (sim, id, date) = signing().await;
    let path = job_path(&sim, &id);
    let (good, wrong) = (signed("SK", &path, &date), signed("guess", &path, &date));
    for round in 0..2 {
        for _ in 0..5 {
            assert!(detail(&poll_signed(&sim, &id, &date, &wrong).await).starts_with("verify"));
        }
        if round == 0 {
            assert_eq!(
                poll_signed(&sim, &id, &date, &good).await.status,
                200,
                "a success resets the count"
            );
        }
    }
    assert!(detail(&poll_signed(&sim, &id, &date, &wrong).await).starts_with("verify"));
    let locked = detail(&poll_signed(&sim, &id, &date, &good).await);
    assert_eq!(locked, "AK access failed to reach the limit,forbidden.");
}

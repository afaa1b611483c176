//! What a machine's environment must not do to calls on loopback.

use std::process::Command;

/// Proxy variables cannot be changed safely under running tests, so this test starts itself again with some.
///
/// With a TLS feature it also shows that plain http needs no certificates.
#[tokio::test]
async fn neither_a_proxy_nor_missing_certificates_stop_calls_on_loopback() {
    if std::env::var_os("CFW_PROXY_TEST").is_some() {
        let server = wiremock::MockServer::start().await;
        let answer = wiremock::ResponseTemplate::new(200)
            .set_body_string(r#"{"data":{"status":"Running"}}"#);
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
        let client = cfw_api::Client::builder()
            .endpoint(server.uri())
            .project_id("p")
            .credentials(cfw_api::Credentials::token("t"))
            .build()
            .unwrap();
        client.list_job(&"j".parse().unwrap()).await.unwrap();
        return;
    }
    let nobody = "http://127.0.0.1:9";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "neither_a_proxy_nor_missing_certificates_stop_calls_on_loopback"])
        .env_clear()
        .envs([
            ("CFW_PROXY_TEST", "1"),
            ("HTTP_PROXY", nobody),
            ("http_proxy", nobody),
            ("ALL_PROXY", nobody),
        ])
        .envs([("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

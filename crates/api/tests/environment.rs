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

/// Proxies are named in errors, and one that cannot be used is an error of the builder.
#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_proxy_that_fails_is_named() {
    if std::env::var_os("CFW_PROXY_TEST").is_some() {
        let client = cfw_api::Client::builder()
            .endpoint("https://cfw.example")
            .danger_accept_invalid_certs(true)
            .project_id("p")
            .credentials(cfw_api::Credentials::token("t"))
            .build();
        let text = match client {
            Err(error) => error.to_string(),
            Ok(client) => {
                let error = client.list_job(&"j".parse().unwrap()).await.unwrap_err();
                assert_eq!(error.class(), cfw_api::Class::Unreached);
                let cause = std::error::Error::source(&error).unwrap();
                format!("{error}: {cause}")
            }
        };
        println!("[{text}]");
        return;
    }
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refusing.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = refusing.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    });
    let rows = [
        (
            "socks5h://user:SENSITIVE@127.0.0.1:1080".to_owned(),
            "[ALL_PROXY: names a SOCKS proxy, which is not supported: use one for HTTP]".to_owned(),
        ),
        (
            format!("http://user:SENSITIVE@{address}"),
            format!(
                "[list job j: the proxy {address} opens no tunnel to cfw.example:443: proxy authorization required]"
            ),
        ),
        (
            "http://user:SENSITIVE@127.0.0.1:9".to_owned(),
            "[list job j: the proxy 127.0.0.1:9 opens no tunnel to cfw.example:443: connection refused]"
                .to_owned(),
        ),
    ];
    for (proxy, expected) in rows {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "a_proxy_that_fails_is_named"])
            .env_clear()
            .envs([("CFW_PROXY_TEST", "1"), ("ALL_PROXY", &proxy)])
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(output.contains(&expected), "{output}");
        assert!(!output.contains("SENSITIVE"), "{output}");
    }
    server.join().unwrap();
}

//! TLS: a certificate that nobody vouches for ends a wait at once, and one that the user vouches for does not.

use std::path::PathBuf;
use std::sync::Arc;

use cfw_api::{Client, ClientBuilder, Credentials, ErrorKind};
use cfw_waiter::{WaitErrorKind, Waiter};
use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

const ANSWER: &str = r#"{"data":{"id":"job","status":"Success"}}"#;

/// A service behind a certificate that it has signed itself.
struct Server {
    endpoint: String,
    /// The certificate, in a file.
    ca_file: PathBuf,
}

async fn server(name: &str) -> Server {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let ca_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    std::fs::write(&ca_file, cert.pem()).expect("a folder for tests");
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("the key is the certificate's");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let endpoint = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    #[expect(clippy::disallowed_methods, reason = "a test has a server")]
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((socket, _)) = listener.accept().await {
            // A client that refuses the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
            let answer = format!("{head}{}\r\n\r\n{ANSWER}", ANSWER.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    Server { endpoint, ca_file }
}

fn client(server: &Server) -> ClientBuilder {
    let builder =
        Client::builder().endpoint(&server.endpoint).project_id("0123456789abcdef0123456789abcdef");
    builder.credentials(Credentials::token("MIIF"))
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_fatal_and_said_so() {
    let server = server("unknown").await;
    let client = client(&server).build().expect("sound settings");
    let error = client.list_job(&"job".parse().expect("an id")).await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error:?}");
    let error = Waiter::new(client).wait_for_job("job").await.expect_err("it cannot be polled");
    assert_eq!((error.kind(), error.report().polls), (WaitErrorKind::Fatal, 1));
}

#[tokio::test]
async fn a_certificate_that_the_user_vouches_for_is_trusted() {
    let server = server("known").await;
    let client = client(&server).ca_file(&server.ca_file).build().expect("sound settings");
    Waiter::new(client).wait_for_job("job").await.expect("it is trusted");
}

#[tokio::test]
async fn a_user_who_does_not_care_is_served() {
    let server = server("careless").await;
    let client = client(&server).danger_accept_invalid_certs(true).build().expect("sound settings");
    Waiter::new(client).wait_for_job("job").await.expect("any certificate will do");
}

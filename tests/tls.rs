//! TLS: a certificate that nobody vouches for ends a wait at once if the service was never heard, and one that the user
//! vouches for does not, if it is for the name of the service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cfw_api::{Client, ClientBuilder, Credentials, ErrorKind};
use cfw_waiter::{Policy, Schedule, WaitErrorKind, Waiter};
use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// A service behind a certificate that it has signed itself.
struct Server {
    endpoint: String,
    /// The certificate, in a file.
    ca_file: PathBuf,
}

/// How a connection is answered.
#[derive(Clone, Copy)]
enum Reply {
    Status(&'static str),
    /// With a certificate that is not the service's.
    ForeignCertificate,
}

async fn server(name: &str) -> Server {
    scripted(name, &[Reply::Status("Success")]).await
}

/// Starts a service that answers one connection after another; the last answer is repeated.
async fn scripted(name: &str, replies: &'static [Reply]) -> Server {
    scripted_as("localhost", name, replies).await
}

/// Starts such a service with a certificate for `host`.
async fn scripted_as(host: &str, name: &str, replies: &'static [Reply]) -> Server {
    let (acceptor, certificate) = acceptor(host);
    let (foreign, _) = self::acceptor(host);
    let ca_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    std::fs::write(&ca_file, certificate).expect("a folder for tests");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let endpoint = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    #[expect(clippy::disallowed_methods, reason = "a test has a server")]
    tokio::spawn(async move {
        for n in 0.. {
            let Ok((socket, _)) = listener.accept().await else { break };
            let Some(&reply) = replies.get(n).or(replies.last()) else { break };
            let acceptor = if let Reply::Status(_) = reply { &acceptor } else { &foreign };
            // A client that refuses the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let Reply::Status(status) = reply else { continue };
            let body = format!(r#"{{"data":{{"id":"job","status":"{status}"}}}}"#);
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
            let answer = format!("{head}{}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    Server { endpoint, ca_file }
}

/// Returns an acceptor with a certificate of its own for `host`, and the certificate as PEM.
fn acceptor(host: &str) -> (TlsAcceptor, String) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("the key is the certificate's");
    (TlsAcceptor::from(Arc::new(config)), cert.pem())
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
async fn one_refused_certificate_ends_no_wait_of_a_service_that_has_answered() {
    let replies = &[Reply::Status("Running"), Reply::ForeignCertificate, Reply::Status("Success")];
    let server = scripted("swapped", replies).await;
    let client = client(&server).ca_file(&server.ca_file).build().expect("sound settings");
    let quick = Duration::from_millis(50);
    let policy = Policy::new().schedule(Schedule::fixed(quick).expect("above the minimum"));
    let waiter = Waiter::builder(client).min_interval(quick).policy(policy);
    let waiter = waiter.build().expect("sound settings");
    let report = waiter.wait_for_job("job").await.expect("the next poll succeeds");
    assert_eq!(report.polls, 3);
}

#[tokio::test]
async fn a_certificate_that_the_user_vouches_for_is_trusted() {
    let server = server("known").await;
    let client = client(&server).ca_file(&server.ca_file).build().expect("sound settings");
    Waiter::new(client).wait_for_job("job").await.expect("it is trusted");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_although_it_is_trusted() {
    let server = scripted_as("cfw.example", "misnamed", &[Reply::Status("Success")]).await;
    let client = client(&server).ca_file(&server.ca_file).build().expect("sound settings");
    let error = client.list_job(&"job".parse().expect("an id")).await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error:?}");
    let mut chain = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        chain += &format!(": {cause}");
        next = cause.source();
    }
    assert!(chain.contains("cfw.example") || chain.contains("name"), "{chain}");
}

#[tokio::test]
async fn a_user_who_does_not_care_is_served() {
    let server = server("careless").await;
    let client = client(&server).danger_accept_invalid_certs(true).build().expect("sound settings");
    Waiter::new(client).wait_for_job("job").await.expect("any certificate will do");
}

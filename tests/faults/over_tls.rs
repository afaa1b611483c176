//! The simulator behind TLS: what passes does so there as well, where a reset also ends the connection without a close alert.

use std::path::PathBuf;
use std::sync::Arc;

use cfw_api::{Client, Credentials};
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::WaitErrorKind;
use rcgen::CertifiedKey;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::support::{brisk_policy, brisk_with, ms, simulator};

/// Starts what speaks TLS for a simulator. Returns a client of it.
async fn behind_tls(sim: &Simulator) -> Client {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ca_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("front-{port}.pem"));
    std::fs::write(&ca_file, cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let service = sim.endpoint().trim_start_matches("http://").to_owned();
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(socket).await else { return };
                let Ok(mut onward) = TcpStream::connect(service).await else { return };
                // After an error the connection is dropped as it is, without TLS's own end.
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    Client::builder()
        .endpoint(format!("https://localhost:{port}"))
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .ca_file(ca_file)
        .build()
        .unwrap()
}

#[tokio::test]
async fn one_bad_answer_of_any_kind_is_survived_over_tls() {
    let sim = simulator();
    let client = behind_tls(&sim).await;
    let mut faults = Fault::passing();
    faults.extend([
        Fault::Hang,
        Fault::Endless,
        Fault::DeadConnection,
        Fault::Redirect,
        Fault::Gzip,
        Fault::SlowBody(ms(20)),
    ]);
    for fault in faults {
        let id = sim.add_job(JobScript::never());
        sim.fail_polls(&id, [fault.clone()]);
        let waiter = brisk_with(client.clone()).attempt_timeout(ms(1_000)).build().unwrap();
        let (outcome, ()) =
            tokio::join!(waiter.wait_for_job(&id), crate::support::finish_after(&sim, &id, 3));
        outcome.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    }
    assert_eq!(sim.counts().overlapping, 0);
}

#[tokio::test]
async fn deadlines_and_failures_are_the_same_over_tls() {
    let sim = simulator();
    let client = behind_tls(&sim).await;
    let running = sim.add_job(JobScript::never());
    let failed = sim.add_job(JobScript::fails_after(ms(0)));
    let policy = brisk_policy().timeout(ms(1_500));
    let waiter = brisk_with(client).policy(policy).build().unwrap();
    let ends = waiter.watch([&running, &failed]).all().await;
    let kinds = ends.into_iter().map(|(id, outcome)| (id, outcome.unwrap_err().kind()));
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [(failed.into(), WaitErrorKind::Failed), (running.into(), WaitErrorKind::TimedOut)]
    );
}

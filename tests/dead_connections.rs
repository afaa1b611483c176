//! A service behind TLS and HTTP/2 whose connections die: a relay in between stops to forward them.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_waiter::{Policy, Schedule, UpdateKind, Waiter};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// The relay, and what the service says.
struct World {
    endpoint: String,
    ca_file: PathBuf,
    connections: Arc<AtomicUsize>,
    is_done: Arc<AtomicBool>,
    /// Counts the times at which all connections died.
    deaths: watch::Sender<u32>,
}

impl World {
    async fn new(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let ca_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
        std::fs::write(&ca_file, cert.pem()).expect("a folder for tests");
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .expect("the key is the certificate's");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let service = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let relay = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let world = Self {
            endpoint: format!("https://localhost:{}", relay.local_addr().expect("bound").port()),
            ca_file,
            connections: Arc::default(),
            is_done: Arc::default(),
            deaths: watch::channel(0).0,
        };
        let target = service.local_addr().expect("bound");
        start(serve(service, TlsAcceptor::from(Arc::new(config)), Arc::clone(&world.is_done)));
        let (connections, deaths) = (Arc::clone(&world.connections), world.deaths.subscribe());
        start(async move {
            while let Ok((socket, _)) = relay.accept().await {
                connections.fetch_add(1, SeqCst);
                let Ok(onward) = TcpStream::connect(target).await else { continue };
                start(forward(socket, onward, deaths.clone()));
            }
        });
        world
    }

    fn client(&self) -> Client {
        Client::builder()
            .endpoint(&self.endpoint)
            .project_id("0123456789abcdef0123456789abcdef")
            .credentials(Credentials::token("MIIF"))
            .ca_file(&self.ca_file)
            .build()
            .expect("sound settings")
    }

    /// Kills the connections after `death`, and ends the jobs after `end`.
    async fn play(&self, death: Duration, end: Duration) {
        rest(death).await;
        self.deaths.send_modify(|deaths| *deaths += 1);
        rest(end.saturating_sub(death)).await;
        self.is_done.store(true, SeqCst);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has servers")]
fn start(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

#[expect(clippy::disallowed_methods, reason = "a relay that dies in time")]
async fn rest(duration: Duration) {
    tokio::time::sleep(duration).await;
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, is_done: Arc<AtomicBool>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, is_done) = (acceptor.clone(), Arc::clone(&is_done));
        start(async move {
            let Ok(stream) = acceptor.accept(socket).await else { return };
            let answer = service_fn(move |_: Request<Incoming>| {
                let status = if is_done.load(SeqCst) { "Success" } else { "Running" };
                let body = format!(r#"{{"data":{{"status":"{status}"}}}}"#);
                std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))))
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), answer);
            let _ = connection.await;
        });
    }
}

/// Forwards until the next death. The sockets stay open, so that neither side notices.
async fn forward(mut socket: TcpStream, mut onward: TcpStream, mut deaths: watch::Receiver<u32>) {
    deaths.mark_unchanged();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut socket, &mut onward) => {}
        _ = deaths.changed() => std::future::pending().await,
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("job-{number}")).collect()
}

/// No later poll uses the connection of one that has timed out.
#[tokio::test]
async fn a_timeout_ends_the_use_of_its_connection() {
    for count in [1, 20] {
        let world = World::new(&format!("timeout-{count}")).await;
        let schedule = Schedule::fixed(Duration::from_millis(50)).expect("a sound schedule");
        let waiter = Waiter::builder(world.client())
            .min_interval(Duration::from_millis(20))
            .attempt_timeout(Duration::from_secs(1))
            .policy(Policy::new().schedule(schedule).timeout(Duration::from_secs(60)))
            .build()
            .expect("sound settings");
        let (ends, ()) = tokio::join!(
            waiter.watch(ids(count)).all(),
            world.play(Duration::from_millis(300), Duration::from_millis(800)),
        );
        assert!(ends.iter().all(|(_, outcome)| outcome.is_ok()), "{ends:?}");
        // One poll of each job times out. Failures in a row replace the connection, too, but only after three.
        let failed = waiter.stats().transient;
        assert!(failed < 3 * count as u64, "{failed} polls of {count} jobs failed");
        let connections = world.connections.load(SeqCst);
        assert!(connections < 10, "{connections} connections for {count} jobs");
    }
}

/// The times and defaults are those of a wait by hand.
#[tokio::test]
async fn waits_outlive_a_dead_connection_by_a_few_seconds() {
    let one = World::new("one").await;
    let many = World::new("many").await;
    #[expect(clippy::disallowed_methods, reason = "the bar is a time")]
    let begun = tokio::time::Instant::now();
    let play = |world| World::play(world, Duration::from_secs(3), Duration::from_secs(8));
    let policy = Policy::new().timeout(Duration::from_secs(75));
    let waiter = |world: &World| {
        Waiter::builder(world.client()).policy(policy.clone()).build().expect("sound settings")
    };
    let (waiters, ids) = ([waiter(&one), waiter(&many)], [ids(1), ids(20)]);
    let [first, second] = ids;
    let (ends, more, (), ()) = tokio::join!(
        waiters[0].watch(first).all(),
        waiters[1].watch(second).all(),
        play(&one),
        play(&many),
    );
    for (id, outcome) in ends.iter().chain(&more) {
        assert!(outcome.is_ok(), "{id}: {outcome:?}");
    }
    let elapsed = begun.elapsed();
    println!("{elapsed:?}, {:?} {:?}", one.connections, many.connections);
    assert!(elapsed < Duration::from_secs(25), "{elapsed:?}");
}

/// Long before the request's limit: that of the only attempt is the wait's deadline.
#[tokio::test]
async fn pings_find_a_dead_connection() {
    let world = World::new("pings").await;
    let limit = Duration::from_secs(60);
    let schedule = Schedule::fixed(Duration::from_millis(50)).expect("a sound schedule");
    let waiter = Waiter::builder(world.client())
        .min_interval(Duration::from_millis(20))
        .attempt_timeout(limit)
        .policy(Policy::new().schedule(schedule).timeout(limit))
        .build()
        .expect("sound settings");
    let mut watch = waiter.watch(ids(1));
    let hearing = async {
        let (mut troubles, mut report) = (Vec::new(), None);
        while let Some(update) = watch.next().await {
            match update.kind {
                UpdateKind::Trouble(error) => troubles.push(error.to_string()),
                UpdateKind::Ended(outcome) => report = Some(outcome.expect("the job succeeds")),
                _ => {}
            }
        }
        (troubles, report.expect("one end"))
    };
    let play = world.play(Duration::from_millis(300), Duration::from_millis(800));
    let ((troubles, report), ()) = tokio::join!(hearing, play);
    assert!(report.elapsed < Duration::from_secs(20), "{report:?}");
    // The time that is named is the one that passed.
    let [trouble] = &troubles[..] else { panic!("{troubles:?}") };
    assert!(trouble.contains("no answer") && !trouble.contains("within 60s"), "{trouble}");
}

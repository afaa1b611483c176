//! Which failures replace the client, and what the next request then does.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::*;
use crate::{Class, Client, Credentials, ErrorKind, JobId};

#[test]
fn failures_in_a_row_replace_the_client_more_and_more_rarely() {
    let start = now();
    let mut limit = RenewalLimit::default();
    let allowed = (0..400).filter(|secs| limit.allows(start + Duration::from_secs(*secs)));
    assert_eq!(allowed.collect::<Vec<_>>(), [0, 5, 15, 35, 75, 135, 195, 255, 315, 375]);
    // After two of the longest intervals the first one counts again.
    for (secs, is_allowed) in
        [(495, true), (554, false), (555, true), (676, true), (680, false), (681, true)]
    {
        assert_eq!(limit.allows(start + Duration::from_secs(secs)), is_allowed, "{secs}");
    }
}

/// A name that leads to the old host, and later to the new one.
#[derive(Clone, Default)]
struct FailingOver {
    lookups: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Resolve for FailingOver {
    fn resolve(&self, _: Name) -> Resolving {
        self.lookups.fetch_add(1, SeqCst);
        let last = if self.is_over.load(SeqCst) { 2 } else { 1 };
        let addresses: Addrs = Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, last], 0))));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Two hosts that share a port. The first answers with one status after another and repeats the last; the second answers
/// well.
struct World {
    name: FailingOver,
    client: Client,
    _hosts: [MockServer; 2],
}

impl World {
    async fn new(statuses: &'static [u16]) -> Self {
        let (old, new) = loop {
            let old = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(new) = TcpListener::bind(("127.0.0.2", old.local_addr().unwrap().port())) {
                break (old, new);
            }
        };
        let port = old.local_addr().unwrap().port();
        let hosts = [
            MockServer::builder().listener(old).start().await,
            MockServer::builder().listener(new).start().await,
        ];
        let polls = AtomicUsize::new(0);
        let statuses =
            move |_: &Request| answer(statuses[polls.fetch_add(1, SeqCst).min(statuses.len() - 1)]);
        Mock::given(any()).respond_with(statuses).mount(&hosts[0]).await;
        Mock::given(any()).respond_with(answer(200)).mount(&hosts[1]).await;
        let name = FailingOver::default();
        let client = Client::builder()
            .endpoint(format!("http://cfw.example:{port}"))
            .allow_plain_http(true)
            .project_id("p")
            .credentials(Credentials::token("t"))
            .resolver(Arc::new(name.clone()))
            .build()
            .unwrap();
        Self { name, client, _hosts: hosts }
    }

    async fn poll(&self) -> Option<u16> {
        let id = JobId::new("j").unwrap();
        self.client.list_job(&id).await.map_or_else(|error| error.status(), |_| Some(200))
    }

    fn lookups(&self) -> usize {
        self.name.lookups.load(SeqCst)
    }
}

/// The status of a page that looks like a success.
const PAGE: u16 = 299;

fn answer(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(match status {
        200 => r#"{"data":{"status":"Running"}}"#,
        // The service's own word.
        400 => r#"{"error_code":"CFW.00100001","error_msg":"busy"}"#,
        404 => r#"{"error_code":"APIGW.0101","error_msg":"The API does not exist"}"#,
        _ => "<html>parked</html>",
    })
}

#[tokio::test]
async fn after_failures_in_a_row_the_name_is_looked_up_again() {
    let world = World::new(&[200, 503]).await;
    for expected in [200, 503, 503, 503] {
        assert_eq!((world.poll().await, world.lookups()), (Some(expected), 1));
    }
    world.name.is_over.store(true, SeqCst);
    assert_eq!((world.poll().await, world.lookups()), (Some(200), 2));
}

/// As many in a row as this do not end a wait yet.
#[tokio::test]
async fn after_two_foreign_answers_the_name_is_looked_up_again() {
    const ROWS: [&[u16]; 7] = [
        &[200, PAGE],
        &[200, 302],
        &[200, 403],
        &[200, 404],
        &[200, 410],
        &[200, 403, PAGE],
        &[200, 503, 403],
    ];
    for statuses in ROWS {
        let world = World::new(statuses).await;
        world.poll().await;
        for _ in 0..2 {
            assert_eq!(world.lookups(), 1, "{statuses:?}");
            assert_ne!(world.poll().await, Some(200));
        }
        world.name.is_over.store(true, SeqCst);
        assert_eq!((world.poll().await, world.lookups()), (Some(200), 2), "{statuses:?}");
    }
}

#[tokio::test]
async fn a_long_outage_does_not_open_a_connection_per_poll() {
    let world = World::new(&[503]).await;
    for _ in 0..50 {
        assert_eq!(world.poll().await, Some(503));
    }
    assert_eq!(world.lookups(), 2);
}

#[tokio::test]
async fn single_failures_keep_the_connection() {
    let statuses = &[503, 503, 200, 429, 503, 503, 400, 503, 503, 400, 403, 400, 403, 200];
    let world = World::new(statuses).await;
    for _ in statuses {
        world.poll().await;
    }
    assert_eq!(world.lookups(), 1);
}

#[tokio::test]
async fn a_misdirected_request_opens_a_new_connection_at_once() {
    let world = World::new(&[200, 421]).await;
    assert_eq!((world.poll().await, world.poll().await), (Some(200), Some(421)));
    world.name.is_over.store(true, SeqCst);
    assert_eq!((world.poll().await, world.lookups()), (Some(200), 2));
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    struct Nothing;
    impl Resolve for Nothing {
        fn resolve(&self, _: Name) -> Resolving {
            let error = std::io::Error::other(
                "failed to lookup address information: Name or service not known",
            );
            Box::pin(std::future::ready(Err(error.into())))
        }
    }
    let client = Client::builder()
        .endpoint("http://nosuch.example")
        .allow_plain_http(true)
        .project_id("p")
        .credentials(Credentials::token("t"))
        .resolver(Arc::new(Nothing))
        .build()
        .unwrap();
    let error = client.list_job(&JobId::new("j").unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Unreached));
    assert_eq!(error.to_string(), "list job j: cannot resolve nosuch.example");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "name or service not known");
}

fn pool() -> ClientPool {
    ClientPool::new(Box::new(|| {
        let builder = reqwest::Client::builder().no_proxy();
        #[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
        let builder = builder.tls_certs_only([]);
        Ok(builder.build().unwrap())
    }))
    .unwrap()
}

const LIMIT: Duration = Duration::from_secs(10);

fn generation(pool: &ClientPool) -> u64 {
    start(pool, Duration::ZERO, LIMIT).generation
}

/// Starts a request of the service that began so long ago, and may take as long as `limit`.
fn start(pool: &ClientPool, ago: Duration, limit: Duration) -> PooledRequest<'_> {
    pool.start(Server::Service, now() - ago, limit)
}

#[test]
fn timeouts_of_one_generation_replace_it_once() {
    let pool = pool();
    let [mut first, mut second] = [(); 2].map(|()| start(&pool, Duration::ZERO, LIMIT));
    first.timed_out();
    assert_eq!(generation(&pool), 1);
    second.timed_out();
    assert_eq!(generation(&pool), 1);
    start(&pool, Duration::ZERO, LIMIT).timed_out();
    assert_eq!(generation(&pool), 2);
}

#[test]
fn over_http1_a_timeout_replaces_nothing() {
    let pool = pool();
    start(&pool, Duration::ZERO, LIMIT).answered(200, Version::HTTP_11, false);
    pool.timed_out(Server::Service, 0);
    assert_eq!(generation(&pool), 0);
    // Some of its connections are shared.
    start(&pool, Duration::ZERO, LIMIT).answered(200, Version::HTTP_2, false);
    start(&pool, Duration::ZERO, LIMIT).answered(200, Version::HTTP_11, false);
    pool.timed_out(Server::Service, 0);
    assert_eq!(generation(&pool), 1);
}

#[test]
fn the_http1_of_iam_says_nothing_of_the_service() {
    for (seen, other) in [(Server::Iam, Server::Service), (Server::Service, Server::Iam)] {
        let pool = pool();
        pool.start(seen, now(), LIMIT).answered(200, Version::HTTP_11, false);
        pool.timed_out(seen, 0);
        assert_eq!(generation(&pool), 0, "{seen:?}");
        pool.timed_out(other, 0);
        assert_eq!(generation(&pool), 1, "{other:?}");
    }
}

#[test]
fn timeouts_in_a_row_replace_the_client_over_http1_too() {
    let pool = pool();
    for _ in 0..2 {
        start(&pool, Duration::ZERO, LIMIT).answered(200, Version::HTTP_11, false);
        start(&pool, Duration::ZERO, LIMIT).timed_out();
        start(&pool, Duration::ZERO, LIMIT).timed_out();
        assert_eq!(generation(&pool), 0);
    }
    start(&pool, Duration::ZERO, LIMIT).timed_out();
    assert_eq!(generation(&pool), 1);
}

/// A token that a node of the service refuses is renewed between two refusals.
#[test]
fn good_answers_of_iam_do_not_end_a_row_of_failures_of_the_service() {
    let answered = |pool: &ClientPool, server, status, foreign| {
        pool.start(server, now(), LIMIT).answered(status, Version::HTTP_11, foreign);
    };
    for (status, count) in [(401, 2), (503, 3)] {
        let pool = pool();
        for _ in 0..count {
            assert_eq!(generation(&pool), 0);
            answered(&pool, Server::Iam, 201, false);
            answered(&pool, Server::Service, status, true);
        }
        assert_eq!(generation(&pool), 1);
    }
    // And the other way round.
    let pool = pool();
    answered(&pool, Server::Service, 403, true);
    answered(&pool, Server::Iam, 403, true);
    assert_eq!(generation(&pool), 0);
    answered(&pool, Server::Iam, 403, true);
    assert_eq!(generation(&pool), 1);
}

#[test]
fn a_request_dropped_late_counts_as_timed_out_and_one_dropped_early_does_not() {
    let pool = pool();
    drop(start(&pool, Duration::ZERO, LIMIT));
    assert_eq!(generation(&pool), 0);
    drop(start(&pool, Duration::from_secs(1), LIMIT));
    assert_eq!(generation(&pool), 1);
    let mut answered = start(&pool, Duration::from_secs(1), LIMIT);
    answered.answered(200, Version::HTTP_2, false);
    drop(answered);
    assert_eq!(generation(&pool), 1);
}

#[test]
fn late_is_after_a_second_or_half_the_limit() {
    let pool = pool();
    let millis = Duration::from_millis;
    let rows = [
        (10_000, 999, false),
        (10_000, 1_000, true),
        (2_000, 999, false),
        (1_900, 949, false),
        (1_900, 950, true),
        (4, 2, true),
    ];
    for (limit, after, expected) in rows {
        let begun = now();
        let request = pool.start(Server::Service, begun, millis(limit));
        assert_eq!(request.is_late(begun + millis(after)), expected, "{after} of {limit} ms");
    }
}

//! The service goes and comes back, its clock jumps, its tokens are revoked again and again, its first address is dead.

use std::net::SocketAddr;
use std::time::Duration;

use cfw_api::{AccessKey, Client, Credentials, IdOrName, Password, User, reqwest};
use cfw_simulator::{Fault, JobScript, Simulator};

use crate::support::{brisk, brisk_with, client, eventually, finish_after, ms, pause, simulator};

fn settings(sim: &Simulator, credentials: Credentials) -> Client {
    let builder = Client::builder().endpoint(sim.endpoint()).project_id(sim.project_id());
    builder.credentials(credentials).build().unwrap()
}

fn password(sim: &Simulator) -> Credentials {
    let user = User::Name {
        name: sim.user().name().to_owned(),
        domain: IdOrName::Name(sim.user().domain().to_owned()),
    };
    let project = IdOrName::Name(sim.project_name().to_owned());
    let url = format!("{}/v3", sim.endpoint());
    Credentials::password(Password::new(url, user, sim.user().password(), project))
}

#[tokio::test]
async fn a_service_that_is_killed_and_restarted_under_waits_costs_none_of_them() {
    let sim = simulator();
    let port: u16 = sim.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let ids = sim.add_jobs(30, &JobScript::never());
    let waiter = brisk(&sim).build().unwrap();
    let service = async {
        eventually(|| ids.iter().all(|id| !sim.polls_of(id).is_empty())).await;
        let mut old = sim;
        for restart in 0..3 {
            old.shutdown().await;
            pause(ms(100)).await;
            old = Simulator::builder().port(port).start_on_thread().unwrap();
            for id in &ids {
                old.add_job(JobScript::never().id(id.as_str()));
            }
            eventually(|| old.counts().polls > 30).await;
            assert_eq!(old.counts().overlapping, 0, "restart {restart}");
        }
        assert!(ids.iter().all(|id| old.finish(id)));
        old
    };
    let (reports, _sim) = tokio::join!(waiter.watch(&ids).all_or_first_failure(), service);
    assert_eq!(reports.unwrap_or_else(|error| panic!("{error}")).len(), ids.len());
    assert!(waiter.stats().transient > 0, "{:?}", waiter.stats());
}

/// Times of the server are shown and never waited for, and a signature is corrected for its clock once.
#[tokio::test]
async fn a_server_whose_clock_jumps_under_a_wait_ends_it_all_the_same() {
    const YEARS: Duration = Duration::from_secs(20 * 365 * 86_400);
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let waiter = brisk(&sim).build().unwrap();
    let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), async {
        for (n, jump) in [YEARS, Duration::MAX, ms(0)].into_iter().enumerate() {
            eventually(|| sim.polls_of(&id).len() >= 4 * n + 2).await;
            sim.set_clock_ahead(jump);
            eventually(|| sim.polls_of(&id).len() >= 4 * n + 4).await;
            sim.set_clock_behind(jump);
        }
        finish_after(&sim, &id, 20).await;
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));

    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let key = AccessKey::new(sim.access_key().access(), sim.access_key().secret());
    let waiter = brisk_with(settings(&sim, Credentials::access_key(key))).build().unwrap();
    let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), async {
        eventually(|| sim.polls_of(&id).len() >= 2).await;
        sim.set_clock_behind(Duration::from_secs(7_200));
        let polls = sim.polls_of(&id).len();
        finish_after(&sim, &id, polls + 4).await;
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(sim.counts().refused, 1, "one refusal, and the clock is known");
}

#[tokio::test]
async fn tokens_revoked_in_a_storm_end_no_wait_and_lock_no_account() {
    const REVOCATIONS: u64 = 20;
    let sim = simulator();
    let ids = sim.add_jobs(50, &JobScript::never());
    let waiter = brisk_with(settings(&sim, password(&sim))).build().unwrap();
    let (reports, ()) = tokio::join!(waiter.watch(&ids).all_or_first_failure(), async {
        eventually(|| sim.counts().polls > 100).await;
        for _ in 0..REVOCATIONS {
            sim.revoke_tokens();
            pause(ms(60)).await;
        }
        let polls = sim.counts().polls;
        eventually(|| sim.counts().polls > polls + 100).await;
        assert!(ids.iter().all(|id| sim.finish(id)));
    });
    assert_eq!(reports.unwrap_or_else(|error| panic!("{error}")).len(), ids.len());
    let counts = sim.counts();
    assert!(counts.tokens <= REVOCATIONS + 1, "at most one login per revocation: {counts:?}");
    assert_eq!((counts.overlapping, waiter.stats().refused), (0, 0), "{counts:?}");
}

/// Over HTTP/1.1: the connection stays open, and nothing comes any more.
#[tokio::test]
async fn a_dead_connection_costs_one_attempt() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    sim.fail_next(1, Fault::DeadConnection);
    let waiter = brisk_with(client(&sim)).attempt_timeout(ms(1_000)).build().unwrap();
    let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), finish_after(&sim, &id, 4));
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let connections: Vec<u32> = sim.polls_of(&id).iter().map(|poll| poll.connection).collect();
    assert!(connections.iter().skip(1).all(|other| *other != connections[0]), "{connections:?}");
    // The poll that was sent on it never arrived.
    assert!((1..=3).contains(&waiter.stats().transient), "{:?}", waiter.stats());
}

#[tokio::test]
async fn a_name_whose_first_address_is_dead_is_reached_at_its_second() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let port = sim.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    // Nothing listens at the first.
    let addresses = [2, 1].map(|last| SocketAddr::from(([127, 0, 0, last], port)));
    let http = reqwest::Client::builder().no_proxy().resolve_to_addrs("cfw.test", &addresses);
    let client = Client::builder()
        .endpoint(format!("http://cfw.test:{port}"))
        .allow_plain_http(true)
        .http_client(http.build().unwrap())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()
        .unwrap();
    let waiter = brisk_with(client).build().unwrap();
    let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), finish_after(&sim, &id, 2));
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(waiter.stats().transient, 0, "{:?}", waiter.stats());
}

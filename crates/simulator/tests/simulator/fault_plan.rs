//! Which fault affects which request, and the rate limit.

use std::time::Duration;

use cfw_simulator::{Fault, JobScript, Request, Route, Simulator};

use crate::support::{Client, ms, poll};

#[tokio::test]
async fn queued_faults_apply_in_order_after_those_of_the_job() {
    let sim = Simulator::start().await.unwrap();
    let [one, other] = [(); 2].map(|()| sim.add_job(JobScript::never()));
    sim.fail_next(2, Fault::Status(500));
    sim.fail_next(1, Fault::Status(502));
    sim.fail_polls(&one, [Fault::Status(503), Fault::Status(504)]);
    let mut seen = Vec::new();
    for id in [&one, &other, &one, &one, &other, &one] {
        seen.push(poll(&sim, id).await.status);
    }
    assert_eq!(seen, [503, 500, 504, 500, 502, 200]);
}

#[tokio::test]
async fn faults_can_be_limited_to_a_route_and_cleared() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    sim.fail_next_on(Route::Other, 1, Fault::Status(500));
    sim.fail_during_on(Route::Other, ms(0)..ms(0), Fault::Status(502));
    assert_eq!(poll(&sim, &id).await.status, 200);
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.call("GET", "/", &[], "").await.status, 500);
    assert_eq!(client.call("GET", "/", &[], "").await.status, 404);
    sim.fail_next(1, Fault::Busy);
    sim.fail_polls(&id, [Fault::Busy]);
    sim.fail_during(.., Fault::Busy);
    sim.fail_randomly(1.0, [Fault::Busy]);
    sim.clear_faults();
    assert_eq!(poll(&sim, &id).await.status, 200);
}

#[tokio::test]
async fn a_timed_fault_starts_and_ends_on_time() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let before = sim.now();
    sim.fail_during(ms(20)..ms(40), Fault::unavailable());
    let after = sim.now();
    while sim.now() < after + ms(60) {
        poll(&sim, &id).await;
    }
    for Request { at, status, .. } in sim.requests() {
        let is_during = (after + ms(20)..before + ms(40)).contains(&at);
        let is_outside = at < before + ms(20) || at >= after + ms(40);
        assert!(!(is_during && status == Some(200)), "{at:?} in the outage, planned at {before:?}");
        assert!(
            !(is_outside && status == Some(503)),
            "{at:?} not in the outage, planned at {before:?}"
        );
    }
}

#[tokio::test]
async fn random_faults_do_not_depend_on_the_order_of_arrival() {
    let statuses = |order: [usize; 8]| async move {
        let sim = Simulator::builder().seed(7).start().await.unwrap();
        sim.fail_randomly(0.5, [Fault::Busy, Fault::Status(500)]);
        let ids = sim.add_jobs(2, &JobScript::never());
        for job in order {
            poll(&sim, &ids[job]).await;
        }
        let of = |id| sim.polls_of(id).iter().map(|request| request.status).collect::<Vec<_>>();
        (of(&ids[0]), of(&ids[1]))
    };
    let seen = statuses([0, 0, 0, 0, 1, 1, 1, 1]).await;
    assert_eq!(seen, statuses([1, 0, 1, 0, 1, 0, 1, 0]).await);
    assert_ne!(seen.0, seen.1);
}

#[tokio::test]
async fn calls_above_the_rate_limit_get_the_quota() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    sim.set_rate_limit(2, Duration::from_secs(60));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(poll(&sim, &id).await);
    }
    assert_eq!(seen.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 429]);
    let body = seen[2].json();
    assert_eq!(body["error_code"], "APIGW.0308");
    assert!(
        body["error_msg"].as_str().unwrap().ends_with("over ratelimit,limit:2,time:1 minute"),
        "{body}"
    );
    assert_eq!(sim.counts().throttled, 1);
    sim.clear_rate_limit();
    assert_eq!(poll(&sim, &id).await.status, 200);
}

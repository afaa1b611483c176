//! A deadline is kept, whatever the server does.

use std::time::{Duration, Instant};

use cfw_simulator::{Fault, JobScript};
use cfw_waiter::{Schedule, WaitErrorKind};

use crate::support::{
    PATIENCE, bad_end, brisk, brisk_policy, eventually, falls_silent, ms, simulator,
};

#[expect(clippy::disallowed_methods, reason = "a deadline is a promise about the user's clock")]
fn clock() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_deadline_does_not_wait_for_a_server_that_never_answers() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    sim.fail_during(.., Fault::Hang);
    let waiter = brisk(&sim).attempt_timeout(PATIENCE).build().unwrap();
    let start = clock();
    let error = bad_end(waiter.wait_for_job(&id).timeout(ms(200)).await, WaitErrorKind::TimedOut);
    let took = clock() - start;
    assert!(took < PATIENCE / 2, "{took:?}: the attempt was not waited for");
    assert_eq!(error.report().polls, 1);
    assert!(error.to_string().contains("no status seen"), "{error}");
    // The request is given up with the wait.
    eventually(|| sim.in_flight() == 0).await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_asked_again_until_the_deadline() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    sim.fail_during(.., Fault::Hang);
    let waiter = brisk(&sim).attempt_timeout(ms(50)).build().unwrap();
    let start = clock();
    let error = bad_end(waiter.wait_for_job(&id).timeout(ms(2_000)).await, WaitErrorKind::TimedOut);
    let took = clock() - start;
    // Less than one attempt late, on any machine; the board's own clock is exact in its own tests.
    assert!(took < ms(2_000) + Duration::from_secs(2), "{took:?}");
    assert!(error.report().polls > 2, "{error}");
    assert!(error.to_string().contains("not reached"), "{error}");
    assert_eq!(sim.counts().overlapping, 0);
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let sim = simulator();
    let ids = sim.add_jobs(20, &JobScript::never());
    let waiter = brisk(&sim).build().unwrap();
    let outcomes = waiter.watch(&ids).timeout(ms(100)).all().await;
    assert_eq!(outcomes.len(), 20);
    for (_, outcome) in outcomes {
        bad_end(outcome, WaitErrorKind::TimedOut);
    }
    falls_silent(&sim).await;
}

#[tokio::test]
async fn the_last_poll_sees_a_job_that_ended_late() {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(100)));
    let policy = brisk_policy().schedule(Schedule::fixed(PATIENCE).unwrap());
    let waiter = brisk(&sim).policy(policy).build().unwrap();
    // The schedule alone would not ask before the deadline at all.
    let report = waiter.wait_for_job(&id).timeout(ms(2_000)).await.unwrap();
    assert_eq!(report.polls, 1);
    assert!(report.elapsed >= ms(1_400), "{report:?}");
}

#[tokio::test]
async fn a_timeout_of_nothing_sends_nothing() {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    let waiter = brisk(&sim).build().unwrap();
    bad_end(waiter.wait_for_job(&id).timeout(ms(0)).await, WaitErrorKind::TimedOut);
    assert_eq!(sim.counts().requests, 0);
}

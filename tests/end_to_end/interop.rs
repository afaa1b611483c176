//! Policies of other retry crates as lists of delays.

use backoff::backoff::Backoff as _;
use backon::BackoffBuilder as _;
use cfw_simulator::JobScript;
use cfw_waiter::Schedule;

use crate::support::{brisk, brisk_policy, finish_after, ms, simulator};

/// Waits by a schedule for some polls, and checks that each rest is at least that of the list, less jitter.
async fn assert_follows(schedule: Schedule, delays: &[u64]) {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let start = sim.now();
    let waiter = brisk(&sim).policy(brisk_policy().schedule(schedule)).build().unwrap();
    let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), finish_after(&sim, &id, 6));
    outcome.unwrap();

    let mut before = start;
    for (n, poll) in sim.polls_of(&id).iter().enumerate() {
        let delay = ms(delays[n.min(delays.len() - 1)]);
        let least = delay.mul_f64(if n == 0 { 0.5 } else { 0.8 });
        // Two threads do not read their clocks at quite the same moment.
        assert!(poll.at + ms(2) >= before + least, "poll {n} at {:?}, after {before:?}", poll.at);
        before = poll.answered.unwrap();
    }
}

#[tokio::test]
async fn a_backon_policy_is_a_schedule() {
    let policy = backon::ExponentialBuilder::new()
        .with_min_delay(ms(20))
        .with_factor(2.0)
        .with_max_delay(ms(80))
        .with_max_times(4);
    assert_follows(Schedule::delays(policy.build()).unwrap(), &[20, 40, 80, 80]).await;
}

#[tokio::test]
async fn a_backoff_policy_is_a_schedule() {
    let mut policy = backoff::ExponentialBackoffBuilder::new()
        .with_initial_interval(ms(20))
        .with_randomization_factor(0.0)
        .with_multiplier(2.0)
        .with_max_interval(ms(80))
        .with_max_elapsed_time(None)
        .build();
    let delays = std::iter::from_fn(|| policy.next_backoff());
    assert_follows(Schedule::delays(delays).unwrap(), &[20, 40, 80]).await;
}

#[test]
fn an_endless_policy_is_read_once_and_not_for_ever() {
    let endless = backon::ConstantBuilder::new().with_delay(ms(20)).without_max_times();
    Schedule::delays(endless.build()).unwrap();
}

#[test]
fn a_policy_that_yields_nothing_or_zero_is_refused_by_name() {
    let never = backon::ConstantBuilder::new().with_max_times(0);
    let error = Schedule::delays(never.build()).unwrap_err();
    assert_eq!(error.to_string(), "delays hold no delay: the list is empty");
    let mut zero = backoff::backoff::Zero {};
    let error = Schedule::delays(std::iter::from_fn(|| zero.next_backoff())).unwrap_err();
    assert_eq!(error.to_string(), "delays hold 0s at index 0, which is not above zero");
}

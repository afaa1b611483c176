//! Polls by the policies of other crates: `cargo run --example other_retry_crates`.
//!
//! A schedule can be any list of delays, so the policies of the retry crates plug in. That is all we want of
//! them: a retry loop ends at the first good answer, and to a poll "still running" is a good answer; it knows
//! no deadline that clips a delay, no `Retry-After`, and nothing of other loops.
//!
//! Both crates are dependencies of this example alone. `backoff` is unmaintained (RUSTSEC-2025-0012), and so is
//! `instant`, which it brings (RUSTSEC-2024-0384): dependents of `cfw-waiter` inherit neither.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use backoff::backoff::Backoff as _;
use backon::BackoffBuilder as _;
use cfw_api::{Client, Credentials};
use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, Waiter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (first, longest) = (Duration::from_millis(20), Duration::from_millis(160));

    // A `backon` policy is an iterator of delays. It may be endless: no more than 1,000 are read, and of a list
    // that ends, the last delay repeats until the deadline.
    let backon = backon::ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .without_max_times()
        .build();
    let backon = Schedule::delays(backon)?;

    // A `backoff` policy is none, but one line makes it one. Its own time limit is off: waits have a deadline.
    let mut backoff = backoff::ExponentialBackoffBuilder::new()
        .with_initial_interval(first)
        .with_multiplier(2.0)
        .with_max_interval(longest)
        .with_max_elapsed_time(None)
        .build();
    let backoff = Schedule::delays(std::iter::from_fn(|| backoff.next_backoff()))?;

    let sim = Simulator::builder().start_on_thread()?;
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()?;
    // Below this no schedule can go; these delays are for simulated jobs. The default is half a second.
    let waiter = Waiter::builder(client)
        .policy(Policy::new().schedule(backon.clone()))
        .min_interval(Duration::from_millis(5))
        .build()?;

    for (name, schedule) in [("backon", backon), ("backoff", backoff)] {
        let id = sim.add_job(JobScript::succeeds_after(Duration::from_millis(500)));
        let start = sim.now();
        let policy = Policy::new().schedule(schedule);
        let report = waiter.wait_for_job(&id).policy(policy).await?;

        let polled_at: Vec<_> =
            sim.polls_of(&id).iter().map(|poll| (poll.at - start).as_millis()).collect();
        println!("{name}: {} polls, at ms {polled_at:?}", report.polls);
    }
    Ok(())
}

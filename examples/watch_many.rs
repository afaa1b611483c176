//! Watches 200 jobs at once, on a simulated cloud that has its bad moments: `cargo run --example watch_many`.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{Policy, Quota, Schedule, UpdateKind, Waiter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // 200 jobs, each over within a second. A few fail, and one poll in twenty is lost, cut short or mangled.
    let sim = Simulator::builder().seed(7).start_on_thread()?;
    let script = JobScript::random(Duration::from_millis(600))
        .failure_share(0.03)
        .error("CFW.00600003", "no available flavor");
    let ids = sim.add_jobs(200, &script);
    sim.fail_randomly(0.05, Fault::transient());

    // Simulated jobs are a thousand times faster than real ones, so they are polled more often, too. For real
    // ones `Waiter::new(client)` does.
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()?;
    let first = Duration::from_millis(50);
    let schedule = Schedule::exponential(first, 1.5, Duration::from_millis(200))?;
    let waiter = Waiter::builder(client)
        .policy(Policy::new().schedule(schedule))
        .min_interval(first)
        .quota(Quota::new(5_000, Duration::from_secs(1))?)
        .build()?;

    // One stream for all of them: what changes, then one end for each.
    let mut watch = waiter.watch(&ids);
    let mut failures = Vec::new();
    println!("waiting  running  succeeded  failed");
    while let Some(update) = watch.next().await {
        let UpdateKind::Ended(outcome) = update.kind else { continue };
        failures.extend(outcome.err());
        let now = watch.progress();
        if now.live().is_multiple_of(20) {
            println!("{:7}  {:7}  {:9}  {:6}", now.waiting, now.running, now.succeeded, now.failed);
        }
    }

    for error in failures {
        println!("{error}");
    }
    let stats = waiter.stats();
    println!(
        "{} polls, {} of which met trouble; never more than {} requests at once",
        stats.polls,
        stats.transient,
        sim.max_in_flight()
    );
    Ok(())
}

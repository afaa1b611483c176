//! Waits without a runtime: `cargo run --example blocking`.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, UpdateKind, Waiter, blocking};

fn main() -> Result<(), Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;
    let ids = sim.add_jobs(3, &JobScript::succeeds_after(Duration::from_millis(400)));
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()?;
    // Simulated jobs are fast, so they are polled often; for real ones `Waiter::builder(client)` does.
    let interval = Duration::from_millis(50);
    let policy = Policy::new().schedule(Schedule::fixed(interval)?);
    let builder = Waiter::builder(client).policy(policy).min_interval(interval);

    // One thread drives everything; this one sleeps while it waits.
    let waiter = blocking::Waiter::new(builder)?;
    let first = ids.first().ok_or("no job")?;
    let report = waiter.wait_for_job(first).timeout(Duration::from_secs(900)).wait()?;
    println!("{first}: {} polls", report.polls);

    for update in waiter.watch(ids) {
        match update.kind {
            UpdateKind::Changed { to, .. } => println!("{}: {}", update.id, to.status),
            UpdateKind::Ended(outcome) => println!("{}: {}", update.id, outcome.is_ok()),
            _ => {}
        }
    }
    Ok(())
}

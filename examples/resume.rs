//! Goes on waiting after the process has ended: `cargo run --example resume`.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{Checkpoint, Policy, Schedule, UpdateKind, Waiter};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;
    for (id, lasts) in [("quick", 100), ("slow", 900)] {
        sim.add_job(JobScript::succeeds_after(Duration::from_millis(lasts)).id(id));
    }

    // A process that is ended after its first job. It writes a checkpoint after each update.
    let mut token = String::new();
    {
        let mut watch = waiter(&sim)?.watch(["quick", "slow"]);
        while let Some(update) = watch.next().await {
            token = serde_json::to_string(&watch.checkpoint())?;
            if let UpdateKind::Ended(outcome) = update.kind {
                println!(
                    "{}",
                    outcome.map_or_else(|error| error.to_string(), |_| "quick is done".into())
                );
                break;
            }
        }
    }
    println!("the process ends, and leaves {token}");

    // Another one goes on: with the polls made, the status seen and the time that is left.
    let checkpoint: Checkpoint = serde_json::from_str(&token)?;
    for (id, outcome) in waiter(&sim)?.resume(&checkpoint).all().await {
        let report = outcome?;
        println!("{id} is done after {} polls in two processes", report.polls);
    }
    Ok(())
}

fn waiter(sim: &Simulator) -> Result<Waiter, Box<dyn Error>> {
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()?;
    // Simulated jobs are fast, so they are polled often; for real ones `Waiter::new(client)` does.
    let interval = Duration::from_millis(50);
    let policy = Policy::new().schedule(Schedule::fixed(interval)?);
    Ok(Waiter::builder(client).policy(policy).min_interval(interval).build()?)
}

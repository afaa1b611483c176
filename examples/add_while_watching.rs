//! Adds jobs to a watch, and removes one, while its stream is being read: `cargo run --example
//! add_while_watching`.
#![expect(clippy::print_stdout, reason = "an example talks to people")]
#![expect(clippy::disallowed_methods, reason = "the task that starts jobs takes its time")]

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, UpdateKind, WaitErrorKind, Waiter, WatchHandle};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()?;
    // Simulated jobs are fast, so they are polled often; for real ones `Waiter::new(client)` does.
    let interval = Duration::from_millis(50);
    let waiter = Waiter::builder(client)
        .policy(Policy::new().schedule(Schedule::fixed(interval)?))
        .min_interval(interval)
        .build()?;

    // It begins without any job and stays open for as long as a handle lives.
    let mut watch = waiter.watch([""; 0]);
    let producer = tokio::spawn(start_jobs(sim.clone(), watch.handle()));

    while let Some(update) = watch.next().await {
        match update.kind {
            UpdateKind::Changed { from: None, to } => println!("{}  {}", update.id, to.status),
            UpdateKind::Changed { from: Some(from), to } => {
                println!("{}  {from} -> {}", update.id, to.status);
            }
            UpdateKind::Ended(Err(error)) if error.kind() == WaitErrorKind::Removed => {
                println!("{}  not watched any more", update.id);
            }
            UpdateKind::Ended(Err(error)) => println!("{error}"),
            UpdateKind::Trouble(error) => println!("{}  goes on after {error}", update.id),
            _ => {}
        }
    }
    println!("the last handle is gone and the last job has ended: {:?}", watch.progress());
    producer.await?;
    Ok(())
}

/// Stands for whatever makes jobs in your program: a queue, a web hook, another loop.
async fn start_jobs(sim: Simulator, watch: WatchHandle) {
    for name in ["first", "second", "third", "endless"] {
        let script = match name {
            "endless" => JobScript::never(),
            _ => JobScript::succeeds_after(Duration::from_millis(300)),
        };
        watch.add(sim.add_job(script.id(name)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // No longer of interest. The job goes on, only the polls end.
    watch.remove("endless");
}

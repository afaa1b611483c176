//! Four ways to stop waiting: a deadline, a `select!`, a timeout from outside, a drop. `cargo run --example
//! cancel`
#![expect(clippy::print_stdout, reason = "an example talks to people")]
#![expect(clippy::disallowed_methods, reason = "the point is to wait for something else, too")]

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, Waiter};
use tokio::time::{sleep, timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;
    let id = sim.add_job(JobScript::never());
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
    let patience = Duration::from_millis(200);

    // A deadline of its own, which every wait has: half an hour unless set. Its error says most.
    if let Err(error) = waiter.wait_for_job(&id).timeout(patience).await {
        println!("deadline: {error}");
    }

    // Something else came first, such as Ctrl-C.
    tokio::select! {
        outcome = waiter.wait_for_job(&id) => println!("ended after all: {outcome:?}"),
        () = sleep(patience) => println!("select!: something else came first"),
    }

    // A limit on more than the wait: here on anything that the block does.
    let both = timeout(patience, async {
        waiter.wait_for_job(&id).await?;
        waiter.wait_for_job(&id).await
    });
    println!("timeout: {}", if both.await.is_err() { "cut short" } else { "done" });

    // All of these end in a drop, and with the last wait for a job its polls end at once.
    let polls = sim.counts().polls;
    sleep(patience).await;
    println!(
        "drop: {} polls so far, {} since the last wait was dropped",
        polls,
        sim.counts().polls - polls
    );
    Ok(())
}

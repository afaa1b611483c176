//! A schedule that learns from past jobs, beside the default one: `cargo run --example learned`.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{History, Learned, Policy, Sample, Schedule, Waiter};

const KIND: &str = "create-firewall";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;

    // Twenty past jobs of about three seconds. `History::load` and `append_to` keep them in a file (feature `history`).
    let mut history = History::new();
    for n in 0..20 {
        history.record(KIND, Sample::ended(Duration::from_millis(2_600 + 40 * n)));
    }

    // One poll is worth 50 ms of delay. Simulated jobs are short: for real ones `Learned::new()` does.
    let first = Duration::from_millis(20);
    let fallback = Schedule::exponential(first, 1.5, Duration::from_millis(300))?;
    let settings = Learned::new().poll_cost(Duration::from_millis(50)).fallback(fallback.clone());
    let learned = Schedule::learned(settings)?;

    // What the schedule would do, without doing it.
    if let Some(explanation) = learned.explain(&history, KIND, first) {
        println!("first polls at {:?}", explanation.polls.iter().take(4).collect::<Vec<_>>());
    }

    for (name, schedule) in [("without past jobs", fallback), ("learned", learned)] {
        let client = Client::builder()
            .endpoint(sim.endpoint())
            .project_id(sim.project_id())
            .credentials(Credentials::token(sim.token()))
            .build()?;
        let waiter = Waiter::builder(client)
            .policy(Policy::new().schedule(schedule).first_poll_at_once(true))
            .history(history.clone())
            .min_interval(first)
            .build()?;
        let id = sim.add_job(JobScript::succeeds_after(Duration::from_millis(3_000)));
        let mut watch = waiter.watch([&id]).kind(KIND);
        watch.next().await;
        if let Some(remaining) = watch.job(&id).and_then(|job| job.eta?.remaining) {
            println!("{name}: half of such jobs end within {:.1?}", remaining.p50);
        }
        for (_, outcome) in watch.all().await {
            let report = outcome?;
            println!("{name}: {} polls, noticed after {:.1?}", report.polls, report.elapsed);
        }
        // For the next process: `append_to` adds it to the file.
        println!("{name}: learned {:?}", waiter.take_learned());
    }
    Ok(())
}

//! Waits for one firewall job.
//!
//! By default for one on a simulated cloud, which runs in this very process:
//!
//! ```text
//! cargo run --example wait_for_job
//! ```
//!
//! With the id of a job, for that job on the cloud that the environment names:
//!
//! ```text
//! export CFW_ENDPOINT=https://cfw.eu-de.otc.t-systems.com CFW_PROJECT_ID=... CFW_TOKEN=...
//! cargo run --example wait_for_job --features tls -- JOB_ID
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to people")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, Waiter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(id) => on_a_real_cloud(&id).await,
        None => on_a_simulated_cloud().await,
    }
}

/// The defaults suit a real cloud: polls after 1 s, then ever less often down to every 15 s, for half an
/// hour at most, whatever goes wrong in between.
async fn on_a_real_cloud(id: &str) -> Result<ExitCode, Box<dyn Error>> {
    let client = client(&env("CFW_ENDPOINT")?, &env("CFW_PROJECT_ID")?, env("CFW_TOKEN")?)?;
    Ok(wait_and_tell(&Waiter::new(client), id).await)
}

/// A simulated job is over in half a second, so this waiter has less patience.
async fn on_a_simulated_cloud() -> Result<ExitCode, Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;
    let id = sim.add_job(JobScript::succeeds_after(Duration::from_millis(500)));
    // Clouds have bad moments, and a wait survives them: the first two polls find no service.
    sim.fail_next(2, Fault::unavailable());

    let client = client(&sim.endpoint(), sim.project_id(), sim.token())?;
    let first = Duration::from_millis(50);
    let schedule = Schedule::exponential(first, 1.5, Duration::from_millis(200))?;
    let waiter = Waiter::builder(client)
        .policy(Policy::new().schedule(schedule))
        .min_interval(first)
        .build()?;
    Ok(wait_and_tell(&waiter, &id).await)
}

async fn wait_and_tell(waiter: &Waiter, id: &str) -> ExitCode {
    println!("waiting for job {id}");

    // This line is what it is all about. `?` in place of `match` goes on only after a success.
    let outcome = waiter.wait_for_job(id).await;

    match outcome {
        Ok(report) => {
            println!("succeeded after {:.2?}, seen by poll {}", report.elapsed, report.polls);
            println!("{} polls met trouble on the way", waiter.stats().transient);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn client(
    endpoint: &str,
    project_id: &str,
    token: impl Into<String>,
) -> Result<Client, cfw_api::ConfigError> {
    Client::builder()
        .endpoint(endpoint)
        .project_id(project_id)
        .credentials(Credentials::token(token))
        .build()
}

#[expect(clippy::disallowed_methods, reason = "an example is configured by its environment")]
fn env(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

//! Creates a firewall, waits for it, deletes it, waits until it is gone.
//!
//! By default on a simulated cloud, which runs in this very process:
//!
//! ```text
//! cargo run --example create_firewall
//! ```
//!
//! With `--real`, on the cloud that the environment names, by the variables of OpenStack tools (`OS_AUTH_URL`,
//! `OS_USERNAME`, .., or `OS_CLOUD` and a clouds.yaml) or by `CFW_ENDPOINT`, `CFW_PROJECT_ID` and `CFW_TOKEN`. This
//! costs money:
//!
//! ```text
//! cargo run --example create_firewall --features tls -- --real
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use cfw_api::{AccessKey, Client, CreateFirewall, Credentials, FirewallId, Settings};
use cfw_simulator::Simulator;
use cfw_waiter::{FirewallGone, JobSource, Policy, Schedule, UpdateKind, Waiter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--real") {
        let client = Client::builder().settings(&Settings::from_env()?).build()?;
        return create_and_delete(&client, Waiter::new(client.clone()), gone(&client)).await;
    }
    let sim = Simulator::builder().start_on_thread()?;
    let key = AccessKey::new(sim.access_key().access(), sim.access_key().secret());
    let builder = Client::builder().endpoint(sim.endpoint()).project_id(sim.project_id());
    let client = builder.credentials(Credentials::access_key(key)).build()?;
    let jobs = impatient(client.clone())?;
    create_and_delete(&client, jobs, impatient(FirewallGone::new(client.clone()))?).await
}

fn gone(client: &Client) -> Waiter {
    Waiter::new(FirewallGone::new(client.clone()))
}

/// A simulated firewall takes a third of a second, so this waiter asks more often than a cloud would like.
fn impatient(source: impl JobSource) -> Result<Waiter, Box<dyn Error>> {
    let policy = Policy::new().schedule(Schedule::fixed(Duration::from_millis(50))?);
    Ok(Waiter::builder(source).policy(policy).min_interval(Duration::from_millis(50)).build()?)
}

/// Both waiters share the client's connections and credentials: one knows jobs, the other firewalls.
async fn create_and_delete(
    client: &Client,
    jobs: Waiter,
    gone: Waiter,
) -> Result<(), Box<dyn Error>> {
    let created = client.create_firewall(&CreateFirewall::builder("edge").build()?).await?;
    let job = created.job_id.ok_or("a pay-per-use firewall is created by a job")?;
    println!("creating: job {job}");
    let report = jobs.wait_for_job(&job).await?;
    println!("created after {:.1?} and {} polls", report.elapsed, report.polls);

    // The firewall has the id of the job that created it.
    let firewall = FirewallId::from(job);
    let job = client.delete_firewall(&firewall).await?;
    println!("deleting: job {job}");
    let mut watch = gone.watch([firewall.as_str()]);
    while let Some(update) = watch.next().await {
        match update.kind {
            UpdateKind::Changed { to, .. } => println!("the firewall is {}", to.status),
            UpdateKind::Trouble(error) => println!("{error}; still waiting"),
            UpdateKind::Ended(outcome) => println!("gone after {:.1?}", outcome?.elapsed),
            _ => {}
        }
    }
    Ok(())
}

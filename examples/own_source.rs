//! Waits for the jobs of another service, through a source for it: `cargo run --example own_source`.
//!
//! Servers, disks and images (ECS, EVS, IMS and more) tell their jobs at `/v1/{project_id}/jobs/{job_id}`, in
//! other words than the firewall. A waiter needs to know one thing of a service: how to ask once.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use cfw_api::reqwest::{self, Url, header::RETRY_AFTER};
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{
    Attempt, ErrorClass, JobId, JobSource, JobState, Policy, Schedule, SourceError, UpdateKind,
    Waiter,
};
use serde_json::Value;

struct EcsJobs {
    http: reqwest::Client,
    /// Up to and including the project's id.
    project: Url,
    token: String,
}

impl JobSource for EcsJobs {
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        let mut url = self.project.clone();
        // This encodes what has a meaning in a URL, so that no id leads elsewhere.
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("jobs").push(id.as_str());
        }

        let request = self.http.get(url).header("X-Auth-Token", &self.token);
        let answer = request.send().await.map_err(transient)?;
        let status = answer.status().as_u16();
        let hint = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = hint.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let body = answer.bytes().await.map_err(transient)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |path| body.pointer(path).and_then(Value::as_str).unwrap_or_default();

        let class = match (status, text("/status")) {
            (200, "INIT") => return Ok(JobState::running().with_status("INIT")),
            (200, "RUNNING") => return Ok(JobState::running().with_status("RUNNING")),
            (200, "SUCCESS") => return Ok(JobState::succeeded().with_status("SUCCESS")),
            (200, "FAIL") => {
                let why = format!("{}: {}", text("/error_code"), text("/fail_reason"));
                return Ok(JobState::failed().with_status("FAIL").with_detail(why));
            }
            // No answer about a job at all: a proxy's page, or half of one.
            (200, "") => ErrorClass::TRANSIENT,
            // An unknown status: the wait reports it and goes on.
            (200, other) => return Ok(JobState::unknown(other.to_owned())),
            (401, _) => ErrorClass::Refused,
            (404, _) => ErrorClass::NotFound,
            (429, _) => ErrorClass::Throttled { retry_after, quota: None },
            (500.., _) => ErrorClass::Transient { retry_after },
            _ => ErrorClass::Fatal,
        };
        let said = format!("HTTP {status} {}", text("/error/message"));
        Err(SourceError::new(class, "not the state of a job")
            .with_code(text("/error/code"), said.trim()))
    }
}

fn transient(error: reqwest::Error) -> SourceError {
    SourceError::new(ErrorClass::TRANSIENT, error)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The simulator tells its jobs in the words of ECS, too.
    let sim = Simulator::builder().start_on_thread()?;
    let fine = sim.add_job(JobScript::succeeds_after(Duration::from_millis(200)));
    let failing = JobScript::fails_after(Duration::from_millis(300))
        .error("Ecs.0013", "insufficient quota for EIPs");
    let failing = sim.add_job(failing);
    let unheard_of = "00000000-0000-0000-0000-000000000000";
    sim.fail_next(2, Fault::BadGatewayHtml);

    let source = EcsJobs {
        // A redirect would carry the token to another host.
        http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?,
        project: Url::parse(&format!("{}/v1/{}", sim.endpoint(), sim.project_id()))?,
        token: sim.token().to_owned(),
    };
    // Simulated jobs are fast, so they are polled often; for real ones `Waiter::new(source)` does.
    let interval = Duration::from_millis(50);
    let policy = Policy::new()
        .schedule(Schedule::fixed(interval)?)
        .not_found_grace(Duration::from_millis(300));
    let waiter = Waiter::builder(source).policy(policy).min_interval(interval).build()?;

    // Retries, pauses, deadlines and all else come with the waiter.
    let mut watch = waiter.watch([fine.as_str(), failing.as_str(), unheard_of]);
    while let Some(update) = watch.next().await {
        match update.kind {
            UpdateKind::Changed { to, .. } => println!("{}: {}", update.id, to.status),
            UpdateKind::Trouble(error) => println!("{}: goes on after {error}", update.id),
            UpdateKind::Ended(Ok(report)) => {
                println!("{}: done, {} polls", report.id, report.polls)
            }
            UpdateKind::Ended(Err(error)) => println!("{error}"),
            _ => {}
        }
    }
    Ok(())
}

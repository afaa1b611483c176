//! Shows each wait as a span with its outcome and its polls. `cargo run --example trace_spans`
#![expect(clippy::disallowed_methods, reason = "a service takes its time")]

use std::error::Error;
use std::time::Duration;

use cfw_waiter::{JobState, Policy, Waiter, source_fn};
use tracing_subscriber::fmt::format::FmtSpan;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A line when a span ends, which is when its fields are known. Without a filter the level is info.
    tracing_subscriber::fmt().with_span_events(FmtSpan::CLOSE).init();

    let source = source_fn(|id| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(match id.as_str() {
            "job-bad" => JobState::failed().with_detail("no quota left"),
            _ => JobState::succeeded(),
        })
    });
    let waiter = Waiter::builder(source)
        .policy(Policy::new().first_poll_at_once(true))
        // The spans are at level debug otherwise.
        .spans_at_info(true)
        .build()?;
    waiter.wait_for_job("job-good").await?;
    if let Err(error) = waiter.wait_for_job("job-bad").await {
        tracing::warn!(%error, "goes on without it");
    }
    let outcomes = waiter.watch(["job-1", "job-2"]).all().await;
    tracing::info!(jobs = outcomes.len(), "all have ended");
    Ok(())
}

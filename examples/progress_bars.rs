//! One bar for each job, filled as far as past jobs tell: `cargo run --example progress_bars`.
//!
//! Without a terminal nothing is drawn: indicatif hides its bars then.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{History, Learned, Policy, Sample, Schedule, Update, UpdateKind, Waiter, Watch};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const KIND: &str = "create-firewall";
/// Bars count in thousandths.
const FULL: u64 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;
    let mut ids: Vec<_> = (0..4)
        .map(|n| sim.add_job(JobScript::succeeds_after(Duration::from_millis(700 + 200 * n))))
        .collect();
    let script = JobScript::fails_after(Duration::from_millis(900));
    ids.push(sim.add_job(script.error("CFW.00600003", "no available flavor")));

    let mut watch = waiter(&sim)?.watch(&ids).kind(KIND);
    let screen = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:.8} {bar:30} {msg}")?;
    let bars: HashMap<_, _> = ids
        .iter()
        .map(|id| {
            let bar = ProgressBar::new(FULL).with_style(style.clone()).with_prefix(id.clone());
            (id.as_str(), screen.add(bar))
        })
        .collect();

    // Bars move between polls, too: an estimate depends on the time alone. `Watch::next` is cancel safe.
    #[expect(clippy::disallowed_methods, reason = "the frames of the display")]
    let mut frames = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            update = watch.next() => match update {
                Some(update) => show(&bars, &update),
                None => break,
            },
            _ = frames.tick() => draw(&bars, &watch),
        }
    }
    println!("{:?}", watch.progress());
    Ok(())
}

/// Shows what has happened to a job.
fn show(bars: &HashMap<&str, ProgressBar>, update: &Update) {
    let Some(bar) = bars.get(update.id.as_str()) else { return };
    match &update.kind {
        UpdateKind::Changed { to, .. } => bar.set_message(to.status.to_string()),
        UpdateKind::Trouble(error) => bar.set_message(format!("{error}, going on")),
        UpdateKind::Ended(Ok(report)) => {
            bar.set_position(FULL);
            bar.finish_with_message(format!("succeeded after {:.1?}", report.elapsed));
        }
        UpdateKind::Ended(Err(error)) => bar.abandon_with_message(error.to_string()),
        _ => {}
    }
}

/// Moves the bars of the jobs that run.
fn draw(bars: &HashMap<&str, ProgressBar>, watch: &Watch) {
    for job in watch.jobs() {
        let part = job.eta.and_then(|eta| eta.progress());
        let (Some(bar), Some(part)) = (bars.get(job.report.id.as_str()), part) else { continue };
        bar.set_position(Duration::from_secs(FULL).mul_f64(part).as_secs());
    }
}

/// Returns a waiter whose schedule knows twenty past jobs. Simulated ones are short: for real ones
/// `Schedule::learned(Learned::new())` does, with a history from a file.
fn waiter(sim: &Simulator) -> Result<Waiter, Box<dyn Error>> {
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()?;
    let mut history = History::new();
    for n in 0..20 {
        history.record(KIND, Sample::ended(Duration::from_millis(700 + 40 * n)));
    }
    let first = Duration::from_millis(50);
    let fallback = Schedule::exponential(first, 1.5, Duration::from_millis(300))?;
    let learned = Learned::new().poll_cost(first).fallback(fallback);
    Ok(Waiter::builder(client)
        .policy(Policy::new().schedule(Schedule::learned(learned)?))
        .history(history)
        .min_interval(first)
        .build()?)
}

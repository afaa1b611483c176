//! `cfw-wait demo`: waits for simulated jobs of a service in this process.

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials, JobId};
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, Waiter};

use crate::args::{Format, OutputArgs};
use crate::exit::{CliError, Exit};
use crate::jobs::Jobs;
use crate::output::{Output, print_error};
use crate::signals::Signals;
use crate::text::error_chain;
use crate::wait::{StopCondition, wait};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Shorter than the default, because the service is simulated.
const MIN_INTERVAL: Duration = ms(200);

/// The number of jobs that fail, of those that [`add_jobs`] adds.
const FAILING: usize = 1;

pub(crate) async fn demo(args: &OutputArgs, signals: Signals) -> Result<Exit, CliError> {
    let sim = Simulator::builder().start_on_thread().map_err(|error| demo_error(&error))?;
    let waiter = waiter(&sim)?;
    let has_text = !args.quiet && args.output == Format::Text;
    if has_text {
        print_error(&format!(
            "Seven jobs of a simulated service on {}, which throttles\n\
             for a while at 1.5 s, and is out of order from 4.5 s to 6 s.\n",
            sim.endpoint()
        ));
    }
    let mut output = Output::new(args);
    let jobs = Jobs::from_ids(add_jobs(&sim));
    let (mut summary, _) =
        wait(&waiter, jobs, StopCondition::AllEnded, signals, None, &mut output).await?;
    // One job is meant to fail.
    if summary.exit == Exit::Failed && summary.progress.failed == FAILING {
        summary.exit = Exit::Succeeded;
    }
    output.finish(&summary)?;
    if has_text && summary.exit == Exit::Succeeded {
        print_error("Next: cfw-wait JOB_ID, or cfw-wait simulate for pipelines; cfw-wait --help");
    }
    Ok(summary.exit)
}

fn waiter(sim: &Simulator) -> Result<Waiter, CliError> {
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()
        .map_err(|error| demo_error(&error))?;
    let schedule =
        Schedule::exponential(ms(300), 1.2, ms(900)).map_err(|error| demo_error(&error))?;
    Waiter::builder(client)
        .policy(Policy::new().schedule(schedule))
        .min_interval(MIN_INTERVAL)
        .build()
        .map_err(|error| demo_error(&error))
}

fn demo_error(error: &dyn Error) -> CliError {
    CliError::misconfigured(format!("cannot run the demo: {}", error_chain(error)))
}

/// Adds the jobs and the faults, which start now.
fn add_jobs(sim: &Simulator) -> Vec<JobId> {
    let no_flavor = ("CFW.00600003", "no available flavor");
    let scripts = [
        ("create-firewall", JobScript::succeeds_after(ms(8_200))),
        ("protect-eip-frontend", JobScript::succeeds_after(ms(1_100))),
        ("protect-eip-backend", JobScript::succeeds_after(ms(3_900))),
        ("create-east-west", JobScript::fails_after(ms(6_700)).error(no_flavor.0, no_flavor.1)),
        ("update-ips-rules", JobScript::succeeds_after(ms(3_600)).appears_after(ms(900))),
        ("enable-flow-logs", JobScript::succeeds_after(ms(5_200)).status_at(ms(900), "Preparing")),
        ("delete-old-firewall", JobScript::succeeds_after(ms(7_300))),
    ];
    sim.fail_during(
        ms(1_500)..ms(1_900),
        Fault::Throttled {
            retry_after: Some("1.5".to_owned()),
            quota: Some("limit:20,time:1 second".to_owned()),
        },
    );
    sim.fail_during(ms(4_500)..ms(6_000), Fault::unavailable());
    let ids = scripts.map(|(id, script)| sim.add_job(script.id(id)));
    ids.into_iter().filter_map(|id| JobId::new(id).ok()).collect()
}

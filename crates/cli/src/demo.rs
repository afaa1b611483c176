//! `cfw-wait demo`: what waiting looks like, on a service inside this very process.

use std::error::Error;
use std::time::Duration;

use cfw_api::{Client, Credentials, JobId};
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, Waiter};

use crate::args::{Format, ShowArgs};
use crate::exit::{Complaint, Exit};
use crate::output::{Output, print_error};
use crate::wait::{Jobs, Until, wait};
use crate::words::chain;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Of a real service, much less often is polite; this one is our own.
const MIN_INTERVAL: Duration = ms(200);

/// How many of the jobs of [`cast`] fail.
const FAILING: usize = 1;

pub(crate) async fn demo(args: &ShowArgs) -> Result<Exit, Complaint> {
    let sim = Simulator::builder().start_on_thread().map_err(|error| cannot(&error))?;
    let waiter = waiter(&sim)?;
    let is_talking = !args.quiet && args.output == Format::Text;
    if is_talking {
        print_error(&format!(
            "Seven jobs of a simulated firewall service on {}. It throttles\n\
             for a while at 1.5 s, and is out of order from 4.5 s to 6 s. Here a job is polled\n\
             up to every {MIN_INTERVAL:?}; a real service, by default, at most every 500ms.\n",
            sim.endpoint()
        ));
    }
    let mut output = Output::new(args);
    let jobs = Jobs::named(cast(&sim));
    let mut summary = wait(&waiter, jobs, Until::AllEnded, &mut output).await?;
    // One failure belongs to the play: with it, the demo has gone well.
    if summary.exit == Exit::Failed && summary.progress.failed == FAILING {
        summary.exit = Exit::Succeeded;
    }
    output.finish(&summary)?;
    if is_talking && summary.exit == Exit::Succeeded {
        print_error(
            "\nNext: cfw-wait JOB_ID... for a real job, cfw-wait simulate to try a pipeline against;\n\
             cfw-wait --help says more.",
        );
    }
    Ok(summary.exit)
}

fn waiter(sim: &Simulator) -> Result<Waiter, Complaint> {
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()
        .map_err(|error| cannot(&error))?;
    let schedule = Schedule::exponential(ms(300), 1.2, ms(900)).map_err(|error| cannot(&error))?;
    Waiter::builder(client)
        .policy(Policy::new().schedule(schedule))
        .min_interval(MIN_INTERVAL)
        .build()
        .map_err(|error| cannot(&error))
}

fn cannot(error: &dyn Error) -> Complaint {
    Complaint::misconfigured(format!("cannot run the demo: {}", chain(error)))
}

/// Puts the jobs and the troubles on the stage; the clocks start now.
fn cast(sim: &Simulator) -> Vec<JobId> {
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

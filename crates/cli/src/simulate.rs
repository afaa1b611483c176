//! `cfw-wait simulate`: a service to try pipelines against.

use std::io;

use cfw_simulator::Standalone;

use crate::args::SimulateArgs;
use crate::exit::{Complaint, Exit};
use crate::output::print_error;

#[expect(
    clippy::field_reassign_with_default,
    reason = "the settings are non-exhaustive: a literal of them cannot be written here"
)]
pub(crate) async fn simulate(args: &SimulateArgs) -> Result<Exit, Complaint> {
    let mut simulation = Standalone::default();
    simulation.port = args.port;
    simulation.seed = args.seed;
    simulation.jobs = usize::from(args.jobs.get());
    simulation.mean = args.duration.duration;
    simulation.failure_share = args.failures;
    simulation.fault_share = args.faults;
    print_error(
        "simulating a firewall service until Ctrl-C; these lines tell a shell how to reach it:",
    );
    match simulation.run(io::stdout(), tokio::signal::ctrl_c()).await {
        Ok(()) => Ok(Exit::Succeeded),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error.into()),
        Err(error) => Err(Complaint::misconfigured(format!(
            "cannot run the simulator on --port {}: {error}",
            args.port
        ))),
    }
}

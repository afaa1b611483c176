//! `cfw-wait simulate`: a simulated service for tests of pipelines.

use std::io;

use cfw_simulator::SimulateOptions;

use crate::args::SimulateArgs;
use crate::exit::{CliError, Exit};
use crate::output::print_error;
use crate::signals::Signals;

pub(crate) async fn simulate(args: &SimulateArgs, mut signals: Signals) -> Result<Exit, CliError> {
    let mut options = SimulateOptions::default();
    options.port = args.port;
    options.seed = args.seed;
    options.jobs = usize::from(args.jobs);
    options.mean = args.duration.duration;
    options.failure_share = args.failures;
    options.fault_share = args.faults;
    print_error(
        "simulating a firewall service until Ctrl-C; these lines tell a shell how to reach it:",
    );
    match options.run(io::stdout(), signals.first()).await {
        Ok(()) => Ok(Exit::Succeeded),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error.into()),
        Err(error) => Err(CliError::misconfigured(format!(
            "cannot run the simulator on --port {}: {error}",
            args.port
        ))),
    }
}

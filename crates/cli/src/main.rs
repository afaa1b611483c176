//! `cfw-wait`: waits for Cloud Firewall jobs in shells and pipelines.
//!
//! Text for people goes to standard error, data for programs to standard output, and the exit code is
//! the result (`exit`). `cfw-waiter` does the waiting. This crate parses arguments and formats output.

mod args;
mod client;
mod clock;
mod completions;
mod demo;
mod exit;
mod ids;
mod input;
mod json;
mod logs;
mod manual;
mod output;
mod parse;
mod screen;
mod simulate;
mod summary;
mod text;
mod values;
mod wait;

use std::io::Write as _;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use crate::args::{Cli, Command};
use crate::exit::{CliError, Exit};
use crate::output::{Output, print_error};
use crate::parse::Parsed;

fn main() -> ExitCode {
    let result = match parse::parse(std::env::args_os()) {
        Parsed::Run(cli) => run(&cli),
        Parsed::Print(text) => print(text.ansi().to_string().as_bytes()),
        Parsed::Invalid(error) => Err(error),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(CliError { exit, message }) => {
            if let Some(message) = message {
                print_error(&format!("cfw-wait: {message}"));
            }
            exit.into()
        }
    }
}

fn run(cli: &Cli) -> Result<Exit, CliError> {
    logs::init(cli.output.verbose);
    match &cli.command {
        None => wait(cli),
        Some(Command::Demo(_)) => on_runtime(demo::demo(&cli.output)),
        Some(Command::Simulate(args)) => on_runtime(simulate::simulate(args)),
        Some(Command::Completions { shell }) => print(completions::script(*shell).as_bytes()),
        Some(Command::Man) => print(&manual::page()?),
    }
}

fn wait(cli: &Cli) -> Result<Exit, CliError> {
    let jobs = wait::Jobs::from_args(&cli.wait)?;
    let client = client::build_client(&cli.wait.cloud)?;
    let waiter = wait::build_waiter(&cli.wait, client)?;
    let stop_condition = wait::StopCondition::from_args(&cli.wait);
    let mut output = Output::new(&cli.output);
    on_runtime(async {
        let summary = wait::wait(&waiter, jobs, stop_condition, &mut output).await?;
        output.finish(&summary)?;
        Ok(summary.exit)
    })
}

/// Runs a future on a runtime with one worker thread, which polls even while a slow reader blocks
/// this thread.
fn on_runtime(command: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime: Runtime =
        runtime.map_err(|error| CliError::misconfigured(format!("no runtime: {error}")))?;
    let result = runtime.block_on(command);
    // Requests in flight are no longer needed.
    runtime.shutdown_background();
    result
}

/// Writes to standard output, without colours unless it is a terminal that supports them.
pub(crate) fn print(bytes: &[u8]) -> Result<Exit, CliError> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(Exit::Succeeded)
}

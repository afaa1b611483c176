//! `cfw-wait`: waits for Cloud Firewall jobs in shells and pipelines.
//!
//! Everything for people goes to standard error, everything for programs to standard output, and the exit
//! code says how it came out (`exit`). The waiting is done by `cfw-waiter`; here are only words and wires.

mod args;
mod client;
mod clock;
mod demo;
mod exit;
mod input;
mod json;
mod logs;
mod manual;
mod output;
mod screen;
mod simulate;
mod summary;
mod values;
mod wait;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use tokio::runtime::Runtime;

use args::{Cli, Command, Parsed};
use exit::{Complaint, Exit};
use output::{Output, print_error};

fn main() -> ExitCode {
    let done = match args::parse(std::env::args_os()) {
        Parsed::Run(cli) => run(&cli),
        Parsed::Print(text) => print(text.ansi().to_string().as_bytes()),
        Parsed::Wrong(complaint) => Err(complaint),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(Complaint { exit, message }) => {
            if let Some(message) = message {
                print_error(&format!("cfw-wait: {message}"));
            }
            exit.into()
        }
    }
}

fn run(cli: &Cli) -> Result<Exit, Complaint> {
    logs::start(cli.show.verbose);
    match &cli.command {
        None => wait(cli),
        Some(Command::Demo) => on_runtime(demo::demo(&cli.show)),
        Some(Command::Simulate(args)) => on_runtime(simulate::simulate(args)),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "cfw-wait", &mut script);
            print(&script)
        }
        Some(Command::Man) => print(&manual::page()?),
    }
}

fn wait(cli: &Cli) -> Result<Exit, Complaint> {
    let jobs = wait::Jobs::of(&cli.wait)?;
    let client = client::client(&cli.wait.cloud)?;
    let waiter = wait::waiter(&cli.wait, client)?;
    let until = wait::Until::of(&cli.wait);
    let mut output = Output::new(&cli.show);
    on_runtime(async {
        let summary = wait::wait(&waiter, jobs, until, &mut output).await?;
        output.finish(&summary)?;
        Ok(summary.exit)
    })
}

/// A thread apart polls, so that a reader of our output who takes his time delays no poll.
fn on_runtime(work: impl Future<Output = Result<Exit, Complaint>>) -> Result<Exit, Complaint> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime: Runtime =
        runtime.map_err(|error| Complaint::misconfigured(format!("no runtime: {error}")))?;
    let done = runtime.block_on(work);
    // What is still in flight is of no use to anybody.
    runtime.shutdown_background();
    done
}

/// Writes to standard output; without the colours of the help text where they are not wanted.
fn print(bytes: &[u8]) -> Result<Exit, Complaint> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(Exit::Succeeded)
}

//! `cfw-wait`: waits for Cloud Firewall jobs in shells and pipelines.
//!
//! Text for people goes to standard error, data for programs to standard output, and the exit code is
//! the result (`exit`). `cfw-waiter` does the waiting. This crate parses arguments and formats output.

mod args;
mod client;
mod clock;
mod completions;
mod demo;
mod describe;
mod ends;
mod exec;
mod exit;
mod explain;
#[cfg(test)]
mod fuzz_corpus;
mod hint;
mod history;
mod ids;
mod input;
mod jobs;
mod json;
mod logs;
mod manual;
mod outcome;
mod output;
mod parse;
mod printable;
mod process_groups;
mod screen;
mod signals;
mod simulate;
mod state;
mod streams;
mod style;
mod summary;
mod text;
mod timers;
mod trouble;
mod values;
mod wait;
mod waiter;

use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use anstream::adapter::strip_bytes;
use anstream::{AutoStream, ColorChoice};
use tokio::runtime::Runtime;

use crate::args::{Cli, Command};
use crate::clock::Stopwatch;
use crate::exit::{CliError, Exit};
use crate::output::{Output, print_error};
use crate::parse::Parsed;
use crate::printable::printable;
use crate::signals::{Handlers, Signal, Signals};
use crate::summary::Summary;

fn main() -> ExitCode {
    match start() {
        Ok(exit) => exit.into(),
        Err(CliError { exit, message }) => {
            if let Some(message) = message {
                // One line, whatever file or value it names.
                print_error(&printable(format!("cfw-wait: {message}")));
            }
            exit.into()
        }
    }
}

/// Runs the command line.
fn start() -> Result<Exit, CliError> {
    #[cfg(unix)]
    check_descriptors().map_err(|error| no_runtime(&error))?;
    // Before anything that takes time: a signal without a handler does nothing to process 1, and leads to no summary.
    let handlers = Handlers::install().map_err(|error| no_runtime(&error))?;
    // One worker thread, which polls even while a slow reader blocks the main thread.
    let runtime = new_runtime()?;
    let signals = Signals::start(handlers, &runtime);
    let result = match parse::parse(std::env::args_os()) {
        Parsed::Run(cli) => run(&cli, &runtime, signals),
        Parsed::Print(text) => {
            signals.leave_unattended();
            print(text.ansi().to_string().as_bytes())
        }
        Parsed::Invalid(error) => {
            signals.leave_unattended();
            Err(error)
        }
    };
    // Requests in flight are no longer needed.
    runtime.shutdown_background();
    result
}

/// Starts a runtime with one worker thread.
fn new_runtime() -> Result<Runtime, CliError> {
    #[cfg(unix)]
    check_descriptors().map_err(|error| no_runtime(&error))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| no_runtime(&error))
}

fn no_runtime(error: &io::Error) -> CliError {
    CliError::misconfigured(format!("no runtime: {error}"))
}

/// Returns an error if there are too few file descriptors left for a runtime, which would panic.
#[cfg(unix)]
fn check_descriptors() -> io::Result<()> {
    // The runtime opens an epoll instance, an event and a pair of sockets, and duplicates some of them.
    const PAIRS: usize = 4;
    let pairs: Vec<_> = (0..PAIRS).map(|_| UnixStream::pair()).collect::<io::Result<_>>()?;
    drop(pairs);
    Ok(())
}

fn run(cli: &Cli, runtime: &Runtime, signals: Signals) -> Result<Exit, CliError> {
    logs::init(cli.output.verbose);
    match &cli.command {
        None | Some(Command::Demo(_)) => signals.prepare(summarize(cli)),
        Some(_) => signals.leave_unattended(),
    }
    match &cli.command {
        None => wait(cli, runtime, signals),
        Some(Command::Demo(_)) => runtime.block_on(demo::demo(&cli.output, signals)),
        Some(Command::Simulate(args)) => runtime.block_on(simulate::simulate(args, signals)),
        Some(Command::Explain(args)) => explain::explain(args),
        Some(Command::Completions { shell }) => print(completions::script(*shell).as_bytes()),
        Some(Command::Man) => print(&manual::page()?),
    }
}

/// Returns what a signal does before the wait begins: it writes the summary.
fn summarize(cli: &Cli) -> impl FnOnce(Signal) + Send + 'static {
    let (output, ids) = (cli.output.clone(), cli.wait.ids.clone());
    let stopwatch = Stopwatch::start();
    move |signal| {
        let ids = ids.iter().filter(|id| *id != "-");
        let summary = Summary::before_wait(signal, ids.map(String::as_str), stopwatch.elapsed());
        // Nothing is left to do about an error: the signal decides the exit code.
        let _ = Output::new(&output).finish(&summary);
    }
}

fn wait(cli: &Cli, runtime: &Runtime, signals: Signals) -> Result<Exit, CliError> {
    let policy = waiter::policy(&cli.wait)?;
    let mut jobs = jobs::Jobs::from_args(&cli.wait)?;
    let (client, place) = client::build_client(&cli.wait.cloud)?;
    // First, as one file cannot be both.
    let (store, history) = history::open(&cli.wait)?;
    jobs.open_state(&cli.wait, place)?;
    jobs.has_history = history.is_some();
    let waiter = waiter::build(&cli.wait, policy, client, history)?;
    let stop_condition = wait::StopCondition::from_args(&cli.wait);
    let exec = exec::Exec::from_args(&cli.wait, signals.process_groups());
    let mut output_args = cli.output.clone();
    // A live display would erase what the user types, and be moved by it.
    output_args.no_progress |= jobs.are_typed;
    let mut output = Output::new(&output_args);
    let result = runtime.block_on(async {
        let waited = wait::wait(&waiter, jobs, stop_condition, signals, exec, &mut output).await;
        // The message of an error comes below what has been drawn.
        let (summary, last_steps) = waited.inspect_err(|_| output.draw_lines())?;
        // Readers of the output need not wait for the commands of --exec.
        let written = output.finish(&summary);
        last_steps.finish(&mut output).await;
        written?;
        Ok(summary.exit)
    });
    if let Some(store) = store {
        store.append(waiter.take_learned());
    }
    result
}

/// Writes to standard output, without colours unless it is a terminal that supports them.
pub(crate) fn print(bytes: &[u8]) -> Result<Exit, CliError> {
    let text = match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => strip_bytes(bytes).into_vec(),
        _ => bytes.to_vec(),
    };
    let mut stdout = streams::stdout();
    stdout.write_all(&text)?;
    stdout.flush()?;
    Ok(Exit::Succeeded)
}

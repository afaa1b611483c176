//! What waiting for jobs costs, next to what people write by hand, in one run.
//!
//! Run `cargo run --release -p benches`; BENCHMARKS.md says what the tables mean.
//!
//! Every measurement is made in a process of its own, this program started again with hidden
//! arguments, so that no contender inherits another's heap, and rounds alternate between contenders so
//! that all meet the same weather.

mod by_hand;
mod child;
mod contender;
mod http;
mod memory;
mod meter;
mod schedules;
mod server;
mod soak;
mod table;
mod turnover;

use std::alloc::System;
use std::io::{self, Write as _};
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HELP: &str = "\
Measures what waiting costs, and prints tables in Markdown.

Usage: cargo run --release -p benches [-- [quick] [cpu] [bytes] [turnover] [http] [schedules]]

  quick     fewer jobs and rounds
  cpu       only CPU time per poll, in-memory source, jobs that never end
  bytes     only memory per waiting job, in-memory source, jobs that never end
  memory    both of these
  turnover  only CPU time and memory among jobs that come and go, in-memory source
  http      only polls over loopback HTTP
  schedules what schedules cost, in virtual time; not part of a run of all

Usage: cargo run --release -p benches -- soak [MINUTES] [leak]

  soak      jobs that come and go with faults, over HTTP and in memory, for 10 minutes: fails
            if anything grows, or an end is lost, reported twice, wrong or late
  leak      leaks on purpose, to show that it fails";

/// What went wrong, in words.
type Failure = Box<dyn std::error::Error>;

#[derive(Default)]
struct Choice {
    quick: bool,
    cpu: bool,
    bytes: bool,
    turnover: bool,
    http: bool,
    schedules: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed as well.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Failure> {
    match args.split_first() {
        Some((first, rest)) if first == child::IN_MEMORY => return memory::child(rest),
        Some((first, rest)) if first == child::TURNOVER => return turnover::child(rest),
        Some((first, rest)) if first == child::CLIENT => return http::child(rest),
        Some((first, _)) if first == child::SERVER => return server::child(),
        Some((first, _)) if first == child::SOAK_SERVER => return soak::child(),
        Some((first, rest)) if first == "soak" => return soak(rest),
        _ => {}
    }
    let mut choice = Choice::default();
    for arg in args {
        match arg.as_str() {
            "quick" => choice.quick = true,
            "cpu" => choice.cpu = true,
            "bytes" => choice.bytes = true,
            "memory" => (choice.cpu, choice.bytes) = (true, true),
            "turnover" => choice.turnover = true,
            "http" => choice.http = true,
            "schedules" => choice.schedules = true,
            _ => return Err(format!("unknown argument {arg:?}\n\n{HELP}").into()),
        }
    }
    if !(choice.cpu || choice.bytes || choice.turnover || choice.http || choice.schedules) {
        choice = Choice { cpu: true, bytes: true, turnover: true, http: true, ..choice };
    }
    table::print(&meter::machine()?)?;
    if choice.cpu {
        memory::cpu(choice.quick)?;
    }
    if choice.bytes {
        memory::bytes(choice.quick)?;
    }
    if choice.turnover {
        turnover::run(choice.quick)?;
    }
    if choice.http {
        http::run(choice.quick)?;
    }
    if choice.schedules {
        schedules::run(choice.quick)?;
    }
    Ok(())
}

fn soak(args: &[String]) -> Result<(), Failure> {
    let leaks = args.last().is_some_and(|arg| arg == "leak");
    let minutes = match args {
        [] => 10.0,
        [minutes, ..] if minutes != "leak" && args.len() == 1 + usize::from(leaks) => {
            minutes.parse().map_err(|_| format!("not a number of minutes: {minutes:?}"))?
        }
        [_] if leaks => 10.0,
        _ => return Err(format!("unknown arguments {args:?}\n\n{HELP}").into()),
    };
    table::print(&meter::machine()?)?;
    soak::run(minutes, leaks)
}

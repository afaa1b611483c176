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
mod server;
mod table;

use std::alloc::System;
use std::io::{self, Write as _};
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HELP: &str = "\
Measures what waiting costs, and prints tables in Markdown.

Usage: cargo run --release -p benches [-- [quick] [cpu] [bytes] [http]]

  quick   fewer jobs and rounds: less than a minute in place of ten
  cpu     only CPU time per poll, in-memory source
  bytes   only memory per waiting job, in-memory source
  memory  both of these
  http    only polls over loopback HTTP";

/// What went wrong, in words.
type Failure = Box<dyn std::error::Error>;

#[derive(Default)]
struct Choice {
    quick: bool,
    cpu: bool,
    bytes: bool,
    http: bool,
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
        Some((first, rest)) if first == child::CLIENT => return http::child(rest),
        Some((first, _)) if first == child::SERVER => return server::child(),
        _ => {}
    }
    let mut choice = Choice::default();
    for arg in args {
        match arg.as_str() {
            "quick" => choice.quick = true,
            "cpu" => choice.cpu = true,
            "bytes" => choice.bytes = true,
            "memory" => (choice.cpu, choice.bytes) = (true, true),
            "http" => choice.http = true,
            _ => return Err(format!("unknown argument {arg:?}\n\n{HELP}").into()),
        }
    }
    if !(choice.cpu || choice.bytes || choice.http) {
        (choice.cpu, choice.bytes, choice.http) = (true, true, true);
    }
    table::print(&meter::machine()?)?;
    if choice.cpu {
        memory::cpu(choice.quick)?;
    }
    if choice.bytes {
        memory::bytes(choice.quick)?;
    }
    if choice.http {
        http::run(choice.quick)?;
    }
    Ok(())
}

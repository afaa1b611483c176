//! Runs a simulated Cloud Firewall service until it is interrupted.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use cfw_simulator::Standalone;

const HELP: &str = "\
Runs a simulated Cloud Firewall service on 127.0.0.1 until it is interrupted.
Prints how to reach it as lines that a shell can source.

Usage: cfw-simulator [OPTIONS]

  --port N             port to listen on; 0 lets the system choose  [default: 0]
  --seed N             decides ids, durations and faults            [default: 0]
  --jobs N             how many jobs to start                       [default: 3]
  --mean-ms N          their mean duration in milliseconds          [default: 20000]
  --failure-share X    share of jobs that fail, 0 to 1              [default: 0]
  --fault-share X      share of polls that meet a fault, 0 to 1     [default: 0]
  --help               print this";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match parse(std::env::args().skip(1)) {
        Ok(Some(simulation)) => simulation.run(io::stdout(), tokio::signal::ctrl_c()).await,
        Ok(None) => writeln!(io::stdout(), "{HELP}"),
        Err(complaint) => {
            // Nobody is left to tell when standard error is closed as well.
            let _ = writeln!(io::stderr(), "{complaint}; see --help");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot run the simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `None` when help is asked for.
fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Standalone>, String> {
    let mut simulation = Standalone::default();
    while let Some(flag) = args.next() {
        if flag == "--help" {
            return Ok(None);
        }
        let value = args.next();
        match flag.as_str() {
            "--port" => simulation.port = number(&flag, value)?,
            "--seed" => simulation.seed = number(&flag, value)?,
            "--jobs" => simulation.jobs = number(&flag, value)?,
            "--mean-ms" => simulation.mean = Duration::from_millis(number(&flag, value)?),
            "--failure-share" => simulation.failure_share = share(&flag, value)?,
            "--fault-share" => simulation.fault_share = share(&flag, value)?,
            _ => return Err(format!("unknown argument {flag:?}")),
        }
    }
    Ok(Some(simulation))
}

fn share(flag: &str, value: Option<String>) -> Result<f64, String> {
    let share = number(flag, value)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("{flag} {share} is not between 0 and 1"))
    }
}

fn number<T: FromStr<Err: Display>>(flag: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{flag} needs a value"))?;
    value.parse().map_err(|error| format!("{flag} {value:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &str) -> Result<Option<Standalone>, String> {
        parse(args.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read() {
        let all = "--port 7 --seed 8 --jobs 9 --mean-ms 10 --failure-share 0.5 --fault-share 1";
        let simulation = parsed(all).unwrap().unwrap();
        assert_eq!((simulation.port, simulation.seed, simulation.jobs), (7, 8, 9));
        assert_eq!(simulation.mean, Duration::from_millis(10));
        assert_eq!((simulation.failure_share, simulation.fault_share), (0.5, 1.0));
        assert_eq!(parsed("").unwrap(), Some(Standalone::default()));
        assert_eq!(parsed("--jobs 2 --help").unwrap(), None);
    }

    #[test]
    fn complaints_name_the_flag_and_the_value() {
        for (args, complaint) in [
            ("--jobs", "--jobs needs a value"),
            ("--jobs two", "--jobs \"two\": invalid digit found in string"),
            ("--port 65536", "--port \"65536\": number too large to fit in target type"),
            ("--fault-share 1.5", "--fault-share 1.5 is not between 0 and 1"),
            ("--fault-share NaN", "--fault-share NaN is not between 0 and 1"),
            ("--frobnicate", "unknown argument \"--frobnicate\""),
        ] {
            assert_eq!(parsed(args).unwrap_err(), complaint);
        }
    }
}

//! Runs a simulated Cloud Firewall service until it is interrupted.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use cfw_simulator::SimulateOptions;

const HELP: &str = "\
Runs a simulated Cloud Firewall service on 127.0.0.1 until it is interrupted.
Prints its endpoint, credentials and job ids as lines that a shell can source.

Usage: cfw-simulator [OPTIONS]

  --port N             port to listen on; 0 lets the system choose  [default: 0]
  --seed N             seed of ids, durations and faults            [default: 0]
  --jobs N             number of jobs                               [default: 3]
  --mean-ms N          mean duration of a job in milliseconds       [default: 20000]
  --failure-share X    share of jobs that fail, 0 to 1              [default: 0]
  --fault-share X      share of polls with a fault, 0 to 1          [default: 0]
  --help               print this help";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options.run(io::stdout(), tokio::signal::ctrl_c()).await,
        Ok(None) => writeln!(io::stdout(), "{HELP}"),
        Err(error) => {
            // If standard error is closed too, the error cannot be reported.
            let _ = writeln!(io::stderr(), "{error}; see --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot run the simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns `None` if the arguments ask for help.
fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<SimulateOptions>, String> {
    let mut options = SimulateOptions::default();
    while let Some(flag) = args.next() {
        if flag == "--help" {
            return Ok(None);
        }
        let value = args.next();
        match flag.as_str() {
            "--port" => options.port = number(&flag, value)?,
            "--seed" => options.seed = number(&flag, value)?,
            "--jobs" => options.jobs = number(&flag, value)?,
            "--mean-ms" => options.mean = Duration::from_millis(number(&flag, value)?),
            "--failure-share" => options.failure_share = share(&flag, value)?,
            "--fault-share" => options.fault_share = share(&flag, value)?,
            _ => return Err(format!("unknown argument {flag:?}")),
        }
    }
    Ok(Some(options))
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

    fn parsed(args: &str) -> Result<Option<SimulateOptions>, String> {
        parse(args.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_set_the_options() {
        let all = "--port 7 --seed 8 --jobs 9 --mean-ms 10 --failure-share 0.5 --fault-share 1";
        let options = parsed(all).unwrap().unwrap();
        assert_eq!((options.port, options.seed, options.jobs), (7, 8, 9));
        assert_eq!(options.mean, Duration::from_millis(10));
        assert_eq!((options.failure_share, options.fault_share), (0.5, 1.0));
        assert_eq!(parsed("").unwrap(), Some(SimulateOptions::default()));
        assert_eq!(parsed("--jobs 2 --help").unwrap(), None);
    }

    #[test]
    fn errors_name_the_flag_and_the_value() {
        for (args, error) in [
            ("--jobs", "--jobs needs a value"),
            ("--jobs two", "--jobs \"two\": invalid digit found in string"),
            ("--port 65536", "--port \"65536\": number too large to fit in target type"),
            ("--fault-share 1.5", "--fault-share 1.5 is not between 0 and 1"),
            ("--fault-share NaN", "--fault-share NaN is not between 0 and 1"),
            ("--frobnicate", "unknown argument \"--frobnicate\""),
        ] {
            assert_eq!(parsed(args).unwrap_err(), error);
        }
    }
}

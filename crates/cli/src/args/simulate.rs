//! The arguments of `cfw-wait simulate`.

use clap::{Args, ValueEnum};

use crate::values::DurationArg;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Port on 127.0.0.1; 0 lets the system choose
    #[arg(long, allow_negative_numbers = true, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,

    /// Number of jobs
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub(crate) jobs: u16,

    /// Mean duration of a job; each takes 0.25 to 1.75 times this long
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", default_value = "20s")]
    pub(crate) duration: DurationArg,

    /// Share of jobs that fail, from 0 to 1
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) failures: f64,

    /// Share of polls with a transient fault, from 0 to 1
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) faults: f64,

    /// Seed of ids, durations and faults
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Print an access key and its secret key, to sign requests with, instead of a token
    #[arg(long)]
    pub(crate) access_key: bool,

    /// Format of standard output: `text` is lines for a shell, `json` one object, `ids` one job id per line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: SimulateFormat,

    /// Print only errors to standard error
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimulateFormat {
    Text,
    Json,
    Ids,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

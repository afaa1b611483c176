//! The arguments of `cfw-wait explain`.

use clap::{Args, ValueEnum};

use super::schedule::{IntervalArgs, PastJobsArgs};
use super::wait::kind;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Kind of jobs, as in --kind; jobs without one are of the kind default
    #[arg(value_name = "KIND", value_parser = kind)]
    pub(crate) kind: String,

    #[command(flatten)]
    pub(crate) past_jobs: PastJobsArgs,

    #[command(flatten)]
    pub(crate) intervals: IntervalArgs,

    /// Format of standard output: `text` is for people, `json` one object, `svg` a plot of the durations and the polls
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) output: ExplainFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    Text,
    Json,
    Svg,
}

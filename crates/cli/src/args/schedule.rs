//! The arguments of schedules, which a wait and `cfw-wait explain` share.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::values::DurationArg;

/// The first poll, and the delays between polls.
#[derive(Debug, Args)]
pub(crate) struct IntervalArgs {
    /// Poll each job after the first delay and not at once, for jobs that were created a moment ago
    ///
    /// By default the first poll is at once. It costs one poll for each job, and a job that has already ended is
    /// known at once.
    #[arg(long, help_heading = "How to poll")]
    pub(crate) delay_first_poll: bool,

    /// The first delay between two polls of a job; later ones grow by half each time [default: 1s]
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", help_heading = "How to poll")]
    pub(crate) interval: Option<DurationArg>,

    /// The longest delay between two polls of a job [default: 15s, or --interval if that is longer]
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", help_heading = "How to poll")]
    pub(crate) max_interval: Option<DurationArg>,

    /// The shortest delay between two polls of a job; --interval must not be shorter
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TIME",
        default_value = "500ms",
        help_heading = "How to poll"
    )]
    pub(crate) min_interval: DurationArg,
}

/// The use of past jobs.
#[derive(Debug, Args)]
pub(crate) struct PastJobsArgs {
    /// How much earlier one more poll must notice the end of a job, on average, if past jobs of the kind are known
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TIME",
        default_value = "1s",
        help_heading = "How to poll"
    )]
    pub(crate) poll_cost: DurationArg,

    /// File with the durations of past jobs [default: cfw-wait/history.json in the user's state directory]
    ///
    /// The state directory is $XDG_STATE_HOME, or ~/.local/state. Several commands can use the file at once. It holds
    /// kinds and durations, and a hash by which each job is known again.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "How to poll"
    )]
    pub(crate) history: Option<PathBuf>,
}

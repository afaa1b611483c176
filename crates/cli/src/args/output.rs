//! The arguments of the output.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use crate::values::DurationArg;

/// Shorter than the silence after which CI systems end a step.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Shorter times are taken as this long.
const MIN_HEARTBEAT: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Format of standard output: `text` leaves it empty, `json` prints one object per update
    ///
    /// Text for people goes to standard error with both. Each object has a version `v`, a `type` (changed, progressed,
    /// trouble, recovered, overdue, ended, resumed, rejected) and a `time`. The last object has the type summary.
    /// SCHEMA.md, beside the source of this command, describes all fields.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) output: Format,

    /// Print only errors to standard error
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// How often a line says how the run stands, where output is plain lines; 0 for never [default: 1m]
    ///
    /// CI systems end steps that are silent for long. On a terminal there is a live display instead.
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", help_heading = "Output")]
    pub(crate) heartbeat: Option<DurationArg>,

    /// Print plain lines, even on a terminal
    #[arg(long, help_heading = "Output")]
    pub(crate) no_progress: bool,

    /// Log events of the library to standard error; -vv also logs every poll. Implies --no-progress
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
}

impl OutputArgs {
    /// Returns the time between two lines that say how the run stands, or `None` for no such lines.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        let time = self.heartbeat.as_ref().map_or(HEARTBEAT, |time| time.duration);
        (!time.is_zero()).then(|| time.max(MIN_HEARTBEAT))
    }

    /// Adds the flags of another place of the command line.
    pub(crate) fn merge(&mut self, other: &Self) {
        if let Some(heartbeat) = &other.heartbeat {
            self.heartbeat = Some(heartbeat.clone());
        }
        if other.output != Format::Text {
            self.output = other.output;
        }
        self.quiet |= other.quiet;
        self.no_progress |= other.no_progress;
        self.verbose = self.verbose.saturating_add(other.verbose);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

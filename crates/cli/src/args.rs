//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::input::kind_problem;
use crate::values::{AgeArg, DurationArg, RateArg, TimeoutArg};

/// Shorter than the silence after which CI systems end a step.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Shorter times are taken as this long.
const MIN_HEARTBEAT: Duration = Duration::from_millis(100);

/// Sections of the long help and of the manual page.
pub(crate) const SECTIONS: [(&str, &str); 3] = [
    (
        "Exit codes",
        "  0    all jobs succeeded, or one did with --any
  1    a job failed, or its wait ended for a reason not listed here
  2    the arguments are not valid, or a line of the input does not describe a job
  3    the credentials were refused, no poll can succeed, the service was never reached, or the
       configuration is not valid
  4    a job was not found for the whole --grace
  124  a job was still running at its deadline
  129  ended by SIGHUP
  130  interrupted by Ctrl-C (SIGINT)
  141  the reader of standard output closed it while jobs were unfinished
  143  ended by SIGTERM
The first signal ends the wait with a summary, and a second one ends the command at once. If
several apply, the exit code is the first in the order 129 to 143, 3, 2, 1, 4, 124. With
--fail-fast it is the code of the first job that did not succeed.",
    ),
    (
        "Environment",
        "  CFW_ENDPOINT, CFW_PROJECT_ID, CFW_TOKEN    the service, the project, and a token for it
  CFW_CACERT, CFW_INSECURE                   certificates to trust (a PEM file); true accepts any
  OS_CLOUD                                   an entry of clouds.yaml
  OS_*, HW_*, HUAWEICLOUD_SDK_*              the variables of other tools: user and password,
                                             access key, token, region, project
  NO_COLOR                                   disables colours
  CI                                         plain lines, even on a terminal, as with TERM=dumb
  LC_ALL, LC_CTYPE, LANG                     ASCII signs unless it is UTF-8
Secrets are never arguments, because all users of the machine can read arguments. They come
from the environment or clouds.yaml. A token can also come from a file (--token-file FILE)
or from standard input (--token-file -).",
    ),
    (
        "Examples",
        "  cfw-wait demo                             a demonstration without a cloud
  cfw-wait --timeout 45m \"$JOB_ID\"          one job, in a pipeline
  list-my-jobs | cfw-wait --fail-fast -     ids from a pipe, one per line
  cfw-wait --timeout 0 \"$JOB_ID\"            one look: 0 succeeded, 124 still running
  cfw-wait --exec 'mail -s \"$CFW_JOB_ID\" me' A
                                            a notification at each end
  cfw-wait --output json A B C | jq -c .    one JSON object per line, for programs
  cfw-wait -- demo                          a job whose id is the name of a subcommand",
    ),
];

fn after_help() -> String {
    SECTIONS.map(|(title, text)| format!("{title}:\n{text}")).join("\n\n")
}

/// Waits for Cloud Firewall jobs to end, with progress for people, JSON lines for programs, and an exit code
/// for each kind of result
#[derive(Debug, Parser)]
#[command(
    name = "cfw-wait",
    version,
    after_long_help = after_help(),
    after_help = "\
Exit codes: 0 all succeeded, 1 a job failed, 2 usage, 3 refused or misconfigured,
4 not found, 124 deadline, 129, 130 or 143 ended by a signal. More with --help",
    max_term_width = 110
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Ids of the jobs to wait for; `-` reads more ids from standard input during the wait, one per line
    ///
    /// A line can also be a JSON object with an id and more: {"id": "cd63", "since": "90s", "timeout": "5m", "kind":
    /// "create-firewall"}. Its fields `since`, `timeout` and `kind` replace the flags for this job, and a `kind` in a
    /// line is repeated in the JSON output. Blank lines and comments, from `#` to the end of a line, are skipped. An id
    /// given twice is waited for once. After `--` all arguments are ids: `cfw-wait -- demo` waits for the job demo.
    #[arg(value_name = "JOB_ID")]
    pub(crate) ids: Vec<String>,

    /// File with more jobs, one per line as on standard input; `-` is standard input. Can be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ids_file: Vec<String>,

    /// Stop at the first job that succeeds
    #[arg(long, help_heading = "When to stop", conflicts_with = "fail_fast")]
    pub(crate) any: bool,

    /// Stop at the first job that does not succeed
    #[arg(long, help_heading = "When to stop")]
    pub(crate) fail_fast: bool,

    /// How long to wait for each job, from the time at which its id is known
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30m",
        allow_hyphen_values = true,
        help_heading = "When to stop",
        long_help = "How long to wait for each job, from the time at which its id is known\n\nExamples of times are 1.5s, 30m, 1h30m and 24h. Days are not accepted. With 0 each job is looked at once, and the exit code follows from what the service says: it is 124 if the job is running."
    )]
    pub(crate) timeout: TimeoutArg,

    /// How long the service may not find a job before the wait for it ends
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TIME",
        default_value = "30s",
        help_heading = "When to stop"
    )]
    pub(crate) grace: DurationArg,

    /// How many transient failures in a row end the wait for a job [default: no limit]
    ///
    /// Without it outages are waited out until --timeout. Throttled polls and polls that do not find the job are not
    /// counted.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "When to stop"
    )]
    pub(crate) max_failures: Option<u32>,

    /// How long to try a service of which no answer has ever come, such as a mistyped host; 0 is no limit
    ///
    /// After one answer of any kind an outage is waited out until --timeout.
    #[arg(long, value_name = "TIME", default_value = "60s", help_heading = "When to stop")]
    pub(crate) give_up_unreached: TimeoutArg,

    /// How long ago the jobs began: an age such as 90s, or a time such as 2026-11-24T22:51:00Z
    ///
    /// Older jobs are polled less often, because they are expected to take longer. The timeout does not depend on it.
    #[arg(long, value_name = "AGE", help_heading = "How to poll")]
    pub(crate) since: Option<AgeArg>,

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

    /// The most polls of all jobs per time, such as 50/s or 200/5m [default: 50/s]
    ///
    /// The rate is lowered for all jobs when the service throttles a poll.
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "CALLS/TIME",
        help_heading = "How to poll"
    )]
    pub(crate) rate: Option<RateArg>,

    /// Kind of the jobs, such as create-firewall: past jobs of the kind tell when to poll
    ///
    /// Once a job of a kind has ended, polls of the next ones come where they are likely to end. Delays may reach five
    /// minutes then, unless --max-interval is given. A line of the input can name the kind of its job.
    #[arg(long, value_name = "KIND", value_parser = kind, help_heading = "How to poll")]
    pub(crate) kind: Option<String>,

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
    /// kinds and durations, and nothing else of the jobs.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        conflicts_with = "no_history",
        help_heading = "How to poll"
    )]
    pub(crate) history: Option<PathBuf>,

    /// Neither use nor record the durations of past jobs
    #[arg(long, help_heading = "How to poll")]
    pub(crate) no_history: bool,

    /// How long a poll may take before it counts as a transient failure
    ///
    /// The time doubles after each poll that took too long, up to a minute, and shrinks again with answers.
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "How to poll"
    )]
    pub(crate) attempt_timeout: DurationArg,

    /// The most polls in flight at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "How to poll"
    )]
    pub(crate) concurrency: u32,

    /// Shell command to run once at each end of a job, such as a notification
    ///
    /// `sh -c` runs it, up to 8 at once, with the JSON object of the type ended on standard input and the variables
    /// CFW_JOB_ID, CFW_OUTCOME and CFW_EXIT, the exit code for this job. What it prints goes to standard error. Its
    /// failure is reported and changes no exit code. It is killed after 30 seconds, and after the last job all
    /// together may take a minute, or five seconds if a signal ended the wait. A signal after that kills it.
    #[arg(
        long,
        value_name = "COMMAND",
        value_parser = NonEmptyStringValueParser::new(),
        value_hint = ValueHint::CommandString,
        help_heading = "At the end of a job"
    )]
    pub(crate) exec: Option<String>,

    /// Leave the secrets of the service (CFW_TOKEN, OS_PASSWORD and the like) in the environment of --exec
    #[arg(long, requires = "exec", help_heading = "At the end of a job")]
    pub(crate) exec_secrets: bool,

    #[command(flatten)]
    pub(crate) cloud: CloudArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CloudArgs {
    /// URL of the firewall API, instead of CFW_ENDPOINT
    #[arg(long, value_name = "URL", help_heading = "Where")]
    pub(crate) endpoint: Option<String>,

    /// Id of the project, instead of CFW_PROJECT_ID
    #[arg(long, value_name = "ID", help_heading = "Where")]
    pub(crate) project_id: Option<String>,

    /// Entry of clouds.yaml with the cloud and its credentials, instead of OS_CLOUD
    ///
    /// The CFW_* variables are ignored then.
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub(crate) os_cloud: Option<String>,

    /// File with a token, instead of CFW_TOKEN; `-` is standard input
    ///
    /// A file is read again when the service refuses the token, so it may be replaced while waiting.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Where")]
    pub(crate) token_file: Option<String>,

    /// Send credentials over plain http to other machines, where the network can read them
    #[arg(long, help_heading = "Where")]
    pub(crate) allow_plain_http: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Format of standard output: `text` leaves it empty, `json` prints one object per update
    ///
    /// Text for people goes to standard error with both. Each object has a version `v`, a `type` (changed, progressed,
    /// trouble, recovered, ended, rejected) and a `time`. The last object has the type summary. SCHEMA.md, beside the
    /// source of this command, describes all fields.
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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Wait for simulated jobs through throttling and an outage, in ten seconds
    ///
    /// The simulated service runs inside the command. Nothing leaves this machine, and no configuration is needed.
    /// One of the jobs is meant to fail. The exit code is 0 if all jobs ended as intended.
    Demo(OutputArgs),

    /// Run a simulated service on this machine until interrupted, for tests of pipelines
    ///
    /// Prints its endpoint, credentials and job ids as `export` lines for a shell, and then closes standard output, so
    /// that `eval "$(cfw-wait simulate &)"` sets the variables while the service runs. `kill "$CFW_SIMULATOR_PID"`
    /// ends it. Exits with 0 when interrupted.
    Simulate(SimulateArgs),

    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Port on 127.0.0.1; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = 0)]
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
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) failures: f64,

    /// Share of polls with a transient fault, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) faults: f64,

    /// Seed of ids, durations and faults
    #[arg(long, value_name = "N", default_value_t = 0)]
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

fn kind(text: &str) -> Result<String, String> {
    match kind_problem(text) {
        None => Ok(text.to_owned()),
        Some(problem) => Err(problem),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

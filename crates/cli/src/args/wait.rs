//! The arguments of a wait: which jobs, until when, how and where to poll.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueHint};

use crate::input::kind_problem;
use crate::values::{AgeArg, DurationArg, RateArg, TimeoutArg};

use super::schedule::{IntervalArgs, PastJobsArgs};

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Ids of the jobs to wait for; `-` reads more ids from standard input during the wait, one per line
    ///
    /// A line can also be a JSON object with an id and more: {"id": "cd63", "since": "90s", "timeout": "5m", "kind":
    /// "create-firewall"}. Its fields `since`, `timeout` and `kind` replace the flags for this job, and a `kind` in a
    /// line is repeated in the JSON output. Blank lines and comments, from `#` to the end of a line, are skipped. An id
    /// given twice is waited for once. Ids that are typed on a terminal get plain lines. After `--` all arguments are
    /// ids: `cfw-wait -- demo` waits for the job demo.
    #[arg(value_name = "JOB_ID")]
    pub(crate) ids: Vec<String>,

    /// File with more jobs, one per line as on standard input; `-` is standard input. Can be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ids_file: Vec<String>,

    /// File with the jobs and their ends, with which the same command goes on after a crash or a signal
    ///
    /// A job is recorded before its first poll, and its end before it is reported. Recorded ids are not needed again, and do
    /// no harm. Ids are recorded before more are read: a signal loses none that were read, and kill -9 at most the 8 KiB
    /// that were read from a pipe last. Jobs that ended are not waited for again, but count in the summary and the exit code. The others keep
    /// their deadlines by the clock, and --timeout is for new ones. An end that may have been reported before is
    /// reported again with a note. Once all jobs have ended, the command reports the result at once: remove the file to start
    /// afresh. A wait that ended before its job, as at its deadline, is made again by the next run after one that came to
    /// its end. One command at a time can use the file, for one project. It holds no secrets.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) state: Option<PathBuf>,

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
        long_help = "How long to wait for each job, from the time at which its id is known\n\nExamples of times are 1.5s, 30m, 1h30m and 24h. Days are not accepted. With 0 each job is polled once, and the exit code follows from the answer: 124 if the job is running, 4 if it is not found, and 3 if there is no answer or one without a status."
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
        allow_negative_numbers = true,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "When to stop"
    )]
    pub(crate) max_failures: Option<u32>,

    /// How long to try a service of which no answer has ever come, such as a mistyped host; 0 is no limit
    ///
    /// After one answer of any kind an outage is waited out until --timeout.
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TIME",
        default_value = "60s",
        help_heading = "When to stop"
    )]
    pub(crate) give_up_unreached: TimeoutArg,

    /// How long ago the jobs began: an age such as 90s, or a time such as 2026-11-24T22:51:00Z
    ///
    /// Older jobs are polled less often, because they are expected to take longer. The timeout does not depend on it.
    #[arg(long, allow_hyphen_values = true, value_name = "AGE", help_heading = "How to poll")]
    pub(crate) since: Option<AgeArg>,

    #[command(flatten)]
    pub(crate) intervals: IntervalArgs,

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

    #[command(flatten)]
    pub(crate) past_jobs: PastJobsArgs,

    /// Neither use nor record the durations of past jobs
    #[arg(long, conflicts_with = "history", help_heading = "How to poll")]
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
        allow_negative_numbers = true,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "How to poll"
    )]
    pub(crate) concurrency: u32,

    /// Shell command to run once at each end of a job, such as a notification
    ///
    /// `sh -c` runs it, up to 8 at once, with the JSON object of the type ended on standard input and the variables
    /// CFW_JOB_ID, CFW_OUTCOME and CFW_EXIT, the exit code for this job. It has the rest of the environment, also a
    /// password in HTTPS_PROXY, but for the secrets of the service. What it prints goes to standard error. Its
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

impl WaitArgs {
    /// Returns whether neither arguments nor files nor standard input name jobs.
    pub(crate) fn names_no_jobs(&self) -> bool {
        self.ids.is_empty() && self.ids_file.is_empty()
    }
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

pub(super) fn kind(text: &str) -> Result<String, String> {
    match kind_problem(text) {
        None => Ok(text.to_owned()),
        Some(problem) => Err(problem),
    }
}

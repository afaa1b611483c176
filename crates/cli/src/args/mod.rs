//! The command line.

mod explain;
mod output;
mod schedule;
mod simulate;
mod wait;

use clap::{Parser, Subcommand};

pub(crate) use self::explain::{ExplainArgs, ExplainFormat};
pub(crate) use self::output::{Format, OutputArgs};
pub(crate) use self::schedule::{IntervalArgs, PastJobsArgs};
pub(crate) use self::simulate::{SimulateArgs, SimulateFormat};
pub(crate) use self::wait::{CloudArgs, WaitArgs};

/// Sections of the long help and of the manual page.
pub(crate) const SECTIONS: [(&str, &str); 3] = [
    (
        "Exit codes",
        "  0    all jobs succeeded, or one did with --any
  1    a job failed, or its wait ended for a reason not listed here
  2    the arguments are not valid, or a line of the input does not describe a job
  3    the credentials were refused, no poll can succeed, the service was never reached, or the
       configuration is not valid; or the state file cannot be used, or it or standard output
       cannot be written, as on a full disk
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
  list-my-jobs | cfw-wait --state FILE -    goes on after a crash; later cfw-wait --state FILE
  cfw-wait --timeout 0 \"$JOB_ID\"            one look: 0 succeeded, 124 still running, 3 no answer
  cfw-wait --exec 'mail -s \"$CFW_JOB_ID\" me' A
                                            a notification at each end
  cfw-wait --output json A B C | jq -c .    one JSON object per line, for programs
  cfw-wait explain create-firewall          when jobs of a kind are polled, and why
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

    /// Explain when jobs of a kind are polled, by the past jobs that are known
    ///
    /// Prints how many past jobs are known and how long they took, the first polls of a job, what a job is expected to
    /// cost beside the schedule without past jobs, and what may still be lost against it. The flags are those of the wait.
    Explain(ExplainArgs),

    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Print the manual page
    Man,
}

//! The command line.

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::exit::CliError;
use crate::values::{DurationArg, RateArg};

/// Sections of the long help and of the manual page.
pub(crate) const SECTIONS: [(&str, &str); 3] = [
    (
        "Exit codes",
        "  0    all jobs succeeded, or one did with --any
  1    a job failed, or its wait ended for a reason not listed here
  2    the arguments are not valid, or a line of standard input is not a job id
  3    the credentials were refused, no poll can succeed, or the configuration is not valid
  4    a job was not found for the whole --grace
  124  a job was still running at its deadline
  129  ended by SIGHUP
  130  interrupted by Ctrl-C (SIGINT)
  141  the reader of standard output closed it while jobs were unfinished
  143  ended by SIGTERM
The first signal ends the wait with a summary, and a second one ends the command at once. If several apply, the exit code is the first in the order 129 to 143, 3, 2, 1, 4, 124. With
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
Secrets are never arguments, because all users of the machine can read arguments. They come
from the environment or clouds.yaml. A token can also come from a file (--token-file FILE)
or from standard input (--token-file -).",
    ),
    (
        "Examples",
        "  cfw-wait demo                             a demonstration without a cloud
  cfw-wait --timeout 45m \"$JOB_ID\"          one job, in a pipeline
  list-my-jobs | cfw-wait --fail-fast -     ids from a pipe, one per line
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
    max_term_width = 110,
    disable_help_subcommand = true
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
    /// Blank lines are skipped. An id given twice is waited for once. The name of a subcommand is one only as the
    /// first argument: `cfw-wait -- demo` waits for the job demo.
    #[arg(value_name = "JOB_ID")]
    pub(crate) ids: Vec<String>,

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
        long_help = "How long to wait for each job, from the time at which its id is known\n\nExamples of times are 1.5s, 30m, 1h30m and 24h. Days are not accepted."
    )]
    pub(crate) timeout: DurationArg,

    /// How long the service may not find a job before the wait for it ends
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TIME",
        default_value = "30s",
        help_heading = "When to stop"
    )]
    pub(crate) grace: DurationArg,

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

    /// The most polls in flight at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "How to poll"
    )]
    pub(crate) concurrency: u32,

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
    #[arg(long, value_name = "FILE", help_heading = "Where")]
    pub(crate) token_file: Option<String>,

    /// Send credentials over plain http to other machines, where the network can read them
    #[arg(long, help_heading = "Where")]
    pub(crate) allow_plain_http: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Format of standard output: `text` leaves it empty, `json` prints one object per update
    ///
    /// Text for people goes to standard error with both. Each object has a version `v`, a `type` (changed, trouble,
    /// ended, rejected) and a `time`. The last object has the type summary. SCHEMA.md, beside the source of this
    /// command, describes all fields.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        global = true,
        help_heading = "Output"
    )]
    pub(crate) output: Format,

    /// Print only errors to standard error
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Print plain lines, even on a terminal
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) no_progress: bool,

    /// Log events of the library to standard error; -vv also logs every poll. Implies --no-progress
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = "Output")]
    pub(crate) verbose: u8,
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
    Demo,

    /// Run a simulated service on this machine until interrupted, for tests of pipelines
    ///
    /// Prints its endpoint, credentials and job ids as lines that a shell can source. Exits with 0 when interrupted.
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
}

/// The result of parsing the command line.
pub(crate) enum Parsed {
    Run(Box<Cli>),
    /// The text of the help or the version, for standard output.
    Print(clap::builder::StyledStr),
    Invalid(CliError),
}

pub(crate) fn parse(args: impl Iterator<Item = std::ffi::OsString>) -> Parsed {
    let matches = match Cli::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Parsed::Print(error.render()),
        Err(error) => {
            return Parsed::Invalid(CliError::usage(one_line(&error.render().to_string())));
        }
    };
    if let Some((name, _)) = matches.subcommand()
        && let Some(flag) = wait_flag(&matches)
    {
        let message = format!("{flag} says how to wait for jobs and means nothing to {name}");
        return Parsed::Invalid(CliError::usage(message));
    }
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(error) => Parsed::Invalid(CliError::usage(one_line(&error.render().to_string()))),
    }
}

/// Returns a flag for waits that was given, if any.
fn wait_flag(matches: &clap::ArgMatches) -> Option<String> {
    let command = Cli::command();
    let given = |id: &str| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
    let arg =
        command.get_arguments().find(|arg| !arg.is_global_set() && given(arg.get_id().as_str()))?;
    arg.get_long().map(|long| format!("--{long}"))
}

/// Joins the paragraphs of an error of clap into one line.
fn one_line(rendered: &str) -> String {
    let mut joined = String::new();
    for line in rendered.lines().map(str::trim) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            joined = format!("{joined} ({tip})");
        } else if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        } else if !line.is_empty() {
            let line = line.strip_prefix("error: ").unwrap_or(line);
            let separator = if joined.is_empty() { "" } else { " " };
            joined = format!("{joined}{separator}{line}");
        }
    }
    joined.replace(char::is_control, "\u{fffd}")
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(args: &str) -> String {
        let args = std::iter::once("cfw-wait").chain(args.split_whitespace()).map(Into::into);
        match parse(args) {
            Parsed::Invalid(error) => error.message.unwrap(),
            Parsed::Run(cli) => format!("ran: {cli:?}"),
            Parsed::Print(text) => format!("printed: {text}"),
        }
    }

    #[test]
    fn the_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_are_one_line_and_name_the_flag_and_the_value() {
        for (args, message) in [
            (
                "--timeout banana a",
                "invalid value 'banana' for '--timeout <TIME>': expected a time with its unit, such as 1.5s, 30m or 1h30m",
            ),
            (
                "--rate 5 a",
                "invalid value '5' for '--rate <CALLS/TIME>': expected calls per time, such as 50/s or 200/5m",
            ),
            (
                "--concurrency 0 a",
                "invalid value '0' for '--concurrency <N>': 0 is not in 1..=4294967295",
            ),
            (
                "--timout 3s a",
                "unexpected argument '--timout' found (a similar argument exists: '--timeout')",
            ),
            (
                "--output yaml a",
                "invalid value 'yaml' for '--output <FORMAT>' [possible values: text, json]",
            ),
            (
                "--timeout -5s a",
                "invalid value '-5s' for '--timeout <TIME>': a time cannot be negative; expected 0 or more",
            ),
            (
                "--grace -1m a",
                "invalid value '-1m' for '--grace <TIME>': a time cannot be negative; expected 0 or more",
            ),
            (
                "--timeout 1y a",
                "invalid value '1y' for '--timeout <TIME>': days and longer units have no fixed length; expected hours or less, such as 24h",
            ),
            ("simulate --jobs 0", "invalid value '0' for '--jobs <N>': 0 is not in 1..=65535"),
            ("simulate --jobs -1", "invalid value '-1' for '--jobs <N>': -1 is not in 1..=65535"),
            ("--any --fail-fast a", "the argument '--any' cannot be used with '--fail-fast'"),
            ("--any demo", "--any says how to wait for jobs and means nothing to demo"),
            (
                "simulate --failures 2",
                "invalid value '2' for '--failures <SHARE>': expected a number from 0 to 1",
            ),
        ] {
            assert_eq!(error(args), message);
        }
    }

    #[test]
    fn a_line_break_in_a_value_does_not_break_the_line() {
        let args = ["cfw-wait", "--timeout", "1\n2", "a"].map(Into::into);
        let Parsed::Invalid(error) = parse(args.into_iter()) else { panic!("accepted") };
        assert_eq!(error.message.unwrap().lines().count(), 1);
    }

    #[test]
    fn only_the_first_argument_can_be_a_subcommand() {
        for (args, ids, is_subcommand) in [
            ("demo", &[][..], true),
            ("-v demo", &[], true),
            ("demo -v", &[], true),
            ("-- demo", &["demo"], false),
            ("a demo", &["a", "demo"], false),
            ("demoo", &["demoo"], false),
            ("a --any b -", &["a", "b", "-"], false),
        ] {
            let args_os = std::iter::once("cfw-wait").chain(args.split_whitespace());
            let Parsed::Run(cli) = parse(args_os.map(Into::into)) else { panic!("{args} refused") };
            assert_eq!(
                (&*cli.wait.ids, cli.command.is_some()),
                (&*ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(), is_subcommand),
                "{args}"
            );
        }
    }
}

//! What can be said on the command line.

use std::num::NonZeroU16;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::exit::Complaint;
use crate::values::{Length, Rate};

/// Sections of the long help and of the manual page.
pub(crate) const SECTIONS: [(&str, &str); 3] = [
    (
        "Exit codes",
        "  0    every job succeeded (with --any: one did)
  1    a job failed, or its wait ended for a reason not listed here
  2    the command was called wrongly, or a line of standard input is no job id
  3    the credentials were refused, no poll can succeed, or something is misconfigured
  4    a job is not found, and has not been for the whole --grace
  124  a job was still running at its deadline
  130  interrupted by Ctrl-C
Of several, the first in the order 130, 3, 2, 1, 4, 124 counts. With --fail-fast it is the
code of the first job that did not succeed. A reader of standard output who leaves ends the
command with 0.",
    ),
    (
        "Environment",
        "  CFW_ENDPOINT, CFW_PROJECT_ID, CFW_TOKEN    the service, the project, and a token for it
  OS_CLOUD                                   an entry of clouds.yaml
  OS_*, HW_*, HUAWEICLOUD_SDK_*              as other tools read them: user and password,
                                             access key, token, region, project
  NO_COLOR                                   no colours
Secrets are never arguments, which every user of the machine can read: put them into the
environment or into clouds.yaml, a token also into a file (--token-file FILE) or onto
standard input (--token-file -).",
    ),
    (
        "Examples",
        "  cfw-wait demo                             see it work, without a cloud
  cfw-wait --timeout 45m \"$JOB_ID\"          one job, in a pipeline
  list-my-jobs | cfw-wait --fail-fast -     ids as they come, one a line
  cfw-wait --output json A B C | jq -c .    for programs; one object a line
  cfw-wait -- demo                          a job whose id is the name of a subcommand",
    ),
];

fn after_help() -> String {
    SECTIONS.map(|(title, text)| format!("{title}:\n{text}")).join("\n\n")
}

/// Waits for Cloud Firewall jobs to end: shows progress to a person, prints lines for a program, and exits
/// with a meaning
#[derive(Debug, Parser)]
#[command(
    name = "cfw-wait",
    version,
    after_long_help = after_help(),
    after_help = "\
Exit codes: 0 all succeeded, 1 a job failed, 2 usage, 3 refused or misconfigured,
4 not found, 124 deadline, 130 interrupted. More with --help",
    max_term_width = 110,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Ids of the jobs to wait for; `-` reads more from standard input, one a line, as they arrive
    ///
    /// Blank lines are skipped. An id given twice is waited for once. The name of a subcommand counts as one only
    /// in the first place: `cfw-wait -- demo` waits for a job called demo.
    #[arg(value_name = "JOB_ID")]
    pub(crate) ids: Vec<String>,

    /// Stop at the first job that succeeds
    #[arg(long, help_heading = "When to stop", conflicts_with = "fail_fast")]
    pub(crate) any: bool,

    /// Stop at the first job that does not succeed
    #[arg(long, help_heading = "When to stop")]
    pub(crate) fail_fast: bool,

    /// How long to wait for each job, from when its id is known
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30m",
        help_heading = "When to stop",
        long_help = "How long to wait for each job, from when its id is known\n\nTimes are written 1.5s, 30m, 1h30m or 24h; days are not accepted."
    )]
    pub(crate) timeout: Length,

    /// How long a job may be unknown to the service before it counts as lost
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = "When to stop")]
    pub(crate) grace: Length,

    /// The first pause between two polls of a job; it grows by half each time [default: 1s]
    #[arg(long, value_name = "TIME", help_heading = "How to poll")]
    pub(crate) interval: Option<Length>,

    /// The longest pause between two polls of a job [default: 15s, or --interval if that is longer]
    #[arg(long, value_name = "TIME", help_heading = "How to poll")]
    pub(crate) max_interval: Option<Length>,

    /// Never poll a job more often than this, whatever --interval says
    #[arg(long, value_name = "TIME", default_value = "500ms", help_heading = "How to poll")]
    pub(crate) min_interval: Length,

    /// The most polls per time, for all jobs together, such as 50/s or 200/5m [default: 50 a second]
    ///
    /// Less when the service says so: it is slowed down for all jobs when one poll is throttled.
    #[arg(long, value_name = "CALLS/TIME", help_heading = "How to poll")]
    pub(crate) rate: Option<Rate>,

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
    /// URL of the firewall API, in place of CFW_ENDPOINT
    #[arg(long, value_name = "URL", help_heading = "Where")]
    pub(crate) endpoint: Option<String>,

    /// Id of the project, in place of CFW_PROJECT_ID
    #[arg(long, value_name = "ID", help_heading = "Where")]
    pub(crate) project_id: Option<String>,

    /// The entry of clouds.yaml that says where the cloud is and how to sign in
    ///
    /// In place of OS_CLOUD, and of CFW_* variables as well.
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub(crate) os_cloud: Option<String>,

    /// File that holds a token, in place of CFW_TOKEN; `-` is standard input
    ///
    /// A file is read again when the service refuses the token, so it may be replaced while waiting.
    #[arg(long, value_name = "FILE", help_heading = "Where")]
    pub(crate) token_file: Option<String>,

    /// Send credentials over plain http to other machines, where the network can read them
    #[arg(long, help_heading = "Where")]
    pub(crate) allow_plain_http: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ShowArgs {
    /// What goes to standard output: nothing, or one JSON object per update
    ///
    /// Everything for people goes to standard error in any case. Each object has a version `v`, a `type` (changed,
    /// trouble, ended, rejected) and a `time`; the last has the type summary. SCHEMA.md beside the source of this
    /// command tells the rest.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        global = true,
        help_heading = "Output"
    )]
    pub(crate) output: Format,

    /// Say nothing to people but what went wrong
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Plain lines, even on a terminal
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) no_progress: bool,

    /// Log what the library does, to standard error; -vv every poll, too. Implies --no-progress
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
    /// Show what waiting looks like: simulated jobs, a throttled spell and an outage, in ten seconds
    ///
    /// A simulated service runs inside the command; nothing leaves this machine and nothing is configured. One of
    /// the jobs fails by design. The exit code is 0 if every job ended as it was meant to.
    Demo,

    /// Run a simulated service on this machine until interrupted, to try a pipeline against
    ///
    /// Prints how to reach it as lines that a shell can source. Exits with 0 when interrupted.
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

    /// How many jobs there are
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) jobs: NonZeroU16,

    /// Their mean duration; each takes between a quarter and one and three quarters of it
    #[arg(long, value_name = "TIME", default_value = "20s")]
    pub(crate) duration: Length,

    /// The share of jobs that fail, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) failures: f64,

    /// The share of polls that meet a fault which passes, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) faults: f64,

    /// Decides ids, durations and faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// What came of reading the command line.
pub(crate) enum Parsed {
    Run(Box<Cli>),
    /// Help or the version, for standard output.
    Print(clap::builder::StyledStr),
    Wrong(Complaint),
}

pub(crate) fn parse(args: impl Iterator<Item = std::ffi::OsString>) -> Parsed {
    let matches = match Cli::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Parsed::Print(error.render()),
        Err(error) => {
            return Parsed::Wrong(Complaint::usage(one_line(&error.render().to_string())));
        }
    };
    if let Some((name, _)) = matches.subcommand()
        && let Some(flag) = misplaced(&matches)
    {
        let message = format!("{flag} says how to wait for jobs and means nothing to {name}");
        return Parsed::Wrong(Complaint::usage(message));
    }
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(error) => Parsed::Wrong(Complaint::usage(one_line(&error.render().to_string()))),
    }
}

/// A flag of waiting that was given beside a subcommand.
fn misplaced(matches: &clap::ArgMatches) -> Option<String> {
    let command = Cli::command();
    let given = |id: &str| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
    let arg =
        command.get_arguments().find(|arg| !arg.is_global_set() && given(arg.get_id().as_str()))?;
    arg.get_long().map(|long| format!("--{long}"))
}

/// clap explains in paragraphs; a log is read by the line.
fn one_line(rendered: &str) -> String {
    let mut told = String::new();
    for line in rendered.lines().map(str::trim) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            told = format!("{told} ({tip})");
        } else if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        } else if !line.is_empty() {
            let line = line.strip_prefix("error: ").unwrap_or(line);
            let gap = if told.is_empty() { "" } else { " " };
            told = format!("{told}{gap}{line}");
        }
    }
    told.replace(char::is_control, "\u{fffd}")
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

    fn complaint(args: &str) -> String {
        let args = std::iter::once("cfw-wait").chain(args.split_whitespace()).map(Into::into);
        match parse(args) {
            Parsed::Wrong(complaint) => complaint.message.unwrap(),
            Parsed::Run(cli) => format!("ran: {cli:?}"),
            Parsed::Print(text) => format!("printed: {text}"),
        }
    }

    #[test]
    fn clap_agrees_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn complaints_are_one_line_and_name_the_flag_and_the_value() {
        for (args, told) in [
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
            ("--any --fail-fast a", "the argument '--any' cannot be used with '--fail-fast'"),
            ("--any demo", "--any says how to wait for jobs and means nothing to demo"),
            (
                "simulate --failures 2",
                "invalid value '2' for '--failures <SHARE>': expected a number from 0 to 1",
            ),
        ] {
            assert_eq!(complaint(args), told);
        }
    }

    #[test]
    fn a_line_break_in_a_value_does_not_break_the_line() {
        let args = ["cfw-wait", "--timeout", "1\n2", "a"].map(Into::into);
        let Parsed::Wrong(complaint) = parse(args.into_iter()) else { panic!("accepted") };
        assert_eq!(complaint.message.unwrap().lines().count(), 1);
    }

    #[test]
    fn the_first_word_decides_whether_it_is_a_subcommand() {
        for (args, ids, is_subcommand) in [
            ("demo", &[][..], true),
            ("-v demo", &[], true),
            ("demo -v", &[], true),
            ("-- demo", &["demo"], false),
            ("a demo", &["a", "demo"], false),
            ("demoo", &["demoo"], false),
            ("a --any b -", &["a", "b", "-"], false),
        ] {
            let words = std::iter::once("cfw-wait").chain(args.split_whitespace());
            let Parsed::Run(cli) = parse(words.map(Into::into)) else { panic!("{args} refused") };
            assert_eq!(
                (&*cli.wait.ids, cli.command.is_some()),
                (&*ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(), is_subcommand),
                "{args}"
            );
        }
    }
}

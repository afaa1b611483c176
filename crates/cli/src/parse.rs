//! From arguments to the command line: what clap cannot check, and errors in one line.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command, OutputArgs};
use crate::exit::CliError;

/// The result of parsing the command line.
pub(crate) enum Parsed {
    Run(Box<Cli>),
    /// The text of the help or the version, for standard output.
    Print(clap::builder::StyledStr),
    Invalid(CliError),
}

/// Parses the arguments, of which the first is the name of the program.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Parsed {
    let args: Vec<_> = args.collect();
    match try_parse(&args) {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(Refusal::Clap(error)) if !error.use_stderr() => Parsed::Print(error.render()),
        Err(Refusal::Clap(error)) => {
            Parsed::Invalid(CliError::usage(one_line(&error.render().to_string())))
        }
        Err(Refusal::Ours(message)) => Parsed::Invalid(CliError::usage(message)),
    }
}

enum Refusal {
    /// An error of clap, which can also be the text of the help.
    Clap(clap::Error),
    Ours(String),
}

fn try_parse(args: &[OsString]) -> Result<Cli, Refusal> {
    let matches = Cli::command().try_get_matches_from(args).map_err(Refusal::Clap)?;
    if let Some((name, _)) = matches.subcommand() {
        check_flags(&matches, name).map_err(Refusal::Ours)?;
    }
    let mut cli = Cli::from_arg_matches(&matches).map_err(Refusal::Clap)?;
    if let Some(Command::Demo(output)) = &cli.command {
        cli.output.merge(output);
    }
    // All arguments after the first `--` are ids.
    let escaped = args.iter().position(|arg| arg == "--").map_or(0, |at| args.len() - at - 1);
    let unescaped = cli.wait.ids.len().saturating_sub(escaped);
    check_names(&cli.wait.ids, unescaped).map_err(Refusal::Ours)?;
    Ok(cli)
}

/// Refuses flags before a subcommand that it would ignore.
fn check_flags(matches: &ArgMatches, name: &str) -> Result<(), String> {
    let mut command = Cli::command();
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let output = OutputArgs::augment_args(clap::Command::new("output"));
    let is_output = |id: &clap::Id| output.get_arguments().any(|arg| arg.get_id() == id);
    let is_ignored = |arg: &&clap::Arg| {
        is_given(arg.get_id().as_str()) && !(name == "demo" && is_output(arg.get_id()))
    };
    let Some(flag) = command.get_arguments().find(is_ignored).and_then(clap::Arg::get_long) else {
        return Ok(());
    };
    let flag = flag.to_owned();
    let subcommand = command.find_subcommand_mut(name);
    let is_known = subcommand.is_some_and(|subcommand| {
        subcommand.get_arguments().any(|arg| arg.get_long() == Some(&flag))
    });
    if is_known {
        return Err(format!("--{flag} belongs after {name}: cfw-wait {name} --{flag}"));
    }
    Err(format!("--{flag} says how to wait for jobs and means nothing to {name}"))
}

/// Refuses ids that are probably meant as subcommands. The ids from number `unescaped` on follow `--`.
fn check_names(ids: &[String], unescaped: usize) -> Result<(), String> {
    let command = Cli::command();
    let names: Vec<_> =
        command.get_subcommands().map(clap::Command::get_name).chain(["help"]).collect();
    for (index, id) in ids.iter().take(unescaped).enumerate() {
        if names.contains(&&**id) {
            return Err(format!(
                "{id} is a subcommand only as the first argument; for a job of that name: \
                 cfw-wait -- {id}"
            ));
        }
        let similar = names.iter().find(|name| index == 0 && is_similar(id, name));
        if let Some(name) = similar {
            return Err(format!(
                "{id} is no subcommand; did you mean {name}? For a job of that name: \
                 cfw-wait -- {id}"
            ));
        }
    }
    Ok(())
}

/// Returns whether `text` is probably a misspelt `name`.
fn is_similar(text: &str, name: &str) -> bool {
    let allowed = if name.len() <= 4 { 1 } else { 2 };
    strsim::osa_distance(&text.to_lowercase(), name) <= allowed
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
            (
                "--since -5 a",
                "invalid value '-5' for '--since <AGE>': an age cannot be negative; expected an age such as 90s, or a time such as 2026-11-24T22:51:00Z",
            ),
            (
                "--give-up-unreached -5s a",
                "invalid value '-5s' for '--give-up-unreached <TIME>': a time cannot be negative; expected 0 or more",
            ),
            (
                "--timeout 99999999999999999999h a",
                "invalid value '99999999999999999999h' for '--timeout <TIME>': the time is too long; expected less, such as 24h",
            ),
            (
                "--max-failures -1 a",
                "invalid value '-1' for '--max-failures <N>': -1 is not in 1..=4294967295",
            ),
            (
                "--concurrency -1 a",
                "invalid value '-1' for '--concurrency <N>': -1 is not in 1..=4294967295",
            ),
            (
                "simulate --failures -1",
                "invalid value '-1' for '--failures <SHARE>': expected a number from 0 to 1",
            ),
            (
                "simulate --port -1",
                "invalid value '-1' for '--port <PORT>': -1 is not in 0..=65535",
            ),
            ("simulate --jobs 0", "invalid value '0' for '--jobs <N>': 0 is not in 1..=65535"),
            ("simulate --jobs -1", "invalid value '-1' for '--jobs <N>': -1 is not in 1..=65535"),
            ("--any --fail-fast a", "the argument '--any' cannot be used with '--fail-fast'"),
            ("--any demo", "--any says how to wait for jobs and means nothing to demo"),
            ("-v man", "--verbose says how to wait for jobs and means nothing to man"),
            ("-q simulate", "--quiet belongs after simulate: cfw-wait simulate --quiet"),
            ("man -q", "unexpected argument '-q' found"),
            (
                "a demo",
                "demo is a subcommand only as the first argument; for a job of that name: cfw-wait -- demo",
            ),
            (
                "a demo -- b",
                "demo is a subcommand only as the first argument; for a job of that name: cfw-wait -- demo",
            ),
            (
                "simulat",
                "simulat is no subcommand; did you mean simulate? For a job of that name: cfw-wait -- simulat",
            ),
            (
                "DEMO",
                "DEMO is no subcommand; did you mean demo? For a job of that name: cfw-wait -- DEMO",
            ),
            (
                "demoo a",
                "demoo is no subcommand; did you mean demo? For a job of that name: cfw-wait -- demoo",
            ),
            (
                "--max-failures 0 a",
                "invalid value '0' for '--max-failures <N>': 0 is not in 1..=4294967295",
            ),
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
    fn only_the_first_argument_can_be_a_subcommand_and_ids_can_be_escaped() {
        for (args, ids, is_subcommand) in [
            ("demo", &[][..], true),
            ("-v demo", &[], true),
            ("demo -v", &[], true),
            ("-- demo", &["demo"], false),
            ("a -- demo simulat", &["a", "demo", "simulat"], false),
            ("-- demoo", &["demoo"], false),
            ("bad main-1 a demoo", &["bad", "main-1", "a", "demoo"], false),
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

    #[test]
    fn flags_of_output_count_before_and_after_demo() {
        let args = "cfw-wait -v demo -v --output json --no-progress".split(' ').map(Into::into);
        let Parsed::Run(cli) = parse(args) else { panic!("refused") };
        let output = &cli.output;
        assert_eq!((output.verbose, output.output), (2, crate::args::Format::Json));
        assert!(output.no_progress && !output.quiet);
    }

    #[test]
    fn help_is_a_subcommand() {
        for args in ["help", "help simulate", "simulate --help"] {
            let args = std::iter::once("cfw-wait").chain(args.split(' ')).map(Into::into);
            assert!(matches!(parse(args), Parsed::Print(_)));
        }
    }
}

//! Completions for shells.

use clap::{Arg, Command, CommandFactory as _, ValueHint};
use clap_complete::Shell;

use crate::args::Cli;

/// Returns the script for a shell.
pub(crate) fn script(shell: Shell) -> String {
    let mut command = with_hints(Cli::command());
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "cfw-wait", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash { with_subcommands(&script) } else { script }
}

/// Marks values that are no files, so that shells do not complete file names for them.
fn with_hints(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let takes_values = arg.get_action().takes_values();
        if takes_values && has_no_hint(&arg) { arg.value_hint(ValueHint::Other) } else { arg }
    });
    command.mut_subcommands(with_hints)
}

fn has_no_hint(arg: &Arg) -> bool {
    arg.get_value_hint() == ValueHint::Unknown && arg.get_possible_values().is_empty()
}

/// Makes the names of the subcommands agree. For a command whose name has a hyphen, clap_complete 4.6 enters
/// `cfw__wait__subcmd__demo` and completes `cfw__subcmd__wait__subcmd__demo`.
fn with_subcommands(script: &str) -> String {
    script.replace("cfw__subcmd__wait__subcmd__", "cfw__wait__subcmd__")
}

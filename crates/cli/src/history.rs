//! The durations of past jobs, which are kept from one command to the next.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

use cfw_waiter::{History, HistoryError};

use crate::args::WaitArgs;
use crate::client::environment;
use crate::exit::CliError;
use crate::output::print_error;

/// The file with the durations of past jobs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Store {
    path: PathBuf,
    /// Whether the user named it.
    is_named: bool,
}

/// Opens the history that the flags describe. Without a store, past jobs are neither used nor recorded.
///
/// # Errors
///
/// Returns an error if the user named a file that cannot be read. One in the default place is only warned about.
pub(crate) fn open(args: &WaitArgs) -> Result<(Option<Store>, Option<History>), CliError> {
    let Some(store) = Store::find(args, environment) else { return Ok((None, None)) };
    match History::load(&store.path) {
        Ok(history) => Ok((Some(store), Some(history))),
        Err(error) if store.is_named => {
            Err(CliError::misconfigured(format!("--history: {}", describe(&error))))
        }
        Err(error) => {
            let message = format!("{}; past jobs are not used", describe(&error));
            print_error(&format!("cfw-wait: warning: {message}"));
            Ok((None, None))
        }
    }
}

impl Store {
    /// Returns the file that the flags or the environment name.
    fn find(args: &WaitArgs, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if args.no_history {
            return None;
        }
        if let Some(path) = &args.history {
            return Some(Self { path: path.clone(), is_named: true });
        }
        // The rules of the XDG base directory specification: what is not an absolute path is ignored.
        let folder =
            |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = folder("XDG_STATE_HOME")
            .or_else(|| Some(folder("HOME")?.join(".local").join("state")))
            .or_else(|| folder("LOCALAPPDATA"))?;
        Some(Self { path: state.join("cfw-wait").join("history.json"), is_named: false })
    }

    /// Appends what was learnt. The jobs have ended, so an error is only a warning.
    pub(crate) fn append(self, learned: History) {
        if learned.is_empty() {
            return;
        }
        if let Some(folder) = self.path.parent().filter(|_| !self.is_named) {
            create_private(folder);
        }
        if let Err(error) = learned.append_to(&self.path) {
            let message = format!("{}; the durations are not recorded", describe(&error));
            print_error(&format!("cfw-wait: warning: {message}"));
        }
    }
}

/// Creates a folder that only its user can read, if it does not exist. What fails here fails again when the file is written.
fn create_private(folder: &Path) {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let _ = builder.create(folder);
}

/// Describes an error and its cause in one line.
fn describe(error: &HistoryError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn find(args: &[&str], variables: &[(&str, &str)]) -> Option<Store> {
        let args = Cli::parse_from([&["cfw-wait"], args, &["a"]].concat()).wait;
        Store::find(&args, |name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    #[cfg(unix)]
    fn the_file_is_in_the_state_directory_unless_it_is_named() {
        type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<(&'a str, bool)>);
        let rows: [Row<'_>; 6] = [
            (&[], &[], None),
            (&[], &[("HOME", "/u")], Some(("/u/.local/state/cfw-wait/history.json", false))),
            (
                &[],
                &[("HOME", "/u"), ("XDG_STATE_HOME", "/s")],
                Some(("/s/cfw-wait/history.json", false)),
            ),
            (
                &[],
                &[("HOME", "/u"), ("XDG_STATE_HOME", "s")],
                Some(("/u/.local/state/cfw-wait/history.json", false)),
            ),
            (&["--history", "h.json"], &[("HOME", "/u")], Some(("h.json", true))),
            (&["--no-history"], &[("HOME", "/u")], None),
        ];
        for (args, variables, expected) in rows {
            let expected = expected.map(|(path, is_named)| Store { path: path.into(), is_named });
            assert_eq!(find(args, variables), expected, "{args:?} {variables:?}");
        }
    }
}

//! The durations of past jobs, which are kept from one command to the next.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cfw_waiter::{History, HistoryError};

use crate::args::{PastJobsArgs, WaitArgs};
use crate::client::environment;
use crate::exit::CliError;
use crate::output::print_warning;
use crate::{state, streams};

/// The longest time for reading or writing the file. It bounds what a slow file system adds to the time of the command. The
/// library waits for other processes for less than that, and says so.
const LIMIT: Duration = Duration::from_secs(3);

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
/// Returns an error if the user named a file that cannot be read, or the file is that of `--state` or a standard stream. One in the default place is only warned about, and so is
/// a named one that cannot be written: past jobs are used, and those to come are not recorded.
pub(crate) fn open(args: &WaitArgs) -> Result<(Option<Store>, Option<History>), CliError> {
    let store = if args.no_history { None } else { Store::find(&args.past_jobs, environment) };
    let Some(store) = store else { return Ok((None, None)) };
    store.check_use(args.state.as_deref())?;
    let path = store.path.clone();
    match store.within_limit(move || History::load(path)) {
        Ok(history) => {
            let path = store.path.clone();
            // The folder of the default place is made when there is something to record.
            let is_writable = !store.is_named
                || store
                    .within_limit(move || History::check_writable(path))
                    .inspect_err(|error| print_warning(&not_recorded(error)))
                    .is_ok();
            Ok((is_writable.then_some(store), Some(history)))
        }
        Err(error) if store.is_named => Err(CliError::misconfigured(format!("--history: {error}"))),
        Err(error) => {
            print_warning(&format!("{error}; past jobs are not used"));
            Ok((None, None))
        }
    }
}

/// Reads the history that the flags describe, and returns the path of its file.
///
/// # Errors
///
/// Returns an error if there is no place for a file, the file is a standard stream, or it cannot be read.
pub(crate) fn read(args: &PastJobsArgs) -> Result<(PathBuf, History), CliError> {
    let Some(store) = Store::find(args, environment) else {
        let message = "no file of past jobs: neither HOME nor XDG_STATE_HOME is set; name one with \
                       --history FILE";
        return Err(CliError::misconfigured(message));
    };
    store.check_use(None)?;
    let path = store.path.clone();
    let history = store.within_limit(move || History::load(path));
    let history = history.map_err(|error| {
        let flag = if store.is_named { "--history: " } else { "" };
        CliError::misconfigured(format!("{flag}{error}"))
    })?;
    Ok((store.path, history))
}

impl Store {
    /// Returns the file that the flags or the environment name.
    fn find(args: &PastJobsArgs, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
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

    /// Checks that the file is nothing else, too: what is written to it would be lost, or make it unreadable.
    fn check_use(&self, state: Option<&Path>) -> Result<(), CliError> {
        let path = &self.path;
        if path.as_os_str() == "-" {
            let message = "--history -: standard input is no history; name a file";
            return Err(CliError::usage(message));
        }
        let flag = if self.is_named { "--history: " } else { "" };
        let path_text = path.display();
        if state.is_some_and(|state| resolve(state) == resolve(path)) {
            let message =
                format!("{flag}history {path_text} is the file of --state, too; use another file");
            return Err(CliError::usage(message));
        }
        streams::at(path).map_or(Ok(()), |stream| {
            let message = format!("{flag}history {path_text} is {stream}, too; use another file");
            Err(CliError::misconfigured(message))
        })
    }

    /// Appends what was learnt. The jobs have ended, so an error is only a warning.
    pub(crate) fn append(&self, learned: History) {
        if learned.is_empty() {
            return;
        }
        let (path, is_named) = (self.path.clone(), self.is_named);
        let append = move || {
            if let Some(folder) = path.parent().filter(|_| !is_named) {
                create_private(folder);
            }
            learned.append_to(path)
        };
        if let Err(error) = self.within_limit(append) {
            print_warning(&not_recorded(&error));
        }
    }

    /// Reads or writes the file on a thread of its own, which is abandoned at the time limit.
    fn within_limit<T: Send + 'static>(
        &self,
        access: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, String> {
        self.within(LIMIT, access)
    }

    fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        access: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, String> {
        let path = self.path.display();
        let (sender, receiver) = mpsc::sync_channel(1);
        let run = move || {
            let _ = sender.send(access());
        };
        let thread = thread::Builder::new().name("cfw-wait-history".to_owned()).spawn(run);
        thread.map_err(|error| format!("no thread for history {path}: {error}"))?;
        match receiver.recv_timeout(limit) {
            Ok(result) => result.map_err(|error| describe(&error)),
            Err(_) => Err(format!("history {path} is not accessible within {limit:?}")),
        }
    }
}

/// Returns the one name of a file that need not exist, whatever links lead to it.
fn resolve(path: &Path) -> PathBuf {
    let path = state::follow(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().map(|folder| if folder == "" { Path::new(".") } else { folder });
    let name =
        folder.and_then(|folder| Some(fs::canonicalize(folder).ok()?.join(path.file_name()?)));
    name.unwrap_or(path)
}

/// Creates a folder that only its user can read, if it does not exist. What fails here fails again when the file is written.
fn create_private(folder: &Path) {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let _ = builder.create(folder);
}

fn not_recorded(error: &str) -> String {
    format!("{error}; the durations are not recorded")
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
        Store::find(&args.past_jobs, |name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_file_that_cannot_be_read_in_time_is_named() {
        let store = Store { path: "h.json".into(), is_named: true };
        let (sender, receiver) = mpsc::channel::<()>();
        let blocked = move || {
            let _ = receiver.recv();
            Ok(())
        };
        let error = store.within(Duration::from_millis(5), blocked).unwrap_err();
        assert_eq!(error, "history h.json is not accessible within 5ms");
        drop(sender);
        assert_eq!(store.within(Duration::from_secs(60), || Ok(7)), Ok(7));
    }

    #[test]
    #[cfg(unix)]
    fn the_file_is_in_the_state_directory_unless_it_is_named() {
        type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<(&'a str, bool)>);
        let rows: [Row<'_>; 5] = [
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
        ];
        for (args, variables, expected) in rows {
            let expected = expected.map(|(path, is_named)| Store { path: path.into(), is_named });
            assert_eq!(find(args, variables), expected, "{args:?} {variables:?}");
        }
    }
}

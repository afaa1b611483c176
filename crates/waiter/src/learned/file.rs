//! A history as a file, which several processes share.
//!
//! Readers need no lock: the file is replaced as a whole. Writers take the lock of a file beside it, read what is there,
//! append to it, write a new file and rename it over the old one. So no sample is lost when two processes end at once, and a
//! process that dies at any point leaves the old file or the new one. A file that cannot be read is never replaced.
//! What is written is for its user alone: mode 0600, as are all files that these crates write.
//!
//! What is written can be read again, whatever was learnt: numbers are kept within their bounds, and of too many past jobs
//! the oldest are left out.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use self::access::{Locked, check_folder, check_name, check_regular, follow};
use self::format::{VERSION, parse, text};
use super::history::History;
use crate::util::chain::error_chain;

mod access;
mod format;

/// Thousands of kinds fit in.
const LARGEST: u64 = 16 << 20;
/// How often a file is written at most, if its lock is removed each time.
const MOST_TRIES: usize = 10;

/// Why a history could not be read or written: names the file.
///
/// `{:?}` writes the message and its cause, as a `main` that returns the error does, and `{:#?}` the fields.
///
/// ```
/// use cfw_waiter::History;
///
/// let error = History::load(std::env::temp_dir()).unwrap_err();
/// assert!(error.to_string().starts_with("cannot read history "));
/// assert!(format!("{error:?}").starts_with(&error.to_string()));
/// ```
pub struct HistoryError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Read(io::Error),
    Write(io::Error),
    Busy,
    Special,
    /// Files beside a history have names with this ending.
    Reserved(&'static str),
    /// A file where the new one would be made.
    InTheWay(PathBuf),
    TooLarge,
    /// What would have to be written.
    TooMuch,
    Foreign(Option<serde_json::Error>),
    Version(f64),
    Damaged(serde_json::Error),
    Number(f64),
}

impl fmt::Debug for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return f.write_str(&error_chain(self));
        }
        let Self { path, problem } = self;
        f.debug_struct("HistoryError").field("path", path).field("problem", problem).finish()
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Read(_) => write!(f, "cannot read history {path}"),
            Problem::Write(_) => write!(f, "cannot write history {path}"),
            Problem::Busy => {
                write!(f, "history {path} stays locked by another process, and is left as it is")
            }
            Problem::InTheWay(other) => write!(
                f,
                "history {path} cannot be replaced: {} is in the way, and is left as it is",
                other.display()
            ),
            Problem::Special => {
                write!(f, "history {path} is not a regular file, and is left as it is")
            }
            Problem::Reserved(ending) => write!(
                f,
                "history {path} has the name of a file beside a history; use one that does not end in {ending}"
            ),
            Problem::TooLarge => write!(f, "history {path} is larger than {LARGEST} bytes"),
            Problem::TooMuch => write!(
                f,
                "history {path} would be larger than {LARGEST} bytes, and is left as it is"
            ),
            Problem::Foreign(_) => {
                write!(f, "{path} is not a history of cfw-waiter, and is left as it is")
            }
            Problem::Version(version) => write!(
                f,
                "history {path} is of version {version}, which is not known (known: {VERSION}), and is left as it is"
            ),
            Problem::Damaged(_) => write!(f, "history {path} is damaged, and is left as it is"),
            Problem::Number(number) => {
                write!(
                    f,
                    "history {path} is damaged, and is left as it is: {number} is no duration"
                )
            }
        }
    }
}

impl std::error::Error for HistoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Read(error) | Problem::Write(error) => Some(error),
            Problem::Foreign(Some(error)) | Problem::Damaged(error) => Some(error),
            Problem::Busy | Problem::Special | Problem::Reserved(_) => None,
            Problem::InTheWay(_)
            | Problem::TooLarge
            | Problem::TooMuch
            | Problem::Foreign(None) => None,
            Problem::Version(_) | Problem::Number(_) => None,
        }
    }
}

impl History {
    /// Reads a history from a file. One that does not exist, or holds nothing, is an empty history.
    ///
    /// It blocks the thread while it reads.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a regular one, is damaged, of a later version, or not a history at all; or if its name
    /// ends as those of the files that [`append_to`](Self::append_to) makes beside a history.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HistoryError> {
        let path = path.as_ref();
        read(path).map_err(|problem| HistoryError { path: path.to_owned(), problem })
    }

    /// Appends this history to that in a file, which is made if it does not exist. Its folder must exist.
    ///
    /// Any number of processes may do so at once, and read meanwhile: a lock file beside it, of the same name and `.lock`,
    /// keeps writers apart, and the file is replaced as a whole, by way of one with the ending `.cfw-waiter-new`. On Unix all are
    /// made with mode 0600, whatever mode the file had. A symbolic link is followed, and stays; a hard link is not: the other
    /// names of the file keep what it held. A file that its user may not write to is not replaced. Its owner
    /// stays, also if the superuser writes. It blocks the thread: for up
    /// to two seconds while other processes write, and one second where a process that holds the lock does not.
    ///
    /// A job that both know counts once, where its begin is known.
    ///
    /// The file never exceeds 16 MiB: where it would, fewer than 256 past jobs of each kind are kept, the newest ones.
    /// Durations above 10⁹ seconds are written as such.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, is not a regular one, or is such that [`load`](Self::load) fails; or if the newest
    /// job of each kind alone exceeds 16 MiB. The file is then left as it is.
    pub fn append_to(self, path: impl AsRef<Path>) -> Result<(), HistoryError> {
        let path = path.as_ref();
        append(self, path).map_err(|problem| HistoryError { path: path.to_owned(), problem })
    }

    /// Checks that [`append_to`](Self::append_to) can write to a file, to warn before a long wait rather than after it. The lock
    /// file beside it is made, and an empty new file, which is removed again.
    ///
    /// # Errors
    ///
    /// If there is no such folder, it, the lock or the file cannot be written to, the file is not a regular one, or its name is
    /// that of a file beside a history.
    pub fn check_writable(path: impl AsRef<Path>) -> Result<(), HistoryError> {
        let path = path.as_ref();
        let check = || check_folder(&follow(path)?);
        check().map_err(|problem| HistoryError { path: path.to_owned(), problem })
    }
}

fn read(path: &Path) -> Result<History, Problem> {
    check_regular(path)?;
    // Where links go in circles, opening it says so.
    check_name(&follow(path).unwrap_or_else(|_| path.to_owned()))?;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(History::new()),
        Err(error) => return Err(Problem::Read(error)),
    };
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(Problem::Read)?;
    if text.len() as u64 > LARGEST {
        return Err(Problem::TooLarge);
    }
    // As a command leaves it that makes a file for another to write to.
    if text.trim_ascii().is_empty() { Ok(History::new()) } else { parse(&text) }
}

fn append(newer: History, path: &Path) -> Result<(), Problem> {
    let path = &*follow(path)?;
    // Once more for each time that the lock was removed.
    for _ in 0..MOST_TRIES {
        let locked = Locked::acquire(path)?;
        let mut history = read(path)?;
        history.append(newer.clone());
        if locked.replace(&text(history)?)? {
            return Ok(());
        }
    }
    Err(Problem::Busy)
}

/// Parses the text of a file, and writes what it holds.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_and_write(text: &[u8]) -> Option<(History, Vec<u8>)> {
    let history = parse(text).ok()?;
    let written = self::text(history.clone()).ok()?;
    Some((history, written))
}

#[cfg(test)]
mod tests;

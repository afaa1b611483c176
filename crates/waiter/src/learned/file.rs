//! A history as a file, which several processes share.
//!
//! Readers need no lock: the file is replaced as a whole. Writers take the lock of a file beside it, read what is there,
//! append to it, write a new file and rename it over the old one. So no sample is lost when two processes end at once, and a
//! process that dies at any point leaves the old file or the new one. A file that cannot be read is never replaced.
//! What is written is for its user alone: mode 0600, as are all files that these crates write.
//!
//! What is written can be read again, whatever was learnt: numbers are kept within their bounds, and of too many past jobs
//! the oldest are left out.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::estimator::KEPT;
use super::history::{History, Past, Sample, Savings};

const FORMAT: &str = "cfw-waiter history";
const VERSION: u32 = 1;
/// Thousands of kinds fit in.
const LARGEST: u64 = 16 << 20;
/// How long another writer is waited for. Each takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(20);
/// The longest duration that is believed, in seconds: thirty years.
const LONGEST: f64 = 1e9;
/// The most symbolic links from a path to its file, as on Linux.
const MOST_LINKS: usize = 40;

/// Why a history could not be read or written: names the file.
///
/// ```
/// use cfw_waiter::History;
///
/// let error = History::load(std::env::temp_dir()).unwrap_err();
/// assert!(error.to_string().starts_with("cannot read history "));
/// ```
#[derive(Debug)]
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
    TooLarge,
    /// What would have to be written.
    TooMuch,
    Foreign(Option<serde_json::Error>),
    Version(u32),
    Damaged(serde_json::Error),
    Number(f64),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Read(_) => write!(f, "cannot read history {path}"),
            Problem::Write(_) => write!(f, "cannot write history {path}"),
            Problem::Busy => {
                write!(f, "history {path} is locked by another process for over {PATIENCE:?}")
            }
            Problem::Special => {
                write!(f, "history {path} is not a regular file, and is left as it is")
            }
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
                "history {path} is of version {version}, which is not known (known: {VERSION})"
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
            Problem::Busy | Problem::Special | Problem::TooLarge | Problem::TooMuch => None,
            Problem::Foreign(None) | Problem::Version(_) | Problem::Number(_) => None,
        }
    }
}

/// What tells a history from other files.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: u32,
    kinds: BTreeMap<String, KindEntry>,
}

#[derive(Serialize, Deserialize)]
struct KindEntry {
    /// The oldest first.
    jobs: Vec<JobEntry>,
    #[serde(default)]
    accounts: Vec<AccountEntry>,
}

/// Times are in seconds.
#[derive(Serialize, Deserialize)]
struct JobEntry {
    seconds: f64,
    /// Whether the job had not ended by then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    at_least: bool,
}

#[derive(Serialize, Deserialize)]
struct AccountEntry {
    poll_cost: f64,
    saved: f64,
    /// None for no ceiling.
    ceiling: Option<f64>,
}

impl History {
    /// Reads a history from a file. One that does not exist, or holds nothing, is an empty history.
    ///
    /// It blocks the thread while it reads.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is damaged, of a later version, or not a history at all.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HistoryError> {
        let path = path.as_ref();
        read(path).map_err(|problem| HistoryError { path: path.to_owned(), problem })
    }

    /// Appends this history to that in a file, which is made if it does not exist. Its folder must exist.
    ///
    /// Any number of processes may do so at once, and read meanwhile: a lock file beside it, of the same name and `.lock`,
    /// keeps writers apart, and the file is replaced as a whole. On Unix both are made with mode 0600, whatever mode
    /// the file had. A symbolic link is followed, and stays. It blocks the thread, for up to three seconds while other
    /// processes write.
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
}

fn read(path: &Path) -> Result<History, Problem> {
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

fn parse(text: &[u8]) -> Result<History, Problem> {
    let damaged = |error: serde_json::Error| {
        // A file that was cut still begins as a history does.
        let is_ours = String::from_utf8_lossy(text).contains(FORMAT);
        if is_ours { Problem::Damaged(error) } else { Problem::Foreign(Some(error)) }
    };
    let head: Head = serde_json::from_slice(text).map_err(damaged)?;
    if head.format != FORMAT {
        return Err(Problem::Foreign(None));
    }
    if head.version != VERSION {
        return Err(Problem::Version(head.version));
    }
    let document: Document = serde_json::from_slice(text).map_err(damaged)?;
    let mut history = History::new();
    for (kind, entry) in document.kinds {
        let mut past = Past::default();
        for job in entry.jobs {
            let duration = duration(job.seconds)?;
            let sample =
                if job.at_least { Sample::at_least(duration) } else { Sample::ended(duration) };
            past.samples.push_back(sample);
        }
        past.forget_old();
        for account in entry.accounts {
            let price = duration(account.poll_cost)?;
            let ceiling = account.ceiling.unwrap_or(f64::INFINITY);
            past.savings.insert(
                price.as_nanos().try_into().unwrap_or(u64::MAX),
                Savings { sum: bounded(account.saved), ceiling },
            );
        }
        history.kinds.insert(kind, past);
    }
    Ok(history)
}

fn duration(seconds: f64) -> Result<Duration, Problem> {
    let valid = Some(seconds).filter(|seconds| (0.0..=LONGEST).contains(seconds));
    let duration = valid.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or(Problem::Number(seconds))
}

/// Keeps an amount in seconds within what a file can hold.
fn bounded(seconds: f64) -> f64 {
    if seconds.is_nan() { 0.0 } else { seconds.clamp(-LONGEST, LONGEST) }
}

/// Follows symbolic links to a file, which need not exist. A rename to the link would replace it, and leave its file without
/// what is learnt.
fn follow(path: &Path) -> Result<PathBuf, Problem> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        // What is no link, or cannot be read, is for the caller to open.
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(Problem::Write(io::Error::other("too many symbolic links")))
}

fn append(newer: History, path: &Path) -> Result<(), Problem> {
    let path = &*follow(path)?;
    // A rename would replace a device, such as /dev/null, and to open a pipe may last for ever.
    if fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir()) {
        return Err(Problem::Special);
    }
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let lock = beside(".lock");
    // Opening a named pipe would wait for its reader.
    if fs::metadata(&lock).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Problem::Write(io::Error::other("its lock is not a regular file")));
    }
    let lock = private().create(true).truncate(false).open(lock).map_err(Problem::Write)?;
    acquire(&lock)?;
    let mut history = read(path)?;
    history.append(newer);
    let text = text(history)?;
    let new = beside(".new");
    let write = || {
        // One that a process left behind when it died may have another mode, or be a link.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().create_new(true).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    // The lock goes with its file.
    write().map_err(Problem::Write)
}

/// Returns the options for files that are written, which only their user can read or write.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Takes the lock, which its holder frees within milliseconds, and the system when the holder dies.
#[expect(clippy::disallowed_methods, reason = "this blocks, as all of file input and output does")]
fn acquire(lock: &File) -> Result<(), Problem> {
    let mut waited = Duration::ZERO;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(Problem::Write(error)),
            Err(TryLockError::WouldBlock) if waited >= PATIENCE => return Err(Problem::Busy),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(RETRY);
                waited += RETRY;
            }
        }
    }
}

/// Returns the text of a history, which is one that can be read again.
fn text(history: History) -> Result<Vec<u8>, Problem> {
    let mut document = document(history);
    let mut kept = KEPT;
    loop {
        let text = serde_json::to_vec(&document).map_err(|error| Problem::Write(error.into()))?;
        if text.len() as u64 <= LARGEST {
            return Ok(text);
        }
        kept /= 2;
        if kept == 0 {
            return Err(Problem::TooMuch);
        }
        for KindEntry { jobs, .. } in document.kinds.values_mut() {
            jobs.drain(..jobs.len().saturating_sub(kept));
        }
    }
}

fn document(history: History) -> Document {
    let entry = |past: Past| KindEntry {
        jobs: past
            .samples
            .into_iter()
            .map(|sample| JobEntry {
                seconds: sample.duration().as_secs_f64().min(LONGEST),
                at_least: sample.is_at_least(),
            })
            .collect(),
        accounts: past
            .savings
            .into_iter()
            .map(|(price, savings)| AccountEntry {
                poll_cost: Duration::from_nanos(price).as_secs_f64(),
                saved: bounded(savings.sum),
                ceiling: Some(savings.ceiling).filter(|ceiling| *ceiling < LONGEST).map(bounded),
            })
            .collect(),
    };
    let kinds = history.kinds.into_iter().map(|(kind, past)| (kind, entry(past))).collect();
    Document { format: FORMAT.to_owned(), version: VERSION, kinds }
}

/// Parses the text of a file, and writes what it holds.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_and_write(text: &[u8]) -> Option<(History, Vec<u8>)> {
    let history = parse(text).ok()?;
    let written = serde_json::to_vec(&document(history.clone())).ok()?;
    Some((history, written))
}

#[cfg(test)]
mod tests;

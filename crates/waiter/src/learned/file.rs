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
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use self::access::{Locked, check_folder, check_name, check_regular, follow};
use super::estimator::KEPT;
use super::history::{History, Past, Sample, Savings};
use crate::util::chain::error_chain;

mod access;

const FORMAT: &str = "cfw-waiter history";
const VERSION: u32 = 1;
/// Thousands of kinds fit in.
const LARGEST: u64 = 16 << 20;
/// The longest duration that is believed, in seconds: thirty years.
const LONGEST: f64 = 1e9;
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

/// What tells a history from other files.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Head {
    format: String,
    /// Some programs write whole numbers with a point.
    version: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct Document {
    #[serde(skip_deserializing)]
    format: &'static str,
    #[serde(skip_deserializing)]
    version: u32,
    #[serde(deserialize_with = "once_each")]
    kinds: BTreeMap<String, KindEntry>,
}

/// Reads the kinds. Of two with one name, as who merges files by hand may leave them, one would be lost.
fn once_each<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, KindEntry>, D::Error> {
    struct Kinds;

    impl<'de> Visitor<'de> for Kinds {
        type Value = BTreeMap<String, KindEntry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut kinds = BTreeMap::new();
            while let Some((kind, past)) = map.next_entry::<String, _>()? {
                if kinds.contains_key(&kind) {
                    return Err(A::Error::custom(format_args!("two kinds are named {kind:?}")));
                }
                kinds.insert(kind, past);
            }
            Ok(kinds)
        }
    }

    deserializer.deserialize_map(Kinds)
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct KindEntry {
    /// The oldest first.
    jobs: Vec<JobEntry>,
    #[serde(default)]
    accounts: Vec<AccountEntry>,
}

/// Times are in seconds.
#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct JobEntry {
    seconds: f64,
    /// Whether the job had not ended by then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    at_least: bool,
    /// Versions of this crate that do not know it leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobHash>,
}

/// Which job it was, in hexadecimal: programs that read numbers of JSON may keep only 53 bits.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct JobHash(NonZeroU64);

impl TryFrom<String> for JobHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let number = u64::from_str_radix(&text, 16).ok().and_then(NonZeroU64::new);
        number.map(Self).ok_or("not a hexadecimal number above zero")
    }
}

impl From<JobHash> for String {
    fn from(JobHash(number): JobHash) -> Self {
        format!("{number:016x}")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
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

fn parse(text: &[u8]) -> Result<History, Problem> {
    // Some programs begin a text in UTF-8 with a mark of its encoding.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let damaged = |error: serde_json::Error| {
        // A file that was cut still begins as a history does.
        let is_ours = String::from_utf8_lossy(text).contains(FORMAT);
        if is_ours { Problem::Damaged(error) } else { Problem::Foreign(Some(error)) }
    };
    let head: Head = serde_json::from_slice(text).map_err(damaged)?;
    if head.format != FORMAT {
        return Err(Problem::Foreign(None));
    }
    if head.version != f64::from(VERSION) {
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
            past.samples.add(sample.of_job(job.job.map(|JobHash(job)| job)));
        }
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
            .iter()
            .map(|sample| JobEntry {
                seconds: sample.duration().as_secs_f64().min(LONGEST),
                at_least: sample.is_at_least(),
                job: sample.job().map(JobHash),
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
    Document { format: FORMAT, version: VERSION, kinds }
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

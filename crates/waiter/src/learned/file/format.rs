//! The format of the file: JSON, versioned.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{LARGEST, Problem};
use crate::learned::estimator::KEPT;
use crate::learned::history::{History, Past, Sample, Savings};

pub(super) const FORMAT: &str = "cfw-waiter history";
pub(super) const VERSION: u32 = 1;
/// The longest duration that is believed, in seconds: thirty years.
pub(super) const LONGEST: f64 = 1e9;

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

/// Reads the text of a history.
pub(super) fn parse(text: &[u8]) -> Result<History, Problem> {
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

/// Returns the text of a history, which is one that can be read again.
pub(super) fn text(history: History) -> Result<Vec<u8>, Problem> {
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

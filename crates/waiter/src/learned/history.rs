//! Durations of past jobs by kind, and what their schedules have saved: what a process leaves to the next one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use super::Account;
use super::estimator::KEPT;

/// The bits of a mark that tell the time.
const SECONDS: u64 = (1 << 24) - 1;
/// How far the times of one job may be apart, in seconds: some servers round them, or tell them by several clocks.
const SAME: u64 = 5;

/// How long one past job took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    duration: Duration,
    is_censored: bool,
    /// Which job it was, as a hash, if that is known.
    job: Option<NonZeroU64>,
}

impl Sample {
    /// Makes the sample of a job that took this long.
    pub fn ended(duration: Duration) -> Self {
        Self { duration, is_censored: false, job: None }
    }

    /// Makes the sample of a job that had not ended after this long, when the wait for it did.
    pub fn at_least(duration: Duration) -> Self {
        Self { duration, is_censored: true, job: None }
    }

    /// Returns how long the job took, or how long it took at least.
    pub fn duration(self) -> Duration {
        self.duration
    }

    /// Returns whether only a lower bound of the duration is known.
    pub fn is_at_least(self) -> bool {
        self.is_censored
    }

    /// Sets which job it was, as a hash: of the samples of one job, one counts.
    #[must_use]
    pub(crate) fn of_job(self, job: Option<NonZeroU64>) -> Self {
        Self { job, ..self }
    }

    #[cfg(feature = "history")]
    pub(super) fn job(self) -> Option<NonZeroU64> {
        self.job
    }
}

/// What is known of past jobs, by kind. Of each kind the newest 256 count.
///
/// A job whose begin the server tells counts once, however often it is waited for: its waiters know it by a hash of its id and
/// its begin, which may differ by 5 seconds from one answer to another. If it had not ended when a wait for it did, what a later wait learns replaces that.
///
/// A waiter with a [learned schedule](crate::Schedule::learned) begins with the history that
/// [`WaiterBuilder::history`](crate::WaiterBuilder::history) gives it, and hands out what it has learnt since by
/// [`Waiter::take_learned`](crate::Waiter::take_learned).
///
/// ```
/// use cfw_waiter::{History, Sample};
/// use std::time::Duration;
///
/// let mut history = History::new();
/// history.record("create-firewall", Sample::ended(Duration::from_secs(212)));
/// assert_eq!(history.samples("create-firewall").count(), 1);
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct History {
    pub(super) kinds: BTreeMap<String, Past>,
}

/// The past jobs of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Past {
    pub(super) samples: Samples,
    /// By the price of a poll, in nanoseconds.
    pub(super) savings: BTreeMap<u64, Savings>,
}

/// The newest past jobs of a kind, the oldest first. Invariant: at most [`KEPT`], and none of them twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Samples(VecDeque<Sample>);

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    New,
    /// It replaces what was known of a job that had not ended: how long that had run at least.
    InPlaceOf(Duration),
    /// It says no more than is known of its job, and was left out.
    Known,
}

/// What some jobs in a row do to an account: it grows by a sum, as far as a ceiling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Savings {
    pub(super) sum: f64,
    pub(super) ceiling: f64,
}

impl Savings {
    pub(crate) const NONE: Self = Self { sum: 0.0, ceiling: f64::INFINITY };

    /// Returns what these jobs and then the `later` ones do.
    pub(crate) fn then(self, later: Self) -> Self {
        let ceiling = later.ceiling.min(self.ceiling + later.sum);
        Self { sum: self.sum + later.sum, ceiling }
    }

    /// Returns what one job does to an account with this cap.
    pub(crate) fn of(gain: f64, account: &Account) -> Self {
        Self { sum: gain, ceiling: account.cap() }
    }

    /// Returns a new account after these jobs.
    pub(crate) fn account(self, price: f64) -> Account {
        let mut account = Account::new(price);
        account.set_balance((account.balance() + self.sum).min(self.ceiling));
        account
    }
}

impl History {
    /// Makes an empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a past job, the newest of its kind.
    pub fn record(&mut self, kind: impl Into<String>, sample: Sample) {
        let past = self.kinds.entry(kind.into()).or_default();
        past.samples.add(sample);
    }

    /// Adds what another history holds, as newer: what [`Waiter::take_learned`](crate::Waiter::take_learned) returned, or the
    /// history of another machine.
    pub fn append(&mut self, newer: Self) {
        for (kind, newer) in newer.kinds {
            let past = self.kinds.entry(kind).or_default();
            newer.samples.iter().for_each(|sample| _ = past.samples.add(sample));
            for (price, savings) in newer.savings {
                let before = past.savings.entry(price).or_insert(Savings::NONE);
                *before = before.then(savings);
            }
        }
    }

    /// Returns whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Returns the kinds of which past jobs are known, in the order of their names.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Returns the past jobs of a kind, the oldest first.
    pub fn samples(&self, kind: &str) -> impl Iterator<Item = Sample> + '_ {
        self.kinds.get(kind).into_iter().flat_map(|past| past.samples.iter())
    }

    /// Adds what a job has saved.
    pub(crate) fn save(&mut self, kind: &str, price: Duration, savings: Savings) {
        let past = self.kinds.entry(kind.to_owned()).or_default();
        let before = past.savings.entry(to_key(price)).or_insert(Savings::NONE);
        *before = before.then(savings);
    }

    /// Returns what the jobs of a kind have done to the account of a price.
    pub(crate) fn savings(&self, kind: &str, price: Duration) -> Savings {
        let past = self.kinds.get(kind);
        past.and_then(|past| past.savings.get(&to_key(price))).copied().unwrap_or(Savings::NONE)
    }
}

impl Samples {
    /// Adds the newest sample.
    pub(super) fn add(&mut self, sample: Sample) -> Added {
        let known = sample.job.and_then(|job| {
            self.0.iter().position(|known| known.job.is_some_and(|known| is_same_job(known, job)))
        });
        let added = match known.map(|at| (at, self.0[at])) {
            None => Added::New,
            Some((_, known)) if !known.is_censored => return Added::Known,
            Some((_, known)) if sample.is_censored && sample.duration <= known.duration => {
                return Added::Known;
            }
            Some((at, known)) => {
                self.0.remove(at);
                Added::InPlaceOf(known.duration)
            }
        };
        self.0.push_back(sample);
        self.keep_newest(KEPT);
        added
    }

    /// Forgets all but the newest.
    pub(super) fn keep_newest(&mut self, kept: usize) {
        self.0.drain(..self.0.len().saturating_sub(kept));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Sample> + '_ {
        self.0.iter().copied()
    }
}

/// Returns the mark by which a job is known again: its upper bits are those of a hash of its id, and its lower ones the second
/// of a time that the server tells of it, shifted by the hash.
pub(crate) fn job_mark(hash: u64, seconds: i64) -> Option<NonZeroU64> {
    let second = hash.wrapping_add(seconds.cast_unsigned()) & SECONDS;
    NonZeroU64::new(hash & !SECONDS | second)
}

/// Returns whether two marks are of one job: of one id, and of times that differ by no more than a server's may.
fn is_same_job(a: NonZeroU64, b: NonZeroU64) -> bool {
    let (a, b) = (a.get(), b.get());
    let apart = a.wrapping_sub(b) & SECONDS;
    a & !SECONDS == b & !SECONDS && apart.min(SECONDS + 1 - apart) <= SAME
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.kinds.iter().map(|(kind, past)| (kind, past.samples.len()));
        f.debug_map().entries(counts).finish()
    }
}

fn to_key(price: Duration) -> u64 {
    u64::try_from(price.as_nanos()).unwrap_or(u64::MAX)
}

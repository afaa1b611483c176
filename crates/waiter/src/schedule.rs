//! When to poll next, as data: the core runs no user code.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::board::nanos;
use crate::learned::{Explanation, Kind as JobKind, Learned, Planned};
use crate::util::human::Setting;
use crate::{ConfigError, History};

/// The longest list of delays that [`Schedule::delays`] reads.
const MAX_DELAYS: usize = 1_000;

/// How the delays between the polls of one wait grow.
///
/// A schedule gives the delay after each answer. Jitter only shortens it,
/// so no delay exceeds the maximum and delays do not bunch there: the first delay is
/// multiplied by a number between 0.5 and 1, each later one by a number between 0.8 and 1.
///
/// The default is exponential: 1 s, then x1.5 up to 15 s. Cloud jobs end within seconds or within
/// minutes: this notices the short ones at once and asks about the long ones four times a minute.
///
/// ```
/// use cfw_waiter::Schedule;
/// use std::time::Duration;
///
/// let gentle = Schedule::exponential(Duration::from_secs(2), 1.5, Duration::from_secs(30))?;
/// let steady = Schedule::fixed(Duration::from_secs(10))?;
/// let by_hand = Schedule::delays([1, 1, 2, 5].map(Duration::from_secs))?;
/// # Ok::<(), cfw_waiter::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Exponential {
        first: Duration,
        factor: Factor,
        max: Duration,
    },
    Delays {
        /// Invariant: not empty.
        delays: Arc<[Duration]>,
        /// Whether no delay is shorter than the one before.
        never_shortens: bool,
    },
    /// As a user sets it.
    Learned(Arc<Learned>),
    /// As a wait keeps it: with the plan that was the newest when it began.
    Planned(SharedPlan),
}

/// A plan, equal to itself only: plans are compared for each wait, and hold thousands of numbers.
#[derive(Clone, Debug)]
struct SharedPlan(Arc<Planned>);

impl PartialEq for SharedPlan {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedPlan {}

impl std::hash::Hash for SharedPlan {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// A finite number of 1 or more, as bits: equal policies are found by their hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Factor(u64);

impl Factor {
    fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Schedule {
    /// Makes delays that grow from `first` by `factor` up to `max`.
    ///
    /// The growth follows the age of the wait, not a count of polls, so after an outage the delays
    /// are those of a wait that old: at age `a` the delay is `first + (factor - 1) * a`, which is
    /// what multiplying by `factor` each time comes to.
    ///
    /// # Errors
    ///
    /// If `first` is zero, `factor` is below 1 or not a number, or `max` is below `first`.
    pub fn exponential(first: Duration, factor: f64, max: Duration) -> Result<Self, ConfigError> {
        if first.is_zero() {
            return Err(ConfigError::new(
                "first delay",
                format!("{} is not above zero", Setting(first)),
            ));
        }
        if !(factor >= 1.0 && factor.is_finite()) {
            return Err(ConfigError::new(
                "factor",
                format!("{factor} is not a number of 1 or more"),
            ));
        }
        if max < first {
            let problem =
                format!("{} is shorter than first delay {}", Setting(max), Setting(first));
            return Err(ConfigError::new("max delay", problem));
        }
        Ok(Self(Kind::Exponential { first, factor: Factor(factor.to_bits()), max }))
    }

    /// Makes the same delay each time.
    ///
    /// # Errors
    ///
    /// If `interval` is zero.
    pub fn fixed(interval: Duration) -> Result<Self, ConfigError> {
        if interval.is_zero() {
            return Err(ConfigError::new(
                "interval",
                format!("{} is not above zero", Setting(interval)),
            ));
        }
        Ok(Self(Kind::Delays { delays: [interval].into(), never_shortens: true }))
    }

    /// Takes the delays of a list, such as a policy of the `backon` or `backoff` crate yields.
    ///
    /// The list is read once, here, and no further than its first 1,000 items, so an endless one
    /// will do. Its last delay repeats until the deadline.
    ///
    /// # Errors
    ///
    /// If the list is empty or one of its delays is zero.
    pub fn delays(delays: impl IntoIterator<Item = Duration>) -> Result<Self, ConfigError> {
        let delays: Arc<[Duration]> = delays.into_iter().take(MAX_DELAYS).collect();
        if delays.is_empty() {
            return Err(ConfigError::new("delays", "hold no delay: the list is empty"));
        }
        if let Some(at) = delays.iter().position(Duration::is_zero) {
            return Err(ConfigError::new(
                "delays",
                format!("hold 0s at index {at}, which is not above zero"),
            ));
        }
        let never_shortens = delays.is_sorted();
        Ok(Self(Kind::Delays { delays, never_shortens }))
    }

    /// Learns from past jobs when to poll: often where jobs of the kind tend to end, and seldom where they do not.
    ///
    /// One poll is worth some delay, 1 s unless set: from the durations of past jobs the waiter computes the polls for which
    /// polls x that price + delay is least. The durations are those that the server tells, if they can be right, else those
    /// observed: no job is believed to have run for more than a day before its wait began, or before
    /// [`since`](crate::Wait::since), nor for less time than it was seen running, unless the answers that saw it gave the same
    /// begin. After a long silence of the service only the age counts at which the job was last seen running, and so it does where
    /// the server says that the job began before the wait knows, and is not believed: a lower bound is learnt. Where the server
    /// tells no begin, the job began with its first wait, or as `since` says. A job whose
    /// begin or end the server tells is learnt once, however often it is waited for. Kinds of jobs, such as creating and deleting, are kept apart by [`Wait::kind`](crate::Wait::kind). A
    /// [`History`](crate::History) carries them from process to process.
    ///
    /// Jobs are learnt in the order of their ends. So of jobs that begin together the short ones come first, and estimates are
    /// too short until the long ones have ended.
    ///
    /// Regular jobs gain most, and jobs with several typical durations: a spread of 30 % and 20 past jobs halve the delay
    /// of the default schedule at the same number of requests. For jobs whose end cannot be foretold a fixed interval of the
    /// right length does as well.
    ///
    /// What the schedule can lose against its fallback is bounded: an account of what was saved
    /// has to cover the worst case of each plan, and the fallback is used where it does not. The account starts with a
    /// minute and ten polls, for each kind and price of a poll, and a tenth of what the fallback costs is never a loss. What is
    /// compared are the polls of all waits on a job, by their plans and by their fallbacks, without jitter: up to its end or,
    /// where they leave before, up to the last poll that saw it running. The end is the one that the server tells, if it can be
    /// right; of an end that is [reported](crate::Waiter::tell) without a time it is the report. Jobs that run at the same time may
    /// each lose what the account allows to one.
    ///
    /// Something is saved only with jobs of which a wait of the kind was there from the begin. A wait that
    /// begins later books what it loses from then on; one such loss may exceed the account, which is then in debt. Where neither
    /// the server nor an earlier poll tells when a job ended, it is taken to have ended when the plan loses most by that. Of the
    /// delay of waits that leave nothing is known, so none is booked, and none bounded: a wait
    /// that is always dropped before its plan's first poll notices no end.
    ///
    /// All waits on a job go by one age, that of the wait that knows of the oldest, and those of one kind with equal settings by one
    /// plan. Each kind learns the job. Waits with several kinds or prices of a poll, or some with other schedules or settings, share the polls:
    /// each account books the job while a wait with it is there, and what the polls change for the others after that is not
    /// bounded. So name one kind for a job to be polled by one plan. Of more than 16 waits on a job nothing is saved.
    ///
    /// Four jobs or more that are unlike those before, one after the other, may make a kind forget its past: the law has changed.
    ///
    /// Without any past job of the kind, the fallback counts. A wait begins with a poll about as early as the fallback's if the
    /// source has had no good answer in the last minute, so that a wrong id or key is noticed soon. After bad answers the
    /// fallback's delays count. Delays are jittered by 5 %.
    ///
    /// Where a rate or the limit of requests in flight holds polls back, those of learned schedules are made in the order of
    /// what they are worth: how likely the job has ended since it was last seen, and how long ago, in prices of a poll. A
    /// job that was not polled for its [longest interval](Learned::max_interval) goes before these, and other schedules get
    /// as many of the polls as if all were made in the order in which they became due.
    ///
    /// # Errors
    ///
    /// If the price of a poll is below 1 ms or above a day, the fallback learns as well, or the longest interval is below
    /// the fallback's shortest delay.
    pub fn learned(settings: Learned) -> Result<Self, ConfigError> {
        Ok(Self(Kind::Learned(Arc::new(settings.checked()?))))
    }

    /// Explains when this schedule would poll a job of a kind now, and what it expects of that.
    ///
    /// `min_interval` is that of the waiter ([`WaiterBuilder::min_interval`](crate::WaiterBuilder::min_interval)). None if the
    /// schedule does not learn, or the history has no past job of the kind.
    ///
    /// ```
    /// use cfw_waiter::{History, Learned, Sample, Schedule};
    /// use std::time::Duration;
    ///
    /// let mut history = History::new();
    /// for seconds in [95, 100, 104, 108, 110] {
    ///     history.record("create-firewall", Sample::ended(Duration::from_secs(seconds)));
    /// }
    /// let schedule = Schedule::learned(Learned::new())?;
    /// let min_interval = Duration::from_millis(500);
    /// let explanation = schedule.explain(&history, "create-firewall", min_interval);
    /// let explanation = explanation.expect("five past jobs are known");
    /// assert!(explanation.polls.len() < explanation.fallback_polls.len());
    /// println!("first polls at {:?}", &explanation.polls[..3]);
    /// # Ok::<(), cfw_waiter::ConfigError>(())
    /// ```
    pub fn explain(
        &self,
        history: &History,
        kind: &str,
        min_interval: Duration,
    ) -> Option<Explanation> {
        let settings = self.settings()?;
        history.samples(kind).next()?;
        Some(JobKind::new(kind, history).explain(settings, min_interval, history))
    }

    /// Returns the settings of a schedule that learns and has no plan yet.
    pub(crate) fn settings(&self) -> Option<&Arc<Learned>> {
        match &self.0 {
            Kind::Learned(settings) => Some(settings),
            _ => None,
        }
    }

    /// Returns whether it learns from past jobs.
    pub(crate) fn is_learned(&self) -> bool {
        matches!(self.0, Kind::Learned(_) | Kind::Planned(_))
    }

    /// Makes the schedule of a wait that keeps to a plan.
    pub(crate) fn planned(plan: Arc<Planned>) -> Self {
        Self(Kind::Planned(SharedPlan(plan)))
    }

    /// Returns the plan, if it has one.
    pub(crate) fn plan(&self) -> Option<&Arc<Planned>> {
        match &self.0 {
            Kind::Planned(plan) => Some(&plan.0),
            _ => None,
        }
    }

    /// Returns the delay at an age, both in seconds, after `n` delays, without jitter.
    pub(crate) fn delay_secs(&self, age: f64, n: u32) -> f64 {
        self.delay(to_nanos(age * 1e9), n) as f64 / 1e9
    }

    /// Returns after how long a job of this age is polled next, after `n` delays of its wait, in nanoseconds.
    ///
    /// `skipped` is how many delays had passed when the wait began. `u` in [0, 1) is the jitter.
    pub(crate) fn next_delay(&self, age: u64, n: u32, skipped: u32, u: f64) -> u64 {
        let factor = if n == 0 { 1.0 - 0.5 * u } else { 1.0 - 0.2 * u };
        let delay = self.delay(age, n.saturating_add(skipped));
        to_nanos(delay as f64 * factor).min(delay)
    }

    /// Returns how many delays of a list have passed at this age.
    pub(crate) fn delays_until(&self, age: Duration) -> u32 {
        let delays = match &self.0 {
            Kind::Exponential { .. } => return 0,
            Kind::Delays { delays, .. } => delays,
            Kind::Learned(settings) => return settings.get_fallback().delays_until(age),
            Kind::Planned(plan) => return plan.0.settings.get_fallback().delays_until(age),
        };
        let ends = delays.iter().scan(Duration::ZERO, |end, delay| {
            *end = end.saturating_add(*delay);
            Some(*end)
        });
        u32::try_from(ends.take_while(|end| *end <= age).count()).unwrap_or(u32::MAX)
    }

    /// Returns the delay before jitter, in nanoseconds.
    fn delay(&self, age: u64, n: u32) -> u64 {
        match &self.0 {
            Kind::Exponential { first, factor, max } => {
                let (first, max) = (nanos(*first), nanos(*max));
                let grown = first as f64 + (factor.get() - 1.0) * age as f64;
                to_nanos(grown).min(max)
            }
            Kind::Delays { delays, .. } => {
                let last = delays.len() - 1;
                let at = usize::try_from(n).map_or(last, |n| n.min(last));
                delays.get(at).map_or(u64::MAX, |delay| nanos(*delay))
            }
            Kind::Learned(settings) => settings.get_fallback().delay(age, n),
            Kind::Planned(plan) => plan.0.settings.get_fallback().delay(age, n),
        }
    }

    /// Returns the shortest delay before jitter.
    pub(crate) fn shortest(&self) -> Duration {
        match &self.0 {
            Kind::Exponential { first, .. } => *first,
            Kind::Delays { delays, .. } => delays.iter().copied().min().unwrap_or(Duration::MAX),
            Kind::Learned(settings) => settings.get_fallback().shortest(),
            Kind::Planned(plan) => plan.0.settings.get_fallback().shortest(),
        }
    }

    /// Returns the longest delay before jitter.
    pub(crate) fn longest(&self) -> Duration {
        match &self.0 {
            Kind::Exponential { max, .. } => *max,
            Kind::Delays { delays, .. } => delays.iter().copied().max().unwrap_or(Duration::MAX),
            Kind::Learned(settings) => settings.get_fallback().longest(),
            Kind::Planned(plan) => plan.0.settings.get_fallback().longest(),
        }
    }

    /// Returns whether a wait that has had an answer never asks for a shorter delay as it grows older.
    pub(crate) fn never_shortens(&self) -> bool {
        match &self.0 {
            Kind::Exponential { .. } => true,
            Kind::Delays { never_shortens, .. } => *never_shortens,
            Kind::Learned(_) | Kind::Planned(_) => false,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self(Kind::Exponential {
            first: Duration::from_secs(1),
            factor: Factor(1.5_f64.to_bits()),
            max: Duration::from_secs(15),
        })
    }
}

/// Returns whole nanoseconds, saturated. A float holds them exactly up to 104 days.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "such a cast saturates, which is what is wanted of delays"
)]
pub(crate) fn to_nanos(nanos: f64) -> u64 {
    nanos as u64
}

/// Returns `delay` times a factor in [0, 1]; the delay itself where a float cannot hold it.
pub(crate) fn mul_f64_saturating(delay: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor).map_or(delay, |d| d.min(delay))
}

#[cfg(test)]
mod tests;

//! What a user sets of a schedule that learns.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Leash;
use crate::util::human::Setting;
use crate::{ConfigError, Schedule};

/// The settings of a schedule that learns from past jobs: see [`Schedule::learned`].
///
/// ```
/// use cfw_waiter::{Learned, Policy, Schedule};
/// use std::time::Duration;
///
/// // A request is worth two seconds of delay, and no job stays unasked for longer than a minute.
/// let learned = Learned::new()
///     .poll_cost(Duration::from_secs(2))
///     .max_interval(Duration::from_secs(60));
/// let policy = Policy::new().schedule(Schedule::learned(learned)?);
/// # Ok::<(), cfw_waiter::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Learned {
    poll_cost: Duration,
    fallback: Arc<Schedule>,
    max_interval: Duration,
    leash: (Duration, Part),
}

/// How long a delay may be whatever the age of the job.
const DEFAULT_LEASH: Duration = Duration::from_secs(300);

/// A finite number of 0 or more, as bits: equal policies are found by their hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Part(u64);

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from_bits(self.0).fmt(f)
    }
}

impl Learned {
    /// Makes settings of the defaults: see each setter.
    pub fn new() -> Self {
        Self {
            poll_cost: Duration::from_secs(1),
            fallback: Arc::default(),
            max_interval: Duration::from_secs(300),
            leash: (DEFAULT_LEASH, Part(0.5_f64.to_bits())),
        }
    }

    /// Sets what one poll is worth: after how much delay in noticing the end of a job you would rather have made one more.
    /// Default: 1 s.
    ///
    /// Twice the price means about 0.7 times the polls.
    #[must_use]
    pub fn poll_cost(mut self, delay: Duration) -> Self {
        self.poll_cost = delay;
        self
    }

    /// Sets the schedule to fall back to where nothing can be foretold: without past jobs, after bad answers, for jobs older
    /// than a day, and when what was learnt has proved wrong. It is also what the learned schedule is measured against. Default:
    /// [`Schedule::default`].
    #[must_use]
    pub fn fallback(mut self, schedule: Schedule) -> Self {
        self.fallback = Arc::new(schedule);
        self
    }

    /// Sets the longest delay between two polls. Default: 5 minutes.
    #[must_use]
    pub fn max_interval(mut self, interval: Duration) -> Self {
        self.max_interval = interval;
        self
    }

    /// Sets how sparse polls may become where past jobs say that none is needed: no delay exceeds the larger of `interval` and
    /// this part of the job's age, nor [`max_interval`](Self::max_interval). Default: 5 minutes, and half of the age.
    ///
    /// What was learnt is wrong for a job of another sort, and the leash is the latest that its end is noticed. The waiter shortens it
    /// by itself where that could lose more than was saved; a shorter one costs polls that are not needed while past jobs tell
    /// the truth. `interval` is no shorter than the longest delay of the fallback, or 5 minutes.
    #[must_use]
    pub fn leash(mut self, interval: Duration, part_of_age: f64) -> Self {
        // Zero has two forms.
        self.leash = (interval, Part((part_of_age + 0.0).to_bits()));
        self
    }

    /// Returns what one poll is worth.
    pub fn get_poll_cost(&self) -> Duration {
        self.poll_cost
    }

    /// Returns the schedule to fall back to.
    pub fn get_fallback(&self) -> &Schedule {
        &self.fallback
    }

    /// Returns the longest delay between two polls.
    pub fn get_max_interval(&self) -> Duration {
        self.max_interval
    }

    /// Returns how sparse polls may become: a delay, and a part of the job's age.
    pub fn get_leash(&self) -> (Duration, f64) {
        let (interval, Part(bits)) = self.leash;
        (interval, f64::from_bits(bits))
    }

    pub(crate) fn longest_leash(&self) -> Leash {
        let (interval, relative) = self.get_leash();
        Leash { absolute: interval.as_secs_f64(), relative }
    }

    /// Returns these settings if they can be.
    pub(crate) fn checked(self) -> Result<Self, ConfigError> {
        let (shortest, longest) = (Duration::from_millis(1), Duration::from_secs(86_400));
        if !(shortest..=longest).contains(&self.poll_cost) {
            let problem =
                format!("{} is not between {shortest:?} and {longest:?}", Setting(self.poll_cost));
            return Err(ConfigError::new("poll cost", problem));
        }
        if self.max_interval < self.fallback.shortest() {
            let problem = format!(
                "{:?} is shorter than {:?}, the shortest delay of the fallback",
                self.max_interval,
                self.fallback.shortest()
            );
            return Err(ConfigError::new("max interval", problem));
        }
        let (leash, part_of_age) = self.get_leash();
        // A plan on such a leash polls more often than the fallback at any age, so the account rarely allows it.
        if leash < self.fallback.longest().min(DEFAULT_LEASH) {
            let problem = format!(
                "{leash:?} is shorter than {:?}, the longest delay of the fallback",
                self.fallback.longest()
            );
            return Err(ConfigError::new("leash", problem));
        }
        if !(part_of_age >= 0.0 && part_of_age.is_finite()) {
            let problem = format!("{part_of_age} of the age is not a number of 0 or more");
            return Err(ConfigError::new("leash", problem));
        }
        if self.fallback.is_learned() {
            return Err(ConfigError::new("fallback", "is a schedule that learns, too"));
        }
        Ok(self)
    }

    /// Returns the price of a poll, in seconds.
    pub(crate) fn price(&self) -> f64 {
        self.poll_cost.as_secs_f64()
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self::new()
    }
}

//! What a user sets of a schedule that learns.

use std::sync::Arc;
use std::time::Duration;

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
}

impl Learned {
    /// Makes settings of the defaults: see each setter.
    pub fn new() -> Self {
        Self {
            poll_cost: Duration::from_secs(1),
            fallback: Arc::default(),
            max_interval: Duration::from_secs(300),
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

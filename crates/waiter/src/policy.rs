//! How one wait is judged: when to poll, when to give up, what to do about unknown statuses.

use std::time::Duration;

use crate::Schedule;

/// How a wait behaves. Setters cannot fail: what can be wrong is checked where it is made, in
/// [`Schedule`].
///
/// ```
/// use cfw_waiter::{Policy, Schedule};
/// use std::time::Duration;
///
/// let policy = Policy::new()
///     .schedule(Schedule::fixed(Duration::from_secs(5))?)
///     .timeout(Duration::from_secs(600))
///     .failures_in_a_row(20);
/// # Ok::<(), cfw_waiter::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    pub(crate) schedule: Schedule,
    pub(crate) timeout: Duration,
    pub(crate) not_found_grace: Duration,
    pub(crate) unknown: UnknownStatus,
    pub(crate) in_a_row: u32,
    pub(crate) in_total: u32,
    pub(crate) give_up_unreached: Option<Duration>,
    pub(crate) first_poll_at_once: bool,
}

/// What a wait does about a status that its source does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownStatus {
    /// Report it, and wait on until the deadline: a service may add statuses at any time.
    #[default]
    WaitOn,
    /// End the wait with [`WaitErrorKind::UnknownStatus`](crate::WaitErrorKind::UnknownStatus).
    Fail,
}

impl Policy {
    /// Makes a policy of the defaults: see each setter.
    pub fn new() -> Self {
        Self {
            schedule: Schedule::default(),
            timeout: Duration::from_secs(30 * 60),
            not_found_grace: Duration::from_secs(30),
            unknown: UnknownStatus::WaitOn,
            in_a_row: u32::MAX,
            in_total: u32::MAX,
            give_up_unreached: None,
            first_poll_at_once: false,
        }
    }

    /// Sets when to poll. Default: [`Schedule::default`].
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets how long the wait may take, from its first poll as a future on. Default: 30 minutes, since
    /// firewall jobs take about five.
    ///
    /// Zero ends the wait at once without a request; [`Duration::MAX`] means no deadline, in effect.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long the service may not know the job before it counts as lost. Default: 30 s.
    ///
    /// Some services show a job only seconds after they named it. A job is lost after three answers
    /// in a row that span this time, so zero means: at the third.
    #[must_use]
    pub fn not_found_grace(mut self, grace: Duration) -> Self {
        self.not_found_grace = grace;
        self
    }

    /// Sets what to do about an unknown status. Default: report it and wait on.
    #[must_use]
    pub fn unknown_status(mut self, unknown: UnknownStatus) -> Self {
        self.unknown = unknown;
        self
    }

    /// Sets after how many transient failures in a row the wait ends. Default: no limit.
    ///
    /// Throttled and not-found answers are no failures in this sense. Zero counts as one.
    #[must_use]
    pub fn failures_in_a_row(mut self, limit: u32) -> Self {
        self.in_a_row = limit.max(1);
        self
    }

    /// Sets after how many transient failures in total the wait ends. Default: no limit.
    ///
    /// Throttled and not-found answers are no failures in this sense. Zero counts as one.
    #[must_use]
    pub fn failures_in_total(mut self, limit: u32) -> Self {
        self.in_total = limit.max(1);
        self
    }

    /// Sets after how long the wait ends if the source was never reached: not one answer of any kind, good or bad, came to
    /// any poll of the waiter. Default: never.
    ///
    /// What ends so is mostly not going to pass: a host name with a typing error, a port on which nothing listens, a proxy
    /// that lets nothing through. After one answer an outage is waited out, whatever this is. The time counts from the
    /// beginning of the wait, and at least one attempt has failed since; zero means: at the first failure. After a
    /// suspension of the machine an attempt that was made since must have failed. The wait ends as
    /// [`Unreachable`](crate::WaitErrorKind::Unreachable).
    #[must_use]
    pub fn give_up_unreached(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.give_up_unreached = after.into();
        self
    }

    /// Sets whether the first poll comes at once rather than after the schedule's first delay. Default: false.
    ///
    /// The schedule's delays then follow the first answer. Pauses, the rate and the minimum interval hold all the same.
    /// By default the first poll waits: a job that was created a moment ago is running, if the service knows it already, so
    /// a poll at once costs one request for each wait and learns nothing. Set it for jobs that may have ended before
    /// the wait begins.
    #[must_use]
    pub fn first_poll_at_once(mut self, at_once: bool) -> Self {
        self.first_poll_at_once = at_once;
        self
    }
}

/// The settings.
impl Policy {
    /// Returns how long the wait may take.
    pub fn get_timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns when to poll.
    pub fn get_schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns how long the service may not know the job before it counts as lost.
    pub fn get_not_found_grace(&self) -> Duration {
        self.not_found_grace
    }

    /// Returns what to do about an unknown status.
    pub fn get_unknown_status(&self) -> UnknownStatus {
        self.unknown
    }

    /// Returns after how many transient failures in a row the wait ends; none for no limit.
    pub fn get_failures_in_a_row(&self) -> Option<u32> {
        Some(self.in_a_row).filter(|&limit| limit != u32::MAX)
    }

    /// Returns after how many transient failures in total the wait ends; none for no limit.
    pub fn get_failures_in_total(&self) -> Option<u32> {
        Some(self.in_total).filter(|&limit| limit != u32::MAX)
    }

    /// Returns after how long the wait ends if the source was never reached; none for never.
    pub fn get_give_up_unreached(&self) -> Option<Duration> {
        self.give_up_unreached
    }

    /// Returns whether the first poll comes at once.
    pub fn get_first_poll_at_once(&self) -> bool {
        self.first_poll_at_once
    }

    pub(crate) fn limits_failures(&self) -> bool {
        self.in_a_row != u32::MAX || self.in_total != u32::MAX
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

//! The state of a job.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroI64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far a job is, as far as a waiter must distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Queued or running.
    Running,
    /// A status that the source does not know. It is not terminal: the wait goes on.
    Unknown,
    /// Ended well.
    Succeeded,
    /// Ended badly, cancelled included.
    Failed,
}

impl Phase {
    /// Returns whether the job has ended.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed => true,
            Self::Running | Self::Unknown => false,
        }
    }

    /// Returns the phase as a word for logs and metrics, in snake case. It never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Unknown => "unknown",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state of a job according to one answer.
///
/// ```
/// use cfw_waiter::{JobState, Phase};
///
/// let state = JobState::failed().with_status("FAIL").with_detail("no quota left");
/// assert_eq!(state.phase, Phase::Failed);
/// assert_eq!(state.status, "FAIL");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobState {
    /// How far the job is.
    pub phase: Phase,
    /// The status in the service's own words.
    pub status: Cow<'static, str>,
    /// When the job was created, by the server's clock.
    pub begin: Option<SystemTime>,
    /// When the job ended, by the server's clock.
    pub end: Option<SystemTime>,
    /// When the server gave this answer, by its own clock: with `end`, the detection lag.
    pub answered: Option<SystemTime>,
    /// What the service says about the job, such as why it failed.
    pub detail: Option<Arc<str>>,
}

impl JobState {
    /// Makes the state of a job under way, with the status `Running`.
    pub fn running() -> Self {
        Self::new(Phase::Running, "Running")
    }

    /// Makes the state of a job that ended well, with the status `Success`.
    pub fn succeeded() -> Self {
        Self::new(Phase::Succeeded, "Success")
    }

    /// Makes the state of a job that ended badly, with the status `Failed`.
    pub fn failed() -> Self {
        Self::new(Phase::Failed, "Failed")
    }

    /// Makes the state of a job with a status that the source does not know.
    pub fn unknown(status: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Phase::Unknown, status)
    }

    pub(crate) fn new(phase: Phase, status: impl Into<Cow<'static, str>>) -> Self {
        Self { phase, status: status.into(), begin: None, end: None, answered: None, detail: None }
    }

    /// Sets the status in the service's own words.
    #[must_use]
    pub fn with_status(mut self, status: impl Into<Cow<'static, str>>) -> Self {
        self.status = status.into();
        self
    }

    /// Sets when the job was created.
    #[must_use]
    pub fn with_begin(mut self, begin: impl Into<Option<SystemTime>>) -> Self {
        self.begin = begin.into();
        self
    }

    /// Sets when the job ended.
    #[must_use]
    pub fn with_end(mut self, end: impl Into<Option<SystemTime>>) -> Self {
        self.end = end.into();
        self
    }

    /// Sets when the server gave the answer.
    #[must_use]
    pub fn with_answered(mut self, answered: impl Into<Option<SystemTime>>) -> Self {
        self.answered = answered.into();
        self
    }

    /// Sets what the service says about the job.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Returns how long after the job's end the server answered so, by the server's clock.
    pub(crate) fn detection_lag(&self) -> Option<Duration> {
        // Servers give the time of an answer in whole seconds, so it can lie before the end.
        Some(self.answered?.duration_since(self.end?).unwrap_or_default())
    }
}

/// A server's time in eight bytes: nanoseconds from the Unix epoch, inverted, or none. The last nanosecond before the epoch
/// is left out, so that no time is all zeros: a slab then needs no tag for its vacant entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerTime(NonZeroI64);

impl ServerTime {
    pub(crate) const NONE: Self = Self(NonZeroI64::MIN);

    /// Returns whether this is a whole second, as the times of most HTTP headers are.
    pub(crate) fn is_whole_second(self) -> bool {
        self != Self::NONE && !self.0.get() % 1_000_000_000 == 0
    }

    /// Returns whole seconds from the Unix epoch, rounded down; none if there is no time.
    pub(crate) fn seconds(self) -> Option<i64> {
        (self != Self::NONE).then(|| (!self.0.get()).div_euclid(1_000_000_000))
    }

    /// Returns how long after `earlier` this is, in seconds, negative if it is before; none if one of them is none.
    pub(crate) fn secs_since(self, earlier: Self) -> Option<f64> {
        let are_known = self != Self::NONE && earlier != Self::NONE;
        // Inverted, so the order of the numbers is that of the times, backwards.
        are_known.then(|| earlier.0.get().saturating_sub(self.0.get()) as f64 / 1e9)
    }
}

/// A time that does not fit is none.
impl From<Option<SystemTime>> for ServerTime {
    fn from(time: Option<SystemTime>) -> Self {
        let nanos = time.and_then(|time| match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).ok(),
            Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanos| -nanos),
        });
        nanos.and_then(|nanos| NonZeroI64::new(!nanos)).map_or(Self::NONE, Self)
    }
}

impl From<ServerTime> for Option<SystemTime> {
    fn from(time: ServerTime) -> Self {
        if time == ServerTime::NONE {
            return None;
        }
        let nanos = !time.0.get();
        let since = Duration::from_nanos(nanos.unsigned_abs());
        if nanos >= 0 {
            SystemTime::UNIX_EPOCH.checked_add(since)
        } else {
            SystemTime::UNIX_EPOCH.checked_sub(since)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_packed_time_gives_back_its_time(nanos in prop_oneof![any::<i64>(), -3..3_i64]) {
            prop_assume!(nanos != -1 && nanos != i64::MAX && nanos != i64::MIN);
            let since = Duration::from_nanos(nanos.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            let time = if nanos < 0 { epoch - since } else { epoch + since };
            prop_assert_eq!(Option::from(ServerTime::from(Some(time))), Some(time));
        }
    }

    #[test]
    fn a_time_that_does_not_fit_is_none() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000_000);
        for time in [None, Some(far), Some(SystemTime::UNIX_EPOCH - Duration::from_nanos(1))] {
            assert_eq!(Option::<SystemTime>::from(ServerTime::from(time)), None, "{time:?}");
        }
    }

    #[test]
    fn a_lag_needs_both_times_and_is_never_negative() {
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let lag = |end, answered| {
            JobState::succeeded().with_end(end).with_answered(answered).detection_lag()
        };
        assert_eq!(lag(Some(at(5)), Some(at(7))), Some(Duration::from_secs(2)));
        assert_eq!(lag(Some(at(5)), Some(at(4))), Some(Duration::ZERO));
        assert_eq!((lag(None, Some(at(4))), lag(Some(at(5)), None)), (None, None));
    }
}

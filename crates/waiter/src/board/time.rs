//! The board's clock: time since the waiter's epoch, in eight bytes.

use std::time::Duration;

/// A moment, in nanoseconds since the epoch of the waiter. It saturates: 584 years hence is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(u64);

impl Time {
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn at(since_epoch: Duration) -> Self {
        Self(nanos(since_epoch))
    }

    pub(crate) fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(nanos(delay)))
    }

    pub(crate) fn after_nanos(self, delay: u64) -> Self {
        Self(self.0.saturating_add(delay))
    }

    /// Never stays never: what has no deadline has no last poll either.
    pub(crate) fn before(self, delay: Duration) -> Self {
        self.before_nanos(nanos(delay))
    }

    /// Zero if `earlier` is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same in nanoseconds.
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The same with the delay in nanoseconds, which costs each poll no conversion.
    pub(crate) fn before_nanos(self, delay: u64) -> Self {
        if self == Self::NEVER { self } else { Self(self.0.saturating_sub(delay)) }
    }

    /// None for never.
    pub(crate) fn some(self) -> Option<Self> {
        (self != Self::NEVER).then_some(self)
    }

    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

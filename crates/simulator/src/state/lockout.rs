//! Lockouts of accounts and keys.

use std::time::Duration;

/// Counts failures in a row, and locks an account or a key after too many.
#[derive(Debug, Default)]
pub(crate) struct Lockout {
    failures: u32,
    locked_until: Option<Duration>,
}

impl Lockout {
    pub(crate) fn is_locked(&self, now: Duration) -> bool {
        self.locked_until.is_some_and(|end| now < end)
    }

    /// Counts a failure. The `limit`th in a row locks for `period`.
    pub(crate) fn record_failure(&mut self, limit: u32, now: Duration, period: Duration) {
        self.failures += 1;
        if self.failures >= limit {
            *self = Self { failures: 0, locked_until: Some(now.saturating_add(period)) };
        }
    }

    pub(crate) fn record_success(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_last_allowed_failure_in_a_row_locks_for_the_period() {
        let mut lockout = Lockout::default();
        let fail = |lockout: &mut Lockout, at| lockout.record_failure(2, secs(at), secs(60));
        fail(&mut lockout, 0);
        lockout.record_success();
        fail(&mut lockout, 1);
        assert!(!lockout.is_locked(secs(1)));
        fail(&mut lockout, 2);
        assert_eq!([2, 61, 62].map(|at| lockout.is_locked(secs(at))), [true, true, false]);
        fail(&mut lockout, 62);
        assert!(!lockout.is_locked(secs(62)), "the count starts again after a lockout");
    }
}

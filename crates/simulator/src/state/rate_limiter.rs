//! The rate limit of the gateway.

use std::time::Duration;

use crate::model::route::Route;

/// The gateway's rate limit: a number of calls per window and API, refused calls included. A
/// window opens with the first call after the previous window has closed.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    calls: u32,
    per: Duration,
    /// The start of the current window of each API, and the calls in it.
    windows: Vec<(Route, Duration, u32)>,
}

impl RateLimiter {
    pub(crate) const fn new(calls: u32, per: Duration) -> Self {
        Self { calls, per, windows: Vec::new() }
    }

    pub(crate) fn allows(&mut self, route: Route, now: Duration) -> bool {
        let Some((_, opened, used)) = self.windows.iter_mut().find(|(other, ..)| *other == route)
        else {
            self.windows.push((route, now, 1));
            return self.calls > 0;
        };
        if now.saturating_sub(*opened) >= self.per {
            (*opened, *used) = (now, 0);
        }
        *used = used.saturating_add(1);
        *used <= self.calls
    }

    /// Returns text such as `limit:10,time:1 minute`. The time is left out unless it is whole
    /// seconds.
    pub(crate) fn quota(&self) -> String {
        const UNITS: [(u64, &str); 4] =
            [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
        let seconds = self.per.as_secs();
        let whole = seconds > 0 && self.per.subsec_nanos() == 0;
        match UNITS.iter().find(|(unit, _)| whole && seconds.is_multiple_of(*unit)) {
            Some((unit, name)) => format!("limit:{},time:{} {name}", self.calls, seconds / unit),
            None => format!("limit:{}", self.calls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_window_allows_its_calls_and_is_followed_by_another() {
        let mut limiter = RateLimiter::new(2, ms(100));
        let seen: Vec<_> = [5, 6, 7, 104, 105, 106, 107]
            .iter()
            .map(|at| limiter.allows(Route::ListJob, ms(*at)))
            .collect();
        assert_eq!(seen, [true, true, false, false, true, true, false]);
        assert!(limiter.allows(Route::DeleteFirewall, ms(107)), "the limit is per API");
    }

    #[test]
    fn the_quota_has_the_largest_whole_unit() {
        for (per, text) in [
            (ms(1000), "limit:9,time:1 second"),
            (ms(90_000), "limit:9,time:90 second"),
            (ms(300_000), "limit:9,time:5 minute"),
            (ms(7_200_000), "limit:9,time:2 hour"),
            (ms(86_400_000), "limit:9,time:1 day"),
            (ms(1500), "limit:9"),
            (ms(0), "limit:9"),
        ] {
            assert_eq!(RateLimiter::new(9, per).quota(), text);
        }
    }
}

//! The only file that reads a clock or sleeps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

/// Measures the time since the simulator started, and derives the server's wall clock from it.
///
/// The wall clock is read once, so that a jump of the machine's clock does not affect any job.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    wall_at_epoch: Duration,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the epoch of the simulator's clock is read here"
    )]
    pub(crate) fn start() -> Self {
        Self {
            epoch: Instant::now(),
            wall_at_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the simulator reads the time here only")]
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Returns the Unix time of `at` in milliseconds, by a correct clock.
    pub(crate) fn unix_millis(&self, at: Duration) -> i64 {
        i64::try_from((self.wall_at_epoch + at).as_millis()).unwrap_or(i64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulator sleeps here only")]
pub(crate) async fn sleep(duration: Duration) {
    // A zero sleep of tokio still takes up to a millisecond.
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn timestamp(unix_millis: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_millis).unwrap_or(Timestamp::MAX)
}

/// Formats as `2023-10-26T10:30:00+0800`, as in the manual's field table. This is not RFC 3339.
pub(crate) fn format_manual(unix_millis: i64) -> String {
    timestamp(unix_millis)
        .to_zoned_datetime(TimeZone::fixed(offset(8)))
        .strftime("%Y-%m-%dT%H:%M:%S%z")
        .to_string()
}

/// Formats as `2015-11-09T01:42:57.527000Z`, as IAM does.
pub(crate) fn format_iam(unix_millis: i64) -> String {
    timestamp(unix_millis).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Formats as `2021-07-21T06:53:00.431Z`, as ECS does.
pub(crate) fn format_ecs(unix_millis: i64) -> String {
    timestamp(unix_millis).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Formats as `20151109T014257Z`, as in `X-Sdk-Date`.
pub(crate) fn format_sdk_date(unix_millis: i64) -> String {
    timestamp(unix_millis).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Formats as `Thu, 26 Oct 2023 02:30:00 GMT`, as in the `Date` header.
pub(crate) fn format_http_date(unix_millis: i64) -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&timestamp(unix_millis)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_times_as_the_service_does() {
        assert_eq!(format_manual(1_698_287_400_000), "2023-10-26T10:30:00+0800");
        assert_eq!(format_iam(1_698_287_400_120), "2023-10-26T02:30:00.120000Z");
        assert_eq!(format_sdk_date(1_698_287_400_120), "20231026T023000Z");
        assert_eq!(format_http_date(1_698_287_400_999), "Thu, 26 Oct 2023 02:30:00 GMT");
    }
}

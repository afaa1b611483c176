//! The only file that reads a clock or sleeps: a server lives in real time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

/// Time since the simulator started, and the server's wall clock derived from it.
///
/// The wall clock is read once: a jump of the machine's clock then moves no job.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    wall_at_epoch: Duration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a server's clock starts somewhere: here")]
    pub(crate) fn start() -> Self {
        Self {
            epoch: Instant::now(),
            wall_at_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where the server reads the time")]
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The unix time, in milliseconds, that a correct clock showed at `at`.
    pub(crate) fn unix_millis(&self, at: Duration) -> i64 {
        i64::try_from((self.wall_at_epoch + at).as_millis()).unwrap_or(i64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "slow answers have to take their time somewhere")]
pub(crate) async fn pause(length: Duration) {
    if !length.is_zero() {
        tokio::time::sleep(length).await;
    }
}

fn timestamp(unix_millis: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_millis).unwrap_or(Timestamp::MAX)
}

/// `2023-10-26T10:30:00+0800`: the form in the manual's field table, which is not RFC 3339.
pub(crate) fn manual_text(unix_millis: i64) -> String {
    timestamp(unix_millis)
        .to_zoned_datetime(TimeZone::fixed(offset(8)))
        .strftime("%Y-%m-%dT%H:%M:%S%z")
        .to_string()
}

/// `2015-11-09T01:42:57.527000Z`: the form of IAM.
pub(crate) fn iso(unix_millis: i64) -> String {
    timestamp(unix_millis).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// `2021-07-21T06:53:00.431Z`: the form of ECS.
pub(crate) fn iso_millis(unix_millis: i64) -> String {
    timestamp(unix_millis).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `20151109T014257Z`: the form of `X-Sdk-Date`.
pub(crate) fn compact(unix_millis: i64) -> String {
    timestamp(unix_millis).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The form of the `Date` header.
pub(crate) fn http_date(unix_millis: i64) -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&timestamp(unix_millis)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_forms_of_the_service() {
        assert_eq!(manual_text(1_698_287_400_000), "2023-10-26T10:30:00+0800");
        assert_eq!(iso(1_698_287_400_120), "2023-10-26T02:30:00.120000Z");
        assert_eq!(compact(1_698_287_400_120), "20231026T023000Z");
        assert_eq!(http_date(1_698_287_400_999), "Thu, 26 Oct 2023 02:30:00 GMT");
    }
}

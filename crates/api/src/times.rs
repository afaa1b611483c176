//! Times as servers send them.

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, civil, fmt::rfc2822, tz::TimeZone};

/// The longest `Retry-After` that is believed: the longest throttling window that has been seen.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Numbers below this are seconds, others milliseconds. It is the year 5138 in seconds and March 1973 in
/// milliseconds.
const FIRST_MILLIS: f64 = 1e11;

/// Returns the time of a number since the epoch. Zero and less mean "not set".
pub(crate) fn from_number(number: f64) -> Option<SystemTime> {
    let millis = if number < FIRST_MILLIS { number * 1000.0 } else { number };
    // Servers send milliseconds at the finest.
    let millis = millis.round();
    if !(millis > 0.0 && millis < FIRST_MILLIS * 1000.0) {
        return None;
    }
    // A duration is exact, unlike a float.
    let since_epoch = Duration::try_from_secs_f64(millis).ok()? / 1000;
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

/// Returns the time of a text: a number, RFC 3339, or the same with `+0800` or without a zone (UTC). The epoch and times before
/// it mean "not set", such as Go's zero time, which is in year 1.
pub(crate) fn from_text(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if is_decimal(text) {
        return from_number(text.parse().ok()?);
    }
    let timestamp = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| TimeZone::UTC.to_timestamp(text.parse::<civil::DateTime>().ok()?).ok())?;
    SystemTime::try_from(timestamp).ok().filter(|time| *time > SystemTime::UNIX_EPOCH)
}

/// Returns the time of an HTTP date, such as a `Date` header, in any of the three forms of RFC 9110.
///
/// The weekday is not compared with the date, because it adds nothing.
pub(crate) fn from_http_date(text: &str) -> Option<SystemTime> {
    const PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let text = text.trim();
    let timestamp = PARSER.parse_timestamp(text).ok().or_else(|| from_obsolete_date(text))?;
    // A year can have a sign. No answer is older than the epoch.
    SystemTime::try_from(timestamp).ok().filter(|time| *time >= SystemTime::UNIX_EPOCH)
}

/// Reads `Wednesday, 05-Jan-22 08:15:31 GMT` (RFC 850) and `Wed Jan  5 08:15:31 2022` (asctime), which is in UTC, too.
fn from_obsolete_date(text: &str) -> Option<Timestamp> {
    let (weekday, rest) = text.split_once(' ')?;
    let civil = if weekday.ends_with(',') {
        civil::DateTime::strptime("%d-%b-%y %H:%M:%S GMT", rest)
            .or_else(|_| civil::DateTime::strptime("%d-%b-%Y %H:%M:%S GMT", rest))
    } else {
        civil::DateTime::strptime("%b %e %H:%M:%S %Y", rest.trim_start())
    };
    TimeZone::UTC.to_timestamp(civil.ok()?).ok()
}

/// Returns the time of a compact UTC time such as `20260528T094410Z`, the form of `X-Sdk-Date`.
pub(crate) fn from_compact(text: &str) -> Option<SystemTime> {
    let civil = civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    SystemTime::try_from(TimeZone::UTC.to_timestamp(civil).ok()?).ok()
}

/// Returns the pause of a `Retry-After` header: seconds, whole or not, or an HTTP date, which is relative to the
/// answer's own `Date` (`answered`) if there is one, else to `now`.
///
/// Returns `None` for values that are unreadable, negative or past, and for zero: a server that throttles and asks
/// for no pause gives no usable hint.
pub(crate) fn retry_after(
    value: &str,
    answered: Option<SystemTime>,
    now: SystemTime,
) -> Option<Duration> {
    if is_decimal(value.trim()) {
        return pause_seconds(value);
    }
    let pause = from_http_date(value)?.duration_since(answered.unwrap_or(now)).ok()?;
    (!pause.is_zero()).then(|| pause.min(MAX_PAUSE))
}

/// Returns the pause of a number of seconds, whole or not, as [`retry_after`] does.
pub(crate) fn pause_seconds(value: &str) -> Option<Duration> {
    let value = value.trim();
    let seconds: f64 = is_decimal(value).then_some(value)?.parse().ok()?;
    let pause = Duration::try_from_secs_f64(seconds).unwrap_or(MAX_PAUSE);
    (!pause.is_zero()).then(|| pause.min(MAX_PAUSE))
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
    }

    #[test]
    fn every_form_of_a_time_is_read() {
        let rows = [
            ("1641370501000", at(1_641_370_501_000)),
            ("1641370501123", at(1_641_370_501_123)),
            ("1641370501", at(1_641_370_501_000)),
            ("1641370501.25", at(1_641_370_501_250)),
            ("1641370501.0006", at(1_641_370_501_001)),
            // The last seconds, the first milliseconds, and what is too late in either.
            ("99999999999", at(99_999_999_999_000)),
            ("100000000000", at(100_000_000_000)),
            ("99999999999999", at(99_999_999_999_999)),
            ("100000000000000", None),
            ("2022-01-05T08:15:01Z", at(1_641_370_501_000)),
            (" 2022-01-05T08:15:01.250Z ", at(1_641_370_501_250)),
            ("2022-01-05T16:15:01+0800", at(1_641_370_501_000)),
            ("2022-01-05T16:15:01+08:00", at(1_641_370_501_000)),
            ("2022-01-05T08:15:01", at(1_641_370_501_000)),
            ("2022-01-05 08:15:01", at(1_641_370_501_000)),
            ("", None),
            (" ", None),
            ("0", None),
            ("-1", None),
            ("0.0004", None),
            ("1970-01-01T00:00:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            // Go's zero time.
            ("0001-01-01T00:00:00Z", None),
            ("...", None),
            ("99999999999999999999", None),
            ("2022-13-45T99:00:00Z", None),
            ("yesterday", None),
            ("inf", None),
        ];
        for (text, expected) in rows {
            assert_eq!(from_text(text), expected, "{text:?}");
        }
        assert_eq!(from_number(3e-8), None);
        assert_eq!(from_number(f64::NAN), None);
        assert_eq!(from_number(f64::INFINITY), None);
        assert_eq!(from_number(-5.0), None);
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_and_believed_up_to_five_minutes() {
        let now = at(1_641_370_501_000).unwrap();
        let server = at(1_641_370_441_000);
        let seconds = |s| Some(Duration::from_secs_f64(s));
        let rows = [
            ("7", None, seconds(7.0)),
            ("56.818", None, seconds(56.818)),
            (" 7 ", None, seconds(7.0)),
            ("3600", None, seconds(300.0)),
            ("99999999999999999999999999", None, seconds(300.0)),
            ("Wed, 05 Jan 2022 08:15:31 GMT", None, seconds(30.0)),
            ("Wed, 05 Jan 2022 08:15:31 GMT", server, seconds(90.0)),
            ("Mon, 05 Jan 2022 08:15:31 GMT", None, seconds(30.0)),
            ("Wed, 05 Jan 2022 08:14:31 GMT", None, None),
            // RFC 850, also with a full year, and asctime, with a day of one or two digits.
            ("Wednesday, 05-Jan-22 08:15:31 GMT", None, seconds(30.0)),
            ("Wednesday, 05-Jan-22 08:15:31 GMT", server, seconds(90.0)),
            ("Wed, 05-Jan-2022 08:15:31 GMT", None, seconds(30.0)),
            ("Monday, 05-Jan-22 08:15:31 GMT", None, seconds(30.0)),
            ("Wednesday, 05-Jan-22 08:14:31 GMT", None, None),
            ("Wednesday, 05-Jan-94 08:15:31 GMT", None, None),
            ("Wednesday, 05-Jan-22 08:15:31 PST", None, None),
            ("Wednesday, 35-Jan-22 08:15:31 GMT", None, None),
            ("Wed Jan  5 08:15:31 2022", None, seconds(30.0)),
            ("Wed Jan 5 08:15:31 2022", None, seconds(30.0)),
            ("Wed Jan 05 08:15:31 2022", server, seconds(90.0)),
            ("Wed  Jan 5 08:15:31 2022", None, seconds(30.0)),
            ("Sun Jan  5 08:15:31 2022", None, seconds(30.0)),
            ("Wed Jan 12 08:15:31 2022", None, seconds(300.0)),
            ("Wed Jan  5 08:14:31 2022", None, None),
            ("Wed Jan  5 2022", None, None),
            ("0", None, None),
            ("-5", None, None),
            ("1e3", None, None),
            ("inf", None, None),
            ("NaN", None, None),
            ("", None, None),
            (".", None, None),
            ("soon", None, None),
        ];
        for (value, answered, expected) in rows {
            assert_eq!(retry_after(value, answered, now), expected, "{value:?}");
        }
    }

    #[test]
    fn hostile_dates_are_read_or_dropped_and_never_panic() {
        let now = at(1_641_370_501_000).unwrap();
        let long = |text: &str| text.repeat(100_000);
        let rows = [
            // A leap second is read as the one before it.
            ("Sat, 31 Dec 2016 23:59:60 GMT".to_owned(), at(1_483_228_799_000)),
            ("Saturday, 31-Dec-16 23:59:59 GMT".to_owned(), at(1_483_228_799_000)),
            // Two digits are a year from 1969 to 2068.
            ("Friday, 01-Jan-68 00:00:00 GMT".to_owned(), at(3_092_601_600_000)),
            ("Friday, 02-Jan-70 00:00:00 GMT".to_owned(), at(86_400_000)),
            ("Fri, 31 Dec 9999 23:59:59 GMT".to_owned(), None),
            ("Fri, 31 Dec -001 23:59:59 GMT".to_owned(), None),
            ("Fri, 99 Zzz 99999999999999999999 23:59:59 GMT".to_owned(), None),
            ("Friday, 02-Jan--1 00:00:00 GMT".to_owned(), None),
            ("Fri Jan 99 99:99:99 99999999999".to_owned(), None),
            (format!("Fri, 31 Dec 2021 {} GMT", long("(")), None),
            (format!("Fri, 31 Dec 2021 {}{} GMT", long("("), long(")")), None),
            (long("9"), None),
            (long("-"), None),
            (long(" "), None),
            (format!("a {}", long("1-")), None),
            (", \u{0}\u{e9}".to_owned(), None),
        ];
        for (text, expected) in rows {
            let start: String = text.chars().take(60).collect();
            assert_eq!(from_http_date(&text), expected, "{start}");
            let pause = retry_after(&text, None, now);
            assert!(pause.is_none_or(|pause| pause <= MAX_PAUSE), "{start}: {pause:?}");
            let _ = (from_text(&text), from_compact(&text), pause_seconds(&text));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_of_a_time_panics(text in "[ -~\u{e9}]{0,40}", date in "[A-Za-z]{3,9},? {0,2}[0-9]{1,3}[- ][A-Z][a-z]{2}[- ][-0-9]{1,12} [0-9:]{0,9}( GMT| [+-][0-9]{4})?", number: f64) {
            let now = at(1_641_370_501_000).unwrap();
            for text in [&text, &date] {
                let pause = retry_after(text, from_http_date(text), now);
                proptest::prop_assert!(pause.is_none_or(|pause| !pause.is_zero() && pause <= MAX_PAUSE));
                let _ = (from_text(text), from_compact(text), pause_seconds(text));
            }
            let _ = from_number(number);
        }
    }

    #[test]
    fn the_gateway_writes_compact_times() {
        assert_eq!(from_compact("20220105T081501Z"), at(1_641_370_501_000));
        assert_eq!(from_compact("20220105"), None);
    }
}

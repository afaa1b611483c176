//! Values of arguments: `30m`, `1.5s`, `200/5m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cfw_waiter::Quota;
use jiff::Timestamp;
use jiff::fmt::friendly::SpanParser;

/// A duration, with its text for error messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DurationArg {
    text: String,
    pub(crate) duration: Duration,
}

impl FromStr for DurationArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), duration: parse_duration(text)? })
    }
}

impl fmt::Display for DurationArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A duration, or `0` without a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeoutArg(DurationArg);

impl TimeoutArg {
    pub(crate) const fn duration(&self) -> Duration {
        self.0.duration
    }

    /// Returns `None` for zero.
    pub(crate) fn nonzero(&self) -> Option<Duration> {
        Some(self.0.duration).filter(|duration| !duration.is_zero())
    }
}

impl FromStr for TimeoutArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "0" {
            return Ok(Self(DurationArg { text: text.to_owned(), duration: Duration::ZERO }));
        }
        text.parse().map(Self)
    }
}

/// The age of a job: a duration, or the time at which the job began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AgeArg(pub(crate) Duration);

impl FromStr for AgeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_age(text.trim(), Timestamp::now()).map(Self)
    }
}

/// Parses an age at the time `now`. A time in the future is an age of zero, because clocks differ.
fn parse_age(text: &str, now: Timestamp) -> Result<Duration, String> {
    if let Ok(begin) = text.parse::<Timestamp>() {
        return Ok(Duration::try_from(now.duration_since(begin)).unwrap_or(Duration::ZERO));
    }
    let expected = "expected an age such as 90s, or a time such as 2026-11-24T22:51:00Z";
    parse_duration(text).map_err(|_| match text.strip_prefix('-') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("an age cannot be negative; {expected}")
        }
        _ => expected.to_owned(),
    })
}

/// A number of calls per duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateArg(pub(crate) Quota);

impl FromStr for RateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected calls per time, such as 50/s or 200/5m";
        let (calls, per) = text.split_once('/').ok_or(expected)?;
        let calls = calls.trim().parse().map_err(|_| expected)?;
        let per = per.trim();
        let per =
            if per.starts_with(char::is_alphabetic) { format!("1{per}") } else { per.to_owned() };
        let quota = Quota::new(calls, parse_duration(&per).map_err(|_| expected)?);
        quota.map(Self).map_err(|_| "zero lets no poll through".to_owned())
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        // Zero needs no unit.
        return Ok(Duration::ZERO);
    }
    let parser = SpanParser::new();
    parser.parse_unsigned_duration(text).map_err(|_| {
        let problem = match parser.parse_span(text) {
            Ok(span) if span.is_negative() => "a time cannot be negative; expected 0 or more",
            _ if is_too_long(&parser, text) => "the time is too long; expected less, such as 24h",
            Ok(_) => {
                "days and longer units have no fixed length; expected hours or less, such as 24h"
            }
            Err(_) => "expected a time with its unit, such as 1.5s, 30m or 1h30m",
        };
        problem.to_owned()
    })
}

/// Returns whether a text that is not a duration would be one with smaller numbers.
fn is_too_long(parser: &SpanParser, text: &str) -> bool {
    let mut small = String::new();
    for char in text.chars() {
        match char {
            '0'..='9' if small.ends_with('1') => {}
            '0'..='9' => small.push('1'),
            other => small.push(other),
        }
    }
    parser.parse_unsigned_duration(&small).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, millis) in [
            ("30m", 1_800_000),
            ("1.5s", 1_500),
            ("2h30m", 9_000_000),
            ("1h 5min", 3_900_000),
            ("24h", 86_400_000),
            ("250ms", 250),
            ("90 seconds", 90_000),
            (" 3s\n", 3_000),
            ("0s", 0),
            ("0", 0),
        ] {
            let arg: DurationArg = text.parse().unwrap();
            assert_eq!(arg.duration, Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_refused_with_an_example() {
        for text in ["banana", "", "30", "5 parsecs", "s", "1.5.5s"] {
            let error = text.parse::<DurationArg>().unwrap_err();
            assert_eq!(error, "expected a time with its unit, such as 1.5s, 30m or 1h30m");
        }
        for (text, start) in [
            ("1d", "days and longer units"),
            ("1y", "days and longer units"),
            ("2 weeks", "days and longer units"),
            ("-3s", "a time cannot be negative"),
            ("-1d", "a time cannot be negative"),
            ("--any", "expected a time with its unit"),
            ("99999999999999999999s", "the time is too long; expected less, such as 24h"),
            ("9999999999999999h", "the time is too long"),
            ("1h 99999999999999999999ms", "the time is too long"),
            ("99999999999999999999", "expected a time with its unit"),
            ("99999999999999999999 parsecs", "expected a time with its unit"),
        ] {
            let error = text.parse::<DurationArg>().unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }

    #[test]
    fn ages_are_durations_or_times() {
        let now: Timestamp = "2026-11-24T22:51:00Z".parse().unwrap();
        for (text, seconds) in [
            ("90s", 90),
            ("2h", 7_200),
            ("0s", 0),
            ("2026-11-24T22:50:00Z", 60),
            ("2026-11-24T23:50:58.500+01:00", 1),
            ("2026-11-24T22:51:30Z", 0),
            ("1900-01-01T00:00:00Z", 4_004_549_460),
        ] {
            assert_eq!(parse_age(text, now).map(|age| age.as_secs()), Ok(seconds), "{text}");
        }
        for text in ["", "yesterday", "90", "--any", "2026-11-24", "2026-11-24T22:51:00"] {
            let error = parse_age(text, now).unwrap_err();
            assert!(error.starts_with("expected an age such as 90s, or a time"), "{text}: {error}");
        }
        for text in ["-5s", "-5", "-1d"] {
            let error = parse_age(text, now).unwrap_err();
            let expected = "an age cannot be negative; expected an age such as 90s, or a time";
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_timeout_of_zero_needs_no_unit() {
        for (text, millis) in [("0", 0), (" 0 ", 0), ("0s", 0), ("1.5s", 1_500)] {
            let timeout = text.parse::<TimeoutArg>().unwrap().duration();
            assert_eq!(timeout, Duration::from_millis(millis), "{text}");
        }
        assert!("5".parse::<TimeoutArg>().is_err() && "-0".parse::<TimeoutArg>().is_err());
    }

    #[test]
    fn rates_are_parsed() {
        for (text, calls, seconds) in
            [("50/s", 50, 1), ("200/5m", 200, 300), ("10 / minute", 10, 60), ("3/90s", 3, 90)]
        {
            let RateArg(quota) = text.parse().unwrap();
            assert_eq!(quota.calls().get(), calls, "{text}");
            assert_eq!(quota.per(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["50", "50/", "/s", "many/s", "-1/s", "5/banana", "5/1d"] {
            let error = text.parse::<RateArg>().unwrap_err();
            assert_eq!(error, "expected calls per time, such as 50/s or 200/5m", "{text}");
        }
        for text in ["0/s", "5/0s"] {
            assert_eq!(text.parse::<RateArg>().unwrap_err(), "zero lets no poll through", "{text}");
        }
    }
}

//! Durations for people.

use std::fmt;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Formats as `0s`, `0.5s`, `12.3s`, `30m 00s` or `1h 02m`. `{:#}` is exact below a minute, for settings.
///
/// It rounds, because waits end a few milliseconds before their deadline. There is one unit below a minute, so that a limit
/// and the time that was spent can be compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(duration) = *self;
        if duration.is_zero() {
            return f.write_str("0s");
        }
        // What rounds up to `60.0s` is a minute.
        if duration < MINUTE - Duration::from_millis(50) {
            let seconds = duration.as_secs_f64();
            return if f.alternate() {
                write!(f, "{seconds}s")
            } else {
                write!(f, "{seconds:.1}s")
            };
        }
        let seconds = duration.saturating_add(Duration::from_millis(500)).as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours == 0 {
            write!(f, "{minutes}m {seconds:02}s")
        } else {
            write!(f, "{hours}h {minutes:02}m")
        }
    }
}

/// A duration as a user sets it, in the units of `Duration`'s `Debug`, but for zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting(pub(crate) Duration);

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `0ns`.
        if self.0.is_zero() { f.write_str("0s") } else { write!(f, "{:?}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_to_what_a_person_needs() {
        for (millis, text) in [
            (0, "0s"),
            (4, "0.0s"),
            (460, "0.5s"),
            (1_804, "1.8s"),
            (59_949, "59.9s"),
            (59_998, "1m 00s"),
            (60_000, "1m 00s"),
            (184_600, "3m 05s"),
            (1_799_998, "30m 00s"),
            (3_599_499, "59m 59s"),
            (3_599_998, "1h 00m"),
            (3_723_000, "1h 02m"),
            (360_000_000, "100h 00m"),
        ] {
            assert_eq!(Human(Duration::from_millis(millis)).to_string(), text, "{millis}");
        }
        assert!(Human(Duration::MAX).to_string().ends_with('m'), "no overflow");
        for (millis, text) in [(0, "0s"), (300, "0.3s"), (5_000, "5s"), (60_000, "1m 00s")] {
            assert_eq!(format!("{:#}", Human(Duration::from_millis(millis))), text, "{millis}");
        }
    }
}

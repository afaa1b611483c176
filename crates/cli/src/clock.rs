//! The time that is shown to people.

use std::time::{Duration, Instant, SystemTime};

/// Returns the time of the wall clock, which state files have.
#[expect(clippy::disallowed_methods, reason = "deadlines outlive the process")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Measures the run time of the command.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "only displayed; no wait depends on it")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "only displayed; no wait depends on it")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

//! The time that people see.

use std::time::{Duration, Instant};

/// Measures how long the command has run.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "shown to people; no wait depends on it")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "shown to people; no wait depends on it")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

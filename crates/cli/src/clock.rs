//! The time that is shown to people.

use std::time::{Duration, Instant};

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

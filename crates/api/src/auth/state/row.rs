//! Refusals in a row: when they are final, and how long to rest between them.

use std::time::{Duration, SystemTime};

/// Refusals, or unexpected answers to renewals, without a success between them.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) count: u32,
    since: SystemTime,
}

impl Row {
    /// How many refusals in a row are final, and over how long they must come.
    pub(super) const REFUSALS: u32 = 3;
    pub(super) const SPAN: Duration = Duration::from_secs(10);

    /// How many are final however fast they come. More lock a key.
    pub(super) const MAX_REFUSALS: u32 = 5;

    /// The first rest. The second one lasts to the end of the span.
    const FIRST_PAUSE: Duration = Duration::from_secs(1);

    /// Adds one to a row.
    pub(super) fn after(row: Option<Self>, now: SystemTime) -> Self {
        let row = row.unwrap_or(Self { count: 0, since: now });
        Self { count: row.count.saturating_add(1), ..row }
    }

    pub(super) fn is_final(self, now: SystemTime) -> bool {
        self.count >= Self::MAX_REFUSALS
            || (self.count >= Self::REFUSALS && self.passed(now) >= Self::SPAN)
    }

    /// Returns how long no request is sent.
    pub(super) fn pause(self, now: SystemTime) -> Duration {
        match self.passed(now) {
            passed if passed < Self::FIRST_PAUSE => Self::FIRST_PAUSE,
            passed => Self::SPAN.saturating_sub(passed).max(Self::FIRST_PAUSE),
        }
    }

    fn passed(self, now: SystemTime) -> Duration {
        now.duration_since(self.since).unwrap_or_default()
    }
}

//! A source in memory whose answers are at times bad, late or none.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cfw_waiter::{Attempt, ErrorClass, JobId, JobSource, JobState, SourceError};

use super::leaks::Leaks;
use super::ledger::{Fate, Ledger, number};

/// Of this many answers one is bad in each way.
const BAD: u64 = 64;

pub(super) struct MemorySource {
    pub(super) ledger: Arc<Ledger>,
    pub(super) leaks: Arc<Leaks>,
    pub(super) polls: AtomicU64,
}

impl JobSource for MemorySource {
    #[expect(clippy::disallowed_methods, reason = "jobs end in real time")]
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        let number = number(id);
        let poll = self.polls.fetch_add(1, Ordering::Relaxed);
        let fate = Fate::of(number, true);
        if fate == Fate::Panics {
            // Without a word on standard error.
            resume_unwind(Box::new("a source that panics"));
        }
        match poll.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & (BAD - 1) {
            0 => return Err(SourceError::new(ErrorClass::TRANSIENT, "busy")),
            1 => return Err(SourceError::new(ErrorClass::NotFound, "not there")),
            2 => return Ok(JobState::unknown("PAUSED")),
            3 => tokio::time::sleep(Duration::from_millis(20)).await,
            4 if poll.is_multiple_of(8) => std::future::pending().await,
            5 => tokio::task::yield_now().await,
            _ => {}
        }
        let ended = self.ledger.end_of(number).map(|end| end + self.leaks.hold_back());
        Ok(match fate {
            _ if ended.is_none_or(|end| Instant::now() < end) => JobState::running(),
            Fate::Fails => JobState::failed(),
            _ => JobState::succeeded(),
        })
    }
}

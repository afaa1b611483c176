//! What the board keeps of jobs, waits, watches and requests. There may be a million of the first two, so their
//! fields are counted in bytes; what is rarely there is kept in maps of its own.

use std::collections::HashSet;
use std::num::NonZeroI64;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use super::{Time, WaitOptions};
use crate::{JobId, Progress, SourceError};

/// What is known of an id, as far as each poll needs it: one cache line, since among a million jobs each line
/// that a poll touches costs as much as all that it computes.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Job {
    pub(super) id: JobId,
    /// When the next poll is due, if none is in request.
    pub(super) due: Time,
    /// When the job's timer is set to; an entry for another time is stale.
    pub(super) wake: Time,
    /// When the last answer came, good or bad.
    pub(super) ended: Time,
    /// The last status.
    pub(super) status: u32,
    /// Polls sent.
    pub(super) polls: u32,
    /// The request in request.
    pub(super) request: u32,
    /// The first wait on it.
    pub(super) waits: u32,
    /// Whether it is due, and held back by a budget at the most.
    pub(super) is_ready: bool,
    /// Whether the poll that is due is the last one of a wait.
    pub(super) is_last: bool,
    /// Whether the job's `JobCold` tells of times.
    pub(super) has_times: bool,
}

/// What few polls need to know of a job; it has the job's slot.
#[derive(Debug)]
pub(super) struct JobCold {
    pub(super) begin: PackedTime,
    pub(super) answered: PackedTime,
    /// Transient failures in total.
    pub(super) failed: u32,
}

/// One watch's interest in one job, in one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Wait {
    pub(super) started: Time,
    pub(super) deadline: Time,
    pub(super) policy: u32,
    /// The job; none once the wait has ended.
    pub(super) job: u32,
    pub(super) watch: u32,
    pub(super) prev_in_job: u32,
    pub(super) next_in_job: u32,
    pub(super) prev_in_watch: u32,
    pub(super) next_in_watch: u32,
    pub(super) next_ready: u32,
    /// The status told last.
    pub(super) last_reported: u32,
    /// What the job's counts were when the wait began.
    pub(super) polls_before: u32,
    pub(super) failed_before: u32,
    pub(super) is_ready: bool,
    pub(super) owes_trouble: bool,
}

/// A consumer.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) generation: u32,
    /// Its waits, in the order in which they were added.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Its waits that have news, in the order in which they got it.
    pub(super) first_ready: u32,
    pub(super) last_ready: u32,
    pub(super) waker: Option<Waker>,
    /// Handles that can still add.
    pub(super) handles: u32,
    /// A consumer that hears nothing but ends.
    pub(super) ends_only: bool,
    /// How waits are judged, from the start on.
    pub(super) options: Option<WaitOptions>,
    /// Ids added before the start.
    pub(super) pending: Pending,
    pub(super) progress: Progress,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) ids: Vec<JobId>,
    pub(super) known: HashSet<JobId>,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) job: u32,
    pub(super) generation: u32,
    pub(super) sent: Time,
    pub(super) expires: Time,
    /// When the request's timer is set to, never if it has none yet; an entry for another time is stale.
    pub(super) wake: Time,
}

/// Bad answers since the last good one.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: SourceError,
    /// When the last good answer came, if there was one.
    pub(super) seen: Time,
    /// Transient failures in a row.
    pub(super) failures: u32,
    /// Not-found answers in a row, with others than a status between them, and the first one's time.
    pub(super) not_found: u32,
    pub(super) not_found_since: Time,
}

/// What few states hold.
#[derive(Debug)]
pub(super) struct JobDetails {
    pub(super) end: Option<SystemTime>,
    pub(super) detail: Option<Arc<str>>,
}

/// AbortReason a request is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AbortReason {
    /// Nobody waits for it, unless someone has come meanwhile.
    NoWaiters,
    /// It took too long; its slot is free already.
    TimedOut,
}

/// A server's time in eight bytes: nanoseconds from the Unix epoch, inverted, or none. The last one before the epoch
/// is left out, so that no time is all zeros: a slab then needs no tag of its own for its free entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedTime(NonZeroI64);

impl PackedTime {
    pub(super) const NONE: Self = Self(NonZeroI64::MIN);

    pub(super) fn of(time: Option<SystemTime>) -> Self {
        let nanos = time.and_then(|time| match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).ok(),
            Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanos| -nanos),
        });
        nanos.and_then(|nanos| NonZeroI64::new(!nanos)).map_or(Self::NONE, Self)
    }

    pub(super) fn time(self) -> Option<SystemTime> {
        if self == Self::NONE {
            return None;
        }
        let nanos = !self.0.get();
        let since = Duration::from_nanos(nanos.unsigned_abs());
        if nanos >= 0 {
            SystemTime::UNIX_EPOCH.checked_add(since)
        } else {
            SystemTime::UNIX_EPOCH.checked_sub(since)
        }
    }
}

impl Job {
    /// The order in which a due job is polled: those whose last poll it is first, then the longest due.
    pub(super) fn rank(&self) -> u64 {
        const BY_SCHEDULE: u64 = 1 << 63;
        if self.is_last { self.due.as_nanos() } else { self.due.as_nanos() | BY_SCHEDULE }
    }
}

const _: () = assert!(size_of::<Option<JobCold>>() == 24, "no tag");
const _: () = assert!(size_of::<Job>() == 64 && size_of::<Wait>() == 64, "one cache line each");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stamp_gives_back_its_time(nanos in prop_oneof![any::<i64>(), -3..3_i64]) {
            prop_assume!(nanos != -1 && nanos != i64::MAX && nanos != i64::MIN);
            let since = Duration::from_nanos(nanos.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            let time = if nanos < 0 { epoch - since } else { epoch + since };
            prop_assert_eq!(PackedTime::of(Some(time)).time(), Some(time));
        }
    }

    #[test]
    fn a_time_that_fits_no_stamp_is_none() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000_000);
        for time in [None, Some(far), Some(SystemTime::UNIX_EPOCH - Duration::from_nanos(1))] {
            assert_eq!(PackedTime::of(time).time(), None, "{time:?}");
        }
    }
}

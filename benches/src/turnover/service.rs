//! A service in memory whose jobs end after a number of polls, each followed by a new one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cfw_waiter::{Attempt, ErrorClass, JobId, JobSource, JobState, SourceError};

use crate::contender::Ends;

/// The number in an id is the slot of its job in these low bits, and above them its generation.
const SLOT_BITS: u32 = 20;
const SLOTS: u64 = 1 << SLOT_BITS;
/// An entry of the table is the number of polls left in these low bits, and above them the generation.
const LEFT_BITS: u32 = 8;
/// The last hexadecimal digits of an id hold its number.
const DIGITS: usize = 12;

/// Decides when jobs end: all that reaches it is the text of an id.
///
/// Its numbers are loaded and stored rather than added to, since the runtime has one thread and an addition costs
/// more than the rest of an answer.
pub(crate) struct Service {
    jobs: Vec<AtomicU32>,
    polls_per_job: u32,
    polls: AtomicU64,
    ends: AtomicU64,
    followed: AtomicU64,
    strays: AtomicU64,
}

/// What a service has counted so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) polls: u64,
    /// Jobs that have ended.
    pub(crate) ends: u64,
    /// Ends that the consumer has noted.
    pub(crate) followed: u64,
    /// Polls of jobs that are not there, and ends that were noted without success.
    pub(crate) strays: u64,
}

impl Service {
    pub(crate) fn new(jobs: usize, polls_per_job: u32) -> Self {
        Self {
            jobs: (0..jobs).map(|_| AtomicU32::new(0)).collect(),
            polls_per_job,
            polls: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            strays: AtomicU64::new(0),
        }
    }

    /// Puts a job in a slot that ends after `left` polls. Returns its id.
    pub(crate) fn begin(&self, slot: usize, left: u32) -> JobId {
        if let Some(job) = self.jobs.get(slot) {
            job.store(left, Ordering::Relaxed);
        }
        id(slot as u64)
    }

    /// Answers one poll. The job that ends here makes room for the next one in its slot.
    pub(crate) fn answer(&self, id: &JobId) -> Result<JobState, SourceError> {
        add_one(&self.polls);
        let (slot, generation) = parts(number(id));
        let entry = self.jobs.get(slot);
        let left = entry.map(|entry| entry.load(Ordering::Relaxed));
        let (Some(entry), Some(left)) =
            (entry, left.filter(|left| left >> LEFT_BITS == generation))
        else {
            add_one(&self.strays);
            return Err(SourceError::new(ErrorClass::Fatal, "no such job"));
        };
        if left & ((1 << LEFT_BITS) - 1) > 1 {
            entry.store(left - 1, Ordering::Relaxed);
            return Ok(JobState::running());
        }
        add_one(&self.ends);
        entry.store(((generation + 1) << LEFT_BITS) | self.polls_per_job, Ordering::Relaxed);
        Ok(JobState::succeeded())
    }

    /// Returns the id of the job that is in the slot of another one after its end.
    pub(crate) fn successor(&self, ended: &JobId) -> JobId {
        add_one(&self.followed);
        id(number(ended) + SLOTS)
    }

    pub(crate) fn counts(&self) -> Counts {
        let [polls, ends, followed, strays] =
            [&self.polls, &self.ends, &self.followed, &self.strays]
                .map(|count| count.load(Ordering::Relaxed));
        Counts { polls, ends, followed, strays }
    }
}

impl JobSource for Service {
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        self.answer(id)
    }
}

impl Ends for Service {
    fn ended(&self, id: &JobId, state: &JobState) -> Option<JobId> {
        if !state.phase.is_terminal() {
            add_one(&self.strays);
        }
        Some(self.successor(id))
    }
}

fn add_one(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn parts(number: u64) -> (usize, u32) {
    let generation = u32::try_from(number >> SLOT_BITS).unwrap_or(u32::MAX);
    (usize::try_from(number % SLOTS).unwrap_or(usize::MAX), generation)
}

/// Makes an id of 36 characters in one allocation.
fn id(number: u64) -> JobId {
    let mut text = *b"00000000-6fb9-4d0b-b4e9-000000000000";
    let (head, tail) = text.split_at_mut(36 - DIGITS);
    if let Some(head) = head.first_chunk_mut::<8>() {
        write_hex(head, number.wrapping_mul(0x9e37_79b9));
    }
    write_hex(tail, number);
    JobId::from(std::str::from_utf8(&text).unwrap_or_default())
}

fn number(id: &JobId) -> u64 {
    let digits = id.as_str().as_bytes().last_chunk::<DIGITS>().unwrap_or(&[b'0'; DIGITS]);
    // '0' to '9' have the bit 16, 'a' to 'f' the bit 64 and 9 less than they mean.
    digits
        .iter()
        .fold(0, |number, &digit| (number << 4) | u64::from((digit & 15) + 9 * (digit >> 6)))
}

fn write_hex(digits: &mut [u8], mut number: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for digit in digits.iter_mut().rev() {
        *digit =
            HEX.get(usize::try_from(number & 15).unwrap_or_default()).map_or(0, |digit| *digit);
        number >>= 4;
    }
}

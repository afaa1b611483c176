//! What a scripted service answers.

use std::time::{Duration, SystemTime};

use super::world::{at, ms};
use crate::board::{Answer, Time, nanos};
use crate::{ErrorClass, JobState, Quota, SourceError};

/// What may go wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Transient,
    Unavailable(Duration),
    Throttled(Option<Duration>, Option<Quota>),
    NotFound,
    Unreached,
    Unexpected(bool),
    Fatal,
    Refused,
    Panic,
    Hang,
    Unknown,
}

/// A job's timeline, and what goes wrong on the way.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) appears: Time,
    pub(super) ends: Option<(Time, bool)>,
    /// By the number of the request for this job.
    pub(super) faults: Vec<Option<Fault>>,
    pub(super) latency: Duration,
    /// How often the detail of the running job changes, if it does.
    pub(super) detail_every: Option<Duration>,
    /// What the server says of times; nothing if none.
    pub(super) clock: Option<ServerClock>,
}

/// The clock of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerClock {
    /// How old it says the job was at the start of the world, in milliseconds.
    pub(super) age: i64,
    /// How much its times of answers are ahead of those of jobs, in milliseconds.
    pub(super) ahead: i64,
    /// By how much earlier it says that the job began, and ended, once it has ended, in milliseconds.
    pub(super) misstated: [i64; 2],
}

impl Script {
    pub(super) fn succeeds(at_ms: u64) -> Self {
        Self {
            appears: Time::ZERO,
            ends: Some((at(at_ms), true)),
            faults: Vec::new(),
            latency: ms(50),
            detail_every: None,
            clock: None,
        }
    }

    pub(super) fn clock(mut self, age: i64, ahead: i64) -> Self {
        self.clock = Some(ServerClock { age, ahead, misstated: [0; 2] });
        self
    }

    /// Sets by how many milliseconds earlier the server says that the job began, and ended, once it has ended.
    pub(super) fn misstates_once_ended(mut self, misstated: [i64; 2]) -> Self {
        self.clock = self.clock.map(|clock| ServerClock { misstated, ..clock });
        self
    }

    pub(super) fn fails(at_ms: u64) -> Self {
        Self { ends: Some((at(at_ms), false)), ..Self::succeeds(0) }
    }

    pub(super) fn never() -> Self {
        Self { ends: None, ..Self::succeeds(0) }
    }

    pub(super) fn detail_every(mut self, interval: Duration) -> Self {
        self.detail_every = Some(interval);
        self
    }

    pub(super) fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults = faults.into_iter().map(Some).collect();
        self
    }
}

pub(super) fn answer(script: &Script, fault: Option<Fault>, now: Time) -> Option<Answer> {
    let error = |class| Some(Answer::Received(Err(SourceError::new(class, "scripted"))));
    match fault {
        Some(Fault::Transient) => error(ErrorClass::TRANSIENT),
        Some(Fault::Unavailable(after)) => {
            error(ErrorClass::Transient { retry_after: Some(after) })
        }
        Some(Fault::Throttled(retry_after, quota)) => {
            error(ErrorClass::Throttled { retry_after, quota })
        }
        Some(Fault::NotFound) => error(ErrorClass::NotFound),
        Some(Fault::Unreached) => error(ErrorClass::Unreached),
        Some(Fault::Unexpected(can_pass)) => error(ErrorClass::Unexpected { can_pass }),
        Some(Fault::Fatal) => error(ErrorClass::Fatal),
        Some(Fault::Refused) => error(ErrorClass::Refused),
        Some(Fault::Panic) => Some(Answer::Panicked("scripted".into())),
        Some(Fault::Hang) => None,
        Some(Fault::Unknown) => Some(Answer::Received(Ok(JobState::unknown("Paused")))),
        None if now < script.appears => error(ErrorClass::NotFound),
        None => Some(Answer::Received(Ok(state(script, now)))),
    }
}

fn state(script: &Script, now: Time) -> JobState {
    let (state, end) = match script.ends {
        Some((end, true)) if end <= now => (JobState::succeeded(), Some(end)),
        Some((end, false)) if end <= now => (JobState::failed(), Some(end)),
        Some(_) | None => (running(script, now), None),
    };
    let Some(ServerClock { age, ahead, misstated }) = script.clock else { return state };
    let [earlier, sooner] = if end.is_some() { misstated } else { [0; 2] };
    let now = (now.as_nanos() / 1_000_000).cast_signed();
    let end = end.map(|end| server_time((end.as_nanos() / 1_000_000).cast_signed() - sooner));
    // Answers are sent at once and take the latency to arrive.
    state
        .with_begin(server_time(-age - earlier))
        .with_answered(server_time(now + ahead))
        .with_end(end)
}

fn running(script: &Script, now: Time) -> JobState {
    match script.detail_every {
        Some(every) => {
            let step = now.as_nanos() / nanos(every).max(1);
            JobState::running().with_detail(format!("step {step}"))
        }
        None => JobState::running(),
    }
}

/// A time of the server, in milliseconds from the start of the world.
fn server_time(ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis((1_000_000_000_007 + ms).cast_unsigned())
}

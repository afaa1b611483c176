//! What another process needs to go on waiting.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::board::SavedJob;
use crate::options::{Resumed, WallTimes};
use crate::{JobId, JobOptions, Phase};

/// The jobs that a [`Watch`](crate::Watch) or [`Wait`](crate::Wait) waits for: enough for another process to go on.
///
/// [`Watch::checkpoint`](crate::Watch::checkpoint) makes one and [`Waiter::resume`](crate::Waiter::resume) goes on. It holds
/// no secrets, and no policy: how the jobs are judged is up to the waiter that resumes them. Times are those of the wall clock,
/// so that the time in which no process waited counts.
///
/// With the feature `serde` it is plain JSON, of version 1, which any JSON tool may read and write again, also one that writes
/// whole numbers as 1.0. Fields that are not known are ignored, jobs that are given twice are waited for once, and other formats
/// and later versions are refused by name:
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```text")]
/// use cfw_waiter::{Checkpoint, JobState, Waiter, source_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let waiter = Waiter::new(source_fn(|_id| async { Ok(JobState::succeeded()) }));
/// let token = serde_json::to_string(&waiter.watch(["job-1", "job-2"]).checkpoint())?;
///
/// // In another process:
/// let checkpoint: Checkpoint = serde_json::from_str(&token)?;
/// assert_eq!(waiter.resume(&checkpoint).all().await.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The jobs that had not ended, or whose end was not reported yet, in the order in which they were added.
    pub jobs: Vec<JobCheckpoint>,
}

/// One job of a [`Checkpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobCheckpoint {
    /// The job.
    pub id: JobId,
    /// Its kind, if it has one of its own or by its watch: see [`Wait::kind`](crate::Wait::kind).
    pub kind: Option<Arc<str>>,
    /// When the job was created, as far as the wait knew: see [`Wait::since`](crate::Wait::since).
    pub created: SystemTime,
    /// When the wait began.
    pub started: SystemTime,
    /// When the wait ends.
    pub deadline: SystemTime,
    /// How many polls were made for the wait.
    pub polls: u32,
    /// The last status that was reported, and what the source made of it; none before the first.
    pub status: Option<(Phase, Cow<'static, str>)>,
}

impl Checkpoint {
    pub(crate) fn new(jobs: impl IntoIterator<Item = SavedJob>, now: SystemTime) -> Self {
        Self { jobs: jobs.into_iter().map(|job| JobCheckpoint::of(job, now)).collect() }
    }
}

impl JobCheckpoint {
    /// Makes a checkpoint of a job that was created now and has not been waited for; set the fields.
    ///
    /// ```
    /// use cfw_waiter::{JobCheckpoint, JobOptions};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let now = SystemTime::now();
    /// let mut job = JobCheckpoint::new("job-1", now, Duration::from_secs(900));
    /// job.kind = Some("create-firewall".into());
    /// let options = JobOptions::resumed(&job, now + Duration::from_secs(60));
    /// ```
    pub fn new(id: impl Into<JobId>, now: SystemTime, timeout: Duration) -> Self {
        let deadline = later(now, timeout);
        let (id, created, started) = (id.into(), now, now);
        Self { id, kind: None, created, started, deadline, polls: 0, status: None }
    }

    pub(crate) fn of(job: SavedJob, now: SystemTime) -> Self {
        let mut times = WallTimes {
            created: earlier(now, job.age),
            started: earlier(now, job.elapsed),
            deadline: later(now, job.time_left),
        };
        if let Some(known) = job.times {
            // Each reading of the two clocks, and each rounding, would move them a little.
            let keep = |time: &mut SystemTime, known| {
                if is_same(*time, known) {
                    *time = known;
                }
            };
            keep(&mut times.created, known.created);
            keep(&mut times.started, known.started);
            keep(&mut times.deadline, known.deadline);
            if job.is_overdue && times.started == known.started {
                times.deadline = known.deadline;
            }
        }
        let WallTimes { created, started, deadline } = times;
        let (id, kind, polls, status) = (job.id, job.kind, job.polls, job.status);
        Self { id, kind, created, started, deadline, polls, status }
    }
}

impl JobOptions {
    /// Makes the options of a wait that goes on from a checkpoint, with what is left of its time now.
    ///
    /// The first poll comes at once. It reports a change only if the status is another one. Where the deadline has passed, it
    /// is one last look, of at most 2 seconds. Polls and time spent are counted from the beginning, rows of failures anew. A
    /// wall clock that was set back does not make the wait longer than it was at first.
    pub fn resumed(job: &JobCheckpoint, now: SystemTime) -> Self {
        let since = |then| now.duration_since(then).unwrap_or_default();
        let whole = job.deadline.duration_since(job.started).unwrap_or_default();
        let time_left = job.deadline.duration_since(now).unwrap_or_default().min(whole);
        let (polls, status) = (job.polls, job.status.clone());
        let JobCheckpoint { created, started, deadline, .. } = *job;
        let times = Some(WallTimes { created, started, deadline });
        let elapsed = since(job.started);
        let resumed = Resumed { at: None, times, elapsed, limit: whole, polls, status };
        let mut options = Self::new().timeout(time_left).since(since(job.created));
        options.kind.clone_from(&job.kind);
        options.resumed = Some(Arc::new(resumed));
        options
    }
}

/// Returns whether two times differ by less than the clocks of a process do, unless one is set.
fn is_same(one: SystemTime, other: SystemTime) -> bool {
    const MOST: Duration = Duration::from_secs(1);
    let apart = one.duration_since(other).unwrap_or_else(|error| error.duration());
    apart < MOST
}

fn earlier(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Adds a duration to a time; at most some 300 years, which reads as no deadline.
fn later(time: SystemTime, by: Duration) -> SystemTime {
    const LONGEST: Duration = Duration::from_secs(300 * 366 * 86_400);
    time.checked_add(by.min(LONGEST)).unwrap_or(time)
}

#[cfg(feature = "serde")]
mod serialize {
    use std::borrow::Cow;
    use std::sync::Arc;
    use std::time::SystemTime;

    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::{Number, Value};

    use super::{Checkpoint, JobCheckpoint};
    use crate::{JobId, Phase};

    const FORMAT: &str = "cfw-waiter checkpoint";
    const VERSION: u64 = 1;

    #[derive(Serialize)]
    struct CheckpointFields<'a> {
        format: &'static str,
        version: u64,
        jobs: &'a [JobCheckpoint],
    }

    #[derive(Serialize, Deserialize)]
    struct JobFields<'a> {
        job_id: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<Cow<'a, str>>,
        created: Timestamp,
        started: Timestamp,
        deadline: Timestamp,
        #[serde(default, deserialize_with = "polls")]
        polls: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Cow<'a, str>>,
    }

    impl Serialize for Checkpoint {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let (format, version) = (FORMAT, VERSION);
            CheckpointFields { format, version, jobs: &self.jobs }.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Checkpoint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            // Format and version may come after the jobs, which another version may give another form.
            let value = Value::deserialize(deserializer)?;
            parse(&value).map_err(D::Error::custom)
        }
    }

    fn parse(checkpoint: &Value) -> Result<Checkpoint, String> {
        match checkpoint.get("format") {
            Some(Value::String(format)) if format == FORMAT => {}
            Some(other) => return Err(format!("not a {FORMAT}: format is {other}")),
            None => return Err(format!("not a {FORMAT}: it has no format")),
        }
        match checkpoint.get("version") {
            Some(Value::Number(version)) if whole(version) == Some(VERSION) => {}
            Some(other) => {
                return Err(format!("{FORMAT} of version {other}: only {VERSION} is known"));
            }
            None => return Err(format!("{FORMAT} without a version")),
        }
        let Some(Value::Array(jobs)) = checkpoint.get("jobs") else {
            return Err(format!("{FORMAT}: jobs is no array"));
        };
        let parse_job = |(index, job)| {
            JobCheckpoint::deserialize(job).map_err(|error| format!("jobs[{index}]: {error}"))
        };
        Ok(Checkpoint { jobs: jobs.iter().enumerate().map(parse_job).collect::<Result<_, _>>()? })
    }

    impl Serialize for JobCheckpoint {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let status = self.status.as_ref();
            JobFields {
                job_id: self.id.as_str().into(),
                kind: self.kind.as_deref().map(Cow::Borrowed),
                created: timestamp(self.created),
                started: timestamp(self.started),
                deadline: timestamp(self.deadline),
                polls: self.polls,
                phase: status.map(|(phase, _)| phase.as_str().into()),
                status: status.map(|(_, status)| Cow::Borrowed(&**status)),
            }
            .serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for JobCheckpoint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let job = JobFields::deserialize(deserializer)?;
            let status = match (job.phase, job.status) {
                (Some(phase), Some(status)) => {
                    let phase = parse_phase(&phase).ok_or_else(|| {
                        D::Error::custom(format_args!("phase {phase:?} is no phase of a live job"))
                    })?;
                    Some((phase, Cow::Owned(status.into_owned())))
                }
                _ => None,
            };
            Ok(Self {
                id: JobId::from(job.job_id.into_owned()),
                kind: job.kind.map(|kind| Arc::from(&*kind)),
                created: system_time(job.created)?,
                started: system_time(job.started)?,
                deadline: system_time(job.deadline)?,
                polls: job.polls,
                status,
            })
        }
    }

    fn polls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let number = Number::deserialize(deserializer)?;
        let polls = whole(&number).and_then(|polls| u32::try_from(polls).ok());
        polls.ok_or_else(|| {
            D::Error::custom(format_args!("polls {number} is no count up to {}", u32::MAX))
        })
    }

    /// Returns the value of a whole number. Tools that know no integers write 1 as 1.0.
    fn whole(number: &Number) -> Option<u64> {
        let of_float = |float: f64| float.to_string().parse().ok();
        number.as_u64().or_else(|| number.as_f64().and_then(of_float))
    }

    fn system_time<E: serde::de::Error>(time: Timestamp) -> Result<SystemTime, E> {
        SystemTime::try_from(time).map_err(E::custom)
    }

    /// Rounds to the millisecond. A time outside the range of timestamps becomes the nearest one in it.
    fn timestamp(time: SystemTime) -> Timestamp {
        let is_early = time < SystemTime::UNIX_EPOCH;
        let limit = if is_early { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::try_from(time).unwrap_or(limit);
        Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(limit)
    }

    fn parse_phase(word: &str) -> Option<Phase> {
        [Phase::Running, Phase::Unknown].into_iter().find(|phase| phase.as_str() == word)
    }
}

#[cfg(test)]
mod tests;

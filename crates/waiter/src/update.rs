//! What a consumer hears and can look up.

use std::borrow::Cow;
use std::time::Duration;

use crate::{Eta, JobId, JobReport, JobState, Outcome, SourceError, WaitErrorKind};

/// A change in one job of a watch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Update {
    /// The job.
    pub id: JobId,
    /// How long the wait had lasted when this was observed.
    pub elapsed: Duration,
    /// What changed.
    pub kind: UpdateKind,
}

impl Update {
    /// Makes an update, for tests of code that takes updates.
    ///
    /// ```
    /// use cfw_waiter::{JobReport, Update, UpdateKind};
    /// use std::time::Duration;
    ///
    /// let ended = UpdateKind::Ended(Ok(JobReport::new("job-1")));
    /// let update = Update::new("job-1", Duration::from_secs(3), ended);
    /// ```
    pub fn new(id: impl Into<JobId>, elapsed: Duration, kind: UpdateKind) -> Self {
        Self { id: id.into(), elapsed, kind }
    }
}

/// The kinds of updates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UpdateKind {
    /// The job has another status than in the update before; the first has no `from`.
    Changed {
        /// The status before, in the service's own words.
        from: Option<Cow<'static, str>>,
        /// The state now.
        to: JobState,
    },
    /// The status is the same, and the detail beside it is another: a percentage, say. Sources of services that tell none, as
    /// the CFW is, cause no such update.
    Progressed(JobState),
    /// The answers for this job have turned bad, or bad in another way. The wait goes on, and trouble of the same class
    /// is not reported again before a good answer.
    Trouble(SourceError),
    /// The wait for this job has ended. No update follows for it.
    Ended(Outcome),
}

/// How a watched job stands, for display.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobView {
    /// Its last known state, polls made and time spent.
    pub report: JobReport,
    /// Whether a request for it is in flight.
    pub in_flight: bool,
    /// How long until its next poll; zero when it is due, none when no further poll is planned.
    pub next_poll: Option<Duration>,
    /// How long until its deadline.
    pub time_left: Duration,
    /// The error of its last answer, if that was bad.
    pub trouble: Option<SourceError>,
    /// When it is likely to end. None unless its schedule [learns](crate::Schedule::learned), it was seen running, and past
    /// jobs of its kind tell. [`Eta`] says which parts of it they must tell for.
    ///
    /// ```
    /// use cfw_waiter::{History, JobState, Learned, Policy, Sample, Schedule, Waiter, source_fn};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), cfw_waiter::ConfigError> {
    /// let mut history = History::new();
    /// for seconds in [95, 100, 104, 108, 110] {
    ///     history.record("create-firewall", Sample::ended(Duration::from_secs(seconds)));
    /// }
    /// let waiter = Waiter::builder(source_fn(|_id| async { Ok(JobState::running()) }))
    ///     .policy(Policy::new().schedule(Schedule::learned(Learned::new())?))
    ///     .history(history)
    ///     .build()?;
    /// let mut watch = waiter.watch(["job-1"]).kind("create-firewall");
    /// watch.next().await;
    /// let eta = watch.job("job-1").and_then(|job| job.eta).expect("five past jobs are known");
    /// let remaining = eta.remaining.expect("it has just begun");
    /// println!("{:?} left; nine of ten such jobs end within {:?}", remaining.p50, remaining.p90);
    /// assert!(!eta.is_overdue());
    /// # Ok(())
    /// # }
    /// ```
    pub eta: Option<Eta>,
}

/// How many jobs of a watch are where. The numbers are kept up to date, so taking them is cheap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Without a status yet.
    pub waiting: usize,
    /// Running, or in a status that the source does not know.
    pub running: usize,
    /// Ended well.
    pub succeeded: usize,
    /// Ended in any other way, but for those removed.
    pub failed: usize,
    /// Removed from the watch.
    pub removed: usize,
}

impl Progress {
    /// Returns the number of all jobs that the watch has held, ended ones included.
    pub fn total(self) -> usize {
        self.live() + self.succeeded + self.failed + self.removed
    }

    /// Returns the number of jobs that have not ended.
    pub fn live(self) -> usize {
        self.waiting + self.running
    }

    /// Counts the first status of a job.
    pub(crate) fn move_to_running(&mut self) {
        self.waiting -= 1;
        self.running += 1;
    }

    /// Counts the end of a job: success, or the kind of its error.
    pub(crate) fn count_end(&mut self, had_status: bool, kind: Option<WaitErrorKind>) {
        *(if had_status { &mut self.running } else { &mut self.waiting }) -= 1;
        *match kind {
            None => &mut self.succeeded,
            Some(WaitErrorKind::Removed) => &mut self.removed,
            Some(_) => &mut self.failed,
        } += 1;
    }
}

/// What a [`Waiter`](crate::Waiter) has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Polls sent.
    pub polls: u64,
    /// Answers with a state.
    pub answers: u64,
    /// Transient failures, attempts that took too long included.
    pub transient: u64,
    /// Throttled answers.
    pub throttled: u64,
    /// Answers that the job is not known.
    pub not_found: u64,
    /// Fatal errors.
    pub fatal: u64,
    /// Polls answered by a final refusal of the credentials.
    pub refused: u64,
    /// Panics of the source.
    pub panicked: u64,
    /// Attempts that the waiter cut short because they took too long; they count as transient as well. A source
    /// that limits its requests itself, as the CFW client does, tells of most such attempts as transient only.
    pub timed_out: u64,
    /// Requests in flight now.
    pub in_flight: usize,
    /// How many requests may be in flight now.
    pub window: u32,
    /// Jobs watched now, each counted once however many wait for it.
    pub watched: usize,
    /// How long polling has been paused in all because the service asked for it.
    pub paused: Duration,
    /// How much longer polling is paused now.
    pub pause_left: Duration,
    /// Ended jobs whose detection lag is known: the server told when they ended and when it answered, the latter
    /// mostly in whole seconds.
    pub lags: u64,
    /// The sum of these lags.
    pub lag_total: Duration,
    /// The longest of them.
    pub lag_max: Duration,
    /// Waits that ended because their job succeeded.
    pub succeeded: u64,
    /// Waits that ended without success, by kind.
    pub(crate) failed: [u64; WaitErrorKind::COUNT],
}

impl Stats {
    /// Returns how many waits ended without success in this way.
    pub fn ends(&self, kind: WaitErrorKind) -> u64 {
        self.failed.get(kind as usize).copied().unwrap_or(0)
    }

    /// Counts the end of a wait: success, or the kind of its error.
    pub(crate) fn count_end(&mut self, kind: Option<WaitErrorKind>) {
        match kind {
            None => self.succeeded += 1,
            Some(kind) => {
                if let Some(count) = self.failed.get_mut(kind as usize) {
                    *count += 1;
                }
            }
        }
    }

    /// Returns how long after its end a job was noticed, on average.
    pub fn mean_lag(&self) -> Option<Duration> {
        let lags = u32::try_from(self.lags).unwrap_or(u32::MAX);
        self.lag_total.checked_div(lags)
    }
}

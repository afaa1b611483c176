//! A waiter: one source, one budget.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::board::{AttemptTimeouts, Budget, WaitOptions};
use crate::driver::shared::{Shared, wall_clock};
use crate::spans::SpanLevel;
use crate::util::human::Setting;
use crate::{
    Checkpoint, ConfigError, History, JobCheckpoint, JobId, JobOptions, JobSource, JobState,
    Policy, Quota, Stats, Wait, Watch, driver,
};

/// The shortest minimum interval and attempt timeout.
const SHORTEST: Duration = Duration::from_millis(1);
/// How late the driver may be woken: the runtime's timer and the system's each round up to a millisecond.
const RESOLUTION: Duration = Duration::from_millis(2);

/// Waits for the jobs of one source.
///
/// All waits and watches of a waiter share its budget: requests in flight, rate, pauses that the service
/// asks for. The same id waited for twice is polled once. Clones are the same waiter, and cost a pointer.
///
/// A waiter does nothing by itself: while something is waited for, one task runs on each Tokio runtime (its timer must be
/// enabled) on which a wait or watch is polled, and one of these tasks sends the requests. A wait ends by its deadline
/// whatever other runtimes do. With its runtime it ends as [`Stopped`](crate::WaitErrorKind::Stopped); the waiter can
/// then be used from another one.
///
/// ```
/// use cfw_waiter::{JobState, Waiter, source_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), cfw_waiter::WaitError> {
/// let waiter = Waiter::new(source_fn(|_id| async { Ok(JobState::succeeded()) }));
/// let report = waiter.wait_for_job("5a2b74ef").await?;
/// assert_eq!(report.polls, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Waiter {
    shared: Arc<Shared>,
    policy: Arc<Policy>,
    span_level: SpanLevel,
}

impl Waiter {
    /// Makes a waiter with the default settings; [`builder`](Self::builder) lists them.
    pub fn new(source: impl JobSource) -> Self {
        Self::builder(source).make()
    }

    /// Returns a builder, to tune a waiter.
    pub fn builder<S: JobSource>(source: S) -> WaiterBuilder<S> {
        WaiterBuilder {
            quota: source.quota(),
            source,
            policy: Policy::new(),
            max_in_flight: 32,
            min_interval: Duration::from_millis(500),
            attempt_timeout: Duration::from_secs(10),
            runtime: None,
            history: History::new(),
            has_worth_order: true,
            span_level: SpanLevel::default(),
            // Differs between processes: pipelines started by one event must not poll in step.
            seed: RandomState::new().hash_one(0),
        }
    }

    /// Waits for one job to end.
    ///
    /// The future resolves to a report if the job succeeded, else to a [`WaitError`](crate::WaitError). It is
    /// lazy: its clock starts when it is first polled.
    pub fn wait_for_job(&self, id: impl Into<JobId>) -> Wait {
        Wait::new(Arc::clone(&self.shared), id.into(), self.options()).span_level(self.span_level)
    }

    /// Watches many jobs: one stream of updates, with one end for each job.
    ///
    /// An id given twice is watched once. Without any id, and without a
    /// [`handle`](Watch::handle) to add some, the stream ends at once. It is lazy: its clocks start when it is
    /// first polled.
    pub fn watch<I>(&self, ids: I) -> Watch
    where
        I: IntoIterator,
        I::Item: Into<JobId>,
    {
        let ids = ids.into_iter().map(Into::into);
        Watch::new(Arc::clone(&self.shared), ids, self.options()).span_level(self.span_level)
    }

    /// Goes on with the jobs of a checkpoint, of [`Watch::checkpoint`] or [`Wait::checkpoint`], in this process or another one.
    ///
    /// See [`JobOptions::resumed`] for what goes on where. Without a policy of its own the watch has that of this waiter; the
    /// deadlines are those of the checkpoint, and the time since it was made counts.
    pub fn resume(&self, checkpoint: &Checkpoint) -> Watch {
        let watch = self.watch(std::iter::empty::<JobId>());
        let now = wall_clock();
        for job in &checkpoint.jobs {
            watch.add_with(job.id.clone(), JobOptions::resumed(job, now));
        }
        watch
    }

    /// Goes on with one job of a checkpoint as a future: see [`resume`](Self::resume).
    pub fn resume_job(&self, job: &JobCheckpoint) -> Wait {
        let mut options = JobOptions::resumed(job, wall_clock());
        options.resume_at(self.shared.now());
        let options = self.options().for_job(Some(&options));
        Wait::new(Arc::clone(&self.shared), job.id.clone(), options).span_level(self.span_level)
    }

    /// Takes a state of a job that is known from elsewhere: a webhook, another process.
    ///
    /// It takes the path of an answer: waits on the job hear of a new status, and end with the job. It changes nothing in when
    /// the job is polled, so it never replaces polling. Returns false, and does nothing, if no wait is on the job.
    pub fn tell(&self, id: impl AsRef<str>, state: JobState) -> bool {
        self.shared.tell(id.as_ref(), &state)
    }

    /// Brings the next poll of a job forward: something hints that it has changed.
    ///
    /// The minimum interval, pauses and the rate hold all the same. Returns false, and does nothing, if no wait is on the
    /// job.
    pub fn poke(&self, id: impl AsRef<str>) -> bool {
        self.shared.poke(id.as_ref())
    }

    /// Takes what [schedules that learn](crate::Schedule::learned) have learnt since it was taken last: to be appended to the
    /// history of other processes.
    ///
    /// What was taken still counts for this waiter.
    pub fn take_learned(&self) -> History {
        self.shared.with(|core| core.board.take_learned())
    }

    /// Returns what this waiter has done so far.
    pub fn stats(&self) -> Stats {
        let now = self.shared.now();
        self.shared.with(|core| core.board.stats(now))
    }

    fn options(&self) -> WaitOptions {
        WaitOptions::new(Arc::clone(&self.policy))
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("policy", &self.policy)
            .field("stats", &self.stats())
            .finish()
    }
}

/// Tunes a [`Waiter`].
///
/// ```
/// use cfw_waiter::{JobState, Policy, Quota, Waiter, source_fn};
/// use std::time::Duration;
///
/// let source = source_fn(|_id| async { Ok(JobState::succeeded()) });
/// let waiter = Waiter::builder(source)
///     .policy(Policy::new().timeout(Duration::from_secs(600)))
///     .max_in_flight(8)
///     .quota(Quota::new(100, Duration::from_secs(60))?)
///     .build()?;
/// # Ok::<(), cfw_waiter::ConfigError>(())
/// ```
#[must_use]
pub struct WaiterBuilder<S> {
    source: S,
    policy: Policy,
    max_in_flight: u32,
    quota: Option<Quota>,
    min_interval: Duration,
    attempt_timeout: Duration,
    runtime: Option<Handle>,
    history: History,
    has_worth_order: bool,
    span_level: SpanLevel,
    seed: u64,
}

impl<S: JobSource> WaiterBuilder<S> {
    /// Sets the default policy, for waits without one of their own. Default: [`Policy::new`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how many requests may be in flight at once. Default: 32.
    ///
    /// A waiter starts with one and doubles with each good answer; it falls back to one when the service
    /// throttles or fails five times in a row.
    pub fn max_in_flight(mut self, requests: u32) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Sets how often the service may be asked. Default: the quota of the source, which is none
    /// for own sources, and for the CFW 50 polls per second and as many at once.
    ///
    /// A quota that the service names when it throttles limits the rate as well: to nine tenths of it, until four minutes after
    /// the service named it last.
    pub fn quota(mut self, quota: impl Into<Option<Quota>>) -> Self {
        self.quota = quota.into();
        self
    }

    /// Sets the shortest time between an answer and the next poll of the same job, whatever a schedule asks, and also where
    /// its waits end or are dropped and others begin. Default: 500 ms; at least 1 ms.
    ///
    /// Among many jobs a poll may be later than its schedule asks, by a hundredth of this and at most 5 ms, so that polls
    /// are made together. Deadlines do not wait for that.
    pub fn min_interval(mut self, interval: Duration) -> Self {
        self.min_interval = interval;
        self
    }

    /// Sets how long one request may take before it counts as a transient failure. Default: 10 s; at least 1 ms.
    ///
    /// This is where it starts: the time doubles with each time-out in a row, to at most a minute and no longer than the wait
    /// still takes, and comes back to this as answers come that do not need more. Jobs that are slower than the others
    /// have more time than these.
    ///
    /// The CFW client limits each request by this, or by a request timeout that was set for it where that is shorter; the
    /// time in which it renews credentials does not count.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the past jobs from which [schedules that learn](crate::Schedule::learned) begin. Default: none.
    pub fn history(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    /// Makes all polls in the order in which they became due, to measure what the order by worth is good for.
    #[doc(hidden)]
    pub fn without_worth_order(mut self) -> Self {
        self.has_worth_order = false;
        self
    }

    /// Sets the runtime on which everything is driven. Default: the one on which a wait or watch is polled.
    ///
    /// This runtime must be running while something is waited for: where a wait is polled does not matter then, and its
    /// deadline is kept here alone. Waits can be polled outside any runtime, and end with this one.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Sets whether the spans of waits and watches are made at level info rather than debug. Default: false.
    ///
    /// The spans of polls and the events stay at debug: a library writes nothing above that unasked. Set it to see each wait, with its
    /// outcome and its polls, in traces that are filtered at info.
    pub fn spans_at_info(mut self, at_info: bool) -> Self {
        self.span_level = if at_info { SpanLevel::Info } else { SpanLevel::Debug };
        self
    }

    /// Sets the seed of the jitter. Default: a different one for each waiter.
    ///
    /// With the same seed, ids and answers at the same times, the same polls are made.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Makes the waiter.
    ///
    /// # Errors
    ///
    /// If a setting cannot be: nothing in flight, a minimum interval below 1 ms, an attempt timeout below 1 ms, or
    /// a schedule that asks for polls more often than the minimum interval allows.
    pub fn build(self) -> Result<Waiter, ConfigError> {
        let (min_interval, shortest) = (self.min_interval, self.policy.schedule.shortest());
        if self.max_in_flight == 0 {
            return Err(ConfigError::new("max_in_flight", "0 lets no request through"));
        }
        if min_interval < SHORTEST {
            let problem = format!("{} is shorter than {SHORTEST:?}", Setting(min_interval));
            return Err(ConfigError::new("min_interval", problem));
        }
        if self.attempt_timeout < SHORTEST {
            let problem = format!("{} is shorter than {SHORTEST:?}", Setting(self.attempt_timeout));
            return Err(ConfigError::new("attempt_timeout", problem));
        }
        if shortest < min_interval {
            let problem = format!(
                "asks for a delay of {shortest:?}, shorter than min_interval {min_interval:?}"
            );
            return Err(ConfigError::new("schedule", problem));
        }
        Ok(self.make())
    }

    fn make(self) -> Waiter {
        let source = Arc::new(self.source);
        let fetch_timeout = |attempt_timeout| source.fetch_timeout(attempt_timeout);
        let budget = Budget {
            max_in_flight: self.max_in_flight,
            quota: self.quota,
            min_interval: self.min_interval,
            attempt_timeouts: AttemptTimeouts::new(self.attempt_timeout, fetch_timeout),
            resolution: RESOLUTION,
        };
        let start = Box::new(move |shared: &Arc<Shared>, runtime: &Handle, new| {
            driver::start(shared, &source, runtime, new);
        });
        let shared = Shared::new(self.seed, budget, self.runtime, start);
        let history = self.history;
        shared.with(|core| {
            core.board.set_history(history);
            if !self.has_worth_order {
                core.board.disable_worth_order();
            }
        });
        Waiter { shared, policy: Arc::new(self.policy), span_level: self.span_level }
    }
}

impl<S> fmt::Debug for WaiterBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaiterBuilder")
            .field("policy", &self.policy)
            .field("max_in_flight", &self.max_in_flight)
            .field("quota", &self.quota)
            .field("min_interval", &self.min_interval)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}

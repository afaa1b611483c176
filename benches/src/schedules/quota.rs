//! Many jobs under one quota, waited for by the waiter itself in virtual time: which of them to poll next.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cfw_waiter::{
    History, JobId, JobState, Learned, Policy, Quota, Sample, Schedule, UpdateKind, Waiter,
    source_fn,
};
use futures_util::future::{Either, join_all, select};
use tokio::time::Instant;

use super::laws::{Law, Random};
use crate::Failure;
use crate::meter::Reading;

/// How polls are chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By the default schedule, the longest due first.
    Default,
    /// By the learned schedule, the longest due first.
    LongestDue,
    /// By the learned schedule, the one worth most first.
    Worth,
}

impl Order {
    pub(super) const ALL: [Self; 3] = [Self::Default, Self::LongestDue, Self::Worth];
}

/// From how many past jobs the law is learnt before the first one is waited for.
const PAST: u32 = 200;
const DECISECOND: Duration = Duration::from_millis(100);

/// The service: a job's id says when it begins and ends, in milliseconds from the start.
#[derive(Clone, Copy)]
struct Job {
    begin: u64,
    end: u64,
}

impl Job {
    fn id(self, lane: u64) -> JobId {
        format!("{lane}-{}-{}", self.begin, self.end).into()
    }

    fn of(id: &JobId) -> Self {
        let mut numbers = id.as_str().split('-').map(|part| part.parse().unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        next();
        Self { begin: next(), end: next() }
    }

    fn state(self, now: u64) -> JobState {
        let time = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_007 + ms);
        let state = if now < self.end {
            JobState::running()
        } else {
            JobState::succeeded().with_end(time(self.end))
        };
        state.with_begin(time(self.begin)).with_answered(time(now))
    }
}

#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the clock of the simulated service")]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn ms(self) -> u64 {
        let elapsed = self.0.elapsed();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "the clock of the simulated service")]
    async fn reach(self, ms: u64) {
        tokio::time::sleep_until(self.0 + Duration::from_millis(ms)).await;
    }
}

/// Returns the mean lag in seconds when `alive` jobs run at any time, each replaced when it ends, under a quota of a request
/// every 1.5 s.
pub(super) fn mean_lag(law: &Law, alive: u64, order: Order, seconds: u64) -> Result<f64, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let clock = Clock::start();
        let source = source_fn(move |id: JobId| async move { Ok(Job::of(&id).state(clock.ms())) });
        let mut random = Random(17);
        let mut history = History::new();
        for _ in 0..PAST {
            let duration = Duration::from_secs_f64(random.duration(law));
            history.record("default", Sample::ended(duration));
        }
        let schedule = match order {
            Order::Default => Schedule::default(),
            Order::LongestDue | Order::Worth => Schedule::learned(Learned::new())?,
        };
        let quota = Quota::new(200, Duration::from_secs(300))?.with_burst(1);
        let builder = Waiter::builder(Arc::new(source))
            .policy(Policy::new().schedule(schedule).timeout(Duration::from_secs(36_000)))
            .quota(quota)
            .history(history)
            .seed(7);
        let builder = if order == Order::Worth { builder } else { builder.without_worth_order() };
        let mut watch = builder.build()?.watch(std::iter::empty::<JobId>());
        let handle = watch.handle();
        let (mut lag, mut seen) = (0_u64, 0_u64);
        let notice = async {
            while clock.ms() < seconds * 1_000 {
                let Some(update) = watch.next().await else { break };
                // The first quarter fills the queue.
                if matches!(update.kind, UpdateKind::Ended(_)) && clock.ms() > seconds * 250 {
                    lag += clock.ms() - Job::of(&update.id).end;
                    seen += 1;
                }
            }
        };
        let lane = async |lane| {
            let mut random = Random(1_000 + lane);
            loop {
                let begin = clock.ms();
                let end = begin + milliseconds(random.duration(law));
                handle.add(Job { begin, end }.id(lane));
                clock.reach(end).await;
            }
        };
        let lanes = pin!(async { drop::<Vec<()>>(join_all((0..alive).map(lane)).await) });
        select(pin!(notice), lanes).await;
        Ok(lag as f64 / seen.max(1) as f64 / 1e3)
    })
}

/// Returns the CPU time of one poll, in seconds, while `jobs` jobs are due and each of them follows a plan.
pub(super) fn cpu_per_poll(jobs: u64, order: Order) -> Result<f64, Failure> {
    const RATE: u32 = 5_000;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let clock = Clock::start();
        let source = source_fn(move |id: JobId| async move { Ok(Job::of(&id).state(clock.ms())) });
        let mut history = History::new();
        (95..115).for_each(|n| history.record("default", Sample::ended(DECISECOND * n)));
        // Each job wants a poll far more often than the rate allows, and none is forced.
        let day = Duration::from_secs(86_400);
        let learned = Learned::new().poll_cost(Duration::from_millis(10)).max_interval(day);
        let policy = Policy::new().schedule(Schedule::learned(learned)?).timeout(day);
        let quota = Quota::new(RATE, Duration::from_secs(1))?.with_burst(1);
        let builder = Waiter::builder(source).policy(policy).quota(quota).history(history).seed(7);
        let builder = if order == Order::Worth { builder } else { builder.without_worth_order() };
        let waiter = builder.build()?;
        let ids = (0..jobs).map(|lane| Job { begin: 0, end: u64::MAX / 2 }.id(lane));
        let mut watch = waiter.watch(ids);
        let notice = async { while watch.next().await.is_some() {} };
        let turn = jobs * 1_000 / u64::from(RATE) + 1_000;
        let measure = async {
            clock.reach(3 * turn).await;
            let (before, polls) = (Reading::take()?.cpu, waiter.stats().polls);
            clock.reach(4 * turn).await;
            let cpu = Reading::take()?.cpu - before;
            Ok(cpu.as_secs_f64() / (waiter.stats().polls - polls) as f64)
        };
        match select(pin!(notice), pin!(measure)).await {
            Either::Left(_) => Err("the jobs have ended".into()),
            Either::Right((cpu, _)) => cpu,
        }
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration of a law")]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1e3) as u64 + 1
}

//! Those who wait: a watch that goes on from checkpoints, waits on runtimes that come and go, and blocking waits.

#![expect(clippy::disallowed_methods, reason = "users live in real time, in tasks and threads")]

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use cfw_waiter::{
    Checkpoint, JobId, JobOptions, JobSource, Outcome, Policy, Update, UpdateKind, Waiter,
    WaiterBuilder, blocking,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::leaks::Leaks;
use super::ledger::{Fate, Group, Ledger, id, number};
use super::runtimes::Runtimes;

const TICK: Duration = Duration::from_millis(20);
/// How long a watch is used before the next one goes on from its checkpoint.
const WATCH_LIFE: Duration = Duration::from_secs(10);
/// How often a runtime is started, and how long it lives: several at a time share a waiter.
const RUNTIME_PAUSE: Duration = Duration::from_secs(3);
const RUNTIME_LIFE: Duration = Duration::from_secs(8);
const RUNTIMES: usize = 3;
const REMOVED_AFTER: Duration = Duration::from_secs(3);
/// Whether a wait is dropped early, by its number: one in this many.
const DROPPED: u64 = 9;
const BLOCKING_LIFE: Duration = Duration::from_secs(12);

/// An error that a thread can return.
pub(super) type SentFailure = Box<dyn std::error::Error + Send + Sync>;
pub(super) type User = JoinHandle<Result<(), SentFailure>>;

/// What all users share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) ledger: Arc<Ledger>,
    pub(super) runtimes: Runtimes,
    pub(super) leaks: Arc<Leaks>,
}

impl Common {
    fn begin(&self, number: u64) -> Duration {
        let timeout = self.ledger.begin(number, Instant::now());
        self.leaks.stretch(number, timeout)
    }

    fn end(&self, id: &JobId, outcome: &Outcome) {
        self.ledger.end(id, outcome, Instant::now(), SystemTime::now());
        self.leaks.at_an_end(|| self.ledger.end(id, outcome, Instant::now(), SystemTime::now()));
    }
}

/// Adds what a waiter has polled since the last time.
fn add_polls(ledger: &Ledger, polls: u64, before: &mut u64) {
    ledger.add_polls(polls - std::mem::replace(before, polls));
}

fn builder<S: JobSource>(source: S, policy: &Policy) -> WaiterBuilder<S> {
    Waiter::builder(source)
        .policy(policy.clone())
        .max_in_flight(32)
        .min_interval(Duration::from_millis(100))
        .attempt_timeout(Duration::from_secs(2))
        .quota(None)
}

fn runtime(number: u64) -> std::io::Result<Runtime> {
    // Either kind in turn.
    if number.is_multiple_of(2) {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread().worker_threads(1).enable_all().build()
    }
}

/// Watches the jobs of a group until the last. `renews` says whether each watch has a waiter of its own.
pub(super) fn watch<S: JobSource>(
    common: Common,
    group: Group,
    renews: bool,
    policy: Policy,
    source: impl Fn() -> Result<S, SentFailure> + Send + 'static,
) -> User {
    thread::spawn(move || {
        let runtime = runtime(u64::from(renews))?;
        let _counted = common.runtimes.count(runtime.handle());
        runtime.block_on(async {
            let (mut waiter, mut polls) = (builder(source()?, &policy).build()?, 0);
            let mut json = serde_json::to_string(&Checkpoint::default())?;
            while !common.ledger.is_over(group) {
                let checkpoint = serde_json::from_str(&json)?;
                let checkpoint = watch_for_a_while(&common, group, &waiter, &checkpoint).await;
                json = serde_json::to_string(&checkpoint)?;
                common.ledger.add_resumed();
                add_polls(&common.ledger, waiter.stats().polls, &mut polls);
                drop(waiter.take_learned());
                if renews {
                    (waiter, polls) = (builder(source()?, &policy).build()?, 0);
                }
            }
            Ok(())
        })
    })
}

async fn watch_for_a_while(
    common: &Common,
    group: Group,
    waiter: &Waiter,
    from: &Checkpoint,
) -> Checkpoint {
    let ledger = &common.ledger;
    let mut watch = waiter.resume(from);
    // Ends that the watch before had not reported yet are not in its checkpoint.
    let resumed: BTreeSet<u64> = from.jobs.iter().map(|job| number(&job.id)).collect();
    let mut fresh = ledger.waited_for(group);
    fresh.retain(|number| !resumed.contains(number));
    let mut removed = Vec::new();
    let until = Instant::now() + WATCH_LIFE;
    while Instant::now() < until && !ledger.is_over(group) {
        let handle = watch.handle();
        fresh.extend(std::iter::from_fn(|| ledger.take(group)));
        for number in fresh.drain(..) {
            let options = JobOptions::new().timeout(common.begin(number)).kind("soak");
            handle.add_with(id(number), options);
            if Fate::of(number, group.is_in_memory()) == Fate::Removed {
                removed.push((Instant::now() + REMOVED_AFTER, number));
            }
        }
        drop(handle);
        removed.retain(|(at, number)| {
            let is_due = *at <= Instant::now();
            if is_due {
                watch.remove(id(*number));
            }
            !is_due
        });
        match timeout(TICK, watch.next()).await {
            Ok(Some(Update { id, kind: UpdateKind::Ended(outcome), .. })) => {
                common.end(&id, &outcome);
            }
            // It has no jobs, and no handle that could add some.
            Ok(None) => sleep(TICK).await,
            _ => {}
        }
    }
    watch.checkpoint()
}

/// Waits for the jobs of a group one by one, on runtimes that are started and dropped while waits of one waiter are on them.
pub(super) fn waits<S: JobSource>(
    common: Common,
    group: Group,
    policy: Policy,
    source: impl Fn() -> Result<S, SentFailure> + Send + 'static,
) -> User {
    thread::spawn(move || {
        let (waiter, mut polls) = (builder(source()?, &policy).build()?, 0);
        let mut lives = VecDeque::new();
        for number in 0.. {
            if common.ledger.is_over(group) {
                break;
            }
            let (common_too, waiter_too) = (common.clone(), waiter.clone());
            lives.push_back(thread::spawn(move || -> Result<(), SentFailure> {
                let runtime = runtime(number)?;
                let _counted = common_too.runtimes.count(runtime.handle());
                runtime.block_on(spawn_waits(&common_too, group, &waiter_too));
                Ok(())
            }));
            thread::sleep(RUNTIME_PAUSE);
            let excess = lives.len().saturating_sub(RUNTIMES);
            lives.drain(..excess).try_for_each(join)?;
            add_polls(&common.ledger, waiter.stats().polls, &mut polls);
        }
        lives.into_iter().try_for_each(join)
    })
}

async fn spawn_waits(common: &Common, group: Group, waiter: &Waiter) {
    let until = Instant::now() + RUNTIME_LIFE;
    while Instant::now() < until && !common.ledger.is_over(group) {
        while let Some(number) = common.ledger.take(group) {
            tokio::spawn(wait(common.clone(), waiter.clone(), number));
        }
        sleep(TICK).await;
    }
}

async fn wait(common: Common, waiter: Waiter, number: u64) {
    let mut held = Held { common: &common, number, is_ended: false };
    let wait = waiter.wait_for_job(id(number)).timeout(common.begin(number));
    // Drawn anew for each wait, so that each job has its end.
    let draw = waiter.stats().polls.wrapping_add(number);
    let outcome = if draw.is_multiple_of(DROPPED) {
        timeout(TICK * u32::try_from(draw % 100).unwrap_or(0), wait).await.ok()
    } else {
        Some(wait.await)
    };
    if let Some(outcome) = outcome {
        common.end(&id(number), &outcome);
        held.is_ended = true;
    }
}

/// A job that someone else has to wait for if this wait is dropped.
struct Held<'a> {
    common: &'a Common,
    number: u64,
    is_ended: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.common.ledger.give_back(self.number);
        }
    }
}

/// Waits for the jobs of a group on threads without a runtime, with a client and a waiter that are replaced.
pub(super) fn blocking<S: JobSource>(
    common: Common,
    group: Group,
    policy: Policy,
    source: impl Fn() -> Result<S, SentFailure> + Send + 'static,
) -> User {
    thread::spawn(move || {
        while !common.ledger.is_over(group) {
            let waiter = blocking::Waiter::new(builder(source()?, &policy))?;
            let until = Instant::now() + BLOCKING_LIFE;
            let threads: Vec<_> = (0..group.size())
                .map(|_| {
                    let (common, waiter) = (common.clone(), waiter.clone());
                    thread::spawn(move || wait_in_turn(&common, group, &waiter, until))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join()).try_for_each(joined)?;
            common.ledger.add_polls(waiter.stats().polls);
        }
        Ok(())
    })
}

fn wait_in_turn(
    common: &Common,
    group: Group,
    waiter: &blocking::Waiter,
    until: Instant,
) -> Result<(), SentFailure> {
    while Instant::now() < until && !common.ledger.is_over(group) {
        let Some(number) = common.ledger.take(group) else {
            thread::sleep(TICK);
            continue;
        };
        let wait = waiter.wait_for_job(id(number)).timeout(common.begin(number));
        common.end(&id(number), &wait.wait());
    }
    Ok(())
}

/// Joins a thread, and returns what it returned.
pub(super) fn join(thread: User) -> Result<(), SentFailure> {
    joined(thread.join())
}

fn joined(result: thread::Result<Result<(), SentFailure>>) -> Result<(), SentFailure> {
    result.map_err(|_| "a user panicked")?
}

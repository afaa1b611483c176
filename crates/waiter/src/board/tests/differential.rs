//! The driver adds nothing of its own: the same scripts through the pure world, and through a real waiter on
//! a paused clock, are heard alike.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::properties::{id, policy, script};
use super::script::*;
use super::world::*;
use crate::board::{Answer, Time};
use crate::{
    Attempt, ErrorClass, JobId, JobSource, JobState, Policy, SourceError, UpdateKind, WaitError,
    WaitErrorKind, Waiter,
};

const JOBS: usize = 4;

/// What a consumer heard of a job: its statuses, its end, and when that came.
type Story = (Vec<String>, Option<WaitErrorKind>, Duration);

/// Plays scripts on the runtime's clock.
struct Player {
    start: Instant,
    scripts: BTreeMap<JobId, Script>,
    requests: Mutex<BTreeMap<JobId, usize>>,
}

impl JobSource for Player {
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        let now = Time::at(self.start.elapsed());
        let script = &self.scripts[id];
        let number = {
            let mut requests = self.requests.lock().expect("no panic while it is held");
            let number = requests.entry(id.clone()).or_default();
            *number += 1;
            *number - 1
        };
        let answer = answer(script, script.faults.get(number).copied().flatten(), now);
        #[expect(clippy::disallowed_methods, reason = "the latency of a service")]
        tokio::time::sleep(script.latency).await;
        match answer {
            Some(Answer::Told(told)) => told,
            Some(Answer::Panicked(text)) => Err(SourceError::new(ErrorClass::Fatal, text)),
            None => std::future::pending().await,
        }
    }
}

async fn through_the_driver(scripts: &[Script], policy: &Policy) -> BTreeMap<JobId, Story> {
    #[expect(clippy::disallowed_methods, reason = "a service has a clock")]
    let start = Instant::now();
    let scripts = scripts.iter().enumerate().map(|(job, script)| (id(job).into(), script.clone()));
    let player = Player { start, scripts: scripts.collect(), requests: Mutex::default() };
    let waiter = Waiter::builder(player).seed(7).build().expect("the defaults are sound");
    let mut watch = waiter.watch((0..JOBS).map(id)).policy(policy.clone());
    let mut stories: BTreeMap<JobId, Story> = BTreeMap::new();
    while let Some(update) = watch.next().await {
        let story = stories.entry(update.id).or_default();
        match update.kind {
            UpdateKind::Changed { to, .. } => story.0.push(to.status.into_owned()),
            UpdateKind::Progressed(_) | UpdateKind::Trouble(_) => {}
            UpdateKind::Ended(outcome) => {
                story.1 = outcome.as_ref().err().map(WaitError::kind);
                story.2 = update.elapsed;
            }
        }
    }
    stories
}

fn through_the_world(scripts: &[Script], policy: &Policy) -> BTreeMap<JobId, Story> {
    let mut world = World::new(crate::board::Budget { resolution: ms(2), ..budget() });
    for (job, script) in scripts.iter().enumerate() {
        world.script(&id(job), script.clone());
    }
    world.watch([], policy);
    for job in 0..JOBS {
        world.add(0, &id(job), policy);
    }
    world.run();
    let story = |heard: &Heard| {
        let statuses = heard.statuses.iter().map(|(_, status)| status.clone()).collect();
        let (at, outcome) = heard.end.as_ref().expect("each wait has ended");
        (statuses, outcome.as_ref().err().map(WaitError::kind), at.since(heard.started))
    };
    world.heard.iter().map(|((_, id), heard)| (id.clone(), story(heard))).collect()
}

#[test]
fn the_driver_and_the_pure_world_tell_the_same_stories() {
    // The runtime's timer has a resolution of a millisecond, so polls drift apart by some. Now and then a job
    // ends, or another's poll is due, in just that gap.
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let cases = (prop::collection::vec(script(), JOBS), policy());
    let (mut stories, mut others) = (0, 0);
    for _ in 0..400 {
        let (scripts, policy) = cases.new_tree(&mut runner).expect("a case").current();
        let scripts: Vec<Script> = scripts.into_iter().map(without_panics).collect();
        let timeout = policy.timeout.min(secs(400));
        let policy = policy.timeout(timeout);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let driven = runtime.block_on(through_the_driver(&scripts, &policy));
        for (id, (statuses, kind, at)) in through_the_world(&scripts, &policy) {
            let (driven_statuses, driven_kind, driven_at) = &driven[&id];
            let alike = (&statuses, &kind) == (driven_statuses, driven_kind)
                && at.abs_diff(*driven_at) <= ms(100);
            stories += 1;
            others += u32::from(!alike);
        }
    }
    println!("{others} of {stories} stories differ");
    assert!(others * 100 <= stories, "{others} of {stories} stories differ");
}

/// A panic would be printed once for each case; the driver's own tests have it.
fn without_panics(mut script: Script) -> Script {
    script
        .faults
        .iter_mut()
        .filter(|fault| **fault == Some(Fault::Panic))
        .for_each(|fault| *fault = Some(Fault::Fatal));
    script
}

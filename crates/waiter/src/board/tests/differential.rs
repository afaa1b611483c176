//! The driver adds nothing of its own: random worlds in which handles act are played on the core alone, and by a waiter on a
//! paused clock. Both must make the same polls at the same instants, and report the same at the same instants.
//!
//! The core is driven here by a few lines of `World`, at the instants at which Tokio's clock can wake a driver. Two things that
//! happen at one instant have no order of their own, so a world or two may differ.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::properties::{self, Deed, id, policy, script};
use super::script::*;
use super::world::*;
use crate::board::{Answer, Budget, Time};
use crate::{
    Attempt, ErrorClass, History, JobId, JobSource, JobState, Policy, Sample, SourceError, Update,
    UpdateKind, WaitError, WaitErrorKind, Waiter, Watch,
};

const WORLDS: u32 = 600;
/// When a world is looked at. Some waits have no deadline.
const END: u64 = 400_000;

/// What handles do, when it is time.
#[derive(Clone, Debug)]
enum Act {
    Deed(Deed),
    Poke(usize),
    Tell(usize, bool),
}

#[derive(Clone, Debug)]
struct Case {
    budget: Budget,
    scripts: Vec<Script>,
    outages: Vec<(Time, Time, Fault)>,
    acts: Vec<(u64, Act)>,
}

/// What a consumer heard of a job, and when.
#[derive(Clone, Debug, Default, PartialEq)]
struct Story {
    statuses: Vec<(Time, String)>,
    progressed: usize,
    troubles: Vec<Time>,
    end: Option<(Time, Option<WaitErrorKind>)>,
}

/// Every poll, and every story by watch and job.
type Played = (Vec<(Time, JobId)>, BTreeMap<(usize, JobId), Story>);

fn case() -> impl Strategy<Value = Case> {
    let act = prop_oneof![
        2 => (0_usize..5).prop_map(Act::Poke),
        1 => (0_usize..5, prop::bool::weighted(0.3)).prop_map(|(job, ends)| Act::Tell(job, ends)),
    ];
    let acts = prop::collection::vec((0_u64..120_000, act), 0..6);
    // A crowd beside the few jobs that handles act on.
    let crowd = prop::option::weighted(0.5, prop::collection::vec(script(), 10..40));
    (properties::case(), acts, crowd, policy()).prop_map(|(case, acts, crowd, policy)| {
        let crowd = crowd.unwrap_or_default();
        let few = case.scripts.len();
        let jobs = (few..few + crowd.len()).collect();
        let watch = (0, Act::Deed(Deed::Watch(jobs, policy)));
        let deeds = case.deeds.into_iter().map(|(at, deed)| (at, Act::Deed(deed)));
        let mut acts: Vec<_> = deeds.chain(acts).chain([watch]).collect();
        acts.sort_by_key(|(at, _)| *at);
        let outages = case.outages.iter();
        Case {
            budget: Budget { resolution: ms(2), ..case.budget },
            scripts: case.scripts.into_iter().chain(crowd).map(without_panics).collect(),
            outages: outages
                .map(|&(from, len, fault)| (at(from), at(from + len), calm(fault)))
                .collect(),
            acts: sensible(acts),
        }
    })
}

/// Leaves out what is done to watches that are not open, and adding a job to a watch that has had it: stories are told by
/// watch and job.
fn sensible(acts: Vec<(u64, Act)>) -> Vec<(u64, Act)> {
    let (mut watches, mut closed) = (Vec::new(), BTreeSet::new());
    let mut is_sensible = |act: &mut Act| match act {
        Act::Poke(_) | Act::Tell(..) => true,
        Act::Deed(Deed::Watch(jobs, _)) => {
            let jobs: BTreeSet<usize> = jobs.drain(..).collect();
            watches.push(jobs.clone());
            let Act::Deed(Deed::Watch(distinct, _)) = act else { return false };
            distinct.extend(jobs);
            true
        }
        Act::Deed(Deed::Add(watch, job)) => {
            !closed.contains(watch) && watches.get_mut(*watch).is_some_and(|jobs| jobs.insert(*job))
        }
        Act::Deed(Deed::Close(watch)) => *watch < watches.len() && closed.insert(*watch),
        Act::Deed(Deed::Remove(watch, _) | Deed::Neglect(watch, _) | Deed::Drain(watch)) => {
            *watch < watches.len() && !closed.contains(watch)
        }
    };
    acts.into_iter()
        .filter_map(|(at, mut act)| is_sensible(&mut act).then_some((at, act)))
        .collect()
}

/// A panic would be printed once for each case; the driver's own tests have it.
fn calm(fault: Fault) -> Fault {
    if fault == Fault::Panic { Fault::Fatal } else { fault }
}

fn without_panics(mut script: Script) -> Script {
    script.faults.iter_mut().flatten().for_each(|fault| *fault = calm(*fault));
    script
}

fn state(ends: bool) -> JobState {
    if ends { JobState::succeeded() } else { JobState::running().with_status("Reported") }
}

/// So that plans are kept to from the first job on.
fn history() -> History {
    let mut history = History::new();
    for seconds in [8, 30, 31, 33, 60] {
        history.record("default", Sample::ended(secs(seconds)));
    }
    history
}

/// Plays scripts on the runtime's clock.
struct Player {
    start: Instant,
    scripts: BTreeMap<JobId, Script>,
    outages: Vec<(Time, Time, Fault)>,
    requests: Mutex<BTreeMap<JobId, usize>>,
    polls: Mutex<Vec<(Time, JobId)>>,
}

impl Player {
    fn now(&self) -> Time {
        Time::at(self.start.elapsed())
    }
}

impl JobSource for Player {
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        let now = self.now();
        self.polls.lock().expect("no panic while it is held").push((now, id.clone()));
        let script = &self.scripts[id];
        let number = {
            let mut requests = self.requests.lock().expect("no panic while it is held");
            let number = requests.entry(id.clone()).or_default();
            *number += 1;
            *number - 1
        };
        let outage = self.outages.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        let fault = outage.map(|&(.., fault)| fault);
        let answer = answer(script, fault.or(script.faults.get(number).copied().flatten()), now);
        #[expect(clippy::disallowed_methods, reason = "the latency of a service")]
        tokio::time::sleep(script.latency).await;
        match answer {
            Some(Answer::Received(told)) => told,
            Some(Answer::Panicked(text)) => Err(SourceError::new(ErrorClass::Fatal, text)),
            None => std::future::pending().await,
        }
    }
}

/// A consumer of several watches.
struct Consumer {
    player: Arc<Player>,
    waiter: Waiter,
    /// Each with whether it is looked at.
    watches: Vec<Option<(Watch, bool)>>,
    stories: BTreeMap<(usize, JobId), Story>,
}

impl Consumer {
    /// Takes all updates that come before a time.
    async fn listen_until(&mut self, end: u64) {
        #[expect(clippy::disallowed_methods, reason = "a consumer has a clock")]
        let mut sleep = pin!(tokio::time::sleep_until(self.player.start + ms(end)));
        std::future::poll_fn(|cx| {
            for number in 0..self.watches.len() {
                if self.watches[number].as_ref().is_some_and(|(_, keeps_up)| *keeps_up) {
                    self.drain(number, cx);
                }
            }
            sleep.as_mut().poll(cx)
        })
        .await;
    }

    fn drain(&mut self, number: usize, cx: &mut std::task::Context<'_>) {
        while let Some((watch, _)) = &mut self.watches[number] {
            let Poll::Ready(Some(update)) = pin!(watch.next()).poll(cx) else { return };
            self.hear(number, update);
        }
    }

    fn hear(&mut self, number: usize, update: Update) {
        let now = self.player.now();
        let story = self.stories.entry((number, update.id)).or_default();
        match update.kind {
            UpdateKind::Changed { to, .. } => story.statuses.push((now, to.status.into_owned())),
            UpdateKind::Progressed(_) => story.progressed += 1,
            UpdateKind::Trouble(_) => story.troubles.push(now),
            UpdateKind::Ended(outcome) => {
                story.end = Some((now, outcome.as_ref().err().map(WaitError::kind)));
            }
        }
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Deed(Deed::Watch(jobs, policy)) => {
                let watch = self.waiter.watch(jobs.iter().map(|job| id(*job)));
                self.watches.push(Some((watch.policy(policy.clone()), true)));
            }
            Act::Deed(Deed::Add(watch, job)) => {
                assert!(self.watch(*watch).add(id(*job)));
            }
            Act::Deed(Deed::Remove(watch, job)) => {
                self.watch(*watch).remove(id(*job));
            }
            Act::Deed(Deed::Close(watch)) => {
                self.watches[*watch] = None;
                self.stories.retain(|(number, _), _| number != watch);
            }
            Act::Deed(Deed::Neglect(watch, neglected)) => {
                self.watches[*watch].as_mut().expect("it is open").1 = !neglected;
            }
            Act::Deed(Deed::Drain(watch)) => {
                let drain = |cx: &mut std::task::Context<'_>| {
                    self.drain(*watch, cx);
                    Poll::Ready(())
                };
                std::future::poll_fn(drain).await;
            }
            Act::Poke(job) => drop(self.waiter.poke(id(*job))),
            Act::Tell(job, ends) => drop(self.waiter.tell(id(*job), state(*ends))),
        }
    }

    fn watch(&self, number: usize) -> &Watch {
        &self.watches[number].as_ref().expect("it is open").0
    }
}

async fn through_the_driver(case: &Case) -> Played {
    #[expect(clippy::disallowed_methods, reason = "a service has a clock")]
    let start = Instant::now();
    let scripts = case.scripts.iter().enumerate();
    let player = Arc::new(Player {
        start,
        scripts: scripts.map(|(job, script)| (id(job).into(), script.clone())).collect(),
        outages: case.outages.clone(),
        requests: Mutex::default(),
        polls: Mutex::default(),
    });
    let waiter = Waiter::builder(Arc::clone(&player))
        .seed(7)
        .max_in_flight(case.budget.max_in_flight)
        .quota(case.budget.quota)
        .history(history())
        .build()
        .expect("the budget is sound");
    let mut consumer = Consumer {
        player: Arc::clone(&player),
        waiter,
        watches: Vec::new(),
        stories: BTreeMap::new(),
    };
    for (time, act) in &case.acts {
        consumer.listen_until(*time).await;
        consumer.act(act).await;
    }
    consumer.listen_until(END).await;
    let polls = player.polls.lock().expect("no panic while it is held").clone();
    (polls, consumer.stories)
}

fn through_the_core(case: &Case) -> World {
    let mut world = World::new(case.budget);
    world.board.set_history(history());
    for (job, script) in case.scripts.iter().enumerate() {
        world.script(&id(job), script.clone());
    }
    world.outages.clone_from(&case.outages);
    let mut policies: Vec<Policy> = Vec::new();
    for (time, act) in &case.acts {
        world.drive_until(at(*time));
        match act {
            Act::Deed(Deed::Watch(jobs, policy)) => {
                policies.push(policy.clone());
                let watch = world.watch([], policy);
                for &job in jobs {
                    assert!(world.add(watch, &id(job), policy));
                }
            }
            Act::Deed(Deed::Add(watch, job)) => {
                assert!(world.add(*watch, &id(*job), &policies[*watch]));
            }
            Act::Deed(Deed::Remove(watch, job)) => {
                world.remove(*watch, &id(*job));
            }
            Act::Deed(Deed::Close(watch)) => world.close(*watch),
            Act::Deed(Deed::Neglect(watch, neglected)) => world.neglect(*watch, *neglected),
            Act::Deed(Deed::Drain(watch)) => world.drain_late(*watch),
            Act::Poke(job) => drop(world.board.poke(world.now, &id(*job))),
            Act::Tell(job, ends) => drop(world.board.tell(world.now, &id(*job), &state(*ends))),
        }
        world.follow();
    }
    world.drive_until(at(END));
    world
}

fn played_by(world: &World) -> Played {
    let story = |heard: &Heard| Story {
        statuses: heard.statuses.clone(),
        progressed: heard.progressed.len(),
        troubles: heard.troubles.clone(),
        end: heard
            .end
            .as_ref()
            .map(|(at, outcome)| (*at, outcome.as_ref().err().map(WaitError::kind))),
    };
    let stories = world.heard.iter().map(|(job, heard)| (job.clone(), story(heard)));
    (world.polls.clone(), stories.filter(|(_, story)| *story != Story::default()).collect())
}

#[test]
fn the_driver_polls_and_reports_as_the_core_alone_does() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let cases = case();
    let (mut differing, mut polls, mut seen) = (0, 0, BTreeMap::<String, u32>::new());
    for number in 0..WORLDS {
        let case = cases.new_tree(&mut runner).expect("a case").current();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let mut driven = runtime.block_on(through_the_driver(&case));
        let mut world = through_the_core(&case);
        let mut expected = played_by(&world);
        // Polls of one instant have no order.
        [&mut driven.0, &mut expected.0].into_iter().for_each(|polls| polls.sort());
        polls += expected.0.len();
        let stats = world.stats();
        let ends = expected.1.values().filter_map(|story| story.end);
        let mut situations: BTreeSet<String> = ends.map(|(_, kind)| format!("{kind:?}")).collect();
        situations.extend((!stats.paused.is_zero()).then(|| "a pause".to_owned()));
        situations
            .extend((stats.timed_out > 0).then(|| "a request that takes too long".to_owned()));
        situations.extend((expected.0.len() >= 30).then(|| "30 polls or more".to_owned()));
        situations.extend((case.scripts.len() > 10).then(|| "a crowd".to_owned()));
        for situation in situations {
            *seen.entry(situation).or_default() += 1;
        }
        if driven != expected {
            differing += 1;
            if differing <= 3 {
                println!("world {number}: {}", difference(&driven, &expected));
            }
        }
    }
    println!("{differing} of {WORLDS} worlds differ, of {polls} polls");
    for (situation, worlds) in &seen {
        println!(
            "{:5.1} % of the worlds: {situation}",
            f64::from(*worlds) * 100.0 / f64::from(WORLDS)
        );
    }
    assert!(differing <= 2, "{differing} of {WORLDS} worlds differ");
    assert!(seen["30 polls or more"] > WORLDS / 2, "most worlds must be worth their name");
    let situations = ["None", "Some(TimedOut)", "Some(Lost)", "Some(Removed)", "Some(Unreachable)"];
    for situation in
        situations.into_iter().chain(["a pause", "a request that takes too long", "a crowd"])
    {
        assert!(seen.get(situation).is_some_and(|worlds| *worlds >= 10), "{situation} is rare");
    }
}

/// Returns the first poll or story in which two worlds differ.
fn difference(driven: &Played, expected: &Played) -> String {
    let polls = driven.0.iter().zip(&expected.0).position(|(one, other)| one != other);
    if let Some(at) = polls {
        return format!("poll {at}: {:?}, and not {:?}", driven.0[at], expected.0[at]);
    }
    if driven.0.len() != expected.0.len() {
        return format!("{} polls, and not {}", driven.0.len(), expected.0.len());
    }
    let jobs: BTreeSet<_> = driven.1.keys().chain(expected.1.keys()).collect();
    let differs = jobs.into_iter().find(|job| driven.1.get(job) != expected.1.get(job));
    differs.map_or_else(String::new, |job| {
        format!("{job:?}: {:?}, and not {:?}", driven.1.get(job), expected.1.get(job))
    })
}

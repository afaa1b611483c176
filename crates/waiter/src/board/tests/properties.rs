//! The rules over random worlds: jobs, faults, consumers, budgets and interference, shrunk when they fail.
//!
//! [`World`] checks rules 2, 4, 5, 8 and 10 at each step; what needs the whole story is checked at its end.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::script::*;
use super::world::*;
use crate::board::{Budget, Time};
use crate::policy::UnknownStatus;
use crate::{ErrorClass, History, Learned, Policy, Quota, Sample, Schedule, WaitErrorKind};

const CASES: u32 = 10_000;
const JOBS: usize = 5;

#[derive(Clone, Debug)]
pub(super) enum Deed {
    Watch(Vec<usize>, Policy),
    Add(usize, usize),
    Remove(usize, usize),
    Close(usize),
    Neglect(usize, bool),
    Drain(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) budget: Budget,
    pub(super) scripts: Vec<Script>,
    pub(super) outages: Vec<(u64, u64, Fault)>,
    pub(super) deeds: Vec<(u64, Deed)>,
}

fn fault() -> impl Strategy<Value = Fault> {
    let quota = (1_u32..30, 1_u64..90).prop_map(|(calls, per)| Quota::new(calls, secs(per)).ok());
    let hint = prop::option::of((1_u64..40_000).prop_map(ms));
    prop_oneof![
        8 => Just(Fault::Transient),
        1 => (1_u64..20).prop_map(|s| Fault::Unavailable(secs(s))),
        3 => (hint, prop_oneof![Just(None), quota]).prop_map(|(hint, quota)| Fault::Throttled(hint, quota)),
        6 => Just(Fault::NotFound),
        2 => Just(Fault::Unreached),
        3 => prop::bool::weighted(0.8).prop_map(Fault::Unexpected),
        1 => Just(Fault::Fatal),
        1 => Just(Fault::Panic),
        2 => Just(Fault::Hang),
        3 => Just(Fault::Unknown),
    ]
}

pub(super) fn script() -> impl Strategy<Value = Script> {
    let faults = prop::collection::vec(prop::option::weighted(0.4, fault()), 0..12);
    let ends = prop::option::weighted(0.85, (0_u64..120_000, prop::bool::weighted(0.7)));
    let latency = prop_oneof![8 => 1_u64..3_000, 1 => 3_000_u64..45_000];
    let clock = prop::option::of((-9_000_i64..90_000, -4_000_i64..90_000));
    let clock = clock
        .prop_map(|clock| clock.map(|(age, ahead)| ServerClock { age, ahead, misstated: [0; 2] }));
    let detail = prop::option::weighted(0.3, (100_u64..40_000).prop_map(ms));
    let parts = (0_u64..20_000, ends, faults, latency, clock, detail);
    parts.prop_map(|(appears, ends, faults, latency, clock, detail_every)| Script {
        detail_every,
        appears: at(appears.saturating_sub(10_000)),
        ends: ends.map(|(end, good)| (at(end), good)),
        faults,
        latency: ms(latency),
        clock,
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let schedule = prop_oneof![
        Just(Schedule::default()),
        (500_u64..20_000).prop_map(|d| Schedule::fixed(ms(d)).unwrap()),
        prop::collection::vec(1_u64..9_000, 1..6)
            .prop_map(|list| Schedule::delays(list.into_iter().map(ms)).unwrap()),
        (1_u64..20_000)
            .prop_map(|cost| { Schedule::learned(Learned::new().poll_cost(ms(cost))).unwrap() }),
    ];
    let timeout = prop_oneof![9 => 0_u64..200_000, 1 => Just(u64::MAX)];
    let limits = (prop::option::weighted(0.2, 1_u32..4), prop::option::weighted(0.2, 1_u32..6));
    let unreached = prop::option::weighted(0.3, (0_u64..60_000).prop_map(ms));
    let limits = (limits.0, limits.1, unreached);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (schedule, timeout, 0_u64..30_000, limits, flags).prop_map(
        |(schedule, timeout, grace, (row, total, unreached), (fail, at_once))| {
            let unknown = if fail { UnknownStatus::Fail } else { UnknownStatus::WaitOn };
            let timeout = if timeout == u64::MAX { std::time::Duration::MAX } else { ms(timeout) };
            let policy = Policy::new().schedule(schedule).timeout(timeout).unknown_status(unknown);
            let policy = policy.not_found_grace(ms(grace)).first_poll_at_once(at_once);
            let policy = policy.failures_in_a_row(row.unwrap_or(u32::MAX));
            let policy = policy.failures_in_total(total.unwrap_or(u32::MAX));
            policy.give_up_unreached(unreached)
        },
    )
}

fn deed() -> impl Strategy<Value = Deed> {
    let ids = prop::collection::vec(0..JOBS, 1..=JOBS);
    prop_oneof![
        4 => (ids, policy()).prop_map(|(ids, policy)| Deed::Watch(ids, policy)),
        3 => (0_usize..6, 0..JOBS).prop_map(|(watch, job)| Deed::Add(watch, job)),
        2 => (0_usize..6, 0..JOBS).prop_map(|(watch, job)| Deed::Remove(watch, job)),
        1 => (0_usize..6).prop_map(Deed::Close),
        1 => (0_usize..6, any::<bool>()).prop_map(|(watch, neglected)| Deed::Neglect(watch, neglected)),
        1 => (0_usize..6).prop_map(Deed::Drain),
    ]
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let quota = prop::option::weighted(0.3, (1_u32..20, 1_u64..10, 1_u32..20));
    let budget =
        (1_u32..8, quota, 0_u64..2).prop_map(|(max_in_flight, quota, resolution)| Budget {
            max_in_flight,
            quota: quota.and_then(|(calls, per, burst)| {
                Some(Quota::new(calls, secs(per)).ok()?.with_burst(burst))
            }),
            resolution: ms(resolution),
            ..budget()
        });
    let some_time = (0_u64..150_000, 1_u64..60_000);
    let refused = prop_oneof![9 => fault(), 1 => Just(Fault::Refused)];
    let outage = prop_oneof![
        8 => (some_time, refused).prop_map(|((from, len), fault)| (from, len, fault)),
        1 => (1_u64..150_000, prop_oneof![Just(Fault::Unreached), Just(Fault::Hang)])
            .prop_map(|(len, fault)| (0, len, fault)),
    ];
    let first = (prop::collection::vec(0..JOBS, 4..=JOBS), policy())
        .prop_map(|(ids, policy)| (0, Deed::Watch(ids, policy)));
    let deeds = prop::collection::vec((0_u64..120_000, deed()), 2..12);
    let scripts = prop::collection::vec(script(), JOBS);
    (budget, scripts, prop::collection::vec(outage, 0..2), first, deeds).prop_map(
        |(budget, scripts, outages, first, mut deeds)| {
            deeds.push(first);
            deeds.sort_by_key(|(at, _)| *at);
            Case { budget, scripts, outages, deeds }
        },
    )
}

pub(super) fn id(job: usize) -> String {
    format!("job-{job}")
}

/// Plays a case to its end, all consumers attentive at last.
pub(super) fn play(case: &Case) -> World {
    let mut world = World::new(case.budget);
    // So that plans are kept to from the first job on.
    let mut history = History::new();
    for seconds in [8, 30, 31, 33, 60] {
        history.record("default", Sample::ended(secs(seconds)));
    }
    world.board.set_history(history);
    for (job, script) in case.scripts.iter().enumerate() {
        world.script(&id(job), script.clone());
    }
    world.outages =
        case.outages.iter().map(|&(from, len, fault)| (at(from), at(from + len), fault)).collect();
    let mut policies: Vec<Policy> = Vec::new();
    for (time, deed) in &case.deeds {
        world.run_until(at(*time));
        let open = policies.len();
        let is_open = |world: &World, watch: usize| watch < open && world.is_open(watch);
        match deed {
            Deed::Watch(jobs, policy) => {
                policies.push(policy.clone());
                let watch = world.watch([], policy);
                for &job in jobs {
                    add(&mut world, watch, job, policy);
                }
            }
            Deed::Add(watch, job) if is_open(&world, *watch) => {
                add(&mut world, *watch, *job, &policies[*watch])
            }
            Deed::Remove(watch, job) if is_open(&world, *watch) => {
                world.remove(*watch, &id(*job));
            }
            Deed::Close(watch) if is_open(&world, *watch) => world.close(*watch),
            Deed::Neglect(watch, neglected) if is_open(&world, *watch) => {
                world.neglect(*watch, *neglected)
            }
            Deed::Drain(watch) if is_open(&world, *watch) => world.drain(*watch),
            Deed::Add(..)
            | Deed::Remove(..)
            | Deed::Close(_)
            | Deed::Neglect(..)
            | Deed::Drain(_) => {}
        }
    }
    // Waits without a deadline would go on for ever, and a consumer that looks too late is not judged by time.
    world.run_until(at(400_000));
    for watch in 0..policies.len() {
        world.drain(watch);
    }
    world
}

/// Adds a job unless it is or was in the watch: what was heard of it is kept per watch and id.
fn add(world: &mut World, watch: usize, job: usize, policy: &Policy) {
    // A wait without any time has ended at once, and its consumer looks only after the next turn.
    let has_time = policy.timeout > world.budget.resolution;
    let heard = world.heard.get(&(watch, id(job).into()));
    let has_ended = heard.is_some_and(|heard| heard.end.is_some());
    if heard.is_none() {
        assert!(world.add(watch, &id(job), policy));
    } else if world.keeps_up(watch) && has_time && !has_ended {
        assert!(!world.add(watch, &id(job), policy));
    }
}

/// The moment at which a wait must have ended at the latest.
fn check(case: &Case, world: &World) -> Result<Vec<Option<WaitErrorKind>>, TestCaseError> {
    let mut kinds = Vec::new();
    for ((_, id), heard) in &world.heard {
        let Some((_, outcome)) = &heard.end else {
            prop_assert!(heard.deadline > at(400_000), "rule 1: {id} never ended");
            continue;
        };
        let report = outcome.as_ref().unwrap_or_else(|error| error.report());
        let elapsed_to = heard.started.after(report.elapsed);
        prop_assert!(elapsed_to <= heard.deadline, "rule 5: {id} ended after its deadline");
        let script = &world.scripts[id];
        let kind = outcome.as_ref().err().map(crate::WaitError::kind);
        match kind {
            None => prop_assert!(
                matches!(script.ends, Some((end, true)) if end <= elapsed_to),
                "rule 1"
            ),
            Some(WaitErrorKind::Failed) => {
                prop_assert!(
                    matches!(script.ends, Some((end, false)) if end <= elapsed_to),
                    "rule 1"
                );
            }
            Some(WaitErrorKind::TimedOut) => {
                let slack = case.budget.resolution;
                prop_assert_eq!(
                    elapsed_to.after(slack).max(heard.deadline),
                    elapsed_to.after(slack),
                    "rule 5: {} gave up early",
                    id
                );
            }
            Some(WaitErrorKind::Unreachable) => {
                prop_assert_eq!(world.first_answer.filter(|&first| first <= elapsed_to), None);
                let cause = outcome.as_ref().err().and_then(|error| error.cause());
                prop_assert_eq!(cause.map(|cause| cause.class()), Some(ErrorClass::Unreached));
            }
            Some(WaitErrorKind::Removed) => prop_assert!(heard.removed),
            Some(_) => {}
        }
        kinds.push(kind);
    }
    // Rule 8: never above a rate that was set.
    if let Some(quota) = case.budget.quota {
        let times: Vec<Time> = world.polls.iter().map(|(time, _)| *time).collect();
        for (n, from) in times.iter().enumerate() {
            let until = times.partition_point(|time| *time < from.after(quota.per()));
            prop_assert!(
                until - n <= quota.calls().get() as usize,
                "rule 8: too many polls in a window"
            );
        }
    }
    Ok(kinds)
}

#[test]
fn rules_hold_in_random_worlds() {
    let ends: RefCell<BTreeMap<String, u32>> = RefCell::default();
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let result = runner.run(&case(), |case| {
        let world = play(&case);
        let mut kinds: Vec<String> =
            check(&case, &world)?.iter().map(|kind| format!("{kind:?}")).collect();
        kinds.push("(any)".into());
        if world.polls.len() + world.heard.len() >= 30 {
            kinds.push("(30 events or more)".into());
        }
        if world.heard.keys().filter(|(watch, _)| *watch == 0).count() >= 3 {
            kinds.push("(3 ids or more)".into());
        }
        kinds.sort();
        kinds.dedup();
        for kind in kinds {
            *ends.borrow_mut().entry(kind).or_default() += 1;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let ends = ends.into_inner();
    for (kind, cases) in &ends {
        println!("{:5.1} % of the cases: {kind}", f64::from(*cases) * 100.0 / f64::from(CASES));
    }
    let kinds = [
        "None",
        "Failed",
        "TimedOut",
        "Lost",
        "Refused",
        "Fatal",
        "TooManyFailures",
        "Unreachable",
        "UnknownStatus",
        "Panicked",
        "Removed",
    ];
    let seen = |kind: &str| ends.keys().any(|end| end == kind || *end == format!("Some({kind})"));
    let missing: Vec<_> = kinds.into_iter().filter(|kind| !seen(kind)).collect();
    assert_eq!(missing, [""; 0], "ends that no case reaches");
    let most = |what: &str| ends.get(what).is_some_and(|&cases| cases > CASES / 2);
    assert!(
        most("(30 events or more)") && most("(3 ids or more)"),
        "most cases must be worth their name"
    );
}

proptest! {
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, ..Config::default() })]

    /// Rule 5 from the other side: what can be noticed in time, is.
    #[test]
    fn rule_05_a_job_that_ends_before_the_last_poll_is_never_missed(
        end in 0_u64..100_000, latency in 1_u64..240, timeout in 1_000_u64..120_000, policy in policy(),
    ) {
        let policy = policy.timeout(ms(timeout));
        let script = Script { latency: ms(latency), ..Script::succeeds(end) };
        let mut world = World::of_one(script, &policy);
        world.run();
        let last = timeout - 1_000.min(timeout / 4);
        let (_, kind) = world.end();
        // One that is in flight at that moment may have been sent too early to see it.
        if end + latency < last {
            prop_assert_eq!(kind, None);
        }
    }

    /// Whether all are slow, or some among others, or what is slow changes.
    #[test]
    fn rule_05_answers_that_take_longer_than_an_attempt_at_first_are_heard(
        latencies in prop::collection::vec(prop_oneof![10_u64..3_000, 10_000_u64..40_000], 1..25),
        end in 0_u64..100_000, max_in_flight in 1_u32..40,
    ) {
        let mut world = World::new(Budget { max_in_flight, ..budget() });
        let policy = Policy::new().timeout(secs(1_800));
        let ids: Vec<String> = (0..latencies.len()).map(id).collect();
        for (id, latency) in ids.iter().zip(latencies) {
            world.script(id, Script { latency: ms(latency), ..Script::succeeds(end) });
        }
        world.watch(ids.iter().map(String::as_str), &policy);
        world.run();
        for heard in world.heard.values() {
            prop_assert_eq!(end_of(heard).expect("it has ended").1, None);
        }
    }

    /// Rule 14.
    #[test]
    fn rule_14_the_same_case_gives_the_same_polls_and_updates(case in case()) {
        let (one, two) = (play(&case), play(&case));
        prop_assert_eq!(one.polls, two.polls);
        prop_assert_eq!(format!("{:?}", one.heard), format!("{:?}", two.heard));
    }
}

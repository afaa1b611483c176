//! Handles that act between any two orders of the driver, not only between its turns.
//!
//! Each event is followed by `Board::check` and by a comparison with the reference in `model`. A million steps take half a minute.
//! `CFW_WAITER_CASES=100000` plays that many other cases, which takes minutes; `PROPTEST_RNG_SEED` selects which.

mod checkpoints;
mod checks;
mod growth;
mod model;
mod play;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use self::model::Spec;
use self::play::Play;
use super::properties::policy;
use super::world::*;
use crate::board::{AttemptTimeouts, Budget};
use crate::{ErrorClass, JobState, Learned, Policy, Quota};

const CASES: u32 = 4_900;
/// Events and turns of drivers, each followed by a comparison of all that can be asked for.
const STEPS: usize = 1_000_000;
const JOBS: usize = 4;
const RUNTIMES: usize = 3;
/// Kinds of jobs. The last one is that of jobs without one.
const KINDS: [&str; 3] = ["short", "long", "default"];

/// Numbers stand for the watches and requests of the moment, counted round.
#[derive(Clone, Debug)]
enum Event {
    Open {
        ids: Vec<usize>,
        options: usize,
        ends_only: bool,
        has_handle: bool,
        resumes: bool,
    },
    Start(usize),
    AddPending(usize, usize),
    Add(usize, usize, Option<usize>),
    Remove(usize, usize),
    Close(usize, usize),
    SetRuntime(usize, usize),
    Stop(usize, usize),
    StopWatch(usize, usize),
    ReleaseHandle(usize),
    Poke(usize),
    Tell(usize, usize),
    ForgetRequests,
    Answer(usize, Reply),
    AnswerAgain(usize, Reply),
    Time(Late),
    Pass(u64),
    ClockBack(u64),
    Act(bool, usize),
    Update(usize),
    List(usize, usize),
    TakeDeferred,
    /// A test drops a watch. Some milliseconds later another watch, with the options of this number, goes on from its checkpoint.
    Resume(usize, usize, u64),
    Repeat(Repeated, usize),
}

#[derive(Clone, Copy, Debug)]
enum Reply {
    State(usize),
    Error(ErrorClass),
    Panicked,
}

/// When the driver comes back, counted from when it was asked to.
#[derive(Clone, Copy, Debug)]
enum Late {
    OnTime,
    By(u64),
    Jump(u64),
}

/// What is done to one job again and again while no request is sent.
#[derive(Clone, Copy, Debug)]
enum Repeated {
    /// A wait comes to its last poll, and leaves.
    ShortWait,
    /// A wait leaves at once.
    LeavingWait,
    Poke,
    /// A job is added to a watch that has not started, and removed.
    Pending,
}

#[derive(Clone, Debug)]
struct Case {
    budget: Budget,
    /// Policies, timeouts of their own, ages of jobs, and whether the wait goes on with one of another process.
    options: Vec<(Policy, Option<u64>, u64, bool)>,
    /// What the schedules of those policies stand for.
    schedules: Vec<Spec>,
    /// Which kind of jobs each of the options has, if one.
    kinds: Vec<Option<usize>>,
    /// How long past jobs of each kind took, in milliseconds. Without any, no plan is used.
    history: Vec<Vec<u64>>,
    /// A job that is never answered otherwise.
    ill: Option<(usize, ErrorClass)>,
    /// Whether no answer arrives for any job.
    is_cut_off: bool,
    events: Vec<Event>,
}

fn state(number: usize) -> JobState {
    match number % 8 {
        0 => JobState::running(),
        1 => JobState::running().with_detail("40 %"),
        2 => JobState::running().with_status("Queued").with_detail("position 3"),
        3 => JobState::unknown("Paused"),
        // Another phase with the text of a known one.
        4 => JobState::unknown("Running"),
        5 => JobState::running().with_status("Paused"),
        6 => JobState::succeeded(),
        _ => JobState::failed(),
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let hint = prop::option::of((1_u64..8_000).prop_map(ms));
    let quota = prop::option::weighted(
        0.3,
        (1_u32..30, 1_u64..90).prop_map(|(calls, per)| Quota::new(calls, secs(per)).unwrap()),
    );
    let throttled = (hint.clone(), quota)
        .prop_map(|(retry_after, quota)| ErrorClass::Throttled { retry_after, quota });
    let error = prop_oneof![
        4 => Just(ErrorClass::TRANSIENT),
        1 => hint.prop_map(|retry_after| ErrorClass::Transient { retry_after }),
        1 => throttled,
        6 => Just(ErrorClass::NotFound),
        2 => Just(ErrorClass::Unreached),
        4 => prop::bool::weighted(0.8).prop_map(|can_pass| ErrorClass::Unexpected { can_pass }),
        1 => Just(ErrorClass::Fatal),
    ];
    prop_oneof![
        120 => (0_usize..6).prop_map(Reply::State),
        15 => (6_usize..8).prop_map(Reply::State),
        100 => error.prop_map(Reply::Error),
        6 => Just(Reply::Panicked),
        1 => Just(Reply::Error(ErrorClass::Refused)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let ids = prop::collection::vec(0..JOBS, 0..=JOBS);
    let flags = [0.2, 0.4, 0.3].map(prop::bool::weighted);
    let open =
        (ids, 0_usize..4, flags).prop_map(|(ids, options, [ends_only, has_handle, resumes])| {
            Event::Open { ids, options, ends_only, has_handle, resumes }
        });
    let late = prop_oneof![
        12 => Just(Late::OnTime),
        4 => (0_u64..2_000).prop_map(Late::By),
        1 => (2_001_u64..40_000).prop_map(Late::Jump),
    ];
    let watch = 0_usize..6;
    let slice = 1_usize..4;
    let own = prop::option::weighted(0.3, 0_usize..4);
    prop_oneof![
        60 => (any::<bool>(), 1_usize..4).prop_map(|(leads, times)| Event::Act(leads, times)),
        60 => late.prop_map(Event::Time),
        60 => (0_usize..4, reply()).prop_map(|(at, reply)| Event::Answer(at, reply)),
        5 => (0_usize..50, reply()).prop_map(|(at, reply)| Event::AnswerAgain(at, reply)),
        10 => (0_u64..1_500).prop_map(Event::Pass),
        2 => (0_u64..5_000).prop_map(Event::ClockBack),
        6 => open,
        16 => watch.clone().prop_map(Event::Start),
        12 => (watch.clone(), slice.clone()).prop_map(|(watch, limit)| Event::AddPending(watch, limit)),
        30 => (watch.clone(), 0..JOBS, own).prop_map(|(watch, job, own)| Event::Add(watch, job, own)),
        6 => (watch.clone(), 0..JOBS).prop_map(|(watch, job)| Event::Remove(watch, job)),
        3 => (watch.clone(), slice.clone()).prop_map(|(watch, limit)| Event::Close(watch, limit)),
        8 => (watch.clone(), 0..RUNTIMES).prop_map(|(watch, at)| Event::SetRuntime(watch, at)),
        2 => (0..RUNTIMES, slice.clone()).prop_map(|(at, limit)| Event::Stop(at, limit)),
        1 => (watch.clone(), slice.clone()).prop_map(|(watch, limit)| Event::StopWatch(watch, limit)),
        2 => watch.clone().prop_map(Event::ReleaseHandle),
        5 => (0..JOBS).prop_map(Event::Poke),
        4 => (0..JOBS, 0_usize..8).prop_map(|(job, state)| Event::Tell(job, state)),
        2 => Just(Event::ForgetRequests),
        40 => watch.clone().prop_map(Event::Update),
        6 => (watch, slice).prop_map(|(watch, limit)| Event::List(watch, limit)),
        4 => Just(Event::TakeDeferred),
        3 => resume(),
    ]
}

fn resume() -> impl Strategy<Value = Event> {
    let after = prop_oneof![1 => Just(0_u64), 3 => 0_u64..20_000, 1 => 0_u64..200_000];
    (0_usize..6, 0_usize..4, after)
        .prop_map(|(watch, options, after)| Event::Resume(watch, options, after))
}

/// What is repeated, at which job, and before which event.
fn repeated() -> impl Strategy<Value = (Repeated, usize, prop::sample::Index)> {
    let what = prop_oneof![
        2 => Just(Repeated::ShortWait),
        1 => Just(Repeated::LeavingWait),
        1 => Just(Repeated::Poke),
        1 => Just(Repeated::Pending),
    ];
    (what, 0..JOBS, any::<prop::sample::Index>())
}

fn case() -> impl Strategy<Value = Case> {
    let quota = prop::option::weighted(0.2, (1_u32..20, 1_u64..10, 1_u32..20));
    let attempts = (prop_oneof![Just(10_000_u64), 500_u64..40_000], 1_u32..=2);
    let budget = (1_u32..6, quota, 0_u64..3, attempts).prop_map(
        |(max_in_flight, quota, resolution, (first, requests))| {
            let quota = quota
                .map(|(calls, per, burst)| Quota::new(calls, secs(per)).unwrap().with_burst(burst));
            let attempt_timeouts = AttemptTimeouts::new(ms(first), |request| request * requests);
            Budget {
                max_in_flight,
                quota,
                resolution: ms(resolution),
                attempt_timeouts,
                ..budget()
            }
        },
    );
    let timeout = prop_oneof![1 => Just(0_u64), 20 => 1_u64..30_000, 20 => 30_000_u64..200_000];
    let own = prop::option::weighted(0.2, 0_u64..60_000);
    let since = prop_oneof![4 => Just(0_u64), 1 => 1_u64..200_000];
    let resumed = prop::bool::weighted(0.3);
    let options = (policy(), timeout, 0_u64..4_000, own, since, resumed, schedule()).prop_map(
        |(policy, timeout, grace, own, since, resumed, spec)| {
            let policy = policy.schedule(spec.schedule()).timeout(ms(timeout));
            ((policy.not_found_grace(ms(grace)), own, since, resumed), spec)
        },
    );
    let kinds = prop::collection::vec(prop::option::weighted(0.7, 0..KINDS.len()), 4);
    let history = prop_oneof![1 => Just(Vec::new()), 4 => durations()];
    let class = prop_oneof![
        4 => Just(ErrorClass::NotFound),
        1 => Just(ErrorClass::TRANSIENT),
        1 => Just(ErrorClass::Unreached),
        2 => Just(ErrorClass::Unexpected { can_pass: true }),
    ];
    let ill = prop::option::weighted(0.4, (0..JOBS, class));
    let events = prop::collection::vec(event(), 60..250);
    let is_cut_off = prop::bool::weighted(0.1);
    let options = (prop::collection::vec(options, 4), kinds, history);
    let crowd = prop::option::weighted(0.1, (crowded(), durations()));
    let quota = (2_u32..30, 10_u64..90, prop::option::weighted(0.8, 1_u64..2_000));
    let rare =
        (crowd, prop::option::weighted(0.05, quota), prop::option::weighted(0.02, repeated()));
    (budget, options, ill, (is_cut_off, rare), events).prop_map(
        |(mut budget, (mut options, kinds, mut history), ill, (is_cut_off, rare), events)| {
            let (crowd, named, repeated) = rare;
            let mut events = [begin(), events].concat();
            if let Some(((quota, settings), durations)) = crowd {
                budget.quota = Some(quota);
                history = durations;
                for ((policy, ..), spec) in
                    options.iter_mut().map(|(options, spec)| (options, spec))
                {
                    *spec = Spec::Learned(settings.clone());
                    *policy = policy.clone().schedule(spec.schedule());
                }
                // Answers are mostly good: a plan does not count after a bad one.
                for (n, event) in events.iter_mut().enumerate() {
                    if let Event::Answer(_, reply) = event
                        && n % 8 > 0
                    {
                        *reply = Reply::State(n % 3);
                    }
                }
            }
            if let Some((calls, per, hint)) = named {
                // The service names its quota again and again.
                let quota = Quota::new(calls, secs(per)).unwrap();
                let (retry_after, quota) = (hint.map(ms), Some(quota));
                for event in events.iter_mut().step_by(3) {
                    if let Event::Answer(_, reply) = event {
                        *reply = Reply::Error(ErrorClass::Throttled { retry_after, quota });
                    }
                }
            }
            if let Some((what, job, at)) = repeated {
                events.insert(at.index(events.len()), Event::Repeat(what, job));
            }
            let (options, schedules) = options.into_iter().unzip();
            Case { budget, options, schedules, kinds, history, ill, is_cut_off, events }
        },
    )
}

/// A rate that holds polls back, and a schedule that asks for more than it allows.
fn crowded() -> impl Strategy<Value = (Quota, Learned)> {
    (1_u64..6, 1_u64..500, 30_u64..200).prop_map(|(per, cost, interval)| {
        let quota = Quota::new(1, secs(per)).unwrap().with_burst(1);
        (quota, Learned::new().poll_cost(ms(cost)).max_interval(secs(interval)))
    })
}

/// Schedules, some of which learn, with short intervals, so that polls are forced.
fn schedule() -> impl Strategy<Value = Spec> {
    let exponential = (1_u64..5_000, 1_u32..30, 1_u64..20_000).prop_map(|(first, tenths, more)| {
        let factor = 1.0 + f64::from(tenths) / 10.0;
        Spec::Exponential(ms(first), factor, ms(first + more))
    });
    let delays = prop::collection::vec(1_u64..9_000, 1..6)
        .prop_map(|delays| Spec::Delays(delays.into_iter().map(ms).collect()));
    let learned = (1_u64..20_000, 2_u64..60).prop_map(|(cost, interval)| {
        Spec::Learned(Learned::new().poll_cost(ms(cost)).max_interval(secs(interval)))
    });
    prop_oneof![
        1 => Just(Spec::Exponential(secs(1), 1.5, secs(15))),
        1 => exponential,
        1 => (500_u64..20_000).prop_map(|delay| Spec::Delays(vec![ms(delay)])),
        1 => delays,
        4 => learned,
    ]
}

/// Past jobs of each kind: of some seconds, and of a minute or two.
fn durations() -> impl Strategy<Value = Vec<Vec<u64>>> {
    let of = |range: std::ops::Range<u64>| prop::collection::vec(range, 1..12);
    (of(3_000..12_000), of(40_000..120_000), of(1_000..200_000))
        .prop_map(|(short, long, any)| vec![short, long, any])
}

/// Two watches on all jobs, so that most of what follows has something to act on.
fn begin() -> Vec<Event> {
    let open = |options| Event::Open {
        ids: (0..JOBS).collect(),
        options,
        ends_only: false,
        has_handle: true,
        resumes: false,
    };
    let mut events = vec![open(0), open(1)];
    for watch in 0..2 {
        events.push(Event::Start(watch));
        events.push(Event::SetRuntime(watch, watch));
        events.push(Event::AddPending(watch, JOBS));
    }
    events
}

#[test]
fn handles_may_act_between_any_two_orders_of_the_driver() {
    #[expect(clippy::disallowed_methods, reason = "how long to search is said from outside")]
    let cases = std::env::var("CFW_WAITER_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        // `.ci/mutants` sets fewer in the environment.
        max_shrink_iters: Config::default().max_shrink_iters.min(5_000),
        ..Config::default()
    };
    let mut runner = match cases {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let seen: RefCell<BTreeMap<String, u32>> = RefCell::default();
    let steps = RefCell::new(0);
    let result = runner.run(&case(), |case| {
        let mut play = Play::new(&case);
        for event in &case.events {
            play.play(event);
        }
        let jobs: BTreeSet<_> = play.model.waits.iter().map(|wait| wait.job).collect();
        let mut paths: Vec<String> =
            play.model.paths.keys().map(|path| (*path).to_owned()).collect();
        let ends = play.model.waits.iter().filter(|wait| wait.is_heard);
        paths.extend(
            ends.filter_map(|wait| wait.end.as_ref()).map(|(_, kind, _)| format!("{kind:?}")),
        );
        paths.extend((jobs.len() >= 3).then(|| "(3 ids or more)".to_owned()));
        paths.sort();
        paths.dedup();
        for path in paths {
            *seen.borrow_mut().entry(path).or_default() += 1;
        }
        play.finish();
        *steps.borrow_mut() += play.events;
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            let Case { budget, options, schedules, kinds, history, ill, is_cut_off, events } = case;
            let events: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
            panic!(
                "{reason}\n{budget:?}\n{options:?}\n{schedules:?}\n{kinds:?} {history:?}\n{ill:?} {is_cut_off}\n{}",
                events.join("\n")
            );
        }
        Err(error) => panic!("{error}"),
    }
    let seen = seen.into_inner();
    let steps = steps.into_inner();
    println!("{steps} steps");
    let played = cases.unwrap_or(CASES);
    for (path, times) in &seen {
        println!("{:5.1} % of the cases: {path}", f64::from(*times) * 100.0 / f64::from(played));
    }
    if cases.is_some() {
        // A few cases do not reach everything.
        return;
    }
    assert!(steps >= STEPS, "{steps} steps, and not {STEPS}");
    let ends = [
        "None",
        "Some(Failed)",
        "Some(TimedOut)",
        "Some(Lost)",
        "Some(Refused)",
        "Some(Fatal)",
        "Some(TooManyFailures)",
        "Some(Unreachable)",
        "Some(UnknownStatus)",
        "Some(Panicked)",
        "Some(Stopped)",
        "Some(Removed)",
    ];
    let paths = [
        "a request is taken over",
        "a last look after a jump",
        "a limit before any failure",
        "a request is cut short",
        "a poll past a slow one",
        "a failure from before a jump",
        "a deadline with a poll in flight",
        "a last look sees the end",
        "a late joiner",
        "an older job",
        "progress",
        "a request takes too long",
        "a request is lost in a jump",
        "a source gives a request up",
        "an answer after a time-out",
        "an unexpected answer before any state",
        "three unexpected answers",
        "a request is revoked",
        "an abort",
        "a stale answer",
        "a poke",
        "a state from outside",
        "a pending job is removed",
        "a close in slices",
        "a stop in slices",
        "a listing in slices",
        "a poll that is worth more",
        "a poll that is worth most",
        "a poll that is forced",
        "a poke of a ready job",
        "a watch that resumes others",
        "a quota that is named again",
        "a watch that resumes from a checkpoint",
        "a wait that resumes before its first answer",
        "a wait that resumes with a status",
        "a wait that resumes twice",
        "a wait whose end was not reported resumes",
        "a wait that resumes too late",
        "many ready entries",
        "many timers of polls",
        "many timers of waits",
    ];
    let missing: Vec<_> =
        ends.iter().chain(&paths).filter(|path| !seen.contains_key(**path)).collect();
    assert!(missing.is_empty(), "no case reaches {missing:?}");
    assert!(seen["(3 ids or more)"] > CASES / 2, "most cases must be worth their name");
}

//! The account's bound over the board: jobs are played twice, with schedules that learn and with their fallbacks, and what was
//! polled and noticed in truth is compared.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::script::*;
use super::world::*;
use crate::board::{Time, WaitOptions, jitter};
use crate::learned::Account;
use crate::{History, JobState, Learned, Policy, Sample, Schedule};

/// How often each job is played.
const TIMES: u32 = 120;

/// One wait on a job.
#[derive(Clone, Debug)]
struct WaitSpec {
    /// When it begins and, if it leaves before the job ends, when that is: in seconds of the job's age.
    begins: f64,
    leaves: Option<f64>,
    settings: usize,
    kind: usize,
    /// Whether its schedule is the fallback.
    is_static: bool,
    /// Whether its user says how old the job is.
    says_since: bool,
    first_poll_at_once: bool,
}

/// How each of many jobs goes.
#[derive(Clone, Debug)]
struct Recipe {
    /// What was learnt before: middle and relative spread, in seconds.
    past: (f64, f64),
    ends: f64,
    waits: Vec<WaitSpec>,
    /// Whether the server tells times.
    tells_times: bool,
    /// How long after the end that is reported from elsewhere, in seconds, if it is.
    reported_after: Option<f64>,
    /// How long the source rests between two jobs, in seconds: after two minutes nothing good was heard lately.
    pause: f64,
    settings: Vec<Learned>,
}

impl Recipe {
    /// Whether the waits have several schedules. One that leaves moves the polls of the others for good, by its plan as by its static
    /// schedule, and an end may come at any phase of either.
    fn is_mixed(&self) -> bool {
        let schedule = |wait: &WaitSpec| (wait.settings, wait.is_static);
        self.waits.iter().any(|wait| schedule(wait) != schedule(&self.waits[0]))
    }
}

fn learned(price: f64, fallback: usize) -> Learned {
    Learned::new().poll_cost(Duration::from_secs_f64(price)).fallback(fallback_of(fallback))
}

fn fallback_of(number: usize) -> Schedule {
    match number {
        0 => Schedule::default(),
        1 => Schedule::fixed(secs(60)).unwrap(),
        2 => Schedule::fixed(secs(10)).unwrap(),
        3 => Schedule::delays([20, 1, 5].map(secs)).unwrap(),
        _ => Schedule::exponential(secs(2), 2.0, secs(120)).unwrap(),
    }
}

fn wait() -> impl Strategy<Value = WaitSpec> {
    let begins = prop_oneof![6 => Just(0.0), 2 => 1.0..100.0, 1 => 100.0..300.0];
    let leaves = prop_oneof![2 => Just(None), 3 => (5.0..400.0).prop_map(Some)];
    let flags = (prop::bool::weighted(0.1), any::<bool>(), prop::bool::weighted(0.1));
    (begins, leaves, 0..2_usize, prop::bool::weighted(0.2), flags).prop_map(
        |(begins, leaves, settings, kind, (is_static, says_since, first_poll_at_once))| {
            let (leaves, kind) = (leaves.map(|after| begins + after), usize::from(kind));
            WaitSpec { begins, leaves, settings, kind, is_static, says_since, first_poll_at_once }
        },
    )
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let past = (prop_oneof![Just(30.0), Just(100.0), Just(300.0)], 0.0..1.5);
    let price = prop_oneof![Just(0.5), Just(1.0), Just(5.0), Just(20.0)];
    let settings = (price.clone(), prop::option::weighted(0.3, price), 0..5_usize, 0..5_usize);
    let waits = prop::collection::vec(wait(), 1..4);
    let reported = prop_oneof![8 => Just(None), 1 => Just(Some(0.0)), 1 => Just(Some(40.0))];
    let flags = (any::<bool>(), reported, prop_oneof![Just(1.0), Just(300.0)]);
    (past, 0.2_f64..3.0, waits, settings, flags).prop_map(
        |(past, ends, waits, (price, other, one, two), (tells_times, reported, pause))| {
            let settings = vec![learned(price, one), learned(other.unwrap_or(price), two)];
            let ends = past.0 * ends;
            // What is reported without a time is taken to have come then.
            let reported_after = reported.map(|after| if tells_times { after } else { 0.0 });
            let mut recipe =
                Recipe { past, ends, waits, tells_times, reported_after, pause, settings };
            // A wait with an account of its own does not answer for what becomes of the others' polls once it has left.
            if accounts(&recipe).1 > 1 || recipe.waits.iter().any(|wait| wait.is_static) {
                recipe.waits.iter_mut().for_each(|wait| wait.leaves = None);
            }
            recipe
        },
    )
}

/// What was polled of a job.
#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    polls: f64,
    /// How long after its end the waits on it heard of that or, if they did not, the last one left.
    lag: f64,
    is_heard: bool,
}

/// Plays the recipe many times, one job after the other. Returns the truth of each.
fn play(recipe: &Recipe, learns: bool) -> Vec<Truth> {
    let mut world = World::new(budget());
    if learns {
        let mut history = History::new();
        for kind in ["create", "delete"] {
            let (middle, spread) = recipe.past;
            for n in 0..20 {
                let duration = middle * (spread * (f64::from(n) / 19.0 - 0.5)).exp();
                history.record(kind, Sample::ended(Duration::from_secs_f64(duration)));
            }
        }
        world.board.set_history(history);
    }
    let play_one = |n| play_one(&mut world, recipe, n, learns);
    jitter::switch::off(|| (0..TIMES).map(play_one).collect())
}

fn play_one(world: &mut World, recipe: &Recipe, number: u32, learns: bool) -> Truth {
    let id = &*format!("job-{number}");
    let begin = world.now;
    let after = |age: f64| begin.after(Duration::from_secs_f64(age));
    // Each job takes longer or shorter, the same in both worlds: it ends at any phase of the polls.
    let spread = if recipe.is_mixed() { 1.4 } else { 0.1 };
    let ends = recipe.ends * (1.0 + spread * ((f64::from(number) * 0.618_034).fract() - 0.5));
    let end = after(ends);
    let ms = end.as_nanos() / 1_000_000;
    let script =
        if recipe.reported_after.is_some() { Script::never() } else { Script::succeeds(ms) };
    let before = (begin.as_nanos() / 1_000_000).cast_signed();
    world.script(id, if recipe.tells_times { script.clock(-before, 0) } else { script });
    let mut events: Vec<(f64, usize, bool)> = Vec::new();
    for (n, wait) in recipe.waits.iter().enumerate() {
        events.push((wait.begins, n, true));
        events.extend(wait.leaves.map(|leaves| (leaves, n, false)));
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut watches = vec![None; recipe.waits.len()];
    let left = recipe.waits.iter().filter_map(|wait| wait.leaves).fold(0.0, f64::max);
    let (mut lag, mut is_heard) = ((left - ends).max(0.0), false);
    let server = |time: Time| SystemTime::UNIX_EPOCH + secs(1_000_000_000) + time.since(Time::ZERO);
    let mut report = recipe.reported_after.map(|after| end.after(Duration::from_secs_f64(after)));
    let mut go_on = |world: &mut World, until: Time| {
        if let Some(at) = report.filter(|at| *at <= until) {
            world.run_until(at);
            let state = JobState::succeeded();
            let state = match recipe.tells_times {
                true => state.with_begin(server(begin)).with_end(server(end)),
                false => state,
            };
            world.board.tell(at, id, &state);
            report = None;
        }
        world.run_until(until);
    };
    let mut began = None;
    for (age, number, begins) in events {
        let wait = &recipe.waits[number];
        go_on(world, after(age));
        if !begins {
            if let Some(watch) = watches[number] {
                world.remove(watch, id);
            }
            continue;
        }
        if world.now > end && began.is_some() {
            // Of a job that has ended the first wait counts.
            continue;
        }
        began.get_or_insert(world.now);
        let schedule = match &recipe.settings[wait.settings] {
            settings if learns && !wait.is_static => Schedule::learned(settings.clone()).unwrap(),
            settings => settings.get_fallback().clone(),
        };
        let policy = Policy::new().schedule(schedule).first_poll_at_once(wait.first_poll_at_once);
        let since = if wait.says_since { wait.begins } else { 0.0 };
        let options = WaitOptions {
            kind: Some(["create", "delete"][wait.kind].into()),
            since: Duration::from_secs_f64(since),
            ..WaitOptions::new(Arc::new(policy.timeout(secs(7_200))))
        };
        watches[number] = Some(world.watch_with([id], options));
    }
    let most = recipe.waits.iter().filter_map(|wait| wait.leaves).fold(ends, f64::max);
    go_on(world, after(most + 1_000.0));
    for watch in watches.into_iter().flatten() {
        let heard = world.heard.get(&(watch, id.into())).and_then(|heard| heard.end.clone());
        if let Some((at, Ok(_))) = heard {
            (lag, is_heard) = (at.since(end.max(began.unwrap_or(end))).as_secs_f64(), true);
        }
        world.close(watch);
    }
    let polls = world.poll_times(id).len() as f64;
    world.polls.clear();
    world.run_until(world.now.after(Duration::from_secs_f64(recipe.pause)));
    Truth { polls, lag, is_heard }
}

/// Returns what was lost against the static schedules, beyond a part of their cost, job by job.
fn losses(recipe: &Recipe, c: f64) -> Vec<f64> {
    let [learned, fixed] = [true, false].map(|learns| play(recipe, learns));
    let pairs = learned.iter().zip(&fixed);
    let factor = if recipe.is_mixed() { 1.15 } else { 1.1 };
    let loss = |(learned, fixed): (&Truth, &Truth)| {
        let polls = learned.polls - factor * fixed.polls;
        // A wait that leaves may miss an end that its static schedule sees: of that delay nothing is known.
        let lag = if learned.is_heard { learned.lag - factor * fixed.lag } else { 0.0 };
        c * polls + lag
    };
    pairs.map(loss).collect()
}

/// Returns the prices of a poll of the waits whose schedules learn, in seconds, and how many accounts they have.
fn accounts(recipe: &Recipe) -> (Vec<f64>, usize) {
    let learned = recipe.waits.iter().filter(|wait| !wait.is_static);
    let price = |wait: &WaitSpec| recipe.settings[wait.settings].get_poll_cost().as_secs_f64();
    let mut accounts: Vec<_> = learned.map(|wait| (price(wait), wait.kind)).collect();
    accounts.sort_by(|a, b| a.partial_cmp(b).unwrap());
    accounts.dedup();
    let mut prices: Vec<f64> = accounts.iter().map(|(price, _)| *price).collect();
    prices.dedup();
    (prices, accounts.len())
}

fn check(recipe: &Recipe) -> Result<(), TestCaseError> {
    let (prices, accounts) = accounts(recipe);
    let excess = |c: f64| {
        let losses = losses(recipe, c);
        let (mut sum, mut most) = (0.0_f64, 0.0_f64);
        for loss in &losses {
            sum += loss;
            most = most.max(sum);
        }
        let worst = losses.iter().copied().fold(0.0, f64::max);
        // Each account may lose what it has, and then one job may put it in debt.
        let allowed = accounts as f64 * (Account::new(c).balance() + worst);
        (most - allowed, most, losses)
    };
    let results: Vec<_> = prices.iter().map(|c| (*c, excess(*c))).collect();
    let is_bound = results.is_empty() || results.iter().any(|(_, (over, ..))| *over <= 0.0);
    prop_assert!(is_bound, "{results:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn many_jobs_lose_no_more_than_their_accounts_hold(recipe in recipe()) {
        check(&recipe)?;
    }
}

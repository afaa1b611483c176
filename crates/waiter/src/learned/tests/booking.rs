//! What is booked of the polls of several waits on one job, in numbers that can be followed by hand.

use std::time::Duration;

use super::*;
use crate::learned::{History, Kind, Learned, Leaves, Sample};

const INFINITE: f64 = f64::INFINITY;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn each(interval: u64) -> Schedule {
    Schedule::fixed(secs(interval)).unwrap()
}

fn wait(schedule: Schedule, from: f64) -> WaitPolls {
    WaitPolls {
        schedule,
        from,
        until: INFINITE,
        last_poll: INFINITE,
        head_start: (0.0, 0),
        known_age: 0.0,
        is_first_at_once: false,
    }
}

fn job(waits: impl IntoIterator<Item = WaitPolls>) -> JobPolls {
    JobPolls { are_all: true, waits: waits.into_iter().collect(), ..JobPolls::default() }
}

/// What the static schedules cost: where there are no plans, both ways cost the same, and a tenth of it is saved.
#[track_caller]
fn assert_cost(job: &JobPolls, from: f64, end: f64, cost: f64) {
    let gain = job.gain(from, end, INFINITE, 1.0);
    assert!((gain - 0.1 * cost).abs() < 1e-9, "{} instead of {cost}", 10.0 * gain);
}

/// The plan of a kind whose jobs take about this long, with a fallback.
fn planned(seconds: u64, fallback: Schedule, c: f64) -> (Arc<Planned>, Kind, Arc<Learned>) {
    let mut history = History::new();
    (0..20).for_each(|n| history.record("create", Sample::ended(secs(seconds + n % 5))));
    let cost = Duration::from_secs_f64(c);
    let settings = Arc::new(Learned::new().poll_cost(cost).fallback(fallback));
    let mut kind = Kind::new("create", &history);
    let plan = kind.plan(&settings, Duration::from_millis(500), Duration::ZERO, &history);
    (plan, kind, settings)
}

#[test]
fn waits_poll_while_they_are_there() {
    // At 10, 20, 80 and 140 s.
    let left = WaitPolls { until: 25.0, ..wait(each(10), 0.0) };
    assert_cost(&job([left, wait(each(60), 0.0)]), 0.0, 100.0, 4.0 + 40.0);
    // At 30, 60 and 65 s: one delay of the list has passed at 60 s, and none when its wait began.
    let list = Schedule::delays([20, 5].map(secs)).unwrap();
    assert_cost(&job([wait(each(30), 0.0), wait(list.clone(), 50.0)]), 0.0, 63.5, 3.0 + 1.5);
    // At once, and then after the first delay.
    let at_once = WaitPolls { is_first_at_once: true, ..wait(list, 0.0) };
    assert_cost(&job([at_once.clone()]), 0.0, 5.0, 2.0 + 15.0);
    let joins = WaitPolls { from: 3.0, ..at_once.clone() };
    assert_cost(&job([at_once, joins]), 0.0, 7.75, 3.0 + 0.25);
    // By the age of the wait, or by what its user says.
    let grows = Schedule::exponential(secs(1), 2.0, secs(60)).unwrap();
    assert_cost(&job([wait(grows.clone(), 100.0)]), 100.0, 106.5, 3.0 + 0.5);
    let known = WaitPolls { head_start: (100.0, 0), ..wait(grows, 100.0) };
    assert_cost(&job([known]), 100.0, 106.5, 1.0 + 53.5);
    let passed = Schedule::delays([20, 50].map(secs)).unwrap();
    let known = WaitPolls { head_start: (100.0, 1), ..wait(passed, 100.0) };
    assert_cost(&job([known]), 100.0, 106.5, 1.0 + 43.5);
    // Answers take a second, and no delay is shorter than 9 s: at 5, 15, 25 s.
    let slow = JobPolls { min_interval: 9.0, latency: 1.0, ..job([wait(each(5), 0.0)]) };
    assert_cost(&slow, 0.0, 20.0, 3.0 + 5.0);
    // At 60 s, and for the last time at 99 s.
    let last = WaitPolls { last_poll: 99.0, ..wait(each(60), 0.0) };
    assert_cost(&job([last.clone()]), 0.0, 90.0, 2.0 + 9.0);
    assert_cost(&job([last, wait(each(70), 0.0)]), 0.0, 110.0, 3.0 + 59.0);
}

#[test]
fn a_plan_goes_on_from_the_last_poll_but_not_before_its_wait_began() {
    let (plan, ..) = planned(70, each(7), 1.0);
    let first = plan.delay(0.0, 0.5).unwrap();
    let schedule = || Schedule::planned(Arc::clone(&plan));
    // After a poll at 60 s it polls at about 70 s, or when its wait begins, and the fallback then at 107 s.
    assert!((65.0..80.0).contains(&(60.0 + plan.delay(60.0, 0.5).unwrap())));
    let gain = job([wait(each(60), 0.0), wait(schedule(), 100.0)]).gain(0.0, 95.0, INFINITE, 1.0);
    assert!((gain - (1.1 * (2.0 + 12.0) - (2.0 + 5.0))).abs() < 1e-9, "{gain}");
    // Before the first answer a wait goes by the age that it knows.
    for (known_age, seen) in [(0.0, 50.0 + first), (20.0, 30.0 + first), (200.0, 50.0)] {
        let late = WaitPolls { known_age, ..wait(schedule(), 50.0) };
        let gain = job([late]).gain(50.0, 50.0, INFINITE, 1.0);
        assert!((gain - (1.1 * 8.0 - 1.0 - (seen - 50.0))).abs() < 1e-9, "{known_age}: {gain}");
    }
}

#[test]
fn nothing_is_saved_where_it_may_not_have_been() {
    let one = job([wait(each(10), 0.0)]);
    let leave = |polls: &JobPolls, at: f64, others: bool| {
        polls.gain_of_leaving(0.0, 20.0, Leaves { at, others }, 1.0)
    };
    assert!((leave(&one, 25.0, false) - 0.2).abs() < 1e-9);
    // Others stay; the static schedule has polled once more; not all waits are known.
    assert_eq!(leave(&one, 25.0, true), 0.0);
    assert_eq!(leave(&one, 31.0, false), 0.0);
    let some = JobPolls { are_all: false, ..job([wait(each(10), 0.0)]) };
    assert_eq!((leave(&some, 25.0, false), some.gain(0.0, 25.0, INFINITE, 1.0)), (0.0, 0.0));
    assert_eq!(one.gain_of_leaving(5.0, 20.0, Leaves { at: 25.0, others: false }, 1.0), 0.0);
    // A poll just before the end may have seen it. 23 polls take 2.3 s, and times are 2 s wrong.
    assert_cost(&one, 0.0, 231.0, 23.0);
    assert_cost(&one, 0.0, 236.0, 24.0 + 4.0);
    // It ended when the static schedule saw that, if no time is known.
    assert_eq!(one.worst_end(0.0, Some((22.0, true)), 58.0), 30.0);
    assert_eq!(one.worst_end(0.0, Some((22.0, true)), 27.0), 27.0);
    // A poll at 18 s is that of 20 s, come early; a report is none.
    assert_eq!(one.worst_end(0.0, Some((18.0, true)), 58.0), 30.0);
    assert_eq!(one.worst_end(0.0, Some((18.0, false)), 58.0), 20.0);
    assert_eq!(one.worst_end(5.0, None, 58.0), 10.0);
    // A report at 47 s is no poll, and the delay until then counts.
    assert!((one.gain(0.0, 47.0, 47.0, 1.0) - 0.4).abs() < 1e-9);
    assert!((job([wait(each(100), 0.0)]).gain(0.0, 40.0, 47.0, 1.0) - 0.7).abs() < 1e-9);
}

#[test]
fn a_first_poll_of_which_it_is_not_known_whether_it_came_early_is_the_worse_one() {
    let (plan, ..) = planned(100, Schedule::default(), 1.0);
    let gain = |is_early: bool, is_unsure: bool, end: f64| {
        let wait = wait(Schedule::planned(Arc::clone(&plan)), 0.0);
        let polls = JobPolls { is_early, is_unsure, ..job([wait]) };
        let leaves = polls.gain_of_leaving(0.0, end, Leaves { at: end, others: false }, 1.0);
        (polls.gain(0.0, end, INFINITE, 1.0), leaves)
    };
    for end in [0.9, 10.0, 99.0, 130.0] {
        let (early, planned) = (gain(true, false, end), gain(false, false, end));
        assert_ne!(early, planned);
        let worse = (early.0.min(planned.0), early.1.min(planned.1));
        assert_eq!((gain(true, true, end), gain(false, true, end)), (worse, worse));
    }
}

#[test]
fn the_worst_loss_is_that_of_any_end_and_of_any_wait_that_leaves_with_either_first_poll() {
    let mut worst_by = [0; 4];
    for (seconds, fallback, c) in [
        (100, Schedule::default(), 1.0),
        (100, each(40), 1.0),
        (30, each(40), 20.0),
        (100, each(10), 1.0),
        (100, Schedule::exponential(secs(5), 1.1, secs(15)).unwrap(), 20.0),
        (300, Schedule::exponential(secs(30), 2.0, secs(60)).unwrap(), 5.0),
    ] {
        let (plan, mut kind, settings) = planned(seconds, fallback, c);
        if !plan.is_learned() {
            continue;
        }
        let explained = kind.explain(&settings, Duration::from_millis(500), &History::new());
        let mut losses = [f64::NEG_INFINITY; 4];
        for (n, is_early) in [false, true].into_iter().enumerate() {
            let polls =
                JobPolls { is_early, ..job([wait(Schedule::planned(Arc::clone(&plan)), 0.0)]) };
            for half in 0..2_000_u32 {
                let age = f64::from(half) / 2.0;
                losses[n] = losses[n].max(-polls.gain(0.0, age, INFINITE, c));
                let leaves = Leaves { at: age, others: true };
                losses[n + 2] = losses[n + 2].max(-polls.gain_of_leaving(0.0, age, leaves, c));
            }
        }
        let worst = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let stated = explained.worst_loss.unwrap();
        assert!(stated >= worst - 1e-6 && stated <= worst + 1.0, "{stated}, {losses:?}");
        let by = losses.iter().position(|loss| *loss == worst).unwrap();
        worst_by[by] += 1;
    }
    assert!(worst_by[0] > 2 && worst_by[1] > 0, "{worst_by:?}");
}

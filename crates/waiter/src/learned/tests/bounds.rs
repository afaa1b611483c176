//! Finite plans and bounded delays, whatever was learnt.

use proptest::prelude::*;

use super::*;
use crate::learned::{Account, worst};

/// What a clock that lies can make of a duration, in seconds.
pub(super) fn any_duration() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-3.0..13.0_f64).prop_map(f64::exp),
        2 => (0_u32..30).prop_map(f64::from),
        1 => Just(100.0),
        1 => prop::sample::select(vec![
            0.0, -0.0, -5.0, 1e-300, 1e9, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.25, 262_144.0,
        ]),
    ]
}

#[track_caller]
fn check(estimator: &Estimator, c: f64, min_interval: f64, max_interval: f64) {
    let survival = estimator.survival();
    assert!(survival.at.iter().all(|at| (0.0..=1.0).contains(at)));
    assert!(survival.at.is_sorted_by(|a, b| a >= b));
    let (plan, cost) = Plan::new(&survival, c);
    assert!(cost.is_finite() && cost >= 0.0, "{cost}");
    for node in 0..crate::learned::grid::NODES {
        assert!(usize::from(plan.next_node(node)) > node);
    }
    for leash in Leash::ALL {
        let plan = Arc::new(plan.clone());
        let pace = Pace { plan, leash, min_interval, max_interval };
        let mut age = 0.0;
        for _ in 0..2_000 {
            let delay = pace.delay(age);
            assert!((min_interval..=max_interval).contains(&delay), "{delay} at {age}");
            age += delay;
        }
        for age in [f64::NAN, -1.0, 1e300, f64::INFINITY] {
            let delay = pace.delay(age);
            assert!((min_interval..=max_interval).contains(&delay), "{delay} at {age}");
        }
        let worst = worst(crate::learned::paced(&pace), fixed(), 1_800.0, c);
        assert!(worst.is_finite(), "{worst}");
    }
    let (_, by_width) = estimator.weights();
    assert!((by_width.iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

proptest! {
    #[test]
    fn plans_are_finite_and_delays_within_bounds_whatever_was_learnt(
        durations in prop::collection::vec((any_duration(), 0_u8..4), 0..40),
        c in prop_oneof![0.01_f64..50.0, Just(1.0)],
        min_interval in 0.001_f64..1.0,
    ) {
        let mut estimator = Estimator::new();
        for (duration, kind) in durations {
            match kind {
                0 => estimator.learn_at_least(duration),
                _ => _ = estimator.learn(duration),
            }
        }
        check(&estimator, c, min_interval, 300.0);
    }
}

#[test]
fn hundreds_of_equal_jobs() {
    for duration in [0.0, 0.25, 7.0, 100.0, 1e9] {
        let estimator = learnt(&[duration; 300]);
        assert_eq!(estimator.len(), 256);
        check(&estimator, 1.0, 0.5, 300.0);
    }
}

#[test]
fn hundreds_of_jobs_without_a_known_end() {
    let mut estimator = Estimator::new();
    for _ in 0..300 {
        estimator.learn_at_least(1_800.0);
    }
    check(&estimator, 1.0, 0.5, 300.0);
    let alive = estimator.survival().probability(1_700.0);
    assert!(alive > 0.95, "{alive}");
}

/// The estimator of Kaplan and Meier, for three ends and a job that is known to have run longer than the first.
#[test]
fn a_job_without_a_known_end_counts_as_longer_ones() {
    let mut estimator = Estimator::new();
    estimator.learn(10.0);
    estimator.learn(1_000.0);
    let without = estimator.survival().probability(100.0);
    estimator.learn_at_least(50.0);
    let with = estimator.survival().probability(100.0);
    assert!(with > without + 0.08, "{with}, {without} without");
    // One beyond all known ends weighs with the prior's tail.
    estimator.learn_at_least(20_000.0);
    let later = estimator.survival().probability(20_000.0);
    assert!(later > 0.15, "{later}");
}

/// The weight of censored jobs is handed on, not lost: a kind whose jobs all are equal but for some that were left early
/// looks like one without these.
#[test]
fn jobs_that_were_left_early_do_not_bias_the_law() {
    let mut estimator = Estimator::new();
    for n in 0..60 {
        match n % 3 {
            0 => estimator.learn_at_least(40.0),
            _ => _ = estimator.learn(100.0),
        }
    }
    let median = estimator.survival().quantile(0.0, 0.5).unwrap();
    assert!((median - 100.0).abs() < 2.0, "{median}");
    assert!(estimator.survival().probability(90.0) > 0.95);
}

#[test]
fn beyond_the_longest_known_duration_delays_are_the_longest() {
    let pace =
        Pace { max_interval: 300.0, ..unbounded(Plan::new(&learnt(&[100.0]).survival(), 1.0).0) };
    assert_eq!([2.7e5, 1e6].map(|age| pace.delay(age)), [300.0; 2]);
}

#[test]
fn a_plan_without_history_still_saves() {
    let (plan, _) = Plan::new(&Estimator::new().survival(), 1.0);
    let pace = unbounded(plan);
    let chosen = Account::new(1.0).choose(|leash| {
        worst(crate::learned::paced(&Pace { leash, ..pace.clone() }), fixed(), 1_800.0, 1.0)
    });
    assert!(chosen.is_some());
}

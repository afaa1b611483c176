//! When a job is likely to end: finite and ordered whatever was learnt, and nothing where nothing is known.

use proptest::prelude::*;

use super::*;
use crate::Eta;
use crate::learned::{Survival, Tracker};

const REGULAR: [f64; 20] = [
    76.0, 112.0, 95.0, 131.0, 88.0, 103.0, 67.0, 145.0, 99.0, 84.0, 120.0, 92.0, 109.0, 73.0,
    158.0, 97.0, 86.0, 101.0, 115.0, 80.0,
];

fn eta(durations: &[f64], age: f64) -> Option<Eta> {
    Eta::new(&learnt(durations).survival(), durations.len(), age)
}

/// The mean, the median and the 90th percentile of the time left, in seconds.
fn remaining(eta: &Eta) -> [f64; 3] {
    let remaining = eta.remaining.unwrap();
    [remaining.mean, remaining.p50, remaining.p90].map(|left| left.as_secs_f64())
}

#[track_caller]
fn assert_within(found: f64, expected: f64, part: f64) {
    assert!((found / expected - 1.0).abs() <= part, "{found}, not about {expected}");
}

#[test]
fn the_times_left_of_a_known_law_are_reproduced() {
    let memoryless = Survival::of_law(|t| (-t / 100.0).exp());
    for age in [0.0, 30.0, 250.0] {
        let eta = Eta::new(&memoryless, 20, age).unwrap();
        let [mean, p50, p90] = remaining(&eta);
        // The mean of a memoryless law whose last twentieth is cut off at the 95th percentile.
        assert_within(mean, 95.0, 0.01);
        assert_within(p50, 69.31, 0.01);
        assert_within(p90, 230.26, 0.01);
        assert_within(eta.late_after.unwrap().as_secs_f64(), 299.57, 0.01);
        assert_eq!((eta.age.as_secs_f64(), eta.past_jobs), (age, 20));
        assert!(!eta.is_overdue());
        assert!((eta.progress() - age / (age + 230.26)).abs() < 0.01, "{eta:?}");
    }
    assert!(Eta::new(&memoryless, 20, 300.0).unwrap().is_overdue());
}

#[test]
fn regular_jobs_are_foretold_and_overdue_beyond_nearly_all_past_ones() {
    let young = eta(&REGULAR, 0.0).unwrap();
    let [mean, p50, p90] = remaining(&young);
    assert_within(mean, 102.0, 0.05);
    assert_within(p50, 98.0, 0.05);
    assert_within(p90, 147.0, 0.1);
    let late = young.late_after.unwrap().as_secs_f64();
    assert!((150.0..200.0).contains(&late), "{late}");
    let older = eta(&REGULAR, 90.0).unwrap();
    assert!(remaining(&older)[1] < 30.0 && !older.is_overdue(), "{older:?}");
    assert!(older.progress() > 0.5 && young.progress() == 0.0, "{older:?}");
    let overdue = eta(&REGULAR, late + 0.1).unwrap();
    assert!(overdue.is_overdue() && overdue.progress() == 1.0, "{overdue:?}");
    // Nothing is known of a job that is much older than all past ones, but for that.
    let ancient = eta(&REGULAR, 5_000.0).unwrap();
    assert_eq!((ancient.remaining, ancient.is_overdue()), (None, true));
}

#[test]
fn few_past_jobs_do_not_look_certain() {
    let one = eta(&[100.0], 0.0).unwrap();
    let [_, p50, p90] = remaining(&one);
    assert!((80.0..120.0).contains(&p50) && p90 > 2.5 * p50, "{one:?}");
    assert_eq!(one.late_after, None, "one job is not 95 %");
    // It is soon older than all that is known.
    assert_eq!(eta(&[100.0], 500.0), None);
    let spread = |durations: &[f64]| {
        let [_, p50, p90] = remaining(&eta(durations, 0.0).unwrap());
        p90 / p50
    };
    let [one, three, twenty] = [1, 3, 20].map(|n| spread(&REGULAR[..n]));
    assert!(one > three && three > twenty && twenty < 1.6, "{one} {three} {twenty}");
    // The prior weighs as much as a quarter of a job: less than a twentieth of all from the sixth on.
    let has_late = |n: usize| eta(&REGULAR[..n], 0.0).unwrap().late_after.is_some();
    assert_eq!([1, 3, 5, 6, 20].map(has_late), [false, false, false, true, true]);
    // Equal jobs are certain, but for that part.
    let equal = eta(&[3.0; 20], 3.2).unwrap();
    assert!(equal.is_overdue() && equal.remaining.is_none(), "{equal:?}");
}

#[test]
fn nothing_is_said_without_a_past_job() {
    assert_eq!(Eta::new(&Estimator::new().survival(), 0, 0.0), None);
    let mut estimator = Estimator::new();
    (0..20).for_each(|_| estimator.learn_at_least(60.0));
    assert_eq!(Eta::new(&estimator.survival(), 0, 0.0), None, "none of them has ended");
}

#[test]
fn jobs_that_were_left_before_their_end_count_as_longer_ones() {
    let mut estimator = learnt(&REGULAR);
    let without = Eta::new(&estimator.survival(), 20, 0.0).unwrap();
    (0..8).for_each(|_| estimator.learn_at_least(110.0));
    let with = Eta::new(&estimator.survival(), 20, 0.0).unwrap();
    for (with, without) in remaining(&with).into_iter().zip(remaining(&without)) {
        assert!(with > 1.05 * without, "{with}, {without} without");
    }
    assert!(with.late_after.is_none_or(|late| Some(late) > without.late_after), "{with:?}");
    assert_eq!(estimator.count_ended(), 20);
}

#[test]
fn the_tracker_counts_the_past_jobs_that_ended() {
    let mut tracker = Tracker::new();
    REGULAR.iter().for_each(|seconds| tracker.learn(*seconds));
    tracker.learn_at_least(50.0);
    assert_eq!((tracker.len(), tracker.count_ended()), (21, 20));
}

proptest! {
    #[test]
    fn times_left_are_ordered_and_the_end_never_moves_forward(
        durations in prop::collection::vec((bounds::any_duration(), 0_u8..4), 1..40),
        ages in prop::collection::vec(bounds::any_duration(), 8),
    ) {
        let mut estimator = Estimator::new();
        for (duration, kind) in durations {
            match kind {
                0 => estimator.learn_at_least(duration),
                _ => _ = estimator.learn(duration),
            }
        }
        let law = estimator.survival();
        let mut ages: Vec<f64> = ages.into_iter().map(|age| age.max(0.0)).collect();
        ages.sort_by(f64::total_cmp);
        let mut before = None;
        for age in ages {
            let Some(eta) = Eta::new(&law, estimator.count_ended(), age) else { continue };
            prop_assert!((0.0..=1.0).contains(&eta.progress()), "{eta:?}");
            prop_assert!(eta.remaining.is_some() || eta.is_overdue());
            let Some(left) = eta.remaining else { continue };
            prop_assert!(left.p50 <= left.p90, "{eta:?}");
            // Whatever was learnt: no more than the grid, and three days of it.
            prop_assert!(left.mean.as_secs_f64() <= 3e5 && left.p90.as_secs_f64() <= 3e5, "{eta:?}");
            // The same job, older: half of those that came as far end no earlier.
            let ends = [eta.age + left.p50, eta.age + left.p90];
            let tolerance = std::time::Duration::from_nanos(10);
            if let Some([p50, p90]) = before.replace(ends) {
                prop_assert!(p50 <= ends[0] + tolerance && p90 <= ends[1] + tolerance, "{eta:?}");
            }
        }
    }
}

#[test]
fn equal_zero_and_huge_durations_give_finite_times() {
    for duration in [0.0, 0.25, 7.0, 100.0, 262_144.0, 1e300] {
        for age in [0.0, 0.1, 6.9, 100.0, 2e5, 1e9, f64::INFINITY, f64::NAN, -1.0] {
            if let Some(eta) = eta(&[duration; 30], age) {
                assert!(eta.progress().is_finite(), "{eta:?}");
            }
        }
        // Of jobs that take longer than the grid is hardly known when they end.
        let young = eta(&[duration; 30], 0.0);
        assert!(young.is_some() || duration > 2e5, "{duration}");
    }
    let [mean, p50, p90] = remaining(&eta(&[100.0; 30], 0.0).unwrap());
    assert!((99.0..101.0).contains(&p50) && mean <= p90 && p90 < 106.0, "{mean} {p50} {p90}");
}

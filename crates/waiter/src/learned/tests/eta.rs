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
    [remaining.mean, remaining.p50, remaining.p90.unwrap()].map(|left| left.as_secs_f64())
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
        assert!((eta.progress().unwrap() - age / 299.57).abs() < 0.01, "{eta:?}");
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
    assert!(older.progress() > Some(0.5) && young.progress() == Some(0.0), "{older:?}");
    let overdue = eta(&REGULAR, late + 0.1).unwrap();
    assert!(overdue.is_overdue() && overdue.progress() == Some(1.0), "{overdue:?}");
    // Nothing is known of a job that is much older than all past ones, but for that.
    let ancient = eta(&REGULAR, 5_000.0).unwrap();
    assert_eq!((ancient.remaining, ancient.is_overdue()), (None, true));
}

#[test]
fn progress_never_falls_back_before_a_job_is_overdue() {
    for past in [3.0, 100.0] {
        let durations: Vec<f64> = (0..20).map(|n| past * (1.0 + 0.05 * f64::from(n % 8))).collect();
        let late = eta(&durations, 0.0).unwrap().late_after.unwrap().as_secs_f64();
        let ages = (0..100).map(|n| late * f64::from(n) / 100.0);
        let progress: Vec<f64> = ages.filter_map(|age| eta(&durations, age)?.progress()).collect();
        assert!(progress.len() == 100 && progress.is_sorted(), "{progress:?}");
    }
}

#[test]
fn the_guess_decides_no_percentile() {
    // All past jobs took 6 s. The guess would let the last tenth take a quarter of an hour.
    for known in [1, 2, 3, 5, 6, 20, 256] {
        let durations = vec![6.0; known];
        let law = learnt(&durations).survival();
        for age in (0..80).map(|n| 0.1 * f64::from(n)) {
            let Some(eta) = Eta::new(&law, known, age) else { continue };
            let Some(left) = eta.remaining.filter(|_| !eta.is_overdue()) else { continue };
            let [mean, p50] = [left.mean, left.p50].map(|left| left.as_secs_f64());
            // A kernel is wide while few jobs have told how wide it should be.
            let longest = if known < 5 { 30.0 } else { 9.0 };
            assert!(age + p50.max(mean) < longest, "{known}: {eta:?}");
            // Two jobs do not tell what nine of ten do.
            assert!(
                left.p90.is_none_or(|p90| age + p90.as_secs_f64() < longest),
                "{known}: {eta:?}"
            );
            assert!(left.p90.is_none() || known > 2, "{known}: {eta:?}");
        }
        let young = Eta::new(&law, known, 3.0).unwrap().remaining.unwrap();
        assert_eq!(young.p90.is_some(), known > 2, "{known}: {young:?}");
    }
}

#[test]
fn nine_of_ten_jobs_are_known_until_few_past_ones_are_left() {
    let law = learnt(&REGULAR).survival();
    let p90 = |age| Eta::new(&law, 20, age)?.remaining?.p90;
    assert!(p90(0.0).is_some() && p90(100.0).is_some());
    let late = eta(&REGULAR, 0.0).unwrap().late_after.unwrap().as_secs_f64();
    let nearly = Eta::new(&law, 20, 0.99 * late).unwrap().remaining.unwrap();
    assert_eq!(nearly.p90, None, "{nearly:?}");
    assert!(nearly.mean.as_secs_f64() < late && nearly.p50.as_secs_f64() < late, "{nearly:?}");
}

#[test]
fn few_past_jobs_do_not_look_certain() {
    let one = eta(&[100.0], 0.0).unwrap();
    let left = one.remaining.unwrap();
    assert!((80.0..120.0).contains(&left.p50.as_secs_f64()), "{one:?}");
    assert_eq!((left.p90, one.late_after, one.progress()), (None, None, None));
    // It is soon older than all that is known.
    assert_eq!(eta(&[100.0], 500.0), None);
    let spread = |durations: &[f64]| {
        let [_, p50, p90] = remaining(&eta(durations, 0.0).unwrap());
        p90 / p50
    };
    let [three, twenty] = [3, 20].map(|n| spread(&REGULAR[..n]));
    assert!(three > twenty && twenty < 1.6, "{three} {twenty}");
    // The prior weighs as much as a quarter of a job: a twentieth of the past ones from the sixth on.
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

#[test]
fn unfinished_jobs_since_a_change_are_kept() {
    let mut tracker = Tracker::new();
    (0..40).for_each(|n| tracker.learn(100.0 + f64::from(n % 7)));
    for n in 0..20 {
        tracker.learn(10.0 + f64::from(n % 3));
        tracker.learn_at_least(12.0);
    }
    let ended = tracker.count_ended();
    assert!(ended < 40, "{ended}: those before the change are forgotten");
    assert_eq!(tracker.len() - ended, 20);
}

proptest! {
    #[test]
    fn something_is_said_at_each_age_until_a_job_is_overdue(
        durations in prop::collection::vec((bounds::any_duration(), 0_u8..4), 1..40),
        parts in prop::collection::vec(0.0..1.0, 8),
    ) {
        let mut estimator = Estimator::new();
        for (duration, kind) in durations {
            match kind {
                0 => estimator.learn_at_least(duration),
                _ => _ = estimator.learn(duration),
            }
        }
        let (law, known) = (estimator.survival(), estimator.count_ended());
        let late = Eta::new(&law, known, 0.0).and_then(|eta| eta.late_after);
        if let Some(late) = late.map(|late| late.as_secs_f64()) {
            for part in parts.into_iter().chain([0.0, 0.999_999]) {
                let eta = Eta::new(&law, known, part * late);
                prop_assert!(eta.is_some_and(|eta| eta.remaining.is_some()), "{part} of {late}");
            }
        }
    }

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
        let mut before: Option<[Option<_>; 2]> = None;
        for age in ages {
            let Some(eta) = Eta::new(&law, estimator.count_ended(), age) else { continue };
            let progress = eta.progress();
            prop_assert!(progress.is_none_or(|part| (0.0..=1.0).contains(&part)), "{eta:?}");
            prop_assert!(eta.remaining.is_some() || eta.is_overdue());
            let Some(left) = eta.remaining else { continue };
            prop_assert!(left.p90.is_none_or(|p90| left.p50 <= p90), "{eta:?}");
            // Whatever was learnt: no more than the grid, and three days of it.
            let longest = left.p90.unwrap_or(left.p50).max(left.mean);
            prop_assert!(longest.as_secs_f64() <= 3e5, "{eta:?}");
            // The same job, older: half of those that came as far end no earlier.
            let ends = [Some(eta.age + left.p50), left.p90.map(|p90| eta.age + p90)];
            let tolerance = std::time::Duration::from_nanos(10);
            if let Some([p50, p90]) = before {
                prop_assert!(p50 <= ends[0].map(|end| end + tolerance), "{eta:?}");
                prop_assert!(ends[1].is_none_or(|end| p90 <= Some(end + tolerance)), "{eta:?}");
            }
            before = Some([ends[0], ends[1].or(before.and_then(|[_, p90]| p90))]);
        }
    }
}

#[test]
fn equal_zero_and_huge_durations_give_finite_times() {
    for duration in [0.0, 0.25, 7.0, 100.0, 262_144.0, 1e300] {
        for age in [0.0, 0.1, 6.9, 100.0, 2e5, 1e9, f64::INFINITY, f64::NAN, -1.0] {
            if let Some(eta) = eta(&[duration; 30], age) {
                assert!(eta.progress().is_none_or(f64::is_finite), "{eta:?}");
            }
        }
        // Of jobs that take longer than the grid is hardly known when they end.
        let young = eta(&[duration; 30], 0.0);
        assert!(young.is_some() || duration > 2e5, "{duration}");
    }
    let [mean, p50, p90] = remaining(&eta(&[100.0; 30], 0.0).unwrap());
    assert!((99.0..101.0).contains(&p50) && mean <= p90 && p90 < 106.0, "{mean} {p50} {p90}");
}

/// As in the test vectors, in which three jobs of five minutes follow forty of about 100 s.
#[test]
fn a_few_jobs_unlike_the_others_do_not_make_them_forgotten() {
    for odd in [&[300.0, 300.0][..], &[1.0, 1.0], &[288.0, 315.0, 270.0], &[300.0; 3]] {
        for regular in [REGULAR.to_vec(), [REGULAR, REGULAR].concat()] {
            let mut tracker = Tracker::new();
            regular.iter().chain(odd).for_each(|seconds| tracker.learn(*seconds));
            assert_eq!(tracker.len(), regular.len() + odd.len(), "{odd:?}");
            regular.iter().for_each(|seconds| tracker.learn(*seconds));
            assert_eq!(tracker.len(), 2 * regular.len() + odd.len(), "{odd:?}, and then as before");
        }
    }
}

#[test]
fn four_jobs_unlike_the_others_are_a_change() {
    let mut tracker = Tracker::new();
    REGULAR.iter().for_each(|seconds| tracker.learn(*seconds));
    (0..4).for_each(|_| tracker.learn(300.0));
    assert_eq!(tracker.len(), 4);
}

/// A server may misstate when one job began. The newest jobs weigh most.
#[test]
fn one_wrong_duration_among_twenty_moves_no_median_and_is_no_percentile() {
    let percentiles = |durations: &[f64]| {
        let mut tracker = Tracker::new();
        durations.iter().for_each(|seconds| tracker.learn(*seconds));
        assert_eq!(tracker.len(), durations.len(), "no past job is forgotten for it");
        remaining(&Eta::new(&tracker.survival(), durations.len(), 0.0).unwrap())
    };
    let [_, p50, p90] = percentiles(&REGULAR);
    for wrong in [0.1, 3_600.0, 20_000.0, 80_000.0] {
        for at in 0..=REGULAR.len() {
            let mut durations = REGULAR.to_vec();
            durations.insert(at, wrong);
            let [_, other_p50, other_p90] = percentiles(&durations);
            assert_within(other_p50, p50, 0.05);
            // Of the newest job the shortest memories make a seventh.
            assert!(
                other_p90 > 0.95 * p90 && other_p90 < 2.5 * p90,
                "{wrong} at {at}: {other_p90}"
            );
        }
    }
}

#[test]
fn a_job_is_overdue_at_the_age_that_a_twentieth_of_the_past_jobs_alone_exceed() {
    for known in [7, 20] {
        let law = learnt(&REGULAR[..known]).survival();
        let late = law.past_quantile(0.95).unwrap();
        let past = |age| (1.0 - law.guess(age)) * law.probability(age);
        let part = past(late) / past(0.0);
        assert!((part - 0.05).abs() < 1e-9, "{known}: {part}");
        // The guess expects some jobs to take far longer.
        assert!(law.quantile(0.0, 0.95).is_none_or(|all| all > 1.01 * late), "{known}: {late}");
    }
}

#[test]
fn without_past_jobs_all_is_a_guess() {
    let law = Estimator::new().survival();
    for age in [0.0, 0.3, 7.0, 100.0, 5_000.0, 100_000.0] {
        assert!((law.guess(age) - 1.0).abs() < 1e-9, "{age}: {}", law.guess(age));
    }
}

//! Mean costs that another simulation found, and a change of the law. The benchmark `schedules` has all of them.

use super::*;
use crate::learned::{Account, Tracker, cost, gain, paced, worst};

const C: f64 = 1.0;

type Law = fn(&mut Random) -> f64;

fn regular(random: &mut Random) -> f64 {
    random.lognormal(100.0, 0.3)
}

fn two_modes(random: &mut Random) -> f64 {
    let mean = [10.0, 300.0][random.below(2)];
    random.lognormal(mean, 0.1)
}

fn pace(tracker: &Tracker, account: Account) -> Option<Pace> {
    let pace = unbounded(Plan::new(&tracker.survival(), C).0);
    let on = |leash| Pace { leash, ..pace.clone() };
    let chosen = account.choose(|leash| worst(paced(&on(leash)), fixed(), 1_800.0, C));
    chosen.map(|(leash, _)| on(leash))
}

fn mean_cost(pace: Option<&Pace>, durations: &[f64]) -> f64 {
    let cost = |&duration| match pace {
        Some(pace) => cost(paced(pace), duration, C),
        None => cost(fixed(), duration, C),
    };
    durations.iter().map(cost).sum::<f64>() / durations.len() as f64
}

/// The mean cost of a job after `n` others, over `sets` histories.
fn after(law: Law, n: usize, sets: u64) -> f64 {
    let mut random = Random(99);
    let durations: Vec<f64> = (0..4_000).map(|_| law(&mut random)).collect();
    let mut sum = 0.0;
    for set in 0..sets {
        let (mut random, mut tracker, mut account) = (Random(set), Tracker::new(), Account::new(C));
        for _ in 0..n {
            let duration = law(&mut random);
            // The account after some jobs matters little here, and takes most of the time.
            account.book(5.0);
            tracker.learn(duration);
        }
        sum += mean_cost(pace(&tracker, account).as_ref(), &durations);
    }
    sum / sets as f64
}

#[test]
fn mean_costs_are_those_of_another_simulation() {
    let rows: [(Law, usize, f64); 6] = [
        (regular, 0, 18.7),
        (regular, 5, 11.8),
        (regular, 20, 10.5),
        (two_modes, 0, 22.4),
        (two_modes, 5, 11.6),
        (two_modes, 20, 9.0),
    ];
    for (law, n, expected) in rows {
        let found = after(law, n, if n == 0 { 1 } else { 400 });
        assert!((found / expected - 1.0).abs() < 0.03, "{n} jobs: {found}, not {expected}");
    }
}

/// Jobs that take three times as long, or a third, are followed within twenty of them, at a loss within the bar.
#[test]
fn a_change_of_the_law_is_followed() {
    for (factor, best) in [(3.0, 17.2), (1.0 / 3.0, 5.9)] {
        let (runs, mut regret, mut last) = (12, 0.0, 0.0);
        let mut random = Random(98);
        let durations: Vec<f64> = (0..2_000).map(|_| regular(&mut random) * factor).collect();
        let static_cost = mean_cost(None, &durations);
        for run in 0..runs {
            let (mut random, mut tracker) = (Random(run), Tracker::new());
            let mut account = Account::new(C);
            for _ in 0..200 {
                tracker.learn(regular(&mut random));
            }
            account.set_balance(account.cap());
            let (mut sum, mut most) = (0.0, 0.0_f64);
            for _ in 0..20 {
                let pace = pace(&tracker, account);
                sum += mean_cost(pace.as_ref(), &durations) - static_cost;
                most = most.max(sum);
                let duration = regular(&mut random) * factor;
                account.book(
                    pace.as_ref().map_or(0.1, |pace| gain(paced(pace), fixed(), duration, C)),
                );
                tracker.learn(duration);
            }
            regret += most / runs as f64;
            last += mean_cost(pace(&tracker, account).as_ref(), &durations) / runs as f64;
        }
        assert!(regret <= 30.0, "lost {regret}");
        assert!(last <= 1.1 * best, "{last} after twenty jobs, {best} at best");
    }
}

/// A tracker restarts only on strong evidence: as long as the law stays, its past jobs count.
#[test]
fn jobs_of_one_law_are_not_forgotten() {
    let laws: [Law; 3] = [regular, two_modes, |random| -100.0 * (1.0 - random.next()).ln()];
    for law in laws {
        let mut kept = 0;
        for run in 0..40 {
            let (mut random, mut tracker) = (Random(run), Tracker::new());
            for _ in 0..200 {
                tracker.learn(law(&mut random));
            }
            kept += usize::from(tracker.len() == 200);
        }
        assert!(kept >= 36, "{kept} of 40");
    }
}

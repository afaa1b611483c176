//! What a schedule makes of past jobs, as it is shown to people.

use std::time::Duration;

use crate::learned::history::Savings;
use crate::learned::{ExpectedCost, History, Learned, Sample, Survival, polls};
use crate::{Explanation, Schedule};

const MIN: Duration = Duration::from_millis(500);

fn history(durations: impl IntoIterator<Item = u64>) -> History {
    let mut history = History::new();
    for seconds in durations {
        history.record("create", Sample::ended(Duration::from_secs(seconds)));
    }
    history
}

fn explain(history: &History, kind: &str) -> Option<Explanation> {
    Schedule::learned(Learned::new()).unwrap().explain(history, kind, MIN)
}

#[test]
fn the_expected_cost_of_a_known_law_is_reproduced() {
    let memoryless = Survival::of_law(|t| (-t / 100.0).exp());
    // DESIGN section 6: the best intervals of a memoryless law of mean 100 s, and their costs.
    for (c, interval, cost) in
        [(1.0, 13.8165, 14.817), (5.0, 30.0403, 35.040), (20.0, 57.225, 77.225)]
    {
        let expected = ExpectedCost::new(&memoryless, polls(|_, _| interval), c).unwrap();
        let found = expected.cost.as_secs_f64();
        assert!((found / cost - 1.0).abs() < 2e-3, "{found}, not {cost}");
        let parts = expected.polls * c + expected.lag.as_secs_f64();
        assert!((found - parts).abs() < 1e-6, "{found}, not {parts}");
        let polls = 1.0 / (1.0 - (-interval / 100.0_f64).exp());
        assert!((expected.polls / polls - 1.0).abs() < 2e-3, "{expected:?}, not {polls}");
    }
}

#[test]
fn the_expected_cost_is_that_of_the_jobs_whose_durations_are_known() {
    let law = super::learnt(&[100.0]).survival();
    let until = law.known_until();
    let share = 1.0 - law.probability(until);
    assert!(share < 0.95, "{share}");
    // One poll, at which all jobs that count have ended.
    let expected = ExpectedCost::new(&law, std::iter::once(until), 1.0).unwrap();
    let (lag, found) = ((until - law.area(until)) / share, expected.lag.as_secs_f64());
    assert!((expected.polls - 1.0).abs() < 1e-9, "{expected:?}");
    assert!((found / lag - 1.0).abs() < 1e-6, "{found}, not {lag}");
}

#[test]
fn both_costs_are_at_the_price_of_the_settings() {
    let settings = Learned::new().poll_cost(Duration::from_secs(5));
    let schedule = Schedule::learned(settings).unwrap();
    let explanation = schedule.explain(&history(80..120), "create", MIN).unwrap();
    for expected in [explanation.expected, explanation.expected_fallback].map(Option::unwrap) {
        let cost = 5.0 * expected.polls + expected.lag.as_secs_f64();
        assert!((expected.cost.as_secs_f64() - cost).abs() < 1e-6, "{expected:?}");
    }
}

#[test]
fn regular_jobs_are_expected_to_cost_less_than_with_the_fallback() {
    let mut history = history((80..120).step_by(2));
    history.record("create", Sample::at_least(Duration::from_secs(5)));
    let explanation = explain(&history, "create").unwrap();
    assert_eq!((explanation.ended, explanation.unfinished), (20, 1));
    assert!(explanation.is_learned);
    let [learned, fallback] =
        [explanation.expected, explanation.expected_fallback].map(Option::unwrap);
    assert!(learned.cost.as_secs_f64() < 0.7 * fallback.cost.as_secs_f64(), "{explanation:?}");
    assert!(learned.polls < 0.5 * fallback.polls, "{explanation:?}");
    // The fallback polls at 77 s, 92 s, 107 s and 122 s, the tenth to the thirteenth time: half of 15 s late.
    assert!((11.0..13.5).contains(&fallback.polls), "{fallback:?}");
    assert!((6.0..9.0).contains(&fallback.lag.as_secs_f64()), "{fallback:?}");
    let polls = &explanation.polls;
    assert!(polls.is_sorted() && polls[0] >= Duration::from_secs(60), "{polls:?}");
    assert!(explanation.fallback_polls.len() > polls.len(), "{explanation:?}");
    assert_eq!(explanation.fallback_polls[0], Duration::from_secs(1));
    let last = polls.last().unwrap();
    assert!(explanation.survival(*last) <= 0.05, "{polls:?}");
    let median = explanation.percentile(0.5).unwrap().as_secs_f64();
    assert!(
        (median - 105.0).abs() < 8.0 && explanation.survival(Duration::ZERO) == 1.0,
        "{median}"
    );
}

#[test]
fn the_account_says_why_the_fallback_is_used() {
    let mut history = history((80..120).step_by(2));
    let before = explain(&history, "create").unwrap();
    assert_eq!((before.account, before.account_limit), (70.0, 350.0));
    assert!(before.worst_loss.unwrap() <= 70.0, "{before:?}");
    let lost = Savings { sum: -69.0, ceiling: 350.0 };
    history.save("create", Duration::from_secs(1), lost);
    let after = explain(&history, "create").unwrap();
    assert!(!after.is_learned && after.account == 1.0, "{after:?}");
    assert!(after.worst_loss.unwrap() > 1.0, "{after:?}");
    assert_eq!((after.polls, after.expected), (after.fallback_polls, after.expected_fallback));
}

#[test]
fn what_is_not_known_is_not_explained() {
    let history = history([100]);
    let polls = explain(&history, "create").unwrap().fallback_polls;
    let until = super::learnt(&[100.0]).survival().known_until();
    let beyond = polls.iter().filter(|poll| poll.as_secs_f64() >= until).count();
    assert_eq!(beyond, 1, "one past job does not tell later ones: {polls:?}");
    assert!(explain(&history, "delete").is_none());
    assert!(Schedule::default().explain(&history, "create", MIN).is_none());
    let mut unfinished = History::new();
    (0..20).for_each(|_| unfinished.record("create", Sample::at_least(Duration::from_secs(100))));
    let explanation = explain(&unfinished, "create").unwrap();
    assert_eq!((explanation.ended, explanation.unfinished), (0, 20));
    assert_eq!((explanation.expected, explanation.percentile(0.5)), (None, None));
    assert!(!explanation.polls.is_empty());
}

#[test]
fn odd_durations_are_explained_with_finite_numbers() {
    for durations in [vec![0], vec![0; 30], vec![1_000_000_000; 30], vec![0, 86_400], vec![7; 300]]
    {
        let explanation = explain(&history(durations.clone()), "create").unwrap();
        assert!(explanation.polls.len() <= 1_000 && !explanation.polls.is_empty(), "{durations:?}");
        for expected in [explanation.expected, explanation.expected_fallback].into_iter().flatten()
        {
            assert!(
                expected.polls.is_finite() && expected.polls >= 0.99,
                "{durations:?} {expected:?}"
            );
        }
    }
}

#[test]
fn percentiles_are_those_of_the_past_jobs_alone() {
    let explanation = explain(&history((80..120).step_by(6)), "create").unwrap();
    let law = &explanation.law;
    for part in [0.5, 0.9, 0.95] {
        let found = explanation.percentile(part).unwrap().as_secs_f64();
        let expected = law.past_quantile(part).unwrap();
        assert!((found - expected).abs() < 1e-6, "{part}: {found}, not {expected}");
        // The guess would move it.
        assert!((law.quantile(0.0, part).unwrap() - found).abs() > 0.05, "{part}: {found}");
    }
}

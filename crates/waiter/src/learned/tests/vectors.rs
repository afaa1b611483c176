//! Figures that two other programs, written by others from the same description, agree on to four digits.

use super::*;
use crate::learned::{Survival, worst};

const L20: [f64; 20] = [
    76.0, 112.0, 95.0, 131.0, 88.0, 103.0, 67.0, 145.0, 99.0, 84.0, 120.0, 92.0, 109.0, 73.0,
    158.0, 97.0, 86.0, 101.0, 115.0, 80.0,
];
const B20: [f64; 20] = [
    10.0, 298.0, 9.5, 11.0, 305.0, 10.4, 9.8, 287.0, 312.0, 10.2, 301.0, 9.6, 10.9, 295.0, 10.1,
    318.0, 9.9, 10.3, 309.0, 291.0,
];

#[track_caller]
fn assert_near(what: &str, found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 0.01, "{what}: {found}, not {expected}");
}

/// One price of a poll: the expected cost, the first polls, and the worst loss on the leash (60, .5).
struct Row(f64, f64, [f64; 4], f64);

/// The survival at the node at 100.20 s, and what follows from it for each price.
fn check(history: &[f64], survival: f64, rows: &[Row]) {
    let learnt = learnt(history).survival();
    assert_near("survival", learnt.probability(100.2), survival);
    for Row(c, cost, polls, loss) in rows {
        let (plan, expected) = Plan::new(&learnt, *c);
        assert_near("cost", expected, *cost);
        let mut age = 0.0;
        for poll in polls {
            age = plan.after(age);
            assert_near("poll", age, *poll);
        }
        let pace = unbounded(plan);
        assert_near("worst", worst(crate::learned::paced(&pace), fixed(), 1_800.0, *c), *loss);
    }
}

#[test]
fn no_history() {
    check(
        &[],
        0.4669,
        &[
            Row(1.0, 87.578, [6.95, 19.07, 33.68, 50.22], 35.11),
            Row(5.0, 180.659, [18.94, 51.25, 93.01, 145.43], 17.44),
            Row(20.0, 365.374, [42.69, 122.78, 241.68, 409.88], 39.69),
        ],
    );
}

#[test]
fn few_jobs() {
    check(
        &[100.0],
        0.4884,
        &[
            Row(1.0, 30.087, [23.21, 49.55, 71.42, 88.70], 25.76),
            Row(5.0, 64.784, [58.69, 102.26, 120.31, 146.42], 57.19),
        ],
    );
    check(
        &[84.0, 97.0, 103.0, 118.0, 131.0],
        0.5888,
        &[
            Row(1.0, 16.504, [67.65, 84.60, 95.56, 105.07], 58.90),
            Row(5.0, 35.368, [93.01, 113.20, 130.49, 146.42], 58.50),
        ],
    );
}

#[test]
fn twenty_regular_jobs() {
    check(
        &L20,
        0.4708,
        &[
            Row(1.0, 12.217, [70.46, 82.34, 91.76, 100.20], 58.90),
            Row(5.0, 27.529, [86.92, 105.78, 122.78, 138.70], 58.50),
            Row(20.0, 59.993, [105.78, 135.91, 165.40, 194.59], 57.00),
        ],
    );
}

#[test]
fn two_modes() {
    check(
        &B20,
        0.4635,
        &[
            Row(1.0, 9.034, [11.02, 13.78, 89.31, 280.51], 55.34),
            Row(5.0, 21.414, [13.23, 296.13, 310.50, 321.20], 29.45),
            Row(20.0, 50.754, [13.23, 310.50, 330.02, 353.14], 10.23),
        ],
    );
}

#[test]
fn a_shift() {
    let history: Vec<f64> = L20.into_iter().chain(L20).chain([288.0, 315.0, 270.0]).collect();
    check(
        &history,
        0.5884,
        &[
            Row(1.0, 21.683, [34.60, 55.22, 73.38, 88.70], 33.50),
            Row(5.0, 49.556, [61.12, 96.87, 129.61, 166.52], 58.50),
        ],
    );
}

#[test]
fn equal_jobs_and_extremes() {
    check(&[100.0; 20], 0.4291, &[Row(1.0, 5.262, [100.20, 101.57, 102.26, 103.66], 58.90)]);
    check(&[0.3, 86_400.0], 0.5698, &[Row(1.0, 267.783, [1.37, 19.20, 57.90, 116.30], 420.56)]);
}

#[test]
fn weights_of_the_experts() {
    let (by_memory, by_width) = learnt(&L20).weights();
    for (found, expected) in by_memory.iter().zip([0.1655, 0.3841, 0.4504]) {
        assert_near("memory", *found, expected);
    }
    for (found, expected) in by_width.iter().zip([0.0006, 0.0027, 0.0320, 0.9329, 0.0222, 0.0096]) {
        // Given to four digits.
        assert!((found - expected).abs() < 0.01 * expected + 5e-5, "{found}, not {expected}");
    }
}

/// Laws that are known: DESIGN of the schedule, recomputed twice.
#[test]
fn known_laws() {
    let uniform = Survival::of_law(|t| 1.0 - t / 200.0);
    for (c, cost) in [(1.0, 13.838), (5.0, 32.361), (20.0, 70.0)] {
        assert_near("uniform", Plan::new(&uniform, c).1, cost);
    }
    let (plan, _) = Plan::new(&uniform, 20.0);
    check_polls(&plan, &[80.0, 140.0, 180.0, 200.0]);
    let memoryless = Survival::of_law(|t| (-t / 100.0).exp());
    for (c, interval, cost) in
        [(1.0, 13.8165, 14.817), (5.0, 30.0403, 35.04), (20.0, 57.225, 77.225)]
    {
        let (plan, expected) = Plan::new(&memoryless, c);
        assert_near("memoryless", expected, cost);
        check_polls(&plan, &[interval, 2.0 * interval, 3.0 * interval]);
    }
    let normal = Survival::of_law(|t| normal_above((t - 500.0) / 100.0));
    let (plan, cost) = Plan::new(&normal, 10.0);
    assert_near("normal", cost, 63.085);
    check_polls(&plan, &[422.56, 486.76, 534.42, 574.23, 609.27]);
    let gamma = Survival::of_law(|t| gamma_above(1.0 / 0.09, t / 9.0));
    let (plan, cost) = Plan::new(&gamma, 5.0);
    assert_near("gamma", cost, 23.836);
    check_polls(&plan, &[84.66, 104.19, 120.18, 134.48, 147.76]);
}

#[track_caller]
fn check_polls(plan: &Plan, polls: &[f64]) {
    let mut age = 0.0;
    for poll in polls {
        age = plan.after(age);
        // Polls lie on the grid, and where the cost is flat some way from the best one.
        assert!((age / poll - 1.0).abs() < 0.01, "{age}, not {poll}");
    }
}

/// A job that is polled whenever that is worth more than its price costs hardly more than the best plan, on one mode.
#[test]
fn polls_that_are_worth_their_price_cost_hardly_more_than_the_best_plan() {
    let laws = [
        (Survival::of_law(|t| normal_above((t - 500.0) / 100.0)), 500.0, 10.0, 63.14),
        (Survival::of_law(|t| gamma_above(1.0 / 0.09, t / 9.0)), 100.0, 5.0, 23.85),
    ];
    for (law, mean, c, expected) in laws {
        let (mut seen, mut cost) = (0.0, -mean);
        while law.probability(seen) > 1e-9 {
            let mut age = seen + 0.01;
            while law.worth(seen, age) < c && law.probability(age) > 1e-9 {
                age += 0.01;
            }
            cost +=
                c * law.probability(seen) + age * (law.probability(seen) - law.probability(age));
            seen = age;
        }
        assert!((cost / expected - 1.0).abs() < 0.02, "{cost}, not {expected}");
    }
}

/// The probability that a standard normal variable exceeds `x`, by Simpson's rule.
fn normal_above(x: f64) -> f64 {
    let (n, end) = (400, 40.0_f64);
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let x = x.clamp(-end, end);
    let h = (x.abs() + 1e-12) / f64::from(n);
    let sum: f64 = (0..=n)
        .map(|i| {
            let weight = if i == 0 || i == n {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * density(h * f64::from(i))
        })
        .sum();
    let half = (sum * h / 3.0).min(0.5);
    if x > 0.0 { 0.5 - half } else { 0.5 + half }
}

/// The probability that a gamma variable of this shape, and scale 1, exceeds `x`, by its series.
fn gamma_above(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let (mut term, mut sum, mut k) = (1.0 / shape, 1.0 / shape, shape);
    while term > 1e-17 * sum {
        k += 1.0;
        term *= x / k;
        sum += term;
    }
    let below = sum * (shape * x.ln() - x - ln_gamma(shape)).exp();
    (1.0 - below).clamp(0.0, 1.0)
}

/// The logarithm of the gamma function, by Stirling's series.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 20.0 {
        shift -= x.ln();
        x += 1.0;
    }
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + 1.0 / (12.0 * x)
        - 1.0 / (360.0 * x.powi(3))
}

/// The envelope of lines finds what a search of all polls finds.
#[test]
fn the_plan_is_the_best_of_all() {
    use crate::learned::grid::{Grid, NODES};
    let times = &Grid::get().times;
    let laws = [
        learnt(&L20).survival(),
        learnt(&B20).survival(),
        learnt(&[]).survival(),
        Survival::of_law(|t| 1.0 - t / 200.0),
        Survival::of_law(|t| if t < 100.0 { 1.0 } else { 0.0 }),
        Survival::of_law(|t| {
            if t < 10.0 {
                1.0
            } else if t < 300.0 {
                0.5
            } else {
                1e-12
            }
        }),
    ];
    for (law, c) in laws.iter().zip([1.0, 5.0, 0.1, 20.0, 1.0, 3.0]) {
        let (s, area) = (&law.at, &law.area);
        let mut costs = vec![0.0; NODES + 1];
        let (plan, cost) = Plan::new(law, c);
        for i in (0..NODES).rev() {
            let price = |j: usize| times[j] * s[i] + (costs[j] - area[j]);
            let best = (i + 1..=NODES).map(price).fold(f64::INFINITY, f64::min);
            let chosen = price(usize::from(plan.next_node(i)));
            costs[i] = c * s[i] - s[i] * times[i] + area[i] + best;
            assert!(chosen - best <= 1e-9 * times[NODES], "node {i}: {chosen}, not {best}");
        }
        assert!((cost - costs[0]).abs() <= 1e-6 * costs[0].abs(), "{cost}, not {}", costs[0]);
    }
}

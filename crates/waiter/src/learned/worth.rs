//! What a poll is worth, for when not all polls that are due can be made.

use super::grid::{Grid, LONGEST};
use super::survival::Survival;

/// The least rate of ends, per second.
const LEAST_HAZARD: f64 = 1e-9;
/// The least probability that a job still runs.
const LEAST_SURVIVAL: f64 = 1e-300;
/// The largest logarithm of how much the probability that a job still runs has fallen.
const LARGEST_MASS: f64 = 500.0;
/// Below this, the difference in the formula is computed by its series.
const SMALL_MASS: f64 = 1e-4;

impl Survival {
    /// Returns what it is worth to poll a job of this `age` now that was `seen` running at an earlier age, in seconds of delay.
    ///
    /// It compares with the price of a poll: to poll when it exceeds the price costs hardly more than the best plan. With h the
    /// rate of ends at `age`, and L its integral since the job was seen, it is (e^L - 1 - L) / h: Whittle's
    /// index of a job that may have ended unseen. For a constant rate it is about the chance that the job has ended, times half
    /// of the time since it was seen.
    pub fn worth(&self, seen: f64, age: f64) -> f64 {
        let at = |age: f64| self.probability(age).max(LEAST_SURVIVAL);
        let now = at(age);
        // Its logarithm is L.
        let growth = (at(seen) / now - 1.0).clamp(0.0, LARGEST_MASS.exp());
        let mass = growth.ln_1p();
        let excess =
            if mass < SMALL_MASS { mass * mass * (0.5 + mass / 6.0) } else { growth - mass };
        excess / (self.fall(age) / now).max(LEAST_HAZARD)
    }

    /// Returns by how much the probability that a job still runs falls per second at this age.
    fn fall(&self, age: f64) -> f64 {
        let times = &Grid::get().times;
        // Its own cell of the grid; before the first one, that from zero.
        let node =
            if age < times[1] { 0 } else { Grid::get().locate(Grid::log(age.min(LONGEST))).0 };
        (self.at[node] - self.at[node + 1]) / (times[node + 1] - times[node])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memoryless() -> Survival {
        Survival::of_law(|t| (-t / 100.0).exp())
    }

    #[test]
    fn the_worth_at_a_constant_rate_is_that_of_the_formula() {
        for (seen, age) in [(0.0, 60.0), (10.0, 60.0), (100.0, 400.0), (0.0, 3.0), (50.0, 50.9)] {
            let mass: f64 = (age - seen) / 100.0;
            let expected = (mass.exp() - 1.0 - mass) * 100.0;
            let found = memoryless().worth(seen, age);
            assert!((found / expected - 1.0).abs() < 0.02, "{found}, not {expected}, at {age}");
        }
        // Where the difference would be lost in rounding.
        let found = memoryless().worth(50.0, 50.004);
        let expected = 0.5 * 0.004 * 0.004 / 100.0;
        assert!((found / expected - 1.0).abs() < 0.02, "{found}, not {expected}");
    }

    #[test]
    fn a_poll_is_worth_more_in_a_gap_that_jobs_have_come_to_than_before_it() {
        // Half of the jobs end between 9 and 11 s, the others between 290 and 310 s.
        let ends = |t: f64, from: f64, to: f64| ((t - from) / (to - from)).clamp(0.0, 1.0);
        let law = Survival::of_law(|t| 1.0 - 0.5 * (ends(t, 9.0, 11.0) + ends(t, 290.0, 310.0)));
        assert!(law.worth(5.0, 20.0) > 100.0 * law.worth(5.0, 10.5));
        assert!(law.worth(20.0, 100.0) < 1e-3, "nothing ends there");
    }

    #[test]
    fn the_worth_is_finite_and_not_negative_whatever_the_law_and_the_ages() {
        let laws: [fn(f64) -> f64; 5] =
            [|_| 1.0, |_| 0.0, |t| if t < 100.0 { 1.0 } else { 0.0 }, |t| (-t).exp(), |_| 1e-300];
        let ages = [
            f64::NAN,
            f64::NEG_INFINITY,
            -1.0,
            0.0,
            0.1,
            0.25,
            99.9,
            100.1,
            262_143.0,
            262_144.0,
            1e9,
            f64::INFINITY,
        ];
        for law in laws.map(Survival::of_law) {
            for seen in ages {
                for age in ages {
                    let worth = law.worth(seen, age);
                    assert!(worth.is_finite() && worth >= 0.0, "{worth}: {seen}, {age}");
                }
            }
        }
        assert_eq!(memoryless().worth(60.0, 60.0), 0.0);
        assert_eq!(memoryless().worth(60.0, 50.0), 0.0);
    }
}

//! How likely a job of a kind is to run longer than some time.

use super::grid::{Grid, LONGEST, NODES};

/// The probability that a job has not ended, at each node of the grid.
#[derive(Clone, Debug)]
pub struct Survival {
    /// Invariant: falls from 1, and has a value for each node.
    pub(super) at: Box<[f64]>,
    /// The integral of `at` from zero to each node, in seconds.
    pub(super) area: Box<[f64]>,
    /// The age from which on the prior says more of a job than past jobs do, in seconds.
    known_until: f64,
    /// The part of `at` that past jobs tell; the rest is a guess. Invariant: falls, and has a value for each node.
    past: Box<[f64]>,
}

impl Survival {
    /// Makes the survival of the probabilities of the nodes, which sum up to 1. Half of a node's jobs end before it.
    pub(super) fn of_mass(mass: &[f64]) -> Self {
        let mut beyond = 0.0;
        let mut at: Box<[f64]> = [1.0; NODES + 1].into();
        for (at, mass) in at.iter_mut().zip(mass).skip(1).rev() {
            *at = (beyond + 0.5 * mass).min(1.0);
            beyond += mass;
        }
        Self::new(at)
    }

    /// Sets which part of each node's probability is a guess, in the absence of past jobs.
    pub(super) fn with_guess(mut self, guess: &[f64]) -> Self {
        let times = &Grid::get().times;
        let mut beyond = 0.0;
        for (j, guess) in guess.iter().enumerate().rev() {
            self.past[j] = (self.at[j] - beyond - 0.5 * guess).max(0.0);
            beyond += guess;
            if beyond > 0.5 * self.at[j] {
                self.known_until = times[j];
            }
        }
        self
    }

    /// Makes the survival of a known law: `law` gives the probability that a job runs longer than some seconds.
    pub fn of_law(law: impl Fn(f64) -> f64) -> Self {
        let mut least = 1.0_f64;
        let mut at = |t: &f64| {
            let now = law(*t);
            // Never rises, whatever the law says.
            least = if now >= 0.0 { least.min(now) } else { least };
            least
        };
        Self::new(Grid::get().times.iter().map(|t| if *t > 0.0 { at(t) } else { 1.0 }).collect())
    }

    fn new(at: Box<[f64]>) -> Self {
        let times = &Grid::get().times;
        let mut sum = 0.0;
        let mut area = vec![0.0; NODES + 1].into_boxed_slice();
        for j in 1..=NODES {
            sum += 0.5 * (at[j] + at[j - 1]) * (times[j] - times[j - 1]);
            area[j] = sum;
        }
        Self { past: at.clone(), at, area, known_until: LONGEST }
    }

    /// Returns the age from which on the prior says more of a job than past jobs do, in seconds.
    pub(crate) fn known_until(&self) -> f64 {
        self.known_until
    }

    /// Returns which part of the jobs that reach an age is a guess, from 0 to 1.
    pub(crate) fn guess(&self, age: f64) -> f64 {
        let alive = self.probability(age);
        if alive > 0.0 { 1.0 - (interpolate(&self.past, age) / alive).min(1.0) } else { 1.0 }
    }

    /// Returns the age by which this part of the jobs that reach `age` has ended, in seconds; none if more of them may be a
    /// guess than is left then.
    pub(crate) fn known_quantile(&self, age: f64, part: f64) -> Option<f64> {
        self.quantile(age, part).filter(|_| self.guess(age) <= 1.0 - part)
    }

    /// Returns the age by which this part of the past jobs has ended, in seconds, without the guess; none if the guess weighs
    /// more than the past jobs that are left then.
    ///
    /// So at each age up to that one, no more than half of the jobs that reach it are a guess.
    pub(crate) fn past_quantile(&self, part: f64) -> Option<f64> {
        let all = self.past[0];
        let wanted = all * (1.0 - part);
        let after = self.past.partition_point(|&past| past > wanted);
        if 1.0 - all > wanted || after == 0 || after > NODES {
            return None;
        }
        let (above, below) = (self.past[after - 1], self.past[after]);
        let times = &Grid::get().times;
        let within = if above > below { (above - wanted) / (above - below) } else { 1.0 };
        // Where `interpolate` has that value.
        let (from, to) = (times[after - 1], times[after]);
        Some(if after > 1 { from * (to / from).powf(within) } else { to * within })
    }

    /// Returns the integral of the probability from zero to `age` seconds, which beyond the grid grows no further.
    pub(crate) fn area(&self, age: f64) -> f64 {
        let times = &Grid::get().times;
        let age = if age > 0.0 { age.min(LONGEST) } else { 0.0 };
        let below = times.partition_point(|time| *time <= age).saturating_sub(1);
        let mean = 0.5 * (self.at[below] + self.probability(age));
        self.area[below] + mean * (age - times[below])
    }

    /// Returns the probability that a job runs longer than `age` seconds.
    pub fn probability(&self, age: f64) -> f64 {
        interpolate(&self.at, age)
    }

    /// Returns the age by which this part of the jobs that reach `age` has ended, in seconds; none beyond the grid.
    pub fn quantile(&self, age: f64, part: f64) -> Option<f64> {
        let alive = self.probability(age);
        let wanted = alive * (1.0 - part.clamp(0.0, 1.0));
        let after = self.at.partition_point(|&at| at > wanted);
        if after == 0 || after > NODES || alive <= 0.0 {
            return None;
        }
        let (above, below) = (self.at[after - 1], self.at[after]);
        let times = &Grid::get().times;
        let within = if above > below { (above - wanted) / (above - below) } else { 1.0 };
        Some((times[after - 1] + within * (times[after] - times[after - 1])).max(age))
    }
}

/// Returns the value of an age between those of the nodes.
fn interpolate(nodes: &[f64], age: f64) -> f64 {
    let grid = Grid::get();
    let first = grid.times[1];
    let (node, part) =
        if age < first { (0, (age / first).max(0.0)) } else { grid.locate(Grid::log(age)) };
    nodes[node] + part * (nodes[node + 1] - nodes[node])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_law_is_reproduced() {
        let memoryless = Survival::of_law(|t| (-t / 100.0).exp());
        for age in [0.0, 0.1, 1.0, 77.7, 300.0] {
            let expected = (-age / 100.0_f64).exp();
            assert!((memoryless.probability(age) - expected).abs() < 1e-4, "{age}");
        }
        let median = memoryless.quantile(0.0, 0.5).unwrap();
        assert!((median - 69.3).abs() < 0.1, "{median}");
        let later = memoryless.quantile(200.0, 0.5).unwrap();
        assert!((later - 269.3).abs() < 0.1, "{later}");
        let mean = memoryless.area[NODES];
        assert!((mean - 100.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn no_law_makes_it_rise_or_leave_the_range() {
        for law in [|_| f64::NAN, |t: f64| t, |_| 0.0, |_| 2.0, |_| -1.0] {
            let survival = Survival::of_law(law);
            assert!(survival.at.is_sorted_by(|a, b| a >= b));
            assert!(survival.at.iter().all(|at| (0.0..=1.0).contains(at)));
        }
    }

    #[test]
    fn a_quantile_that_never_comes_is_none() {
        assert_eq!(Survival::of_law(|_| 1.0).quantile(5.0, 0.5), None);
        assert_eq!(Survival::of_law(|_| 0.0).quantile(5.0, 0.5), None);
    }
}

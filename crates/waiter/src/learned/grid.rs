//! The grid of durations on which everything learnt is computed: zero, then steps of equal ratio.

use std::sync::LazyLock;

/// The number of nodes above zero.
pub(super) const NODES: usize = 2_048;
/// The shortest and the longest duration that are told apart, in seconds: a quarter of a second and three days.
pub(super) const SHORTEST: f64 = 0.25;
pub(super) const LONGEST: f64 = 262_144.0;

static GRID: LazyLock<Grid> = LazyLock::new(Grid::new);

/// Node 0 lies at 0 s, nodes 1 to [`NODES`] from [`SHORTEST`] to [`LONGEST`].
#[derive(Debug)]
pub(super) struct Grid {
    /// The nodes, in seconds.
    pub(super) times: Box<[f64]>,
    /// The distance of neighbours, as a logarithm.
    pub(super) step: f64,
    /// The probability of each node before any job has ended: half of it even over the logarithm of the duration,
    /// half of it bell-shaped around a minute. Node 0 has none.
    pub(super) prior: Box<[f64]>,
}

impl Grid {
    /// Returns the grid.
    pub(super) fn get() -> &'static Self {
        &GRID
    }

    fn new() -> Self {
        let step = (LONGEST / SHORTEST).ln() / (NODES - 1) as f64;
        let above_zero = (0..NODES).map(|j| SHORTEST * (step * j as f64).exp());
        let times: Box<[f64]> = std::iter::once(0.0).chain(above_zero).collect();
        let bell = |t: &f64| (-0.5 * ((t.ln() - 60_f64.ln()) / 1.5).powi(2)).exp();
        let bells: Box<[f64]> =
            times.iter().map(|t| if *t > 0.0 { bell(t) } else { 0.0 }).collect();
        let sum: f64 = bells.iter().sum();
        let even = 0.5 / NODES as f64;
        let prior =
            (0..).zip(&bells).map(|(j, bell)| if j > 0 { even + 0.5 * bell / sum } else { 0.0 });
        let prior = prior.collect();
        Self { times, step, prior }
    }

    /// Returns the logarithm of a duration, which is moved into the grid. What is not a number counts as the shortest.
    pub(super) fn log(seconds: f64) -> f64 {
        if seconds >= SHORTEST { seconds.min(LONGEST).ln() } else { SHORTEST.ln() }
    }

    /// Returns the node at or below a logarithm of a duration, at least 1 and below the last, and how far it
    /// is to the next one, in steps: 1 at the most.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the grid; what is not a number becomes zero"
    )]
    pub(super) fn locate(&self, log: f64) -> (usize, f64) {
        let steps = ((log - SHORTEST.ln()) / self.step).clamp(0.0, (NODES - 1) as f64);
        let below = (steps as usize).min(NODES - 2);
        (below + 1, steps - below as f64)
    }

    /// Returns the density of the prior over the logarithm of the duration.
    pub(super) fn prior_density(&self, log: f64) -> f64 {
        let (node, part) = self.locate(log);
        (self.prior[node] * (1.0 - part) + self.prior[node + 1] * part) / self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_lies_between_its_node_and_the_next() {
        let grid = Grid::get();
        for seconds in [0.25, 0.3, 1.0, 60.0, 99.9, 86_400.0, 262_144.0] {
            let (node, part) = grid.locate(Grid::log(seconds));
            let (below, above) = (grid.times[node], grid.times[node + 1]);
            assert!(below <= seconds * 1.000_001 && seconds <= above * 1.000_001, "{seconds}");
            let interpolated = below.ln() + part * grid.step;
            assert!((interpolated - seconds.ln()).abs() < 1e-9, "{seconds}");
        }
    }

    #[test]
    fn what_lies_outside_is_moved_to_the_ends() {
        let grid = Grid::get();
        for low in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0] {
            assert_eq!(grid.locate(Grid::log(low)), (1, 0.0), "{low}");
        }
        for high in [1e9, f64::INFINITY] {
            let (node, part) = grid.locate(Grid::log(high));
            assert_eq!((node, part > 0.999), (NODES - 1, true), "{high}");
        }
    }

    #[test]
    fn the_prior_is_a_probability() {
        let sum: f64 = Grid::get().prior.iter().sum();
        assert!((sum - 1.0).abs() < 1e-9 && Grid::get().prior[0] == 0.0);
    }
}

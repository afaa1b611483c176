//! The law of a kind's durations, estimated from its past jobs: a mixture of kernels on the logarithm of the duration.
//!
//! One width of kernel smooths away two modes, or splits one. So eighteen experts share the weight, each with a width and a
//! memory of its own, and each finished job weighs them anew by how well they foretold it. A little of the weight is spread
//! again each time (Herbster and Warmuth, "Tracking the best expert", 1998), so a change of the law is followed within
//! some jobs.

use std::collections::VecDeque;

use super::grid::{Grid, NODES};
use super::survival::Survival;

/// How many past jobs count.
pub(super) const KEPT: usize = 256;
/// How many jobs back an expert remembers.
const MEMORIES: [f64; 3] = [6.0, 30.0, 200.0];
/// The widths of the kernels, as logarithms.
const WIDTHS: [f64; 6] = [0.01, 0.03, 0.08, 0.2, 0.5, 1.0];
/// The weights of the widths before any job has ended; they sum up to 9.8, for each memory.
const FIRST_WEIGHTS: [f64; 6] = [0.3, 0.5, 1.0, 2.0, 3.0, 3.0];
/// How many jobs the prior counts as.
const PRIOR_JOBS: f64 = 0.25;
/// Which part of the weight is spread again with each job.
const SHARE: f64 = 0.02;
/// A kernel is cut at this many widths.
const CUT: f64 = 5.0;

type Weights = [[f64; WIDTHS.len()]; MEMORIES.len()];

/// Learns how long the jobs of one kind take.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// The past jobs, the newest first.
    samples: VecDeque<Sample>,
    /// Invariant: sums up to 1.
    weights: Weights,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The logarithm of the duration.
    log: f64,
    /// Whether the job ran longer than that, and it is not known how long.
    is_censored: bool,
}

/// What the past jobs weigh for one memory, when the weight of those that ran longer than is known has been handed on.
struct Shares {
    /// The weights of the samples, the newest first; zero for censored ones.
    samples: Vec<f64>,
    /// Weights that belong to the prior beyond a logarithm, because no known duration is longer.
    beyond: Vec<(f64, f64)>,
    sum: f64,
}

impl Estimator {
    /// Makes an estimator that has seen no job.
    pub fn new() -> Self {
        Self { samples: VecDeque::new(), weights: first_weights() }
    }

    /// Returns how many past jobs count.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Returns whether no job was seen.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Returns how many past jobs with a known end count.
    pub fn count_ended(&self) -> usize {
        self.samples.iter().filter(|sample| !sample.is_censored).count()
    }

    /// Takes the duration of a job that has ended, in seconds.
    ///
    /// Returns how well it was foretold: the logarithm of its density, over the logarithm of the duration.
    pub fn learn(&mut self, seconds: f64) -> f64 {
        let log = Grid::log(seconds);
        let density = self.weigh(log);
        self.push(Sample { log, is_censored: false });
        density.max(f64::MIN_POSITIVE).ln()
    }

    /// Takes how long a job ran at least whose end is not known, in seconds.
    pub fn learn_at_least(&mut self, seconds: f64) {
        self.push(Sample { log: Grid::log(seconds), is_censored: true });
    }

    /// Forgets that a job ran this long at least whose end was not known.
    pub(crate) fn forget_at_least(&mut self, seconds: f64) {
        let log = Grid::log(seconds);
        let is_it = |sample: &Sample| sample.is_censored && sample.log == log;
        if let Some(at) = self.samples.iter().position(is_it) {
            self.samples.remove(at);
        }
    }

    fn push(&mut self, sample: Sample) {
        self.samples.truncate(KEPT - 1);
        self.samples.push_front(sample);
    }

    /// Weighs the experts by the density that each foretold for this duration. Returns the density of all.
    fn weigh(&mut self, log: f64) -> f64 {
        let grid = Grid::get();
        let prior = grid.prior_density(log);
        let kernels: Vec<[f64; WIDTHS.len()]> = self
            .samples
            .iter()
            .map(|sample| WIDTHS.map(|width| bell((log - sample.log) / width) / width))
            .collect();
        let mut sum = 0.0;
        for (weights, memory) in self.weights.iter_mut().zip(MEMORIES) {
            let shares = shares(&self.samples, memory);
            let mut densities = [0.0; WIDTHS.len()];
            for (share, kernels) in shares.samples.iter().zip(&kernels) {
                for (density, kernel) in densities.iter_mut().zip(kernels) {
                    *density += share * kernel;
                }
            }
            let beyond: f64 = shares
                .beyond
                .iter()
                .filter(|(from, _)| *from < log)
                .map(|(from, share)| share * prior / prior_beyond(*from).max(f64::MIN_POSITIVE))
                .sum();
            for (weight, density) in weights.iter_mut().zip(densities) {
                *weight *= (density + beyond + PRIOR_JOBS * prior) / (shares.sum + PRIOR_JOBS);
                sum += *weight;
            }
        }
        let first = first_weights();
        for (weight, first) in self.weights.iter_mut().flatten().zip(first.as_flattened()) {
            let updated = if sum > 0.0 { *weight / sum } else { *first };
            *weight = (1.0 - SHARE) * updated + SHARE * first;
        }
        sum
    }

    /// Returns the law that the past jobs suggest.
    pub fn survival(&self) -> Survival {
        let grid = Grid::get();
        let mut mass = vec![0.0; NODES + 1];
        let mut points = [const { Vec::new() }; WIDTHS.len()];
        let mut prior = 0.0;
        for (weights, memory) in self.weights.iter().zip(MEMORIES) {
            let shares = shares(&self.samples, memory);
            let sum = shares.sum + PRIOR_JOBS;
            let all: f64 = weights.iter().sum();
            prior += all * PRIOR_JOBS / sum;
            for (points, weight) in points.iter_mut().zip(weights) {
                points.resize(NODES + 1, 0.0);
                for (sample, share) in self.samples.iter().zip(&shares.samples) {
                    let (node, part) = grid.locate(sample.log);
                    points[node] += weight * share / sum * (1.0 - part);
                    points[node + 1] += weight * share / sum * part;
                }
            }
            for (from, share) in &shares.beyond {
                let factor = all * share / sum / prior_beyond(*from).max(f64::MIN_POSITIVE);
                for (mass, prior) in mass.iter_mut().zip(&grid.prior).skip(grid.locate(*from).0 + 1)
                {
                    *mass += factor * prior;
                }
            }
        }
        let mut guess = mass.clone();
        for (points, width) in points.iter().zip(WIDTHS) {
            add_kernels(&mut mass, points, &kernel(width));
        }
        let mut sum = 0.0;
        for ((mass, guess), node) in mass.iter_mut().zip(&mut guess).zip(&grid.prior) {
            *mass += prior * node;
            *guess += prior * node;
            sum += *mass;
        }
        mass.iter_mut().chain(&mut guess).for_each(|mass| *mass /= sum);
        Survival::of_mass(&mass).with_guess(&guess)
    }

    /// Returns what the experts weigh, by memory and by width.
    #[cfg(test)]
    pub(super) fn weights(&self) -> (Vec<f64>, Vec<f64>) {
        let by_memory = self.weights.iter().map(|weights| weights.iter().sum()).collect();
        let by_width = |width: usize| self.weights.iter().map(|weights| weights[width]).sum();
        (by_memory, (0..WIDTHS.len()).map(by_width).collect())
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new()
    }
}

fn first_weights() -> Weights {
    let sum = FIRST_WEIGHTS.iter().sum::<f64>() * MEMORIES.len() as f64;
    [FIRST_WEIGHTS.map(|weight| weight / sum); MEMORIES.len()]
}

/// The density of the standard normal distribution.
fn bell(x: f64) -> f64 {
    (-0.5 * x * x).exp() * (0.5 * std::f64::consts::FRAC_1_PI).sqrt()
}

/// Returns what the samples weigh for a memory.
///
/// A job of which only is known that it ran longer hands its weight on to those that ran longer, in
/// proportion to theirs: Efron's form of the estimator of Kaplan and Meier. To leave such jobs out would make jobs look
/// shorter than they are.
fn shares(samples: &VecDeque<Sample>, memory: f64) -> Shares {
    let decay = (-1.0 / memory).exp();
    let mut weight = 1.0;
    let mut shares: Vec<f64> = Vec::with_capacity(samples.len());
    for _ in samples {
        shares.push(weight);
        weight *= decay;
    }
    let sum = shares.iter().sum();
    let mut beyond = Vec::new();
    if samples.iter().any(|sample| sample.is_censored) {
        let mut by_log: Vec<usize> = (0..samples.len()).collect();
        // An end at the same time comes first: the censored job ran on.
        by_log.sort_by(|&a, &b| {
            let (a, b) = (samples[a], samples[b]);
            a.log.total_cmp(&b.log).then(a.is_censored.cmp(&b.is_censored))
        });
        let mut left: f64 = sum;
        let mut factor = 1.0;
        for (at, &sample) in by_log.iter().enumerate() {
            left -= shares[sample];
            let share = shares[sample] * factor;
            let is_last = by_log.len() - at == 1;
            if !samples[sample].is_censored {
                shares[sample] = share;
            } else {
                shares[sample] = 0.0;
                if is_last {
                    beyond.push((samples[sample].log, share));
                } else {
                    factor += share / left.max(f64::MIN_POSITIVE);
                }
            }
        }
    }
    Shares { samples: shares, beyond, sum }
}

/// Returns the probability of the prior beyond a logarithm of a duration.
fn prior_beyond(log: f64) -> f64 {
    let grid = Grid::get();
    grid.prior.iter().skip(grid.locate(log).0 + 1).sum()
}

/// Returns the right half of a kernel, its middle first. The whole sums up to 1.
fn kernel(width: f64) -> Vec<f64> {
    let step = Grid::get().step;
    let at = |n: i32| f64::from(n) * step / width;
    let mut half: Vec<f64> =
        (0..).map(at).take_while(|&x| x <= CUT).map(|x| (-0.5 * x * x).exp()).collect();
    let sum = 2.0 * half.iter().sum::<f64>() - half[0];
    half.iter_mut().for_each(|value| *value /= sum);
    half
}

/// Adds a kernel for each point. What falls off the grid is dropped.
fn add_kernels(mass: &mut [f64], points: &[f64], half: &[f64]) {
    for (node, &point) in points.iter().enumerate().filter(|(_, point)| **point > 0.0) {
        for (mass, value) in mass[node..].iter_mut().zip(half) {
            *mass += point * value;
        }
        // Node 0 is at zero seconds, off the logarithmic grid.
        for (mass, value) in mass[1..node].iter_mut().rev().zip(&half[1..]) {
            *mass += point * value;
        }
    }
}

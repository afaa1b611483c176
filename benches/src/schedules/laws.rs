//! Laws of durations that are known, to measure schedules against.

use std::f64::consts::{PI, TAU};

/// How long jobs take, in seconds.
pub(super) struct Law {
    pub(super) name: &'static str,
    /// The duration below which this part of the jobs ends.
    pub(super) quantile: fn(f64) -> f64,
    /// The probability that a job runs longer.
    pub(super) survival: fn(f64) -> f64,
}

/// How far the durations of one mode are spread: their standard deviation by their mean.
const MODE_CV: f64 = 0.1;

pub(super) const REGULAR: Law = Law {
    name: "lognormal, CV 0.3",
    quantile: |u| lognormal(100.0, 0.3, u),
    survival: |t| lognormal_above(100.0, 0.3, t),
};
pub(super) const SPREAD: Law = Law {
    name: "lognormal, CV 1",
    quantile: |u| lognormal(100.0, 1.0, u),
    survival: |t| lognormal_above(100.0, 1.0, t),
};
pub(super) const TWO_MODES: Law = Law {
    name: "two modes, 10 s and 300 s",
    quantile: |u| {
        if u < 0.5 {
            lognormal(10.0, MODE_CV, 2.0 * u)
        } else {
            lognormal(300.0, MODE_CV, 2.0 * u - 1.0)
        }
    },
    survival: |t| 0.5 * (lognormal_above(10.0, MODE_CV, t) + lognormal_above(300.0, MODE_CV, t)),
};
pub(super) const MEMORYLESS: Law = Law {
    name: "memoryless",
    quantile: |u| -100.0 * (1.0 - u).ln(),
    survival: |t| (-t / 100.0).exp(),
};
pub(super) const PARETO: Law = Law {
    name: "Pareto, 1.5",
    quantile: |u| (100.0 / 3.0) / (1.0 - u).powf(1.0 / 1.5),
    survival: |t| (100.0 / 3.0 / t.max(100.0 / 3.0)).powf(1.5),
};
pub(super) const UNIFORM: Law = Law {
    name: "uniform, 0 to 200 s",
    quantile: |u| 200.0 * u,
    survival: |t| (1.0 - t / 200.0).max(0.0),
};
pub(super) const EXACT: Law = Law {
    name: "exactly 100 s",
    quantile: |_| 100.0,
    // The node of the grid next to it: a poll half a step later sees every job.
    survival: |t| if t < 99.9 { 1.0 } else { 0.0 },
};

pub(super) const ALL: [Law; 7] = [REGULAR, SPREAD, TWO_MODES, MEMORYLESS, PARETO, UNIFORM, EXACT];

impl Law {
    /// Returns durations that stand for the law: one from the middle of each of `n` parts of equal probability.
    pub(super) fn durations(&self, n: u32) -> Vec<f64> {
        (0..n).map(|i| (self.quantile)((f64::from(i) + 0.5) / f64::from(n))).collect()
    }
}

/// Returns a quantile of the lognormal law of this mean and coefficient of variation.
fn lognormal(mean: f64, cv: f64, u: f64) -> f64 {
    let sigma = (1.0 + cv * cv).ln().sqrt();
    (mean.ln() - 0.5 * sigma * sigma + sigma * normal_quantile(u)).exp()
}

fn lognormal_above(mean: f64, cv: f64, t: f64) -> f64 {
    let sigma = (1.0 + cv * cv).ln().sqrt();
    normal_above((t.ln() - mean.ln() + 0.5 * sigma * sigma) / sigma)
}

/// Returns the probability that a standard normal variable exceeds `x`: Simpson's rule on its density.
fn normal_above(x: f64) -> f64 {
    if x.abs() > 10.0 {
        return if x > 0.0 { 0.0 } else { 1.0 };
    }
    let density = |x: f64| (-0.5 * x * x).exp() / TAU.sqrt();
    let parts = 200;
    let h = x.abs() / f64::from(parts);
    let term = |i| {
        let weight = match i {
            0 => 1.0,
            _ if i == parts => 1.0,
            _ if i % 2 == 1 => 4.0,
            _ => 2.0,
        };
        weight * density(h * f64::from(i))
    };
    let half = (0..=parts).map(term).sum::<f64>() * h / 3.0;
    if x > 0.0 { 0.5 - half } else { 0.5 + half }
}

/// Returns the value below which a standard normal variable lies with probability `u`: Newton's method.
fn normal_quantile(u: f64) -> f64 {
    let u = u.clamp(1e-12, 1.0 - 1e-12);
    // The logistic law is close enough to start from.
    let mut x = (3.0_f64.sqrt() / PI) * (u / (1.0 - u)).ln();
    for _ in 0..60 {
        let error = (1.0 - normal_above(x)) - u;
        let density = (-0.5 * x * x).exp() / TAU.sqrt();
        x -= (error / density.max(1e-12)).clamp(-0.5, 0.5);
    }
    x
}

/// Numbers in [0, 1) from a seed: the variant of splitmix64 that the waiter draws its jitter with.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn duration(&mut self, law: &Law) -> f64 {
        (law.quantile)(self.next())
    }
}

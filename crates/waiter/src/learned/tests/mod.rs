mod account;
mod booking;
mod bounds;
mod eta;
mod explain;
mod kind;
mod leaves;
mod means;
mod vectors;

use std::sync::Arc;

use super::{Estimator, JobPolls, Leash, Pace, Plan, Planned, WaitPolls};
use crate::Schedule;

/// The static schedule of the vectors: x1.5 from 1 s to 15 s, by age.
fn fixed() -> impl Iterator<Item = f64> {
    super::guard::polls(|age, _| (1.0 + age / 2.0).min(15.0))
}

fn learnt(durations: &[f64]) -> Estimator {
    let mut estimator = Estimator::new();
    for &duration in durations {
        estimator.learn(duration);
    }
    estimator
}

fn unbounded(plan: Plan) -> Pace {
    let leash = Leash { absolute: 60.0, relative: 0.5 };
    Pace { plan: Arc::new(plan), leash, min_interval: 0.5, max_interval: f64::INFINITY }
}

/// The polls of a job with one wait that begins at an age, in seconds.
fn one_wait(plan: &Arc<Planned>, from: f64) -> JobPolls {
    let schedule = Schedule::planned(Arc::clone(plan));
    let wait = WaitPolls {
        schedule,
        from,
        until: f64::INFINITY,
        last_poll: f64::INFINITY,
        head_start: (0.0, 0),
        known_age: from,
        is_first_at_once: false,
    };
    JobPolls { are_all: true, waits: vec![wait], ..JobPolls::default() }
}

/// Numbers in [0, 1) that look random: the variant of splitmix64 that the board uses.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        let drawn = self.next() * n as f64;
        (1..n).take_while(|&i| i as f64 <= drawn).count()
    }

    /// A duration from a tenth of a second to half an hour, even over its logarithm.
    fn duration(&mut self) -> f64 {
        0.1 * (1_800.0 / 0.1_f64).powf(self.next())
    }

    /// A draw from a lognormal law of this mean and coefficient of variation: the method of Box and Muller.
    fn lognormal(&mut self, mean: f64, cv: f64) -> f64 {
        let sigma = (1.0 + cv * cv).ln().sqrt();
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.next()).cos();
        (mean.ln() - 0.5 * sigma * sigma + sigma * normal).exp()
    }
}

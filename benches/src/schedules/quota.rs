//! Many jobs under one quota: which of them to poll next.

use super::laws::{Law, Random};
use super::score::Static;

/// Which job a free request goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The one that has been due for longest, by the default schedule.
    FirstInFirstOut,
    /// The one whose poll is worth most.
    Index,
}

/// A request every 1.5 s: 200 in five minutes.
const INTERVAL: f64 = 1.5;
/// Tables of the hazard reach this far, in steps of a tenth of a second.
const TABLE: usize = 40_000;
const LEAST_HAZARD: f64 = 1e-9;

struct Hazard {
    /// Minus the logarithm of the survival.
    cumulated: Vec<f64>,
    rate: Vec<f64>,
}

impl Hazard {
    fn new(law: &Law) -> Self {
        let at = |t: f64| -(law.survival)(t.max(1e-9)).max(1e-300).ln();
        let times = || (0..TABLE).map(|i| i as f64 / 10.0);
        let rate = |t: f64| {
            let (a, b) = (t * 0.9966, t * 1.0034 + 1e-6);
            ((at(b) - at(a)) / (b - a)).max(LEAST_HAZARD)
        };
        Self { cumulated: times().map(at).collect(), rate: times().map(rate).collect() }
    }

    fn at(table: &[f64], t: f64) -> f64 {
        let place = (t.max(0.0) * 10.0).min((TABLE - 1) as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between zero and the table's size"
        )]
        table.get(place as usize).copied().unwrap_or_default()
    }

    /// Returns what a poll is worth, in seconds, of a job that was last seen running at `seen`.
    fn index(&self, seen: f64, age: f64) -> f64 {
        let mass = Self::at(&self.cumulated, age) - Self::at(&self.cumulated, seen);
        let mass = mass.clamp(0.0, 500.0);
        let worth =
            if mass < 1e-4 { mass * mass * (0.5 + mass / 6.0) } else { mass.exp_m1() - mass };
        worth / Self::at(&self.rate, age)
    }
}

struct Job {
    begin: f64,
    end: f64,
    /// When the job was last seen running, and its next poll by the default schedule.
    seen: f64,
    due: f64,
}

impl Job {
    fn new(begin: f64, duration: f64) -> Self {
        Self { begin, end: begin + duration, seen: begin, due: begin + 1.0 }
    }
}

/// Returns the mean lag when `alive` jobs run at any time, each replaced when it ends.
pub(super) fn mean_lag(law: &Law, alive: u32, order: Order, c: f64, seconds: f64) -> f64 {
    let hazard = Hazard::new(law);
    let mut random = Random(3);
    let mut watched: Vec<Job> = (0..alive).map(|_| Job::new(0.0, random.duration(law))).collect();
    // The jobs that will be replaced: all that are alive.
    let mut ends: Vec<f64> = watched.iter().map(|job| job.end).collect();
    let (mut now, mut lag, mut seen) = (0.0, 0.0, 0.0);
    while now < seconds {
        now += INTERVAL;
        for end in &mut ends {
            while *end <= now {
                let job = Job::new(*end, random.duration(law));
                *end = job.end;
                watched.push(job);
            }
        }
        let rank = |job: &Job| match order {
            Order::FirstInFirstOut => now - job.due,
            Order::Index => hazard.index(job.seen - job.begin, now - job.begin) - c,
        };
        let best = watched.iter().map(rank).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((at, _)) = best.filter(|(_, rank)| *rank >= 0.0) else { continue };
        let Some(job) = watched.get_mut(at) else { continue };
        if job.end <= now {
            // The first quarter fills the queue.
            if now > seconds / 4.0 {
                lag += now - job.end;
                seen += 1.0;
            }
            watched.swap_remove(at);
        } else {
            job.seen = now;
            job.due = now + Static::DEFAULT.delay(now - job.begin);
        }
    }
    lag / seen
}

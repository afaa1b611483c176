//! Jobs that suddenly take another time: what the learned schedule loses until it has learnt that.

use cfw_waiter::learned::paced;

use super::laws::{Law, Random};
use super::score::{Learner, Score, Static};

pub(super) struct Shift {
    /// The most that was lost against the static schedule, in seconds, on average and at worst over the runs.
    pub(super) regret: f64,
    pub(super) worst_regret: f64,
    /// The cost of the jobs after the shift, on average over the runs.
    pub(super) costs: Vec<f64>,
    /// Of the static schedule, and of the best one, after the shift.
    pub(super) fixed: f64,
    pub(super) best: f64,
}

/// Plays `runs` histories of 200 jobs, and then jobs that take `factor` times as long.
pub(super) fn play(law: &Law, factor: f64, c: f64, runs: u64) -> Shift {
    const BEFORE: u32 = 200;
    const AFTER: usize = 60;
    let durations: Vec<f64> = law.durations(500).iter().map(|t| t * factor).collect();
    let fixed = Score::of(Static::DEFAULT.polls(), &durations).cost(c);
    let scale = |t: f64| (law.survival)(t / factor);
    let best = {
        let survival = cfw_waiter::learned::Survival::of_law(scale);
        let (_, cost) = cfw_waiter::learned::Plan::new(&survival, c);
        cost
    };
    let mut costs = vec![0.0; AFTER];
    let (mut regret, mut worst_regret) = (0.0, 0.0_f64);
    for run in 0..runs {
        let mut random = Random(1_000 + run);
        let mut learner = Learner::new(c);
        for _ in 0..BEFORE {
            // The account as it is after a while: what regular jobs save fills it.
            learner.tracker.learn(random.duration(law));
        }
        learner.account.set_balance(learner.account.cap());
        let (mut sum, mut most) = (0.0, 0.0_f64);
        for cost in &mut costs {
            let pace = learner.pace();
            let score = match &pace {
                Some(pace) => Score::of(paced(pace), &durations),
                None => Score::of(Static::DEFAULT.polls(), &durations),
            };
            *cost += score.cost(c) / runs as f64;
            sum += score.cost(c) - fixed;
            most = most.max(sum);
            learner.learn(random.duration(law) * factor, pace.as_ref());
        }
        regret += most / runs as f64;
        worst_regret = worst_regret.max(most);
    }
    Shift { regret, worst_regret, costs, fixed, best }
}

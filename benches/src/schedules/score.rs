//! What a schedule costs under a law, on average.

use std::sync::Arc;

use cfw_waiter::learned::{Account, Leash, Pace, Plan, Survival, Tracker, paced, polls, worst};

use super::laws::{Law, Random};

/// Waits time out after half an hour: the horizon of the guarantee.
pub(super) const HORIZON: f64 = 1_800.0;
/// The shortest delay.
const MIN_INTERVAL: f64 = 0.5;
/// The longest one of a learned schedule.
const MAX_INTERVAL: f64 = 300.0;

/// Polls and lag of a job, on average.
#[derive(Clone, Copy, Default)]
pub(super) struct Score {
    pub(super) polls: f64,
    pub(super) lag: f64,
}

impl Score {
    /// Returns the score of a schedule, given its polls as ages.
    pub(super) fn of(schedule: impl Iterator<Item = f64>, durations: &[f64]) -> Self {
        let mut sum = Self::default();
        let (mut count, mut schedule) = (0.0, schedule.peekable());
        // The durations rise, so one pass over the polls serves all of them.
        for &duration in durations {
            while schedule.next_if(|&poll| poll < duration).is_some() {
                count += 1.0;
            }
            let Some(&poll) = schedule.peek() else { break };
            sum.polls += count + 1.0;
            sum.lag += poll - duration;
        }
        let jobs = durations.len() as f64;
        Self { polls: sum.polls / jobs, lag: sum.lag / jobs }
    }

    pub(super) fn cost(self, c: f64) -> f64 {
        c * self.polls + self.lag
    }

    pub(super) fn mean(scores: &[Self]) -> Self {
        let jobs = scores.len() as f64;
        let sum = |part: fn(&Self) -> f64| scores.iter().map(part).sum::<f64>() / jobs;
        Self { polls: sum(|score| score.polls), lag: sum(|score| score.lag) }
    }
}

/// A schedule that knows nothing of past jobs.
#[derive(Clone, Copy)]
pub(super) enum Static {
    Fixed(f64),
    /// From the first delay, by the factor, to the longest one.
    Growing(f64, f64, f64),
}

impl Static {
    pub(super) const DEFAULT: Self = Self::Growing(1.0, 1.5, 15.0);

    pub(super) fn delay(self, age: f64) -> f64 {
        match self {
            Self::Fixed(interval) => interval,
            Self::Growing(first, factor, max) => (first + (factor - 1.0) * age).min(max),
        }
    }

    pub(super) fn polls(self) -> impl Iterator<Item = f64> {
        polls(move |age, _| self.delay(age))
    }
}

/// A kind of jobs with its past and its account, as the waiter keeps it.
pub(super) struct Learner {
    pub(super) tracker: Tracker,
    pub(super) account: Account,
    c: f64,
}

impl Learner {
    pub(super) fn new(c: f64) -> Self {
        Self { tracker: Tracker::new(), account: Account::new(c), c }
    }

    /// Returns the schedule for the next job; none if the static one has to do.
    pub(super) fn pace(&self) -> Option<Pace> {
        let (plan, _) = Plan::new(&self.tracker.survival(), self.c);
        let plan = Arc::new(plan);
        let on = |leash| on_leash(Arc::clone(&plan), leash);
        let loss = |leash| worst(paced(&on(leash)), Static::DEFAULT.polls(), HORIZON, self.c);
        self.account.choose(loss).map(|(leash, _)| on(leash))
    }

    /// Takes a job of this duration that was polled so.
    pub(super) fn learn(&mut self, duration: f64, pace: Option<&Pace>) {
        let fixed = || Static::DEFAULT.polls();
        let gain = match pace {
            Some(pace) => cfw_waiter::learned::gain(paced(pace), fixed(), duration, self.c),
            None => cfw_waiter::learned::gain(fixed(), fixed(), duration, self.c),
        };
        self.account.book(gain);
        self.tracker.learn(duration);
    }
}

fn on_leash(plan: Arc<Plan>, leash: Leash) -> Pace {
    Pace { plan, leash, min_interval: MIN_INTERVAL, max_interval: MAX_INTERVAL }
}

/// Returns the score of the schedules learnt from `n` past jobs, on average over `sets` histories.
pub(super) fn learned(law: &Law, c: f64, n: u32, sets: u64, durations: &[f64]) -> Score {
    let mut random = Random(17);
    let scores: Vec<Score> = (0..if n == 0 { 1 } else { sets })
        .map(|_| {
            let mut learner = Learner::new(c);
            for _ in 0..n {
                let pace = learner.pace();
                learner.learn(random.duration(law), pace.as_ref());
            }
            match learner.pace() {
                Some(pace) => Score::of(paced(&pace), durations),
                None => Score::of(Static::DEFAULT.polls(), durations),
            }
        })
        .collect();
    Score::mean(&scores)
}

/// Returns the score of the best schedule for a law that is known.
pub(super) fn optimum(law: &Law, c: f64, durations: &[f64]) -> Score {
    let (plan, _) = Plan::new(&Survival::of_law(law.survival), c);
    let leash = Leash { absolute: 1e9, relative: 0.0 };
    let pace = Pace { plan: Arc::new(plan), leash, min_interval: 1e-3, max_interval: 1e9 };
    Score::of(paced(&pace), durations)
}

/// Returns the lag at this many polls per job, by trying prices of a poll.
pub(super) fn lag_at(polls: f64, score: impl Fn(f64) -> Score) -> f64 {
    let [more, less] = around(score, |score| score.polls > polls);
    let part = ((polls - less.polls) / (more.polls - less.polls).max(1e-9)).clamp(0.0, 1.0);
    less.lag + part * (more.lag - less.lag)
}

/// Returns the polls per job at this lag, by trying prices of a poll.
pub(super) fn polls_at(lag: f64, score: impl Fn(f64) -> Score) -> f64 {
    let [more, less] = around(score, |score| score.lag < lag);
    let part = ((lag - more.lag) / (less.lag - more.lag).max(1e-9)).clamp(0.0, 1.0);
    more.polls + part * (less.polls - more.polls)
}

/// Returns the scores at two prices of a poll that are close, of which the lower one polls too often: plans change in steps.
fn around(score: impl Fn(f64) -> Score, is_dense: impl Fn(Score) -> bool) -> [Score; 2] {
    let (mut low, mut high) = (1e-2_f64, 1e3_f64);
    for _ in 0..11 {
        let c = (low * high).sqrt();
        *(if is_dense(score(c)) { &mut low } else { &mut high }) = c;
    }
    [score(low), score(high)]
}

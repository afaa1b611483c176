//! What a plan can lose against the static schedule, and the account that bounds it.
//!
//! A cost is what [`Plan`](super::Plan) minimises: `c` seconds for each poll, the one that sees the end included, and the
//! time from the end to that poll. The account starts with a small sum. A plan is used only if its worst loss, over all
//! durations, is within the account, and each finished job books what its plan has saved or lost. So the sum of losses
//! never exceeds what was saved before and the first sum, whatever the durations are: a plan that was chosen
//! at balance `a` leaves `a - loss >= 0`.
//!
//! Of a job that still ran when its last wait left, the polls of both schedules are known up to the age at which it was last
//! seen, and no delay is. The difference of the polls is booked, and the worst loss covers it as well: where a plan polls more
//! often than the static schedule, such waits could lose without end. It also covers a first poll that comes as early as the static
//! schedule's. What is booked is in [`booking`](super::booking).

use super::pace::{Leash, Pace};

/// A loss below this part of the static schedule's cost is no loss.
pub(super) const TOLERANCE: f64 = 0.1;
/// By how much of the delay before it a poll may come early, because of the jitter of that delay and of those before.
const EARLY: f64 = 0.25;
/// The account holds at most this many times its first sum.
const CAP: f64 = 5.0;

/// The polls of a schedule as ages in seconds, without jitter: rising, without an end.
pub fn polls(delay: impl FnMut(f64, u32) -> f64) -> impl Iterator<Item = f64> {
    polls_after(0.0, delay)
}

/// The polls after an age.
pub(super) fn polls_after(
    mut age: f64,
    mut delay: impl FnMut(f64, u32) -> f64,
) -> impl Iterator<Item = f64> {
    let mut n = 0;
    std::iter::from_fn(move || {
        age += delay(age, n);
        n += 1;
        Some(age)
    })
}

/// Returns the cost of a job of this duration under these polls, if a poll costs `c` seconds.
pub fn cost(polls: impl Iterator<Item = f64>, duration: f64, c: f64) -> f64 {
    let mut sum = 0.0;
    for poll in polls {
        sum += c;
        if poll >= duration {
            return sum + poll - duration;
        }
    }
    sum
}

/// Returns the polls of a plan, as ages in seconds.
pub fn paced(pace: &Pace) -> impl Iterator<Item = f64> + '_ {
    polls(|age, _| pace.delay(age))
}

/// What is saved, in seconds, if a job took this long: the cost of the static schedule with a tolerance, less that of the
/// plan. Negative for a loss.
pub fn gain(
    plan: impl Iterator<Item = f64>,
    fixed: impl Iterator<Item = f64>,
    duration: f64,
    c: f64,
) -> f64 {
    (1.0 + TOLERANCE) * cost(fixed, duration, c) - cost(plan, duration, c)
}

/// Returns how many polls were made from an age on up to one at which a poll saw the job running. That one may be a little
/// early.
pub(super) fn count_about(polls: impl Iterator<Item = f64>, from: f64, seen: f64) -> usize {
    let polls = with_earliest(polls).skip_while(|(poll, _)| *poll < from);
    polls.take_while(|(_, earliest)| *earliest <= seen).count()
}

/// Returns polls, each with the earliest age at which it comes when it is jittered.
fn with_earliest(polls: impl Iterator<Item = f64>) -> impl Iterator<Item = (f64, f64)> {
    polls.scan(0.0, |before, poll| {
        let delay = poll - std::mem::replace(before, poll);
        Some((poll, poll - EARLY * delay))
    })
}

/// Returns the most that a plan can lose against the static schedule, in seconds, over all durations up to `horizon`.
///
/// Between polls of either the loss grows with the duration, by the tolerance, since both notice the end at a time that
/// stays the same. So it is largest at a poll.
pub fn worst(
    plan: impl Iterator<Item = f64>,
    fixed: impl Iterator<Item = f64>,
    horizon: f64,
    c: f64,
) -> f64 {
    let mut worst = f64::NEG_INFINITY;
    at_polls(plan, fixed, horizon, |[by_plan, by_fixed], [plan_polls, fixed_polls], age| {
        let cost = |polls: f64, seen: f64| c * polls + seen - age;
        let loss = cost(plan_polls, by_plan) - (1.0 + TOLERANCE) * cost(fixed_polls, by_fixed);
        worst = worst.max(loss);
    });
    worst
}

/// Returns the most that a plan can lose by its polls alone, in seconds and no less than zero, with waits that leave their jobs
/// up to `horizon` while those run.
pub(super) fn worst_of_leaving(
    plan: impl Iterator<Item = f64>,
    fixed: impl Iterator<Item = f64>,
    horizon: f64,
    c: f64,
) -> f64 {
    let mut worst = 0.0_f64;
    at_polls(
        with_earliest(plan).map(|(_, earliest)| earliest),
        fixed,
        horizon,
        |[by_plan, by_fixed], [plan_polls, fixed_polls], age| {
            if by_plan <= age {
                let before = fixed_polls - f64::from(u8::from(age < by_fixed));
                worst = worst.max(c * (plan_polls - (1.0 + TOLERANCE) * before));
            }
        },
    );
    worst
}

/// Calls a function at each poll of either schedule up to `horizon`, and at that: with the next polls of both, those of this age
/// included, their numbers from one on, and the age.
fn at_polls(
    mut plan: impl Iterator<Item = f64>,
    mut fixed: impl Iterator<Item = f64>,
    horizon: f64,
    mut visit: impl FnMut([f64; 2], [f64; 2], f64),
) {
    let mut next = [plan.next(), fixed.next()];
    let mut numbers = [1.0, 1.0];
    while let [Some(by_plan), Some(by_fixed)] = next {
        let age = by_plan.min(by_fixed).min(horizon);
        visit([by_plan, by_fixed], numbers, age);
        if age >= horizon {
            return;
        }
        if by_plan <= age {
            next[0] = plan.next();
            numbers[0] += 1.0;
        }
        if by_fixed <= age {
            next[1] = fixed.next();
            numbers[1] += 1.0;
        }
    }
}

/// What may still be lost. It belongs to one kind of jobs and one price of a poll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account {
    /// In seconds.
    balance: f64,
    /// The most that it can hold.
    cap: f64,
}

impl Account {
    /// Opens an account for the price of a poll in seconds: with a minute, and ten polls.
    pub fn new(c: f64) -> Self {
        let first = 60.0 + 10.0 * c;
        Self { balance: first, cap: CAP * first }
    }

    /// Returns what may still be lost, in seconds.
    ///
    /// It is negative only after losses of jobs that ran at the same time, each of which was within the account. Such a debt
    /// is kept: to forget it would let the same happen again without any savings between.
    pub fn balance(&self) -> f64 {
        self.balance
    }

    /// Returns the most that it can hold, in seconds.
    pub fn cap(&self) -> f64 {
        self.cap
    }

    /// Sets what was left, in seconds, when it was saved. What is not a finite number leaves nothing.
    pub fn set_balance(&mut self, balance: f64) {
        self.balance = if balance.is_finite() { balance.min(self.cap) } else { 0.0 };
    }

    /// Books what a job has saved, or lost if that is negative, in seconds.
    pub fn book(&mut self, gain: f64) {
        self.set_balance(self.balance + gain);
    }

    /// Returns the first leash on which a plan cannot lose more than is left, and that worst loss; none if the static
    /// schedule has to do. `worst` gives the loss on a leash.
    pub fn choose(&self, worst: impl FnMut(Leash) -> f64) -> Option<(Leash, f64)> {
        self.choose_of(Leash::ALL, worst)
    }

    /// Returns the same of leashes of one's own. The bound holds for any.
    pub fn choose_of(
        &self,
        leashes: impl IntoIterator<Item = Leash>,
        mut worst: impl FnMut(Leash) -> f64,
    ) -> Option<(Leash, f64)> {
        let within = |leash| Some((leash, worst(leash))).filter(|(_, loss)| *loss <= self.balance);
        leashes.into_iter().find_map(within)
    }
}

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
//! often than the static schedule, such waits could lose without end.

use super::pace::{Leash, Pace};

/// A loss below this part of the static schedule's cost is no loss.
const TOLERANCE: f64 = 0.1;
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

/// What is saved, in seconds, by the polls up to an age at which a job still ran: the price of those of the static schedule
/// with a tolerance, less that of the plan's. Negative for a loss. Neither has noticed an end by then.
pub(super) fn gain_of_polls(
    plan: impl Iterator<Item = f64>,
    fixed: impl Iterator<Item = f64>,
    age: f64,
    c: f64,
) -> f64 {
    let price = |polls: &mut dyn Iterator<Item = f64>| {
        polls.take_while(|poll| *poll <= age).map(|_| c).sum::<f64>()
    };
    let (mut plan, mut fixed) = (plan, fixed);
    (1.0 + TOLERANCE) * price(&mut fixed) - price(&mut plan)
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
    worst_losses(plan, fixed, horizon, c)[0]
}

/// Returns the most that a plan can lose against the static schedule, in seconds, with jobs that end up to `horizon`, and
/// with waits that leave jobs which still run: by its polls alone, and no less than zero.
pub(super) fn worst_losses(
    mut plan: impl Iterator<Item = f64>,
    mut fixed: impl Iterator<Item = f64>,
    horizon: f64,
    c: f64,
) -> [f64; 2] {
    let (mut next_plan, mut next_fixed) = (plan.next(), fixed.next());
    let (mut plan_polls, mut fixed_polls) = (1.0, 1.0);
    let (mut worst, mut worst_left) = (f64::NEG_INFINITY, 0.0_f64);
    while let (Some(by_plan), Some(by_fixed)) = (next_plan, next_fixed) {
        let loss = |duration: f64| {
            c * plan_polls + by_plan
                - duration
                - (1.0 + TOLERANCE) * (c * fixed_polls + by_fixed - duration)
        };
        let end = by_plan.min(by_fixed).min(horizon);
        worst = worst.max(loss(end));
        if end >= horizon {
            break;
        }
        if by_fixed <= end {
            next_fixed = fixed.next();
            fixed_polls += 1.0;
        }
        if by_plan <= end {
            worst_left =
                worst_left.max(c * plan_polls - (1.0 + TOLERANCE) * c * (fixed_polls - 1.0));
            next_plan = plan.next();
            plan_polls += 1.0;
        }
    }
    [worst, worst_left]
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

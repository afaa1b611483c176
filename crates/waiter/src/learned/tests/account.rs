//! The account's bound: against random histories, greedy adversaries, and jobs that run at the same time.
//!
//! The bound holds for any plans, so most of it is tested with plans taken at random from a stock, whose worst losses are
//! computed once. A second test plays whole histories, in which each job's plan is learnt from those before.

use std::cell::OnceCell;
use std::sync::Arc;

use super::*;
use crate::learned::{Account, gain, paced, polls, worst};

const HORIZON: f64 = 1_800.0;
const PRICES: [f64; 4] = [0.05, 1.0, 5.0, 20.0];

/// What there is to know of a plan on one leash.
struct Case {
    worst: f64,
    /// The gain of the duration that loses most, found by trying.
    least: f64,
    /// Gains of durations at random.
    any: Vec<f64>,
}

struct StockPlan {
    plan: Plan,
    cases: [OnceCell<Case>; Leash::ALL.len()],
}

impl StockPlan {
    fn new(history: &[f64], c: f64) -> Self {
        let (plan, _) = Plan::new(&learnt(history).survival(), c);
        Self { plan, cases: Default::default() }
    }

    fn case(&self, leash: Leash, c: f64) -> &Case {
        let at = Leash::ALL.iter().position(|other| *other == leash).unwrap();
        self.cases[at].get_or_init(|| {
            let pace = Pace { leash, ..unbounded(self.plan.clone()) };
            let gain = |duration| gain(paced(&pace), fixed(), duration, c);
            let mut random = Random(at as u64);
            Case {
                worst: worst(paced(&pace), fixed(), HORIZON, c),
                least: greedy(&pace, c).1,
                any: (0..64).map(|_| gain(random.duration())).collect(),
            }
        })
    }
}

/// The duration that loses most, and its gain: tried just before, at and just after each poll.
fn greedy(pace: &Pace, c: f64) -> (f64, f64) {
    let all = paced(pace).take_while(|&at| at < HORIZON);
    let all = all.chain(fixed().take_while(|&at| at < HORIZON)).chain([HORIZON]);
    let near = |at: f64| [at - 1e-6, at, at + 1e-6];
    all.flat_map(near)
        .filter(|&duration| duration > 0.0 && duration <= HORIZON)
        .map(|duration| (duration, gain(paced(pace), fixed(), duration, c)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap()
}

fn stock(c: f64) -> Vec<StockPlan> {
    let mut random = Random(7);
    let mut history = || -> Vec<f64> {
        let middle = random.duration();
        let spread = [0.0, 0.02, 0.3, 1.0][random.below(4)];
        (0..random.below(30)).map(|_| middle * (spread * (random.next() - 0.5)).exp()).collect()
    };
    (0..40).map(|_| StockPlan::new(&history(), c)).collect()
}

/// Sums up losses, as a run of jobs brings them about.
pub(super) struct Ledger {
    /// Over all jobs so far.
    sum: f64,
    most: f64,
    /// The most over any run of jobs that ends here.
    run: f64,
    most_in_a_run: f64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { sum: 0.0, most: 0.0, run: 0.0, most_in_a_run: 0.0 }
    }

    pub(super) fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.most = self.most.max(self.sum);
        self.run = (self.run + loss).max(0.0);
        self.most_in_a_run = self.most_in_a_run.max(self.run);
    }

    /// From the first job on no more than the first sum is lost, in any run of jobs no more than the cap.
    #[track_caller]
    pub(super) fn check(&self, account: Account, more: f64) {
        let first = account.cap() / 5.0;
        assert!(self.most <= first + more + 1e-3, "lost {}, not {first}", self.most);
        let cap = account.cap() + more;
        assert!(
            self.most_in_a_run <= cap + 1e-3,
            "lost {} in a run, not {cap}",
            self.most_in_a_run
        );
    }
}

#[test]
fn a_hundred_thousand_histories_never_break_the_bound() {
    let mut random = Random(1);
    let (mut greedy_losses, mut fallbacks, mut at_cap) = (0, 0, 0);
    for c in PRICES {
        let stock = stock(c);
        for history in 0..25_000 {
            let mut account = Account::new(c);
            let mut ledger = Ledger::new();
            // The adversary lets the account fill first, a third of the time with what saves most.
            let saving = random.below(40);
            let jobs = saving + random.below(60);
            for job in 0..jobs {
                let plan = &stock[random.below(stock.len())];
                let chosen = account.choose(|leash| plan.case(leash, c).worst);
                let Some((leash, _)) = chosen else {
                    // Both are the static schedule: what is saved is the tolerance.
                    account.book(0.1 * c);
                    ledger.add(-0.1 * c);
                    fallbacks += 1;
                    continue;
                };
                let case = plan.case(leash, c);
                let any = case.any[random.below(case.any.len())];
                let gain = match history % 3 {
                    0 => any,
                    1 if job < saving => case.any.iter().copied().fold(any, f64::max),
                    _ => case.least,
                };
                greedy_losses += u64::from(gain < 0.0);
                account.book(gain);
                at_cap += u64::from(account.balance() == account.cap());
                ledger.add(-gain);
                assert!(account.balance() >= -1e-6, "{account:?}");
            }
            ledger.check(account, 1e-6 * jobs as f64);
        }
    }
    // Neither the adversary nor the fallback nor the cap was idle.
    assert!(
        greedy_losses > 100_000 && fallbacks > 1_000 && at_cap > 10_000,
        "{greedy_losses} {fallbacks} {at_cap}"
    );
}

#[test]
fn the_worst_loss_is_what_a_search_finds() {
    for c in PRICES {
        for plan in stock(c).iter().take(20) {
            for leash in Leash::ALL {
                let Case { worst, least, .. } = plan.case(leash, c);
                assert!((worst + least).abs() < 1e-4, "{worst}, but {}", -least);
            }
        }
    }
}

#[test]
fn jobs_that_run_at_the_same_time_add_one_worst_loss_each() {
    let (c, mut random) = (1.0, Random(3));
    let stock = stock(c);
    for _ in 0..2_000 {
        let mut account = Account::new(c);
        let mut ledger = Ledger::new();
        let crowd = 1 + random.below(20);
        let mut largest: f64 = 0.0;
        for _ in 0..20 {
            let plan = &stock[random.below(stock.len())];
            let Some((leash, worst)) = account.choose(|leash| plan.case(leash, c).worst) else {
                account.book(0.1 * c);
                ledger.add(-0.1 * c);
                continue;
            };
            largest = largest.max(worst);
            for _ in 0..crowd {
                account.book(plan.case(leash, c).least);
                ledger.add(-plan.case(leash, c).least);
            }
        }
        ledger.check(account, (crowd - 1) as f64 * largest);
    }
}

/// Each job's plan is learnt from the jobs before it; the adversary knows it.
#[test]
fn whole_histories_never_break_the_bound() {
    let mut random = Random(5);
    for history in 0..24 {
        let c = PRICES[history % PRICES.len()];
        let (mut account, mut ledger) = (Account::new(c), Ledger::new());
        let mut estimator = Estimator::new();
        let regular = random.duration();
        for job in 0..40 {
            let (plan, _) = Plan::new(&estimator.survival(), c);
            let plan = Arc::new(plan);
            let on = |leash| Pace { leash, plan: Arc::clone(&plan), ..unbounded((*plan).clone()) };
            let chosen = account.choose(|leash| worst(paced(&on(leash)), fixed(), HORIZON, c));
            let is_attack = job >= 10 && history % 2 == 0;
            let (duration, gain) = match chosen {
                Some((leash, _)) if is_attack => greedy(&on(leash), c),
                Some((leash, _)) => {
                    let duration = regular * (0.3 * (random.next() - 0.5)).exp();
                    (duration, gain(paced(&on(leash)), fixed(), duration, c))
                }
                None => (random.duration(), 0.1 * c),
            };
            account.book(gain);
            ledger.add(-gain);
            assert!(account.balance() >= -1e-6, "{account:?}");
            estimator.learn(duration);
        }
        ledger.check(account, 1e-3);
    }
}

#[test]
fn what_is_saved_counts_up_to_the_cap_and_debts_are_kept() {
    let mut account = Account::new(1.0);
    assert_eq!((account.balance(), account.cap()), (70.0, 350.0));
    account.book(1e6);
    assert_eq!(account.balance(), 350.0);
    account.book(-400.0);
    account.book(10.0);
    assert_eq!(account.balance(), -40.0);
    assert_eq!(account.choose(|_| -1e3), Some((Leash::ALL[0], -1e3)));
    assert_eq!(account.choose(|_| 0.0), None);
    account.book(f64::NAN);
    assert_eq!(account.balance(), 0.0);
    assert_eq!(account.choose(|_| f64::NAN), None);
}

/// The waiter plays a day, not half an hour: at great ages a delay that grows with the age loses most.
#[test]
fn cheap_polls_follow_a_plan_too_and_no_leash_is_longer_than_the_users() {
    let day = 86_700.0;
    for c in [0.001, 0.02, 0.1, 0.3, 0.5, 1.0, 20.0] {
        for history in [vec![100.0; 5], vec![0.5], vec![9.0, 300.0, 10.0], vec![5_000.0; 20]] {
            let pace = unbounded(Plan::new(&learnt(&history).survival(), c).0);
            let on = |leash| Pace { leash, max_interval: 300.0, ..pace.clone() };
            let loss = |leash| worst(paced(&on(leash)), fixed(), day, c);
            for user in [Leash::ALL[0], Leash { absolute: 20.0, relative: 0.02 }] {
                let chosen = Account::new(c).choose_of(Leash::up_to(user, 15.0), loss);
                let (chosen, _) = chosen.unwrap_or_else(|| panic!("none of {user:?} at {c}"));
                let is_within =
                    chosen.absolute <= user.absolute && chosen.relative <= user.relative;
                assert!(is_within, "{chosen:?} is longer than {user:?}");
            }
        }
    }
    // A longer one than all is tried first.
    let user = Leash { absolute: 900.0, relative: 2.0 };
    let leashes = || Leash::up_to(user, 25.0);
    assert_eq!(Account::new(1.0).choose_of(leashes(), |_| 0.0), Some((user, 0.0)));
    let steady = Leash { absolute: 25.0, relative: 0.0 };
    assert!(leashes().skip(1).eq(Leash::ALL.into_iter().chain([steady])));
}

#[test]
fn costs_count_each_poll_and_the_lag() {
    let every_ten = || polls(|_, _| 10.0);
    assert_eq!(crate::learned::cost(every_ten(), 25.0, 2.0), 3.0 * 2.0 + 5.0);
    assert_eq!(crate::learned::cost(every_ten(), 30.0, 2.0), 3.0 * 2.0);
    // The static schedule against itself saves the tolerance.
    let saved = gain(every_ten(), every_ten(), 25.0, 2.0);
    assert!((saved - 1.1).abs() < 1e-9, "{saved}");
}

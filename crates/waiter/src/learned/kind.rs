//! One kind of jobs: what was learnt of it, and for each way of weighing polls the plan in use and its account.

use std::sync::Arc;
use std::time::Duration;

use super::eta::Eta;
use super::explain::{ExpectedCost, Explanation, shown};
use super::guard::{polls_after, worst, worst_of_leaving};
use super::history::{Added, History, Sample, Samples, Savings};
use super::settings::Learned;
use super::{Account, Leash, Pace, Plan, Survival, Tracker};

/// Beyond this age, in seconds, polls follow the fallback: durations of a day and more are hardly ever learnt.
pub(super) const HORIZON: f64 = 86_400.0;
/// A plan is used at least this long, however many jobs end meanwhile, unless the account forbids it.
const PLAN_LASTS: Duration = Duration::from_secs(1);
/// An age when the wait began that a smaller part of the past jobs reached is not believed.
const RARE: f64 = 0.02;
/// By how much a job may be older than its wait in any case, in seconds.
const HEAD_START: f64 = 60.0;
/// By which part of itself a delay is jittered at most, either way. Five times as much would cost 3 to 18 %.
const JITTER: f64 = 0.05;
/// What is believed of the fallback's shortest delays, in seconds: denser polls take too long to count.
pub(super) const DENSEST: f64 = 0.25;
/// The most polls whose loss is counted. It is more than the fallback makes before the horizon, and takes some milliseconds.
const MOST_POLLS: usize = 400_000;
/// For how many settings of one price plans are kept.
const MOST_PLANS: usize = 16;

/// A plan as waits use it. Each wait keeps the one with which it began.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) kind: Arc<str>,
    pub(crate) settings: Arc<Learned>,
    /// None if the fallback has to do.
    pace: Option<Pace>,
    /// What it can lose at most against the fallback, in seconds.
    worst: f64,
    /// The age that few of the past jobs exceed, in seconds.
    rare_age: f64,
}

impl Planned {
    /// Returns the delay after a poll at `age` that saw the job running, in seconds; none if the fallback has to do. `u` in
    /// [0, 1) is the jitter.
    pub(crate) fn delay(&self, age: f64, u: f64) -> Option<f64> {
        let pace = self.pace.as_ref().filter(|_| self.covers(age))?;
        Some(pace.jittered(age, 1.0 + JITTER * (2.0 * u - 1.0)))
    }

    /// Returns the age to believe of a job, which the server claims to be between two ages, if it does, and whose wait is of
    /// age `own`; all in seconds.
    ///
    /// A clock that lies must not make a wait rest as long as it may for a job that is long overdue. What counts is the age at which
    /// the wait began, so that all polls of a wait go by one clock.
    pub(crate) fn believed_age(&self, claimed: Option<(f64, f64)>, own: f64) -> f64 {
        let limit = self.rare_age.max(HEAD_START);
        match claimed {
            Some((from, to)) if to >= 0.0 && from - own <= limit => own.max(from).min(to),
            Some(_) | None => own,
        }
    }

    /// Returns whether polls follow what was learnt.
    pub(crate) fn is_learned(&self) -> bool {
        self.pace.is_some()
    }

    /// Returns whether the poll after one at `age`, in seconds, follows what was learnt.
    pub(crate) fn covers(&self, age: f64) -> bool {
        self.is_learned() && age < HORIZON
    }

    /// Returns the plan within its bounds; none if the fallback has to do.
    pub(super) fn pace(&self) -> Option<&Pace> {
        self.pace.as_ref()
    }

    /// Returns the polls as ages in seconds, without jitter.
    fn polls(&self) -> impl Iterator<Item = f64> + '_ {
        polls_of(self.pace.as_ref(), &self.settings)
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Kind {
    name: Arc<str>,
    /// What the tracker has learnt, to know each job again.
    samples: Samples,
    tracker: Tracker,
    /// How many jobs were learnt, to know whether a law is the newest.
    learnt: u64,
    law: Option<(u64, Arc<Survival>)>,
    /// When a law was made last for an estimate.
    law_made: Duration,
    prices: Vec<Price>,
}

/// The account of one price of a poll, and the plans of settings with that price.
#[derive(Debug)]
struct Price {
    cost: Duration,
    account: Account,
    plans: Vec<InUse>,
}

#[derive(Debug)]
struct InUse {
    plan: Arc<Planned>,
    /// How many jobs were learnt when it was made, and when that was.
    learnt: u64,
    made: Duration,
}

impl Kind {
    pub(crate) fn new(name: &str, history: &History) -> Self {
        let mut kind = Self {
            name: name.into(),
            samples: Samples::default(),
            tracker: Tracker::new(),
            learnt: 0,
            law: None,
            law_made: Duration::ZERO,
            prices: Vec::new(),
        };
        history.samples(name).for_each(|sample| _ = kind.learn(sample));
        kind
    }

    /// Takes a past job. Returns whether it says more than is known of that job.
    pub(crate) fn learn(&mut self, sample: Sample) -> bool {
        match self.samples.add(sample) {
            Added::New => {}
            Added::InPlaceOf(before) => self.tracker.forget_at_least(before.as_secs_f64()),
            Added::Known => return false,
        }
        learn(&mut self.tracker, sample);
        self.learnt += 1;
        true
    }

    /// Returns the newest law that was computed for a plan.
    pub(crate) fn law(&self) -> Option<&Survival> {
        self.law.as_ref().map(|(_, law)| &**law)
    }

    fn newest_law(&mut self) -> Arc<Survival> {
        match &self.law {
            Some((learnt, law)) if *learnt == self.learnt => Arc::clone(law),
            _ => {
                let law = Arc::new(self.tracker.survival());
                self.law = Some((self.learnt, Arc::clone(&law)));
                law
            }
        }
    }

    /// Returns when a job of `age` seconds is likely to end, if past jobs tell.
    pub(crate) fn eta(&mut self, age: f64, now: Duration) -> Option<Eta> {
        let past_jobs = Some(self.tracker.count_ended()).filter(|count| *count > 0)?;
        let law = match &self.law {
            // Jobs may end by the thousand, and a law takes as long as some thousand estimates.
            Some((_, law)) if now < self.law_made.saturating_add(PLAN_LASTS) => Arc::clone(law),
            _ => {
                self.law_made = now;
                self.newest_law()
            }
        };
        Eta::new(&law, past_jobs, age)
    }

    /// Returns the plan for a wait that begins `now`. `history` knows what was saved before.
    pub(crate) fn plan(
        &mut self,
        settings: &Arc<Learned>,
        min_interval: Duration,
        now: Duration,
        history: &History,
    ) -> Arc<Planned> {
        let learnt = self.learnt;
        let price = self.price(settings, history);
        let balance = price.account.balance();
        let in_use = price.plans.iter().find(|in_use| *in_use.plan.settings == **settings);
        let is_good = |in_use: &&InUse| {
            let is_new = in_use.learnt == learnt || now < in_use.made.saturating_add(PLAN_LASTS);
            is_new && (in_use.plan.worst <= balance || !in_use.plan.is_learned())
        };
        if let Some(in_use) = in_use.filter(is_good) {
            return Arc::clone(&in_use.plan);
        }
        let plan = Arc::new(self.make_plan(settings, min_interval, history));
        let price = self.price(settings, history);
        price.plans.retain(|in_use| *in_use.plan.settings != **settings);
        // Settings are few, unless each wait is given some of its own.
        let surplus = price.plans.len().saturating_sub(MOST_PLANS - 1);
        price.plans.drain(..surplus);
        price.plans.push(InUse { plan: Arc::clone(&plan), learnt, made: now });
        plan
    }

    /// Explains the plan for a wait that begins now.
    pub(crate) fn explain(
        &mut self,
        settings: &Arc<Learned>,
        min_interval: Duration,
        history: &History,
    ) -> Explanation {
        let plan = self.plan(settings, min_interval, Duration::ZERO, history);
        let (law, c) = (self.newest_law(), settings.price());
        let ended = self.tracker.count_ended();
        let worst_loss = if plan.is_learned() {
            Some(plan.worst)
        } else if self.tracker.is_empty() {
            None
        } else {
            let plan = Arc::new(Plan::new(&law, c).0);
            let steady = settings.get_fallback().longest().as_secs_f64();
            let shortest = Leash::up_to(settings.longest_leash(), steady).last();
            let on = |leash| pace(&plan, leash, settings, min_interval);
            let fixed = fallback_polls(settings, min_interval);
            shortest.map(|leash| worst_of(&on(leash), settings, &fixed))
        };
        let account = self.price(settings, history).account;
        Explanation {
            ended,
            unfinished: self.tracker.len() - ended,
            is_learned: plan.is_learned(),
            polls: shown(&law, plan.polls()),
            fallback_polls: shown(&law, polls_of(None, settings)),
            expected: ExpectedCost::new(&law, plan.polls(), c),
            expected_fallback: ExpectedCost::new(&law, polls_of(None, settings), c),
            account: account.balance(),
            account_limit: account.cap(),
            worst_loss,
            law,
        }
    }

    fn make_plan(
        &mut self,
        settings: &Arc<Learned>,
        min_interval: Duration,
        history: &History,
    ) -> Planned {
        let law = self.newest_law();
        let plan = Arc::new(Plan::new(&law, settings.price()).0);
        let on = |leash| pace(&plan, leash, settings, min_interval);
        // Without any past job what is known is less than what the fallback's author knew.
        let is_blank = self.tracker.is_empty();
        let account = self.price(settings, history).account;
        let chosen = if is_blank {
            None
        } else {
            let steady = settings.get_fallback().longest().as_secs_f64();
            let fixed = fallback_polls(settings, min_interval);
            let loss = |leash| worst_of(&on(leash), settings, &fixed);
            account.choose_of(Leash::up_to(settings.longest_leash(), steady), loss)
        };
        Planned {
            kind: Arc::clone(&self.name),
            settings: Arc::clone(settings),
            pace: chosen.map(|(leash, _)| on(leash)),
            worst: chosen.map_or(0.0, |(_, worst)| worst),
            rare_age: law.quantile(0.0, 1.0 - RARE).unwrap_or(HORIZON),
        }
    }

    /// Books what a job has saved, or lost if that is negative, in seconds. Returns it.
    pub(crate) fn book(&mut self, settings: &Learned, gain: f64, history: &History) -> Savings {
        let price = self.price(settings, history);
        price.account.book(gain);
        Savings::of(gain, &price.account)
    }

    fn price(&mut self, settings: &Learned, history: &History) -> &mut Price {
        let cost = settings.get_poll_cost();
        let at = self.prices.iter().position(|price| price.cost == cost);
        let at = at.unwrap_or_else(|| {
            let account = history.savings(&self.name, cost).account(settings.price());
            self.prices.push(Price { cost, account, plans: Vec::new() });
            self.prices.len() - 1
        });
        &mut self.prices[at]
    }
}

/// Returns a plan on a leash, within the intervals that were set.
fn pace(plan: &Arc<Plan>, leash: Leash, settings: &Learned, min_interval: Duration) -> Pace {
    let min_interval = min_interval.as_secs_f64();
    let max_interval = settings.get_max_interval().as_secs_f64();
    Pace { plan: Arc::clone(plan), leash, min_interval, max_interval }
}

/// Returns the most that a plan can lose against the fallback, in seconds, with jobs that end and jobs that are left, and whether or
/// not its first poll comes early: infinite if it polls more often than is counted.
fn worst_of(pace: &Pace, settings: &Learned, fixed: &[f64]) -> f64 {
    let (horizon, c) = (HORIZON + pace.max_interval, settings.price());
    let early = settings.get_fallback().delay_secs(0.0, 0).max(DENSEST);
    let shortest = DENSEST.max(pace.min_interval);
    let loss = |first| {
        let mut plan = Vec::new();
        for age in polls_from(Some(pace), settings, first, shortest).take(MOST_POLLS) {
            plan.push(age);
            if age >= horizon {
                break;
            }
        }
        // Beyond the horizon there is none to count.
        if plan.last().is_none_or(|last| *last < HORIZON) {
            return f64::INFINITY;
        }
        let (plan, fixed) = (|| plan.iter().copied(), || fixed.iter().copied());
        let leaving = worst_of_leaving(plan(), fixed(), horizon, c);
        worst(plan(), fixed(), horizon, c).max(leaving)
    };
    loss(None).max(loss(Some(early)))
}

/// Returns the polls of the fallback up to the first one of which nothing is counted, as ages in seconds. There are thousands.
fn fallback_polls(settings: &Learned, min_interval: Duration) -> Vec<f64> {
    let horizon = HORIZON + settings.get_max_interval().as_secs_f64();
    let shortest = DENSEST.max(min_interval.as_secs_f64());
    let mut polls = Vec::new();
    for age in polls_from(None, settings, None, shortest).take(MOST_POLLS) {
        polls.push(age);
        if age >= horizon {
            break;
        }
    }
    polls
}

/// Returns the polls of a plan, or of the fallback alone, as ages in seconds.
fn polls_of<'a>(pace: Option<&'a Pace>, settings: &'a Learned) -> impl Iterator<Item = f64> + 'a {
    polls_from(pace, settings, None, DENSEST)
}

/// Returns the same with a first poll that is not the plan's, and the shortest delay of the fallback, in seconds.
fn polls_from<'a>(
    pace: Option<&'a Pace>,
    settings: &'a Learned,
    first: Option<f64>,
    shortest: f64,
) -> impl Iterator<Item = f64> + 'a {
    let fallback = settings.get_fallback();
    let later = polls_after(first.unwrap_or_default(), move |age, n| {
        match pace.filter(|_| age < HORIZON) {
            Some(pace) => pace.delay(age),
            None => fallback.delay_secs(age, n).max(shortest),
        }
    });
    first.into_iter().chain(later)
}

fn learn(tracker: &mut Tracker, sample: Sample) {
    let seconds = sample.duration().as_secs_f64();
    if sample.is_at_least() {
        tracker.learn_at_least(seconds);
    } else {
        tracker.learn(seconds);
    }
}

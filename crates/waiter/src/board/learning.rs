//! What schedules learn from past jobs, and the plans that waits get of it.

mod ends;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::jobs::Job;
use super::time::Time;
use super::waits::Wait;
use super::{Board, WaitOptions};
use crate::learned::{Kind, Learned, Planned, Survival};
use crate::schedule::to_nanos;
use crate::util::slab::Key;
use crate::{Eta, History, Policy, Sample, Schedule};

/// The kind of jobs without one.
const DEFAULT_KIND: &str = "default";
/// How many policies with plans are at hand for waits to come.
const RECENT: usize = 8;

/// The past jobs of each kind. Only waits whose schedules learn fill and read it.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// What was known at the start.
    history: History,
    /// What was learnt and not taken.
    news: History,
    kinds: Vec<Kind>,
    /// Positions in `kinds`, by name.
    names: BTreeMap<Arc<str>, u32>,
    /// Policies with the plans in use, each with the policy that it was made of: most waits share one.
    recent: Vec<(Arc<Policy>, Arc<Policy>)>,
    /// Whether the ages of jobs are told by clocks that contradict each other: those of the service behind the source, whatever
    /// the kind. The newest job that was seen running tells.
    has_bad_clocks: bool,
}

impl Learning {
    pub(super) fn new(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    pub(super) fn take_news(&mut self) -> History {
        std::mem::take(&mut self.news)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.kinds.is_empty()
    }

    fn kind(&mut self, name: &str) -> (&mut Kind, &History) {
        let number = self.number(name).unwrap_or_else(|| {
            self.kinds.push(Kind::new(name, &self.history));
            let number = u32::try_from(self.kinds.len() - 1).unwrap_or(u32::MAX);
            self.names.insert(name.into(), number);
            number
        });
        (&mut self.kinds[number as usize], &self.history)
    }

    /// Returns the number of a kind that waits have.
    pub(super) fn number(&self, kind: &str) -> Option<u32> {
        self.names.get(kind).copied()
    }

    /// Returns the newest law of a kind that was computed for a plan.
    pub(super) fn law(&self, number: u32) -> Option<&Survival> {
        self.kinds.get(number as usize)?.law()
    }

    /// Returns a policy with a plan in place of a schedule that learns.
    fn with_plan(
        &mut self,
        policy: &Arc<Policy>,
        settings: &Arc<Learned>,
        kind: &str,
        min_interval: Duration,
        now: Time,
    ) -> Arc<Policy> {
        let (kind, history) = self.kind(kind);
        let plan = kind.plan(settings, min_interval, now.since_epoch(), history);
        let is_same = |(of, made): &&(Arc<Policy>, Arc<Policy>)| {
            let known = made.schedule.plan();
            Arc::ptr_eq(of, policy) && known.is_some_and(|known| Arc::ptr_eq(known, &plan))
        };
        if let Some((_, made)) = self.recent.iter().find(is_same) {
            return Arc::clone(made);
        }
        let made = Policy { schedule: Schedule::planned(plan), ..(**policy).clone() };
        let made = Arc::new(made);
        if self.recent.len() >= RECENT {
            self.recent.remove(0);
        }
        self.recent.push((Arc::clone(policy), Arc::clone(&made)));
        made
    }

    /// Books what waits have saved by a plan, or lost if that is negative, in seconds.
    fn book(&mut self, plan: &Planned, gain: f64) {
        if gain == 0.0 {
            return;
        }
        let (kind, history) = self.kind(&plan.kind);
        let saved = kind.book(&plan.settings, gain, history);
        self.news.save(&plan.kind, plan.settings.get_poll_cost(), saved);
    }

    /// Returns whether the sample says more than is known of its job.
    fn learn(&mut self, kind: &str, sample: Sample) -> bool {
        let is_new = self.kind(kind).0.learn(sample);
        if is_new {
            self.news.record(kind, sample);
        }
        is_new
    }
}

impl Board {
    /// Gives a wait that is about to begin the newest plan, if its schedule learns.
    pub(super) fn with_plan<'a>(&mut self, options: &'a WaitOptions) -> Cow<'a, WaitOptions> {
        let Some(settings) = options.policy.schedule.settings() else {
            return Cow::Borrowed(options);
        };
        let kind = options.kind.as_deref().unwrap_or(DEFAULT_KIND);
        let min_interval = self.budget.min_interval;
        let policy =
            self.learning.with_plan(&options.policy, settings, kind, min_interval, self.now);
        Cow::Owned(WaitOptions { policy, ..options.clone() })
    }

    /// Returns after how long a plan polls a job next, in nanoseconds; none if the fallback says. `own` is the age of the job
    /// as its wait knows it, when the wait began or had its last answer.
    pub(super) fn planned_delay(
        &self,
        plan: &Planned,
        key: Key<Job>,
        own: u64,
        jitter: f64,
    ) -> Option<u64> {
        if self.jobs.failure(key).is_some() {
            return None;
        }
        let Some((seen, age)) = self.ages(plan, key, own) else {
            // A wrong id or key is to be noticed soon, and the answer tells the age of the job.
            return Some(plan.settings.get_fallback().next_delay(0, 0, 0, jitter));
        };
        // Of a job that was never seen, the first poll of the plan, at once if it is overdue.
        let delay = (plan.delay(seen, jitter)? - (age - seen)).max(0.0);
        Some(to_nanos(delay * 1e9))
    }

    /// Returns the age at which a job was last seen running, and its age when its wait began or had its last answer, in
    /// seconds; none if the plan does not count yet. `own` is the latter as the wait knows it, in nanoseconds.
    pub(super) fn ages(&self, plan: &Planned, key: Key<Job>, own: u64) -> Option<(f64, f64)> {
        let own = own as f64 / 1e9;
        if self.jobs[key].status.is_some() {
            let claimed = self.jobs.claimed_age(key).filter(|_| !self.learning.has_bad_clocks);
            let age = plan.believed_age(claimed, own);
            Some((age, age))
        } else {
            self.throttle.is_proven(self.now).then_some((0.0, own))
        }
    }

    /// Returns the age at which a job was last seen running, in seconds.
    fn last_age(&self, key: Key<Job>, wait: Key<Wait>, plan: &Planned) -> Option<f64> {
        let seen = self.jobs.observed(key)?;
        let own = self.own_age(wait, seen);
        let claimed = self.jobs.claimed_age(key).filter(|_| !self.learning.has_bad_clocks);
        Some(plan.believed_age(claimed, own))
    }

    /// Returns when the job of a wait is likely to end, if its schedule learns and past jobs tell.
    ///
    /// It returns none before the first status, and where the server's begin time is not credible.
    pub(super) fn eta(&mut self, now: Time, wait: Key<Wait>) -> Option<Eta> {
        if self.learning.is_idle() {
            return None;
        }
        let plan = Arc::clone(self.waits.policy(&self.waits[wait]).schedule.plan()?);
        let key = self.waits[wait].job?;
        let seen = self.jobs.observed(key)?;
        let age = self.last_age(key, wait, &plan)?;
        let claimed = self.jobs.claimed_age(key).filter(|_| !self.learning.has_bad_clocks);
        if claimed.is_some_and(|(from, _)| from > age) {
            return None;
        }
        let age = age + now.since(seen).as_secs_f64();
        self.learning.kind(&plan.kind).0.eta(age, now.since_epoch())
    }

    /// Returns the age of a job as its wait knows it, in seconds.
    fn own_age(&self, wait: Key<Wait>, at: Time) -> f64 {
        let before = self.waits.age_at_start(wait);
        at.nanos_since(self.waits[wait].started).saturating_add(before) as f64 / 1e9
    }
}

//! What schedules learn from past jobs, and the plans that waits get of it.

mod ends;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::jobs::Job;
use super::time::Time;
use super::waits::Wait;
use super::{Board, WaitOptions, jitter};
use crate::learned::{Kind, Learned, Planned, Survival};
use crate::schedule::to_nanos;
use crate::util::slab::Key;
use crate::{Eta, History, Policy, Sample, Schedule};

/// The kind of jobs without one.
const DEFAULT_KIND: &str = "default";
/// How many policies with plans are at hand for waits to come.
const RECENT: usize = 8;
/// What an answer weighs in the mean of how long they take.
const LATENCY_WEIGHT: f64 = 0.1;
/// How many of a job's waits are asked for the plan of a new one.
const MOST_ASKED: usize = 16;

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
    /// How long answers take, in seconds: a mean of the last ones.
    latency: f64,
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

    /// Takes how long an answer took, if any schedule learns.
    pub(super) fn note_latency(&mut self, took: Duration) {
        if !self.is_idle() {
            self.latency += LATENCY_WEIGHT * (took.as_secs_f64() - self.latency);
        }
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
    fn with_plan(&mut self, policy: &Arc<Policy>, plan: Arc<Planned>) -> Arc<Policy> {
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

/// Ages of a job, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownAges {
    /// When the job was polled last or, if it was not, the wait began.
    pub(super) at: Time,
    /// The one at which it was last seen running.
    pub(super) seen: f64,
    /// The one at that time.
    pub(super) age: f64,
}

impl Board {
    /// Gives a wait that is about to begin a plan, if its schedule learns: the one by which its job is polled already for waits like
    /// it, or else the newest.
    pub(super) fn with_plan<'a>(
        &mut self,
        job: Key<Job>,
        options: &'a WaitOptions,
    ) -> Cow<'a, WaitOptions> {
        let Some(settings) = options.policy.schedule.settings() else {
            return Cow::Borrowed(options);
        };
        let kind = options.kind.as_deref().unwrap_or(DEFAULT_KIND);
        let plan = self.plan_in_use(job, kind, settings).unwrap_or_else(|| {
            let (min_interval, now) = (self.budget.min_interval, self.now.since_epoch());
            let (kind, history) = self.learning.kind(kind);
            kind.plan(settings, min_interval, now, history)
        });
        let policy = self.learning.with_plan(&options.policy, plan);
        Cow::Owned(WaitOptions { policy, ..options.clone() })
    }

    /// Returns the plan of a kind and these settings by which a job is polled, if one of its newest waits has it.
    fn plan_in_use(&self, job: Key<Job>, kind: &str, settings: &Learned) -> Option<Arc<Planned>> {
        let waits = self.waits.on(&self.jobs[job]).take(MOST_ASKED);
        let plans = waits.filter_map(|(_, wait)| self.waits.policy(wait).schedule.plan());
        let is_like = |plan: &&Arc<Planned>| *plan.kind == *kind && *plan.settings == *settings;
        plans.filter(|plan| plan.is_learned()).find(is_like).cloned()
    }

    /// Returns when a plan polls a job next; none if the fallback says. `base` is when the wait began or had its last answer, and
    /// `hash` that of the job.
    pub(super) fn planned_poll(
        &self,
        plan: &Planned,
        key: Key<Job>,
        base: Time,
        hash: u64,
    ) -> Option<Time> {
        if self.jobs.failure(key).is_some() {
            return None;
        }
        let polls = self.jobs[key].polls;
        let Some(known) = self.known_ages(plan, key, base) else {
            // A wrong id or key is to be noticed soon, and the answer tells the age of the job.
            let jitter = jitter::jitter(hash, polls);
            let early = plan.settings.get_fallback().next_delay(0, 0, 0, jitter);
            return plan.is_learned().then(|| base.after_nanos(early));
        };
        // Of a job that was never seen, the first poll of the plan, at once if it is overdue.
        let jitter = jitter::plan_jitter(hash, polls);
        let delay = (plan.delay(known.seen, jitter)? - (known.age - known.seen)).max(0.0);
        Some(known.at.after_nanos(to_nanos(delay * 1e9)))
    }

    /// Returns the ages of a job that a plan goes by; none if the plan does not count yet. `base` is when the wait on it began or had
    /// its last answer.
    pub(super) fn known_ages(
        &self,
        plan: &Planned,
        key: Key<Job>,
        base: Time,
    ) -> Option<KnownAges> {
        let job = &self.jobs[key];
        if job.status.is_none() {
            let age = self.job_age(key, base);
            let is_proven = self.throttle.is_proven(self.now);
            return is_proven.then_some(KnownAges { at: base, seen: 0.0, age });
        }
        // A state from elsewhere changes nothing in when the job is polled.
        let at = if job.polls > 0 { job.last_answer } else { base };
        let age = self.believed_age(plan, key, self.job_age(key, at));
        Some(KnownAges { at, seen: age, age })
    }

    fn believed_age(&self, plan: &Planned, key: Key<Job>, own: f64) -> f64 {
        let claimed = self.jobs.claimed_age(key).filter(|_| !self.learning.has_bad_clocks);
        plan.believed_age(claimed, own)
    }

    /// Returns the age at which a job was last seen running, in seconds.
    fn last_age(&self, key: Key<Job>, plan: &Planned) -> Option<f64> {
        let seen = self.jobs.observed(key)?;
        Some(self.believed_age(plan, key, self.job_age(key, seen)))
    }

    /// Returns the age of a job as the wait on it knows it that knows of the most, in seconds.
    fn job_age(&self, key: Key<Job>, at: Time) -> f64 {
        // The newest wait knows what the older ones do.
        let newest = self.jobs[key].first_wait;
        newest.map_or(0, |newest| self.waits.age_at(newest, at)) as f64 / 1e9
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
        let age = self.last_age(key, &plan)?;
        let claimed = self.jobs.claimed_age(key).filter(|_| !self.learning.has_bad_clocks);
        if claimed.is_some_and(|(from, _)| from > age) {
            return None;
        }
        let age = age + now.since(seen).as_secs_f64();
        self.learning.kind(&plan.kind).0.eta(age, now.since_epoch())
    }
}

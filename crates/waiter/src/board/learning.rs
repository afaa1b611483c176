//! What schedules learn from past jobs, and the plans that waits get of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::jitter;
use super::jobs::Job;
use super::time::Time;
use super::waits::Wait;
use super::{Board, WaitOptions};
use crate::learned::{Kind, Learned, Planned, Survival, job_mark};
use crate::schedule::to_nanos;
use crate::state::ServerTime;
use crate::util::slab::Key;
use crate::{Eta, History, JobState, Policy, Sample, Schedule};

/// The kind of jobs without one.
const DEFAULT_KIND: &str = "default";
/// By how much server times may disagree with each other, in seconds.
const DISAGREEMENT: f64 = 5.0;
/// How much longer a job may have taken than its wait knows of for its times to be believed: as long as polls follow what was
/// learnt.
const LONGEST_BEFORE: Duration = Duration::from_secs(86_400);
/// Durations below this, in seconds, are blurred if the server tells whole seconds.
const COARSE: f64 = 20.0;
/// How long a job may have run before its wait began for what it saved to count, in seconds.
const BEFORE_WAIT: f64 = 2.0;
/// The longest time between two polls, in seconds, whose middle is taken for the end of a job of any age.
const SILENCE: f64 = 60.0;
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

    /// Learns from a job that has ended, before its end is recorded.
    pub(super) fn learn_end(&mut self, key: Key<Job>, state: &JobState) {
        if self.learning.is_idle() || !state.phase.is_terminal() {
            return;
        }
        let Some((wait, plan)) = self.planned_wait(key) else { return };
        let do_clocks_agree = self.check_clocks(key, state);
        let told = told_duration(state);
        let credible = told.filter(|told| self.is_credible(key, state, *told, do_clocks_agree));
        let middle = self.middle(key);
        let nonzero = credible.filter(|told| !told.is_zero());
        let Some(booked) = nonzero.or(middle).or(credible) else { return };
        let sample = match credible {
            Some(told) => self.blurred(key, state, told).map(Sample::ended),
            None => self.seen(key, &plan, booked),
        };
        // A begin that is wrong may be that of all jobs of one id.
        let time = if credible.is_some() { state.begin } else { state.end.or(state.begin) };
        let job = self.mark(key, time.into());
        let sample = sample.map(|sample| sample.of_job(job));
        let is_new = sample.is_some_and(|sample| self.learning.learn(&plan.kind, sample));
        if !is_new && middle.is_none() {
            // It had ended before the first poll, and its polls were booked then.
            return;
        }
        let duration = sample.map_or(booked, Sample::duration);
        let waited = self.now.since(self.waits[wait].started).as_secs_f64();
        let longest = told.map_or(duration, |told| told.max(duration));
        let is_whole = is_new
            && sample.is_some_and(|sample| !sample.is_at_least())
            && longest.as_secs_f64() <= waited + BEFORE_WAIT;
        let learning = &mut self.learning;
        let (kind, history) = learning.kind(&plan.kind);
        let saved = kind.book(&plan, duration, is_whole, history);
        learning.news.save(&plan.kind, plan.settings.get_poll_cost(), saved);
    }

    /// Learns from a job that is left while it runs, before the last of its waits leaves.
    pub(super) fn learn_unfinished(&mut self, wait: Key<Wait>) {
        if self.learning.is_idle() {
            return;
        }
        let Some(key) = self.waits[wait].job else { return };
        let is_last = self.jobs[key].first_wait == Some(wait) && !self.waits[wait].has_older();
        let Some(plan) = self.waits.policy(&self.waits[wait]).schedule.plan().cloned() else {
            return;
        };
        let Some(age) = self.last_age(key, wait, &plan).filter(|_| is_last) else { return };
        if let Ok(age) = Duration::try_from_secs_f64(age) {
            let job = self.mark(key, self.jobs.begin(key));
            self.learning.learn(&plan.kind, Sample::at_least(age).of_job(job));
        }
    }

    /// Returns the newest wait on a job that keeps to a plan.
    fn planned_wait(&self, key: Key<Job>) -> Option<(Key<Wait>, Arc<Planned>)> {
        self.waits.on(&self.jobs[key]).find_map(|(key, wait)| {
            self.waits.policy(wait).schedule.plan().map(|plan| (key, Arc::clone(plan)))
        })
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
        let since = self.waits.head_start(wait).age;
        at.nanos_since(self.waits[wait].started).saturating_add(since) as f64 / 1e9
    }

    /// Returns the age of a job as the wait on it knows it that knows of the most, in seconds.
    fn oldest_age(&self, key: Key<Job>, at: Time) -> f64 {
        let ages = self.waits.on(&self.jobs[key]).map(|(wait, _)| self.own_age(wait, at));
        ages.fold(0.0, f64::max)
    }

    /// Returns a hash by which a job is known again when it is waited for once more; none if the server tells no `time` of it.
    /// Another job may have its id, but not its begin as well.
    fn mark(&self, key: Key<Job>, time: ServerTime) -> Option<NonZeroU64> {
        // Not the seed of the waiter: it is known to other processes.
        job_mark(jitter::hash_id(0, self.jobs[key].id.as_str()), time.seconds()?)
    }

    /// Returns the age halfway between the poll that saw a job running and the one that saw its end; none if it was never seen
    /// running.
    fn middle(&self, key: Key<Job>) -> Option<Duration> {
        let seen = self.jobs.observed(key)?;
        let halfway = 0.5 * (self.oldest_age(key, seen) + self.oldest_age(key, self.now));
        Duration::try_from_secs_f64(halfway).ok()
    }

    /// Returns what is known of the duration of a job by the polls alone: the `middle` between two if they were as close as the
    /// schedule makes them, or as the job was old; else how old it was seen running.
    fn seen(&self, key: Key<Job>, plan: &Planned, middle: Duration) -> Option<Sample> {
        let seen = self.oldest_age(key, self.jobs.observed(key)?);
        let silence = 2.0 * (middle.as_secs_f64() - seen);
        let steady = plan.settings.get_fallback().longest().as_secs_f64();
        let planned = plan.delay(seen, 1.0).unwrap_or(0.0).max(steady);
        if silence <= SILENCE.max(seen).max(2.0 * planned) {
            return Some(Sample::ended(middle));
        }
        Duration::try_from_secs_f64(seen).ok().map(Sample::at_least)
    }

    /// Returns whether a job can have taken as long as the server tells.
    fn is_credible(
        &self,
        key: Key<Job>,
        state: &JobState,
        told: Duration,
        do_clocks_agree: bool,
    ) -> bool {
        let known = Duration::try_from_secs_f64(self.oldest_age(key, self.now)).unwrap_or_default();
        let is_too_long = told > known.saturating_add(LONGEST_BEFORE);
        // The answers that saw it running said when it began, or it was not known then.
        let moved = self.jobs.begin(key).secs_since(state.begin.into()).map(f64::abs);
        let has_moved = moved.is_some_and(|moved| moved > DISAGREEMENT);
        // It was seen running for longer than that. A job that had not begun is polled as well.
        let seen = self.jobs.observed(key).map(|seen| {
            self.waits
                .on(&self.jobs[key])
                .map(|(_, wait)| seen.nanos_since(wait.started) as f64 / 1e9)
                .fold(0.0, f64::max)
        });
        let is_too_short = (!do_clocks_agree || moved.is_none())
            && seen.is_some_and(|seen| told.as_secs_f64() + DISAGREEMENT < seen);
        !is_too_long && !is_too_short && !has_moved
    }

    /// Blurs a short duration that is the difference of two times cut to whole seconds, by up to a second either way: equal
    /// numbers would look like a job of exactly that duration. A duration of zero is none if the times are finer.
    fn blurred(&self, key: Key<Job>, state: &JobState, duration: Duration) -> Option<Duration> {
        let mut times = [state.end, state.begin].into_iter();
        if !times.all(|time| ServerTime::from(time).is_whole_second()) {
            return Some(duration).filter(|duration| !duration.is_zero());
        }
        if duration.as_secs_f64() >= COARSE {
            return Some(duration);
        }
        let hash = self.jobs.hash(&self.jobs[key]);
        let blur = jitter::uniform(hash, 0, 5) + jitter::uniform(hash, 0, 6) - 1.0;
        Some(Duration::try_from_secs_f64(duration.as_secs_f64() + blur).unwrap_or_default())
    }

    /// Checks that the times of a job that has ended agree with the time of the answer: it ended after it was last seen
    /// running, which our own clock knows. If not, the ages that the server tells are not used until those of a later job
    /// agree. Returns false if they do not agree.
    fn check_clocks(&mut self, key: Key<Job>, state: &JobState) -> bool {
        let (answered, end) = (ServerTime::from(state.answered), ServerTime::from(state.end));
        let (Some(lag), Some(seen)) = (answered.secs_since(end), self.jobs.observed(key)) else {
            return true;
        };
        let longest = self.now.since(seen).as_secs_f64();
        let do_agree = (-DISAGREEMENT..=longest + DISAGREEMENT).contains(&lag);
        self.learning.has_bad_clocks = !do_agree;
        do_agree
    }
}

/// Returns how long a job took by the server's clock.
fn told_duration(state: &JobState) -> Option<Duration> {
    let (end, begin) = state.end.zip(state.begin)?;
    end.duration_since(begin).ok()
}

//! What is learnt from jobs that have ended, or that the waits on them leave, and what their polls have saved.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::board::jitter;
use crate::board::jobs::{FirstPoll, Job};
use crate::board::time::Time;
use crate::board::waits::{Polling, Wait};
use crate::learned::{INEXACT, JobPolls, Leaves, Planned, WaitPolls, job_mark};
use crate::state::ServerTime;
use crate::util::slab::Key;
use crate::{JobState, Sample};

/// By how much server times may disagree with each other, in seconds.
const DISAGREEMENT: f64 = 5.0;
/// How much longer a job may have taken than its wait knows of for its times to be believed: as long as polls follow what was
/// learnt.
const LONGEST_BEFORE: Duration = Duration::from_secs(86_400);
/// Durations below this, in seconds, are blurred if the server tells whole seconds.
const COARSE: f64 = 20.0;
/// The longest time between two polls, in seconds, whose middle is taken for the end of a job of any age.
const SILENCE: f64 = 60.0;
/// How much older than its wait a job may be by the server's clock, in seconds, for that to be a begin at all. A service that
/// does not know the begin says 1970, or the year 1.
const LONGEST_CLAIM: f64 = 365.0 * 86_400.0;
/// How many waits on a job are compared with what they would have polled by their static schedules, besides those that have left
/// it. Of more waits nothing is saved.
const MOST_COMPARED: usize = 16;

/// The waits on a job that have one kind.
#[derive(Debug)]
struct OfKind {
    /// For each price of a poll a plan, and since when the job has been polled by plans of that price: the newest wait's first.
    plans: Vec<(Arc<Planned>, Time)>,
}

/// The durations that server and polls give for a job that has ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// By the server's times.
    told: Option<Duration>,
    /// The same, if it can be.
    credible: Option<Duration>,
    /// The same, if it is not less than what was seen.
    known: Option<Duration>,
    /// The middle between two polls.
    middle: Option<Duration>,
    /// How long ago it ended by the server's clock, in seconds; zero if that is not known.
    lag: f64,
    do_clocks_agree: bool,
    /// Whether it was not a poll that told of the end.
    is_reported: bool,
}

impl Board {
    /// Learns from a job that has ended, before its end is recorded: each kind that a wait on it has, and each once. `is_reported` is
    /// set where it was not a poll that told of the end.
    pub(in crate::board) fn learn_end(
        &mut self,
        key: Key<Job>,
        state: &JobState,
        is_reported: bool,
    ) {
        if self.learning.is_idle() || !state.phase.is_terminal() {
            return;
        }
        let kinds = self.kinds_on(key);
        if kinds.is_empty() {
            return;
        }
        let do_clocks_agree = self.check_clocks(key, state);
        let told = told_duration(state);
        let is_credible = |told: &Duration| self.is_credible(key, state, *told, do_clocks_agree);
        let credible = told.filter(is_credible);
        let lag = state.detection_lag().filter(|_| do_clocks_agree).unwrap_or_default();
        let (middle, lag) = (self.middle(key), lag.as_secs_f64());
        // A job that was seen running took some time.
        let known = credible.filter(|told| !told.is_zero() || middle.is_none());
        let ended = Ended { told, credible, known, middle, lag, do_clocks_agree, is_reported };
        for kind in kinds {
            self.learn_end_of(key, state, &ended, &kind);
        }
    }

    /// Learns from the end of a job for one kind.
    fn learn_end_of(
        &mut self,
        key: Key<Job>,
        state: &JobState,
        ended: &Ended,
        OfKind { plans }: &OfKind,
    ) {
        let Some((newest, _)) = plans.first() else { return };
        let Ended { told, credible, known, middle, .. } = *ended;
        let own = self.age_now(key, newest);
        let age = match known {
            Some(told) if ended.is_reported => own.max(told.as_secs_f64() + ended.lag),
            Some(told) => told.as_secs_f64() + ended.lag,
            None => own,
        };
        let polls = self.job_polls(key, age, self.now);
        let sample = match credible {
            Some(told) => self.blurred(key, state, told).map(Sample::ended),
            None => middle.and_then(|middle| self.seen(key, newest, middle, ended)),
        };
        // A begin that is wrong may be that of all jobs of one id.
        let time = if credible.is_some() { state.begin } else { state.end.or(state.begin) };
        let job = self.mark(key, time.into());
        let sample = sample.map(|sample| sample.of_job(job));
        let is_new = sample.is_some_and(|sample| self.learning.learn(&newest.kind, sample));
        let seen = self.jobs.observed(key).map(|seen| {
            let is_polled = seen == self.jobs[key].last_answer;
            (age - self.now.since(seen).as_secs_f64(), is_polled)
        });
        // It may have been longer by times that are not believed.
        let oldest = told.map_or(age, |told| age.max(told.as_secs_f64()));
        let is_learnt = is_new && sample.is_some_and(|sample| !sample.is_at_least());
        let reported = if ended.is_reported { age } else { f64::INFINITY };
        for (plan, since) in plans {
            let (c, from) = (plan.settings.price(), age_then(age, self.now, *since).max(0.0));
            let end = match known {
                // It had not ended for those who asked when it was last seen running.
                Some(known) => known.as_secs_f64().max(seen.map_or(0.0, |(seen, _)| seen)),
                // It is reported when it comes.
                None if ended.is_reported => age,
                None => polls.worst_end(from, seen, age),
            };
            let gain = polls.gain(from, end, reported, c);
            let waited = self.now.since(*since).as_secs_f64();
            // Polls from the begin on are those that the account allowed. A wait that begins later saves nothing: the polls before
            // were not made by its plan, and the age may be one that the server misstates. What it loses counts.
            let is_whole = is_learnt && oldest <= waited + INEXACT;
            self.learning.book(plan, if is_whole { gain } else { gain.min(0.0) });
        }
    }

    /// Learns from a job that a wait leaves while it runs, before the wait does, and books the polls if that is the last one with
    /// their account. What it knows of the job others on it know from then on.
    pub(in crate::board) fn learn_unfinished(&mut self, wait: Key<Wait>) {
        if self.learning.is_idle() {
            return;
        }
        let Some(key) = self.waits[wait].job else { return };
        let plan = self.waits.policy(&self.waits[wait]).schedule.plan().cloned();
        let others = || self.waits.on(&self.jobs[key]).filter(|(other, _)| *other != wait);
        let next = others().next().map(|(next, _)| next);
        let (mut is_kind_left, mut is_account_left) = (true, true);
        if let Some(plan) = &plan {
            for (_, other) in others() {
                let other = self.waits.policy(other).schedule.plan();
                let Some(other) = other.filter(|other| other.kind == plan.kind) else { continue };
                is_kind_left = false;
                if has_account(other, plan) {
                    is_account_left = false;
                    break;
                }
            }
        }
        let plan = plan.filter(|_| is_account_left);
        if let Some(plan) = &plan {
            self.book_leaving(key, wait, plan, is_kind_left);
        }
        let Some(next) = next else { return };
        self.waits.share_age(wait, next);
        let leaving = self.waits.polling(wait, Some(self.now));
        self.waits.keep_departed(key, leaving);
        if let Some(plan) = plan {
            let is_booked = |left: &Polling| {
                left.schedule.plan().is_some_and(|other| has_account(other, &plan))
            };
            self.waits.mark_booked(key, is_booked);
        }
    }

    /// Learns how long a job has run that the last wait with an account leaves, if that is the last one of its kind, and books
    /// what the polls since the first such wait have saved.
    fn book_leaving(&mut self, key: Key<Job>, wait: Key<Wait>, plan: &Planned, is_kind_left: bool) {
        let Some((seen, age)) = self.jobs.observed(key).zip(self.last_age(key, plan)) else {
            return;
        };
        if let Some(sample) = Duration::try_from_secs_f64(age).ok().filter(|_| is_kind_left) {
            let job = self.mark(key, self.jobs.begin(key));
            self.learning.learn(&plan.kind, Sample::at_least(sample).of_job(job));
        }
        let since = self.polled_since(key, plan).min(self.waits[wait].started);
        if seen > since {
            let from = age_then(age, seen, since).max(0.0);
            let at = age + self.now.since(seen).as_secs_f64();
            let others = self.waits.on(&self.jobs[key]).nth(1).is_some();
            let polls = self.job_polls(key, age, seen);
            let c = plan.settings.price();
            let gain = polls.gain_of_leaving(from, age, Leaves { at, others }, c);
            self.learning.book(plan, gain);
        }
    }

    /// Returns how a job has been polled that was of an age, in seconds, at a time.
    fn job_polls(&self, key: Key<Job>, age: f64, at: Time) -> JobPolls {
        let job = &self.jobs[key];
        let (departed, are_all) = self.waits.departed(key);
        let polls = |wait: &Polling| WaitPolls {
            schedule: wait.schedule.clone(),
            from: age_then(age, at, wait.started).max(0.0),
            until: wait.left.map_or(f64::INFINITY, |left| age_then(age, at, left)),
            last_poll: age_then(age, at, wait.last_poll),
            head_start: (wait.head_start.age as f64 / 1e9, wait.head_start.delays),
            known_age: wait.known_age as f64 / 1e9,
            is_first_at_once: wait.is_first_at_once,
        };
        let present = self.waits.on(job).map(|(wait, _)| self.waits.polling(wait, None));
        let mut waits: Vec<_> = departed.iter().map(polls).collect();
        waits.extend(present.take(MOST_COMPARED).map(|wait| polls(&wait)));
        let are_present = self.waits.on(job).nth(MOST_COMPARED).is_none();
        let is_unsure = job.first_poll == FirstPoll::Unknown;
        let is_early = is_unsure || job.first_poll == FirstPoll::Early;
        JobPolls {
            waits,
            is_early,
            is_unsure,
            are_all: are_all && are_present,
            min_interval: self.budget.min_interval.as_secs_f64(),
            latency: self.learning.latency,
        }
    }

    /// Returns the age of a job by the clock that its plan goes by, in seconds.
    fn age_now(&self, key: Key<Job>, plan: &Planned) -> f64 {
        match self.jobs.observed(key).zip(self.last_age(key, plan)) {
            Some((seen, age)) => age + self.now.since(seen).as_secs_f64(),
            None => self.job_age(key, self.now),
        }
    }

    /// Returns since when a job has been polled by plans with an account, and not booked.
    fn polled_since(&self, key: Key<Job>, plan: &Planned) -> Time {
        let present = self
            .waits
            .on(&self.jobs[key])
            .map(|(_, wait)| (self.waits.policy(wait).schedule.plan(), wait.started));
        let departed = self.waits.departed(key).0.iter().filter(|wait| !wait.is_booked);
        let departed = departed.map(|wait| (wait.schedule.plan(), wait.started));
        let all = present.chain(departed);
        let of_account =
            all.filter(|(other, _)| other.is_some_and(|other| has_account(other, plan)));
        of_account.map(|(_, started)| started).min().unwrap_or(Time::NEVER)
    }

    /// Returns the kinds of the waits on a job, those of the newest waits first.
    fn kinds_on(&self, key: Key<Job>) -> Vec<OfKind> {
        let mut kinds: Vec<OfKind> = Vec::new();
        for (_, wait) in self.waits.on(&self.jobs[key]) {
            let Some(plan) = self.waits.policy(wait).schedule.plan() else { continue };
            let of_kind = kinds.iter_mut().find(|known| {
                known.plans.first().is_some_and(|(known, _)| known.kind == plan.kind)
            });
            let Some(known) = of_kind else {
                let since = self.polled_since(key, plan);
                kinds.push(OfKind { plans: vec![(Arc::clone(plan), since)] });
                continue;
            };
            if known.plans.iter().all(|(known, _)| !has_account(known, plan)) {
                known.plans.push((Arc::clone(plan), self.polled_since(key, plan)));
            }
        }
        kinds
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
        let halfway = 0.5 * (self.job_age(key, seen) + self.job_age(key, self.now));
        Duration::try_from_secs_f64(halfway).ok()
    }

    /// Returns what the polls alone say of the duration of a job: the `middle` between the last two, or else the age at which it
    /// was last seen running.
    ///
    /// The middle counts if those two were as close as the schedule makes them, or as the job was old, and if the server does not
    /// say that the job began before the waits on it know.
    fn seen(
        &self,
        key: Key<Job>,
        plan: &Planned,
        middle: Duration,
        ended: &Ended,
    ) -> Option<Sample> {
        let seen = self.job_age(key, self.jobs.observed(key)?);
        let silence = 2.0 * (middle.as_secs_f64() - seen);
        let steady = plan.settings.get_fallback().longest().as_secs_f64();
        let planned = plan.delay(seen, 1.0).unwrap_or(0.0).max(steady);
        let is_close = silence <= SILENCE.max(seen).max(2.0 * planned);
        if is_close && !self.is_older(key, seen, ended) {
            return Some(Sample::ended(middle));
        }
        Duration::try_from_secs_f64(seen).ok().map(Sample::at_least)
    }

    /// Returns whether the server says that a job began before the waits on it know: while it ran, at the age of `seen`
    /// seconds, or else at its end.
    fn is_older(&self, key: Key<Job>, seen: f64, ended: &Ended) -> bool {
        let claimed = self.jobs.claimed_age(key).filter(|_| ended.do_clocks_agree);
        let (says, known) = match (claimed, ended.told) {
            (Some((from, _)), _) => (from, seen),
            (None, Some(told)) => (told.as_secs_f64(), self.job_age(key, self.now)),
            (None, None) => return false,
        };
        (DISAGREEMENT..LONGEST_CLAIM).contains(&(says - known))
    }

    /// Returns whether a job can have taken as long as the server tells.
    fn is_credible(
        &self,
        key: Key<Job>,
        state: &JobState,
        told: Duration,
        do_clocks_agree: bool,
    ) -> bool {
        let known = Duration::try_from_secs_f64(self.job_age(key, self.now)).unwrap_or_default();
        let is_too_long = told > known.saturating_add(LONGEST_BEFORE);
        // The answers that saw it running said when it began, or it was not known then.
        let moved = self.jobs.begin(key).secs_since(state.begin.into()).map(f64::abs);
        let has_moved = moved.is_some_and(|moved| moved > DISAGREEMENT);
        // It was seen running for longer than that. A job that had not begun is polled as well.
        let present = self.waits.on(&self.jobs[key]).map(|(_, wait)| wait.started);
        let departed = self.waits.departed(key).0.iter().map(|wait| wait.started);
        let since = present.chain(departed).min().unwrap_or(self.now);
        let seen = self.jobs.observed(key).map(|seen| seen.since(since).as_secs_f64());
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

/// Returns whether two plans share an account.
fn has_account(one: &Planned, other: &Planned) -> bool {
    one.kind == other.kind && one.settings.get_poll_cost() == other.settings.get_poll_cost()
}

/// Returns the age of a job at another time, in seconds.
fn age_then(age: f64, at: Time, then: Time) -> f64 {
    age - at.since(then).as_secs_f64() + then.since(at).as_secs_f64()
}

/// Returns how long a job took by the server's clock.
fn told_duration(state: &JobState) -> Option<Duration> {
    let (end, begin) = state.end.zip(state.begin)?;
    end.duration_since(begin).ok()
}

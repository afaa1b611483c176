//! What is learnt from jobs that have ended, or that the waits on them leave, and what their polls have saved.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::board::jitter;
use crate::board::jobs::Job;
use crate::board::time::Time;
use crate::board::waits::Wait;
use crate::learned::{JobPolls, Planned, WaitPolls, job_mark};
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
/// How long a job may have run before its wait began for what it saved to count, in seconds: about as long as it takes to
/// begin waiting for a job that has just been made, and as times cut to a second are wrong.
const BEFORE_WAIT: f64 = 2.0;
/// The longest time between two polls, in seconds, whose middle is taken for the end of a job of any age.
const SILENCE: f64 = 60.0;
/// How much older than its wait a job may be by the server's clock, in seconds, for that to be a begin at all. A service that
/// does not know the begin says 1970, or the year 1.
const LONGEST_CLAIM: f64 = 365.0 * 86_400.0;

/// How many waits on a job are compared with what they would have polled by their static schedules. More of them save nothing.
const MOST_COMPARED: usize = 16;

/// The waits on a job that have one kind.
#[derive(Debug)]
struct OfKind {
    /// The plans, one of each price of a poll: the newest wait's first.
    plans: Vec<Arc<Planned>>,
    /// Since when the job has been polled by them.
    since: Time,
}

/// The durations that server and polls give for a job that has ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// By the server's times.
    told: Option<Duration>,
    /// The same, if it can be.
    credible: Option<Duration>,
    /// The middle between two polls.
    middle: Option<Duration>,
    /// The age of the job now, in seconds.
    age: f64,
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
        let middle = self.middle(key);
        let age = match credible {
            Some(told) => told.as_secs_f64() + lag.as_secs_f64(),
            None => self.job_age(key, self.now),
        };
        let ended = Ended { told, credible, middle, age, do_clocks_agree, is_reported };
        let polls = self.job_polls(key, age, self.now, None);
        for kind in kinds {
            self.learn_end_of(key, state, &ended, &polls, &kind);
        }
    }

    /// Learns from the end of a job for one kind.
    fn learn_end_of(
        &mut self,
        key: Key<Job>,
        state: &JobState,
        ended: &Ended,
        polls: &JobPolls,
        OfKind { plans, since }: &OfKind,
    ) {
        let Some(newest) = plans.first() else { return };
        let Ended { told, credible, middle, age, .. } = *ended;
        let nonzero = credible.filter(|told| !told.is_zero());
        let Some(booked) = nonzero.or(middle).or(credible) else { return };
        let sample = match credible {
            Some(told) => self.blurred(key, state, told).map(Sample::ended),
            None => self.seen(key, newest, booked, ended),
        };
        // A begin that is wrong may be that of all jobs of one id.
        let time = if credible.is_some() { state.begin } else { state.end.or(state.begin) };
        let job = self.mark(key, time.into());
        let sample = sample.map(|sample| sample.of_job(job));
        let is_new = sample.is_some_and(|sample| self.learning.learn(&newest.kind, sample));
        if !is_new && middle.is_none() {
            // It had ended before the first poll, and its polls were booked then.
            return;
        }
        let duration = sample.map_or(booked, Sample::duration).as_secs_f64();
        let waited = self.now.since(*since).as_secs_f64();
        // It may have been longer by times that are not believed.
        let oldest = told.map_or(age, |told| age.max(told.as_secs_f64()));
        let is_whole = is_new
            && sample.is_some_and(|sample| !sample.is_at_least())
            && oldest <= waited + BEFORE_WAIT;
        for plan in plans {
            let c = plan.settings.price();
            let gain = match ended.is_reported {
                true => polls.gain_of_leaving(&JobPolls::default(), age, age, c),
                false => polls.gain(duration, c),
            };
            self.learning.book(plan, if is_whole { gain } else { gain.min(0.0) });
        }
    }

    /// Learns from a job that its last wait of a kind leaves while it runs, before that does, and books what the wait's plan alone
    /// has polled.
    ///
    /// What the wait knows of the job's age, another wait on it knows from then on.
    pub(in crate::board) fn learn_unfinished(&mut self, wait: Key<Wait>) {
        if self.learning.is_idle() {
            return;
        }
        let Some(key) = self.waits[wait].job else { return };
        let plan = self.waits.policy(&self.waits[wait]).schedule.plan().cloned();
        let others = || self.waits.on(&self.jobs[key]).filter(|(other, _)| *other != wait);
        let next = others().next().map(|(next, _)| next);
        let plan_of = |other: &Wait| self.waits.policy(other).schedule.plan();
        let (mut heir, mut is_kind_left) = (None, true);
        if let Some(plan) = &plan {
            for (other, entry) in others() {
                let Some(others) = plan_of(entry) else { continue };
                is_kind_left &= others.kind != plan.kind;
                if Arc::ptr_eq(others, plan) {
                    heir = Some(other);
                    break;
                }
            }
        }
        if let (Some(plan), None) = (plan, heir) {
            self.book_leaving(key, wait, &plan, is_kind_left);
        }
        if let Some(next) = next {
            self.waits.share_age(wait, next);
        }
        if let Some(heir) = heir {
            self.waits.take_over_polls(wait, heir);
        }
    }

    /// Learns how long a job has run that the last wait with a plan leaves, if that is the last one of its `kind`, and books what its
    /// polls have saved.
    fn book_leaving(&mut self, key: Key<Job>, wait: Key<Wait>, plan: &Planned, is_kind_left: bool) {
        let Some((seen, age)) = self.jobs.observed(key).zip(self.last_age(key, plan)) else {
            return;
        };
        if let Some(sample) = Duration::try_from_secs_f64(age).ok().filter(|_| is_kind_left) {
            let job = self.mark(key, self.jobs.begin(key));
            self.learning.learn(&plan.kind, Sample::at_least(sample).of_job(job));
        }
        if seen > self.waits.polled_since(wait) {
            let left = age + self.now.since(seen).as_secs_f64();
            let [all, rest] = [None, Some(wait)].map(|but| self.job_polls(key, age, seen, but));
            let gain = all.gain_of_leaving(&rest, age, left, plan.settings.price());
            self.learning.book(plan, gain);
        }
    }

    /// Returns how a job is polled that was of an age, in seconds, at a time: by all waits on it, or all but one.
    fn job_polls(&self, key: Key<Job>, age: f64, at: Time, but: Option<Key<Wait>>) -> JobPolls {
        let job = &self.jobs[key];
        let polls = |(wait, entry): (Key<Wait>, &Wait)| {
            let since = self.waits.polled_since(wait);
            let from = age - at.since(since).as_secs_f64() + since.since(at).as_secs_f64();
            let policy = self.waits.policy(entry);
            let head_start = self.waits.head_start(wait);
            WaitPolls {
                schedule: policy.schedule.clone(),
                from: if from > BEFORE_WAIT { from } else { 0.0 },
                head_start: (head_start.age as f64 / 1e9, head_start.delays),
                is_first_at_once: policy.first_poll_at_once || self.waits.resumed(wait).is_some(),
            }
        };
        let mut waits = self.waits.on(job).filter(|(wait, _)| Some(*wait) != but);
        let mut compared: Vec<_> = waits.by_ref().take(MOST_COMPARED - 1).map(polls).collect();
        let (others, oldest) = waits.fold((0, None), |(count, _), wait| (count + 1, Some(wait)));
        compared.extend(oldest.map(polls));
        JobPolls { waits: compared, is_early: job.is_first_early, are_all: others <= 1 }
    }

    /// Returns the kinds of the waits on a job, those of the newest waits first.
    fn kinds_on(&self, key: Key<Job>) -> Vec<OfKind> {
        let mut kinds: Vec<OfKind> = Vec::new();
        for (wait, entry) in self.waits.on(&self.jobs[key]) {
            let Some(plan) = self.waits.policy(entry).schedule.plan() else { continue };
            let since = self.waits.polled_since(wait);
            let is_of_kind = |known: &&mut OfKind| {
                known.plans.first().is_some_and(|known| known.kind == plan.kind)
            };
            let Some(known) = kinds.iter_mut().find(is_of_kind) else {
                kinds.push(OfKind { plans: vec![Arc::clone(plan)], since });
                continue;
            };
            known.since = known.since.min(since);
            let price = plan.settings.get_poll_cost();
            if known.plans.iter().all(|known| known.settings.get_poll_cost() != price) {
                known.plans.push(Arc::clone(plan));
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
        let seen = self.jobs.observed(key).map(|seen| {
            self.waits
                .on(&self.jobs[key])
                .map(|(wait, _)| seen.nanos_since(self.waits.polled_since(wait)) as f64 / 1e9)
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

//! What is learnt from jobs that have ended, or that the waits on them leave, and what their polls have saved.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::board::jitter;
use crate::board::jobs::Job;
use crate::board::time::Time;
use crate::board::waits::Wait;
use crate::learned::{Planned, Until, job_mark};
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

/// A plan that waits on a job keep to.
#[derive(Debug)]
struct Followed {
    plan: Arc<Planned>,
    /// Since when the job has been polled by plans of its kind.
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
    /// How long ago it ended by the server's clock, in seconds; zero if that is not known.
    lag: f64,
    do_clocks_agree: bool,
}

impl Board {
    /// Learns from a job that has ended, before its end is recorded: each kind that a wait on it has, and each once.
    pub(in crate::board) fn learn_end(&mut self, key: Key<Job>, state: &JobState) {
        if self.learning.is_idle() || !state.phase.is_terminal() {
            return;
        }
        let mut plans = self.plans_on(key);
        if plans.is_empty() {
            return;
        }
        let do_clocks_agree = self.check_clocks(key, state);
        let told = told_duration(state);
        let is_credible = |told: &Duration| self.is_credible(key, state, *told, do_clocks_agree);
        let credible = told.filter(is_credible);
        let lag = state.detection_lag().filter(|_| do_clocks_agree).unwrap_or_default();
        let (middle, lag) = (self.middle(key), lag.as_secs_f64());
        let ended = Ended { told, credible, middle, lag, do_clocks_agree };
        while let Some(first) = plans.first() {
            let kind = Arc::clone(&first.plan.kind);
            let is_of_kind = |followed: &Followed| followed.plan.kind == kind;
            let (of_kind, others) = plans.into_iter().partition(is_of_kind);
            self.learn_end_of(key, state, &ended, of_kind);
            plans = others;
        }
    }

    /// Learns from the end of a job for one kind, of which these are the plans that its waits keep to.
    fn learn_end_of(
        &mut self,
        key: Key<Job>,
        state: &JobState,
        ended: &Ended,
        mut plans: Vec<Followed>,
    ) {
        let Some(Followed { plan: newest, .. }) = plans.first() else { return };
        let Ended { told, credible, middle, .. } = *ended;
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
        let duration = sample.map_or(booked, Sample::duration);
        let since = plans.iter().map(|followed| followed.since).min().unwrap_or(self.now);
        let waited = self.now.since(since).as_secs_f64();
        let age = match credible {
            Some(told) => told.as_secs_f64() + ended.lag,
            None => self.oldest_age(key, self.now),
        };
        // It may have been longer by times that are not believed.
        let oldest = told.map_or(age, |told| age.max(told.as_secs_f64()));
        let is_whole = is_new
            && sample.is_some_and(|sample| !sample.is_at_least())
            && oldest <= waited + BEFORE_WAIT;
        let from = if is_whole { 0.0 } else { (age - waited).max(0.0) };
        while let Some(first) = plans.first() {
            // Each price of a poll has an account of its own.
            let price = first.plan.settings.get_poll_cost();
            let is_of_price = |followed: &Followed| followed.plan.settings.get_poll_cost() == price;
            let (of_price, others): (Vec<_>, _) = plans.into_iter().partition(is_of_price);
            // Where there are several plans, the polls of all of them were made: the worst one counts.
            let gain = |followed: &Followed| {
                let gain = followed.plan.gain(from, Until::End(duration.as_secs_f64()));
                if is_whole { gain } else { gain.min(0.0) }
            };
            let least = of_price.iter().map(gain).fold(f64::INFINITY, f64::min);
            if let Some(first) = of_price.first() {
                self.learning.book(&first.plan, least);
            }
            plans = others;
        }
    }

    /// Learns from a job that its last wait of a kind leaves while it runs, before that does.
    ///
    /// What the wait knows of the job's age, another wait on it knows from then on.
    pub(in crate::board) fn learn_unfinished(&mut self, wait: Key<Wait>) {
        if self.learning.is_idle() {
            return;
        }
        let Some(key) = self.waits[wait].job else { return };
        let plan = self.waits.policy(&self.waits[wait]).schedule.plan().cloned();
        let (mut heir, mut is_kind_left, mut is_price_left) = (None, true, true);
        for (other, entry) in self.waits.on(&self.jobs[key]).filter(|(other, _)| *other != wait) {
            heir = heir.or(Some(other));
            let Some(plan) = &plan else { break };
            let others = self.waits.policy(entry).schedule.plan();
            let Some(others) = others.filter(|others| others.kind == plan.kind) else { continue };
            is_kind_left = false;
            if others.settings.get_poll_cost() == plan.settings.get_poll_cost() {
                (heir, is_price_left) = (Some(other), false);
                break;
            }
        }
        if let Some(heir) = heir {
            self.waits.hand_over(wait, heir, !is_price_left);
        }
        let Some(plan) = plan.filter(|_| is_price_left) else { return };
        let Some((seen, age)) = self.jobs.observed(key).zip(self.last_age(key, wait, &plan)) else {
            return;
        };
        if let Some(sample) = Duration::try_from_secs_f64(age).ok().filter(|_| is_kind_left) {
            let job = self.mark(key, self.jobs.begin(key));
            self.learning.learn(&plan.kind, Sample::at_least(sample).of_job(job));
        }
        let polled = seen.since(self.waits.polled_since(wait)).as_secs_f64();
        if polled > 0.0 {
            let from = Some(age - polled).filter(|from| *from > BEFORE_WAIT).unwrap_or(0.0);
            let left = age + self.now.since(seen).as_secs_f64();
            self.learning.book(&plan, plan.gain(from, Until::Left { seen: age, left }));
        }
    }

    /// Returns the plans that waits on a job keep to, those of the newest waits first.
    fn plans_on(&self, key: Key<Job>) -> Vec<Followed> {
        let mut plans: Vec<Followed> = Vec::new();
        for (wait, entry) in self.waits.on(&self.jobs[key]) {
            let Some(plan) = self.waits.policy(entry).schedule.plan() else { continue };
            let since = self.waits.polled_since(wait);
            match plans.iter_mut().find(|known| Arc::ptr_eq(&known.plan, plan)) {
                Some(known) => known.since = known.since.min(since),
                None => plans.push(Followed { plan: Arc::clone(plan), since }),
            }
        }
        plans
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
        let seen = self.oldest_age(key, self.jobs.observed(key)?);
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
            (None, Some(told)) => (told.as_secs_f64(), self.oldest_age(key, self.now)),
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
        let known = Duration::try_from_secs_f64(self.oldest_age(key, self.now)).unwrap_or_default();
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

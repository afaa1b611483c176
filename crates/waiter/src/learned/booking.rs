//! What the polls of a job cost, by the plans of all waits on it and by their static schedules: the account books the difference.

use crate::Schedule;

use super::guard::{TOLERANCE, count_about};
use super::kind::{DENSEST, HORIZON, Planned};

/// By how much the time of an end may be wrong, in seconds: times are cut to a second, and a wait begins a little after its job. So
/// long after its begin a job may have been waited for from there.
pub(crate) const INEXACT: f64 = 2.0;
/// By how much the answer to each poll may take longer than those before it, in seconds.
const LATENCY: f64 = 0.1;

/// How a wait has its job polled.
#[derive(Clone, Debug)]
pub(crate) struct WaitPolls {
    pub(crate) schedule: Schedule,
    /// The age of the job when the wait began, in seconds.
    pub(crate) from: f64,
    /// The age at which it left; infinite if it did not.
    pub(crate) until: f64,
    /// The age of its last poll, before its deadline.
    pub(crate) last_poll: f64,
    /// The age by which its static schedule goes then, in seconds, and how many delays of that have passed.
    pub(crate) head_start: (f64, u32),
    /// The age that its plan goes by before the first answer, when it began, in seconds.
    pub(crate) known_age: f64,
    /// Whether its first poll is made when it begins.
    pub(crate) is_first_at_once: bool,
}

impl WaitPolls {
    fn plan(&self) -> Option<&Planned> {
        self.schedule.plan().map(|plan| &**plan)
    }

    /// Returns when the plan polls next, after a poll that saw the job running; none if the static schedule has to do.
    fn next_by_plan(&self, seen: Option<f64>, is_early: bool) -> Option<f64> {
        let pace = self.plan()?.pace()?;
        match seen {
            None if is_early => Some(self.from + self.schedule.delay_secs(0.0, 0).max(DENSEST)),
            None => Some(self.from + (pace.delay(0.0) - self.known_age).max(0.0)),
            Some(seen) if seen < HORIZON => Some((seen + pace.delay(seen)).max(self.from)),
            Some(_) => None,
        }
    }

    /// Returns when the static schedule polls next, if it has polled `count` times since the wait began.
    fn next_by_static(&self, seen: Option<f64>, count: u32, min_interval: f64) -> f64 {
        let base = seen.map_or(self.from, |seen| seen.max(self.from));
        let (age, delays) = self.head_start;
        // A first poll at once comes before the first delay.
        let count = count.saturating_sub(u32::from(self.is_first_at_once)).saturating_add(delays);
        let delay = self.schedule.delay_secs(base - self.from + age, count);
        // The first poll of a job keeps no distance.
        let shortest = if seen.is_some() { DENSEST.max(min_interval) } else { DENSEST };
        base + delay.max(shortest)
    }
}

/// The polls of a job as ages in seconds, without jitter: rising, without an end.
struct Polls<'a> {
    job: &'a JobPolls,
    by_plans: bool,
    /// When the last poll was answered.
    seen: Option<f64>,
    /// For each wait, how many polls were made since it began.
    counts: Vec<u32>,
}

impl Polls<'_> {
    /// Returns when a wait wants the next poll.
    fn next_of(&self, wait: &WaitPolls, count: u32) -> f64 {
        if count == 0 && wait.is_first_at_once {
            return wait.from;
        }
        let planned = self.by_plans.then(|| wait.next_by_plan(self.seen, self.job.is_early));
        let min_interval = self.job.min_interval;
        planned.flatten().unwrap_or_else(|| wait.next_by_static(self.seen, count, min_interval))
    }
}

impl Iterator for Polls<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let next_of = |(wait, count): (&WaitPolls, &u32)| {
            let next = self.next_of(wait, *count).min(wait.last_poll);
            let is_done = self.seen.is_some_and(|seen| seen >= wait.last_poll);
            if next <= wait.until && !is_done { next } else { f64::INFINITY }
        };
        let next =
            self.job.waits.iter().zip(&self.counts).map(next_of).fold(f64::INFINITY, f64::min);
        if next == f64::INFINITY {
            return None;
        }
        for (wait, count) in self.job.waits.iter().zip(&mut self.counts) {
            *count = count.saturating_add(u32::from(wait.from <= next));
        }
        self.seen = Some(next + self.job.latency);
        Some(next)
    }
}

/// How a job was polled.
#[derive(Debug, Default)]
pub(crate) struct JobPolls {
    /// The waits on it.
    pub(crate) waits: Vec<WaitPolls>,
    /// Whether the first poll of plans came as early as that of the static schedule, because nothing good was heard of the source.
    pub(crate) is_early: bool,
    /// Whether it may also have been the other way round.
    pub(crate) is_unsure: bool,
    /// Whether these are all waits on it. If not, nothing is saved.
    pub(crate) are_all: bool,
    /// The shortest delay, in seconds, and how long answers take.
    pub(crate) min_interval: f64,
    pub(crate) latency: f64,
}

impl JobPolls {
    /// Returns what the plans have saved against the static schedules, with a tolerance, since an age at which waits with a plan
    /// began, if the job ended at an age, in seconds: negative for a loss. `c` is the price of a poll in seconds.
    ///
    /// `reported` is the age at which the end was reported from elsewhere; infinite if it was not.
    pub(crate) fn gain(&self, from: f64, end: f64, reported: f64, c: f64) -> f64 {
        self.least(|polls| polls.gain_as_said(from, end, reported, c))
    }

    /// Returns the least of what a function says with either kind of a first poll, where it may have been either.
    fn least(&self, gain: impl Fn(&Self) -> f64) -> f64 {
        let gain_as_said = gain(self);
        if !self.is_unsure {
            return gain_as_said;
        }
        let waits = self.waits.clone();
        gain_as_said.min(gain(&Self { waits, is_early: !self.is_early, ..*self }))
    }

    fn gain_as_said(&self, from: f64, end: f64, reported: f64, c: f64) -> f64 {
        let end = end.min(HORIZON).max(from);
        let cost = |polls: Polls<'_>, end: f64| {
            let mut sum = 0.0;
            for poll in polls.skip_while(|poll| *poll < from) {
                if poll >= reported {
                    break;
                }
                sum += c;
                if poll >= end {
                    return sum + poll - end;
                }
            }
            sum + (reported - end).max(0.0)
        };
        let gain = |end: f64| {
            (1.0 + TOLERANCE) * cost(self.by_statics(), end) - cost(self.by_plans(), end)
        };
        let gain = gain(end).min(self.just_missed(from, end).map_or(f64::INFINITY, gain));
        if self.are_all { gain } else { gain.min(0.0) }
    }

    /// Returns the last poll of the static schedules before an end that they may have seen in truth: all their polls come later by the
    /// latencies of answers, and the time of the end is not exact.
    fn just_missed(&self, from: f64, end: f64) -> Option<f64> {
        let polls = self.by_statics().skip_while(|poll| *poll < from);
        let (number, last) = polls.take_while(|poll| *poll < end).enumerate().last()?;
        let latencies = LATENCY.max(self.latency) * (number + 1) as f64;
        (last >= end - INEXACT - latencies).then_some(last)
    }

    /// Returns when a job may have ended between the polls that saw it running, if one did, and ended, for the plans to have lost
    /// most: where the static schedules would have seen it next, since more of their polls cost more.
    ///
    /// `running` is the age at which it was seen running, and whether a poll saw that.
    pub(crate) fn worst_end(&self, from: f64, running: Option<(f64, bool)>, ended: f64) -> f64 {
        let running = running.map_or(from, |(running, is_polled)| {
            if !is_polled {
                return running.max(from);
            }
            // The poll that saw it running may have come early by jitter.
            let mut before = from;
            let polls = self.by_plans().skip_while(|poll| *poll < from);
            let seen = polls.take_while(|poll| {
                let middle = 0.5 * (std::mem::replace(&mut before, *poll) + poll);
                middle <= running
            });
            seen.last().map_or(running, |seen| seen.max(running))
        });
        let next = self.by_statics().find(|poll| *poll > running);
        next.map_or(ended, |next| next.min(ended))
    }

    /// Returns what was saved if the last wait with the plan left the job while it ran: by the polls up to the age at which it was
    /// `seen` last.
    ///
    /// Nothing is saved where other waits stay, nor where the static schedules polled once more: they might have seen the end.
    pub(crate) fn gain_of_leaving(&self, from: f64, seen: f64, leaves: Leaves, c: f64) -> f64 {
        self.least(|polls| polls.gain_of_leaving_as_said(from, seen, leaves, c))
    }

    fn gain_of_leaving_as_said(&self, from: f64, seen: f64, leaves: Leaves, c: f64) -> f64 {
        let seen = seen.min(HORIZON);
        let by_plans = count_about(self.by_plans(), from, seen);
        let by_statics = self.by_statics().skip_while(|poll| *poll < from);
        let by_statics = by_statics.take_while(|poll| *poll <= seen).count();
        let gain = c * ((1.0 + TOLERANCE) * by_statics as f64 - by_plans as f64);
        let is_last = || {
            let next = self.by_statics().find(|poll| *poll > seen);
            next.is_none_or(|next| next > leaves.at)
        };
        let saves = from <= INEXACT && self.are_all && !leaves.others;
        if saves && is_last() { gain } else { gain.min(0.0) }
    }

    fn by_plans(&self) -> Polls<'_> {
        Polls { by_plans: true, ..self.by_statics() }
    }

    fn by_statics(&self) -> Polls<'_> {
        Polls { job: self, by_plans: false, seen: None, counts: vec![0; self.waits.len()] }
    }
}

/// How the last wait with a plan leaves a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaves {
    /// The age of the job, in seconds.
    pub(crate) at: f64,
    /// Whether other waits stay.
    pub(crate) others: bool,
}

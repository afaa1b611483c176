//! How waits begin and end: at their limits, with their jobs, or by a handle.

use std::sync::Arc;

use super::super::super::world::*;
use super::{End, Model, ModelWait};
use crate::WaitErrorKind;
use crate::board::{Time, WaitOptions};
use crate::options::Resumed;

impl<R: Copy + Ord + std::fmt::Debug> Model<R> {
    pub(in super::super) fn join(
        &mut self,
        watch: usize,
        job: usize,
        options: &WaitOptions,
        time: (Time, Time),
    ) {
        let in_flight = self.is_in_flight(job);
        if self.live_on(job).is_empty() && in_flight {
            self.note("a request is taken over");
        }
        let now = self.now;
        let known = self.jobs.entry(job).or_default();
        known.changed = now;
        let known = known.clone();
        if known.status.is_some() {
            self.note("a late joiner");
        }
        let (started, deadline) = time;
        self.waits.push(ModelWait {
            watch,
            job,
            added: self.now,
            started,
            deadline,
            policy: Arc::clone(&options.policy),
            since: options.since,
            resumed: options.resumed.clone(),
            polls: u32::from(in_flight),
            not_found: 0,
            not_found_since: Time::ZERO,
            in_a_row: 0,
            in_total: 0,
            unexpected: 0,
            unexpected_since: Time::ZERO,
            unanswered: None,
            holds: None,
            trouble: known.failing.is_some(),
            look: None,
            is_last_poll_due: false,
            end: None,
            heard: options
                .resumed
                .as_ref()
                .and_then(|known| known.status.as_ref())
                .map(|known| known.1.to_string()),
            heard_detail: None,
            is_heard: false,
        });
        if options.resumed.is_some() {
            self.note("a wait that resumes another one");
        }
        if deadline.before(self.budget.resolution) <= self.now {
            let wait = self.waits.len() - 1;
            if options.resumed.is_some() {
                self.begin_look(wait);
                self.note("a wait that resumes too late");
            } else {
                self.end(wait, Some(WaitErrorKind::TimedOut));
                // It asked for no poll.
                self.waits[wait].holds = None;
            }
        }
    }

    pub(super) fn begin_look(&mut self, wait: usize) {
        let most = secs(2).min(self.fetch_timeout(0));
        self.waits[wait].look = Some((self.now, self.now.after(most)));
    }

    pub(in super::super) fn end(&mut self, wait: usize, kind: End) {
        let status = self.jobs.get(&self.waits[wait].job).and_then(|job| job.status.clone());
        let earlier = self.waits[wait].resumed.as_ref().and_then(|known| known.status.as_ref());
        let status = status.or_else(|| earlier.map(|(_, status)| status.to_string()));
        self.end_with(wait, kind, status);
    }

    pub(super) fn end_with(&mut self, wait: usize, kind: End, status: Option<String>) {
        assert!(self.waits[wait].is_live());
        if self.waits[wait].look.is_some() && kind.is_none() {
            self.note("a last look sees the end");
        }
        if kind == Some(WaitErrorKind::TimedOut) {
            let job = self.waits[wait].job;
            let request = self.in_flight.values().find(|request| request.job == job);
            let (now, started) = (self.now, self.waits[wait].started);
            let unanswered = request.map(|request| now.since(request.sent.max(started)));
            self.waits[wait].holds = Some(self.holds(job));
            self.waits[wait].unanswered = unanswered;
            if unanswered.is_some() {
                self.note("a deadline with a poll in flight");
            }
        }
        self.waits[wait].end = Some((self.now, kind, status));
        let job = self.waits[wait].job;
        self.touch(job);
        self.stats.count_end(kind);
        let ended = self.ended.entry(self.waits[wait].watch).or_default();
        ended.waiting += 1;
        ended.count_end(false, kind);
    }

    pub(super) fn end_all(&mut self, job: usize, kind: WaitErrorKind) {
        self.live_on(job).into_iter().for_each(|wait| self.end(wait, Some(kind)));
    }

    pub(super) fn ring(&mut self, until: Time, is_jump: bool) {
        if is_jump && !self.is_reached {
            (self.unreached, self.counts_since) = (None, self.now);
        }
        for at in 0..self.waits.len() {
            let wait = &mut self.waits[at];
            if !wait.is_live() {
                continue;
            }
            if wait.ends_at(self.budget.resolution) <= until {
                if is_jump && wait.look.is_none() {
                    self.begin_look(at);
                    self.note("a last look after a jump");
                } else {
                    self.end(at, Some(WaitErrorKind::TimedOut));
                }
            } else if self.gives_up(at, until) {
                self.end(at, Some(WaitErrorKind::Unreachable));
            } else if self.waits[at].last_poll().max(self.waits[at].added) <= until {
                self.waits[at].is_last_poll_due = true;
            }
        }
    }

    pub(super) fn gives_up(&mut self, at: usize, until: Time) -> bool {
        let wait = &self.waits[at];
        let Some(limit) = wait.policy.give_up_unreached else { return false };
        if self.is_reached
            || wait.look.is_some()
            || wait.started.after(limit).max(wait.added) > until
        {
            return false;
        }
        let has_failed = self.unreached.is_some_and(|failed| failed >= wait.started);
        if !has_failed {
            self.overdue.insert(at);
            self.note("a limit before any failure");
        }
        has_failed
    }

    /// Returns what a live wait knew when it began, how many polls it had, and when it began.
    pub(in super::super) fn known(
        &self,
        watch: usize,
        job: usize,
        is_pending: bool,
    ) -> Option<(Option<Arc<Resumed>>, u32, Time)> {
        let mut waits = self.live_on(job).into_iter().map(|wait| &self.waits[wait]);
        let wait = waits.find(|wait| wait.watch == watch).filter(|_| !is_pending)?;
        Some((wait.resumed.clone(), wait.polls, wait.started))
    }
}

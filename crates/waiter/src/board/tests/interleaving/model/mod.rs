//! A naive reference of the core, written from the rules of waiting: what is due when, what may be sent, what each wait
//! hears and how it ends.
//!
//! It shares types with the board and no code. All is kept in plain lists and computed anew by linear scans whenever it is
//! asked for. Its inputs are those of the board, with two exceptions: the draws of jitter, which are an input as time is,
//! and choices that the rules leave open, such as which waits a stop in slices ends first. Those are read from the board.

mod answers;
mod budget;
mod checkpoints;
mod due;
mod requests;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::budget::{Holds, ModelBudget};
pub(super) use self::checkpoints::Saved;
pub(super) use self::due::Spec;
use super::super::world::*;
use crate::board::{Budget, Time};
use crate::options::Resumed;
use crate::{ErrorClass, Policy, Progress, Stats, WaitErrorKind};

/// The kind of an end; none for success.
pub(super) type End = Option<WaitErrorKind>;

#[derive(Clone, Debug)]
pub(super) struct ModelWait {
    pub(super) watch: usize,
    pub(super) job: usize,
    added: Time,
    pub(super) started: Time,
    pub(super) deadline: Time,
    policy: Arc<Policy>,
    since: Duration,
    /// What the wait knew when it began, if it resumes another one.
    pub(super) resumed: Option<Arc<Resumed>>,
    /// Requests sent for it, one in flight included.
    pub(super) polls: u32,
    not_found: u32,
    not_found_since: Time,
    in_a_row: u32,
    in_total: u32,
    unexpected: u32,
    unexpected_since: Time,
    /// How long the poll in flight had been unanswered when its deadline came.
    pub(super) unanswered: Option<Duration>,
    /// What held back its job's poll when its deadline came.
    pub(super) holds: Option<Holds>,
    /// Whether its job's answers have turned bad, and its consumer has not heard of that.
    trouble: bool,
    /// Since when, and until when, it makes its last look.
    look: Option<(Time, Time)>,
    is_last_poll_due: bool,
    /// When and how it ended, and the status that it ended with.
    pub(super) end: Option<(Time, End, Option<String>)>,
    pub(super) heard: Option<String>,
    pub(super) heard_detail: Option<String>,
    pub(super) is_heard: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ModelJob {
    /// How many requests were ever sent for it.
    polls: u32,
    pub(super) status: Option<String>,
    pub(super) detail: Option<String>,
    last_answer: Option<Time>,
    failing: Option<ErrorClass>,
    failures: u32,
    /// How often its attempts timed out, less the answers since.
    step: u32,
    is_due_now: bool,
    /// When waits or handles last changed what is wanted of it.
    changed: Time,
    /// When a wait on it ended last, others going on.
    left: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ModelRequest {
    pub(super) job: usize,
    pub(super) sent: Time,
    pub(super) step: u32,
    /// How long the source was given.
    timeout: Duration,
}

#[derive(Debug)]
pub(super) struct Model<R> {
    budget: Budget,
    pub(super) now: Time,
    pub(super) waits: Vec<ModelWait>,
    pub(super) jobs: BTreeMap<usize, ModelJob>,
    pub(super) in_flight: BTreeMap<R, ModelRequest>,
    /// Requests that were given up and whose abort the driver has not heard of.
    pub(super) expired: Vec<R>,
    pub(super) stats: Stats,
    pub(super) ended: BTreeMap<usize, Progress>,
    pub(super) paths: BTreeMap<&'static str, u32>,
    /// When jobs that are forgotten were last polled.
    forgotten: BTreeMap<usize, Time>,
    /// The delays that the schedules of policies stand for.
    specs: Vec<Spec>,
    pub(super) limits: ModelBudget,
    /// When timers were last looked at.
    rung: Time,
    /// Whether the last poll that was sent was the last one of a wait, and whether it went before one that was due.
    was_last: bool,
    has_overtaken: bool,
    is_reached: bool,
    /// When the last attempt failed without an answer, of those that count.
    unreached: Option<Time>,
    /// Attempts sent before do not count.
    counts_since: Time,
    /// Waits that have come to their limits before any attempt failed.
    overdue: BTreeSet<usize>,
    /// The same as that of a job, for all.
    step: u32,
}

impl ModelWait {
    pub(super) fn is_live(&self) -> bool {
        self.end.is_none()
    }

    fn last_poll(&self) -> Time {
        let timeout = self.deadline.since(self.started);
        self.deadline.before(secs(1).min(timeout / 4))
    }

    fn ends_at(&self, resolution: Duration) -> Time {
        self.look.map_or(self.deadline.before(resolution), |(_, until)| until)
    }
}

impl<R: Copy + Ord + std::fmt::Debug> Model<R> {
    pub(super) fn new(budget: Budget, specs: Vec<Spec>) -> Self {
        Self {
            budget,
            specs,
            limits: ModelBudget::new(budget),
            rung: Time::ZERO,
            was_last: false,
            has_overtaken: false,
            now: Time::ZERO,
            waits: Vec::new(),
            jobs: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            expired: Vec::new(),
            stats: Stats::default(),
            ended: BTreeMap::new(),
            paths: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            is_reached: false,
            unreached: None,
            counts_since: Time::ZERO,
            overdue: BTreeSet::new(),
            step: 0,
        }
    }

    pub(super) fn note(&mut self, path: &'static str) {
        *self.paths.entry(path).or_default() += 1;
    }

    pub(super) fn live_on(&self, job: usize) -> Vec<usize> {
        let is_live = |&at: &usize| self.waits[at].job == job && self.waits[at].is_live();
        (0..self.waits.len()).filter(is_live).collect()
    }

    pub(super) fn is_in_flight(&self, job: usize) -> bool {
        self.in_flight.values().any(|request| request.job == job)
    }

    pub(super) fn is_watched(&self, watch: usize, job: usize) -> bool {
        self.live_on(job).iter().any(|&wait| self.waits[wait].watch == watch)
    }

    /// Records that a wait on a job has ended, and that what is wanted of it has changed.
    pub(super) fn touch(&mut self, job: usize) {
        let now = self.now;
        let known = self.job(job);
        (known.changed, known.left) = (now, Some(now));
    }

    /// Forgets jobs without waits and requests.
    pub(super) fn settle(&mut self) {
        let kept: Vec<usize> = self.jobs.keys().copied().collect();
        for job in kept {
            if self.live_on(job).is_empty() && !self.is_in_flight(job) {
                self.forget(job);
            }
        }
        // Whose turn it was means nothing to waits that begin after all others have ended.
        self.has_overtaken &= self.waits.iter().any(ModelWait::is_live);
    }

    fn forget(&mut self, job: usize) {
        let known = self.jobs.remove(&job).expect("it is known");
        // Of one whose requests were all revoked nothing is known but that it was polled.
        let remembered = self.forgotten.get(&job).copied().unwrap_or(Time::ZERO);
        let last = known.last_answer.or((known.polls > 0).then_some(remembered));
        self.forgotten.extend(last.map(|last| (job, last)));
    }

    pub(super) fn time(&mut self, is_jump: bool) {
        let now = self.now;
        self.ring(now, is_jump);
        // Waits end before polls become due.
        self.rung = now;
        let expired: Vec<R> = self
            .in_flight
            .iter()
            .filter(|(_, request)| self.expires(request) <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            let request = self.in_flight.remove(&id).expect("it was just listed");
            self.expired.push(id);
            if is_jump {
                self.note("a request is lost in a jump");
                self.job(request.job).is_due_now = true;
            } else {
                self.note("a request takes too long");
                self.stats.timed_out += 1;
                self.lengthen(request);
                self.error(request, ErrorClass::Unreached);
                self.respond(request);
            }
        }
        self.settle();
    }

    fn job(&mut self, job: usize) -> &mut ModelJob {
        self.jobs.get_mut(&job).expect("a job with a request is known")
    }

    pub(super) fn poke(&mut self, job: usize) {
        if let Some(known) = self.jobs.get_mut(&job) {
            (known.is_due_now, known.changed) = (true, self.now);
        }
    }

    pub(super) fn progress(&self, watch: usize, pending: usize) -> Progress {
        let mut progress = self.ended.get(&watch).copied().unwrap_or_default();
        progress.waiting += pending;
        for wait in self.waits.iter().filter(|wait| wait.watch == watch && wait.is_live()) {
            match self.jobs[&wait.job].status {
                Some(_) => progress.running += 1,
                None => progress.waiting += 1,
            }
        }
        progress
    }

    /// Checks that a jump is a jump, and that what should have rung long ago is one.
    pub(super) fn check_jump(&self, now: Time, is_jump: bool, last_turn: Time) {
        let late = |wait: &ModelWait| {
            let ends_at = wait.ends_at(self.budget.resolution);
            let last_poll = wait.last_poll();
            let is_last = wait.is_last_poll_due || wait.look.is_some();
            let next = if is_last { ends_at } else { ends_at.min(last_poll) };
            wait.is_live() && now.since(next.max(wait.added)) > secs(2)
        };
        if is_jump {
            assert!(now.since(last_turn) > secs(2), "no jump since {last_turn:?}");
        } else {
            assert!(!self.waits.iter().any(late), "a jump that is none at {now:?}");
            let overdue = |request: &ModelRequest| now.since(self.expires(request)) > secs(2);
            assert!(!self.in_flight.values().any(overdue), "a request is overdue at {now:?}");
        }
    }
}

/// The board rounds in other places.
const ROUNDING: Duration = Duration::from_millis(1);

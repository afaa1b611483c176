//! What the driver does and consumers hear, compared with the model.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::super::properties::id;
use super::super::world::*;
use super::model::*;
use super::play::{Consumer, Play};
use super::{JOBS, RUNTIMES, Reply};
use crate::board::jobs::{Job, Stage};
use crate::board::worth::Standing;
use crate::board::{Action, Deferred, Role, RuntimeKey, Time};
use crate::util::slab::Key;
use crate::{ErrorClass, Stats, Update, UpdateKind, WaitError, WaitErrorKind, WaitingOn};

/// A job that is ready.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queued {
    place: (Time, Key<Job>),
    pub(super) job: usize,
    is_last: bool,
    by_worth: bool,
}

impl Play {
    /// Does one action; false if there is none.
    pub(super) fn act(&mut self, role: Role) -> bool {
        self.tick();
        let queue = self.queue();
        let standings = self.board.standings();
        match self.board.poll_action(self.now, role) {
            Some(Action::Poll { request, id: polled, timeout }) => {
                assert_eq!(role, Role::Leader);
                let job = (0..JOBS).find(|&job| polled.as_str() == id(job)).expect("it is known");
                if let Some(queue) = queue {
                    self.check_order(&queue, &standings, job);
                }
                self.model.send(request, job, timeout);
                self.sent.push(request);
            }
            Some(Action::Abort(request)) => {
                assert_eq!(role, Role::Leader);
                self.model.abort(request);
            }
            Some(Action::Wake(waker)) => waker.wake(),
            Some(Action::Drop(_)) => {}
            None => {
                if role == Role::Leader {
                    self.model.check_all_sent();
                }
                return false;
            }
        }
        self.board.check();
        true
    }

    /// Returns the jobs that are ready, the next one first; none if some are to be looked at again before they are polled.
    pub(super) fn queue(&self) -> Option<Vec<Queued>> {
        let board = &self.board;
        let mut queue = Vec::new();
        for key in board.jobs.keys() {
            let known = &board.jobs[key];
            if let Stage::Ready { is_last, by_worth, .. } = known.stage {
                if known.is_plan_stale {
                    return None;
                }
                let job = (0..JOBS).find(|&job| known.id.as_str() == id(job))?;
                queue.push(Queued { place: (known.due, key), job, is_last, by_worth });
            }
        }
        queue.sort_by_key(|queued| queued.place);
        Some(queue)
    }

    /// Checks that a poll was its job's turn, or that of another job that may give it its turn.
    fn check_order(&mut self, queue: &[Queued], standings: &[(Key<Job>, Standing)], polled: usize) {
        let turn = queue.iter().find(|queued| queued.job == polled).expect("it was ready");
        let mut expected: Vec<_> =
            queue.iter().filter(|queued| queued.job != polled).cloned().collect();
        if !turn.is_last {
            let first = queue.iter().find(|queued| !queued.is_last).expect("there is one");
            let may_wait = self.model.may_be_overtaken(first.job);
            if first.job != polled {
                assert!(first.by_worth && turn.by_worth, "{first:?} comes before {turn:?}");
                assert!(may_wait, "{first:?} comes before {turn:?}, whatever that is worth");
                self.model.note("a poll that is worth more");
                // Both change places, so that all others notice nothing of it.
                let other = expected.iter_mut().find(|queued| queued.job == first.job);
                other.expect("it is ready").place.0 = turn.place.0;
                expected.sort_by_key(|queued| queued.place);
            } else if first.by_worth && !may_wait {
                self.model.note("a poll that is forced");
            }
            if first.by_worth && may_wait {
                self.check_worth(standings, turn.place.1);
            }
        }
        assert_eq!(self.queue(), Some(expected), "after the poll of {polled}");
    }

    /// Checks that no other poll was worth more of those whose worth decides.
    fn check_worth(&mut self, standings: &[(Key<Job>, Standing)], polled: Key<Job>) {
        let worths = standings.iter().map(|(key, standing)| (*key, self.board.worth_now(standing)));
        let (polled, others): (Vec<_>, Vec<_>) = worths.partition(|(key, _)| *key == polled);
        let most = others.iter().map(|(_, worth)| *worth).fold(f64::NEG_INFINITY, f64::max);
        let worth = polled.iter().map(|(_, worth)| *worth).fold(f64::NEG_INFINITY, f64::max);
        assert!(worth >= most, "{polled:?} was polled, and not one of {others:?}");
        if worth > most && !others.is_empty() {
            self.model.note("a poll that is worth most");
        }
    }

    pub(super) fn take_deferred(&mut self) {
        let (wakers, _): (_, Vec<Deferred>) = self.board.take_deferred();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Asks for one update; false if there is none.
    pub(super) fn update(&mut self, at: usize) -> bool {
        let key = self.consumers[at].key;
        match self.board.next_update(key) {
            Poll::Ready(Some(update)) => {
                self.hear(at, update);
                true
            }
            Poll::Ready(None) => {
                if self.consumers[at].closed.is_none() {
                    assert!(self.is_complete(at));
                }
                false
            }
            Poll::Pending => {
                assert!(!self.is_complete(at), "the end of a watch is not told");
                let ends_only = self.consumers[at].ends_only;
                for wait in self.model.waits.iter().filter(|wait| wait.watch == at) {
                    assert!(wait.is_live() || wait.is_heard, "an end is not told: {wait:?}");
                    if wait.is_live() && !ends_only {
                        let status = &self.model.jobs[&wait.job].status;
                        let is_told = wait.heard == *status || status.is_none();
                        assert!(is_told, "{wait:?} has not heard of {status:?}");
                        assert_eq!(self.model.trouble(wait), None, "{wait:?} has not heard of it");
                        let detail = &self.model.jobs[&wait.job].detail;
                        assert!(wait.heard_detail == *detail, "{wait:?} has not heard {detail:?}");
                    }
                }
                let waker = Waker::from(Arc::clone(&self.consumers[at].flag));
                drop(self.board.set_waker(key, waker));
                false
            }
        }
    }

    pub(super) fn is_complete(&self, at: usize) -> bool {
        let consumer = &self.consumers[at];
        let mut waits = self.model.waits.iter().filter(|wait| wait.watch == at);
        consumer.started.is_some()
            && consumer.pending.is_empty()
            && !consumer.has_handle
            && waits.all(|wait| wait.is_heard)
    }

    pub(super) fn hear(&mut self, at: usize, update: Update) {
        assert!(self.consumers[at].closed.is_none(), "a closed watch hears {update:?}");
        let Update { id: of, elapsed, kind, .. } = update;
        let wait = self
            .model
            .waits
            .iter_mut()
            .find(|wait| wait.watch == at && of.as_str() == id(wait.job) && !wait.is_heard)
            .expect("only watched ids are told, and nothing after the end");
        let (before, polls_before) =
            wait.resumed.as_ref().map_or((Duration::ZERO, 0), |known| (known.elapsed, known.polls));
        let elapsed = elapsed.checked_sub(before).expect("the time before counts");
        assert!(elapsed <= self.now.since(wait.started), "{elapsed:?} of {wait:?}");
        let ends_only = self.consumers[at].ends_only;
        match kind {
            UpdateKind::Changed { from, to } => {
                assert!(!ends_only);
                assert_eq!(
                    from.as_deref(),
                    wait.heard.as_deref(),
                    "`from` is what was told before"
                );
                let status = match &wait.end {
                    Some((_, _, status)) => status,
                    None => &self.model.jobs[&wait.job].status,
                };
                assert_eq!(Some(&*to.status), status.as_deref());
                assert_ne!(status, &wait.heard, "no change from a status to itself");
                wait.heard.clone_from(status);
                wait.heard_detail = to.detail.as_deref().map(str::to_owned);
            }
            UpdateKind::Progressed(state) => {
                assert!(!ends_only && wait.is_live());
                let known = &self.model.jobs[&wait.job];
                assert_eq!(
                    (Some(&*state.status), &wait.heard),
                    (known.status.as_deref(), &known.status)
                );
                assert_eq!(state.detail.as_deref(), known.detail.as_deref());
                assert_ne!(known.detail, wait.heard_detail, "no change from a detail to itself");
                wait.heard_detail.clone_from(&known.detail);
                self.model.note("progress");
            }
            UpdateKind::Trouble(error) => {
                assert!(!ends_only && wait.is_live());
                let job = wait.job;
                self.model.hear_trouble(at, job, error.class());
            }
            UpdateKind::Ended(outcome) => {
                let report = outcome.as_ref().unwrap_or_else(|error| error.report());
                let kind = outcome.as_ref().err().map(WaitError::kind);
                let status = report.state.as_ref().map(|state| state.status.to_string());
                let ended_at = wait.started.after(report.elapsed - before);
                assert_eq!(wait.end, Some((ended_at, kind, status.clone())), "{wait:?}");
                assert_eq!(report.polls, wait.polls + polls_before);
                let waiting_on = outcome.as_ref().err().and_then(WaitError::waiting_on);
                if let Some(holds) = wait.holds.filter(|_| wait.unanswered.is_none()) {
                    holds.check(waiting_on);
                }
                match waiting_on {
                    Some(WaitingOn::Answer(lasted)) => assert_eq!(wait.unanswered, Some(lasted)),
                    Some(_) => assert_eq!(kind, Some(WaitErrorKind::TimedOut)),
                    None => assert_eq!(wait.unanswered, None),
                }
                if kind == Some(WaitErrorKind::Unreachable) {
                    let cause = outcome.as_ref().err().and_then(WaitError::cause);
                    assert_eq!(cause.map(|cause| cause.class()), Some(ErrorClass::Unreached));
                }
                assert!(ends_only || wait.heard == status, "the end without its change");
                wait.is_heard = true;
            }
        }
    }

    /// Lists a slice of a watch. Waits that live all the while are listed once.
    pub(super) fn list(&mut self, at: usize, limit: usize) {
        let now = self.now;
        let live = |model: &Model<_>| -> Vec<usize> {
            let is_live =
                |&wait: &usize| model.waits[wait].watch == at && model.waits[wait].is_live();
            (0..model.waits.len()).filter(is_live).collect()
        };
        let (cursor, mut listed, due) = self.consumers[at]
            .listing
            .take()
            .unwrap_or_else(|| (None, Vec::new(), live(&self.model)));
        let (views, next) = self.board.jobs(now, self.consumers[at].key, cursor, limit);
        assert!(views.len() <= 2 * limit);
        if self.consumers[at].closed.is_some() {
            assert!(views.is_empty() && next.is_none());
            return;
        }
        for view in views {
            let job = (0..JOBS).find(|&job| view.report.id.as_str() == id(job));
            let job = job.expect("only known ids are listed");
            let is_pending = self.consumers[at].pending.iter().any(|(known, _)| *known == job);
            assert!(is_pending || self.model.is_watched(at, job));
            assert_eq!(view.in_flight, !is_pending && self.model.is_in_flight(job));
            let (resumed, polls, started) = self.model.known(at, job, is_pending).unwrap_or({
                let own = self.consumers[at].pending.iter().find(|(known, _)| *known == job);
                let own = own.and_then(|(_, own)| own.as_ref());
                let resumed = match own {
                    Some(own) => own.resumed.clone(),
                    None => self.consumers[at].options.resumed.clone(),
                };
                // Of one that resumes another one the time counts from when its options were made.
                let since = resumed.as_ref().and_then(|known| known.at);
                (resumed, 0, since.or(self.consumers[at].started).unwrap_or(now))
            });
            let (before, earlier) =
                resumed.map_or((Duration::ZERO, 0), |known| (known.elapsed, known.polls));
            assert_eq!(view.report.elapsed, before + now.since(started));
            assert_eq!(view.report.polls, earlier + polls);
            listed.push(job);
        }
        if next.is_some() {
            if !listed.is_empty() {
                self.model.note("a listing in slices");
            }
            self.consumers[at].listing = Some((next, listed, due));
            return;
        }
        for wait in live(&self.model).into_iter().filter(|wait| due.contains(wait)) {
            let job = self.model.waits[wait].job;
            let times = listed.iter().filter(|&&listed| listed == job).count();
            assert_eq!(times, 1, "{job} is listed {times} times");
        }
    }

    /// Compares everything that can be asked for with the model.
    pub(super) fn compare(&mut self) {
        self.board.check();
        let stats = self.board.stats(self.now);
        let expected = Stats {
            in_flight: self.model.in_flight.len(),
            watched: self.model.jobs.len(),
            window: self.model.limits.window,
            paused: self.model.limits.paused,
            pause_left: self.model.limits.paused_until.since(self.now),
            lags: stats.lags,
            ..self.model.stats
        };
        assert_eq!(stats, expected);
        let now = self.board.now;
        assert_eq!(self.board.throttle.free_at(now), self.model.limits.free_at(now));
        let live = self.model.waits.iter().filter(|wait| wait.is_live());
        let mut by_runtime = [0; RUNTIMES];
        let mut all = 0;
        for wait in live {
            all += 1;
            if let Some(runtime) = self.consumers[wait.watch].runtime {
                by_runtime[runtime] += 1;
            }
        }
        assert_eq!(self.board.is_idle(), all == 0);
        let board = &self.board;
        let [wake, turn, deadline] = [board.next_wake(), board.next_turn(), board.next_deadline()]
            .map(|time| time.unwrap_or(Time::NEVER));
        self.model.check_wake(wake);
        let rested = wake.max(board.now.after(ms(5)));
        assert!(wake <= turn && turn <= rested, "{wake:?} {turn:?}");
        assert!(turn <= deadline, "{turn:?} after {deadline:?}");
        for (runtime, live) in by_runtime.into_iter().enumerate() {
            assert_eq!(self.board.live_on(RuntimeKey(runtime)), live);
            let has_watches = |consumer: &Consumer| {
                consumer.runtime == Some(runtime) && consumer.closed != Some(true)
            };
            let expected = self.consumers.iter().any(has_watches);
            assert_eq!(self.board.has_watches_on(RuntimeKey(runtime)), expected);
        }
        for (at, consumer) in self.consumers.iter().enumerate() {
            assert_eq!(self.board.is_closed(consumer.key), consumer.closed.is_some());
            if consumer.closed.is_some() {
                continue;
            }
            let progress = self.model.progress(at, consumer.pending.len());
            assert_eq!(self.board.progress(consumer.key), progress, "watch {at}");
            let waker = Waker::from(Arc::clone(&consumer.flag));
            if self.board.has_waker(consumer.key, &waker) {
                let mut waits = self.model.waits.iter().filter(|wait| wait.watch == at);
                assert!(waits.all(|wait| wait.is_live() || wait.is_heard), "nobody is woken");
                assert!(!self.is_complete(at), "nobody is woken at the end of watch {at}");
            }
        }
        self.check_due();
        self.check_growth();
    }

    /// Checks when the board means to poll each job, and with which rank.
    fn check_due(&self) {
        let board = &self.board;
        for job in self.model.jobs.keys().copied() {
            let known = &board.jobs[board.jobs.find(&id(job)).expect("both know it")];
            if let Stage::Ready { is_last, .. } = known.stage {
                assert_eq!(is_last, self.model.is_last_poll(job), "the rank of {known:?}");
            }
            // One whose wait has left is looked at when its timer fires.
            if known.stage == Stage::Resting && !known.is_plan_stale {
                self.model.check_due(job, known.due);
            }
        }
    }

    /// Runs the driver as it should, until all waits have ended, and closes everything.
    pub(super) fn finish(&mut self) {
        self.tick();
        for at in 0..self.consumers.len() {
            if self.consumers[at].closed.is_some() {
                while self.consumers[at].closed != Some(true) {
                    self.close(at, 1);
                }
                continue;
            }
            self.board.start(self.now, self.consumers[at].key);
            self.consumers[at].started.get_or_insert(self.now);
            self.add_pending(at, usize::MAX);
            self.consumers[at].flag.0.store(true, Ordering::Relaxed);
        }
        for _ in 0..20_000 {
            self.time();
            while self.act(Role::Leader) {}
            let mut has_told = false;
            for at in 0..self.consumers.len() {
                // Only those that were woken look.
                if self.consumers[at].closed.is_none()
                    && self.consumers[at].flag.0.swap(false, Ordering::Relaxed)
                {
                    while self.update(at) {
                        has_told = true;
                    }
                }
            }
            self.events += 1;
            self.compare();
            // Every third request hangs.
            let answered =
                self.model.in_flight.keys().copied().find(|id| !id.slot().is_multiple_of(3));
            if let Some(answered) = answered {
                self.now = self.now.after(ms(20));
                self.time();
                self.answer(answered, Reply::State(0));
                continue;
            }
            if has_told {
                continue;
            }
            if self.model.waits.iter().all(|wait| !wait.is_live()) {
                break;
            }
            let wake = self.board.next_wake().expect("a live wait has a wake-up");
            assert!(wake > self.now, "a driver that never sleeps at {wake:?}");
            self.now = wake;
        }
        for wait in &self.model.waits {
            let is_closed = self.consumers[wait.watch].closed.is_some();
            assert!(is_closed || wait.is_heard, "rule 1: {wait:?} was never told its end");
        }
        for at in 0..self.consumers.len() {
            if self.consumers[at].closed.is_none() {
                self.close(at, usize::MAX);
            }
        }
        while self.act(Role::Leader) {}
        assert_eq!(self.board.jobs.len() + self.board.jobs.count_statuses(), 0);
        assert_eq!(self.board.waits.counts(), [0; 5]);
        assert_eq!((self.board.requests.len(), self.board.agenda.len()), (0, 0));
        assert!(self.model.in_flight.is_empty() && self.model.expired.is_empty());
    }
}

//! A service, a driver and consumers in virtual time. It checks on its way what must always hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::script::*;
use crate::board::{
    Action, Answer, AttemptTimeouts, Board, Budget, Pending, RequestId, Role, RuntimeKey, Time,
    WaitOptions, WatchKey,
};
use crate::{ErrorClass, JobId, Outcome, Policy, Stats, Update, UpdateKind, WaitErrorKind};

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn at(ms: u64) -> Time {
    Time::at(self::ms(ms))
}

pub(super) fn budget() -> Budget {
    Budget {
        max_in_flight: 32,
        quota: None,
        min_interval: ms(500),
        attempt_timeouts: AttemptTimeouts::new(secs(10), |timeout| timeout),
        resolution: Duration::ZERO,
    }
}

struct Flying {
    request: RequestId,
    id: JobId,
    sent: Time,
    /// None for a request that is never answered.
    answered: Option<(Time, Answer)>,
}

/// What a consumer has heard of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) started: Time,
    pub(super) deadline: Time,
    pub(super) statuses: Vec<(Time, String)>,
    pub(super) detail: Option<Arc<str>>,
    pub(super) progressed: Vec<(Time, Option<Arc<str>>)>,
    pub(super) troubles: Vec<Time>,
    pub(super) end: Option<(Time, Outcome)>,
    pub(super) removed: bool,
}

/// The runtime on which all watches of a world are polled.
pub(super) const RUNTIME: RuntimeKey = RuntimeKey(0);

pub(super) struct World {
    pub(super) board: Board,
    pub(super) now: Time,
    pub(super) budget: Budget,
    pub(super) scripts: BTreeMap<JobId, Script>,
    /// Faults of the whole service, by time.
    pub(super) outages: Vec<(Time, Time, Fault)>,
    /// Every poll that was sent.
    pub(super) polls: Vec<(Time, JobId)>,
    pub(super) heard: BTreeMap<(usize, JobId), Heard>,
    pub(super) max_flying: usize,
    flying: Vec<Flying>,
    requests: BTreeMap<JobId, usize>,
    last_answer: BTreeMap<JobId, Time>,
    watches: Vec<Option<(WatchKey, bool)>>,
    /// Watches that were ever neglected.
    lagged: Vec<usize>,
    pub(super) ended_watches: Vec<usize>,
    paused_until: Time,
    pause_began: Option<Time>,
    /// Until when a driver sleeps, where the world is driven as by one.
    sleeps_until: Time,
    /// When the first answer came, good or bad.
    pub(super) first_answer: Option<Time>,
}

impl World {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            board: Board::new(7, budget),
            now: Time::ZERO,
            budget,
            scripts: BTreeMap::new(),
            outages: Vec::new(),
            polls: Vec::new(),
            heard: BTreeMap::new(),
            max_flying: 0,
            flying: Vec::new(),
            requests: BTreeMap::new(),
            last_answer: BTreeMap::new(),
            watches: Vec::new(),
            lagged: Vec::new(),
            ended_watches: Vec::new(),
            paused_until: Time::ZERO,
            pause_began: None,
            sleeps_until: Time::NEVER,
            first_answer: None,
        }
    }

    /// A world with one job that is waited for by one watch.
    pub(super) fn of_one(script: Script, policy: &Policy) -> Self {
        let mut world = Self::new(budget());
        world.script("job", script);
        world.watch(["job"], policy);
        world
    }

    pub(super) fn script(&mut self, id: &str, script: Script) {
        self.scripts.insert(id.into(), script);
    }

    /// Opens a watch and starts it now; its number.
    pub(super) fn watch<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a str>,
        policy: &Policy,
    ) -> usize {
        self.watch_with(ids, WaitOptions::new(Arc::new(policy.clone())))
    }

    /// The same with options.
    pub(super) fn watch_with<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a str>,
        options: WaitOptions,
    ) -> usize {
        let policy = Arc::clone(&options.policy);
        let key = self.board.open(false, Pending::default(), options);
        self.board.set_runtime(key, RUNTIME);
        self.board.start(self.now, key);
        let number = self.watches.len();
        self.watches.push(Some((key, true)));
        for id in ids {
            self.add(number, id, &policy);
        }
        number
    }

    pub(super) fn key(&self, watch: usize) -> WatchKey {
        self.watches[watch].expect("the watch is open").0
    }

    pub(super) fn keeps_up(&self, watch: usize) -> bool {
        !self.lagged.contains(&watch)
    }

    pub(super) fn is_open(&self, watch: usize) -> bool {
        self.watches.get(watch).is_some_and(Option::is_some)
    }

    pub(super) fn add(&mut self, watch: usize, id: &str, policy: &Policy) -> bool {
        let Some((key, _)) = self.watches[watch] else { return false };
        let added = self.board.add(self.now, key, id.into(), None);
        if added {
            let deadline = self.now.after(policy.timeout);
            let heard = Heard { started: self.now, deadline, ..Heard::default() };
            self.heard.insert((watch, id.into()), heard);
        }
        added
    }

    pub(super) fn remove(&mut self, watch: usize, id: &str) -> bool {
        let Some((key, _)) = self.watches[watch] else { return false };
        let removed = self.board.remove(self.now, key, id);
        if removed {
            self.heard.get_mut(&(watch, id.into())).expect("what is removed was added").removed =
                true;
        }
        removed
    }

    pub(super) fn close(&mut self, watch: usize) {
        if let Some((key, _)) = self.watches[watch].take() {
            assert!(!self.board.close(key, usize::MAX).0);
            self.heard.retain(|(number, _), _| *number != watch);
        }
    }

    /// A consumer that does not look until it is told to.
    pub(super) fn neglect(&mut self, watch: usize, neglected: bool) {
        let (_, keeps_up) = self.watches[watch].as_mut().expect("the watch is open");
        *keeps_up = !neglected;
        self.lagged.push(watch);
    }

    /// Runs until the time has come, or nothing more can happen.
    pub(super) fn run_until(&mut self, end: Time) {
        for _ in 0..200_000 {
            self.turn();
            let answer =
                self.flying.iter().filter_map(|f| f.answered.as_ref().map(|(at, _)| *at)).min();
            let next = [self.board.next_wake(), answer].into_iter().flatten().min();
            match next.filter(|&next| next <= end) {
                Some(next) => {
                    assert!(
                        next > self.now,
                        "the board must not ask to be woken in the cold: {next:?}"
                    );
                    self.now = next;
                }
                None => {
                    if end != Time::NEVER {
                        self.now = self.now.max(end);
                        self.turn();
                    }
                    return;
                }
            }
        }
        panic!("the world does not come to rest");
    }

    pub(super) fn run(&mut self) {
        self.run_until(Time::NEVER);
    }

    /// Runs until just before the time, as a driver does on Tokio's clock, which knows whole milliseconds.
    pub(super) fn drive_until(&mut self, end: Time) {
        let whole_ms = |time: Time| Time::at(ms(time.as_nanos().div_ceil(1_000_000)));
        for _ in 0..200_000 {
            let answer = self.flying.iter().filter_map(|f| f.answered.as_ref().map(|(at, _)| *at));
            let wake = self.sleeps_until.some().map(whole_ms);
            let Some(next) = answer.chain(wake).min().filter(|&next| next < end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.take_driven_turn();
        }
        panic!("the world does not come to rest");
    }

    /// Does what a driver does when a handle has acted: it takes a turn if it would sleep for too long.
    pub(super) fn follow(&mut self) {
        let turn = self.board.next_turn().unwrap_or(Time::NEVER);
        if turn < self.sleeps_until || self.board.has_aborts() {
            self.take_driven_turn();
        } else {
            self.listen();
        }
    }

    fn take_driven_turn(&mut self) {
        self.turn();
        // A driver whose waits have all ended has ended, too.
        let next = self.board.next_turn().filter(|_| !self.board.is_idle());
        self.sleeps_until = next.unwrap_or(Time::NEVER);
    }

    /// What the driver does in one turn, and then the consumers.
    fn turn(&mut self) {
        let now = self.now;
        let due = |f: &mut Flying| f.answered.as_ref().is_some_and(|(at, _)| *at <= now);
        let answered: Vec<_> = self.flying.extract_if(.., due).collect();
        for Flying { request, id, sent, answered } in answered {
            self.last_answer.insert(id, now);
            let (_, answer) = answered.expect("only answered requests were taken");
            self.model_pause(sent, &answer);
            if let Answer::Received(told) = &answer
                && told.as_ref().err().is_none_or(|error| error.class() != ErrorClass::Unreached)
            {
                self.first_answer.get_or_insert(now);
            }
            self.board.handle_answer(now, request, &answer);
        }
        self.board.handle_time(now);
        while let Some(want) = self.board.poll_action(now, Role::Leader) {
            match want {
                Action::Poll { request, id, timeout } => self.send(request, id, timeout),
                Action::Abort(request) => self.abort(request),
                Action::Wake(waker) => waker.wake(),
                Action::Drop(_) => {}
            }
        }
        self.max_flying = self.max_flying.max(self.flying.len());
        assert!(
            self.flying.len() <= self.budget.max_in_flight as usize,
            "more in flight than allowed"
        );
        self.listen();
    }

    /// Takes all updates of the watches whose consumers keep up.
    fn listen(&mut self) {
        for number in 0..self.watches.len() {
            if let Some((_, true)) = self.watches[number] {
                self.drain(number);
            }
        }
    }

    /// Takes all updates of a watch, which may come after a deadline.
    pub(super) fn drain_late(&mut self, number: usize) {
        self.lagged.push(number);
        self.drain(number);
    }

    /// Takes all updates of a watch, and checks them.
    pub(super) fn drain(&mut self, number: usize) {
        let Some((key, _)) = self.watches[number] else { return };
        loop {
            match self.board.next_update(key) {
                Poll::Ready(Some(update)) => self.hear(number, update),
                Poll::Ready(None) => {
                    if !self.ended_watches.contains(&number) {
                        self.ended_watches.push(number);
                    }
                    return;
                }
                Poll::Pending => return,
            }
        }
    }

    fn hear(&mut self, number: usize, update: Update) {
        let now = self.now;
        let keeps_up = self.keeps_up(number);
        let heard =
            self.heard.get_mut(&(number, update.id.clone())).expect("only watched ids are told");
        assert!(heard.end.is_none(), "{} is told after its end", update.id);
        assert!(!keeps_up || now <= heard.deadline, "{} is told after its deadline", update.id);
        assert!(update.elapsed <= now.since(heard.started));
        match update.kind {
            UpdateKind::Changed { from, to } => {
                let last = heard.statuses.last().map(|(_, status)| status.as_str());
                assert_eq!(from.as_deref(), last, "`from` is what was told before");
                assert_ne!(Some(&*to.status), last, "no change from a status to itself");
                heard.statuses.push((now, to.status.into_owned()));
                heard.detail = to.detail;
            }
            UpdateKind::Progressed(state) => {
                let last = heard.statuses.last().map(|(_, status)| status.as_str());
                assert_eq!(Some(&*state.status), last, "only the detail has changed");
                assert_ne!(state.detail, heard.detail, "no change from a detail to itself");
                heard.progressed.push((now, state.detail.clone()));
                heard.detail = state.detail;
            }
            UpdateKind::Trouble(_) => heard.troubles.push(now),
            UpdateKind::Ended(outcome) => {
                let report = outcome.as_ref().unwrap_or_else(|error| error.report());
                let status = report.state.as_ref().map(|state| &*state.status);
                assert_eq!(status, heard.statuses.last().map(|(_, status)| status.as_str()));
                heard.end = Some((now, outcome));
            }
        }
    }

    fn send(&mut self, request: RequestId, id: JobId, timeout: Duration) {
        let now = self.now;
        assert!(self.flying.iter().all(|f| f.id != id), "two requests in flight for {id}");
        assert!(
            now >= self.paused_until,
            "a poll at {now:?} during a pause until {:?}",
            self.paused_until
        );
        if let Some(&last) = self.last_answer.get(&id) {
            assert!(now.since(last) >= self.budget.min_interval, "{id} is polled too soon");
        }
        let wanted = |((_, watched), heard): &(&(usize, JobId), &Heard)| {
            *watched == id && heard.end.is_none() && !heard.removed && now < heard.deadline
        };
        let wanted = self.heard.iter().filter(wanted);
        let left = wanted.map(|(_, heard)| heard.deadline.since(now)).max();
        let left = left.unwrap_or_else(|| panic!("{id} is polled at {now:?} for nobody"));
        // Some of these may have ended in this turn, so the source may have less time.
        let most = self.budget.attempt_timeouts.first().request.max(secs(60)).min(left);
        assert!(
            timeout <= most,
            "a request may take {timeout:?}, {left:?} before the last deadline"
        );
        self.polls.push((now, id.clone()));
        let number = self.requests.entry(id.clone()).or_default();
        let script = &self.scripts[&id];
        let outage = self.outages.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        let fault =
            outage.map(|&(.., fault)| fault).or(script.faults.get(*number).copied().flatten());
        *number += 1;
        let answer = answer(script, fault, now);
        let answered = answer.map(|answer| (now.after(script.latency), answer));
        self.flying.push(Flying { request, id, sent: now, answered });
    }

    fn abort(&mut self, request: RequestId) {
        let now = self.now;
        let at = self.flying.iter().position(|flight| flight.request == request);
        let flight = self.flying.remove(at.expect("only what is in flight is aborted"));
        self.last_answer.insert(flight.id, now);
    }

    /// Records the pause that an answer names, unless its request was sent before a pause began.
    fn model_pause(&mut self, sent: Time, answer: &Answer) {
        let Answer::Received(Err(error)) = answer else { return };
        let (hint, always) = match error.class() {
            ErrorClass::Throttled { retry_after, .. } => (retry_after, true),
            ErrorClass::Transient { retry_after } => (retry_after, false),
            ErrorClass::Unreached
            | ErrorClass::Unexpected { .. }
            | ErrorClass::NotFound
            | ErrorClass::Fatal
            | ErrorClass::Refused => return,
        };
        if (always || hint.is_some()) && self.pause_began.is_none_or(|began| sent > began) {
            self.pause_began = Some(self.now);
            self.paused_until =
                self.paused_until.max(self.now.after(hint.unwrap_or_default().min(secs(300))));
        }
    }

    pub(super) fn stats(&mut self) -> Stats {
        self.board.stats(self.now)
    }

    pub(super) fn poll_times(&self, id: &str) -> Vec<u64> {
        let of_id = self.polls.iter().filter(|(_, polled)| polled.as_str() == id);
        of_id.map(|(at, _)| at.as_nanos() / 1_000_000).collect()
    }

    /// What the first watch heard of "job".
    pub(super) fn job(&self) -> &Heard {
        &self.heard[&(0, "job".into())]
    }

    /// How the first watch's wait for "job" ended: after how many milliseconds, and as what.
    pub(super) fn end(&self) -> (u64, Option<WaitErrorKind>) {
        end_of(self.job()).expect("the wait has ended")
    }
}

pub(super) fn end_of(heard: &Heard) -> Option<(u64, Option<WaitErrorKind>)> {
    let (at, outcome) = heard.end.as_ref()?;
    let ms = (at.as_nanos() - heard.started.as_nanos()) / 1_000_000;
    Some((ms, outcome.as_ref().err().map(crate::WaitError::kind)))
}

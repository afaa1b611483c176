//! Plays events: what handles and the driver do, on the board and on the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use super::super::properties::id;
use super::super::world::*;
use super::model::*;
use super::*;
use crate::board::updates::Cursor;
use crate::board::waits::Watch;
use crate::board::{
    Answer, Board, Pending, RequestId, Role, RuntimeKey, Time, WaitOptions, WatchKey,
};
use crate::options::Resumed;
use crate::util::slab::Key;
use crate::{History, JobOptions, Phase, Policy, Sample, SourceError, WaitErrorKind};

/// A consumer's waker.
#[derive(Debug, Default)]
pub(super) struct Flag(pub(super) AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What resumed waits knew.
fn earlier() -> Resumed {
    Resumed {
        at: None,
        times: None,
        elapsed: secs(3),
        limit: secs(60),
        polls: 2,
        status: Some((Phase::Running, "Running".into())),
    }
}

pub(super) struct Consumer {
    pub(super) key: WatchKey,
    pub(super) options: WaitOptions,
    pub(super) ends_only: bool,
    pub(super) has_handle: bool,
    pub(super) started: Option<Time>,
    pub(super) runtime: Option<usize>,
    pub(super) pending: Vec<(usize, Option<JobOptions>)>,
    /// None: open. Some(true): all of it is gone.
    pub(super) closed: Option<bool>,
    pub(super) flag: Arc<Flag>,
    /// Where a listing goes on, what it has listed, and the waits that it must list.
    pub(super) listing: Option<(Option<Cursor>, Vec<usize>, Vec<usize>)>,
}

pub(super) struct Play {
    pub(super) board: Board,
    pub(super) model: Model<RequestId>,
    pub(super) options: Vec<WaitOptions>,
    pub(super) ill: Option<(usize, ErrorClass)>,
    pub(super) is_cut_off: bool,
    pub(super) consumers: Vec<Consumer>,
    /// All requests that were ever sent.
    pub(super) sent: Vec<RequestId>,
    pub(super) now: Time,
    pub(super) last_turn: Time,
    pub(super) events: usize,
}

impl Play {
    pub(super) fn new(case: &Case) -> Self {
        type Options = (Policy, Option<u64>, u64, bool);
        let options =
            |((policy, timeout, since, resumed), kind): (&Options, &Option<usize>)| WaitOptions {
                policy: Arc::new(policy.clone()),
                timeout: timeout.map(ms),
                since: ms(*since),
                kind: kind.map(|kind| KINDS[kind].into()),
                resumed: resumed.then(|| Arc::new(earlier())),
            };
        let mut history = History::new();
        for (kind, durations) in KINDS.iter().zip(&case.history) {
            durations.iter().for_each(|took| history.record(*kind, Sample::ended(ms(*took))));
        }
        let mut board = Board::new(7, case.budget);
        board.set_history(history);
        Self {
            board,
            model: Model::new(case.budget, case.schedules.clone()),
            options: case.options.iter().zip(&case.kinds).map(options).collect(),
            ill: case.ill,
            is_cut_off: case.is_cut_off,
            consumers: Vec::new(),
            sent: Vec::new(),
            now: Time::ZERO,
            last_turn: Time::ZERO,
            events: 0,
        }
    }

    pub(super) fn tick(&mut self) {
        self.model.now = self.now;
    }

    /// The watch that a number stands for: one that is not wholly closed.
    pub(super) fn pick(&self, number: usize) -> Option<usize> {
        let known: Vec<usize> = (0..self.consumers.len())
            .filter(|&at| self.consumers[at].closed != Some(true))
            .collect();
        known.get(number.checked_rem(known.len())?).copied()
    }

    pub(super) fn play(&mut self, event: &Event) {
        self.events += 1;
        self.tick();
        match event {
            Event::Open { ids, options, ends_only, has_handle, resumes } => {
                self.open(ids, *options, [*ends_only, *has_handle, *resumes]);
            }
            Event::Start(number) => {
                let Some(at) = self.pick(*number) else { return };
                self.board.start(self.now, self.consumers[at].key);
                if self.consumers[at].closed.is_none() {
                    self.consumers[at].started.get_or_insert(self.now);
                }
            }
            Event::AddPending(number, limit) => {
                let Some(at) = self.pick(*number) else { return };
                self.add_pending(at, *limit);
            }
            Event::Add(number, job, own) => {
                let Some(at) = self.pick(*number) else { return };
                let own = own.map(|own| {
                    let WaitOptions { policy, timeout, since, kind, mut resumed } =
                        self.options[own].clone();
                    self.count_from_now(&mut resumed, own < 2);
                    // Without a policy, the watch's counts.
                    let policy = Some(policy).filter(|_| own % 2 == 0);
                    JobOptions { policy, timeout, since, kind, resumed }
                });
                self.add(at, *job, own);
            }
            Event::Remove(number, job) => {
                let Some(at) = self.pick(*number) else { return };
                self.remove(at, *job);
            }
            Event::Close(number, limit) => {
                let Some(at) = self.pick(*number) else { return };
                self.close(at, *limit);
            }
            Event::SetRuntime(number, runtime) => {
                let Some(at) = self.pick(*number) else { return };
                self.board.set_runtime(self.consumers[at].key, RuntimeKey(*runtime));
                if self.consumers[at].closed.is_none() {
                    self.consumers[at].runtime = Some(*runtime);
                }
            }
            Event::Stop(runtime, limit) => {
                let is_left = self.board.stop(self.now, RuntimeKey(*runtime), "scripted", *limit);
                let of_runtime = |at: &usize| self.consumers[*at].runtime == Some(*runtime);
                let watches = (0..self.consumers.len()).filter(of_runtime).collect();
                self.stopped(watches, *limit, is_left);
            }
            Event::StopWatch(number, limit) => {
                let Some(at) = self.pick(*number) else { return };
                let key = self.consumers[at].key;
                let is_left = self.board.stop_watch(self.now, key, "scripted", *limit);
                if self.consumers[at].closed.is_none() {
                    self.stopped(vec![at], *limit, is_left);
                }
            }
            Event::ReleaseHandle(number) => {
                let Some(at) = self.pick(*number) else { return };
                if self.consumers[at].closed.is_none() && self.consumers[at].has_handle {
                    self.board.release_handle(self.consumers[at].key);
                    self.consumers[at].has_handle = false;
                }
            }
            Event::Poke(job) => {
                let is_wanted = !self.model.live_on(*job).is_empty();
                if self.queue().iter().flatten().any(|queued| queued.job == *job) {
                    self.model.note("a poke of a ready job");
                }
                assert_eq!(self.board.poke(self.now, &id(*job)), is_wanted);
                if is_wanted {
                    self.model.note("a poke");
                    self.model.poke(*job);
                }
            }
            Event::Tell(job, number) => {
                let is_wanted = !self.model.live_on(*job).is_empty();
                let state = state(*number);
                assert_eq!(self.board.tell(self.now, &id(*job), &state), is_wanted);
                if is_wanted {
                    self.model.note("a state from outside");
                    self.model.observe(*job, &state);
                    self.model.settle();
                }
            }
            Event::ForgetRequests => {
                self.board.forget_requests();
                self.model.forget_requests();
            }
            Event::Answer(number, reply) => {
                let known: Vec<_> = self.model.in_flight.keys().copied().collect();
                if let Some(at) = number.checked_rem(known.len()) {
                    self.answer(known[at], *reply);
                }
            }
            Event::AnswerAgain(number, reply) => {
                if let Some(at) = number.checked_rem(self.sent.len()) {
                    self.answer(self.sent[at], *reply);
                }
            }
            Event::Time(late) => {
                let wake = self.board.next_wake().unwrap_or(self.now).max(self.now);
                let late = match late {
                    Late::OnTime => 0,
                    Late::By(late) | Late::Jump(late) => *late,
                };
                self.now = wake.after(ms(late));
                self.time();
            }
            Event::Pass(span) => self.now = self.now.after(ms(*span)),
            Event::ClockBack(span) => {
                // The board takes the later one of this time and the latest that it knows.
                let earlier = self.now.before(ms(*span));
                let is_jump = self.board.is_jump(earlier.max(self.board.now));
                self.board.handle_time(earlier);
                self.now = self.board.now;
                self.tick();
                self.model.time(is_jump);
                self.last_turn = self.now;
            }
            Event::Act(leads, times) => {
                for _ in 0..*times {
                    if !self.act(if *leads { Role::Leader } else { Role::StandBy }) {
                        break;
                    }
                }
            }
            Event::Update(number) => {
                // A consumer starts its watch before it looks.
                let Some(at) = self.pick(*number) else { return };
                if self.consumers[at].started.is_some() {
                    self.update(at);
                }
            }
            Event::List(number, limit) => {
                let Some(at) = self.pick(*number) else { return };
                self.list(at, *limit);
            }
            Event::TakeDeferred => self.take_deferred(),
            Event::Resume(number, options, after) => {
                let Some(at) = self.pick(*number) else { return };
                if self.consumers[at].closed.is_none() {
                    self.resume(at, *options, ms(*after));
                }
            }
            Event::Repeat(what, job) => self.repeat(*what, *job),
        }
        self.compare();
    }

    pub(super) fn open(
        &mut self,
        ids: &[usize],
        options: usize,
        [ends_only, has_handle, resumes]: [bool; 3],
    ) {
        let mut options = self.options[options].clone();
        options.resumed = options.resumed.filter(|_| resumes);
        self.count_from_now(&mut options.resumed, has_handle);
        if options.resumed.is_some() {
            self.model.note("a watch that resumes others");
        }
        let mut pending = Vec::new();
        for job in ids {
            if !pending.iter().any(|(known, _)| known == job) {
                pending.push((*job, None));
            }
        }
        let ids: Pending = ids.iter().map(|job| id(*job).into()).collect();
        let key = self.board.open(ends_only, ids, options.clone());
        if has_handle {
            self.board.acquire_handle(key);
        }
        let (started, runtime, closed, listing) = (None, None, None, None);
        let flag = Arc::default();
        self.consumers.push(Consumer {
            key,
            options,
            ends_only,
            has_handle,
            started,
            runtime,
            pending,
            closed,
            flag,
            listing,
        });
    }

    pub(super) fn join(&mut self, at: usize, job: usize, own: Option<JobOptions>, started: Time) {
        let mut options = self.options_of(at, own.as_ref());
        if let Some(resumed) = &mut options.resumed
            && let Some(since) = resumed.at
        {
            // The time since then counts.
            let passed = started.since(since);
            Arc::make_mut(resumed).elapsed += passed;
            options.timeout = Some(options.timeout().saturating_sub(passed));
            options.since += passed;
        }
        if !options.since.is_zero() {
            self.model.note("an older job");
        }
        let deadline = started.after(options.timeout());
        self.model.join(at, job, &options, (started, deadline));
    }

    /// Returns the options of a job in a watch, which may have some of its own.
    pub(super) fn options_of(&self, at: usize, own: Option<&JobOptions>) -> WaitOptions {
        let mut options = self.consumers[at].options.clone();
        let Some(own) = own else { return options };
        if let Some(policy) = &own.policy {
            (options.policy, options.timeout) = (Arc::clone(policy), None);
        }
        options.timeout = own.timeout.or(options.timeout);
        options.since = own.since;
        options.resumed.clone_from(&own.resumed);
        options
    }

    pub(super) fn add_pending(&mut self, at: usize, limit: usize) {
        let key = self.consumers[at].key;
        let is_left = self.board.add_pending(self.now, key, limit);
        let consumer = &mut self.consumers[at];
        if consumer.closed.is_some() || consumer.started.is_none() {
            assert!(!is_left);
            return;
        }
        let started = consumer.started.expect("it has started");
        let some = limit.min(consumer.pending.len());
        let added: Vec<_> = consumer.pending.drain(..some).collect();
        assert_eq!(is_left, !consumer.pending.is_empty());
        assert_eq!(self.board.has_pending(key), is_left);
        for (job, own) in added {
            self.join(at, job, own, started);
        }
        self.model.settle();
    }

    pub(super) fn add(&mut self, at: usize, job: usize, own: Option<JobOptions>) {
        let is_new = self.board.add(self.now, self.consumers[at].key, id(job).into(), own.clone());
        let is_pending = self.consumers[at].pending.iter().any(|(known, _)| *known == job);
        let is_held = is_pending || self.model.is_watched(at, job);
        assert_eq!(is_new, self.consumers[at].closed.is_none() && !is_held);
        if !is_new {
            return;
        }
        if self.consumers[at].started.is_none() {
            self.consumers[at].pending.push((job, own));
        } else {
            self.join(at, job, own, self.now);
            self.model.settle();
        }
    }

    pub(super) fn remove(&mut self, at: usize, job: usize) {
        let is_removed = self.board.remove(self.now, self.consumers[at].key, &id(job));
        let is_open = self.consumers[at].closed.is_none();
        let pending = self.consumers[at].pending.iter().position(|(known, _)| *known == job);
        if let Some(position) = pending.filter(|_| is_open) {
            assert!(is_removed);
            let (_, own) = self.consumers[at].pending.remove(position);
            let Some(started) = self.consumers[at].started else { return };
            self.model.note("a pending job is removed");
            self.join(at, job, own, started);
        } else {
            assert_eq!(is_removed, is_open && self.model.is_watched(at, job));
        }
        let waits = self.model.live_on(job);
        if let Some(&wait) =
            waits.iter().find(|&&wait| is_open && self.model.waits[wait].watch == at)
        {
            self.model.end(wait, Some(WaitErrorKind::Removed));
        }
        self.model.settle();
    }

    pub(super) fn close(&mut self, at: usize, limit: usize) {
        let (is_left, waker) = self.board.close(self.consumers[at].key, limit);
        if self.consumers[at].closed.is_some() {
            self.model.note("a close in slices");
        }
        self.consumers[at].closed = Some(!is_left);
        assert!(!is_left || waker.is_none());
        // Which of its waits have gone is up to the board: those that no job knows any more.
        for wait in 0..self.model.waits.len() {
            let known = &self.model.waits[wait];
            if known.watch == at && known.is_live() {
                let job = self.board.jobs.find(&id(known.job));
                let mut waits =
                    job.into_iter().flat_map(|job| self.board.waits.on(&self.board.jobs[job]));
                if !waits.any(|(_, wait)| self.is_of(wait.watch, at)) {
                    self.model.waits[wait].end = Some((self.now, None, None));
                    let job = self.model.waits[wait].job;
                    self.model.touch(job);
                }
            }
        }
        self.model.settle();
    }

    pub(super) fn is_of(&self, watch: Key<Watch>, at: usize) -> bool {
        self.consumers[at].key.key == watch
    }

    /// Waits of these watches were stopped: as many as the limit allows, and the board says which.
    pub(super) fn stopped(&mut self, watches: Vec<usize>, limit: usize, is_left: bool) {
        let mut ended = 0;
        let mut live = 0;
        for wait in 0..self.model.waits.len() {
            let known = &self.model.waits[wait];
            if !watches.contains(&known.watch) || !known.is_live() {
                continue;
            }
            let at = known.watch;
            let job = self.board.jobs.find(&id(known.job));
            let mut waits =
                job.into_iter().flat_map(|job| self.board.waits.on(&self.board.jobs[job]));
            if waits.any(|(_, wait)| self.is_of(wait.watch, at)) {
                live += 1;
            } else {
                ended += 1;
                self.model.end(wait, Some(WaitErrorKind::Stopped));
            }
        }
        assert_eq!(is_left, live > 0);
        assert_eq!(ended, limit.min(ended + live), "the limit is kept and used");
        if is_left {
            self.model.note("a stop in slices");
        }
        self.model.settle();
    }

    pub(super) fn time(&mut self) {
        self.tick();
        let is_jump = self.board.is_jump(self.now);
        self.model.check_jump(self.now, is_jump, self.last_turn);
        self.board.handle_time(self.now);
        self.model.time(is_jump);
        self.last_turn = self.now;
    }

    pub(super) fn answer(&mut self, request: RequestId, reply: Reply) {
        let is_jump = self.board.is_jump(self.now);
        self.model.check_jump(self.now, is_jump, self.last_turn);
        let job = self.model.in_flight.get(&request).map(|request| request.job);
        let reply = match self.ill {
            _ if self.is_cut_off && !matches!(reply, Reply::Panicked) => {
                Reply::Error(ErrorClass::Unreached)
            }
            Some((ill, class)) if Some(ill) == job => Reply::Error(class),
            _ => reply,
        };
        let told = match reply {
            Reply::State(number) => Some(Ok(state(number))),
            Reply::Error(class) => Some(Err(class)),
            Reply::Panicked => None,
        };
        let answer = match &told {
            Some(Ok(state)) => Answer::Received(Ok(state.clone())),
            Some(Err(class)) => Answer::Received(Err(SourceError::new(*class, "scripted"))),
            None => Answer::Panicked("scripted".into()),
        };
        self.board.handle_answer(self.now, request, &answer);
        self.model.answer(
            request,
            is_jump,
            told.as_ref().map(|told| told.as_ref().map_err(|class| *class)),
        );
    }
}

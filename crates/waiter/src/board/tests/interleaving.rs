//! Handles that act between any two orders of the driver, not only between its turns.
//!
//! Each event is followed by `Board::check` and by a comparison with [`Model`]. `CFW_WAITER_CASES=100000` plays that many
//! cases with fresh seeds, which takes minutes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::model::*;
use super::properties::{id, policy};
use super::world::*;
use crate::board::jitter;
use crate::board::jobs::Stage;
use crate::board::updates::Cursor;
use crate::board::{
    Action, Answer, Board, Budget, Deferred, Pending, RequestId, Role, RuntimeKey, Time,
    WaitOptions, WatchKey,
};
use crate::{
    ErrorClass, JobState, Policy, Quota, SourceError, Stats, Update, UpdateKind, WaitError,
    WaitErrorKind,
};

const CASES: u32 = 2_000;
const JOBS: usize = 4;
const RUNTIMES: usize = 3;

/// Numbers stand for the watches and requests of the moment, counted round.
#[derive(Clone, Debug)]
enum Event {
    Open { ids: Vec<usize>, options: usize, ends_only: bool, has_handle: bool },
    Start(usize),
    AddPending(usize, usize),
    Add(usize, usize, Option<usize>),
    Remove(usize, usize),
    Close(usize, usize),
    SetRuntime(usize, usize),
    Stop(usize, usize),
    StopWatch(usize, usize),
    ReleaseHandle(usize),
    Poke(usize),
    Tell(usize, usize),
    ForgetRequests,
    Answer(usize, Reply),
    AnswerAgain(usize, Reply),
    Time(Late),
    Pass(u64),
    ClockBack(u64),
    Act(bool, usize),
    Update(usize),
    List(usize, usize),
    TakeDeferred,
}

#[derive(Clone, Copy, Debug)]
enum Reply {
    State(usize),
    Error(ErrorClass),
    Panicked,
}

/// When the driver comes back, counted from when it was asked to.
#[derive(Clone, Copy, Debug)]
enum Late {
    OnTime,
    By(u64),
    Jump(u64),
}

#[derive(Clone, Debug)]
struct Case {
    budget: Budget,
    options: Vec<(Policy, Option<u64>)>,
    /// A job that is never answered otherwise.
    ill: Option<(usize, ErrorClass)>,
    events: Vec<Event>,
}

fn state(number: usize) -> JobState {
    match number % 8 {
        0 | 1 => JobState::running(),
        2 => JobState::running().with_status("Queued").with_detail("position 3"),
        3 => JobState::unknown("Paused"),
        // Another phase with the text of a known one.
        4 => JobState::unknown("Running"),
        5 => JobState::running().with_status("Paused"),
        6 => JobState::succeeded(),
        _ => JobState::failed(),
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let hint = prop::option::of((1_u64..8_000).prop_map(ms));
    let quota = prop::option::weighted(
        0.3,
        (1_u32..30, 1_u64..90).prop_map(|(calls, per)| Quota::new(calls, secs(per)).unwrap()),
    );
    let throttled = (hint.clone(), quota)
        .prop_map(|(retry_after, quota)| ErrorClass::Throttled { retry_after, quota });
    let error = prop_oneof![
        4 => Just(ErrorClass::TRANSIENT),
        1 => hint.prop_map(|retry_after| ErrorClass::Transient { retry_after }),
        1 => throttled,
        6 => Just(ErrorClass::NotFound),
        1 => Just(ErrorClass::Fatal),
    ];
    prop_oneof![
        120 => (0_usize..6).prop_map(Reply::State),
        15 => (6_usize..8).prop_map(Reply::State),
        100 => error.prop_map(Reply::Error),
        6 => Just(Reply::Panicked),
        1 => Just(Reply::Error(ErrorClass::Refused)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let ids = prop::collection::vec(0..JOBS, 0..=JOBS);
    let open = (ids, 0_usize..4, prop::bool::weighted(0.2), prop::bool::weighted(0.4)).prop_map(
        |(ids, options, ends_only, has_handle)| Event::Open { ids, options, ends_only, has_handle },
    );
    let late = prop_oneof![
        12 => Just(Late::OnTime),
        4 => (0_u64..2_000).prop_map(Late::By),
        1 => (2_001_u64..40_000).prop_map(Late::Jump),
    ];
    let watch = 0_usize..6;
    let slice = 1_usize..4;
    let own = prop::option::weighted(0.3, 0_usize..4);
    prop_oneof![
        60 => (any::<bool>(), 1_usize..4).prop_map(|(leads, times)| Event::Act(leads, times)),
        60 => late.prop_map(Event::Time),
        60 => (0_usize..4, reply()).prop_map(|(at, reply)| Event::Answer(at, reply)),
        5 => (0_usize..50, reply()).prop_map(|(at, reply)| Event::AnswerAgain(at, reply)),
        10 => (0_u64..1_500).prop_map(Event::Pass),
        2 => (0_u64..5_000).prop_map(Event::ClockBack),
        6 => open,
        16 => watch.clone().prop_map(Event::Start),
        12 => (watch.clone(), slice.clone()).prop_map(|(watch, limit)| Event::AddPending(watch, limit)),
        30 => (watch.clone(), 0..JOBS, own).prop_map(|(watch, job, own)| Event::Add(watch, job, own)),
        6 => (watch.clone(), 0..JOBS).prop_map(|(watch, job)| Event::Remove(watch, job)),
        3 => (watch.clone(), slice.clone()).prop_map(|(watch, limit)| Event::Close(watch, limit)),
        8 => (watch.clone(), 0..RUNTIMES).prop_map(|(watch, at)| Event::SetRuntime(watch, at)),
        2 => (0..RUNTIMES, slice.clone()).prop_map(|(at, limit)| Event::Stop(at, limit)),
        1 => (watch.clone(), slice.clone()).prop_map(|(watch, limit)| Event::StopWatch(watch, limit)),
        2 => watch.clone().prop_map(Event::ReleaseHandle),
        5 => (0..JOBS).prop_map(Event::Poke),
        4 => (0..JOBS, 0_usize..8).prop_map(|(job, state)| Event::Tell(job, state)),
        2 => Just(Event::ForgetRequests),
        40 => watch.clone().prop_map(Event::Update),
        6 => (watch, slice).prop_map(|(watch, limit)| Event::List(watch, limit)),
        4 => Just(Event::TakeDeferred),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let quota = prop::option::weighted(0.2, (1_u32..20, 1_u64..10, 1_u32..20));
    let budget = (1_u32..6, quota, 0_u64..3).prop_map(|(max_in_flight, quota, resolution)| {
        let quota = quota
            .map(|(calls, per, burst)| Quota::new(calls, secs(per)).unwrap().with_burst(burst));
        Budget { max_in_flight, quota, resolution: ms(resolution), ..budget() }
    });
    let timeout = prop_oneof![1 => Just(0_u64), 20 => 1_u64..30_000, 20 => 30_000_u64..200_000];
    let own = prop::option::weighted(0.2, 0_u64..60_000);
    let options =
        (policy(), timeout, 0_u64..4_000, own).prop_map(|(policy, timeout, grace, own)| {
            (policy.timeout(ms(timeout)).not_found_grace(ms(grace)), own)
        });
    let class = prop_oneof![2 => Just(ErrorClass::NotFound), 1 => Just(ErrorClass::TRANSIENT)];
    let ill = prop::option::weighted(0.4, (0..JOBS, class));
    let events = prop::collection::vec(event(), 60..250);
    (budget, prop::collection::vec(options, 4), ill, events).prop_map(
        |(budget, options, ill, events)| {
            let events = [begin(), events].concat();
            Case { budget, options, ill, events }
        },
    )
}

/// Two watches on all jobs, so that most of what follows has something to act on.
fn begin() -> Vec<Event> {
    let open = |options| Event::Open {
        ids: (0..JOBS).collect(),
        options,
        ends_only: false,
        has_handle: true,
    };
    let mut events = vec![open(0), open(1)];
    for watch in 0..2 {
        events.push(Event::Start(watch));
        events.push(Event::SetRuntime(watch, watch));
        events.push(Event::AddPending(watch, JOBS));
    }
    events
}

/// A consumer's waker.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Consumer {
    key: WatchKey,
    options: WaitOptions,
    ends_only: bool,
    has_handle: bool,
    started: Option<Time>,
    runtime: Option<usize>,
    pending: Vec<(usize, Option<WaitOptions>)>,
    /// None: open. Some(true): all of it is gone.
    closed: Option<bool>,
    flag: Arc<Flag>,
    /// Where a listing goes on, what it has listed, and the waits that it must list.
    listing: Option<(Option<Cursor>, Vec<usize>, Vec<usize>)>,
}

struct Play {
    board: Board,
    model: Model<RequestId>,
    budget: Budget,
    options: Vec<WaitOptions>,
    ill: Option<(usize, ErrorClass)>,
    consumers: Vec<Consumer>,
    /// All requests that were ever sent.
    sent: Vec<RequestId>,
    now: Time,
    last_turn: Time,
    events: usize,
}

impl Play {
    fn new(case: &Case) -> Self {
        let options = |(policy, timeout): &(Policy, Option<u64>)| WaitOptions {
            policy: Arc::new(policy.clone()),
            timeout: timeout.map(ms),
        };
        Self {
            board: Board::new(7, case.budget),
            model: Model::new(case.budget),
            budget: case.budget,
            options: case.options.iter().map(options).collect(),
            ill: case.ill,
            consumers: Vec::new(),
            sent: Vec::new(),
            now: Time::ZERO,
            last_turn: Time::ZERO,
            events: 0,
        }
    }

    fn tick(&mut self) {
        self.model.now = self.now;
    }

    /// The watch that a number stands for: one that is not wholly closed.
    fn pick(&self, number: usize) -> Option<usize> {
        let known: Vec<usize> = (0..self.consumers.len())
            .filter(|&at| self.consumers[at].closed != Some(true))
            .collect();
        known.get(number.checked_rem(known.len())?).copied()
    }

    fn play(&mut self, event: &Event) {
        self.events += 1;
        self.tick();
        match event {
            Event::Open { ids, options, ends_only, has_handle } => {
                self.open(ids, *options, *ends_only, *has_handle);
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
                self.add(at, *job, own.map(|own| self.options[own].clone()));
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
                self.board.handle_time(self.now.before(ms(*span)));
                // The board takes it for now, which this event need not have reached.
                self.now = self.board.now;
                self.tick();
                self.model.time(false);
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
        }
        self.compare();
    }

    fn open(&mut self, ids: &[usize], options: usize, ends_only: bool, has_handle: bool) {
        let options = self.options[options].clone();
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

    fn join(&mut self, at: usize, job: usize, own: Option<WaitOptions>, started: Time) {
        let options = own.unwrap_or_else(|| self.consumers[at].options.clone());
        let deadline = started.after(options.timeout());
        self.model.join(at, job, &options.policy, (started, deadline));
    }

    fn add_pending(&mut self, at: usize, limit: usize) {
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

    fn add(&mut self, at: usize, job: usize, own: Option<WaitOptions>) {
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

    fn remove(&mut self, at: usize, job: usize) {
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

    fn close(&mut self, at: usize, limit: usize) {
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
                }
            }
        }
        self.model.settle();
    }

    fn is_of(&self, watch: crate::util::slab::Key<crate::board::waits::Watch>, at: usize) -> bool {
        self.consumers[at].key.key == watch
    }

    /// Waits of these watches were stopped: as many as the limit allows, and the board says which.
    fn stopped(&mut self, watches: Vec<usize>, limit: usize, is_left: bool) {
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

    fn time(&mut self) {
        self.tick();
        let is_jump = self.board.is_jump(self.now);
        self.model.check_jump(self.now, is_jump, self.last_turn);
        self.board.handle_time(self.now);
        self.model.time(is_jump);
        self.last_turn = self.now;
    }

    fn answer(&mut self, request: RequestId, reply: Reply) {
        let is_jump = self.board.is_jump(self.now);
        self.model.check_jump(self.now, is_jump, self.last_turn);
        let job = self.model.in_flight.get(&request).map(|request| request.job);
        let reply = match self.ill {
            Some((ill, class)) if Some(ill) == job => Reply::Error(class),
            _ => reply,
        };
        let told = match reply {
            Reply::State(number) => Some(Ok(state(number))),
            Reply::Error(class) => Some(Err(class)),
            Reply::Panicked => None,
        };
        let answer = match &told {
            Some(Ok(state)) => Answer::Told(Ok(state.clone())),
            Some(Err(class)) => Answer::Told(Err(SourceError::new(*class, "scripted"))),
            None => Answer::Panicked("scripted".into()),
        };
        self.board.handle_answer(self.now, request, &answer);
        self.model.answer(
            request,
            is_jump,
            told.as_ref().map(|told| told.as_ref().map_err(|class| *class)),
        );
    }

    /// Does one action; false if there is none.
    fn act(&mut self, role: Role) -> bool {
        self.tick();
        match self.board.poll_action(self.now, role) {
            Some(Action::Poll { request, id: polled, .. }) => {
                assert_eq!(role, Role::Leader);
                let job = (0..JOBS).find(|&job| polled.as_str() == id(job)).expect("it is known");
                self.model.send(request, job);
                self.sent.push(request);
            }
            Some(Action::Abort(request)) => {
                assert_eq!(role, Role::Leader);
                self.model.abort(request);
            }
            Some(Action::Wake(waker)) => waker.wake(),
            Some(Action::Drop(_)) => {}
            None => return false,
        }
        self.board.check();
        true
    }

    fn take_deferred(&mut self) {
        let (wakers, _): (_, Vec<Deferred>) = self.board.take_deferred();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Asks for one update; false if there is none.
    fn update(&mut self, at: usize) -> bool {
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
                        assert!(wait.heard == *status, "{wait:?} has not heard of {status:?}");
                    }
                }
                let waker = Waker::from(Arc::clone(&self.consumers[at].flag));
                drop(self.board.set_waker(key, waker));
                false
            }
        }
    }

    fn is_complete(&self, at: usize) -> bool {
        let consumer = &self.consumers[at];
        let mut waits = self.model.waits.iter().filter(|wait| wait.watch == at);
        consumer.started.is_some()
            && consumer.pending.is_empty()
            && !consumer.has_handle
            && waits.all(|wait| wait.is_heard)
    }

    fn hear(&mut self, at: usize, update: Update) {
        assert!(self.consumers[at].closed.is_none(), "a closed watch hears {update:?}");
        let Update { id: of, elapsed, kind, .. } = update;
        let wait = self
            .model
            .waits
            .iter_mut()
            .find(|wait| wait.watch == at && of.as_str() == id(wait.job) && !wait.is_heard)
            .expect("only watched ids are told, and nothing after the end");
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
            }
            UpdateKind::Trouble(error) => {
                assert!(!ends_only && wait.is_live());
                assert_ne!(error.class(), ErrorClass::Fatal);
            }
            UpdateKind::Ended(outcome) => {
                let report = outcome.as_ref().unwrap_or_else(|error| error.report());
                let kind = outcome.as_ref().err().map(WaitError::kind);
                let status = report.state.as_ref().map(|state| state.status.to_string());
                let ended_at = wait.started.after(report.elapsed);
                assert_eq!(wait.end, Some((ended_at, kind, status.clone())), "{wait:?}");
                assert_eq!(report.polls, wait.polls);
                assert!(ends_only || wait.heard == status, "the end without its change");
                wait.is_heard = true;
            }
        }
    }

    /// Lists a slice of a watch. Waits that live all the while are listed once.
    fn list(&mut self, at: usize, limit: usize) {
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
    fn compare(&mut self) {
        self.board.check();
        let stats = self.board.stats(self.now);
        let expected = Stats {
            in_flight: self.model.in_flight.len(),
            watched: self.model.jobs.len(),
            window: self.model.window,
            paused: stats.paused,
            pause_left: stats.pause_left,
            lags: stats.lags,
            ..self.model.stats
        };
        assert_eq!(stats, expected);
        assert!(stats.pause_left >= self.model.paused_until.since(self.now), "{stats:?}");
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
        self.check_plans();
    }

    /// Checks that each resting job is due when the first of its waits wants that, all of them asked.
    fn check_plans(&self) {
        let board = &self.board;
        for key in board.jobs.keys() {
            let job = &board.jobs[key];
            if let Stage::Ready { is_last, .. } = job.stage {
                let makes_last_poll = board.waits.on(job).any(|(wait_key, wait)| {
                    let has_last_look = board.waits.last_look(wait_key).is_some();
                    has_last_look || wait.is_last_poll_due && wait.wants_poll(job)
                });
                assert_eq!(is_last, makes_last_poll, "the rank of {job:?}");
            }
            if job.stage != Stage::Resting || job.is_plan_stale {
                continue;
            }
            let u = jitter::jitter(board.jobs.hash(job), job.polls);
            let mut due = Time::NEVER;
            for (wait_key, wait) in board.waits.on(job) {
                let has_last_look = board.waits.last_look(wait_key).is_some();
                let answers = wait.answers(job);
                if !has_last_look && answers > 0 && job.last_answer >= wait.last_poll() {
                    continue;
                }
                let base = if answers == 0 { wait.started } else { job.last_answer };
                let age = base.nanos_since(wait.started);
                let schedule = &board.waits.policy(wait).schedule;
                let mut wanted =
                    wait.started.after_nanos(age + schedule.next_delay(age, answers, u));
                let failing = board.jobs.failure(key).filter(|_| answers > 0);
                match failing.map(|failing| (failing.error.class(), failing.failures)) {
                    Some((ErrorClass::Throttled { .. }, _)) => wanted = base,
                    Some((ErrorClass::Transient { .. }, failures)) => {
                        let most = secs(15).min(secs(1 << (failures - 1).min(10)));
                        let draw = jitter::uniform(board.jobs.hash(job), job.polls, 2);
                        wanted = wanted.min(base.after(most.mul_f64(1.0 - 0.5 * draw)));
                    }
                    Some((ErrorClass::NotFound | ErrorClass::Fatal | ErrorClass::Refused, _))
                    | None => {}
                }
                if has_last_look || wait.is_last_poll_due {
                    wanted = wanted.min(wait.last_poll());
                }
                due = due.min(wanted);
            }
            if job.is_due_now {
                due = Time::ZERO;
            }
            if due != Time::NEVER && job.polls > 0 {
                due = due.max(job.last_answer.after(self.budget.min_interval));
            }
            // The board rounds in other places.
            let (early, late) = (due.since(job.due), job.due.since(due));
            let near = early.max(late) < ms(1) || due == job.due;
            assert!(near || due.max(job.due) <= board.now, "{due:?} and not {:?}", job.due);
        }
    }

    /// Runs the driver as it should, until all waits have ended, and closes everything.
    fn finish(&mut self) {
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

#[test]
fn handles_may_act_between_any_two_orders_of_the_driver() {
    #[expect(clippy::disallowed_methods, reason = "how long to search is said from outside")]
    let cases = std::env::var("CFW_WAITER_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner = match cases {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let seen: RefCell<BTreeMap<String, u32>> = RefCell::default();
    let steps = RefCell::new(0);
    let result = runner.run(&case(), |case| {
        let mut play = Play::new(&case);
        for event in &case.events {
            play.play(event);
        }
        *steps.borrow_mut() += play.events;
        let jobs: std::collections::BTreeSet<_> =
            play.model.waits.iter().map(|wait| wait.job).collect();
        let mut paths: Vec<String> =
            play.model.paths.keys().map(|path| (*path).to_owned()).collect();
        let ends = play.model.waits.iter().filter(|wait| wait.is_heard);
        paths.extend(
            ends.filter_map(|wait| wait.end.as_ref()).map(|(_, kind, _)| format!("{kind:?}")),
        );
        paths.extend((jobs.len() >= 3).then(|| "(3 ids or more)".to_owned()));
        paths.sort();
        paths.dedup();
        for path in paths {
            *seen.borrow_mut().entry(path).or_default() += 1;
        }
        play.finish();
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, Case { budget, options, ill, events })) => {
            let events: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
            panic!("{reason}\n{budget:?}\n{options:?}\n{ill:?}\n{}", events.join("\n"));
        }
        Err(error) => panic!("{error}"),
    }
    let (seen, cases) = (seen.into_inner(), cases.unwrap_or(CASES));
    println!("{} events", steps.into_inner());
    for (path, times) in &seen {
        println!("{:5.1} % of the cases: {path}", f64::from(*times) * 100.0 / f64::from(cases));
    }
    let ends = [
        "None",
        "Some(Failed)",
        "Some(TimedOut)",
        "Some(Lost)",
        "Some(Refused)",
        "Some(Fatal)",
        "Some(TooManyFailures)",
        "Some(UnknownStatus)",
        "Some(Panicked)",
        "Some(Stopped)",
        "Some(Removed)",
    ];
    let paths = [
        "a request is taken over",
        "a last look after a jump",
        "a last look sees the end",
        "a late joiner",
        "a request takes too long",
        "a request is lost in a jump",
        "a request is revoked",
        "an abort",
        "a stale answer",
        "a poke",
        "a state from outside",
        "a pending job is removed",
        "a close in slices",
        "a stop in slices",
        "a listing in slices",
    ];
    let missing: Vec<_> =
        ends.iter().chain(&paths).filter(|path| !seen.contains_key(**path)).collect();
    assert!(missing.is_empty(), "no case reaches {missing:?}");
    assert!(seen["(3 ids or more)"] > cases / 2, "most cases must be worth their name");
}

//! A string of bytes as a script of what handles and a driver do: a target of `fuzz/`.
//!
//! It judges by what must hold whatever happens: [`Board::check`], one request per id, no more requests than allowed, no poll
//! within the minimum interval, and each wait ends once, and for its deadline not before it. What each wait must hear is judged by the
//! reference in `board/tests/interleaving`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{
    Action, Answer, AttemptTimeouts, Board, Budget, Pending, RequestId, Role, RuntimeKey, Time,
    WaitOptions, WatchKey,
};
use crate::{
    ErrorClass, JobId, JobState, Policy, Quota, Schedule, SourceError, UpdateKind, WaitErrorKind,
};

const IDS: [&str; 4] = ["a", "b", "c", "d"];
/// More than these say nothing new, and take long.
const MOST_WATCHES: usize = 24;
const MIN_INTERVAL: Duration = Duration::from_millis(500);
const RUNTIME: RuntimeKey = RuntimeKey(0);

/// Plays a script.
pub(crate) fn play(script: &[u8]) {
    let mut script = script.iter().copied();
    let mut player = Player::new(&mut script);
    while let Some(command) = script.next() {
        player.play(command, &mut script);
        player.board.check();
    }
    player.finish();
}

struct Player {
    board: Board,
    now: Time,
    most: usize,
    watches: Vec<(WatchKey, bool)>,
    /// Jobs that a watch was given and whose end it has not reported, and their timeouts, the first one first.
    open: BTreeMap<(usize, String), Vec<Duration>>,
    in_flight: BTreeMap<RequestId, JobId>,
    last_answers: BTreeMap<JobId, Time>,
}

impl Player {
    fn new(script: &mut impl Iterator<Item = u8>) -> Self {
        let mut byte = || script.next().unwrap_or_default();
        let most = 1 + u32::from(byte() % 4);
        let quota = match byte() {
            calls @ 1..64 => Quota::new(u32::from(calls), Duration::from_secs(4)).ok(),
            _ => None,
        };
        let resolution = Duration::from_millis(u64::from(byte() % 3));
        let attempt = Duration::from_millis(500 * (1 + u64::from(byte() % 40)));
        let attempt_timeouts = AttemptTimeouts::new(attempt, |request| request);
        let min_interval = MIN_INTERVAL;
        let budget =
            Budget { max_in_flight: most, quota, min_interval, attempt_timeouts, resolution };
        Self {
            board: Board::new(u64::from(byte()), budget),
            now: Time::ZERO,
            most: most as usize,
            watches: Vec::new(),
            open: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            last_answers: BTreeMap::new(),
        }
    }

    fn play(&mut self, command: u8, script: &mut impl Iterator<Item = u8>) {
        let mut byte = || script.next().unwrap_or_default();
        match command % 16 {
            0..=2 => {
                let wake = self.board.next_wake().unwrap_or(self.now).max(self.now);
                self.now = wake.after(Duration::from_millis(u64::from(byte()) / 16));
                self.board.handle_time(self.now);
            }
            3 => {
                self.now = self.now.after(Duration::from_millis(100 * u64::from(byte())));
                if byte() % 2 == 0 {
                    self.board.handle_time(self.now);
                }
            }
            4 => self.open([byte(), byte(), byte()]),
            5 => {
                let (watch, id) = (byte(), byte());
                let Some(at) = self.pick(watch) else { return };
                let id = pick_id(id);
                if self.board.add(self.now, self.watches[at].0, id.into(), None) {
                    self.expect(at, id, Duration::MAX);
                }
            }
            6 => {
                let (watch, id) = (byte(), byte());
                let Some(at) = self.pick(watch) else { return };
                self.board.remove(self.now, self.watches[at].0, pick_id(id));
            }
            7 => {
                let (watch, limit) = (byte(), byte());
                let Some(at) = self.pick(watch) else { return };
                let (is_left, _) = self.board.close(self.watches[at].0, 1 + usize::from(limit % 4));
                self.watches[at].1 = is_left;
                self.open.retain(|(watch, _), _| *watch != at);
            }
            8 => {
                self.board.poke(self.now, pick_id(byte()));
            }
            9 => {
                let id = pick_id(byte());
                self.board.tell(self.now, id, &state(byte()));
            }
            10..=11 => {
                let (number, answer) = (usize::from(byte()), answer(byte()));
                let known = number.checked_rem(self.in_flight.len());
                let request = known.and_then(|at| self.in_flight.keys().nth(at)).copied();
                if let Some(request) = request {
                    self.answer(request, &answer);
                }
            }
            12..=13 => self.act(1 + usize::from(byte() % 4)),
            14 => {
                if let Some(at) = self.pick(byte()) {
                    self.hear(at, 1);
                }
            }
            _ => match byte() % 8 {
                0 => {
                    self.board.forget_requests();
                    self.in_flight.clear();
                }
                1 => {
                    self.board.stop(self.now, RUNTIME, "scripted", 2);
                }
                _ => self.board.handle_time(self.now.before(Duration::from_secs(1))),
            },
        }
    }

    fn open(&mut self, [ids, schedule, timeout]: [u8; 3]) {
        if self.watches.len() >= MOST_WATCHES {
            return;
        }
        let delay = Duration::from_millis(500 + 100 * u64::from(schedule));
        let schedule = match schedule % 3 {
            0 => Schedule::default(),
            1 => Schedule::fixed(delay).unwrap_or_default(),
            _ => Schedule::delays([delay, delay / 2]).unwrap_or_default(),
        };
        let timeout = Duration::from_millis(400 * u64::from(timeout));
        let policy = Policy::new()
            .schedule(schedule)
            .timeout(timeout)
            .not_found_grace(Duration::from_secs(u64::from(ids >> 4)))
            .first_poll_at_once(ids >> 4 == 1)
            .failures_in_a_row(if ids >> 4 == 2 { 2 } else { u32::MAX });
        let chosen = IDS.iter().enumerate().filter(|(at, _)| ids >> at & 1 == 1);
        let chosen: Vec<&str> = chosen.map(|(_, id)| *id).collect();
        let pending: Pending = chosen.iter().map(|id| JobId::from(*id)).collect();
        let key = self.board.open(false, pending, WaitOptions::new(Arc::new(policy)));
        self.board.start(self.now, key);
        self.board.set_runtime(key, RUNTIME);
        self.board.add_pending(self.now, key, usize::MAX);
        for id in chosen {
            self.expect(self.watches.len(), id, timeout);
        }
        self.watches.push((key, true));
    }

    fn expect(&mut self, watch: usize, id: &str, timeout: Duration) {
        self.open.entry((watch, id.to_owned())).or_default().push(timeout);
    }

    fn pick(&self, number: u8) -> Option<usize> {
        let open: Vec<usize> = (0..self.watches.len()).filter(|&at| self.watches[at].1).collect();
        open.get(usize::from(number).checked_rem(open.len())?).copied()
    }

    fn answer(&mut self, request: RequestId, answer: &Answer) {
        // The board has given up those whose abort is still to come.
        let counts = self.board.requests.get(request).is_some();
        self.board.handle_answer(self.now, request, answer);
        if let Some(id) = self.in_flight.remove(&request).filter(|_| counts) {
            self.last_answers.insert(id, self.now);
        }
    }

    fn act(&mut self, times: usize) {
        for _ in 0..times {
            // As a driver does, in one section of its lock.
            self.board.handle_time(self.now);
            match self.board.poll_action(self.now, Role::Leader) {
                Some(Action::Poll { request, id, timeout }) => {
                    assert!(!timeout.is_zero(), "a request without time");
                    let is_known = self.in_flight.values().any(|known| *known == id);
                    assert!(!is_known, "two requests for {id:?}");
                    if let Some(last) = self.last_answers.get(&id) {
                        assert!(self.now.since(*last) >= MIN_INTERVAL, "{id:?} is polled too soon");
                    }
                    self.in_flight.insert(request, id);
                    assert!(self.in_flight.len() <= self.most, "more requests than allowed");
                }
                Some(Action::Abort(request)) => {
                    self.in_flight.remove(&request);
                }
                Some(Action::Wake(_) | Action::Drop(_)) => {}
                None => break,
            }
        }
    }

    fn hear(&mut self, at: usize, most: usize) {
        for _ in 0..most {
            let Poll::Ready(Some(update)) = self.board.next_update(self.watches[at].0) else {
                return;
            };
            let job = (at, update.id.to_string());
            let timeouts = self.open.get_mut(&job);
            assert!(timeouts.is_some(), "{update:?} of {job:?}");
            let Some(timeouts) = timeouts else { return };
            let timeout = timeouts[0];
            if let UpdateKind::Ended(outcome) = update.kind {
                let report = outcome.as_ref().unwrap_or_else(|error| error.report());
                let kind = outcome.as_ref().err().map(|error| error.kind());
                let early = timeout.saturating_sub(self.board.budget.resolution);
                let is_early = kind == Some(WaitErrorKind::TimedOut) && report.elapsed < early;
                assert!(timeout == Duration::MAX || !is_early, "{report:?} before {timeout:?}");
                timeouts.remove(0);
                self.open.retain(|_, timeouts| !timeouts.is_empty());
            }
        }
    }

    /// Runs the driver, on time, until all waits have ended. Requests hang.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            self.board.handle_time(self.now);
            self.act(usize::MAX);
            match self.board.next_wake() {
                Some(wake) if !self.board.is_idle() => self.now = self.now.max(wake),
                _ => break,
            }
        }
        assert!(self.board.is_idle(), "a wait does not end");
        for at in 0..self.watches.len() {
            if self.watches[at].1 {
                self.hear(at, usize::MAX);
            }
            self.board.close(self.watches[at].0, usize::MAX);
        }
        assert!(self.open.is_empty(), "no end is reported of {:?}", self.open);
        self.act(usize::MAX);
        self.board.check();
        let stats = self.board.stats(self.now);
        assert_eq!((stats.in_flight, stats.watched), (0, 0), "something is left");
    }
}

fn pick_id(number: u8) -> &'static str {
    IDS[usize::from(number) % IDS.len()]
}

fn state(number: u8) -> JobState {
    match number % 8 {
        0..=2 => JobState::running(),
        3 => JobState::running().with_status("Queued"),
        4 => JobState::unknown("Paused"),
        5 => JobState::running().with_detail("40 %"),
        6 => JobState::succeeded(),
        _ => JobState::failed(),
    }
}

fn answer(number: u8) -> Answer {
    let retry_after = Some(Duration::from_secs(u64::from(number) * 4));
    let quota = Quota::new(u32::from(number), Duration::from_secs(60)).ok();
    let class = match number % 16 {
        0..=5 => return Answer::Received(Ok(state(number / 16))),
        6 => return Answer::Panicked("scripted".to_owned()),
        7 => ErrorClass::Fatal,
        8 => ErrorClass::Throttled { retry_after, quota: None },
        9 => ErrorClass::Throttled { retry_after: None, quota },
        10 => ErrorClass::Unexpected { can_pass: number > 127 },
        11 => ErrorClass::Unreached,
        12 => ErrorClass::Transient { retry_after },
        13..=14 => ErrorClass::NotFound,
        _ if number == 255 => ErrorClass::Refused,
        _ => ErrorClass::TRANSIENT,
    };
    Answer::Received(Err(SourceError::new(class, "scripted")))
}

//! Rule 8, naively: the pause, the window and the rates, computed anew from the list of all that was sent and answered.

use std::time::Duration;

use crate::board::{Budget, Time, jitter};
use crate::{Quota, WaitingOn};

/// The seed of the board.
pub(in super::super) const SEED: u64 = 7;

/// A burst, then one request per interval, counted from a request on.
#[derive(Clone, Copy, Debug)]
struct Pace {
    interval: Duration,
    burst: u32,
    /// How many requests had been sent before, and when it began with nothing to spare; none if it began with a burst.
    began: Option<(usize, Time)>,
}

impl Pace {
    /// Returns the pace that puts no more than `calls` into any span of `per`.
    fn of(calls: u32, per: Duration, burst: u32) -> Self {
        let nanos = per.as_nanos().div_ceil(u128::from(calls - burst + 1)).max(1);
        let interval = Duration::from_nanos(u64::try_from(nanos).expect("within a day"));
        Self { interval, burst, began: None }
    }

    fn free_at(&self, sent: &[Time]) -> Time {
        let (skipped, mut full) = match self.began {
            Some((skipped, at)) => (skipped, at.after(self.interval * self.burst)),
            None => (0, Time::ZERO),
        };
        for &at in &sent[skipped..] {
            full = full.max(at).after(self.interval);
        }
        full.before(self.interval * (self.burst - 1))
    }
}

/// A quota that the service named.
#[derive(Clone, Copy, Debug)]
struct Named {
    quota: Quota,
    pace: Pace,
    until: Time,
}

/// A pace that the refusals of a service without words led to, and that grows.
#[derive(Clone, Copy, Debug)]
struct Found {
    first: Duration,
    skipped: usize,
    began: Time,
}

/// What held back a poll at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Holds {
    /// Whether the poll had been due for longer than rounding explains, and timers were looked at since.
    pub(super) is_due: bool,
    pub(super) is_window_full: bool,
    service: Time,
    set: Time,
    now: Time,
}

impl Holds {
    /// Checks what a deadline was said to hang on, if not on an answer.
    pub(in super::super) fn check(&self, told: Option<WaitingOn>) {
        let (service, set) = (self.service > self.now, self.set > self.now);
        let is_true = match told {
            Some(WaitingOn::Throttling(_)) => service && self.service >= self.set,
            Some(WaitingOn::Rate(_)) => set && self.set > self.service,
            Some(WaitingOn::InFlight(_)) => !service && !set,
            Some(_) => true,
            None => !self.is_due || !(service || set || self.is_window_full),
        };
        assert!(is_true, "{told:?} and {self:?}");
    }
}

#[derive(Debug)]
pub(in super::super) struct ModelBudget {
    most: u32,
    set: Option<Pace>,
    named: Option<Named>,
    found: Option<Found>,
    sent: Vec<Time>,
    /// When the service answered as it should.
    answered: Vec<Time>,
    pub(in super::super) window: u32,
    bad_in_a_row: u32,
    refusals_in_a_row: u32,
    refusals: u32,
    /// How often a quota was named that was kept to.
    pub(super) named_again: u32,
    pause_began: Option<Time>,
    pub(in super::super) paused_until: Time,
    pub(in super::super) paused: Duration,
}

impl ModelBudget {
    pub(super) fn new(budget: Budget) -> Self {
        let set = budget
            .quota
            .map(|quota| Pace::of(quota.calls().get(), quota.per(), quota.burst().get()));
        Self {
            most: budget.max_in_flight,
            set,
            named: None,
            found: None,
            sent: Vec::new(),
            answered: Vec::new(),
            window: 1,
            bad_in_a_row: 0,
            refusals_in_a_row: 0,
            refusals: 0,
            named_again: 0,
            pause_began: None,
            paused_until: Time::ZERO,
            paused: Duration::ZERO,
        }
    }

    /// Returns when the next request may be sent, the window aside.
    pub(in super::super) fn free_at(&self, now: Time) -> Time {
        let named = self.named.filter(|named| now < named.until);
        let named = named.map(|named| named.pace.free_at(&self.sent).min(named.until));
        let set = self.set.map(|pace| pace.free_at(&self.sent));
        let found = self.found();
        [named, set, found].into_iter().flatten().fold(self.paused_until, Time::max)
    }

    pub(super) fn holds(&self, now: Time, is_due: bool, is_window_full: bool) -> Holds {
        let named = self.named.filter(|named| now < named.until);
        let named = named.map(|named| named.pace.free_at(&self.sent));
        let service =
            [named, self.found()].into_iter().flatten().fold(self.paused_until, Time::max);
        let set = self.set.map_or(Time::ZERO, |pace| pace.free_at(&self.sent));
        Holds { is_due, is_window_full, service, set, now }
    }

    /// Returns when the pace that was found allows the next request; none if it has grown out of the way.
    fn found(&self) -> Option<Time> {
        let Found { first, skipped, began } = self.found?;
        let fastest = self.set.map_or(Duration::from_millis(1), |pace| pace.interval);
        let (mut interval, mut grown) = (first, began);
        let mut free = began.after(interval);
        for &at in &self.sent[skipped..] {
            free = free.max(at).after(interval);
            // It grows by a tenth every ten seconds, which is noticed when something is sent.
            while at.since(grown) >= Duration::from_secs(10) && interval > fastest {
                grown = grown.after(Duration::from_secs(10));
                interval = interval / 11 * 10;
            }
            if interval <= fastest {
                return None;
            }
        }
        Some(free)
    }

    pub(super) fn send(&mut self, now: Time) {
        self.sent.push(now);
    }

    pub(super) fn sent_within(&self, now: Time, span: Duration) -> usize {
        self.sent.iter().filter(|sent| now.since(**sent) < span).count()
    }

    pub(super) fn good(&mut self, now: Time, sent: Time) {
        self.bad_in_a_row = 0;
        self.answered.push(now);
        if self.is_new(sent) {
            self.refusals_in_a_row = 0;
            self.window = (self.window * 2).min(self.most);
        }
    }

    pub(super) fn bad(&mut self, now: Time, sent: Time, hint: Option<Duration>) {
        self.bad_in_a_row += 1;
        if self.bad_in_a_row >= 5 {
            self.window = 1;
        }
        if let Some(hint) = hint.filter(|hint| !hint.is_zero() && self.is_new(sent)) {
            self.pause(now, hint);
        }
    }

    pub(super) fn refused(
        &mut self,
        now: Time,
        sent: Time,
        hint: Option<Duration>,
        quota: Option<Quota>,
    ) {
        if !self.is_new(sent) {
            return;
        }
        (self.refusals_in_a_row, self.refusals) = (self.refusals_in_a_row + 1, self.refusals + 1);
        let minute = Duration::from_secs(60);
        let doublings = (self.refusals_in_a_row - 1).min(10);
        let guess = Duration::from_secs(5 << doublings).min(minute);
        let draw = jitter::uniform(SEED, self.refusals, 3);
        let pause = match (hint.filter(|hint| !hint.is_zero()), quota) {
            (Some(hint), _) => hint,
            (None, Some(quota)) => quota.per().min(minute),
            (None, None) => guess.mul_f64(1.0 - 0.5 * draw),
        };
        match quota {
            Some(quota) => self.believe(now, quota),
            None => {
                let of_last_minute = |at: &&Time| at.as_secs() + 60 > now.as_secs();
                let answered = self.answered.iter().filter(of_last_minute).count().max(1);
                let half = Duration::from_nanos(120_000_000_000 / answered as u64);
                let first = half.min(Duration::from_secs(5));
                self.found = Some(Found { first, skipped: self.sent.len(), began: now });
            }
        }
        self.pause(now, pause);
    }

    fn believe(&mut self, now: Time, quota: Quota) {
        let until = now.after(Duration::from_secs(240));
        if let Some(named) = &mut self.named
            && named.quota == quota
            && now < named.until
        {
            named.until = until;
            self.named_again += 1;
            return;
        }
        // Nine tenths of it, a tenth of that at once.
        let calls = quota.calls().get();
        let ours = (calls - calls.div_ceil(10)).max(1);
        let pace = Pace::of(ours, quota.per(), (ours / 10).max(1));
        let pace = Pace { began: Some((self.sent.len(), now)), ..pace };
        self.named = Some(Named { quota, pace, until });
    }

    /// Whether a request was sent after the last pause began.
    fn is_new(&self, sent: Time) -> bool {
        self.pause_began.is_none_or(|began| sent > began)
    }

    fn pause(&mut self, now: Time, pause: Duration) {
        let pause = pause.min(Duration::from_secs(300));
        self.paused += pause;
        self.paused_until = now.after(pause);
        self.pause_began = Some(now);
        self.window = 1;
    }
}

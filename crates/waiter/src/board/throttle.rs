//! The budget of one source: how many requests in flight, how often, and when not at all (rule 8).

use std::time::Duration;

use super::jitter;
use super::time::{Time, nanos};
use crate::Quota;
use crate::schedule::mul_f64_saturating;

/// The longest pause that a hint is believed for: the longest window seen in the wild.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long a named quota is kept to that is not named again. With the delay before it, no job stays unpolled for more
/// than five minutes on the service's word alone.
const BELIEVED: Duration = Duration::from_secs(240);
/// The longest pause without a hint in a header.
const LONGEST_GUESS: Duration = Duration::from_secs(60);
const FIRST_GUESS: Duration = Duration::from_secs(5);
/// After this many failures in a row the source is probed with one request at a time.
const FAILURES_TO_PROBE: u32 = 5;
/// How often an adaptive rate grows by a tenth.
const GROWTH_PERIOD: Duration = Duration::from_secs(10);
/// The interval of the slowest adaptive rate, in nanoseconds.
const SLOWEST: u64 = 5_000_000_000;
/// Where no rate is set, an adaptive one is dropped when its interval has shrunk to this, in nanoseconds.
const FASTEST: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Throttle {
    seed: u64,
    /// The rate that the user or the source set.
    set: Option<Rate>,
    server_quota: Option<ServerQuota>,
    /// The rate found by refusals that named no quota.
    adaptive: Option<Adaptive>,
    paused_until: Time,
    pause_began: Option<Time>,
    refusals: u32,
    pauses: u32,
    window: u32,
    max_in_flight: u32,
    failures: u32,
    answered: LastMinute,
    paused: Duration,
}

/// A quota that the service named in a refusal.
#[derive(Debug)]
struct ServerQuota {
    quota: Quota,
    /// Nine tenths of it: others may share it.
    rate: Rate,
    /// Until when it is believed, unless the service names it again.
    until: Time,
}

/// What keeps a request from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldBackBy {
    /// A pause that the service asked for, or the rate that it allows.
    Service,
    /// The rate that the user or the source set.
    SetRate,
}

#[derive(Debug)]
struct Adaptive {
    rate: Rate,
    grown_at: Time,
}

impl Throttle {
    pub(super) fn new(seed: u64, max_in_flight: u32, quota: Option<Quota>) -> Self {
        Self {
            seed,
            set: quota.map(Rate::of),
            server_quota: None,
            adaptive: None,
            paused_until: Time::ZERO,
            pause_began: None,
            refusals: 0,
            pauses: 0,
            window: 1,
            max_in_flight,
            failures: 0,
            answered: LastMinute::default(),
            paused: Duration::ZERO,
        }
    }

    /// Returns how many requests may be in flight.
    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// Returns how long polling has been paused in all.
    pub(super) fn paused(&self) -> Duration {
        self.paused
    }

    pub(super) fn paused_until(&self) -> Time {
        self.paused_until
    }

    /// Returns whether the service answered as it should in the last minute or two.
    pub(super) fn is_proven(&self, now: Time) -> bool {
        self.answered.is_recent(now)
    }

    fn has_rates(&self) -> bool {
        self.set.is_some() || self.server_quota.is_some() || self.adaptive.is_some()
    }

    /// Returns when the next request may be sent, as far as pause and rates go.
    pub(super) fn free_at(&self, now: Time) -> Time {
        if !self.has_rates() {
            return self.paused_until;
        }
        let adaptive = self.adaptive.as_ref().map(|adaptive| &adaptive.rate);
        let own = self.set.iter().chain(adaptive).map(Rate::free_at);
        let server = self.server_quota.iter().filter(|server| now < server.until);
        let server = server.map(|server| server.rate.free_at().min(server.until));
        own.chain(server).fold(self.paused_until, Time::max)
    }

    /// Returns what keeps a request from being sent now, as far as pause and rates go: what will do so for longest.
    pub(super) fn holds_back(&self, now: Time) -> Option<HeldBackBy> {
        let server = self.server_quota.iter().filter(|server| now < server.until);
        let server = server.map(|server| &server.rate);
        let adaptive = self.adaptive.iter().map(|adaptive| &adaptive.rate);
        let service = server.chain(adaptive).map(Rate::free_at).fold(self.paused_until, Time::max);
        let set = self.set.as_ref().map_or(Time::ZERO, Rate::free_at);
        if service.max(set) <= now {
            return None;
        }
        Some(if service >= set { HeldBackBy::Service } else { HeldBackBy::SetRate })
    }

    /// Counts a request that is sent now.
    pub(super) fn spend(&mut self, now: Time) {
        if !self.has_rates() {
            return;
        }
        self.server_quota.take_if(|server| server.until <= now);
        let server = self.server_quota.as_mut().map(|server| &mut server.rate);
        let adaptive = self.adaptive.as_mut().map(|adaptive| &mut adaptive.rate);
        for rate in self.set.iter_mut().chain(server).chain(adaptive) {
            rate.spend(now);
        }
        self.grow(now);
    }

    /// Records that the service answered as it should. The answer to a request sent before the pause began says nothing of
    /// what the service bears now.
    pub(super) fn good(&mut self, now: Time, sent: Time) {
        self.failures = 0;
        self.answered.record(now);
        if self.predates_pause(sent) {
            return;
        }
        self.refusals = 0;
        self.window = self.window.saturating_mul(2).min(self.max_in_flight);
    }

    /// Records that the service failed, or did not answer. `retry_after` pauses as a refusal does.
    pub(super) fn failed(&mut self, now: Time, sent: Time, retry_after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_TO_PROBE {
            self.window = 1;
        }
        if let Some(hint) = hint(retry_after)
            && !self.predates_pause(sent)
        {
            self.pause(now, hint);
        }
    }

    /// Records that the service refused for want of quota.
    pub(super) fn throttled(
        &mut self,
        now: Time,
        sent: Time,
        retry_after: Option<Duration>,
        quota: Option<Quota>,
    ) {
        if self.predates_pause(sent) {
            return;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.pauses = self.pauses.wrapping_add(1);
        let pause = hint(retry_after).or(quota.map(|quota| quota.per().min(LONGEST_GUESS)));
        let pause = pause.unwrap_or_else(|| {
            let doublings = self.refusals.saturating_sub(1).min(10);
            let guess = FIRST_GUESS.saturating_mul(1 << doublings).min(LONGEST_GUESS);
            mul_f64_saturating(guess, 1.0 - 0.5 * jitter::uniform(self.seed, self.pauses, 3))
        });
        match quota {
            Some(quota) => self.adopt(now, quota),
            None => self.halve(now),
        }
        self.pause(now, pause);
    }

    /// Returns whether a request was sent before the pause began, or at the same instant: no request is sent within a pause.
    fn predates_pause(&self, sent: Time) -> bool {
        self.pause_began.is_some_and(|began| sent <= began)
    }

    fn pause(&mut self, now: Time, pause: Duration) {
        let until = now.after(pause.min(LONGEST_PAUSE));
        // No request is sent within a pause, so no pause begins within another.
        self.paused += until.since(now);
        self.paused_until = until;
        self.pause_began = Some(now);
        self.window = 1;
    }

    /// Keeps to a quota that the service named, for as long as that is believed.
    fn adopt(&mut self, now: Time, quota: Quota) {
        let until = now.after(BELIEVED);
        match &mut self.server_quota {
            Some(server) if server.quota == quota && now < server.until => server.until = until,
            server => {
                let calls = quota.calls().get();
                let ours =
                    Quota::new((calls - calls.div_ceil(10)).max(1), quota.per()).unwrap_or(quota);
                *server = Some(ServerQuota { quota, rate: Rate::of(ours).from(now), until });
            }
        }
    }

    /// Falls to half of what was answered in the last minute.
    fn halve(&mut self, now: Time) {
        let half = u64::from(self.answered.count(now)).max(1);
        let interval = (120_000_000_000 / half).min(SLOWEST);
        let rate = Rate { interval, tolerance: 0, next: Time::ZERO }.from(now);
        self.adaptive = Some(Adaptive { rate, grown_at: now });
    }

    fn grow(&mut self, now: Time) {
        let Some(adaptive) = &mut self.adaptive else { return };
        let fastest = self.set.as_ref().map_or(FASTEST, |rate| rate.interval);
        while now.since(adaptive.grown_at) >= GROWTH_PERIOD && adaptive.rate.interval > fastest {
            adaptive.grown_at = adaptive.grown_at.after(GROWTH_PERIOD);
            adaptive.rate.interval = adaptive.rate.interval / 11 * 10;
        }
        if adaptive.rate.interval <= fastest {
            self.adaptive = None;
        }
    }
}

/// Ignores a `Retry-After` of zero: the window it speaks of has passed.
fn hint(retry_after: Option<Duration>) -> Option<Duration> {
    retry_after.filter(|hint| !hint.is_zero())
}

/// The generic cell rate algorithm (ITU-T I.371): a burst, then one call per interval.
#[derive(Debug)]
struct Rate {
    interval: u64,
    tolerance: u64,
    /// The theoretical arrival time of the next call.
    next: Time,
}

impl Rate {
    /// The pace at which no window of the quota's length ever holds more calls than the quota: `burst`
    /// at its start, then one per interval, of which less than `calls - burst + 1` fit.
    fn of(quota: Quota) -> Self {
        let (calls, burst) = (u64::from(quota.calls().get()), u64::from(quota.burst().get()));
        let interval = nanos(quota.per()).div_ceil(calls - burst + 1).max(1);
        Self { interval, tolerance: interval.saturating_mul(burst - 1), next: Time::ZERO }
    }

    /// Starts with an empty bucket: what was sent up to now counts.
    fn from(mut self, now: Time) -> Self {
        self.next = now.after(Duration::from_nanos(self.interval.saturating_add(self.tolerance)));
        self
    }

    fn free_at(&self) -> Time {
        self.next.before(Duration::from_nanos(self.tolerance))
    }

    fn spend(&mut self, now: Time) {
        self.next = self.next.max(now).after(Duration::from_nanos(self.interval));
    }
}

/// How many answers came in the last minute, second by second.
#[derive(Debug)]
struct LastMinute {
    counts: [u32; 60],
    second: u64,
}

impl Default for LastMinute {
    fn default() -> Self {
        Self { counts: [0; 60], second: 0 }
    }
}

impl LastMinute {
    fn record(&mut self, now: Time) {
        self.advance(now);
        if let Some(count) = self.counts.get_mut((self.second % 60) as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn count(&mut self, now: Time) -> u32 {
        self.advance(now);
        self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Returns whether some came in the minute before the last one, which itself came within a minute.
    fn is_recent(&self, now: Time) -> bool {
        now.as_secs().saturating_sub(self.second) < 60 && self.counts.iter().any(|&count| count > 0)
    }

    fn advance(&mut self, now: Time) {
        let second = now.as_secs();
        for passed in (self.second + 1..=second).take(60) {
            if let Some(count) = self.counts.get_mut((passed % 60) as usize) {
                *count = 0;
            }
        }
        self.second = self.second.max(second);
    }
}

//! The whole state, and the lock around it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;

use crate::faults::plan::FaultPlan;
use crate::model::job::JobScript;
use crate::record::log::RequestLog;
use crate::state::config::Config;
use crate::state::firewalls::Firewalls;
use crate::state::jobs::Jobs;
use crate::state::lockout::Lockout;
use crate::state::rate_limiter::RateLimiter;
use crate::state::tokens::Tokens;
use crate::util::clock::{Clock, format_http_date};
use crate::util::random::uuid;

/// What the handle and all requests share. The lock is never held across an await.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) endpoint: String,
    pub(crate) clock: Clock,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(config: Config, endpoint: String) -> Self {
        let state = Mutex::new(State::new(&config));
        Self { config, endpoint, clock: Clock::start(), state }
    }

    /// Returns the server's wall clock at `at`, with the offset that the user has set.
    pub(crate) fn unix_millis(&self, state: &State, at: Duration) -> i64 {
        self.clock.unix_millis(at).saturating_add(state.clock_offset)
    }

    /// Locks the state. A panic under the lock leaves at worst a wrong counter, so a poisoned
    /// lock is used.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct State {
    pub(crate) jobs: Jobs,
    pub(crate) faults: FaultPlan,
    pub(crate) rate_limiter: Option<RateLimiter>,
    pub(crate) log: RequestLog,
    pub(crate) tokens: Tokens,
    /// Of the only user.
    pub(crate) login_lockout: Lockout,
    /// By access key id, known or not.
    pub(crate) key_lockouts: HashMap<String, Lockout>,
    pub(crate) firewalls: Firewalls,
    /// How far the server's wall clock is ahead, in milliseconds.
    pub(crate) clock_offset: i64,
    pub(crate) latency: Duration,
    last_id: u64,
    /// The last `Date` header, and the second that it shows.
    date: (i64, HeaderValue),
}

impl State {
    fn new(config: &Config) -> Self {
        Self {
            jobs: Jobs::default(),
            faults: FaultPlan::default(),
            rate_limiter: None,
            log: RequestLog::new(config.record),
            tokens: Tokens::new(config.token.clone()),
            login_lockout: Lockout::default(),
            key_lockouts: HashMap::new(),
            firewalls: Firewalls::default(),
            clock_offset: 0,
            latency: config.latency,
            last_id: 0,
            date: (i64::MIN, HeaderValue::from_static("")),
        }
    }

    /// Starts a job and returns its id.
    pub(crate) fn add_job(&mut self, seed: u64, now: Duration, script: JobScript) -> Arc<str> {
        const JOB: u64 = 1;
        let id: Arc<str> = match &script.id {
            Some(id) => id.as_str().into(),
            None => uuid(seed, JOB, self.next_id()).into(),
        };
        self.jobs.add(id.clone(), script.start(seed, &id, now));
        id
    }

    /// Returns a number that no other id of this simulator has.
    pub(crate) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Returns the `Date` header. It is formatted once a second.
    pub(crate) fn date(&mut self, unix_millis: i64) -> HeaderValue {
        let second = unix_millis.div_euclid(1000);
        if self.date.0 != second {
            let text = format_http_date(unix_millis);
            self.date =
                (second, HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")));
        }
        self.date.1.clone()
    }
}

//! Everything the simulator knows, behind one lock that is never held across an await.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;

use crate::builder::Config;
use crate::clock::{Clock, http_date};
use crate::firewalls::Firewalls;
use crate::iam::Logins;
use crate::keys::Keys;
use crate::limiter::Limiter;
use crate::random::uuid;
use crate::record::Record;
use crate::script::{Job, JobScript, JobView};
use crate::tokens::Tokens;
use crate::trouble::Trouble;

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

    /// What the server's wall clock shows at `at`, right or wrong.
    pub(crate) fn unix_millis(&self, state: &State, at: Duration) -> i64 {
        self.clock.unix_millis(at).saturating_add(state.clock_offset)
    }

    /// A panic elsewhere leaves counters at worst one off: not worth a second panic here.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct State {
    pub(crate) jobs: HashMap<Arc<str>, Entry>,
    pub(crate) trouble: Trouble,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) record: Record,
    pub(crate) tokens: Tokens,
    pub(crate) logins: Logins,
    pub(crate) keys: Keys,
    pub(crate) firewalls: Firewalls,
    /// How far the server's wall clock is ahead of the truth, in milliseconds.
    pub(crate) clock_offset: i64,
    pub(crate) latency: Duration,
    ids: u64,
    date: (i64, HeaderValue),
}

/// All about one job id, whether there is such a job or clients merely ask for it.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) job: Option<Job>,
    pub(crate) polls: u64,
    pub(crate) in_flight: u32,
    /// The path of the last poll, shared by the records of all polls that look alike.
    pub(crate) path: Option<Arc<str>>,
}

impl State {
    fn new(config: &Config) -> Self {
        Self {
            jobs: HashMap::new(),
            trouble: Trouble::default(),
            limiter: None,
            record: Record::new(config.record),
            tokens: Tokens::new(config.token.clone()),
            logins: Logins::default(),
            keys: Keys::default(),
            firewalls: Firewalls::default(),
            clock_offset: 0,
            latency: config.latency,
            ids: 0,
            date: (i64::MIN, HeaderValue::from_static("")),
        }
    }

    pub(crate) fn add_job(&mut self, seed: u64, now: Duration, script: JobScript) -> Arc<str> {
        const JOB: u64 = 1;
        let id: Arc<str> = match &script.id {
            Some(id) => id.as_str().into(),
            None => uuid(seed, JOB, self.next_id()).into(),
        };
        let job = script.start(seed, &id, now);
        self.jobs.entry(id.clone()).or_default().job = Some(job);
        id
    }

    pub(crate) fn view(&self, id: &str, now: Duration) -> Option<JobView<'_>> {
        self.jobs.get(id)?.job.as_ref()?.view(now)
    }

    /// The entry of a job somebody asks for, made if need be, and its one shared id.
    pub(crate) fn entry(&mut self, id: String) -> (Arc<str>, &mut Entry) {
        let id = self
            .jobs
            .get_key_value(id.as_str())
            .map_or_else(|| id.into(), |(known, _)| known.clone());
        let entry = self.jobs.entry(id.clone()).or_default();
        (id, entry)
    }

    pub(crate) const fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The `Date` header, printed once a second.
    pub(crate) fn date(&mut self, unix_millis: i64) -> HeaderValue {
        let second = unix_millis.div_euclid(1000);
        if self.date.0 != second {
            let text = http_date(unix_millis);
            self.date =
                (second, HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")));
        }
        self.date.1.clone()
    }
}

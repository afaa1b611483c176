use std::fmt;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Config;
use crate::fault::Fault;
use crate::limiter::Limiter;
use crate::random::hex_id;
use crate::record::{Connections, Counts, Request, Route};
use crate::script::JobScript;
use crate::server::{listen, run};
use crate::state::Shared;
use crate::trouble::Trouble;

/// How `begin_time` and `end_time` are written: the manual says one thing and shows another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// Integers, milliseconds since 1970; null while the job runs.
    #[default]
    Millis,
    /// Text such as `2023-10-26T10:30:00+0800`; empty while the job runs.
    Text,
}

/// A running simulator. Clones are handles to the same one; it stops when the last is dropped.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

struct Server {
    stop: watch::Sender<()>,
    /// Closed when the server has ended.
    alive: watch::Receiver<()>,
}

impl Simulator {
    /// Settings for a simulator, all with defaults.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder {
            config: Config::default(),
        }
    }

    /// A simulator with default settings on the current runtime.
    ///
    /// # Errors
    ///
    /// When no port of 127.0.0.1 can be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// `http://127.0.0.1:PORT`, for CFW and IAM alike.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.shared.endpoint.clone()
    }

    /// The one project of this cloud.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.shared.config.project_id
    }

    /// A token that is valid from the start and does not expire by itself.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.shared.config.token
    }

    /// The time since the start: what [`Request::at`] is measured in.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// Adds a job, whose clock starts now, and returns its id. A job of the same id is replaced.
    pub fn add_job(&self, script: JobScript) -> String {
        self.shared
            .lock()
            .add_job(self.shared.config.seed, self.now(), script)
            .as_ref()
            .to_owned()
    }

    /// Adds `count` jobs that follow one script, each with its own id and its own draws.
    pub fn add_jobs(&self, count: usize, script: &JobScript) -> Vec<String> {
        (0..count).map(|_| self.add_job(script.clone())).collect()
    }

    /// Ends a running job with `Success`. False if there is none of this id, or it has ended.
    pub fn finish(&self, id: &str) -> bool {
        self.end(id, false)
    }

    /// Ends a running job with `Failed`. False if there is none of this id, or it has ended.
    pub fn fail(&self, id: &str) -> bool {
        self.end(id, true)
    }

    fn end(&self, id: &str, failed: bool) -> bool {
        let mut state = self.shared.lock();
        let now = self.now();
        let job = state.jobs.get_mut(id).and_then(|entry| entry.job.as_mut());
        job.is_some_and(|job| job.end(now, failed))
    }

    /// Forgets a job: from now on it "does not exist". False if there is none of this id.
    pub fn forget(&self, id: &str) -> bool {
        self.shared
            .lock()
            .jobs
            .get_mut(id)
            .is_some_and(|entry| entry.job.take().is_some())
    }

    /// The next `n` polls, whichever jobs they are about, meet `fault`. Calls queue up.
    pub fn fail_next(&self, n: u32, fault: Fault) {
        self.fail_next_on(Route::ListJob, n, fault);
    }

    /// The next `n` requests on this route meet `fault`. Calls queue up, per route.
    pub fn fail_next_on(&self, route: Route, n: u32, fault: Fault) {
        self.shared.lock().trouble.plan_next(route, n, fault);
    }

    /// The next polls of this job meet these faults, one each. Calls queue up.
    ///
    /// They go before all other faults.
    pub fn fail_polls(&self, id: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().trouble.plan_polls(id, faults);
    }

    /// An outage or a throttled spell: every request to CFW meets `fault` while it lasts.
    ///
    /// The span counts from now: `..ms(500)` for the next half second, `ms(100)..ms(500)` with a
    /// delay, `..` until [`heal`](Self::heal). IAM, in truth another host, is spared.
    pub fn fail_during(&self, span: impl RangeBounds<Duration>, fault: Fault) {
        self.plan_spell(None, &span, fault);
    }

    /// As [`fail_during`](Self::fail_during), for one route.
    pub fn fail_during_on(&self, route: Route, span: impl RangeBounds<Duration>, fault: Fault) {
        self.plan_spell(Some(route), &span, fault);
    }

    fn plan_spell(&self, route: Option<Route>, span: &impl RangeBounds<Duration>, fault: Fault) {
        let now = self.now();
        let from_now = |bound: Bound<&Duration>| bound.map(|offset| now.saturating_add(*offset));
        let span = (from_now(span.start_bound()), from_now(span.end_bound()));
        self.shared.lock().trouble.plan_spell(route, span, fault);
    }

    /// This share of all polls, from 0 to 1, meets one of these faults.
    ///
    /// Which poll meets which is decided by the seed, the job's id and how many polls that job has
    /// had before, so the order in which requests arrive changes nothing. Replaces an earlier call.
    pub fn fail_randomly(&self, share: f64, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().trouble.plan_random(share, faults);
    }

    /// Drops all planned faults.
    pub fn heal(&self) {
        self.shared.lock().trouble = Trouble::default();
    }

    /// From now on each API of CFW allows so many calls per window; more get 429, `APIGW.0308` and
    /// the quota in the text, without a `Retry-After`, as seen of the real one.
    ///
    /// A window opens with the first call after the last one has closed. Refused calls count.
    /// The text names the window only where it is whole seconds.
    pub fn rate_limit(&self, calls: u32, per: Duration) {
        self.shared.lock().limiter = Some(Limiter::new(calls, per));
    }

    /// Ends the [`rate_limit`](Self::rate_limit).
    pub fn lift_rate_limit(&self) {
        self.shared.lock().limiter = None;
    }

    /// From now on every request waits so long before it is looked at.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.lock().latency = latency;
    }

    /// The record, in the order of arrival. Empty if the builder switched it off.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().record.kept.clone().unwrap_or_default()
    }

    /// The recorded polls of one job, in the order of arrival.
    #[must_use]
    pub fn polls_of(&self, id: &str) -> Vec<Request> {
        let of_job = |request: &&Request| request.job.as_deref() == Some(id);
        self.shared
            .lock()
            .record
            .kept
            .iter()
            .flatten()
            .filter(of_job)
            .cloned()
            .collect()
    }

    /// How many requests there were, by kind; counted also when nothing is recorded.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.lock().record.counts
    }

    /// Requests in flight at this moment.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.shared.lock().record.in_flight
    }

    /// The most requests that were in flight at once.
    #[must_use]
    pub fn max_in_flight(&self) -> u32 {
        self.shared.lock().record.max_in_flight
    }

    /// Connections accepted, open, and open at most.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.shared.lock().record.connections
    }

    /// Forgets the recorded requests, the counts and the most in flight, not the connections.
    pub fn clear_requests(&self) {
        self.shared.lock().record.clear();
    }

    /// Closes every connection and returns when the port is free again, however many handles live.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves a simulator that stops all the same.
    pub async fn shutdown(&self) {
        self.server.stop.send_replace(());
        // Nothing is ever sent: the channel closes when the server has ended.
        let _ = self.server.alive.clone().changed().await;
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("endpoint", &self.shared.endpoint)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Simulator`] before it starts.
#[derive(Clone, Debug)]
#[must_use = "call `start` or `start_on_thread`"]
pub struct SimulatorBuilder {
    config: Config,
}

impl SimulatorBuilder {
    /// Decides ids, random durations and random faults. By default 0: every run is alike.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self.config.project_id = project_id(seed);
        self
    }

    /// The port on 127.0.0.1; 0, the default, lets the system choose a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.config.port = port;
        self
    }

    /// How jobs tell their times. By default [`TimeFormat::Millis`].
    pub fn times(mut self, times: TimeFormat) -> Self {
        self.config.times = times;
        self
    }

    /// How long every request waits before it is looked at. By default not at all.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.config.latency = latency;
        self
    }

    /// Whether requests are recorded, at some 130 bytes each. By default they are; counts, the
    /// most in flight and connections are kept in any case.
    pub fn record(mut self, record: bool) -> Self {
        self.config.record = record;
        self
    }

    /// Starts the server on the current runtime.
    ///
    /// Not for a runtime whose clock is paused: it would jump to the next timer whenever it waits
    /// for a socket. [`start_on_thread`](Self::start_on_thread) is safe there.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    pub async fn start(self) -> io::Result<Simulator> {
        let (simulator, server) = self.bind()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the server's one task; its connections live inside it"
        )]
        tokio::spawn(server);
        Ok(simulator)
    }

    /// Starts the server on a thread of its own, named `cfw-simulator`, with its own runtime, so
    /// that its CPU time and its clock are not the client's. Needs no runtime to be called.
    ///
    /// # Errors
    ///
    /// When the port, the thread or its runtime cannot be had.
    pub fn start_on_thread(self) -> io::Result<Simulator> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (simulator, server) = {
            let _context = runtime.enter();
            self.bind()?
        };
        thread::Builder::new()
            .name("cfw-simulator".to_owned())
            .spawn(move || runtime.block_on(server))?;
        Ok(simulator)
    }

    fn bind(self) -> io::Result<(Simulator, impl Future<Output = ()> + Send + 'static)> {
        let listener = listen(self.config.port)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(self.config, endpoint));
        let (stop, stopped) = watch::channel(());
        let (ended, alive) = watch::channel(());
        let simulator = Simulator {
            shared: shared.clone(),
            server: Arc::new(Server { stop, alive }),
        };
        let server = async move {
            run(listener, shared, stopped).await;
            drop(ended);
        };
        Ok((simulator, server))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            port: 0,
            times: TimeFormat::default(),
            latency: Duration::ZERO,
            record: true,
            project_id: project_id(0),
            token: "simulated-token".to_owned(),
        }
    }
}

fn project_id(seed: u64) -> String {
    const PROJECT: u64 = 3;
    hex_id(seed, PROJECT, 0)
}

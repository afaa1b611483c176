use std::fmt;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::accounts::{AccessKey, User};
use crate::builder::{Config, SimulatorBuilder};
use crate::fault::Fault;
use crate::limiter::Limiter;
use crate::record::{Connections, Counts, Request, Route};
use crate::script::JobScript;
use crate::state::Shared;
use crate::tokens::TokenRefusal;
use crate::trouble::Trouble;

pub(crate) const REGION: &str = "eu-de";
pub(crate) const PROJECT_NAME: &str = "eu-de_simulated";

/// A running simulator. Clones are handles to the same one; it stops when the last is dropped.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

/// Dropping it stops the server.
pub(crate) struct Server {
    pub(crate) stop: watch::Sender<()>,
    /// Closed when the server has ended.
    pub(crate) alive: watch::Receiver<()>,
}

impl Simulator {
    /// Settings for a simulator, all with defaults.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder { config: Config::default() }
    }

    /// A simulator with default settings on the current runtime.
    ///
    /// # Errors
    ///
    /// When no port of 127.0.0.1 can be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    pub(crate) fn new(shared: Arc<Shared>, server: Server) -> Self {
        Self { shared, server: Arc::new(server) }
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

    /// The name of the project. As in the real cloud it begins with the region, here `eu-de`.
    #[must_use]
    pub fn project_name(&self) -> &'static str {
        PROJECT_NAME
    }

    /// The IAM user who can get tokens.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.shared.config.user
    }

    /// The key that signatures are checked against.
    #[must_use]
    pub fn access_key(&self) -> &AccessKey {
        &self.shared.config.access_key
    }

    /// The time since the start: what [`Request::at`] is measured in.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// Adds a job, whose clock starts now, and returns its id. A job of the same id is replaced.
    pub fn add_job(&self, script: JobScript) -> String {
        self.shared.lock().add_job(self.shared.config.seed, self.now(), script).as_ref().to_owned()
    }

    /// Adds `count` jobs that follow one script, each with its own draws and an id of its own in
    /// place of the script's.
    pub fn add_jobs(&self, count: usize, script: &JobScript) -> Vec<String> {
        let mut script = script.clone();
        script.id = None;
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
        self.shared.lock().jobs.get_mut(id).is_some_and(|entry| entry.job.take().is_some())
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

    /// From now on no token issued so far is known, the static one included.
    pub fn revoke_tokens(&self) {
        self.shared.lock().tokens.revoke();
    }

    /// All tokens issued so far expire now, the static one included.
    pub fn expire_tokens(&self) {
        self.shared.lock().tokens.expire(self.now());
    }

    /// How tokens are refused from now on. By default as the gateway does: 401, `APIGW.0301`.
    pub fn set_token_refusal(&self, refusal: TokenRefusal) {
        self.shared.lock().tokens.refusal = refusal;
    }

    /// The server's wall clock is ahead of the truth from now on. It shows in the `Date` header,
    /// in all times the service tells, and in the 15 minutes that signatures are good for.
    pub fn set_clock_ahead(&self, by: Duration) {
        self.shared.lock().clock_offset = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    }

    /// As [`set_clock_ahead`](Self::set_clock_ahead), behind the truth.
    pub fn set_clock_behind(&self, by: Duration) {
        self.shared.lock().clock_offset = i64::try_from(by.as_millis()).map_or(i64::MIN, |by| -by);
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
        self.shared.lock().record.kept.iter().flatten().filter(of_job).cloned().collect()
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
        f.debug_struct("Simulator").field("endpoint", &self.shared.endpoint).finish_non_exhaustive()
    }
}

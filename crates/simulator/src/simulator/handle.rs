//! The handle of a running simulator.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::faults::fault::Fault;
use crate::faults::plan::FaultPlan;
use crate::model::account::{AccessKey, User};
use crate::model::job::JobScript;
use crate::model::route::Route;
use crate::record::request::{Connections, Counts, Request};
use crate::state::config::PROJECT_NAME;
use crate::state::rate_limiter::RateLimiter;
use crate::state::shared::Shared;
use crate::state::tokens::TokenRefusal;

/// A running simulator. Clones are handles to the same simulator, which stops when the last one is
/// dropped.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: Arc<ServerHandle>,
}

/// Stops the server when it is dropped.
pub(crate) struct ServerHandle {
    pub(crate) stop: watch::Sender<()>,
    /// Closed when the server has ended.
    pub(crate) ended: watch::Receiver<()>,
}

impl Simulator {
    pub(crate) fn new(shared: Arc<Shared>, server: ServerHandle) -> Self {
        Self { shared, server: Arc::new(server) }
    }

    /// Returns `http://127.0.0.1:PORT`, the endpoint of both CFW and IAM.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.shared.endpoint.clone()
    }

    /// Returns the id of the only project.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.shared.config.project_id
    }

    /// Returns a token that is valid from the start and has no time of expiry.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.shared.config.token
    }

    /// Returns the name of the project. As in a real cloud it begins with the region, here `eu-de`.
    #[must_use]
    pub fn project_name(&self) -> &'static str {
        PROJECT_NAME
    }

    /// Returns the IAM user that tokens are issued to.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.shared.config.user
    }

    /// Returns the key that signatures are checked against.
    #[must_use]
    pub fn access_key(&self) -> &AccessKey {
        &self.shared.config.access_key
    }

    /// Returns the time since the start, on the clock of [`Request::at`].
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// Adds a job, which starts now, and returns its id. Replaces a job with the same id.
    pub fn add_job(&self, script: JobScript) -> String {
        self.shared.lock().add_job(self.shared.config.seed, self.now(), script).as_ref().to_owned()
    }

    /// Adds `count` jobs with one script, and returns their ids. Random times and failures are drawn
    /// for each job, and the script's id is ignored.
    pub fn add_jobs(&self, count: usize, script: &JobScript) -> Vec<String> {
        let mut script = script.clone();
        script.id = None;
        (0..count).map(|_| self.add_job(script.clone())).collect()
    }

    /// Ends a running job with `Success`. Returns false if there is no job with this id, or it has
    /// ended.
    pub fn finish(&self, id: &str) -> bool {
        self.end(id, false)
    }

    /// Ends a running job with `Failed`. Returns false if there is no job with this id, or it has
    /// ended.
    pub fn fail(&self, id: &str) -> bool {
        self.end(id, true)
    }

    fn end(&self, id: &str, fails: bool) -> bool {
        self.shared.lock().jobs.end(id, self.now(), fails)
    }

    /// Removes a job, so that polls get 400 and `CFW.00200005`. Returns false if there is no job
    /// with this id.
    pub fn remove_job(&self, id: &str) -> bool {
        self.shared.lock().jobs.remove(id)
    }

    /// Adds a fault for the next `n` polls, of any job. Calls add up.
    pub fn fail_next(&self, n: u32, fault: Fault) {
        self.fail_next_on(Route::ListJob, n, fault);
    }

    /// Adds a fault for the next `n` requests on this route. Calls add up, per route.
    pub fn fail_next_on(&self, route: Route, n: u32, fault: Fault) {
        self.shared.lock().faults.add_queued(route, n, fault);
    }

    /// Adds faults for the next polls of this job, one each. Calls add up.
    ///
    /// They take precedence over all other faults.
    pub fn fail_polls(&self, id: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().faults.add_for_job(id, faults);
    }

    /// Adds a fault for all requests to CFW in a span of time, as in an outage.
    ///
    /// The span counts from now: `..ms(500)` for the next half second, `ms(100)..ms(500)` with a
    /// delay, `..` until [`clear_faults`](Self::clear_faults). IAM is not affected, because it is
    /// another host in a real cloud.
    pub fn fail_during(&self, span: impl RangeBounds<Duration>, fault: Fault) {
        self.add_timed(None, &span, fault);
    }

    /// Adds a fault for all requests on one route in a span of time, counted as in
    /// [`fail_during`](Self::fail_during).
    pub fn fail_during_on(&self, route: Route, span: impl RangeBounds<Duration>, fault: Fault) {
        self.add_timed(Some(route), &span, fault);
    }

    fn add_timed(&self, route: Option<Route>, span: &impl RangeBounds<Duration>, fault: Fault) {
        let now = self.now();
        let from_now = |bound: Bound<&Duration>| bound.map(|offset| now.saturating_add(*offset));
        let span = (from_now(span.start_bound()), from_now(span.end_bound()));
        self.shared.lock().faults.add_timed(route, span, fault);
    }

    /// Sets faults for a random share of all polls, from 0 to 1. Replaces those of an earlier call.
    ///
    /// The fault of a poll depends on the seed, the job's id and the number of earlier polls of that
    /// job, and not on the order in which requests arrive.
    pub fn fail_randomly(&self, share: f64, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().faults.set_random(share, faults);
    }

    /// Removes all planned faults.
    pub fn clear_faults(&self) {
        self.shared.lock().faults = FaultPlan::default();
    }

    /// Limits each API of CFW to `calls` calls per window. Further calls get 429, `APIGW.0308` and
    /// the quota in the text, without a `Retry-After`, as observed on the real service.
    ///
    /// A window opens with the first call after the previous window has closed. Refused calls count.
    /// The text names the window only if it is whole seconds.
    pub fn set_rate_limit(&self, calls: u32, per: Duration) {
        self.shared.lock().rate_limiter = Some(RateLimiter::new(calls, per));
    }

    /// Removes the [rate limit](Self::set_rate_limit).
    pub fn clear_rate_limit(&self) {
        self.shared.lock().rate_limiter = None;
    }

    /// Revokes all tokens issued so far, including the [static one](Self::token).
    pub fn revoke_tokens(&self) {
        self.shared.lock().tokens.revoke_all();
    }

    /// Lets all tokens issued so far expire now, including the [static one](Self::token).
    pub fn expire_tokens(&self) {
        self.shared.lock().tokens.expire_all(self.now());
    }

    /// Sets the answer to tokens that are not valid. By default it is the gateway's: 401 and
    /// `APIGW.0301`.
    pub fn set_token_refusal(&self, refusal: TokenRefusal) {
        self.shared.lock().tokens.refusal = refusal;
    }

    /// Sets the server's wall clock ahead. This affects the `Date` header, all times in answers, and
    /// the 15 minutes for which signatures are valid.
    pub fn set_clock_ahead(&self, by: Duration) {
        self.shared.lock().clock_offset = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    }

    /// Sets the server's wall clock behind, with the effects of
    /// [`set_clock_ahead`](Self::set_clock_ahead).
    pub fn set_clock_behind(&self, by: Duration) {
        self.shared.lock().clock_offset = i64::try_from(by.as_millis()).map_or(i64::MIN, |by| -by);
    }

    /// Sets the delay of every request before it is processed.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.lock().latency = latency;
    }

    /// Returns the recorded requests in the order of arrival. There are none if the builder
    /// [disabled](crate::SimulatorBuilder::record) the record.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().log.requests().to_vec()
    }

    /// Returns the recorded polls of one job in the order of arrival.
    #[must_use]
    pub fn polls_of(&self, id: &str) -> Vec<Request> {
        let of_job = |request: &&Request| request.job.as_deref() == Some(id);
        self.shared.lock().log.requests().iter().filter(of_job).cloned().collect()
    }

    /// Returns the number of requests by kind. They are counted even if none are recorded.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.lock().log.counts()
    }

    /// Returns the number of requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.shared.lock().log.in_flight()
    }

    /// Returns the highest number of requests in flight at once.
    #[must_use]
    pub fn max_in_flight(&self) -> u32 {
        self.shared.lock().log.max_in_flight()
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.shared.lock().log.connections()
    }

    /// Removes the recorded requests and resets all counts but those of connections.
    pub fn clear_requests(&self) {
        self.shared.lock().log.clear();
    }

    /// Closes all connections, and returns once the port is free. Other handles may still exist.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the simulator stops nevertheless.
    pub async fn shutdown(&self) {
        self.server.stop.send_replace(());
        // No value is ever sent. The error means that the server has ended.
        let _ = self.server.ended.clone().changed().await;
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("endpoint", &self.shared.endpoint).finish_non_exhaustive()
    }
}

//! A client that starts anew when its connections are not to be trusted any more.
//!
//! reqwest cannot close a single connection of its pool, so the whole client is replaced: the next request opens a new
//! connection, for which the name is resolved again. Requests in flight keep the old client and end as they do. Only a
//! failure of a request that the current client sent replaces it, so that failures that were under way together
//! replace it once.
//!
//! - A timeout replaces the client at once where requests share a connection (HTTP/2): that one may be dead. Over
//!   HTTP/1.1 hyper closes the connection of a request that has timed out.
//! - Failures in a row, and HTTP 421 at once, replace it at most every few seconds, more and more rarely: the
//!   name may lead to another machine by now. An answer that is not the service's own word is a failure, too, and two of
//!   them are enough, because three in a row can end a wait: the one that decides comes over a new connection.
//!
//! A new client with the system's certificates costs some 5 ms of CPU (220 KB of them, optimised build), nearly all for
//! reading these, and one without certificates 5 µs.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use reqwest::Version;
use tokio::time::Instant;

use crate::ConfigError;

/// The number of failures in a row that replaces the client.
const FAILURES: u32 = 3;
/// The same if the last of them was an answer that is not the service's own word.
const FOREIGN_ANSWERS: u32 = 2;
/// The shortest and the longest time between two replacements because of failures in a row.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// A request that its caller drops after this time, or half of its limit, counts as timed out.
const PATIENCE: Duration = Duration::from_secs(1);
const MISDIRECTED_REQUEST: u16 = 421;

/// Makes a client. Called again whenever the client is replaced.
type Build = Box<dyn Fn() -> Result<reqwest::Client, ConfigError> + Send + Sync>;

/// The current client, and what its requests came to.
pub(super) struct ClientPool {
    build: Build,
    current: Mutex<Current>,
    iam: ServerState,
    service: ServerState,
}

/// The servers of a client. They may speak different versions of HTTP, and one may be well while the other is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Iam,
    Service,
}

/// What the answers of a server show of its connections.
#[derive(Debug, Default)]
struct ServerState {
    /// Failures in a row.
    failures: AtomicU32,
    saw_http1: AtomicBool,
    saw_http2: AtomicBool,
}

impl ServerState {
    /// Returns whether requests may share a connection: until an answer shows that they do not.
    fn is_shared(&self) -> bool {
        self.saw_http2.load(Relaxed) || !self.saw_http1.load(Relaxed)
    }

    fn note(&self, version: Version) {
        let seen = if version == Version::HTTP_2 { &self.saw_http2 } else { &self.saw_http1 };
        if !seen.load(Relaxed) {
            seen.store(true, Relaxed);
        }
    }
}

struct Current {
    client: reqwest::Client,
    generation: u64,
    /// Set when the next request must not use the client.
    is_stale: bool,
    limit: RenewalLimit,
}

impl ClientPool {
    pub(super) fn new(build: Build) -> Result<Self, ConfigError> {
        let client = build()?;
        Ok(Self {
            build,
            current: Mutex::new(Current {
                client,
                generation: 0,
                is_stale: false,
                limit: RenewalLimit::default(),
            }),
            iam: ServerState::default(),
            service: ServerState::default(),
        })
    }

    /// Starts a request to `server` at `now` that may take as long as `limit`.
    pub(super) fn start(&self, server: Server, now: Instant, limit: Duration) -> PooledRequest<'_> {
        let mut current = self.current();
        if current.is_stale {
            match (self.build)() {
                Ok(client) => {
                    tracing::debug!("connections replaced");
                    current.client = client;
                    current.generation += 1;
                }
                // Without certificates or file descriptors, say. The old client is better than none.
                Err(error) => tracing::debug!(%error, "connections not replaced"),
            }
            current.is_stale = false;
        }
        PooledRequest {
            pool: Some(self),
            server,
            client: current.client.clone(),
            generation: current.generation,
            started: now,
            patience: PATIENCE.min(limit / 2),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self, server: Server) -> &ServerState {
        match server {
            Server::Iam => &self.iam,
            Server::Service => &self.service,
        }
    }

    fn timed_out(&self, server: Server, generation: u64) {
        if self.server(server).is_shared() {
            let mut current = self.current();
            current.is_stale |= generation == current.generation;
        }
    }

    /// Records a failure. As many in a row as `enough` replace the client.
    fn failed(&self, server: Server, generation: u64, enough: u32) {
        if self.server(server).failures.fetch_add(1, SeqCst).saturating_add(1) >= enough {
            self.replace(generation);
        }
    }

    /// Replaces the client unless that happened a short time ago.
    fn replace(&self, generation: u64) {
        let mut current = self.current();
        if generation == current.generation && !current.is_stale && current.limit.allows(now()) {
            current.is_stale = true;
        }
    }
}

impl std::fmt::Debug for ClientPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let generation = self.current().generation;
        f.debug_struct("ClientPool").field("generation", &generation).finish_non_exhaustive()
    }
}

/// A request. Dropped after a while without a result, it counts as timed out.
pub(super) struct PooledRequest<'a> {
    /// None for a client of the application, and once the result is known.
    pool: Option<&'a ClientPool>,
    server: Server,
    client: reqwest::Client,
    generation: u64,
    started: Instant,
    patience: Duration,
}

impl PooledRequest<'_> {
    /// Starts a request of a client that is not ours to replace.
    pub(super) fn of_application(client: &reqwest::Client, now: Instant) -> Self {
        Self {
            pool: None,
            server: Server::Service,
            client: client.clone(),
            generation: 0,
            started: now,
            patience: Duration::MAX,
        }
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Returns whether the request counts as timed out if it is dropped at `now`.
    fn is_late(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.started) >= self.patience
    }

    /// Records the answer. One that is `foreign` does not come from the service, as far as its body shows.
    pub(super) fn answered(&mut self, status: u16, version: Version, foreign: bool) {
        let Some(pool) = self.pool.take() else { return };
        let server = pool.server(self.server);
        server.note(version);
        match status {
            MISDIRECTED_REQUEST => pool.replace(self.generation),
            // The service answers, and says that it is too much.
            429 => (),
            500..=599 => pool.failed(self.server, self.generation, FAILURES),
            _ if foreign => pool.failed(self.server, self.generation, FOREIGN_ANSWERS),
            _ => {
                if server.failures.load(Relaxed) != 0 {
                    server.failures.store(0, Relaxed);
                }
            }
        }
    }

    /// Records that no complete answer came.
    pub(super) fn failed(&mut self, error: &reqwest::Error) {
        let Some(pool) = self.pool.take() else { return };
        // Without a connection there is none to replace.
        if error.is_connect() {
            return;
        }
        if error.is_timeout() {
            pool.timed_out(self.server, self.generation);
        }
        pool.failed(self.server, self.generation, FAILURES);
    }

    /// Records that the limit passed without a complete answer.
    pub(super) fn timed_out(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        pool.timed_out(self.server, self.generation);
        pool.failed(self.server, self.generation, FAILURES);
    }
}

impl Drop for PooledRequest<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take()
            && self.is_late(now())
        {
            pool.timed_out(self.server, self.generation);
        }
    }
}

/// How often failures in a row may replace the client.
#[derive(Debug)]
struct RenewalLimit {
    last: Option<Instant>,
    interval: Duration,
}

impl Default for RenewalLimit {
    fn default() -> Self {
        Self { last: None, interval: MIN_INTERVAL }
    }
}

impl RenewalLimit {
    /// Returns whether the client may be replaced now. If so, the next time is later.
    fn allows(&mut self, now: Instant) -> bool {
        let Some(last) = self.last.replace(now) else { return true };
        let since = now.saturating_duration_since(last);
        if since < self.interval {
            self.last = Some(last);
            return false;
        }
        self.interval = match since > MAX_INTERVAL.saturating_mul(2) {
            true => MIN_INTERVAL,
            false => self.interval.saturating_mul(2).min(MAX_INTERVAL),
        };
        true
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures how long a request has taken, and paces new connections"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;

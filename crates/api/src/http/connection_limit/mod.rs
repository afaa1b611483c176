//! Opens no more connections than there are requests at once.
//!
//! In hyper's pool a request that opens a connection may use another one that becomes free meanwhile. The new
//! connection then joins the pool although no request needs it. A connection also returns to the pool shortly
//! after its answer, so that a request sent in between opens one more. Both lead to more connections than
//! requests at once, and each costs the service a handshake.
//!
//! Closed connections are not reported, so the count is an upper bound. While it is below the number of requests,
//! a connection is opened at once. Otherwise a request waits until no connection is about to become free. If one
//! does, the request uses it and opens none.
//!
//! After a client was replaced (see [`client_pool`](super::client_pool)), the idle connections of the old one stay open beside
//! those of the new one, as long as a request of the old one is in flight: reqwest closes neither one by one.

use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{task, time};
use tower_layer::Layer;
use tower_service::Service;

/// How long a new or returned connection takes to join the pool, if the machine is idle. A few tasks run once, without waiting
/// for the network; Tokio's timer has no finer resolution.
const SETTLE: Duration = Duration::from_millis(2);
/// How often all tasks that are ready run before none of them is expected to bring a connection: one wakes the next.
const ROUNDS: u32 = 8;
/// The longest wait for another connection. Connections being opened may hang, and all connections may be to
/// another host, such as IAM's.
const MAX_WAIT: Duration = Duration::from_millis(250);

tokio::task_local! {
    /// Set while a request is polled. hyper continues to open a connection that its request no longer needs in a
    /// task of its own, where this is not set.
    static REQUEST: ();
}

type BoxError = Box<dyn StdError + Send + Sync>;

fn is_request_active() -> bool {
    REQUEST.try_with(|()| ()).is_ok()
}

/// A layer that limits the connections of a connector. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimiter {
    counts: Arc<Mutex<Counts>>,
    max_wait: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    requests: usize,
    /// Connections opened or being opened, including closed ones.
    connections: usize,
    /// Connections being opened for which no request waits.
    orphans: usize,
    /// Counts events after which a connection joins the pool or is closed.
    events: u64,
}

impl ConnectionLimiter {
    /// Makes a limiter whose waits leave most of `connect_timeout` for connecting.
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { counts: Arc::default(), max_wait: MAX_WAIT.min(connect_timeout / 4) }
    }

    /// Registers a request until the returned guard is dropped.
    pub(crate) fn start_request(&self) -> ActiveRequest<'_> {
        self.counts().requests += 1;
        ActiveRequest(self)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection may be opened.
    async fn acquire(&self) -> PendingConnection<'_> {
        {
            let mut counts = self.counts();
            if counts.connections < counts.requests {
                return self.open(&mut counts);
            }
        }
        // After the longest wait, one connection too many is better than a late request.
        #[expect(clippy::disallowed_methods, reason = "far below the delays between polls")]
        let is_settled = time::timeout(self.max_wait, self.settled()).await.is_ok();
        if !is_settled {
            // The thread of the connections may have been busy for all that time, with a flood.
            run_ready_tasks().await;
        }
        let mut counts = self.counts();
        if is_settled {
            // No connection is idle, so each has a request other than this one.
            counts.connections = counts.connections.min(counts.requests.saturating_sub(1));
        }
        self.open(&mut counts)
    }

    fn open(&self, counts: &mut Counts) -> PendingConnection<'_> {
        counts.connections += 1;
        PendingConnection { limiter: self, is_orphaned: false, has_failed: true }
    }

    /// Waits until no connection is about to join the pool or to reach a request.
    #[expect(clippy::disallowed_methods, reason = "far below the delays between polls")]
    async fn settled(&self) {
        loop {
            let before = self.counts().events;
            time::sleep(SETTLE).await;
            run_ready_tasks().await;
            let counts = self.counts();
            if counts.orphans == 0 && counts.events == before {
                break;
            }
        }
    }
}

/// Lets the tasks run that bring a connection to the request that is polled, which ends this wait: those of the runtime of the
/// connections, where this is polled, and then those of the caller's. A busy machine may have run none of them while time passed.
async fn run_ready_tasks() {
    #[expect(clippy::disallowed_methods, reason = "ends by itself, as soon as the runtime turns")]
    let turned = tokio::spawn(yield_often());
    // A runtime that has ended brings no connection.
    let _ = turned.await;
    yield_often().await;
}

async fn yield_often() {
    for _ in 0..ROUNDS {
        task::yield_now().await;
    }
}

/// A request that may have to open a connection.
#[derive(Debug)]
pub(crate) struct ActiveRequest<'a>(&'a ConnectionLimiter);

impl ActiveRequest<'_> {
    pub(crate) async fn send<F: Future>(&self, request: F) -> F::Output {
        REQUEST.scope((), request).await
    }
}

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        counts.requests -= 1;
        counts.events += 1;
    }
}

impl<S> Layer<S> for ConnectionLimiter {
    type Service = LimitedConnector<S>;

    fn layer(&self, connector: S) -> LimitedConnector<S> {
        LimitedConnector { connector: Arc::new(connector), limiter: self.clone() }
    }
}

/// A connector that waits for its [`ConnectionLimiter`].
#[derive(Debug)]
pub(crate) struct LimitedConnector<S> {
    /// Shared, because hyper clones its connector several times per request and reqwest's consists of boxes.
    connector: Arc<S>,
    limiter: ConnectionLimiter,
}

impl<S> Clone for LimitedConnector<S> {
    fn clone(&self) -> Self {
        Self { connector: Arc::clone(&self.connector), limiter: self.limiter.clone() }
    }
}

impl<S, Target> Service<Target> for LimitedConnector<S>
where
    S: Service<Target, Error = BoxError> + Clone + Send + Sync + 'static,
    S::Future: Send,
    Target: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The inner connector is made ready in `call`.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let Self { connector, limiter } = self.clone();
        Box::pin(async move {
            let mut acquire = pin!(limiter.acquire());
            let mut opening = poll_fn(|cx| match is_request_active() {
                true => acquire.as_mut().poll(cx).map(Ok),
                false => Poll::Ready(Err(NotNeeded)),
            })
            .await?;
            let mut connecting = pin!(async {
                let mut connector = S::clone(&connector);
                poll_fn(|cx| connector.poll_ready(cx)).await?;
                connector.call(target).await
            });
            let opened = poll_fn(|cx| {
                if !is_request_active() {
                    opening.mark_orphaned();
                }
                connecting.as_mut().poll(cx)
            });
            let opened = opened.await?;
            opening.has_failed = false;
            Ok(opened)
        })
    }
}

/// A connection being opened.
struct PendingConnection<'a> {
    limiter: &'a ConnectionLimiter,
    is_orphaned: bool,
    has_failed: bool,
}

impl PendingConnection<'_> {
    /// Records that no request waits for the connection.
    fn mark_orphaned(&mut self) {
        if !std::mem::replace(&mut self.is_orphaned, true) {
            self.limiter.counts().orphans += 1;
        }
    }
}

impl Drop for PendingConnection<'_> {
    fn drop(&mut self) {
        let mut counts = self.limiter.counts();
        counts.events += 1;
        counts.orphans -= usize::from(self.is_orphaned);
        // A request that waited may have corrected the count meanwhile.
        counts.connections = counts.connections.saturating_sub(usize::from(self.has_failed));
    }
}

/// The error for a connection that is no longer needed. Only hyper receives it.
#[derive(Debug)]
struct NotNeeded;

impl fmt::Display for NotNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request has found another connection")
    }
}

impl StdError for NotNeeded {}

#[cfg(test)]
mod tests;

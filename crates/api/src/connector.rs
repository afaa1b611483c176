//! Opens no more connections than there are requests at once.
//!
//! hyper's pool lets a request that opens a connection take another's that comes free meanwhile, and the one
//! being opened then joins the pool, unasked for. And a connection comes back a moment after the answer that it
//! brought, so that a request sent in between opens one more. Either way there are more connections than ever
//! carried a request at the same time, and each costs the service a handshake.
//!
//! Nobody tells when a connection is closed, so what is known is an upper bound of their number. Below the number
//! of requests a connection is opened at once. Else a request waits until none is about to come; meanwhile it
//! takes whichever does, and then opens none.

use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time;
use tower_layer::Layer;
use tower_service::Service;

/// How long a connection takes to join the pool, opened or come back: some tasks run once, and none waits for
/// the network. Tokio's timer is no finer.
const MOMENT: Duration = Duration::from_millis(2);
/// How long to wait, at the most. Connections on the way may hang, and the traffic may all be with another host: the
/// one that gives tokens, say, which is asked a few times a day.
const PATIENCE: Duration = Duration::from_millis(250);

tokio::task_local! {
    /// Set while a request is polled. A connection whose request has found another goes on in a task of
    /// hyper's, where this is not set.
    static REQUEST: ();
}

type BoxError = Box<dyn StdError + Send + Sync>;

fn is_in_request() -> bool {
    REQUEST.try_with(|()| ()).is_ok()
}

/// Makes a connector thrifty. Clones share what they know.
#[derive(Clone, Debug)]
pub(crate) struct Thrift {
    traffic: Arc<Mutex<Traffic>>,
    patience: Duration,
}

#[derive(Debug, Default)]
struct Traffic {
    requests: usize,
    /// Connections opened or being opened; some may be closed.
    connections: usize,
    /// Connections being opened that no request waits for.
    strays: usize,
    /// Counts what brings a connection into the pool a moment later, or closes one.
    events: u64,
}

impl Thrift {
    /// For connections that may take as long as `connect_timeout`, the wait included.
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { traffic: Arc::default(), patience: PATIENCE.min(connect_timeout / 4) }
    }

    /// A request begins; it ends when this is dropped.
    pub(crate) fn begin(&self) -> InRequest<'_> {
        self.traffic().requests += 1;
        InRequest(self)
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection is to be opened.
    async fn turn(&self) -> Opening<'_> {
        {
            let mut traffic = self.traffic();
            if traffic.connections < traffic.requests {
                return self.open(&mut traffic);
            }
        }
        // When patience ends, a connection too many is the lesser evil.
        #[expect(clippy::disallowed_methods, reason = "far below the delays between polls")]
        let _ = time::timeout(self.patience, self.quiet()).await;
        let mut traffic = self.traffic();
        // None is idle, so those that there are have a request each, other than this one.
        traffic.connections = traffic.connections.min(traffic.requests.saturating_sub(1));
        self.open(&mut traffic)
    }

    fn open(&self, traffic: &mut Traffic) -> Opening<'_> {
        traffic.connections += 1;
        Opening { thrift: self, is_stray: false, has_failed: true }
    }

    /// Waits until no connection is about to come.
    #[expect(clippy::disallowed_methods, reason = "far below the delays between polls")]
    async fn quiet(&self) {
        loop {
            let before = self.traffic().events;
            time::sleep(MOMENT).await;
            let traffic = self.traffic();
            if traffic.strays == 0 && traffic.events == before {
                break;
            }
        }
    }
}

/// A request that may have to open a connection.
#[derive(Debug)]
pub(crate) struct InRequest<'a>(&'a Thrift);

impl InRequest<'_> {
    pub(crate) async fn send<F: Future>(&self, request: F) -> F::Output {
        REQUEST.scope((), request).await
    }
}

impl Drop for InRequest<'_> {
    fn drop(&mut self) {
        let mut traffic = self.0.traffic();
        traffic.requests -= 1;
        traffic.events += 1;
    }
}

impl<S> Layer<S> for Thrift {
    type Service = Thrifty<S>;

    fn layer(&self, connector: S) -> Thrifty<S> {
        Thrifty { connector: Arc::new(connector), thrift: self.clone() }
    }
}

/// A connector that opens no more than is needed.
#[derive(Debug)]
pub(crate) struct Thrifty<S> {
    /// Shared, since hyper clones its connector several times for each request, and reqwest's is made of boxes.
    connector: Arc<S>,
    thrift: Thrift,
}

impl<S> Clone for Thrifty<S> {
    fn clone(&self) -> Self {
        Self { connector: Arc::clone(&self.connector), thrift: self.thrift.clone() }
    }
}

impl<S, Target> Service<Target> for Thrifty<S>
where
    S: Service<Target, Error = BoxError> + Clone + Send + Sync + 'static,
    S::Future: Send,
    Target: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The one that is asked is made ready when it is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let Self { connector, thrift } = self.clone();
        Box::pin(async move {
            let mut turn = pin!(thrift.turn());
            let mut opening = poll_fn(|cx| match is_in_request() {
                true => turn.as_mut().poll(cx).map(Ok),
                false => Poll::Ready(Err(Unneeded)),
            })
            .await?;
            let mut connecting = pin!(async {
                let mut connector = S::clone(&connector);
                poll_fn(|cx| connector.poll_ready(cx)).await?;
                connector.call(target).await
            });
            let opened = poll_fn(|cx| {
                if !is_in_request() {
                    opening.stray();
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
struct Opening<'a> {
    thrift: &'a Thrift,
    is_stray: bool,
    has_failed: bool,
}

impl Opening<'_> {
    /// No request waits for it.
    fn stray(&mut self) {
        if !std::mem::replace(&mut self.is_stray, true) {
            self.thrift.traffic().strays += 1;
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut traffic = self.thrift.traffic();
        traffic.events += 1;
        traffic.strays -= usize::from(self.is_stray);
        // Another one, which has waited, may have set the number right since.
        traffic.connections = traffic.connections.saturating_sub(usize::from(self.has_failed));
    }
}

/// Why a connection was not opened after all. Only hyper sees it.
#[derive(Debug)]
struct Unneeded;

impl fmt::Display for Unneeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request has found another connection")
    }
}

impl StdError for Unneeded {}

#[cfg(test)]
mod tests;

//! The one clock of this crate: for signatures, the expiry of tokens, and dates in `Retry-After`.

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    pub(crate) fn system() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the clock; tests hand in their own"
        )]
        Self(Arc::new(SystemTime::now))
    }

    #[cfg(test)]
    pub(crate) fn new(read: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }
}

/// Gives up on `future` after `limit`.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    #[expect(
        clippy::disallowed_methods,
        reason = "credentials have limits of their own, apart from any board's"
    )]
    tokio::time::timeout(limit, future).await.ok()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

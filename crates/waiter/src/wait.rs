//! One job as a future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::FusedFuture;

use crate::board::{SavedJob, WaitOptions, WatchKey};
use crate::driver::shared::{Shared, wall_clock};
use crate::spans::{SpanLevel, WaitSpan};
use crate::{Checkpoint, JobId, Outcome, Policy, UpdateKind};

/// Waits for one job: see [`Waiter::wait_for_job`](crate::Waiter::wait_for_job).
///
/// It resolves at or before its deadline, 30 minutes from its first poll unless set otherwise, and settings
/// freeze at that poll. Polled again after it has resolved, it stays pending.
///
/// # Cancel safety
///
/// Dropping it ends the wait: no further request is made for it, one in flight for it alone is aborted, and
/// other waits, also for the same job, are undisturbed. The job itself goes on. A new wait for the same id
/// starts afresh. To cancel from elsewhere, use `tokio::select!` or `CancellationToken::run_until_cancelled`.
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Wait {
    shared: Arc<Shared>,
    id: JobId,
    state: State,
    span_level: SpanLevel,
    span: WaitSpan,
}

enum State {
    New(WaitOptions),
    Waiting(WatchKey),
    Done,
}

impl Wait {
    pub(crate) fn new(shared: Arc<Shared>, id: JobId, options: WaitOptions) -> Self {
        let state = State::New(options);
        let (span_level, span) = (SpanLevel::default(), WaitSpan::default());
        Self { shared, id, state, span_level, span }
    }

    pub(crate) fn span_level(mut self, level: SpanLevel) -> Self {
        self.span_level = level;
        self
    }

    /// Sets how long this wait may take, from its first poll on, whatever its policy says.
    ///
    /// Zero ends it at once without a request. After the first poll this changes nothing.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let State::New(options) = &mut self.state {
            options.timeout = Some(timeout);
        }
        self
    }

    /// Sets how this wait is judged. Its timeout counts unless [`timeout`](Self::timeout) sets another.
    ///
    /// The minimum interval of the waiter holds all the same. After the first poll this changes nothing.
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        if let State::New(options) = &mut self.state {
            options.policy = policy.into();
        }
        self
    }

    /// Sets how old the job is when the wait begins: how long ago the request was sent that created it. Default: zero.
    ///
    /// The schedule polls an older job less often, and is evaluated at the job's age, which is this and the age of the wait.
    /// The deadline still counts from when the wait begins. After the first poll this changes nothing.
    pub fn since(mut self, age: Duration) -> Self {
        if let State::New(options) = &mut self.state {
            options.since = age;
        }
        self
    }

    /// Sets the kind of the job, such as `create-firewall`. Default: `default`.
    ///
    /// A [schedule that learns](crate::Schedule::learned) learns from past jobs of the same kind; others ignore it. If waits on
    /// one job have several kinds, each kind learns it. After the first poll this changes nothing.
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        if let State::New(options) = &mut self.state {
            options.kind = Some(kind.into());
        }
        self
    }

    /// Returns the id of the job that is waited for.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Returns what another process needs to go on, by [`Waiter::resume`](crate::Waiter::resume): a checkpoint of this job, of
    /// none once the future has returned its end.
    pub fn checkpoint(&self) -> Checkpoint {
        match &self.state {
            State::New(options) => {
                let now = self.shared.now();
                let saved = SavedJob::pending(self.id.clone(), options, Duration::ZERO, now);
                Checkpoint::new([saved], wall_clock())
            }
            State::Waiting(key) => self.shared.checkpoint(*key),
            State::Done => Checkpoint::default(),
        }
    }

    fn begin(&mut self, options: WaitOptions) -> WatchKey {
        self.span = WaitSpan::of_wait(self.span_level, &self.id);
        self.shared.wait(self.id.clone(), options, &self.span)
    }
}

impl Future for Wait {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let key = match std::mem::replace(&mut this.state, State::Done) {
            State::New(options) => this.begin(options),
            State::Waiting(key) => key,
            State::Done => return Poll::Pending,
        };
        this.state = State::Waiting(key);
        loop {
            let Some(update) = ready!(this.shared.next_update(key, cx.waker())) else {
                return Poll::Pending;
            };
            let UpdateKind::Ended(outcome) = update.kind else { continue };
            this.state = State::Done;
            this.shared.close(key);
            this.span.log_end(&this.id, &outcome);
            return Poll::Ready(outcome);
        }
    }
}

impl FusedFuture for Wait {
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let State::Waiting(key) = self.state {
            self.span.record_drop();
            self.shared.close(key);
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::New(_) => "new",
            State::Waiting(_) => "waiting",
            State::Done => "done",
        };
        f.debug_struct("Wait").field("id", &self.id).field("state", &state).finish_non_exhaustive()
    }
}

//! The only task: does what the board wants and feeds back the answers. It decides nothing.

mod in_flight;
pub(crate) mod shared;
mod waker;

use std::error::Error;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};
use tracing::{Level, debug, trace, warn};

use self::in_flight::{Answers, InFlightSet};
use self::shared::{Driver, Shared};
pub(crate) use self::waker::DriverWaker;
use crate::board::{Action, LogEvent, Time};
use crate::{JobId, JobSource, JobState, SourceError};

/// How much the driver does before it lets other tasks run.
const STEPS_PER_TURN: u32 = 128;

/// Starts the task that drives the board until nobody waits.
pub(crate) fn start<S: JobSource>(
    shared: &Arc<Shared>,
    source: &Arc<S>,
    runtime: &Handle,
    driver: Driver,
) {
    let source = Arc::clone(source);
    // Made before the task is spawned: a runtime that shuts down drops the task without polling it.
    let guard = StopGuard { shared: Arc::clone(shared), number: driver.number };
    let drive = async move {
        let source = &*source;
        let fetch = |id: JobId| async move { source.fetch(&id).await };
        let turn = DriverTask {
            shared: &guard.shared,
            number: driver.number,
            requests: InFlightSet::new(Arc::clone(&driver.waker)),
            waker: &driver.waker,
            fetch,
            woken: Vec::new(),
            answers: Vec::new(),
            has_let_others: false,
        };
        turn.drive().await;
    };
    drop(runtime.spawn(drive));
}

/// Ends all waits if the driver is dropped before it is done, as it is with its runtime (rule 12). After
/// that the board has another driver or none, and this changes nothing.
struct StopGuard {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.shared.driver_stopped(self.number);
    }
}

struct DriverTask<'a, F, Fut> {
    shared: &'a Shared,
    number: u64,
    waker: &'a DriverWaker,
    fetch: F,
    requests: InFlightSet<Fut>,
    woken: Vec<usize>,
    /// What has come, and the board does not know yet.
    answers: Answers,
    /// Whether the last turn ended early, so that other tasks could run.
    has_let_others: bool,
}

enum Next {
    /// Nothing to do before this moment, unless the waker rings.
    Sleep(Option<Time>),
    /// There is more to do, after other tasks have run.
    Yield,
    /// Nobody waits, or another driver is at work.
    End,
}

impl<F, Fut> DriverTask<'_, F, Fut>
where
    F: Fn(JobId) -> Fut,
    Fut: Future<Output = Result<JobState, SourceError>>,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "the one timer: it sleeps until the board's next wake"
    )]
    async fn drive(mut self) {
        let mut timer = pin!(tokio::time::sleep_until(Instant::now()));
        std::future::poll_fn(|cx| self.poll(cx, timer.as_mut())).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        // Before the board is looked at, so that no ring in between is missed.
        self.waker.register(cx.waker());
        loop {
            match self.step() {
                Next::End => return Poll::Ready(()),
                Next::Yield => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::Sleep(wake) => {
                    let Some(wake) = wake.and_then(|wake| self.shared.instant(wake)) else {
                        return Poll::Pending;
                    };
                    if timer.deadline() != wake {
                        timer.as_mut().reset(wake);
                    }
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Next {
        let logging = tracing::enabled!(Level::WARN);
        let before = self.answers.len();
        self.waker.take_woken(&mut self.woken);
        for slot in self.woken.drain(..) {
            self.requests.poll(slot, &mut self.answers);
        }
        let now = self.shared.now();
        // A client takes its connection back in a task of its own, which was woken with the answer: a request
        // sent before that task has run would open another one. But answers that keep coming must not keep
        // requests from being sent, so this is done every other time at the most.
        let has_answers = self.answers.len() > before;
        let let_others_first = has_answers && !self.has_let_others;
        self.has_let_others = let_others_first;
        for _ in 0..STEPS_PER_TURN {
            // One lock per order, so that little lies between "still wanted" and the request itself (rule 10).
            let (next, log_events) = self.shared.with(|core| {
                if !core.is_driven_by(self.number) {
                    return (Err(Next::End), Vec::new());
                }
                for (request, answer) in &self.answers {
                    core.board.handle_answer(now, *request, answer);
                }
                core.board.handle_time(now);
                if let_others_first {
                    return (Err(Next::Yield), core.board.take_log_events(logging));
                }
                let next = core.board.poll_action(now).ok_or_else(|| {
                    if core.stop_if_idle() {
                        Next::End
                    } else {
                        Next::Sleep(core.board.next_wake())
                    }
                });
                (next, core.board.take_log_events(logging))
            });
            // Only now, outside the lock, whatever the board made of them: see `Action::Drop`.
            self.answers.clear();
            log_events.into_iter().for_each(log);
            match next {
                Ok(Action::Poll { request, id }) => {
                    trace!(job = %id, "polling");
                    self.requests.start(request, (self.fetch)(id), &mut self.answers);
                }
                Ok(Action::Abort(request)) => self.requests.abort(request),
                Ok(Action::Wake(waker)) => waker.wake(),
                Ok(Action::Drop(deferred)) => drop(deferred),
                Err(next) => return next,
            }
        }
        Next::Yield
    }
}

fn log(note: LogEvent) {
    match note {
        LogEvent::Changed { id, from, to } => {
            debug!(job = %id, from = from.as_deref(), to = &*to, "status changed")
        }
        LogEvent::Trouble { id, error, first: true } => {
            warn!(job = %id, error = %Chain(&error), "polling is in trouble")
        }
        LogEvent::Trouble { id, error, first: false } => {
            debug!(job = %id, error = %Chain(&error), "polling this job is in trouble");
        }
    }
}

/// An error and what caused it, in one line: a log has no other place for the causes.
struct Chain<'a>(&'a SourceError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

//! The drivers: the only tasks of this crate. They do what the board wants and feed back the answers, and decide nothing.

mod drivers;
mod in_flight;
mod log;
pub(crate) mod shared;
mod waker;

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};
use tracing::{Level, trace};

use self::drivers::{Aftermath, Driver};
use self::in_flight::{Answers, InFlightSet, Revoke};
use self::log::LogLine;
use self::shared::{Core, Shared};
use crate::board::{Action, Role, Time};
use crate::spans::{PollSpan, WaitSpan};
use crate::util::contain::{contain, contain_drop};
use crate::{Attempt, JobId, JobSource, JobState, SourceError};

/// How much a driver does before it lets other tasks run.
const STEPS_PER_TURN: u32 = 128;
/// How often a leader tries again to empty the in-flight set of a driver that is in a turn, and may be blocked there.
const RETRY: Duration = Duration::from_millis(5);

/// Starts the task that drives the board for the waits on one runtime.
pub(crate) fn start<S: JobSource>(
    shared: &Arc<Shared>,
    source: &Arc<S>,
    runtime: &Handle,
    driver: Arc<Driver>,
) {
    let source = Arc::clone(source);
    let fetch = move |id: JobId, timeout: Duration| {
        let source = Arc::clone(&source);
        async move { source.fetch(&id, Attempt::new(timeout)).await }
    };
    let in_flight = Arc::new(Mutex::new(InFlightSet::new(Arc::clone(&driver))));
    let revocable: Arc<dyn Revoke> = Arc::<Mutex<_>>::clone(&in_flight);
    driver.set_in_flight(Arc::downgrade(&revocable));
    // Made before the task is spawned: a runtime that shuts down drops the task without polling it.
    let guard = StopGuard { shared: Arc::clone(shared), driver, in_flight };
    let drive = async move {
        let task = DriverTask {
            shared: &guard.shared,
            driver: &guard.driver,
            in_flight: &guard.in_flight,
            fetch,
            woken: Vec::new(),
            answers: Vec::new(),
            has_let_others: false,
        };
        task.drive().await;
    };
    drop(runtime.spawn(drive));
}

/// Drops the requests in flight, and ends the waits of a driver that is dropped before it is done, as it is with its
/// runtime (rule 12).
struct StopGuard<F> {
    shared: Arc<Shared>,
    driver: Arc<Driver>,
    in_flight: Arc<Mutex<InFlightSet<F>>>,
}

impl<F> Drop for StopGuard<F> {
    fn drop(&mut self) {
        // Before the lead is given up: the next leader may send requests for the same jobs at once.
        in_flight::clear_on_end(&self.in_flight);
        self.shared.driver_stopped(&self.driver);
    }
}

struct DriverTask<'a, F, Fut> {
    shared: &'a Arc<Shared>,
    driver: &'a Arc<Driver>,
    in_flight: &'a Mutex<InFlightSet<Fut>>,
    fetch: F,
    woken: Vec<usize>,
    /// Answers that the board has not got yet.
    answers: Answers,
    /// Whether the last turn ended early, so that other tasks could run.
    has_let_others: bool,
}

/// What a driver does after a turn.
enum Next {
    /// Nothing before this moment, unless it is notified.
    Sleep(Option<Time>),
    /// More, after other tasks have run.
    Yield,
    /// Nothing more, ever.
    End,
}

/// What follows from a step outside the lock, beside what it says to do.
#[derive(Default)]
struct Follow {
    /// Whether there is to be a log.
    logging: bool,
    log: Vec<LogLine>,
    /// The spans of the waits on the job that is polled.
    spans: Vec<WaitSpan>,
}

/// What a driver does outside the lock.
enum Step {
    Act(Action),
    /// Empty the in-flight sets of former leaders.
    Revoke(Vec<Arc<dyn Revoke>>),
    /// End the turn, once drivers have been started and woken.
    Stop(Next, Aftermath),
}

impl<F, Fut> DriverTask<'_, F, Fut>
where
    F: Fn(JobId, Duration) -> Fut,
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
        // Before the board is looked at, so that no notification in between is missed.
        self.driver.waker.register(cx.waker());
        loop {
            match self.turn() {
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

    fn turn(&mut self) -> Next {
        // Held for the whole turn: a driver that takes the lead over knows by it that no request is making progress.
        let Some(mut in_flight) = in_flight::try_lock(self.in_flight) else { return Next::Yield };
        // The subscriber is user code.
        let logging = contain(|| tracing::enabled!(Level::WARN)).unwrap_or(false);
        self.driver.waker.take_woken(&mut self.woken);
        if !self.woken.is_empty() {
            if self.shared.with(|core| core.drivers.leads(self.driver)) {
                for slot in self.woken.drain(..) {
                    in_flight.poll(slot, &mut self.answers);
                }
            } else {
                // Another driver leads: these requests must not go on.
                self.woken.clear();
                in_flight.clear();
            }
        }
        let now = self.shared.now();
        self.driver.begin_turn(now);
        // A client takes its connection back in a task of its own, which was woken with the answer: a request
        // sent before that task has run would open another one. But answers that keep coming must not keep
        // requests from being sent, so this is done every other turn at the most.
        let lets_others_first = !self.answers.is_empty() && !self.has_let_others;
        self.has_let_others = lets_others_first;
        // While a set that it must empty is held, a leader does no more than a stand-by.
        let mut is_held_back = false;
        for _ in 0..STEPS_PER_TURN {
            // One lock per action, so that little lies between "still wanted" and the request itself (rule 10).
            let mut follow = Follow { logging, ..Follow::default() };
            let step = self.shared.with(|core| {
                let step = self.step(core, now, lets_others_first, is_held_back, &mut follow);
                if logging {
                    follow.log.extend(core.take_log(logging, None));
                }
                step
            });
            follow.log.into_iter().for_each(|line| line.write(&self.answers));
            // Only now, outside the lock: see `Action::Drop`.
            in_flight::drop_answers(&mut self.answers);
            match step {
                Step::Act(Action::Poll { request, id, timeout }) => {
                    let span = PollSpan::new(&follow.spans, &id);
                    let _ = contain(|| span.enter(|| trace!(job = %id, "polling")));
                    let fetch = span.run(|| (self.fetch)(id, timeout));
                    in_flight.start(request, fetch, span, &mut self.answers);
                }
                Step::Act(Action::Abort(request)) => in_flight.abort(request),
                Step::Act(Action::Wake(waker)) => drop(contain(|| waker.wake())),
                Step::Act(Action::Drop(deferred)) => contain_drop(deferred),
                Step::Revoke(mut sets) => {
                    let count = sets.len();
                    let own = self.driver.in_flight();
                    sets.retain(|set| {
                        // Its own is locked by this turn.
                        if own.as_ref().is_some_and(|own| Arc::ptr_eq(own, set)) {
                            in_flight.clear();
                            return true;
                        }
                        set.try_revoke()
                    });
                    is_held_back = sets.len() < count;
                    self.shared.with(|core| core.drivers.forget_revoked(&sets));
                }
                Step::Stop(next, aftermath) => {
                    if !aftermath.is_empty() {
                        self.shared.carry_out(aftermath);
                    }
                    return next;
                }
            }
        }
        Next::Yield
    }

    /// Feeds the board and asks it for the next action, under the lock.
    fn step(
        &self,
        core: &mut Core,
        now: Time,
        lets_others_first: bool,
        is_held_back: bool,
        follow: &mut Follow,
    ) -> Step {
        let Some(role) = core.drivers.role(self.driver) else {
            return Step::Stop(Next::End, Aftermath::default());
        };
        for (index, answered) in self.answers.iter().enumerate() {
            core.board.handle_answer(now, answered.request, &answered.answer);
            if follow.logging {
                follow.log.extend(core.take_log(true, Some(index)));
            }
        }
        core.board.handle_time(now);
        let role = if is_held_back { Role::StandBy } else { role };
        if role == Role::Leader && !core.drivers.revoked().is_empty() {
            return Step::Revoke(core.drivers.revoked().to_vec());
        }
        if lets_others_first {
            return Step::Stop(Next::Yield, Aftermath::default());
        }
        if let Some(action) = core.board.poll_action(now, role) {
            if let Action::Poll { id, .. } = &action {
                follow.spans = core.spans_on(id);
            }
            return Step::Act(action);
        }
        let mut aftermath = core.follow(Some(self.driver));
        let next = match core.drivers.role(self.driver) {
            None => Next::End,
            Some(Role::Leader) if is_held_back => {
                let wakes = [core.board.next_deadline(), Some(now.after(RETRY))];
                Next::Sleep(wakes.into_iter().flatten().min())
            }
            Some(Role::Leader) => Next::Sleep(core.board.next_turn()),
            Some(Role::StandBy) => {
                let supervision =
                    core.drivers.supervise(self.driver, &mut core.board, now, &mut aftermath);
                let wakes = [core.board.next_deadline(), supervision];
                Next::Sleep(wakes.into_iter().flatten().min())
            }
        };
        if let Next::Sleep(wake) = &next {
            self.driver.sleep_until(*wake);
        }
        Step::Stop(next, aftermath)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Weak;

    use super::*;
    use crate::board::{AttemptTimeouts, Budget, WaitOptions};
    use crate::{Policy, source_fn};

    /// A driver and the set of its requests refer to one another.
    #[test]
    fn a_driver_that_has_ended_leaves_nothing() {
        type Started = Arc<Mutex<Vec<Weak<Driver>>>>;
        let source = Arc::new(source_fn(|_| async { Ok(JobState::succeeded()) }));
        let started = Started::default();
        let start = {
            let started = Arc::clone(&started);
            move |shared: &Arc<Shared>, runtime: &Handle, driver| {
                started.lock().unwrap_or_else(|e| e.into_inner()).push(Arc::downgrade(&driver));
                start(shared, &source, runtime, driver);
            }
        };
        let budget = Budget {
            max_in_flight: 1,
            quota: None,
            min_interval: Duration::from_millis(500),
            attempt_timeouts: AttemptTimeouts::new(Duration::from_secs(1), |timeout| timeout),
            resolution: Duration::from_millis(2),
        };
        let shared = Shared::new(7, budget, None, Box::new(start));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let options = WaitOptions::new(Arc::new(Policy::new()));
            let mut wait = crate::Wait::new(Arc::clone(&shared), "job".into(), options);
            assert!(Pin::new(&mut wait).await.is_ok());
            tokio::task::yield_now().await;
        });
        let started = started.lock().unwrap_or_else(|e| e.into_inner());
        assert_eq!(started.len(), 1);
        assert_eq!(started.iter().filter(|driver| driver.strong_count() > 0).count(), 0);
    }
}

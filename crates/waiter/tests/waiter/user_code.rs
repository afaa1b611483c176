//! Code of the user that runs in the driver: wakers, errors, panic payloads, requests. It runs outside
//! the lock, so it may use the waiter; and where it panics, that harms its own job only (rule 12).

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use cfw_waiter::{
    ErrorClass, JobState, Outcome, SourceError, UpdateKind, WaitErrorKind, Waiter, Watch,
};
use futures_util::future::Either;
use futures_util::poll;
use tokio::time::{sleep, timeout};
use tracing::subscriber::Interest;

use crate::support::{current_thread, ms, quick, secs, within};

type Answer = Result<JobState, SourceError>;

/// What user code does where it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    UseWaiter,
    Panic,
}

/// User code. Clones share the waiter, which is made later, and the count.
#[derive(Clone, Debug)]
struct Code {
    act: Act,
    waiter: Arc<OnceLock<Waiter>>,
    runs: Arc<AtomicUsize>,
}

impl Code {
    fn new(act: Act) -> Self {
        Self { act, waiter: Arc::default(), runs: Arc::default() }
    }

    fn run(&self) {
        self.runs.fetch_add(1, Ordering::SeqCst);
        match self.act {
            Act::UseWaiter => {
                let waiter = self.waiter.get().expect("it was made");
                assert!(waiter.stats().watched > 0);
                drop(waiter.watch(["another"]));
            }
            // A second panic on one thread aborts the process, whoever catches the first.
            Act::Panic if thread::panicking() => {}
            Act::Panic => panic!("user code panics"),
        }
    }

    fn has_run(&self) -> bool {
        self.runs.load(Ordering::SeqCst) > 0
    }
}

/// Runs user code when it is dropped.
#[derive(Debug)]
struct OnDrop(Code);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.run();
    }
}

impl fmt::Display for OnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error with a destructor")
    }
}

impl Error for OnDrop {}

/// Runs user code when it is shown.
#[derive(Debug)]
struct OnDisplay(Code);

impl fmt::Display for OnDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.run();
        f.write_str("an error with a message")
    }
}

impl Error for OnDisplay {}

/// Polls the jobs `bad` and `good` side by side on one driver. The latter must succeed. Gives the end
/// of the former. `fetch` is given the number of the request.
fn beside_a_good_job<F, Fut>(code: &Code, fetch: F) -> Outcome
where
    F: Fn(Code, u32) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let code = code.clone();
    within(secs(20), move || {
        let waiter = waiter(&code, fetch);
        current_thread().block_on(async {
            let good = tokio::spawn(waiter.wait_for_job("good"));
            let bad = tokio::spawn(waiter.wait_for_job("bad").timeout(secs(1)));
            good.await.unwrap().expect("the good job is undisturbed");
            bad.await.unwrap()
        })
    })
}

/// A waiter for the job `bad`, to which the source behaves as `fetch` does, and others, which succeed
/// after 30 requests.
fn waiter<F, Fut>(code: &Code, fetch: F) -> Waiter
where
    F: Fn(Code, u32) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let (bad, good) = (AtomicU32::new(0), AtomicU32::new(0));
    let user = code.clone();
    let waiter = quick(move |id| {
        if id.as_str() == "bad" {
            return Either::Left(fetch(user.clone(), bad.fetch_add(1, Ordering::SeqCst)));
        }
        let number = good.fetch_add(1, Ordering::SeqCst);
        let state = if number < 30 { JobState::running() } else { JobState::succeeded() };
        Either::Right(async { Ok(state) })
    });
    code.waiter.set(waiter.clone()).expect("the only one");
    waiter
}

/// Running with a new status at each request, so that the consumer has news; it ends at the 40th.
async fn restless(_: Code, number: u32) -> Answer {
    let running = JobState::running().with_status(format!("at step {number}"));
    Ok(if number < 40 { running } else { JobState::succeeded() })
}

const ACTS: [Act; 2] = [Act::UseWaiter, Act::Panic];

// Wakers.

/// Runs user code when it is woken, and when it is dropped.
struct UserWaker {
    on_wake: Option<Code>,
    _on_drop: Option<OnDrop>,
}

impl Wake for UserWaker {
    fn wake(self: Arc<Self>) {
        if let Some(code) = &self.on_wake {
            code.run();
        }
    }
}

/// Polls a watch once, and leaves the only clone of the waker with the waiter.
fn poll_with(watch: &mut Watch, waker: UserWaker) {
    let waker = Waker::from(Arc::new(waker));
    let next = std::pin::pin!(watch.next());
    assert!(next.poll(&mut Context::from_waker(&waker)).is_pending());
}

/// A watch with a waker of the user's beside a good job; afterwards it is polled as usual.
fn watch_with(code: &Code, waker: impl FnOnce(Code) -> UserWaker + Send + 'static) {
    let code = code.clone();
    within(secs(20), move || {
        let waiter = waiter(&code, restless);
        current_thread().block_on(async {
            let mut good = Box::pin(waiter.wait_for_job("good"));
            assert!(poll!(&mut good).is_pending());
            let mut watch = waiter.watch(["bad"]);
            poll_with(&mut watch, waker(code.clone()));
            good.await.expect("the good job is undisturbed");
            assert!(code.has_run(), "the waker was called");
            let ends = timeout(secs(5), watch.all()).await.expect("the watch ends");
            assert!(ends.iter().all(|(_, end)| end.is_ok()), "{ends:?}");
        });
    });
}

#[test]
fn a_waker_may_use_the_waiter_and_one_that_panics_harms_no_other_job() {
    for act in ACTS {
        watch_with(&Code::new(act), |code| UserWaker { on_wake: Some(code), _on_drop: None });
    }
}

#[test]
fn a_waker_that_uses_the_waiter_or_panics_when_dropped_harms_no_other_job() {
    for act in ACTS {
        let on_drop = |code| UserWaker { on_wake: None, _on_drop: Some(OnDrop(code)) };
        watch_with(&Code::new(act), on_drop);
    }
}

/// A handle wakes the consumer on the thread that uses the handle, which is somebody else's.
#[test]
fn a_waker_that_panics_harms_no_user_of_a_handle() {
    within(secs(20), || {
        let code = Code::new(Act::Panic);
        let waiter = waiter(&code, |_, _| pending());
        let runtime = current_thread();
        let _entered = runtime.enter();
        let mut watch = waiter.watch(["bad", "good"]);
        let handle = watch.handle();
        poll_with(&mut watch, UserWaker { on_wake: Some(code.clone()), _on_drop: None });
        let removed = catch_unwind(AssertUnwindSafe(|| handle.remove("bad")));
        assert!(removed.expect("the panic stays with the waker"));
        assert!(code.has_run(), "the waker was called");
        let update = runtime.block_on(watch.next()).expect("an end");
        assert!(matches!(update.kind, UpdateKind::Ended(Err(_))), "{update:?}");
    });
}

// Errors.

#[test]
fn an_error_that_uses_the_waiter_or_panics_while_it_is_logged_harms_no_other_job() {
    for level in [tracing::Level::WARN, tracing::Level::DEBUG] {
        for act in ACTS {
            let code = Code::new(act);
            let user = code.clone();
            within(secs(20), move || {
                let subscriber = tracing_subscriber::fmt().with_max_level(level);
                let subscriber = subscriber.with_writer(io::sink).finish();
                let _logged = tracing::subscriber::set_default(subscriber);
                let waiter = waiter(&user, |code, _| async {
                    Err(SourceError::new(ErrorClass::TRANSIENT, OnDisplay(code)))
                });
                current_thread().block_on(async {
                    let good = tokio::spawn(waiter.wait_for_job("good"));
                    let bad = tokio::spawn(waiter.wait_for_job("bad").timeout(ms(200)));
                    good.await.unwrap().expect("the good job is undisturbed");
                    let error = bad.await.unwrap().unwrap_err();
                    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
                });
            });
            assert!(code.has_run(), "the error was logged at {level}");
        }
    }
}

/// An error that a good answer makes old.
#[test]
fn an_error_that_uses_the_waiter_or_panics_when_dropped_harms_no_other_job() {
    for act in ACTS {
        let code = Code::new(act);
        let outcome = beside_a_good_job(&code, |code, number| async move {
            match number {
                0 => Err(SourceError::new(ErrorClass::TRANSIENT, OnDrop(code))),
                _ => Ok(JobState::succeeded()),
            }
        });
        assert!(code.has_run(), "the error was dropped");
        outcome.expect("a destructor says nothing of the job");
    }
}

/// Errors that follow one another, until the last is part of the job's end.
#[test]
fn errors_that_replace_one_another_and_panic_when_dropped_harm_no_other_job() {
    let code = Code::new(Act::Panic);
    let outcome = beside_a_good_job(&code, |code, number| async move {
        let class = if number < 5 { ErrorClass::TRANSIENT } else { ErrorClass::Fatal };
        Err(SourceError::new(class, OnDrop(code)))
    });
    assert!(code.has_run(), "errors were dropped");
    assert_eq!(outcome.as_ref().unwrap_err().kind(), WaitErrorKind::Fatal);
    // The last one belongs to the user, who has to bear its destructor.
    assert!(catch_unwind(AssertUnwindSafe(|| drop(outcome))).is_err());
}

/// The waiter, not the user of a wait, keeps the last error of a job.
#[test]
fn a_wait_is_dropped_in_peace_although_the_last_error_of_its_job_panics_when_dropped() {
    let code = Code::new(Act::Panic);
    let user = code.clone();
    within(secs(20), move || {
        let waiter = waiter(&user, |code, number| async move {
            match number {
                0 => Err(SourceError::new(ErrorClass::TRANSIENT, OnDrop(code))),
                _ => pending().await,
            }
        });
        current_thread().block_on(async {
            let mut good = Box::pin(waiter.wait_for_job("good"));
            assert!(poll!(&mut good).is_pending());
            let mut bad = Box::pin(waiter.wait_for_job("bad"));
            assert!(poll!(&mut bad).is_pending());
            while waiter.stats().transient == 0 {
                sleep(ms(1)).await;
            }
            // In flight or not, at any of these moments.
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(bad)));
            assert!(dropped.is_ok(), "the panic of the error's destructor comes out");
            good.await.expect("the good job is undisturbed");
        });
    });
    assert!(code.has_run(), "the error was dropped");
}

// Sources.

#[test]
fn a_panic_payload_that_uses_the_waiter_or_panics_when_dropped_harms_no_other_job() {
    for act in ACTS {
        let code = Code::new(act);
        let outcome = beside_a_good_job(&code, |code, _| async move { panic_any(OnDrop(code)) });
        assert!(code.has_run(), "the payload was dropped");
        assert_eq!(outcome.unwrap_err().kind(), WaitErrorKind::Panicked);
    }
}

#[test]
fn a_source_that_panics_when_called_harms_no_other_job() {
    let code = Code::new(Act::Panic);
    let outcome = beside_a_good_job(&code, |code, _| {
        code.run();
        pending()
    });
    assert_eq!(outcome.unwrap_err().kind(), WaitErrorKind::Panicked);
}

#[test]
fn a_source_that_panics_when_polled_harms_no_other_job() {
    for polls in [1, 2] {
        let code = Code::new(Act::Panic);
        let outcome = beside_a_good_job(&code, move |code, _| async move {
            for _ in 1..polls {
                tokio::task::yield_now().await;
            }
            code.run();
            pending().await
        });
        assert_eq!(outcome.unwrap_err().kind(), WaitErrorKind::Panicked);
    }
}

/// Whether the answer still counts that came before the destructor has run is left open.
#[test]
fn a_request_that_uses_the_waiter_or_panics_when_dropped_after_its_answer_harms_no_other_job() {
    for act in ACTS {
        let code = Code::new(act);
        // A future of its own, since a panic in what an async block holds comes before its answer.
        let outcome = beside_a_good_job(&code, |code, _| Answered(OnDrop(code)));
        assert!(code.has_run(), "the request was dropped");
        match outcome {
            Ok(_) => {}
            Err(error) => {
                assert_eq!((error.kind(), act), (WaitErrorKind::Panicked, Act::Panic));
            }
        }
    }
}

struct Answered(#[expect(dead_code, reason = "only its destructor counts")] OnDrop);

impl Future for Answered {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        Poll::Ready(Ok(JobState::succeeded()))
    }
}

/// Aborted: its wait ends by the deadline.
#[test]
fn a_request_that_uses_the_waiter_or_panics_when_aborted_harms_no_other_job() {
    for act in ACTS {
        let code = Code::new(act);
        let outcome = beside_a_good_job(&code, |code, _| async move {
            let _on_drop = OnDrop(code);
            sleep(secs(3_600)).await;
            Ok(JobState::running())
        });
        assert!(code.has_run(), "the request was dropped");
        assert_eq!(outcome.unwrap_err().kind(), WaitErrorKind::TimedOut);
    }
}

// Subscribers.

/// Panics at each event, and when it is asked whether it is interested.
struct PanickingSubscriber;

impl tracing::Subscriber for PanickingSubscriber {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        assert!(!metadata.target().starts_with("cfw_waiter"), "the subscriber has a bug");
        false
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        panic!("the subscriber has a bug");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Panics whenever a span or an event is touched, but at every second entry, so that spans are left, too.
#[derive(Clone, Default)]
struct PanickingSpans(Arc<Mutex<BTreeSet<&'static str>>>, Arc<AtomicUsize>);

impl PanickingSpans {
    fn fail(&self, call: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
        panic!("the subscriber has a bug in {call}");
    }
}

impl tracing::Subscriber for PanickingSpans {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("cfw_waiter")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {
        self.fail("record");
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {
        self.fail("record_follows_from");
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.fail("event");
    }

    fn enter(&self, _: &tracing::span::Id) {
        if self.1.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            self.fail("enter");
        }
    }

    fn exit(&self, _: &tracing::span::Id) {
        self.fail("exit");
    }

    fn try_close(&self, _: tracing::span::Id) -> bool {
        self.fail("try_close");
        true
    }
}

#[test]
fn a_subscriber_that_panics_at_each_span_harms_no_job() {
    let calls = within(secs(20), || {
        let subscriber = PanickingSpans::default();
        let _logged = tracing::subscriber::set_default(subscriber.clone());
        let polled = Arc::new(AtomicUsize::new(0));
        let waiter = quick(move |_| {
            let is_first = polled.fetch_add(1, Ordering::Relaxed) == 0;
            async move { Ok(if is_first { JobState::running() } else { JobState::succeeded() }) }
        });
        current_thread().block_on(async {
            let both =
                async { tokio::join!(waiter.wait_for_job("job"), waiter.wait_for_job("job")) };
            let (first, second) = timeout(secs(5), both).await.unwrap();
            assert_eq!((first.unwrap().polls, second.unwrap().polls), (2, 2));
            let ends = timeout(secs(5), waiter.watch(["one", "two"]).all()).await.unwrap();
            assert!(ends.len() == 2 && ends.iter().all(|(_, end)| end.is_ok()), "{ends:?}");
        });
        subscriber.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    });
    let all = ["enter", "event", "exit", "record", "record_follows_from", "try_close"];
    assert_eq!(calls, BTreeSet::from(all));
}

#[test]
fn a_subscriber_that_panics_harms_no_job() {
    within(secs(20), || {
        let _logged = tracing::subscriber::set_default(PanickingSubscriber);
        let waiter = quick(|_| async { Ok(JobState::succeeded()) });
        current_thread().block_on(async {
            timeout(secs(5), waiter.wait_for_job("good")).await.unwrap().unwrap();
            let ends = timeout(secs(5), waiter.watch(["one", "two"]).all()).await.unwrap();
            assert!(ends.len() == 2 && ends.iter().all(|(_, end)| end.is_ok()), "{ends:?}");
        });
    });
}

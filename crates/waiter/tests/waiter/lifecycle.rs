//! Dropping, runtimes that end or never were, drivers that come and go: rules 10 and 12.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cfw_waiter::{ErrorClass, SourceError, UpdateKind, WaitErrorKind, Waiter};
use tokio::runtime::{Builder, Handle};

use crate::support::{Act, Service, every, ms, paused, secs};

#[tokio::test(start_paused = true)]
async fn rule_10_dropping_a_wait_stops_its_polls_and_aborts_its_request() {
    let service = Service::new([("job", Act::Hang), ("other", Act::SucceedAfter(secs(30)))]);
    let waiter = service.waiter();
    let other = tokio::spawn(waiter.wait_for_job("other"));
    let wait = tokio::spawn(waiter.wait_for_job("job"));
    tokio::time::sleep(secs(3)).await;
    assert_eq!(service.polls_of("job"), 1);
    wait.abort();
    tokio::time::sleep(ms(1)).await;
    assert_eq!(service.dropped_in_flight.load(Ordering::SeqCst), 1);
    other.await.unwrap().unwrap();
    assert_eq!(service.polls_of("job"), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_10_dropping_a_watch_stops_its_polls_at_once() {
    let service = Service::new([]);
    for n in 0..100 {
        service.set(&format!("job-{n}"), Act::SucceedAfter(secs(1_000)));
    }
    let waiter = service.waiter();
    let mut watch = waiter.watch((0..100).map(|n| format!("job-{n}")));
    let _ = tokio::time::timeout(secs(30), async { while watch.next().await.is_some() {} }).await;
    drop(watch);
    let polls = service.polls();
    tokio::time::sleep(secs(100)).await;
    assert_eq!(service.polls(), polls);
    assert_eq!((waiter.stats().watched, waiter.stats().in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn rule_10_with_the_last_wait_gone_the_driver_ends() {
    let service = Service::new([("job", Act::SucceedAfter(secs(1_000)))]);
    let tasks = Handle::current().metrics();
    let mut wait = Box::pin(service.waiter().wait_for_job("job"));
    assert!(futures_util::poll!(&mut wait).is_pending());
    while service.polls() == 0 || service.in_flight.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(ms(1)).await;
    }
    assert_eq!(tasks.num_alive_tasks(), 1);
    drop(wait);
    tokio::task::yield_now().await;
    assert_eq!(tasks.num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_10_a_wait_added_before_the_abort_takes_the_request_over() {
    let service = Service::new([("job", Act::SucceedAfter(Duration::ZERO))]);
    let waiter = service.waiter();
    let mut first = Box::pin(waiter.wait_for_job("job"));
    let in_flight = async {
        while service.in_flight.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(ms(1)).await;
        }
    };
    tokio::select! {
        _ = &mut first => unreachable!("it takes ten milliseconds to answer"),
        () = in_flight => {}
    }
    drop(first);
    waiter.wait_for_job("job").policy(every(secs(60))).await.unwrap();
    assert_eq!(service.polls(), 1);
    assert_eq!(service.dropped_in_flight.load(Ordering::SeqCst), 0);
}

#[test]
fn rule_12_without_a_runtime_a_wait_ends_as_stopped() {
    let waiter = Service::new([]).waiter();
    let mut wait = Box::pin(waiter.wait_for_job("job"));
    let Poll::Ready(Err(error)) = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("a wait without a runtime must not hang");
    };
    assert_eq!(error.kind(), WaitErrorKind::Stopped);
    assert!(error.to_string().contains("there is no Tokio runtime"), "{error}");
    // The waiter works all the same where there is one.
    paused().block_on(waiter.wait_for_job("job")).unwrap();
}

#[test]
fn rule_12_without_a_timer_a_wait_ends_as_stopped() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(Service::new([]).waiter().wait_for_job("job")).unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Stopped);
    assert!(error.to_string().contains("no timer"), "{error}");
}

#[test]
fn rule_12_a_runtime_that_ends_stops_its_waits_and_the_next_one_starts_anew() {
    let service = Service::new([("job", Act::SucceedAfter(secs(100)))]);
    let waiter = service.waiter();
    let first = paused();
    let mut wait = Box::pin(waiter.wait_for_job("job"));
    first.block_on(async {
        assert!(futures_util::poll!(&mut wait).is_pending());
        tokio::time::sleep(secs(5)).await;
    });
    drop(first);
    let error = paused().block_on(wait).unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Stopped);
    assert!(error.report().state.is_some(), "what was known is told: {error}");
    service.set("job", Act::SucceedAfter(Duration::ZERO));
    paused().block_on(waiter.wait_for_job("job")).unwrap();
}

#[test]
fn rule_12_a_runtime_that_shuts_down_before_the_driver_runs_stops_its_waits() {
    let waiter = Service::new([]).waiter();
    let runtime = paused();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let mut wait = Box::pin(waiter.wait_for_job("job"));
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = wait.as_mut().poll(&mut cx) else { panic!("it must not hang") };
    assert_eq!(error.kind(), WaitErrorKind::Stopped);
}

/// A finished wait leaves no driver behind on a runtime that is alive but does not run.
#[test]
fn a_waiter_moves_between_runtimes_that_are_not_driven() {
    let service = Service::new([("job", Act::SucceedAfter(Duration::ZERO)), ("slow", Act::Hang)]);
    let waiter = service.waiter();
    let (first, second) = (paused(), paused());
    first.block_on(waiter.wait_for_job("job")).unwrap();
    second.block_on(waiter.wait_for_job("job")).unwrap();
    first.block_on(waiter.wait_for_job("job")).unwrap();
    // Nor does one that was dropped with a request in flight.
    first.block_on(async {
        let _ = tokio::time::timeout(secs(3), waiter.wait_for_job("slow")).await;
    });
    second.block_on(waiter.wait_for_job("job")).unwrap();
}

#[test]
fn waits_on_many_threads_all_end() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let source = cfw_waiter::source_fn(|_| async {
        tokio::task::yield_now().await;
        Ok(cfw_waiter::JobState::succeeded())
    });
    let policy = every(ms(1)).timeout(secs(30));
    let waiter = Waiter::builder(source).min_interval(ms(1)).policy(policy).build().unwrap();
    runtime.block_on(async {
        let waits: Vec<_> = (0..2_000)
            .map(|n| {
                let waiter = waiter.clone();
                tokio::spawn(async move {
                    // Every third is dropped soon after it began, which must disturb no other.
                    let wait = waiter.wait_for_job(format!("job-{}", n % 700));
                    if n % 3 == 0 {
                        let _ = tokio::time::timeout(Duration::from_micros(n), wait).await;
                    } else {
                        wait.await.unwrap();
                    }
                })
            })
            .collect();
        for wait in waits {
            wait.await.unwrap();
        }
    });
    assert_eq!(waiter.stats().watched, 0);
}

/// An error whose destructor uses the waiter, as an error that holds a handle of the user's might.
#[derive(Debug)]
struct Nosy(Waiter);

impl std::fmt::Display for Nosy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nosy")
    }
}

impl std::error::Error for Nosy {}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.stats();
    }
}

#[test]
fn an_error_is_never_dropped_under_the_lock() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let service = Service::new([]);
        let waiter = service.waiter();
        let fail = |class| {
            service.set("job", Act::Answer(Err(SourceError::new(class, Nosy(waiter.clone())))))
        };
        paused().block_on(async {
            fail(ErrorClass::TRANSIENT);
            let mut watch = waiter.watch(["job"]).policy(every(secs(5)));
            let watched = async { while watch.next().await.is_some() {} };
            let changes = async {
                tokio::time::sleep(secs(20)).await;
                fail(ErrorClass::NotFound);
                tokio::time::sleep(secs(11)).await;
                service.set("job", Act::SucceedAfter(secs(60)));
                tokio::time::sleep(secs(20)).await;
                fail(ErrorClass::Fatal);
            };
            tokio::join!(watched, changes);
            // An end that nobody hears of, and a request whose answer nobody waits for.
            let watch = waiter.watch(["job"]);
            let _ = tokio::time::timeout(secs(9), std::future::pending::<()>()).await;
            drop(watch);
        });
        done.send(()).unwrap();
    });
    ended.recv_timeout(secs(20)).expect("no deadlock");
}

#[tokio::test(start_paused = true)]
async fn a_handle_from_another_task_keeps_a_watch_open_and_feeds_it() {
    let service = Service::new([]);
    let mut watch = service.waiter().watch([] as [&str; 0]);
    let handle = watch.handle();
    let feeder = tokio::spawn(async move {
        for n in 0..5 {
            tokio::time::sleep(secs(10)).await;
            assert!(handle.add(format!("job-{n}")));
        }
    });
    let mut ended = Vec::new();
    while let Some(update) = watch.next().await {
        if let UpdateKind::Ended(Ok(_)) = update.kind {
            ended.push(update.id.to_string());
        }
    }
    feeder.await.unwrap();
    assert_eq!(ended, ["job-0", "job-1", "job-2", "job-3", "job-4"]);
}

#[tokio::test(start_paused = true)]
async fn a_handle_outlives_its_watch_without_harm() {
    let waiter = Service::new([]).waiter();
    let watch = waiter.watch(["job"]);
    let handle = Arc::new(watch.handle());
    drop(watch);
    assert!(!handle.add("other") && !handle.remove("job"));
    assert_eq!(handle.progress().total(), 0);
}

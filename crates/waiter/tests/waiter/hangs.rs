//! No wait hangs, whatever its request, its neighbours and their runtimes do (rules 5 and 12).

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use cfw_waiter::{
    JobId, JobState, Outcome, SourceError, UpdateKind, Wait, WaitErrorKind, Waiter, Watch,
    source_fn,
};
use futures_util::poll;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{current_thread, ms, multi_thread, quick, secs, within};

type Answer = Result<JobState, SourceError>;

/// How late a wait may end on a machine that has other work to do.
const SLACK: Duration = Duration::from_secs(2);

/// Jobs named `hang-..` are never answered; those named `later-..` succeed at the twentieth request;
/// others succeed at once.
fn source() -> impl Fn(JobId) -> BoxedFetch + Send + Sync + 'static {
    let requests = AtomicU32::new(0);
    move |id| {
        let asked = requests.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match id.as_str().split_once('-') {
                Some(("hang", _)) => pending().await,
                Some(("later", _)) if asked < 20 => Ok(JobState::running()),
                Some(_) | None => Ok(JobState::succeeded()),
            }
        })
    }
}

type BoxedFetch = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Waits for the one end that is to come.
async fn end(watch: &mut Watch) -> Outcome {
    loop {
        let update = timeout(secs(5), watch.next()).await.expect("an update in five seconds");
        if let UpdateKind::Ended(outcome) = update.expect("an end").kind {
            return outcome;
        }
    }
}

// A request that is taken over.

#[tokio::test(start_paused = true)]
async fn rule_05_waits_that_take_over_a_request_end_by_their_own_deadlines() {
    let waiter = Waiter::builder(source_fn(|_| pending())).seed(7).build().unwrap();
    let start = Instant::now();
    let mut loops = JoinSet::new();
    for n in 0..300 {
        let waiter = waiter.clone();
        loops.spawn(async move {
            for _ in 0..3 {
                let wait = waiter.wait_for_job(format!("job-{n}")).timeout(secs(5));
                assert_eq!(wait.await.unwrap_err().kind(), WaitErrorKind::TimedOut);
            }
        });
    }
    let all = async { while loops.join_next().await.transpose().unwrap().is_some() {} };
    let _ = timeout(secs(3_600), all).await;
    assert_eq!(loops.len(), 0, "still waiting after {:?}", start.elapsed());
    assert!(start.elapsed() <= secs(15), "{:?}", start.elapsed());
}

#[test]
fn rule_05_waits_made_again_at_once_on_two_workers_all_end() {
    within(secs(20), || {
        multi_thread(2).block_on(async {
            let waiter = quick(|_| pending());
            let start = Instant::now();
            let mut loops = JoinSet::new();
            for n in 0..16 {
                let waiter = waiter.clone();
                loops.spawn(async move {
                    while start.elapsed() < secs(2) {
                        let wait = waiter.wait_for_job(format!("job-{n}")).timeout(ms(20));
                        assert_eq!(wait.await.unwrap_err().kind(), WaitErrorKind::TimedOut);
                    }
                });
            }
            while loops.join_next().await.transpose().unwrap().is_some() {}
        });
    });
}

/// Waits anew as soon as it is woken: between two orders of the driver, before the request is aborted.
struct WaitAgain {
    waiter: Waiter,
    wait: Mutex<Option<Wait>>,
}

impl Wake for WaitAgain {
    fn wake(self: Arc<Self>) {
        let mut wait = self.waiter.wait_for_job("hang-1").timeout(secs(60));
        let first_poll = Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop()));
        assert!(first_poll.is_pending());
        *self.wait.lock().unwrap() = Some(wait);
    }
}

/// The window is one request wide: without a limit of its own the hanging one would keep it for ever.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_taken_over_keeps_its_attempt_timeout() {
    let waiter = Waiter::builder(source_fn(source())).seed(7).build().unwrap();
    let again = Arc::new(WaitAgain { waiter: waiter.clone(), wait: Mutex::new(None) });
    let mut wait = waiter.wait_for_job("hang-1").timeout(secs(5));
    let waker = Waker::from(Arc::clone(&again));
    assert!(Pin::new(&mut wait).poll(&mut Context::from_waker(&waker)).is_pending());
    let start = Instant::now();
    sleep(secs(6)).await;
    let report = waiter.wait_for_job("good").timeout(secs(40)).await.unwrap();
    assert!(report.elapsed < secs(15), "{report:?}");
    assert_eq!(wait.await.unwrap_err().kind(), WaitErrorKind::TimedOut);
    let wait = again.wait.lock().unwrap().take().expect("the waker was woken");
    let error = timeout(secs(3_600), wait).await.expect("the new wait ends").unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    assert!(start.elapsed() <= secs(65), "{:?}", start.elapsed());
}

// Whose runtime drives.

/// The runtimes on which a wait may live while another one is kept and not driven.
fn healthy() -> [Runtime; 2] {
    [current_thread(), multi_thread(1)]
}

#[test]
fn rule_12_a_wait_ends_although_the_runtime_of_an_earlier_one_is_driven_no_more() {
    within(secs(20), || {
        for second in healthy() {
            let (waiter, first) = (quick(source()), current_thread());
            let mut quick = Box::pin(waiter.wait_for_job("good"));
            first.block_on(async { assert!(poll!(&mut quick).is_pending()) });
            let mut slow = Box::pin(waiter.wait_for_job("hang-1").timeout(ms(300)));
            let start = Instant::now();
            second.block_on(async { assert!(poll!(&mut slow).is_pending()) });
            first.block_on(quick).unwrap();
            let error = second.block_on(slow).unwrap_err();
            assert_eq!(error.kind(), WaitErrorKind::TimedOut);
            assert!(start.elapsed() < ms(300) + SLACK, "{:?}", start.elapsed());
        }
    });
}

#[test]
fn rule_12_a_wait_is_polled_on_although_the_runtime_of_an_earlier_one_is_driven_no_more() {
    within(secs(20), || {
        for second in healthy() {
            let (waiter, first) = (quick(source()), current_thread());
            let mut quick = Box::pin(waiter.wait_for_job("good"));
            first.block_on(async { assert!(poll!(&mut quick).is_pending()) });
            let mut slow = Box::pin(waiter.wait_for_job("later-1").timeout(secs(5)));
            second.block_on(async { assert!(poll!(&mut slow).is_pending()) });
            first.block_on(quick).unwrap();
            second.block_on(slow).unwrap();
        }
    });
}

#[test]
fn rule_12_a_watch_whose_runtime_is_driven_no_more_holds_up_no_wait() {
    within(secs(20), || {
        for second in healthy() {
            let (waiter, first) = (quick(source()), current_thread());
            let mut watch = waiter.watch(["later-1", "hang-1"]);
            first.block_on(watch.next()).expect("a first update");
            let start = Instant::now();
            let error = second.block_on(waiter.wait_for_job("hang-2").timeout(ms(300)));
            assert_eq!(error.unwrap_err().kind(), WaitErrorKind::TimedOut);
            assert!(start.elapsed() < ms(300) + SLACK, "{:?}", start.elapsed());
            second.block_on(waiter.wait_for_job("good").timeout(secs(5))).unwrap();
        }
    });
}

/// Two waits on one runtime that is then left, two on another: each of the latter ends at its own time.
#[test]
fn rule_12_waits_on_a_driven_runtime_keep_their_own_deadlines() {
    within(secs(20), || {
        let (waiter, first, second) = (quick(source()), current_thread(), current_thread());
        let mut left = Box::pin(waiter.wait_for_job("hang-1").timeout(ms(50)));
        first.block_on(async { assert!(poll!(&mut left).is_pending()) });
        let start = Instant::now();
        let ends = |timeout: Duration| {
            let wait = waiter.wait_for_job("hang-1").timeout(timeout);
            async move {
                assert_eq!(wait.await.unwrap_err().kind(), WaitErrorKind::TimedOut);
                start.elapsed()
            }
        };
        let (short, long) = second.block_on(async { tokio::join!(ends(ms(100)), ends(ms(400))) });
        assert!((ms(90)..ms(100) + SLACK).contains(&short), "{short:?}");
        assert!((ms(390)..ms(400) + SLACK).contains(&long), "{long:?}");
        assert!(short < long);
    });
}

/// Where a handle may be used while the consumer of its watch lives on a healthy runtime.
#[derive(Clone, Copy, Debug)]
enum AddedFrom {
    PlainThread,
    ShortLivedRuntime,
    UndrivenRuntime,
}

fn a_job_added_by_a_handle_is_polled_where_the_watch_is(from: AddedFrom) {
    within(secs(20), move || {
        for consumer in healthy() {
            let waiter = quick(source());
            let mut watch = waiter.watch([] as [&str; 0]);
            let handle = watch.handle();
            consumer.block_on(async { assert!(poll!(std::pin::pin!(watch.next())).is_pending()) });
            let other = current_thread();
            match from {
                AddedFrom::PlainThread => {
                    let add = move || assert!(handle.add("later-1"));
                    thread::spawn(add).join().unwrap();
                }
                AddedFrom::ShortLivedRuntime => {
                    let short_lived = current_thread();
                    short_lived.block_on(async { assert!(handle.add("later-1")) });
                }
                AddedFrom::UndrivenRuntime => {
                    other.block_on(async { assert!(handle.add("later-1")) });
                }
            }
            let report = consumer.block_on(end(&mut watch));
            assert!(report.is_ok(), "{from:?}: {report:?}");
        }
    });
}

#[test]
fn rule_12_a_job_added_from_a_plain_thread_is_polled_where_the_watch_is() {
    a_job_added_by_a_handle_is_polled_where_the_watch_is(AddedFrom::PlainThread);
}

#[test]
fn rule_12_a_job_added_from_a_short_lived_runtime_is_polled_where_the_watch_is() {
    a_job_added_by_a_handle_is_polled_where_the_watch_is(AddedFrom::ShortLivedRuntime);
}

#[test]
fn rule_12_a_job_added_from_an_undriven_runtime_is_polled_where_the_watch_is() {
    a_job_added_by_a_handle_is_polled_where_the_watch_is(AddedFrom::UndrivenRuntime);
}

/// Spawn the consumer, then add by the handle: the add may come before, after or during the first poll.
#[test]
fn rule_12_a_job_added_during_the_first_poll_of_an_empty_watch_ends() {
    within(secs(60), || {
        const ROUNDS: usize = 4_000;
        let runtime = multi_thread(1);
        let waiters: Vec<_> = (0..ROUNDS).map(|_| quick(source())).collect();
        let mut watches: Vec<_> =
            waiters.iter().map(|waiter| waiter.watch([] as [&str; 0])).collect();
        let handles: Vec<_> = watches.iter().map(Watch::handle).collect();
        let barrier = Arc::new(SpinBarrier::default());
        let adder = {
            let (barrier, runtime) = (Arc::clone(&barrier), runtime.handle().clone());
            thread::spawn(move || {
                let _entered = runtime.enter();
                for (n, handle) in handles.into_iter().enumerate() {
                    barrier.wait(n);
                    // Moves the add over the time that a first poll takes.
                    (0..n % 64 * 4).for_each(|_| std::hint::spin_loop());
                    assert!(handle.add("good"));
                }
            })
        };
        let entered = runtime.enter();
        for (n, watch) in watches.iter_mut().enumerate() {
            barrier.wait(n);
            let next = std::pin::pin!(watch.next());
            let _ = next.poll(&mut Context::from_waker(Waker::noop()));
        }
        adder.join().unwrap();
        drop(entered);
        let mut stuck = 0;
        runtime.block_on(async {
            for watch in &mut watches {
                let ended = async {
                    while let Some(update) = watch.next().await {
                        if let UpdateKind::Ended(outcome) = update.kind {
                            return outcome;
                        }
                    }
                    panic!("the watch has ended without an end of its job");
                };
                match timeout(secs(2), ended).await {
                    Ok(outcome) => drop(outcome.unwrap()),
                    Err(_) => stuck += 1,
                }
                // Those that hang do so for ever: a few are enough.
                if stuck == 3 {
                    break;
                }
            }
        });
        assert_eq!(stuck, 0, "jobs that are neither polled nor ended");
    });
}

/// Lets two threads go on at the same moment, again and again, without a system call.
#[derive(Default)]
struct SpinBarrier(AtomicUsize);

impl SpinBarrier {
    fn wait(&self, round: usize) {
        self.0.fetch_add(1, Ordering::SeqCst);
        while self.0.load(Ordering::SeqCst) < 2 * (round + 1) {
            std::hint::spin_loop();
        }
    }
}

//! One runtime takes over from another that is blocked, left or shut down (rules 3, 5, 10 and 12).

use std::collections::{HashSet, VecDeque};
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

use cfw_waiter::{JobState, UpdateKind, Wait, WaitErrorKind, Waiter, Watch, source_fn};
use futures_util::poll;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::support::{current_thread, every, ms, multi_thread, quick, secs, within};

/// Blocks a thread until the test lets it go on.
#[derive(Clone)]
struct Gate(Arc<Mutex<mpsc::Receiver<()>>>);

impl Gate {
    fn new() -> (mpsc::Sender<()>, Self) {
        let (open, opened) = mpsc::channel();
        (open, Self(Arc::new(Mutex::new(opened))))
    }

    fn pass(&self) {
        // Returns as well when the sender has been dropped.
        let _ = self.0.lock().unwrap().recv_timeout(secs(10));
    }
}

/// Waits for a job that is never answered, on a runtime other than the blocked one.
fn ends_in_time_beside_a_blocked_runtime(waiter: &Waiter) {
    let start = Instant::now();
    let error = current_thread()
        .block_on(async { timeout(secs(5), waiter.wait_for_job("hang").timeout(secs(3))).await });
    let error = error.expect("the wait ends while the other runtime is blocked").unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    assert!(start.elapsed() < secs(4), "{:?}", start.elapsed());
}

#[test]
fn rule_12_a_wait_ends_in_time_although_a_source_blocks_the_thread_of_the_leader() {
    within(secs(20), || {
        let (open, gate) = Gate::new();
        let is_blocked = Arc::new(AtomicBool::new(false));
        let waiter = {
            let is_blocked = Arc::clone(&is_blocked);
            quick(move |id| {
                let (gate, is_blocked) = (gate.clone(), Arc::clone(&is_blocked));
                async move {
                    if id.as_str() == "blocks" {
                        is_blocked.store(true, Ordering::SeqCst);
                        gate.pass();
                        return Ok(JobState::succeeded());
                    }
                    pending().await
                }
            })
        };
        let blocked = multi_thread(1);
        let wait = blocked.spawn(waiter.wait_for_job("blocks"));
        while !is_blocked.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        ends_in_time_beside_a_blocked_runtime(&waiter);
        // Leads again, although its requests were revoked.
        drop(open);
        blocked.block_on(wait).unwrap().unwrap();
    });
}

/// Blocks its thread when it is dropped.
struct BlocksWhenDropped(Gate, Arc<AtomicBool>);

impl Drop for BlocksWhenDropped {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
        self.0.pass();
    }
}

/// The new leader drops the requests of the former one, on its own thread. Waits on the former leader's runtime end
/// meanwhile.
#[test]
fn rule_12_a_wait_ends_in_time_although_its_revoked_request_blocks_another_runtime_when_dropped() {
    within(secs(30), || {
        let (open, gate) = Gate::new();
        let is_blocked = Arc::new(AtomicBool::new(false));
        let waiter = {
            let is_blocked = Arc::clone(&is_blocked);
            quick(move |id| {
                let held = (id.as_str() == "blocks")
                    .then(|| BlocksWhenDropped(gate.clone(), Arc::clone(&is_blocked)));
                async move {
                    let _held = held;
                    pending().await
                }
            })
        };
        // It leads, sends the request, and is left alone until another one has taken over.
        let first = current_thread();
        let mut blocks = Box::pin(waiter.wait_for_job("blocks").timeout(secs(20)));
        first.block_on(async {
            assert!(poll!(&mut blocks).is_pending());
            sleep(ms(20)).await;
        });
        let other = waiter.clone();
        let second = thread::spawn(move || {
            current_thread().block_on(other.wait_for_job("hang").timeout(secs(8)))
        });
        while !is_blocked.load(Ordering::SeqCst) {
            thread::sleep(ms(1));
        }
        let start = Instant::now();
        let wait = waiter.wait_for_job("hang").timeout(secs(1));
        let error = first.block_on(async { timeout(secs(4), wait).await });
        let error = error.expect("the wait ends while the other runtime is blocked").unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::TimedOut);
        assert!(start.elapsed() < secs(2), "{:?}", start.elapsed());
        drop(open);
        assert_eq!(second.join().unwrap().unwrap_err().kind(), WaitErrorKind::TimedOut);
    });
}

/// Removes the id of a request when that is dropped.
struct Alive(Arc<Mutex<HashSet<String>>>, String);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

/// The board gives a request up in time, but the runtime that holds it does not run, and cannot drop it.
#[test]
fn rule_03_a_request_given_up_on_a_runtime_that_was_left_is_dropped_before_the_next_one() {
    within(secs(20), || {
        let alive = Arc::new(Mutex::new(HashSet::new()));
        let twice = Arc::new(AtomicUsize::new(0));
        let source = {
            let twice = Arc::clone(&twice);
            source_fn(move |id| {
                if !alive.lock().unwrap().insert(id.to_string()) {
                    twice.fetch_add(1, Ordering::SeqCst);
                }
                let alive = Alive(Arc::clone(&alive), id.to_string());
                async move {
                    let _alive = alive;
                    pending().await
                }
            })
        };
        let builder = Waiter::builder(source).min_interval(ms(1)).attempt_timeout(ms(50));
        let waiter = builder.policy(every(ms(2)).timeout(secs(10))).build().unwrap();
        let (left, second) = (current_thread(), current_thread());
        let mut wait = Box::pin(waiter.wait_for_job("job"));
        left.block_on(async {
            assert!(poll!(&mut wait).is_pending());
            sleep(ms(20)).await;
        });
        let error = second.block_on(waiter.wait_for_job("job").timeout(secs(2))).unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::TimedOut);
        assert!(waiter.stats().polls > 1, "another runtime has taken over");
        assert_eq!(twice.load(Ordering::SeqCst), 0, "two requests for one job");
    });
}

/// Drops its watch and begins a wait on another runtime, when it is woken.
struct MovesOn {
    waiter: Waiter,
    other: Runtime,
    watch: Mutex<Option<Watch>>,
    wait: Mutex<Option<Wait>>,
}

impl Wake for MovesOn {
    fn wake(self: Arc<Self>) {
        let Some(watch) = self.watch.lock().unwrap().take() else { return };
        drop(watch);
        let _entered = self.other.enter();
        let mut wait = self.waiter.wait_for_job("later").timeout(secs(5));
        let first_poll = Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop()));
        assert!(first_poll.is_pending());
        *self.wait.lock().unwrap() = Some(wait);
    }
}

/// The waits of a runtime that is shut down end in parts. Between two of them the last one leaves, and a new wait begins
/// elsewhere.
#[test]
fn rule_12_a_runtime_that_is_shut_down_stops_no_wait_that_begins_meanwhile_on_another() {
    within(secs(20), || {
        let waiter = quick(|id| async move {
            if id.as_str() == "later" {
                return Ok(JobState::succeeded());
            }
            pending().await
        });
        let ended = current_thread();
        let mut watch = waiter.watch((0..2_000).map(|n| format!("hang-{n}")));
        let moves_on = Arc::new(MovesOn {
            waiter: waiter.clone(),
            other: multi_thread(1),
            watch: Mutex::new(None),
            wait: Mutex::new(None),
        });
        ended.block_on(async {
            // The crowd is added in several polls.
            while watch.jobs().len() != waiter.stats().watched {
                assert!(poll!(std::pin::pin!(watch.next())).is_pending());
            }
            let waker = Waker::from(Arc::clone(&moves_on));
            let next = std::pin::pin!(watch.next());
            assert!(next.poll(&mut Context::from_waker(&waker)).is_pending());
        });
        *moves_on.watch.lock().unwrap() = Some(watch);
        drop(ended);
        let wait = moves_on.wait.lock().unwrap().take().expect("the waker was woken");
        let outcome = current_thread().block_on(wait);
        assert!(outcome.is_ok(), "{outcome:?}");
    });
}

/// A watch whose jobs are all there to be polled by several runtimes in turn ends each of them once.
#[test]
fn rule_12_a_watch_that_is_polled_on_two_runtimes_in_turn_ends_each_job_once() {
    within(secs(30), || {
        let waiter = quick(|id| async move {
            if id.as_str().starts_with("hang") {
                return Ok(JobState::running());
            }
            Ok(JobState::succeeded())
        });
        let runtimes = [current_thread(), multi_thread(1), current_thread()];
        let ids = (0..20).map(|n| format!("{}-{n}", ["hang", "good"][n % 2]));
        let mut watch = waiter.watch(ids).timeout(secs(2));
        let (mut ends, start) = (HashSet::new(), Instant::now());
        for runtime in runtimes.iter().cycle() {
            match runtime.block_on(async { timeout(ms(40), watch.next()).await }) {
                Ok(None) => break,
                Ok(Some(update)) => {
                    if let UpdateKind::Ended(outcome) = update.kind {
                        assert_eq!(outcome.is_ok(), update.id.as_str().starts_with("good"));
                        assert!(ends.insert(update.id), "a second end");
                    }
                }
                Err(_) => {}
            }
        }
        assert_eq!(ends.len(), 20);
        assert!(start.elapsed() < secs(3), "{:?}", start.elapsed());
        let first_poll = runtimes[0].block_on(async { poll!(std::pin::pin!(watch.next())) });
        assert!(matches!(first_poll, Poll::Ready(None)));
    });
}

/// The board knows of no request any more that was revoked: the new leader sends its own at once.
#[test]
fn rule_12_a_job_whose_request_was_lost_with_its_leader_is_polled_anew() {
    within(secs(20), || {
        let requests = AtomicUsize::new(0);
        let waiter = quick(move |_| {
            let is_first = requests.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if is_first {
                    return pending().await;
                }
                Ok(JobState::succeeded())
            }
        });
        let left = current_thread();
        let mut wait = Box::pin(waiter.wait_for_job("job"));
        left.block_on(async {
            assert!(poll!(&mut wait).is_pending());
            sleep(ms(20)).await;
        });
        let outcome = current_thread().block_on(waiter.wait_for_job("job").timeout(secs(5)));
        assert!(outcome.is_ok(), "{outcome:?}");
    });
}

/// Answers that come at once wake nobody: what is left after a turn must not wait for a timer.
#[test]
fn rule_12_more_work_than_fits_a_turn_goes_on_by_itself() {
    within(secs(20), || {
        let waiter = quick(|_| async { Ok(JobState::succeeded()) });
        let ids = (0..400).map(|n| format!("job-{n}"));
        let all = waiter.watch(ids).timeout(secs(60)).all();
        let ends = current_thread().block_on(async { timeout(secs(5), all).await });
        let ends = ends.expect("the driver goes on");
        assert!(ends.len() == 400 && ends.iter().all(|(_, end)| end.is_ok()));
    });
}

/// Answers that keep coming, one each time that the driver lets other tasks run, must not keep requests from being sent.
#[tokio::test(start_paused = true)]
async fn rule_08_answers_that_keep_coming_hold_no_request_back() {
    #[derive(Default)]
    struct Service {
        pending: Mutex<VecDeque<oneshot::Sender<()>>>,
        /// How many requests were in flight when each began.
        in_flight: Mutex<Vec<usize>>,
    }
    let service = Arc::new(Service::default());
    let source = {
        let service = Arc::clone(&service);
        source_fn(move |_| {
            let (send, answered) = oneshot::channel();
            let mut pending = service.pending.lock().unwrap();
            service.in_flight.lock().unwrap().push(pending.len());
            pending.push_back(send);
            async move {
                answered.await.unwrap();
                Ok(JobState::running())
            }
        })
    };
    let waiter = Waiter::builder(source).max_in_flight(4).seed(7).build().unwrap();
    let _watch = tokio::spawn(waiter.watch((0..1_000).map(|n| format!("job-{n}"))).all());
    // By then all jobs are due, and wait for a request to end.
    sleep(secs(2)).await;
    let answers = Arc::clone(&service);
    let answering = tokio::spawn(async move {
        for _ in 0..400 {
            let next = answers.pending.lock().unwrap().pop_front();
            next.into_iter().for_each(|answer| answer.send(()).unwrap());
            // Takes turns with the driver, which a task that only yields does not.
            let mut has_yielded = false;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut has_yielded, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    });
    answering.await.unwrap();
    let in_flight = service.in_flight.lock().unwrap().clone();
    assert!(in_flight.len() > 100, "{}", in_flight.len());
    let idle = in_flight[20..].iter().filter(|&&others| others == 0).count();
    assert_eq!(idle, 0, "of {} requests so many began with no other in flight", in_flight.len());
}

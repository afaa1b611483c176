//! Users on several runtimes who share one waiter, for some seconds: waits and watches are begun here
//! and awaited there, dropped, added to and removed from; one runtime is driven only now and then;
//! requests hang, fail and panic. Each wait must end once and in time, and nothing may be left.
//!
//! `CFW_STRESS_SECONDS` sets how long it takes: two minutes or more are worth a run by hand.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cfw_waiter::{
    ErrorClass, JobId, JobState, Outcome, SourceError, UpdateKind, Wait, WaitErrorKind, Waiter,
    source_fn,
};
use futures_util::poll;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::support::{current_thread, every, measuring, ms, multi_thread, secs, within};

/// How late a wait may end on a machine that does nothing else.
const BOUND: Duration = Duration::from_millis(50);

/// The kinds of jobs, some twice as frequent as others; the number after the dash is the job's own.
const KINDS: [&str; 12] = [
    "brief", "brief", "slow", "slow", "hangs", "hangs", "flaky", "flaky", "missing", "called",
    "polled", "dropped",
];

/// A runtime on one thread, one on two, and one that is driven only now and then.
const PLACES: usize = 3;
const WAITERS: usize = 9;

type Fetch = Pin<Box<dyn Future<Output = Result<JobState, SourceError>> + Send>>;
type Errand = Box<dyn FnOnce() + Send>;

/// A small generator of the linear congruential kind: a run must not depend on a crate for this.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        ms(from + self.below(to - from))
    }

    fn id(&mut self) -> JobId {
        let kind = KINDS[usize::try_from(self.below(12)).unwrap()];
        format!("{kind}-{}", self.below(4)).into()
    }
}

/// Counts the requests that are in flight, by living in each.
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Panics without a word on the standard error output.
fn panics() {
    resume_unwind(Box::new("a source that panics"));
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !thread::panicking() {
            panics();
        }
    }
}

fn source(in_flight: Arc<AtomicUsize>) -> impl Fn(JobId) -> Fetch + Send + Sync + 'static {
    let requests = AtomicU64::new(0);
    move |id| {
        let in_flight = InFlight::new(&in_flight);
        let number = requests.fetch_add(1, Ordering::SeqCst);
        let kind = id.as_str().split('-').next().unwrap_or_default().to_owned();
        if kind == "called" && number.is_multiple_of(3) {
            panics();
        }
        Box::pin(async move {
            let _in_flight = in_flight;
            let _panics = (kind == "dropped").then(|| PanicsWhenDropped);
            match kind.as_str() {
                "brief" | "called" if number.is_multiple_of(8) => return Ok(JobState::succeeded()),
                "brief" => tokio::task::yield_now().await,
                "slow" | "dropped" => sleep(ms(number % 20)).await,
                "hangs" => pending().await,
                "polled" => {
                    sleep(ms(number % 3)).await;
                    panics();
                }
                "missing" => return Err(SourceError::new(ErrorClass::NotFound, "missing")),
                "flaky" => {
                    let retry_after = (number.is_multiple_of(16)).then_some(ms(10));
                    let class = match number % 4 {
                        0 => ErrorClass::Transient { retry_after },
                        1 => ErrorClass::NotFound,
                        _ => return Ok(JobState::running().with_status(format!("{number}"))),
                    };
                    return Err(SourceError::new(class, "flaky"));
                }
                _ => {}
            }
            Ok(JobState::running())
        })
    }
}

/// A wait whose clock runs.
struct Begun {
    wait: Wait,
    start: Instant,
    timeout: Duration,
    outcome: Option<Outcome>,
}

async fn begin(mut wait: Wait, timeout: Duration) -> Begun {
    let start = Instant::now();
    let outcome = match poll!(&mut wait) {
        std::task::Poll::Ready(outcome) => Some(outcome),
        std::task::Poll::Pending => None,
    };
    Begun { wait, start, timeout, outcome }
}

/// What all users share. Each waiter has one user in each place, so that it is idle now and then, and its
/// driver moves.
struct World {
    waiters: Vec<Waiter>,
    places: [Handle; PLACES],
    /// Does errands on a thread without a runtime.
    errands: Mutex<Sender<Errand>>,
    is_over: AtomicBool,
    ends: Mutex<BTreeMap<&'static str, u64>>,
    worst: Mutex<Duration>,
}

impl World {
    fn place(&self, random: &mut Random) -> &Handle {
        &self.places[usize::try_from(random.below(3)).unwrap()]
    }

    fn count(&self, outcome: &Outcome) {
        let kind = outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "succeeded");
        *self.ends.lock().unwrap().entry(kind).or_default() += 1;
    }

    fn late(&self, late: Duration) {
        let mut worst = self.worst.lock().unwrap();
        *worst = late.max(*worst);
    }

    /// Waits to the end. What was due before the wait was polled here is not late.
    async fn finish(&self, begun: Begun, is_driven: bool) {
        let Begun { mut wait, start, timeout, outcome } = begun;
        let deadline = (start + timeout).max(Instant::now());
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => (&mut wait).await,
        };
        let now = Instant::now();
        assert!(poll!(&mut wait).is_pending(), "a wait ends once");
        self.count(&outcome);
        if outcome.is_err_and(|error| error.kind() == WaitErrorKind::TimedOut) {
            assert!(
                now - start + ms(5) >= timeout,
                "timed out early: {:?} of {timeout:?}",
                now - start
            );
        }
        if is_driven {
            self.late(now.saturating_duration_since(deadline));
        }
    }

    /// A watch of a few jobs, to which others add from elsewhere.
    async fn watch(&self, waiter: &Waiter, random: &mut Random, is_driven: bool) {
        let ids =
            (0..random.below(5)).map(|_| random.id()).collect::<std::collections::BTreeSet<_>>();
        let timeout = random.millis(20, 150);
        let mut watch = waiter.watch(&ids).timeout(timeout);
        let handle = watch.handle();
        let start = Instant::now();
        let (mut ends, added) = (0, Arc::new(AtomicUsize::new(ids.len())));
        if let std::task::Poll::Ready(Some(update)) = poll!(std::pin::pin!(watch.next()))
            && let UpdateKind::Ended(outcome) = update.kind
        {
            self.count(&outcome);
            ends += 1;
        }
        let last_add = Arc::new(Mutex::new(None));
        let errand = {
            let (added, last_add) = (Arc::clone(&added), Arc::clone(&last_add));
            let ids: Vec<_> = (0..random.below(6)).map(|_| random.id()).collect();
            let removed = random.id();
            move || {
                for id in ids {
                    added.fetch_add(usize::from(handle.add(id)), Ordering::SeqCst);
                }
                handle.remove(removed.as_str());
                drop(handle);
                *last_add.lock().unwrap() = Some(Instant::now());
            }
        };
        if random.below(2) == 0 {
            self.errands.lock().unwrap().send(Box::new(errand)).unwrap();
        } else {
            let pause = random.millis(0, 5);
            drop(self.place(random).spawn(async move {
                sleep(pause).await;
                errand();
            }));
        }
        let is_dropped_after = (random.below(4) == 0).then(|| random.below(10));
        let mut updates = 0;
        while let Some(update) = watch.next().await {
            if let UpdateKind::Ended(outcome) = update.kind {
                self.count(&outcome);
                ends += 1;
            }
            updates += 1;
            if is_dropped_after.is_some_and(|most| updates > most) {
                return;
            }
        }
        let now = Instant::now();
        assert_eq!(ends, added.load(Ordering::SeqCst), "each job of a watch ends once");
        if let Some(last_add) = *last_add.lock().unwrap()
            && is_driven
        {
            self.late(now.saturating_duration_since(last_add.max(start) + timeout));
        }
    }

    async fn user(self: Arc<Self>, number: usize) {
        let mut random = Random(u64::try_from(number).unwrap());
        let (waiter, is_driven) = (&self.waiters[number / PLACES], number % PLACES < 2);
        let new_wait = |random: &mut Random| {
            let timeout = random.millis(5, 200);
            (waiter.wait_for_job(random.id()).timeout(timeout), timeout)
        };
        while !self.is_over.load(Ordering::SeqCst) {
            match random.below(8) {
                0 => {
                    let (wait, timeout) = new_wait(&mut random);
                    self.finish(begin(wait, timeout).await, is_driven).await;
                }
                1 => {
                    let (id, timeout) = (random.id(), random.millis(5, 30));
                    for _ in 0..4 {
                        let wait = waiter.wait_for_job(&id).timeout(timeout);
                        self.finish(begin(wait, timeout).await, is_driven).await;
                    }
                }
                2 => {
                    let (wait, _) = new_wait(&mut random);
                    let _ = timeout(random.millis(0, 100), wait).await;
                }
                3..5 => {
                    let (wait, timeout) = new_wait(&mut random);
                    let begun = self.place(&mut random).spawn(begin(wait, timeout)).await.unwrap();
                    self.finish(begun, is_driven).await;
                }
                5 => {
                    let (wait, timeout) = new_wait(&mut random);
                    let begun = begin(wait, timeout).await;
                    sleep(random.millis(0, 20)).await;
                    let world = Arc::clone(&self);
                    let finish = async move { world.finish(begun, false).await };
                    self.place(&mut random).spawn(finish).await.unwrap();
                }
                _ => self.watch(waiter, &mut random, is_driven).await,
            }
            sleep(random.millis(0, 30)).await;
        }
    }
}

/// How late a task that sleeps is woken on this machine, at the worst, while a test runs.
fn worst_delay(is_over: &AtomicBool) -> Duration {
    current_thread().block_on(async {
        let mut worst = Duration::ZERO;
        while !is_over.load(Ordering::SeqCst) {
            let start = Instant::now();
            sleep(ms(5)).await;
            worst = worst.max(start.elapsed().saturating_sub(ms(6)));
        }
        worst
    })
}

/// Drives a runtime for a while, leaves it alone for a while, and so on; at the end without a break.
fn drive_now_and_then(
    runtime: &tokio::runtime::Runtime,
    is_over: &AtomicBool,
    is_done: &AtomicBool,
) {
    let mut random = Random(99);
    while !is_done.load(Ordering::SeqCst) {
        let driven = random.millis(1, 30);
        runtime.block_on(async { sleep(driven).await });
        if !is_over.load(Ordering::SeqCst) {
            let most = if random.below(8) == 0 { 2_000 } else { 200 };
            thread::sleep(random.millis(0, most));
        }
    }
}

fn length() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is the caller's choice")]
    let seconds = std::env::var("CFW_STRESS_SECONDS");
    secs(seconds.map_or(5, |seconds| seconds.parse().expect("a whole number of seconds")))
}

#[test]
fn waits_on_several_runtimes_each_end_once_and_in_time() {
    let _measuring = measuring();
    let length = length();
    within(length + secs(20), move || stress(length));
}

fn stress(length: Duration) {
    let in_flight = Arc::new(AtomicUsize::new(0));
    let waiter = || {
        Waiter::builder(source_fn(source(Arc::clone(&in_flight))))
            .policy(every(ms(5)).not_found_grace(ms(20)))
            .min_interval(ms(2))
            .attempt_timeout(ms(40))
            .max_in_flight(16)
            .build()
            .unwrap()
    };
    let waiters: Vec<_> = (0..WAITERS).map(|_| waiter()).collect();
    let (driven, workers, lazy) = (current_thread(), multi_thread(2), current_thread());
    let (errands, errand) = channel::<Errand>();
    let world = Arc::new(World {
        waiters: waiters.clone(),
        places: [driven.handle(), workers.handle(), lazy.handle()].map(Clone::clone),
        errands: Mutex::new(errands),
        is_over: AtomicBool::new(false),
        ends: Mutex::default(),
        worst: Mutex::default(),
    });
    let is_done = AtomicBool::new(false);
    let delay = thread::scope(|scope| {
        scope.spawn(|| errand.into_iter().for_each(|errand| errand()));
        let delay = scope.spawn(|| worst_delay(&world.is_over));
        scope.spawn(|| drive_now_and_then(&lazy, &world.is_over, &is_done));
        scope.spawn(|| {
            driven.block_on(async {
                while !is_done.load(Ordering::SeqCst) {
                    sleep(ms(5)).await;
                }
            });
        });
        let users: Vec<_> = (0..WAITERS * PLACES)
            .map(|n| world.places[n % PLACES].spawn(Arc::clone(&world).user(n)))
            .collect();
        thread::sleep(length);
        world.is_over.store(true, Ordering::SeqCst);
        let results: Vec<_> = users
            .into_iter()
            .map(|user| workers.block_on(user).map_err(|e| e.to_string()))
            .collect();
        // Let the drivers abort what is in flight.
        let end = Instant::now();
        while in_flight.load(Ordering::SeqCst) > 0 && end.elapsed() < secs(2) {
            thread::sleep(ms(5));
        }
        is_done.store(true, Ordering::SeqCst);
        // Ends the thread of the errands.
        *world.errands.lock().unwrap() = channel().0;
        for result in results {
            result.unwrap();
        }
        delay.join().unwrap()
    });
    let (ends, worst) = (world.ends.lock().unwrap().clone(), *world.worst.lock().unwrap());
    println!("ends: {ends:?}; late by {worst:?} at the worst, the machine by {delay:?}");
    for stats in waiters.iter().map(Waiter::stats) {
        assert_eq!((stats.watched, stats.in_flight), (0, 0), "{stats:?}");
    }
    assert_eq!(in_flight.load(Ordering::SeqCst), 0, "requests in flight for nobody");
    for kind in ["succeeded", "timed_out", "panicked", "removed", "lost"] {
        assert!(ends.contains_key(kind), "no wait ended as {kind}: {ends:?}");
    }
    // No runtime ends before all waits have.
    assert!(!ends.contains_key("stopped"), "{ends:?}");
    // The driver and the consumer are woken one after the other.
    assert!(worst <= BOUND + 2 * delay, "{worst:?} late, on a machine that is late by {delay:?}");
}

//! What waits cost as their number grows. Costs are compared with one another, never with a clock's
//! reading, except where the reading is the promise: how late a stranger's deadline may be.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use cfw_waiter::{JobId, JobState, Waiter, Watch};
use tokio::time::sleep;

use crate::support::{
    current_thread, every, measuring, ms, multi_thread, paused, quick, secs, within,
};

/// The least of several measurements: what else the machine does only adds to them.
fn best_of<T: PartialOrd>(runs: usize, measure: impl Fn() -> T) -> T {
    let least = |best: T, next: T| if next < best { next } else { best };
    (0..runs).map(|_| measure()).reduce(least).expect("at least one run")
}

fn seconds(act: impl FnOnce()) -> f64 {
    let start = Instant::now();
    act();
    start.elapsed().as_secs_f64()
}

fn idle() -> Waiter {
    quick(|_| pending())
}

fn ids(count: usize) -> Vec<JobId> {
    (0..count).map(|n| JobId::from(format!("5a2b74ef-6fb9-4d0b-b4e9-{n:012}"))).collect()
}

#[test]
fn removing_ids_before_the_start_costs_the_same_among_many() {
    let _measuring = measuring();
    // As many ids in all either way: a longer measurement is interrupted more often by what else the machine does.
    let cost = |watches: usize| {
        let (waiter, ids) = (idle(), ids(16_000 / watches));
        let watches: Vec<_> = (0..watches).map(|_| waiter.watch(&ids)).collect();
        let time = seconds(|| {
            for watch in &watches {
                for id in &ids {
                    assert!(watch.remove(id));
                }
            }
        });
        assert!(watches.iter().all(|watch| watch.progress().total() == 0));
        time
    };
    let few = best_of(5, || cost(16));
    let many = best_of(5, || cost(1));
    let ratio = many / few;
    assert!(ratio < 5.0, "an id among 16,000 costs {ratio:.1} times one among 1,000");
}

/// The time of a poll, of some 300 in virtual time, with so many waits on the one job.
fn cost_of_a_poll(waits: usize) -> f64 {
    let waiter = quick(|_| async { Ok(JobState::running()) });
    paused().block_on(async {
        let policy = Arc::new(every(secs(1)).timeout(secs(86_400)));
        let mut waits: Vec<_> =
            (0..waits).map(|_| waiter.wait_for_job("job").policy(Arc::clone(&policy))).collect();
        let mut cx = Context::from_waker(Waker::noop());
        for wait in &mut waits {
            assert!(pin!(wait).poll(&mut cx).is_pending());
        }
        sleep(secs(10)).await;
        let before = waiter.stats().polls;
        let start = Instant::now();
        sleep(secs(300)).await;
        let time = start.elapsed().as_secs_f64();
        let polls = waiter.stats().polls - before;
        assert!(polls >= 300, "{polls} polls");
        time / polls as f64
    })
}

#[test]
fn a_poll_for_many_waits_on_one_id_costs_little_more_than_for_one() {
    let _measuring = measuring();
    let one = best_of(5, || cost_of_a_poll(1));
    let many = best_of(5, || cost_of_a_poll(4_000));
    let ratio = many / one;
    println!("a poll takes {:.1} us for one wait and {:.1} us for 4,000", one * 1e6, many * 1e6);
    assert!(ratio < 5.0, "a poll for 4,000 waits costs {ratio:.1} times one for a single wait");
}

// A crowd, and a stranger on another thread.

const CROWD: usize = 300_000;

/// Measures how late the waits of a stranger end, on a thread and a runtime of its own.
struct Stranger {
    /// In nanoseconds, since it was last asked.
    worst: AtomicU64,
    waits: AtomicU64,
    is_done: AtomicBool,
}

impl Stranger {
    fn run(&self, waiter: &Waiter) {
        current_thread().block_on(async {
            let timeout = ms(5);
            while !self.is_done.load(Ordering::SeqCst) {
                let start = Instant::now();
                waiter.wait_for_job("stranger").timeout(timeout).await.unwrap_err();
                let late = start.elapsed().saturating_sub(timeout);
                let nanos = u64::try_from(late.as_nanos()).unwrap();
                self.worst.fetch_max(nanos, Ordering::SeqCst);
                self.waits.fetch_add(1, Ordering::SeqCst);
            }
        });
    }

    /// The worst since it was last asked, among all waits that began before this.
    fn worst(&self) -> Duration {
        let waits = self.waits.load(Ordering::SeqCst);
        while self.waits.load(Ordering::SeqCst) < waits + 2 {
            thread::sleep(ms(1));
        }
        Duration::from_nanos(self.worst.swap(0, Ordering::SeqCst))
    }
}

/// The worst lateness of the stranger while a crowd is made, started, listed and dropped, and while
/// the machine does nothing else.
fn worst_lateness() -> [Duration; 5] {
    let waiter = idle();
    let stranger = Stranger {
        worst: AtomicU64::new(0),
        waits: AtomicU64::new(0),
        is_done: AtomicBool::new(false),
    };
    let ids = ids(CROWD);
    // Healthy: a runtime that is not driven is the matter of other tests.
    let runtime = multi_thread(1);
    thread::scope(|scope| {
        scope.spawn(|| stranger.run(&waiter));
        stranger.worst();
        thread::sleep(ms(100));
        let idle = stranger.worst();
        let mut watch: Watch = waiter.watch(ids.iter()).policy(every(secs(3_600)));
        let made = stranger.worst();
        let _entered = runtime.enter();
        let first = pin!(watch.next()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending());
        let started = stranger.worst();
        let jobs = watch.jobs();
        let listed = stranger.worst();
        assert_eq!(jobs.len(), CROWD);
        drop(watch);
        let dropped = stranger.worst();
        stranger.is_done.store(true, Ordering::SeqCst);
        [idle, made, started, listed, dropped]
    })
}

/// Measured several times, and the best taken for each act: a busy machine makes waits late as well.
#[test]
fn a_strangers_deadline_is_kept_while_a_crowd_comes_and_goes() {
    let _measuring = measuring();
    const ACTS: [&str; 5] = ["idle", "made", "started", "listed", "dropped"];
    let bound = ms(20);
    let mut best = [Duration::MAX; 5];
    for _ in 0..6 {
        for (best, next) in best.iter_mut().zip(within(secs(60), worst_lateness)) {
            *best = next.min(*best);
        }
        if best.iter().all(|&best| best <= bound) {
            break;
        }
    }
    let late: Vec<_> = ACTS.iter().zip(best).filter(|(_, best)| *best > bound).collect();
    println!("a stranger is late by, at the best: {:?}", ACTS.iter().zip(best).collect::<Vec<_>>());
    assert!(late.is_empty(), "more than {bound:?} late while a watch of {CROWD} is {late:?}");
}

//! One request at a time for a job, also where the driver moves to another runtime (rule 3).

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use cfw_waiter::{JobId, JobState, SourceError, Waiter, source_fn};
use futures_util::poll;
use tokio::time::sleep;

use crate::support::{current_thread, every, ms, secs, within};

/// Watches over rule 3: once a newer request for an id was made, an older one must not be polled.
#[derive(Default)]
struct Overlaps {
    requests: Mutex<HashMap<JobId, u32>>,
    wakers: Mutex<Vec<Waker>>,
    found: AtomicUsize,
}

impl Overlaps {
    /// The first request for an id is never answered, and each later one after 50 ms.
    async fn fetch(self: Arc<Self>, id: JobId) -> Result<JobState, SourceError> {
        let number = {
            let mut requests = self.requests.lock().unwrap();
            let number = requests.entry(id.clone()).or_default();
            *number += 1;
            *number
        };
        let mut answered = Box::pin(sleep(ms(50)));
        poll_fn(|cx| {
            if self.count(&id) > number {
                self.found.fetch_add(1, Ordering::SeqCst);
            }
            self.wakers.lock().unwrap().push(cx.waker().clone());
            if number == 1 { Poll::Pending } else { answered.as_mut().poll(cx) }
        })
        .await;
        Ok(JobState::succeeded())
    }

    fn count(&self, id: &JobId) -> u32 {
        self.requests.lock().unwrap().get(id).copied().unwrap_or_default()
    }

    async fn until(&self, id: &JobId, requests: u32) {
        while self.count(id) < requests {
            sleep(ms(1)).await;
        }
    }

    /// Wakes all requests that were ever made, as a connection might that is closed.
    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn waiter(self: &Arc<Self>) -> Waiter {
        let overlaps = Arc::clone(self);
        let source = source_fn(move |id| Arc::clone(&overlaps).fetch(id));
        let builder = Waiter::builder(source).seed(7).min_interval(ms(1));
        builder.policy(every(ms(2))).attempt_timeout(ms(200)).build().unwrap()
    }
}

#[test]
fn rule_03_a_request_left_on_an_undriven_runtime_is_polled_no_more_once_it_is_replaced() {
    within(secs(20), || {
        let (overlaps, id) = (Arc::new(Overlaps::default()), JobId::from("job"));
        let (waiter, first, second) = (overlaps.waiter(), current_thread(), current_thread());
        let mut wait = Box::pin(waiter.wait_for_job(&id));
        first.block_on(async {
            assert!(poll!(&mut wait).is_pending());
            overlaps.until(&id, 1).await;
        });
        drop(wait);
        let mut again = Box::pin(waiter.wait_for_job(&id));
        second.block_on(async {
            assert!(poll!(&mut again).is_pending());
            overlaps.until(&id, 2).await;
        });
        overlaps.wake_all();
        first.block_on(async { sleep(ms(20)).await });
        second.block_on(again).unwrap();
        assert_eq!(overlaps.found.load(Ordering::SeqCst), 0, "polls of a replaced request");
    });
}

#[test]
fn rule_03_a_request_whose_driver_was_replaced_is_polled_no_more() {
    within(secs(20), || {
        let (overlaps, id) = (Arc::new(Overlaps::default()), JobId::from("job"));
        let (waiter, first) = (overlaps.waiter(), current_thread());
        let mut wait = Box::pin(waiter.wait_for_job(&id));
        first.block_on(async {
            assert!(poll!(&mut wait).is_pending());
            overlaps.until(&id, 1).await;
        });
        // The wait moves to another runtime, and the one that drove it is left alone for a while.
        let barrier = Arc::new(Barrier::new(2));
        let mover = {
            let (overlaps, id, barrier) = (Arc::clone(&overlaps), id.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let second = current_thread();
                second.block_on(async {
                    let replaced = async {
                        overlaps.until(&id, 2).await;
                        barrier.wait();
                    };
                    tokio::join!(wait, replaced).0
                })
            })
        };
        barrier.wait();
        overlaps.wake_all();
        first.block_on(async { sleep(ms(20)).await });
        mover.join().unwrap().unwrap();
        assert_eq!(overlaps.found.load(Ordering::SeqCst), 0, "polls of a replaced request");
    });
}

//! Requests whose destructors panic together. A second panic while the first unwinds aborts the process,
//! so each of these tests has a process of its own.

use std::future::pending;
use std::pin::Pin;

use cfw_waiter::{JobState, Wait, WaitErrorKind, Waiter};
use futures_util::poll;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::support::{current_thread, in_child_process, ms, multi_thread, quick};

struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("the destructor of a request panics");
    }
}

/// Two hanging requests in flight whose destructors panic, and the waits for them.
fn two_in_flight(runtime: &Runtime) -> (Waiter, [Pin<Box<Wait>>; 2]) {
    let waiter = quick(|id| async move {
        let _panics = match id.as_str() {
            "good" => return Ok(JobState::succeeded()),
            _ => Panics,
        };
        pending().await
    });
    let waits = runtime.block_on(async {
        // Opens the window.
        waiter.wait_for_job("good").await.unwrap();
        let mut waits = ["one", "two"].map(|id| Box::pin(waiter.wait_for_job(id)));
        for wait in &mut waits {
            assert!(poll!(wait).is_pending());
        }
        while waiter.stats().in_flight < 2 {
            sleep(ms(1)).await;
        }
        waits
    });
    (waiter, waits)
}

#[test]
fn requests_that_panic_when_dropped_with_their_runtime_abort_nothing() {
    let name = "aborts::requests_that_panic_when_dropped_with_their_runtime_abort_nothing";
    in_child_process(name, || {
        for runtime in [current_thread(), multi_thread(1)] {
            let (_, waits) = two_in_flight(&runtime);
            drop(runtime);
            for wait in waits {
                let error = current_thread().block_on(wait).unwrap_err();
                assert_eq!(error.kind(), WaitErrorKind::Stopped);
            }
        }
    });
}

#[test]
fn requests_that_panic_when_dropped_by_a_replaced_driver_abort_nothing() {
    let name = "aborts::requests_that_panic_when_dropped_by_a_replaced_driver_abort_nothing";
    in_child_process(name, || {
        let (first, second) = (current_thread(), current_thread());
        let (waiter, waits) = two_in_flight(&first);
        drop(waits);
        second.block_on(waiter.wait_for_job("good")).unwrap();
        first.block_on(async { sleep(ms(20)).await });
        second.block_on(waiter.wait_for_job("good")).unwrap();
    });
}

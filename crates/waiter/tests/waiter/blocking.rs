//! Waits of callers without a runtime.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime};

use cfw_waiter::{
    Checkpoint, ConfigError, JobCheckpoint, JobState, Learned, Policy, Schedule, UpdateKind,
    WaitErrorKind, Waiter, WaiterBuilder, blocking, source_fn,
};

use tokio::runtime::Handle;

use crate::support::{current_thread, every, ms, secs, within};

/// Succeeds with the second poll of each job; `never` never does.
fn builder() -> WaiterBuilder<impl cfw_waiter::JobSource> {
    let polls = AtomicUsize::new(0);
    let source = source_fn(move |id| {
        let is_over = id.as_str() != "never" && polls.fetch_add(1, Ordering::Relaxed) > 0;
        async move { Ok(if is_over { JobState::succeeded() } else { JobState::running() }) }
    });
    let policy = every(ms(5)).first_poll_at_once(true).timeout(secs(30));
    Waiter::builder(source).policy(policy).min_interval(ms(1))
}

#[test]
fn one_job_and_many_on_threads_without_a_runtime() {
    within(secs(20), || {
        let waiter = blocking::Waiter::new(builder()).unwrap();
        let report = waiter.wait_for_job("one").kind("create").since(ms(1)).wait().unwrap();
        assert_eq!(report.polls, 2);
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let waiter = waiter.clone();
                thread::spawn(move || {
                    let mut watch = waiter.watch([format!("{number}"), "shared".into()]);
                    let handle = watch.handle();
                    assert!(watch.add("late") && watch.remove("late") && watch.add("last"));
                    assert_eq!((watch.jobs().len(), watch.progress().waiting), (3, 3));
                    drop(handle);
                    let ends = watch.by_ref().filter(|update| {
                        matches!(&update.kind, UpdateKind::Ended(outcome) if outcome.is_ok())
                    });
                    assert_eq!(ends.count(), 3);
                    assert!(watch.next().is_none());
                    assert_eq!(watch.checkpoint(), Checkpoint::default());
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(waiter.stats().watched, 0);
    });
}

#[test]
fn a_job_of_a_checkpoint_is_waited_for_and_its_duration_learnt() {
    within(secs(20), || {
        let learned = Schedule::learned(Learned::new()).unwrap();
        let source = source_fn(|_id| async {
            let end = SystemTime::UNIX_EPOCH + secs(1_000);
            Ok(JobState::succeeded().with_begin(end - secs(60)).with_end(end))
        });
        let policy = Policy::new().schedule(learned).first_poll_at_once(true);
        let waiter = blocking::Waiter::new(Waiter::builder(source).policy(policy)).unwrap();
        let mut job = JobCheckpoint::new("one", SystemTime::UNIX_EPOCH, Duration::MAX);
        job.kind = Some("create".into());
        let wait = waiter.resume_job(&job).timeout(secs(30));
        assert_eq!(wait.id(), "one");
        wait.wait().unwrap();
        assert_eq!(waiter.take_learned().samples("create").count(), 1);
        let watch = waiter.watch(["two"]);
        assert_eq!(watch.job("two").unwrap().report.id, "two");
        assert!(watch.job("one").is_none());
    });
}

#[test]
fn a_limit_returns_the_wait_which_goes_on() {
    within(secs(20), || {
        let waiter = blocking::Waiter::new(builder()).unwrap();
        let wait = waiter.wait_for_job("never").timeout(ms(400));
        let wait = wait.wait_at_most(ms(30)).unwrap_err();
        assert_eq!(wait.checkpoint().jobs.len(), 1);
        assert_eq!(waiter.stats().watched, 1);
        assert!(waiter.poke("never"));
        let error = wait.wait().unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::TimedOut);
        assert!(error.report().elapsed >= ms(300), "{error}");

        // It ends while the thread sleeps.
        let report = waiter.wait_for_job("one").wait_at_most(secs(15)).unwrap().unwrap();
        assert_eq!(report.polls, 2);

        let mut watch = waiter.watch(["never"]).timeout(secs(30)).policy(Policy::new());
        assert!(watch.next_at_most(ms(0)).is_none());
        assert_eq!(watch.progress().live(), 1);
        assert!(waiter.tell("never", JobState::succeeded()));
        let update = watch.find(|update| matches!(update.kind, UpdateKind::Ended(_)));
        assert!(matches!(update.unwrap().kind, UpdateKind::Ended(Ok(_))));
        assert!(watch.next_at_most(secs(10)).is_none());
    });
}

#[test]
fn it_works_on_a_thread_of_a_runtime_and_after_its_waiter_is_dropped() {
    within(secs(20), || {
        current_thread().block_on(async {
            let waiter = blocking::Waiter::new(builder()).unwrap();
            let wait = waiter.wait_for_job("one");
            let watch = waiter.resume(&waiter.watch(["two"]).kind("create").checkpoint());
            drop(waiter);
            assert!(wait.wait().is_ok());
            assert!(watch.count() >= 1);
        });
    });
}

#[test]
fn the_thread_ends_with_the_last_user() {
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    within(secs(20), || {
        let has_ended = Arc::new(AtomicBool::new(false));
        let at_end = Mutex::new(Some(OnDrop(Arc::clone(&has_ended))));
        let source = source_fn(move |_| {
            // A task of the runtime, which is dropped with it.
            if let Some(at_end) = at_end.lock().unwrap().take() {
                Handle::current().spawn(async move {
                    let _is_owned = at_end;
                    pending::<()>().await;
                });
            }
            async { Ok(JobState::running()) }
        });
        let policy = every(secs(1)).first_poll_at_once(true);
        let waiter = blocking::Waiter::new(Waiter::builder(source).policy(policy)).unwrap();
        let wait = waiter.wait_for_job("never").wait_at_most(ms(50)).unwrap_err();
        assert_eq!(waiter.stats().polls, 1);
        drop(waiter);
        assert!(!has_ended.load(Ordering::Acquire));
        drop(wait);
        while !has_ended.load(Ordering::Acquire) {
            thread::yield_now();
        }
    });
}

#[test]
fn a_source_that_waits_for_its_own_waiter_ends_its_job_and_no_other() {
    within(secs(20), || {
        let inner: Arc<OnceLock<blocking::Waiter>> = Arc::default();
        let own = Arc::clone(&inner);
        let source = source_fn(move |id| {
            let own = own.get().cloned();
            async move {
                if id.as_str() == "bad" {
                    own.unwrap().wait_for_job("other").wait().unwrap();
                }
                Ok(JobState::succeeded())
            }
        });
        let policy = every(ms(5)).first_poll_at_once(true);
        let builder = Waiter::builder(source).policy(policy).min_interval(ms(1));
        let waiter = blocking::Waiter::new(builder).unwrap();
        inner.set(waiter.clone()).unwrap();
        let error = waiter.wait_for_job("bad").wait().unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::Panicked);
        assert!(error.to_string().contains("a blocking wait in a source"), "{error}");
        assert!(waiter.wait_for_job("good").wait().is_ok());
    });
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let error: ConfigError = blocking::Waiter::new(builder().max_in_flight(0)).unwrap_err();
    assert_eq!(error.field(), "max_in_flight");
}

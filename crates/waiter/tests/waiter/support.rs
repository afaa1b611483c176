//! A service in memory, on the runtime's (paused) clock.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cfw_waiter::{
    Attempt, JobId, JobSource, JobState, Policy, Schedule, SourceError, Waiter, source_fn,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn every(interval: Duration) -> Policy {
    Policy::new().schedule(Schedule::fixed(interval).unwrap())
}

/// A runtime that is driven only while `block_on` runs, on a paused clock.
pub(crate) fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// A runtime that is driven only while `block_on` runs.
pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A runtime with threads of its own.
pub(crate) fn multi_thread(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

/// A waiter that polls its jobs every millisecond or two.
pub(crate) fn quick<F, Fut>(fetch: F) -> Waiter
where
    F: Fn(JobId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<JobState, SourceError>> + Send + 'static,
{
    let builder = Waiter::builder(source_fn(fetch)).seed(7).min_interval(ms(1));
    builder.policy(every(ms(2)).timeout(secs(10))).build().unwrap()
}

/// Runs a test that may hang on a thread of its own. Fails if it has not ended in time.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    test: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = test();
        done.send(()).unwrap();
        result
    });
    if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs: not ended after {limit:?}");
    }
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Keeps the tests that measure time from disturbing one another: one of them runs at a time.
pub(crate) fn measuring() -> MutexGuard<'static, ()> {
    static MEASURING: Mutex<()> = Mutex::new(());
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names the test that a child process is to run.
const CHILD: &str = "CFW_TEST_CHILD";

/// Runs a test that may abort its process in a process of its own. `name` is the test's full name.
pub(crate) fn in_child_process(name: &str, test: impl FnOnce()) {
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        return test();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([name, "--exact", "--nocapture"]).env(CHILD, name).env("RUST_BACKTRACE", "0");
    let output = child.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("1 passed"), "{}: {text}{errors}", output.status);
}

/// What a service does when it is asked for a job.
#[derive(Clone)]
pub(crate) enum Act {
    /// Running until so long after the first request for any job, then succeeded.
    SucceedAfter(Duration),
    Answer(Result<JobState, SourceError>),
    Hang,
    Panic,
}

/// Answers after 10 ms, and keeps a record.
#[derive(Default)]
pub(crate) struct Service {
    acts: Mutex<HashMap<String, Act>>,
    started: Mutex<Option<Instant>>,
    record: Mutex<Vec<(Duration, String)>>,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) dropped_in_flight: AtomicUsize,
}

impl Service {
    pub(crate) fn new(acts: impl IntoIterator<Item = (&'static str, Act)>) -> Arc<Self> {
        let service = Self::default();
        *service.acts.lock().unwrap() =
            acts.into_iter().map(|(id, act)| (id.to_owned(), act)).collect();
        Arc::new(service)
    }

    pub(crate) fn waiter(self: &Arc<Self>) -> Waiter {
        Waiter::builder(Arc::clone(self)).seed(7).policy(every(secs(2))).build().unwrap()
    }

    pub(crate) fn set(&self, id: &str, act: Act) {
        self.acts.lock().unwrap().insert(id.to_owned(), act);
    }

    pub(crate) fn polls(&self) -> usize {
        self.record.lock().unwrap().len()
    }

    pub(crate) fn polls_of(&self, id: &str) -> usize {
        self.record.lock().unwrap().iter().filter(|(_, polled)| polled == id).count()
    }

    /// The times of all polls since the first one.
    pub(crate) fn times(&self) -> Vec<Duration> {
        self.record.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }
}

impl JobSource for Service {
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        let now = Instant::now();
        let started = *self.started.lock().unwrap().get_or_insert(now);
        self.record.lock().unwrap().push((now - started, id.to_string()));
        let flight = InFlight::new(self);
        let act = self.acts.lock().unwrap().get(id.as_str()).cloned();
        tokio::time::sleep(ms(10)).await;
        let answer = match act {
            None => Ok(JobState::succeeded()),
            Some(Act::SucceedAfter(d)) if started.elapsed() >= d => Ok(JobState::succeeded()),
            Some(Act::SucceedAfter(_)) => Ok(JobState::running()),
            Some(Act::Answer(answer)) => answer,
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Panic) => panic!("the source has a bug"),
        };
        flight.landed();
        answer
    }
}

struct InFlight<'a>(&'a Service, bool);

impl<'a> InFlight<'a> {
    fn new(service: &'a Service) -> Self {
        service.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(service, false)
    }

    fn landed(mut self) {
        self.1 = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped_in_flight.fetch_add(1, Ordering::SeqCst);
        }
    }
}

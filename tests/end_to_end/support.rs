//! What all tests share. Jobs and schedules are scaled from minutes to milliseconds; machines are not, so
//! tests assert facts and orders, and of times only that something did not happen too early.

use std::sync::LazyLock;
use std::time::Duration;

use cfw_api::{Client, Credentials};
use cfw_simulator::{Simulator, TimeFormat};
use cfw_waiter::{
    Attempt, JobId, JobSource, JobState, Outcome, Policy, Quota, Schedule, SourceError, Update,
    UpdateKind, WaitError, WaitErrorKind, Waiter, WaiterBuilder, Watch,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

/// Long enough for anything to happen on a busy machine, short of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// On a thread of its own, so that a busy client does not slow it down.
pub(crate) fn simulator() -> Simulator {
    Simulator::builder().start_on_thread().unwrap()
}

pub(crate) fn simulator_with_times(times: TimeFormat) -> Simulator {
    Simulator::builder().times(times).start_on_thread().unwrap()
}

pub(crate) fn client(sim: &Simulator) -> Client {
    client_with_token(sim, sim.token())
}

pub(crate) fn client_with_token(sim: &Simulator, token: &str) -> Client {
    Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(token))
        .build()
        .unwrap()
}

/// A waiter for jobs that take milliseconds. Polls of a running job are 10 ms apart.
pub(crate) fn brisk(sim: &Simulator) -> WaiterBuilder<Client> {
    brisk_with(client(sim))
}

pub(crate) fn brisk_with<S: JobSource>(source: S) -> WaiterBuilder<S> {
    Waiter::builder(source).policy(brisk_policy()).min_interval(ms(5)).quota(None::<Quota>)
}

pub(crate) fn brisk_policy() -> Policy {
    Policy::new().schedule(Schedule::fixed(ms(10)).unwrap()).timeout(PATIENCE)
}

/// The end of a wait that is expected to be a bad one.
#[track_caller]
pub(crate) fn bad_end(outcome: Outcome, kind: WaitErrorKind) -> WaitError {
    let error = outcome.expect_err("the wait ended well");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

/// The messages of an error and of all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |all, cause| format!("{all}: {cause}"))
}

/// What a watch reported, in short.
pub(crate) async fn story(mut watch: Watch) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(Update { kind, .. }) = watch.next().await {
        told.push(match kind {
            UpdateKind::Changed { from: None, to } => to.status.into_owned(),
            UpdateKind::Changed { from: Some(from), to } => format!("{from} -> {}", to.status),
            UpdateKind::Trouble(error) => format!("trouble: {error}"),
            UpdateKind::Ended(Ok(_)) => "succeeded".to_owned(),
            UpdateKind::Ended(Err(error)) => format!("{:?}", error.kind()),
            other => format!("{other:?}"),
        });
    }
    told
}

#[expect(clippy::disallowed_methods, reason = "the other side of a socket lives in real time")]
pub(crate) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// Waits for what is bound to happen, on the other side of a socket perhaps.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        pause(ms(2)).await;
    }
    panic!("has not come true within ten seconds");
}

/// Ends a job once it has been polled so often, however long that takes.
pub(crate) async fn finish_after(sim: &Simulator, id: &str, polls: usize) {
    eventually(|| sim.polls_of(id).len() >= polls).await;
    assert!(sim.finish(id));
}

/// Waits until the simulator hears no more of us. What was on the wire when its wait ended may still arrive;
/// polls 10 ms apart would never let it be.
pub(crate) async fn falls_silent(sim: &Simulator) {
    let (mut heard, mut silence) = (sim.counts().requests, 0);
    eventually(|| {
        let now = sim.counts().requests;
        silence = if now == heard { silence + 1 } else { 0 };
        heard = now;
        silence > 25
    })
    .await;
}

/// A client for waiters whose clock is virtual, so that minutes of patience take no time.
///
/// A paused clock jumps to the next timer whenever its runtime has nothing to do, and waiting for a socket is
/// nothing to do. It stands still while a blocking task runs, so that is where the request is made, on
/// another runtime, whose clock is real.
pub(crate) struct InRealTime(pub(crate) Client);

static REAL_TIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

impl JobSource for InRealTime {
    async fn fetch(&self, id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        let (client, id) = (self.0.clone(), id.clone());
        let request = move || REAL_TIME.block_on(JobSource::fetch(&client, &id, attempt));
        spawn_blocking(request).await.unwrap()
    }

    fn quota(&self) -> Option<Quota> {
        self.0.quota()
    }
}

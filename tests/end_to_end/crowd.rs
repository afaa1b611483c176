//! Two thousand jobs at once, every tenth poll struck by one of all the faults that pass.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cfw_api::Client;
use cfw_simulator::{Fault, JobScript, Request, Simulator};
use cfw_waiter::{
    Attempt, ErrorClass, JobId, JobSource, JobState, Outcome, Schedule, SourceError, Update,
    UpdateKind, WaitErrorKind, Watch,
};

use crate::support::{brisk_policy, brisk_with, client, eventually, ms};

const JOBS: usize = 2_000;
const MAX_IN_FLIGHT: u32 = 32;
const RETRY_AFTER: u64 = 500;

fn throttled() -> Fault {
    Fault::Throttled {
        retry_after: Some("0.5".to_owned()),
        // Without a quota in its text the lesson would be to go slow, for a minute or more.
        quota: Some("limit:100000,time:1 second".to_owned()),
    }
}

/// All that passes by itself. Pauses and hung requests cost time, so they are rare.
fn faults() -> Vec<Fault> {
    let cheap = || {
        let others = [
            Fault::NotFound,
            Fault::UnknownStatus,
            Fault::EqualId,
            Fault::Status(408),
            Fault::Status(502),
        ];
        Fault::transient().into_iter().chain(others)
    };
    let rare = [
        throttled(),
        Fault::Hang,
        Fault::DeadConnection,
        Fault::Endless,
        Fault::Slow(ms(60)),
        Fault::SlowBody(ms(60)),
    ];
    let odd = Fault::passing().into_iter().skip(Fault::transient().len());
    (0..2).flat_map(|_| cheap()).chain(odd).chain(rare).collect()
}

/// What passes only once something good was heard. What slows all jobs down is left out, and has tests of its own.
fn faults_amid() -> Vec<Fault> {
    let foreign = Fault::foreign_client_errors().into_iter();
    foreign.filter(|fault| !Fault::passing().contains(fault) && !slows_all(fault)).collect()
}

fn slows_all(fault: &Fault) -> bool {
    // A refusal rests all jobs, and `OverLimit`, which names no quota, would slow them down for a minute or more.
    matches!(fault, Fault::Status(401) | Fault::OverLimit { .. })
}

/// What one job was told to have done.
#[derive(Default)]
struct Heard {
    status: Option<String>,
    outcomes: Vec<Outcome>,
}

async fn hear(mut watch: Watch) -> BTreeMap<String, Heard> {
    let mut all: BTreeMap<String, Heard> = BTreeMap::new();
    while let Some(Update { id, kind, .. }) = watch.next().await {
        let heard = all.entry(id.as_str().to_owned()).or_default();
        assert!(heard.outcomes.is_empty(), "{id}: {kind:?} after the end");
        match kind {
            UpdateKind::Changed { from, to } => {
                assert_eq!(from.as_deref(), heard.status.as_deref(), "{id}: what was told before");
                assert_ne!(from.as_deref(), Some(&*to.status), "{id}: no change");
                heard.status = Some(to.status.into_owned());
            }
            UpdateKind::Ended(outcome) => heard.outcomes.push(outcome),
            _ => {}
        }
    }
    all
}

#[tokio::test]
async fn two_thousand_jobs_with_faults_of_every_kind_end_once_and_correctly() {
    let sim = Simulator::builder().seed(7).start_on_thread().unwrap();
    let script = JobScript::random(ms(1_500)).error("CFW.00600003", "no available flavor");
    let mut expected = BTreeMap::new();
    for n in 0..JOBS {
        let fails = n % 5 == 0;
        let id = sim.add_job(script.clone().failure_share(if fails { 1.0 } else { 0.0 }));
        expected.insert(id, fails);
    }
    sim.fail_randomly(0.1, faults());

    let schedule = Schedule::exponential(ms(100), 1.5, ms(400)).unwrap();
    let notes = Arc::<Mutex<Notes>>::default();
    let waiter = brisk_with(Noting { client: client(&sim), notes: Arc::clone(&notes) })
        .policy(brisk_policy().schedule(schedule))
        .max_in_flight(MAX_IN_FLIGHT)
        .min_interval(ms(50))
        .attempt_timeout(ms(1_000))
        .build()
        .unwrap();
    let (heard, ()) = tokio::join!(hear(waiter.watch(expected.keys())), async {
        eventually(|| sim.counts().polls >= 500).await;
        faults_amid().into_iter().for_each(|fault| sim.fail_next(3, fault));
    });
    eventually(|| sim.in_flight() == 0).await;

    // Every job, once, and as it was scripted.
    assert_eq!(heard.len(), JOBS);
    for (id, heard) in &heard {
        let [outcome] = &heard.outcomes[..] else { panic!("{id}: {} ends", heard.outcomes.len()) };
        match outcome {
            Ok(_) => assert!(!expected[id], "{id} failed"),
            Err(error) => {
                assert_eq!(error.kind(), WaitErrorKind::Failed, "{error}");
                assert!(expected[id], "{id} succeeded");
                assert!(error.to_string().ends_with("CFW.00600003: no available flavor"));
            }
        }
    }

    let (record, counts) = (sim.requests(), sim.counts());
    println!("{counts:?}, {:?}, {:?}", sim.connections(), waiter.stats());
    // By this seed first polls alone meet all of them, so it does not depend on how many others there are.
    let met = |fault: &Fault| record.iter().any(|poll| poll.fault.as_deref() == Some(fault));
    assert_eq!(faults().into_iter().chain(faults_amid()).find(|fault| !met(fault)), None);
    assert_eq!(counts.overlapping, 0, "one request at a time per job");
    assert!(sim.max_in_flight() <= MAX_IN_FLIGHT, "{}", sim.max_in_flight());
    // After a time-out new connections replace all others, which close meanwhile.
    assert!(sim.connections().peak <= 2 * MAX_IN_FLIGHT, "{:?}", sim.connections());
    assert_eq!(counts.requests, counts.polls);
    // A request can be given up before the server has read it, and one is sent on each dead connection.
    let stats = waiter.stats();
    let is_dead = |poll: &&Request| poll.fault.as_deref() == Some(&Fault::DeadConnection);
    let dead = u64::try_from(record.iter().filter(is_dead).count()).unwrap();
    assert!(stats.polls - counts.polls <= stats.timed_out + dead, "{stats:?}");
    assert_eq!(notes.lock().unwrap().begun_in_pauses(), 0, "polls begun during a pause");
    assert_eq!(arrived_in_pauses(&record), [] as [&Request; 0], "polls during a pause");
    // None after the end of its job, whatever its answer was worth.
    eventually(|| sim.in_flight() == 0).await;
    assert_eq!(sim.counts().polls, counts.polls);
}

/// A client that notes when it was asked, and when it was told to pause.
struct Noting {
    client: Client,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    asked: Vec<Instant>,
    refused: Vec<Instant>,
}

impl JobSource for Noting {
    #[expect(clippy::disallowed_methods, reason = "notes when things happened")]
    async fn fetch(&self, id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        let asked = Instant::now();
        self.notes.lock().unwrap().asked.push(asked);
        let answer = self.client.fetch(id, attempt).await;
        if answer.as_ref().is_err_and(|e| matches!(e.class(), ErrorClass::Throttled { .. })) {
            let refused = &mut self.notes.lock().unwrap().refused;
            // What was asked before a pause began does not extend it.
            if refused.last().is_none_or(|last| asked > *last) {
                refused.push(Instant::now());
            }
        }
        answer
    }

    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        self.client.fetch_timeout(attempt_timeout)
    }
}

impl Notes {
    /// How many requests were begun in the first half of a pause, from the moment when it was asked for.
    fn begun_in_pauses(&self) -> usize {
        let half = ms(RETRY_AFTER / 2);
        let in_pause =
            |asked: &&Instant| self.refused.iter().any(|at| (*at..*at + half).contains(*asked));
        self.asked.iter().filter(in_pause).count()
    }
}

/// Requests that arrived in the second half of a pause. By then what was on its way has come.
fn arrived_in_pauses(record: &[Request]) -> Vec<&Request> {
    let (half, end) = (ms(RETRY_AFTER / 2), ms(RETRY_AFTER - 10));
    let refusals = record.iter().filter(|request| request.status == Some(429));
    let refused: Vec<_> = refusals.filter_map(|request| request.answered).collect();
    let in_pause = |request: &&Request| {
        refused.iter().any(|at| request.at > *at + half && request.at < *at + end)
    };
    record.iter().filter(in_pause).collect()
}

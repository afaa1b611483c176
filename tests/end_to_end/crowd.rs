//! Two thousand jobs at once, every tenth poll struck by one of all the faults that pass, and some by odd answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cfw_api::Client;
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{
    Attempt, ErrorClass, JobId, JobSource, JobState, Outcome, Schedule, SourceError, Update,
    UpdateKind, WaitErrorKind, Watch,
};

use crate::support::{PATIENCE, brisk_policy, brisk_with, client, eventually, ms, pause};

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

/// What passes however often it comes, for random polls. Pauses and hung requests cost time, so they are rare.
fn faults() -> Vec<Fault> {
    let cheap = || {
        let others = [
            Fault::NotFound,
            Fault::UnknownStatus,
            Fault::EqualId,
            Fault::Gzip,
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
    (0..2).flat_map(|_| cheap()).chain(rare).collect()
}

/// What is no answer of the service. Three in a row over 10 s end a wait, so no job gets more than two.
fn unexpected(is_fresh: bool) -> impl Iterator<Item = Fault> {
    let foreign = Fault::foreign_client_errors().into_iter();
    let foreign =
        foreign.filter(|fault| !matches!(fault, Fault::Status(401) | Fault::OverLimit { .. }));
    foreign.filter(move |fault| !is_fresh || Fault::passing().contains(fault))
}

/// The faults of single jobs, from their first poll on.
fn scripts() -> Vec<Vec<Fault>> {
    let fresh =
        unexpected(true).flat_map(|fault| [vec![fault.clone()], vec![fault.clone(), fault]]);
    // The first answer is good.
    let good = || Fault::Slow(ms(1));
    let proven = unexpected(false).map(|fault| vec![good(), fault.clone(), fault]);
    // The connections of a client share a thread, and hyper reads 50 MiB of a flood at a time: half a minute of work
    // unless it is optimised.
    let floods = [(); 2].map(|()| vec![good(), Fault::InterimFlood]);
    // A refusal rests all jobs for a second.
    fresh.chain(proven).chain(floods).chain([vec![good(), Fault::Status(401)]]).collect()
}

/// It names no quota, so it slows all jobs down for a minute or more, and meets the last one.
fn over_limit() -> Fault {
    Fault::OverLimit { retry_after: Some("0.5".to_owned()) }
}

/// As [`eventually`], for what takes a while.
async fn in_time(holds: impl Fn() -> bool) {
    for _ in 0..3_600 {
        if holds() {
            return;
        }
        pause(ms(50)).await;
    }
    panic!("has not come true within three minutes");
}

/// What was reported of one job.
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
    // These last until all of their faults have come.
    let mut late = Vec::new();
    for faults in scripts() {
        let id = sim.add_job(JobScript::never());
        sim.fail_polls(&id, faults);
        expected.insert(id.clone(), false);
        late.push(id);
    }
    sim.fail_randomly(0.1, faults());

    let schedule = Schedule::exponential(ms(100), 1.5, ms(400)).unwrap();
    let notes = Arc::<Mutex<Notes>>::default();
    let waiter = brisk_with(Noting { client: client(&sim), notes: Arc::clone(&notes) })
        .policy(brisk_policy().schedule(schedule).timeout(3 * PATIENCE))
        .max_in_flight(MAX_IN_FLIGHT)
        .min_interval(ms(50))
        .attempt_timeout(ms(1_000))
        .build()
        .unwrap();
    let (heard, ()) = tokio::join!(hear(waiter.watch(expected.keys())), async {
        let jobs = u64::try_from(JOBS).unwrap();
        let ended = || waiter.stats().succeeded + waiter.stats().ends(WaitErrorKind::Failed);
        let has_met = |id: &String, faults: &[Fault]| {
            let met: Vec<_> = sim.polls_of(id).into_iter().filter_map(|poll| poll.fault).collect();
            faults.iter().all(|fault| met.iter().any(|met| **met == *fault))
        };
        in_time(|| ended() >= jobs).await;
        in_time(|| late.iter().zip(&scripts()).all(|(id, faults)| has_met(id, faults))).await;
        let (last, others) = late.split_last().unwrap();
        assert!(others.iter().all(|id| sim.finish(id)));
        in_time(|| waiter.stats().watched == 1).await;
        sim.fail_next(1, over_limit());
        in_time(|| has_met(last, &[over_limit()])).await;
        assert!(sim.finish(last));
    });
    eventually(|| sim.in_flight() == 0).await;

    // Every job, once, and as it was scripted.
    assert_eq!(heard.len(), expected.len());
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
    // By this seed first polls alone meet all of the random ones, so it does not depend on how many others there are.
    let met = |fault: &Fault| record.iter().any(|poll| poll.fault.as_deref() == Some(fault));
    assert_eq!(faults().into_iter().find(|fault| !met(fault)), None);
    assert_eq!(counts.overlapping, 0, "one request at a time per job");
    assert!(sim.max_in_flight() <= MAX_IN_FLIGHT, "{}", sim.max_in_flight());
    // New connections can replace all others, which stay open as long as a request on one of them is in flight.
    assert!(sim.connections().peak <= 2 * MAX_IN_FLIGHT, "{:?}", sim.connections());
    assert_eq!(counts.requests, counts.polls);
    // A request can be given up before the server has read it, as on a dead connection or beside a flood, and those
    // that were about to be sent when the credentials were refused are not.
    let stats = waiter.stats();
    let unanswered = stats.timed_out + notes.lock().unwrap().unanswered;
    assert!(stats.polls - counts.polls <= unanswered + u64::from(MAX_IN_FLIGHT), "{stats:?}");
    assert_eq!(notes.lock().unwrap().begun_in_pauses(), 0, "polls begun during a pause");
    // None after the end of its job, whatever its answer was worth.
    eventually(|| sim.in_flight() == 0).await;
    assert_eq!(sim.counts().polls, counts.polls);
}

#[tokio::test]
async fn a_crowd_on_one_service_is_undisturbed_by_the_floods_of_another() {
    const FLOODED: usize = 8;
    let flooding = Simulator::builder().start_on_thread().unwrap();
    flooding.fail_randomly(1.0, [Fault::InterimFlood]);
    let limit = ms(3_000);
    let ids: Vec<_> = (0..FLOODED).map(|_| flooding.add_job(JobScript::never())).collect();
    let flooded = brisk_with(client(&flooding)).policy(brisk_policy().timeout(limit));
    let flooded = flooded.build().unwrap();

    let sim = Simulator::builder().seed(7).start_on_thread().unwrap();
    let jobs: Vec<_> = (0..200).map(|_| sim.add_job(JobScript::random(ms(500)))).collect();
    let schedule = Schedule::exponential(ms(100), 1.5, ms(400)).unwrap();
    let waiter =
        brisk_with(client(&sim)).policy(brisk_policy().schedule(schedule)).build().unwrap();

    let begun = flooded.watch(&ids).all();
    let (flooded, crowd) = tokio::join!(begun, async {
        eventually(|| flooding.in_flight() > 0).await;
        hear(waiter.watch(&jobs)).await
    });
    assert_eq!(flooded.len(), FLOODED);
    for (id, outcome) in flooded {
        let error = outcome.expect_err("no answer comes");
        assert_eq!(error.kind(), WaitErrorKind::TimedOut, "{id}: {error}");
        // A busy machine may wake the thread late, but not by as much as one connection reads at a time.
        assert!(error.report().elapsed < limit + ms(1_500), "{error}");
    }
    assert_eq!(crowd.len(), jobs.len());
    for (id, heard) in crowd {
        assert!(matches!(&heard.outcomes[..], [Ok(_)]), "{id}: {:?}", heard.outcomes);
    }
    assert_eq!(waiter.stats().timed_out, 0, "{:?}", waiter.stats());
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
    /// How many requests were never answered.
    unanswered: u64,
}

impl JobSource for Noting {
    #[expect(clippy::disallowed_methods, reason = "notes when things happened")]
    async fn fetch(&self, id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        let asked = Instant::now();
        self.notes.lock().unwrap().asked.push(asked);
        let answer = self.client.fetch(id, attempt).await;
        if answer.as_ref().is_err_and(|e| matches!(e.class(), ErrorClass::Unreached)) {
            self.notes.lock().unwrap().unanswered += 1;
        }
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
    /// How many requests were begun in a pause, from the moment when it was asked for. A turn of a driver on a busy machine has
    /// begun some time before that.
    fn begun_in_pauses(&self) -> usize {
        let pause = ms(RETRY_AFTER - 100);
        let in_pause =
            |asked: &&Instant| self.refused.iter().any(|at| (*at..*at + pause).contains(*asked));
        self.asked.iter().filter(in_pause).count()
    }
}

//! Everything that goes wrong with single answers or for a while, and passes. Each wait ends well all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cfw_api::{Class, Client, Credentials, Error};
use cfw_simulator::{Fault, JobScript, SimulateOptions, Simulator, TimeFormat};
use cfw_waiter::{Schedule, WaitErrorKind, Waiter};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{
    PATIENCE, brisk, brisk_policy, brisk_with, client, eventually, finish_after, ms, pause,
    simulator, simulator_with_times, story,
};

/// How long an attempt may take: short where no answer comes, else longer than a busy machine can make it.
fn attempt(fault: &Fault) -> Duration {
    if *fault == Fault::Hang { ms(100) } else { PATIENCE }
}

/// A quota too large to matter, named so that a refusal has no other effect than its pause.
fn throttled_for(retry_after: &str) -> Fault {
    Fault::Throttled {
        retry_after: Some(retry_after.to_owned()),
        quota: Some("limit:100000,time:1 second".to_owned()),
    }
}

/// Without the header the pause would be 5 s at most.
#[tokio::test]
async fn a_date_in_any_form_holds_the_next_poll_back() {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let waits = FORMS.map(|form| async move {
        let sim = simulator();
        let id = sim.add_job(JobScript::succeeds_after(ms(0)));
        let until = Timestamp::from_second(Timestamp::now().as_second() + 6).unwrap();
        sim.fail_next(1, throttled_for(&until.strftime(form).to_string()));
        let report = brisk(&sim).build().unwrap().wait_for_job(&id).await.unwrap();
        assert_eq!(report.polls, 2, "{form}");
        assert!(Timestamp::now() >= until, "{form}");
    });
    futures_util::future::join_all(waits).await;
}

/// Serves polls. The first connection answers well once and then with `answer`, as a machine does to which the name
/// does not lead any more; all others answer that the job has succeeded.
async fn moved_service(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let good = |status| {
        let body = format!(r#"{{"data":{{"status":"{status}"}}}}"#);
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        let mut is_first = true;
        while let Ok((mut stream, _)) = listener.accept().await {
            let (first, later) = match is_first {
                true => (good("Running"), answer.to_owned()),
                false => (good("Success"), good("Success")),
            };
            is_first = false;
            tokio::spawn(async move {
                let mut next = first;
                while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(next.as_bytes()).await.is_err() {
                        break;
                    }
                    next.clone_from(&later);
                }
            });
        }
    });
    endpoint
}

#[tokio::test]
async fn a_wait_outlives_a_connection_that_leads_to_another_machine_by_now() {
    for answer in [
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\n<html></html>",
        "HTTP/1.1 302 Found\r\nLocation: http://parked.example\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 27\r\n\r\n{\"error_code\":\"APIGW.0101\"}",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    ] {
        let client = Client::builder()
            .endpoint(moved_service(answer).await)
            .project_id("p")
            .credentials(Credentials::token("t"))
            .build()
            .unwrap();
        let policy = brisk_policy().timeout(ms(20_000));
        let waiter = brisk_with(client).policy(policy).build().unwrap();
        let report = waiter.wait_for_job("j").await.unwrap_or_else(|error| panic!("{error}"));
        assert!((3..=6).contains(&report.polls), "{answer}: {} polls", report.polls);
    }
}

fn all_that_passes() -> Vec<Fault> {
    let mut faults = Fault::passing();
    faults.extend([
        Fault::Status(408),
        Fault::Status(425),
        Fault::Status(502),
        Fault::code(400, "CFW.00109004", "http to external service error"),
        Fault::code(200, "CFW.00100001", "System busy. Try again later."),
        Fault::ServiceUnavailable { retry_after: Some("0.05".to_owned()) },
        throttled_for("0.05"),
        Fault::Endless,
        Fault::Hang,
        Fault::NotFound,
        Fault::UnknownStatus,
    ]);
    faults
}

#[tokio::test]
async fn one_bad_answer_of_any_kind_is_survived() {
    for fault in all_that_passes() {
        let sim = simulator();
        let id = sim.add_job(JobScript::succeeds_after(ms(0)));
        sim.fail_next(1, fault.clone());
        let waiter = brisk(&sim).attempt_timeout(attempt(&fault)).build().unwrap();
        let report = waiter.wait_for_job(&id).await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        // A slow answer is a good one; all others call for another poll.
        match fault {
            Fault::Slow(_) => assert_eq!(report.polls, 1),
            Fault::Hang => assert!(report.polls >= 2),
            _ => assert_eq!(report.polls, 2, "{fault:?}"),
        }
        assert_eq!(sim.counts().overlapping, 0, "{fault:?}");
    }
}

/// Asks once, and returns what came of it. With `is_proven` the client has had a good answer before.
async fn class_of(fault: &Fault, is_proven: bool) -> Result<(), Error> {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0))).parse().unwrap();
    let client = client(&sim);
    if is_proven {
        client.list_job(&id).await.unwrap();
    }
    sim.fail_next(1, fault.clone());
    client.list_job(&id).await.map(drop)
}

/// The simulator's lists of what passes and the client's table of answers say the same.
#[tokio::test]
async fn what_the_simulator_calls_passing_the_client_does_not_call_final() {
    for fault in Fault::transient() {
        match class_of(&fault, false).await.map_err(|error| error.class()) {
            Ok(()) => assert!(matches!(fault, Fault::Slow(_)), "{fault:?} is an answer"),
            Err(Class::Transient { .. } | Class::Unreached) => (),
            Err(class) => panic!("{fault:?}: {class:?}"),
        }
    }
    for fault in Fault::passing().into_iter().skip(Fault::transient().len()) {
        let error = class_of(&fault, false).await.unwrap_err();
        assert_eq!(error.class(), Class::Unexpected { can_pass: true }, "{fault:?}");
        assert!(Fault::foreign_client_errors().contains(&fault), "{fault:?}");
    }
    // The others are final where nothing good was heard, or throttle.
    let mut seen = Vec::new();
    for fault in Fault::foreign_client_errors() {
        if Fault::passing().contains(&fault) {
            continue;
        }
        let name = |class| match class {
            Class::Unauthorized => "refused",
            Class::Transient { retry_after: Some(_) } => "rests",
            Class::Throttled { retry_after: Some(_), .. } => "throttled",
            Class::Unexpected { can_pass: false } => "stays",
            _ => "other",
        };
        let [fresh, proven] =
            [class_of(&fault, false).await, class_of(&fault, true).await].map(Result::unwrap_err);
        seen.push((fresh.status().unwrap(), name(fresh.class()), name(proven.class())));
    }
    let expected = [
        (401, "refused", "rests"),
        (404, "stays", "stays"),
        (405, "stays", "stays"),
        (413, "throttled", "throttled"),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn one_foreign_answer_amid_good_ones_ends_no_wait() {
    for fault in Fault::foreign_client_errors() {
        if matches!(fault, Fault::OverLimit { .. }) {
            // It is throttling, and without a quota slows the source down for a minute or more.
            continue;
        }
        let sim = simulator();
        let ids = sim.add_jobs(20, &JobScript::never());
        let waiter = brisk(&sim).build().unwrap();
        let all = waiter.watch(&ids).all_or_first_failure();
        let trouble = async {
            eventually(|| ids.iter().all(|id| sim.polls_of(id).len() >= 2)).await;
            sim.fail_next(1, fault.clone());
            let is_met = || sim.requests().iter().any(|poll| poll.fault.is_some());
            eventually(is_met).await;
            assert!(ids.iter().all(|id| sim.finish(id)));
        };
        let (reports, ()) = tokio::join!(all, trouble);
        assert_eq!(reports.unwrap_or_else(|e| panic!("{fault:?}: {e}")).len(), 20);
        assert_eq!(sim.counts().overlapping, 0, "{fault:?}");
    }
}

fn waiter_with_growing_delays(sim: &Simulator) -> Waiter {
    let schedule = Schedule::exponential(ms(20), 1.5, ms(80)).unwrap();
    let policy = brisk_policy().schedule(schedule);
    brisk(sim).policy(policy).attempt_timeout(PATIENCE).build().unwrap()
}

/// Waits for jobs of which each fifth fails, and checks every end. `sim` must give faults already.
async fn wait_from_the_first_poll_on(sim: &Simulator, jobs: usize) {
    let script = JobScript::random(ms(300)).error("CFW.00600003", "no available flavor");
    let expected: BTreeMap<String, bool> = (0..jobs)
        .map(|n| n % 5 == 0)
        .map(|fails| (sim.add_job(script.clone().failure_share(f64::from(u8::from(fails)))), fails))
        .collect();
    let outcomes = waiter_with_growing_delays(sim).watch(expected.keys()).all().await;
    assert_eq!(outcomes.len(), jobs);
    for (id, outcome) in outcomes {
        let failed = outcome.is_err_and(|error| {
            assert_eq!(error.kind(), WaitErrorKind::Failed, "{error}");
            true
        });
        assert_eq!(failed, expected[id.as_str()], "{id}");
    }
}

#[tokio::test]
async fn fresh_jobs_end_correctly_though_three_of_ten_answers_are_faults() {
    let sim = Simulator::builder().seed(8).start_on_thread().unwrap();
    sim.fail_randomly(0.3, Fault::passing());
    wait_from_the_first_poll_on(&sim, 300).await;
    // The first answer of all was each of these to some job.
    let (mut seen, mut met) = (BTreeSet::new(), Vec::new());
    for poll in sim.requests() {
        if seen.insert(poll.job.clone()) {
            met.extend(poll.fault);
        }
    }
    let is_met = |fault: &Fault| met.iter().any(|met| **met == *fault);
    assert_eq!(Fault::passing().into_iter().find(|fault| !is_met(fault)), None);
}

/// `cfw-wait simulate --faults 0.3`.
#[tokio::test]
async fn jobs_of_the_simulator_for_use_by_hand_end_correctly_with_faults() {
    let mut options = SimulateOptions::default();
    (options.seed, options.jobs, options.mean) = (7, 100, ms(300));
    (options.failure_share, options.fault_share) = (0.2, 0.3);
    let (sim, ids) = options.start().await.unwrap();
    let outcomes = waiter_with_growing_delays(&sim).watch(&ids).all().await;
    let kinds = outcomes.into_iter().filter_map(|(_, outcome)| outcome.err().map(|e| e.kind()));
    let (failed, others): (Vec<_>, Vec<_>) = kinds.partition(|kind| *kind == WaitErrorKind::Failed);
    assert_eq!(others, []);
    assert!((5..=40).contains(&failed.len()), "{} failed", failed.len());
    assert!(sim.counts().faults >= 20, "{:?}", sim.counts());
}

#[tokio::test]
async fn an_outage_of_any_kind_is_survived_and_its_end_is_noticed() {
    for fault in all_that_passes() {
        if matches!(fault, Fault::Slow(_)) {
            continue;
        }
        let sim = simulator();
        let id = sim.add_job(JobScript::succeeds_after(ms(0)));
        sim.fail_during(.., fault.clone());
        let waiter = brisk(&sim).attempt_timeout(attempt(&fault)).build().unwrap();
        let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), async {
            eventually(|| sim.polls_of(&id).len() >= 4).await;
            sim.clear_faults();
        });
        outcome.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let polls = sim.polls_of(&id);
        let (last, before) = polls.split_last().unwrap();
        assert!(before.iter().take(4).all(|poll| poll.fault.is_some()), "{fault:?}");
        assert_eq!((last.status, &last.fault), (Some(200), &None), "{fault:?}");
        assert_eq!(sim.counts().overlapping, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_waited_for() {
    let sim = simulator();
    let endpoint = sim.endpoint();
    let id = "cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f";
    let waiter = brisk(&sim).build().unwrap();
    let port = endpoint.rsplit(':').next().unwrap().parse().unwrap();
    sim.shutdown().await;
    drop(sim);
    let (outcome, _sim) = tokio::join!(waiter.wait_for_job(id), async {
        pause(ms(100)).await;
        let back = Simulator::builder().port(port).start_on_thread().unwrap();
        back.add_job(JobScript::succeeds_after(ms(50)).id(id));
        back
    });
    outcome.unwrap();
    let stats = waiter.stats();
    assert!(stats.transient > 0, "{stats:?}");
}

#[tokio::test]
async fn trouble_is_told_once_until_a_good_answer() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    sim.fail_polls(&id, [Fault::Reset, Fault::Reset, Fault::Reset]);
    let waiter = brisk(&sim).build().unwrap();
    let watch = waiter.watch([&id]);
    let (told, ()) = tokio::join!(story(watch), finish_after(&sim, &id, 5));
    let expected = ["Running", "Running -> Success", "succeeded"];
    assert!(told[0].starts_with("trouble: not reached"), "{told:?}");
    assert_eq!(told[1..], expected);
}

#[tokio::test]
async fn a_job_that_appears_late_is_not_lost() {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0)).appears_after(ms(300)));
    let waiter = brisk(&sim).build().unwrap();
    let report = waiter.wait_for_job(&id).await.unwrap();
    assert!(waiter.stats().not_found >= 3, "{:?}", waiter.stats());
    assert!(report.polls > 3);
}

#[tokio::test]
async fn both_forms_of_time_are_read() {
    for times in [TimeFormat::Millis, TimeFormat::Text] {
        let sim = simulator_with_times(times);
        let id = sim.add_job(JobScript::succeeds_after(ms(30)));
        let waiter = brisk(&sim).build().unwrap();
        let state = waiter.wait_for_job(&id).await.unwrap().state.unwrap();
        let took = state.end.unwrap().duration_since(state.begin.unwrap()).unwrap();
        match times {
            TimeFormat::Millis => assert_eq!(took, ms(30)),
            // Whole seconds: the end may fall into the next one.
            TimeFormat::Text => assert!(took <= ms(1000), "{took:?}"),
        }
    }
}

#[tokio::test]
async fn a_fractional_retry_after_is_kept_to_by_all_jobs() {
    let sim = simulator();
    let ids = sim.add_jobs(8, &JobScript::succeeds_after(ms(100)));
    let policy = brisk_policy().schedule(Schedule::fixed(ms(10)).unwrap());
    let waiter = brisk(&sim).policy(policy).max_in_flight(1).build().unwrap();
    let mut watch = waiter.watch(&ids);
    assert!(watch.next().await.is_some());
    sim.fail_next(1, throttled_for("0.25"));
    let outcomes = watch.all().await;
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    let polls = sim.requests();
    let refused = polls.iter().position(|poll| poll.status == Some(429)).unwrap();
    // With one request in flight the next one was sent after the refusal was read.
    let gap = polls[refused + 1].at - polls[refused].answered.unwrap();
    assert!(gap >= ms(245), "{gap:?}");
    assert!(waiter.stats().paused >= ms(250), "{:?}", waiter.stats());
}

//! Many jobs as one stream, through the driver, on a paused clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use cfw_waiter::{ErrorClass, JobState, SourceError, UpdateKind, WaitErrorKind, Waiter, source_fn};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use crate::support::{Act, Service, every, ms, secs};

fn failed() -> Act {
    Act::Answer(Ok(JobState::failed()))
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_changes_then_one_end_each_then_ends() {
    let service =
        Service::new([("a", Act::SucceedAfter(secs(5))), ("b", Act::SucceedAfter(secs(9)))]);
    let mut watch = service.waiter().watch(["a", "b", "a"]);
    let mut told = Vec::new();
    while let Some(update) = StreamExt::next(&mut watch).await {
        told.push(match update.kind {
            UpdateKind::Changed { from, to } => format!("{} {from:?} {}", update.id, to.status),
            UpdateKind::Ended(outcome) => format!("{} ended {}", update.id, outcome.is_ok()),
            other => panic!("{other:?}"),
        });
    }
    let of =
        |id: &str| told.iter().filter(|line| line.starts_with(id)).cloned().collect::<Vec<_>>();
    assert_eq!(of("a"), ["a None Running", "a Some(\"Running\") Success", "a ended true"]);
    assert_eq!(of("b"), ["b None Running", "b Some(\"Running\") Success", "b ended true"]);
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_update_comes_when_it_is_learnt() {
    let service = Service::new([("job", Act::SucceedAfter(secs(20)))]);
    let mut watch = service.waiter().watch(["job"]).policy(every(secs(8)));
    let start = Instant::now();
    while let Some(update) = watch.next().await {
        assert!(start.elapsed() - update.elapsed < ms(2), "told late: {update:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_collects_every_outcome() {
    let service = Service::new([("good", Act::SucceedAfter(secs(9))), ("bad", failed())]);
    let outcomes = service.waiter().watch(["good", "bad"]).all().await;
    let ended: Vec<_> =
        outcomes.iter().map(|(id, outcome)| (id.as_str(), outcome.is_ok())).collect();
    assert_eq!(ended, [("bad", false), ("good", true)]);
}

#[tokio::test(start_paused = true)]
async fn all_or_first_failure_stops_at_the_first_failure() {
    let service = Service::new([("good", Act::SucceedAfter(secs(900))), ("bad", failed())]);
    let waiter = service.waiter();
    let error = waiter.watch(["good", "bad"]).all_or_first_failure().await.unwrap_err();
    assert_eq!(error.report().id.as_str(), "bad");
    assert_eq!(waiter.stats().watched, 0, "the others are watched no further");
    service.set("bad", Act::SucceedAfter(secs(10)));
    service.set("good", Act::SucceedAfter(secs(10)));
    assert_eq!(waiter.watch(["good", "bad"]).all_or_first_failure().await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn first_success_needs_one() {
    let service = Service::new([
        ("good", Act::SucceedAfter(secs(9))),
        ("bad", failed()),
        ("slow", Act::Hang),
    ]);
    let waiter = service.waiter();
    let report = waiter.watch(["bad", "slow", "good"]).first_success().await.unwrap();
    assert_eq!(report.id.as_str(), "good");
    let errors = waiter.watch(["bad"]).first_success().await.unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(waiter.watch([] as [&str; 0]).first_success().await.unwrap_err().is_empty());
}

#[tokio::test(start_paused = true)]
async fn progress_and_jobs_are_snapshots() {
    let service = Service::new([
        ("a", Act::SucceedAfter(secs(5))),
        ("b", Act::SucceedAfter(secs(500))),
        ("c", failed()),
    ]);
    let mut watch = service.waiter().watch(["a", "b", "c"]).timeout(secs(100));
    let progress = watch.progress();
    assert_eq!((progress.waiting, progress.total()), (3, 3));
    let _ = tokio::time::timeout(secs(20), async { while watch.next().await.is_some() {} }).await;
    let progress = watch.progress();
    assert_eq!((progress.running, progress.succeeded, progress.failed), (1, 1, 1));
    let jobs = watch.jobs();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].report.id.as_str(), "b");
    assert!(jobs[0].next_poll.unwrap() <= secs(2));
    assert!((secs(79)..=secs(81)).contains(&jobs[0].time_left));
}

#[tokio::test(start_paused = true)]
async fn removing_is_told_as_an_end_and_unknown_ids_are_refused() {
    let service = Service::new([("a", Act::SucceedAfter(secs(500)))]);
    let mut watch = service.waiter().watch(["a"]);
    watch.next().await.unwrap();
    assert!(!watch.remove("b") && watch.remove("a") && !watch.remove("a"));
    let UpdateKind::Ended(Err(error)) = watch.next().await.unwrap().kind else {
        panic!("it must end")
    };
    assert_eq!(error.kind(), WaitErrorKind::Removed);
    assert!(watch.next().await.is_none());
    assert!(watch.add("c"), "a watch that has ended goes on with a new job");
    let ends = watch.all().await;
    assert_eq!((ends.len(), ends[0].1.is_ok()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn an_empty_watch_ends_at_once() {
    let service = Service::new([]);
    assert!(service.waiter().watch([] as [&str; 0]).next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn rule_11_a_slow_consumer_delays_no_poll() {
    let service = Service::new([]);
    for n in 0..50 {
        service.set(&format!("job-{n}"), Act::SucceedAfter(secs(60)));
    }
    let waiter = service.waiter();
    let mut watch = waiter.watch((0..50).map(|n| format!("job-{n}")));
    watch.next().await.unwrap();
    sleep(secs(100)).await;
    assert_eq!(waiter.stats().watched, 0, "all has been polled to its end");
    let mut updates = 0;
    while watch.next().await.is_some() {
        updates += 1;
    }
    assert!(updates <= 100, "{updates} updates: at most a change and an end for each");
}

#[tokio::test(start_paused = true)]
async fn rule_08_a_refusal_ends_all_and_a_later_wait_asks_again() {
    let refused = SourceError::new(ErrorClass::Refused, "token expired");
    let service =
        Service::new([("a", Act::Answer(Err(refused.clone()))), ("b", Act::Answer(Err(refused)))]);
    let waiter = service.waiter();
    let ends = waiter.watch(["a", "b", "c"]).all().await;
    assert!(ends.iter().all(|(_, end)| end.as_ref().unwrap_err().kind() == WaitErrorKind::Refused));
    assert_eq!(service.polls(), 1);
    waiter.wait_for_job("c").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rule_03_two_watches_and_a_wait_share_the_polls_of_an_id() {
    let service = Service::new([("job", Act::SucceedAfter(secs(100)))]);
    let waiter = service.waiter();
    waiter.wait_for_job("job").await.unwrap();
    let alone = service.polls();
    let service = Service::new([("job", Act::SucceedAfter(secs(100)))]);
    let waiter = service.waiter();
    let (one, two, three) = tokio::join!(
        waiter.wait_for_job("job"),
        waiter.watch(["job"]).all(),
        waiter.watch(["job"]).all()
    );
    assert!(one.is_ok() && two[0].1.is_ok() && three[0].1.is_ok());
    assert_eq!(service.polls(), alone);
}

#[tokio::test(start_paused = true)]
async fn rule_14_the_same_seed_gives_the_same_polls() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let service =
            Service::new([("a", Act::SucceedAfter(secs(50))), ("b", Act::SucceedAfter(secs(70)))]);
        service.waiter().watch(["a", "b"]).all().await;
        runs.push(service.times());
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].len() > 40);
}

/// A driver rests after a turn, whatever handles do meanwhile. No job is polled much less often for it.
#[tokio::test(start_paused = true)]
async fn the_polls_of_a_crowd_share_turns() {
    let polls = Arc::new(Mutex::new(BTreeMap::<String, Vec<Instant>>::new()));
    let record = Arc::clone(&polls);
    let source = source_fn(move |id| {
        record.lock().unwrap().entry(id.to_string()).or_default().push(Instant::now());
        async { Ok(JobState::running()) }
    });
    let waiter = Waiter::builder(source).seed(7).policy(every(secs(2))).build().unwrap();
    let watch = waiter.watch((0..2_000).map(|n| format!("job-{n}")));
    let handle = watch.handle();
    let _watch = tokio::spawn(watch.all());
    for n in 2_000..6_000 {
        sleep(ms(1)).await;
        handle.add(format!("job-{n}"));
    }
    sleep(secs(6)).await;
    let polls = polls.lock().unwrap();
    let turns: BTreeSet<Instant> = polls.values().flatten().copied().collect();
    let turns = Vec::from_iter(turns);
    let rests = || turns.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(turns.len() > 1_000 && rests().all(|rest| rest >= ms(5)), "{:?}", rests().min());
    let delays = polls.values().flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]));
    let (shortest, longest) = (delays.clone().min().unwrap(), delays.max().unwrap());
    // The clock of a test rounds up to a millisecond, as the system's does.
    assert!(shortest >= ms(1_600) && longest <= ms(2_000 + 5 + 2), "{shortest:?} {longest:?}");
}

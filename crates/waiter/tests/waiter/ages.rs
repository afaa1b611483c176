//! First polls at once, and jobs that are older than their waits.

use std::time::Duration;

use cfw_waiter::{JobOptions, JobState, Policy, UpdateKind, WaitErrorKind};
use tokio::time::Instant;

use crate::support::{Act, Service, every, secs};

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_already_is_reported_at_once_if_asked() {
    let service = Service::new([("job", Act::Answer(Ok(JobState::succeeded())))]);
    let policy = Policy::new().first_poll_at_once(true);
    assert!(policy.get_first_poll_at_once() && !Policy::new().get_first_poll_at_once());
    let report = service.waiter().wait_for_job("job").policy(policy).await.unwrap();
    assert!(report.elapsed < secs(0) + Duration::from_millis(50), "{report:?}");
    assert_eq!(report.polls, 1);
}

#[tokio::test(start_paused = true)]
async fn an_older_job_is_polled_less_often_until_the_same_deadline() {
    let service = Service::new([("job", Act::Answer(Ok(JobState::running())))]);
    let waiter = service.waiter();
    let start = Instant::now();
    let policy = Policy::new();
    let wait = waiter.wait_for_job("job").policy(policy.clone()).timeout(secs(60));
    let young = wait.await.unwrap_err();
    let wait = waiter.wait_for_job("job").policy(policy).timeout(secs(60)).since(secs(90));
    let old = wait.await.unwrap_err();
    assert_eq!((young.kind(), old.kind()), (WaitErrorKind::TimedOut, WaitErrorKind::TimedOut));
    let (young, old) = (young.report().polls, old.report().polls);
    // Delays of 12 to 15 s, the first one of 7.5 s or more, and a last poll a second before the deadline.
    assert!((5..=6).contains(&old) && young > old + 3, "{young} and {old} polls");
    assert!(start.elapsed() <= secs(120));
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_watch_have_options_of_their_own() {
    let ids = ["plain", "old", "quick", "late"];
    let service = Service::new(ids.map(|id| (id, Act::Answer(Ok(JobState::running())))));
    let mut watch = service.waiter().watch(["plain"]).policy(every(secs(10))).timeout(secs(30));
    assert!(watch.add_with("old", JobOptions::new().since(secs(60))));
    let policy = every(secs(10)).first_poll_at_once(true);
    assert!(watch.add_with("quick", JobOptions::new().policy(policy).timeout(secs(5))));
    let handle = watch.handle();
    let first = watch.next().await.unwrap();
    assert_eq!(first.id.as_str(), "quick");
    assert!(first.elapsed < secs(1));
    assert!(handle.add_with("late", JobOptions::new().timeout(secs(7))));
    drop(handle);
    let mut ends = Vec::new();
    while let Some(update) = watch.next().await {
        if let UpdateKind::Ended(outcome) = update.kind {
            let error = outcome.unwrap_err();
            ends.push((update.id.to_string(), error.report().elapsed.as_secs_f64().round()));
        }
    }
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("late", 7.0), ("old", 30.0), ("plain", 30.0), ("quick", 5.0)];
    assert_eq!(ends, expected.map(|(id, at)| (id.to_owned(), at)));
}

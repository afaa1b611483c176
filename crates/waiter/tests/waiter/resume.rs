//! Waits that another process goes on with.

use std::time::{Duration, SystemTime};

use cfw_waiter::{
    Checkpoint, JobCheckpoint, JobOptions, JobState, Phase, Policy, UnknownStatus, UpdateKind,
    WaitErrorKind, Waiter,
};
use tokio::time::Instant;

use crate::support::{Act, Service, every, ms, secs};

fn running() -> Act {
    Act::Answer(Ok(JobState::running()))
}

fn succeeded() -> Act {
    Act::Answer(Ok(JobState::succeeded()))
}

/// Lets time pass in which no process waits: moves all times of a checkpoint into the past.
fn pass(checkpoint: &mut Checkpoint, time: Duration) {
    for job in &mut checkpoint.jobs {
        job.created -= time;
        job.started -= time;
        job.deadline -= time;
    }
}

/// Watches jobs for a time. Returns the checkpoint then.
async fn watch_for(waiter: &Waiter, ids: &[&str], time: Duration) -> Checkpoint {
    let mut watch = waiter.watch(ids.iter().copied()).timeout(secs(60));
    let end = Instant::now() + time;
    while tokio::time::timeout_at(end, watch.next()).await.is_ok_and(|next| next.is_some()) {}
    let mut checkpoint = watch.checkpoint();
    // The runtime's clock is paused, the wall clock is not.
    pass(&mut checkpoint, ms(0));
    checkpoint
}

fn is_near(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) < ms(1_500)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ended_meanwhile_is_reported_with_its_first_poll_which_comes_at_once() {
    let service = Service::new([("job", running())]);
    let waiter = service.waiter();
    let mut checkpoint = watch_for(&waiter, &["job"], secs(9)).await;
    let polls = u32::try_from(service.polls()).unwrap();
    assert_eq!(checkpoint.jobs[0].polls, polls);
    assert_eq!(checkpoint.jobs[0].status, Some((Phase::Running, "Running".into())));
    pass(&mut checkpoint, secs(20));
    service.set("job", succeeded());
    let start = Instant::now();
    let mut watch = service.waiter().resume(&checkpoint);
    let update = watch.next().await.unwrap();
    assert!(start.elapsed() < ms(100), "{:?}", start.elapsed());
    let UpdateKind::Changed { from, to } = update.kind else { panic!("{update:?}") };
    assert_eq!((from.as_deref(), &*to.status), (Some("Running"), "Success"));
    let update = watch.next().await.unwrap();
    let UpdateKind::Ended(Ok(report)) = update.kind else { panic!("{update:?}") };
    assert_eq!(report.polls, polls + 1);
    assert!(is_near(report.elapsed, secs(29)), "{report:?}");
    assert!(watch.next().await.is_none());
    assert_eq!(watch.checkpoint(), Checkpoint::default());
}

#[tokio::test(start_paused = true)]
async fn a_job_with_the_same_status_is_reported_when_it_changes_and_keeps_its_deadline() {
    let service = Service::new([("job", running())]);
    let mut checkpoint = watch_for(&service.waiter(), &["job"], secs(25)).await;
    pass(&mut checkpoint, secs(20));
    let start = Instant::now();
    let mut watch = service.waiter().resume(&checkpoint);
    let update = watch.next().await.unwrap();
    let UpdateKind::Ended(Err(error)) = update.kind else { panic!("{update:?}") };
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    assert!(is_near(start.elapsed(), secs(15)), "{:?}", start.elapsed());
    assert!(is_near(error.report().elapsed, secs(60)), "{error}");
    assert!(error.to_string().contains("(deadline 1m 00s, "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_meanwhile_leaves_one_last_look() {
    let acts = [("done", succeeded()), ("runs", running()), ("hangs", Act::Hang)];
    let service = Service::new(acts);
    let now = SystemTime::now();
    let mut checkpoint = Checkpoint::default();
    for id in ["done", "runs", "hangs"] {
        checkpoint.jobs.push(JobCheckpoint::new(id, now, secs(60)));
    }
    pass(&mut checkpoint, secs(90));
    let start = Instant::now();
    let waiter = service.waiter();
    let mut watch = waiter.resume(&checkpoint);
    let mut ends = Vec::new();
    while let Some(update) = watch.next().await {
        if let UpdateKind::Ended(outcome) = update.kind {
            let said = outcome.as_ref().map_err(ToString::to_string);
            assert!(said.err().is_none_or(|said| said.contains("(deadline 1m 00s, ")));
            let kind = outcome.map_err(|error| error.kind()).map(|report| report.polls);
            ends.push((update.id.to_string(), kind, start.elapsed() > secs(1)));
        }
    }
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("done".to_owned(), Ok(1), false),
        ("hangs".to_owned(), Err(WaitErrorKind::TimedOut), true),
        ("runs".to_owned(), Err(WaitErrorKind::TimedOut), false),
    ];
    assert_eq!(ends, expected);
    assert!(start.elapsed() <= secs(2), "{:?}", start.elapsed());
    assert_eq!(service.polls(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_wait_resumes_as_a_future() {
    let service = Service::new([("job", running())]);
    let waiter = service.waiter();
    let mut wait = waiter.wait_for_job("job").timeout(secs(60)).kind("create").since(secs(30));
    let new = wait.checkpoint();
    assert_eq!(new.jobs.len(), 1);
    assert!(tokio::time::timeout(secs(10), &mut wait).await.is_err());
    let mut checkpoint = wait.checkpoint();
    let job = &checkpoint.jobs[0];
    assert_eq!(job.kind.as_deref(), Some("create"));
    assert_eq!((new.jobs[0].kind.as_deref(), new.jobs[0].polls), (Some("create"), 0));
    let lasted = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap();
    assert!(is_near(lasted(job.created, job.started), secs(30)), "{job:?}");
    assert!(is_near(lasted(job.started, job.deadline), secs(60)), "{job:?}");
    assert!(is_near(lasted(new.jobs[0].created, new.jobs[0].started), secs(30)));
    drop(wait);

    pass(&mut checkpoint, secs(5));
    let wait = waiter.resume_job(&checkpoint.jobs[0]);
    let again = wait.checkpoint();
    assert!(is_near(lasted(again.jobs[0].created, again.jobs[0].started), secs(30)), "{again:?}");
    assert_eq!(again.jobs[0].status, checkpoint.jobs[0].status);
    assert_eq!(again.jobs[0].polls, checkpoint.jobs[0].polls);
    service.set("job", succeeded());
    let start = Instant::now();
    let report = wait.await.unwrap();
    // The minimum interval holds for an id that was polled a moment ago.
    assert!(start.elapsed() < ms(600), "{:?}", start.elapsed());
    assert!(is_near(report.elapsed, secs(15)), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn ended_jobs_are_left_out_and_pending_ones_are_kept() {
    let service = Service::new([("ends", succeeded()), ("runs", running())]);
    let waiter = service.waiter();
    let pending = waiter.watch(["ends", "runs"]).kind("update").checkpoint();
    assert_eq!(
        pending.jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(),
        ["ends", "runs"]
    );
    assert!(pending.jobs.iter().all(|job| job.kind.as_deref() == Some("update")));
    let checkpoint = watch_for(&waiter, &["ends", "runs"], secs(10)).await;
    assert_eq!(checkpoint.jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["runs"]);
    let watch = waiter.resume(&checkpoint);
    let report = &watch.jobs()[0].report;
    assert_eq!(report.polls, checkpoint.jobs[0].polls);
    assert_eq!(report.state.as_ref().map(|state| &*state.status), Some("Running"));
    assert!(is_near(report.elapsed, secs(10)), "{report:?}");
    let resumed = watch.checkpoint();
    assert_eq!(resumed.jobs[0].polls, checkpoint.jobs[0].polls);
    assert_eq!(resumed.jobs[0].status, checkpoint.jobs[0].status);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_makes_no_wait_longer() {
    let service = Service::new([("job", running())]);
    let now = SystemTime::now();
    let job = JobCheckpoint::new("job", now + secs(7_200), secs(60));
    let start = Instant::now();
    let wait = service.waiter().resume_job(&job);
    let error = wait.await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    assert!(is_near(start.elapsed(), secs(60)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_schedule_goes_on_at_the_age_of_the_job_after_the_first_poll() {
    let service = Service::new([("job", running())]);
    let now = SystemTime::now();
    let mut checkpoint = Checkpoint::default();
    checkpoint.jobs.push(JobCheckpoint::new("job", now, secs(600)));
    pass(&mut checkpoint, secs(120));
    let watch = service.waiter().resume(&checkpoint).policy(Policy::new());
    assert!(tokio::time::timeout(secs(40), watch.all()).await.is_err());
    let times = service.times();
    assert!(times[0] < ms(10) && times[1] > secs(5), "{times:?}");
    assert!(times[2..].windows(2).all(|pair| pair[1] - pair[0] >= secs(12)), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_wait_joins_others_on_its_id() {
    let service = Service::new([("job", running())]);
    let waiter = service.waiter();
    let mut watch = waiter.watch(["job"]).policy(every(secs(20))).timeout(secs(100));
    assert!(watch.next().await.is_some());
    let polls = service.polls();
    let job = JobCheckpoint::new("job", SystemTime::now(), secs(60));
    assert!(!watch.add_with("job", JobOptions::resumed(&job, SystemTime::now())));
    service.set("job", succeeded());
    tokio::time::advance(secs(2)).await;
    let start = Instant::now();
    assert_eq!(waiter.resume_job(&job).await.unwrap().polls, 1);
    assert!(start.elapsed() < secs(1), "{:?}", start.elapsed());
    assert_eq!(watch.all().await.len(), 1);
    assert_eq!(service.polls(), polls + 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_known_before_is_known_where_no_answer_comes() {
    let service = Service::new([("job", Act::Hang)]);
    let mut job = JobCheckpoint::new("job", SystemTime::now(), secs(5));
    job.status = Some((Phase::Running, "Running".into()));
    let waiter = service.waiter();
    let mut checkpoint = Checkpoint::default();
    checkpoint.jobs.push(job);
    let mut watch = waiter.resume(&checkpoint);
    let view = watch.jobs();
    assert_eq!(view.len(), 1);
    let update = watch.next().await.unwrap();
    let UpdateKind::Ended(Err(error)) = update.kind else { panic!("{update:?}") };
    let state = error.report().state.as_ref().unwrap();
    assert_eq!((&*state.status, state.phase), ("Running", Phase::Running));
    assert!(error.to_string().starts_with("job job still Running after 5"), "{error}");
    assert_eq!(error.last_seen(), None);
}

#[tokio::test(start_paused = true)]
async fn a_detail_is_reported_though_the_status_is_known() {
    let state = JobState::running().with_detail("40 %");
    let service = Service::new([("job", Act::Answer(Ok(state.clone())))]);
    let mut checkpoint = Checkpoint::default();
    let mut job = JobCheckpoint::new("job", SystemTime::now(), secs(60));
    job.status = Some((Phase::Running, "Running".into()));
    checkpoint.jobs.push(job);
    let mut watch = service.waiter().resume(&checkpoint);
    let update = watch.next().await.unwrap();
    assert!(update.elapsed < secs(1), "{update:?}");
    let UpdateKind::Progressed(heard) = update.kind else { panic!("{update:?}") };
    assert_eq!(heard, state);
}

/// Writes a checkpoint and reads it again, as another process does.
#[cfg(feature = "serde")]
fn reread(checkpoint: &Checkpoint) -> Checkpoint {
    serde_json::from_str(&serde_json::to_string(checkpoint).unwrap()).unwrap()
}

#[cfg(not(feature = "serde"))]
fn reread(checkpoint: &Checkpoint) -> Checkpoint {
    checkpoint.clone()
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_not_reported_is_reported_by_the_next_process() {
    let service = Service::new([("one", succeeded()), ("two", succeeded()), ("off", running())]);
    let mut watch = service.waiter().watch(["one", "two", "off"]).kind("create").timeout(secs(60));
    let first = loop {
        let update = watch.next().await.unwrap();
        if let UpdateKind::Ended(_) = update.kind {
            break update.id;
        }
    };
    tokio::time::sleep(secs(8)).await;
    assert!(watch.remove("off"));
    assert_eq!(watch.progress().succeeded, 2);
    assert_eq!(watch.jobs().len(), 0);
    let checkpoint = watch.checkpoint();
    let [job] = &checkpoint.jobs[..] else { panic!("{checkpoint:?}") };
    let second = if first.as_str() == "one" { "two" } else { "one" };
    assert_eq!((job.id.as_str(), job.kind.as_deref()), (second, Some("create")));
    assert_eq!((job.polls, &job.status), (1, &None));
    // It keeps its times though it has ended.
    let left = job.deadline.duration_since(SystemTime::now()).unwrap();
    assert!(left < secs(53), "{left:?}");
    // It was added again: that wait goes on, and not the one that has ended.
    service.set(second, running());
    assert!(watch.add_with(second, JobOptions::new().timeout(secs(1_000))));
    let again = watch.checkpoint();
    assert_eq!(again.jobs.len(), 1);
    assert!(again.jobs[0].deadline > job.deadline + secs(900), "{again:?}");
    drop(watch);

    service.set(second, succeeded());
    let ends = service.waiter().resume(&reread(&checkpoint)).all().await;
    assert!(matches!(&ends[..], [(id, Ok(_))] if id.as_str() == second), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_a_future_has_not_returned_is_found_by_the_next_process() {
    let service = Service::new([("job", succeeded())]);
    let waiter = service.waiter();
    let resumed = JobCheckpoint::new("job", SystemTime::now() - secs(10), secs(60));
    let mut wait = waiter.resume_job(&resumed);
    assert!(futures_util::poll!(&mut wait).is_pending());
    tokio::time::sleep(secs(5)).await;
    let checkpoint = wait.checkpoint();
    assert_eq!(checkpoint.jobs.len(), 1);
    assert_eq!((checkpoint.jobs[0].polls, &checkpoint.jobs[0].status), (1, &None));
    assert!(wait.await.is_ok());
    assert!(waiter.resume_job(&checkpoint.jobs[0]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_not_reported_is_reported_by_the_next_process() {
    let service = Service::new([("job", running())]);
    let mut watch = service.waiter().watch(["job"]).timeout(secs(600));
    assert!(watch.next().await.is_some());
    service.set("job", Act::Answer(Ok(JobState::unknown("Paused"))));
    tokio::time::sleep(secs(30)).await;
    let seen = watch.jobs()[0].report.state.clone().unwrap();
    assert_eq!(&*seen.status, "Paused");
    let checkpoint = reread(&watch.checkpoint());
    assert_eq!(checkpoint.jobs[0].status, Some((Phase::Running, "Running".into())));
    let update = service.waiter().resume(&checkpoint).next().await.unwrap();
    let UpdateKind::Changed { from, to } = update.kind else { panic!("{update:?}") };
    assert_eq!((from.as_deref(), &*to.status), (Some("Running"), "Paused"));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_reported_before_an_end_that_was_not_is_not_reported_again() {
    let service = Service::new([("job", Act::Answer(Ok(JobState::unknown("Paused"))))]);
    let policy = Policy::new().unknown_status(UnknownStatus::Fail);
    let mut watch = service.waiter().watch(["job"]).policy(policy.clone()).timeout(secs(60));
    let update = watch.next().await.unwrap();
    assert!(matches!(update.kind, UpdateKind::Changed { from: None, .. }), "{update:?}");
    // The wait has ended, and its consumer goes before it hears of that.
    assert_eq!(watch.progress().failed, 1);
    let checkpoint = reread(&watch.checkpoint());
    assert_eq!(checkpoint.jobs[0].status, Some((Phase::Unknown, "Paused".into())));
    let update = service.waiter().resume(&checkpoint).policy(policy).next().await.unwrap();
    assert!(matches!(update.kind, UpdateKind::Ended(Err(_))), "{update:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_between_resuming_and_the_first_poll_counts() {
    let service = Service::new([("job", running())]);
    let waiter = service.waiter();
    let now = SystemTime::now();
    let mut checkpoint = Checkpoint::default();
    checkpoint.jobs.push(JobCheckpoint::new("job", now, secs(60)));
    let later = || async {
        tokio::time::sleep(secs(40)).await;
        Instant::now()
    };
    let watch = waiter.resume(&checkpoint);
    let start = later().await;
    let view = watch.job("job").unwrap();
    assert!(is_near(view.time_left, secs(20)) && is_near(view.report.elapsed, secs(40)));
    let (_, outcome) = watch.all().await.pop().unwrap();
    let error = outcome.unwrap_err();
    assert!(is_near(start.elapsed(), secs(20)), "{error}");
    assert!(is_near(error.report().elapsed, secs(60)), "{error}");

    let wait = waiter.resume_job(&checkpoint.jobs[0]);
    let start = later().await;
    let error = wait.await.unwrap_err();
    assert!(is_near(start.elapsed(), secs(20)), "{error}");

    // With the deadline behind it, one last look is left.
    let polls = service.polls();
    let watch = waiter.resume(&checkpoint);
    later().await;
    let start = later().await;
    let (_, outcome) = watch.all().await.pop().unwrap();
    let error = outcome.unwrap_err();
    assert!(start.elapsed() < secs(2) && service.polls() == polls + 1, "{error}");
    assert!(error.to_string().contains("(deadline 1m 00s, "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn times_do_not_drift_however_often_a_wait_is_resumed() {
    let service = Service::new([("job", running()), ("late", Act::Hang)]);
    let start = SystemTime::now() - secs(100) + Duration::from_nanos(1_999_999);
    let mut first = Checkpoint::default();
    first.jobs.push(JobCheckpoint::new("job", start, secs(600)));
    first.jobs[0].created -= secs(7);
    first.jobs.push(JobCheckpoint::new("late", start, secs(60)));
    let mut first = reread(&first);
    let mut checkpoint = first.clone();
    for round in 0..1_000 {
        let mut watch = service.waiter().resume(&checkpoint);
        if round % 20 == 0 {
            assert!(futures_util::poll!(std::pin::pin!(watch.next())).is_pending());
            tokio::time::sleep(ms(1)).await;
        }
        checkpoint = reread(&watch.checkpoint());
    }
    for (job, first) in checkpoint.jobs.iter().zip(&mut first.jobs) {
        (first.polls, first.status) = (job.polls, job.status.clone());
    }
    assert_eq!(checkpoint, first);

    // A clock that was set back is another matter, and so are options of the user.
    let future = JobCheckpoint::new("job", SystemTime::now() + secs(500), secs(60));
    let job = service.waiter().resume_job(&future).checkpoint().jobs.remove(0);
    assert!(job.started < future.started - secs(400) && job.deadline < future.deadline - secs(400));
    let watch = service.waiter().watch([] as [&str; 0]);
    let options = JobOptions::resumed(&first.jobs[1], SystemTime::now()).timeout(secs(900));
    watch.add_with("late", options);
    let job = watch.checkpoint().jobs.remove(0);
    assert_eq!(job.started, first.jobs[1].started);
    assert!(job.deadline > SystemTime::now() + secs(890), "{job:?}");
}

//! One job as a future, through the driver, on a paused clock.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use cfw_waiter::{
    ErrorClass, JobState, Policy, Schedule, SourceError, WaitErrorKind, Waiter, source_fn,
};
use tokio::time::Instant;

use crate::support::{Act, Service, every, ms, secs};

#[tokio::test(start_paused = true)]
async fn a_job_is_waited_for() {
    let service = Service::new([("job", Act::SucceedAfter(secs(20)))]);
    let report = service.waiter().wait_for_job("job").await.unwrap();
    assert_eq!(report.state, Some(JobState::succeeded()));
    assert_eq!(report.polls as usize, service.polls());
    assert!((secs(20)..secs(24)).contains(&report.elapsed), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_is_an_error_with_its_reason() {
    let failed = JobState::failed().with_detail("CFW.00600003: no flavor");
    let service = Service::new([("job", Act::Answer(Ok(failed.clone())))]);
    let error = service.waiter().wait_for_job("job").await.unwrap_err();
    assert_eq!((error.kind(), &error.report().state), (WaitErrorKind::Failed, &Some(failed)));
    assert!(error.to_string().ends_with("(1 poll): CFW.00600003: no flavor"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn rule_05_a_deadline_is_kept_though_the_service_never_answers() {
    let service = Service::new([("job", Act::Hang)]);
    for timeout in [ms(3), ms(1_500), secs(7), secs(25)] {
        let start = Instant::now();
        let error = service.waiter().wait_for_job("job").timeout(timeout).await.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::TimedOut);
        let took = start.elapsed();
        assert!(took <= timeout && took + ms(2) >= timeout, "{timeout:?} took {took:?}");
    }
    tokio::task::yield_now().await;
    assert_eq!(service.in_flight.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_05_a_zero_timeout_ends_without_a_poll() {
    let service = Service::new([]);
    let error = service.waiter().wait_for_job("job").timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), service.polls()), (WaitErrorKind::TimedOut, 0));
}

#[tokio::test(start_paused = true)]
async fn rule_06_an_outage_of_two_minutes_is_survived() {
    let down = SourceError::new(ErrorClass::TRANSIENT, "connection refused");
    let service = Service::new([("job", Act::Answer(Err(down)))]);
    let wait = tokio::spawn(service.waiter().wait_for_job("job"));
    tokio::time::sleep(secs(120)).await;
    service.set("job", Act::SucceedAfter(Duration::ZERO));
    assert!(wait.await.unwrap().unwrap().elapsed < secs(136));
}

#[tokio::test(start_paused = true)]
async fn of_many_answers_only_the_last_is_kept() {
    let detail: Arc<str> = "half done".into();
    let told = Arc::clone(&detail);
    let running = move |_| {
        let state = JobState::running().with_detail(Arc::clone(&told));
        async { Ok(state) }
    };
    let waiter = Waiter::new(source_fn(running));
    let _wait = tokio::spawn(waiter.wait_for_job("job"));
    tokio::time::sleep(secs(300)).await;
    assert!(waiter.stats().answers > 20);
    // This one, the source's, and what is known of the job.
    assert_eq!(Arc::strong_count(&detail), 3);
}

#[tokio::test(start_paused = true)]
async fn waits_are_lazy_and_settings_freeze_at_the_first_poll() {
    let service = Service::new([("job", Act::SucceedAfter(secs(1_000)))]);
    let wait = service.waiter().wait_for_job("job").timeout(secs(5));
    tokio::time::sleep(secs(60)).await;
    assert_eq!(service.polls(), 0);
    let start = Instant::now();
    let mut wait = Box::pin(wait);
    assert!(futures_util::poll!(&mut wait).is_pending());
    let error = wait.await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    assert!(start.elapsed() > ms(4_900), "the clock starts at the first poll");
}

#[tokio::test(start_paused = true)]
async fn a_wait_polled_after_its_end_stays_pending() {
    let mut wait = Service::new([]).waiter().wait_for_job("job");
    (&mut wait).await.unwrap();
    assert!(futures_util::poll!(&mut wait).is_pending());
}

#[tokio::test(start_paused = true)]
async fn rule_12_a_panic_ends_the_waits_on_that_id_alone() {
    let service = Service::new([("bad", Act::Panic), ("good", Act::SucceedAfter(secs(10)))]);
    let waiter = service.waiter();
    let (bad, again, good) = tokio::join!(
        waiter.wait_for_job("bad"),
        waiter.wait_for_job("bad"),
        waiter.wait_for_job("good")
    );
    for error in [bad.unwrap_err(), again.unwrap_err()] {
        assert_eq!(error.kind(), WaitErrorKind::Panicked);
        assert!(error.to_string().contains("the source has a bug"), "{error}");
    }
    good.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rule_13_the_chain_of_an_error_repeats_nothing() {
    let cause = std::io::Error::other("connection reset by peer");
    let plain = SourceError::new(ErrorClass::Fatal, cause);
    let told = plain.clone().with_code("APIGW.0101", "API does not exist").with_request_id("0fb6");
    for (error, chain) in [
        (plain, vec!["; last error: fatal error: connection reset by peer"]),
        (told, vec!["; last error: fatal error: APIGW.0101: API does not exist (request 0fb6)"]),
    ] {
        let service = Service::new([("job", Act::Answer(Err(error)))]);
        let error = service.waiter().wait_for_job("job").await.unwrap_err();
        let mut links = vec![error.to_string()];
        let mut next = error.source();
        while let Some(source) = next {
            links.push(source.to_string());
            next = source.source();
        }
        assert_eq!(links.len(), chain.len(), "{links:?}");
        assert!(links.iter().zip(chain).all(|(link, end)| link.ends_with(end)), "{links:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waits_one_after_another_pace_as_one() {
    let throttled = SourceError::new(
        ErrorClass::Throttled { retry_after: Some(secs(60)), quota: None },
        "slow down",
    );
    let service = Service::new([("job", Act::Answer(Err(throttled)))]);
    let waiter = service.waiter();
    waiter.wait_for_job("job").timeout(secs(5)).await.unwrap_err();
    // The pause lives on without a wait, and without a driver.
    let start = Instant::now();
    for n in 0..100 {
        waiter.wait_for_job(format!("job-{n}")).timeout(ms(100)).await.unwrap_err();
    }
    assert_eq!(service.polls(), 1, "no poll in {:?} of pause", start.elapsed());
    tokio::time::sleep(secs(60)).await;
    waiter.wait_for_job("job-0").await.unwrap();
}

#[test]
fn bad_settings_name_field_and_value() {
    let source = || source_fn(|_| async { Ok(JobState::succeeded()) });
    let quick = Policy::new().schedule(Schedule::fixed(ms(100)).unwrap());
    let rows = [
        (Waiter::builder(source()).max_in_flight(0), "max_in_flight 0 lets no request through"),
        (
            Waiter::builder(source()).min_interval(Duration::ZERO),
            "min_interval 0s is shorter than 1ms",
        ),
        (
            Waiter::builder(source()).attempt_timeout(Duration::ZERO),
            "attempt_timeout 0s is shorter than 1ms",
        ),
        (
            Waiter::builder(source()).policy(quick),
            "schedule asks for a delay of 100ms, shorter than min_interval 500ms",
        ),
    ];
    for (builder, message) in rows {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
    assert!(Waiter::builder(source()).min_interval(ms(50)).policy(every(ms(50))).build().is_ok());
}

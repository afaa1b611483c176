//! The default settings against long trouble: minutes of it, in virtual time, over real HTTP.

use std::time::Duration;

use cfw_api::Client;
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{JobReport, WaitErrorKind, Waiter};

use crate::support::{InRealTime, bad_end, client, ms, simulator};

/// Waits with default settings for a job that is over, through this many bad answers.
async fn wait_through(faults: u32, fault: Fault) -> (Simulator, Waiter, JobReport) {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    sim.fail_next(faults, fault.clone());
    let waiter = Waiter::new(InRealTime(client(&sim)));
    let report = waiter.wait_for_job(&id).await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
    assert_eq!(report.polls, faults + 1, "{fault:?}: every answer but the last was bad");
    (sim, waiter, report)
}

fn assert_took(report: &JobReport, seconds: std::ops::Range<u64>) {
    let (least, most) = (Duration::from_secs(seconds.start), Duration::from_secs(seconds.end));
    assert!((least..most).contains(&report.elapsed), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_minutes_is_survived() {
    let outages = Fault::transient().into_iter().filter(|fault| !matches!(fault, Fault::Slow(_)));
    for fault in outages {
        // Rests of 1, 2, 4, 8 and then 15 s, each halved at the most by jitter.
        let (_, waiter, report) = wait_through(24, fault).await;
        assert_took(&report, 120..320);
        assert_eq!(waiter.stats().transient, 24);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_for_minutes_is_survived() {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    sim.fail_next(16, Fault::Hang);
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(cfw_api::Credentials::token(sim.token()))
        // In real time, so scaled from the usual 10 s.
        .request_timeout(ms(60))
        .build()
        .unwrap();
    let waiter = Waiter::new(InRealTime(client));
    let report = waiter.wait_for_job(&id).await.unwrap();
    assert!(report.polls >= 17, "{report:?}");
    assert_took(&report, 90..400);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_without_a_hint_is_sat_out_with_growing_pauses() {
    // 5, 10, 20, 40 and then 60 s, each halved at the most.
    let (_, waiter, report) = wait_through(8, Fault::throttled()).await;
    assert_took(&report, 157..330);
    let stats = waiter.stats();
    assert_eq!((stats.throttled, stats.transient), (8, 0));
    assert!(stats.paused >= Duration::from_secs(157), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_refusals_with_fractional_hints_is_sat_out_as_asked() {
    let (_, waiter, report) = wait_through(5, Fault::throttled_for("56.818")).await;
    assert_took(&report, 284..320);
    assert_eq!(waiter.stats().paused, 5 * ms(56_818));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_names_its_window_is_sat_out_for_that_long() {
    let (_, waiter, report) = wait_through(5, Fault::quota("limit:10,time:1 minute")).await;
    assert_took(&report, 300..360);
    assert_eq!(waiter.stats().paused, Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn unavailable_with_a_hint_pauses_as_long_as_it_says() {
    let fault = Fault::ServiceUnavailable { retry_after: Some("30".to_owned()) };
    let (_, waiter, report) = wait_through(4, fault).await;
    assert_took(&report, 120..180);
    assert_eq!(waiter.stats().paused, Duration::from_secs(120));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_within_a_pause_ends_the_wait_without_another_poll() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let waiter = Waiter::new(InRealTime(client(&sim)));
    sim.fail_during(.., Fault::throttled_for("120"));
    let wait = waiter.wait_for_job(&id).timeout(Duration::from_secs(60));
    let error = bad_end(wait.await, WaitErrorKind::TimedOut);
    assert!(error.report().elapsed <= Duration::from_secs(60), "{error}");
    assert!(error.to_string().contains("APIGW.0308"), "{error}");
    assert_eq!(sim.counts().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn half_an_hour_is_the_longest_wait_and_takes_some_hundred_polls() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let waiter = Waiter::new(InRealTime(client(&sim)));
    let error = bad_end(waiter.wait_for_job(&id).await, WaitErrorKind::TimedOut);
    let report = error.report();
    let half_an_hour = Duration::from_secs(1800);
    assert!(report.elapsed > half_an_hour - ms(10) && report.elapsed <= half_an_hour, "{error}");
    assert!((120..170).contains(&report.polls), "{error}");
    assert_eq!(sim.counts().polls, u64::from(report.polls));
}

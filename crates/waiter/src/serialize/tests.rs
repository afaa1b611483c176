use serde_json::{json, to_string, to_value};

use super::*;
use crate::Remaining;
use crate::report::ErrorContext;

const SECOND: Duration = Duration::from_secs(1);

fn state() -> JobState {
    let begin = SystemTime::UNIX_EPOCH + Duration::from_micros(1_764_024_660_047_900);
    JobState::running().with_begin(begin).with_detail("40 %")
}

fn failing() -> SourceError {
    let class = ErrorClass::Throttled { retry_after: Some(SECOND), quota: None };
    SourceError::new(class, "429").with_code("APIGW.0308", "slow down").with_request_id("r1")
}

#[test]
fn updates_have_the_form_of_the_commands_lines() {
    let update = |kind| to_string(&Update::new("a", SECOND, kind)).expect("no map keys");
    let changed = UpdateKind::Changed { from: None, to: state() };
    assert_eq!(
        update(changed),
        r#"{"type":"changed","job_id":"a","elapsed_ms":1000,"from":null,"status":"Running","phase":"running","begin_time":"2025-11-24T22:51:00.047Z","detail":"40 %"}"#
    );
    assert_eq!(
        update(UpdateKind::Progressed(JobState::running().with_detail("50 %"))),
        r#"{"type":"progressed","job_id":"a","elapsed_ms":1000,"status":"Running","phase":"running","detail":"50 %"}"#
    );
    assert_eq!(
        update(UpdateKind::Trouble(failing())),
        r#"{"type":"trouble","job_id":"a","elapsed_ms":1000,"error":{"class":"throttled","message":"throttled: APIGW.0308: slow down (request r1)","error_code":"APIGW.0308","error_msg":"slow down","request_id":"r1","retry_after_ms":1000}}"#
    );
    let mut report = JobReport::new("a");
    report.polls = 3;
    report.state = Some(JobState::succeeded());
    assert_eq!(
        update(UpdateKind::Ended(Ok(report))),
        r#"{"type":"ended","job_id":"a","elapsed_ms":1000,"outcome":"succeeded","status":"Success","polls":3}"#
    );
    let error = WaitError::new(WaitErrorKind::TimedOut, JobReport::new("a"));
    let error = error.with_cause(SourceError::from(ErrorClass::Unreached));
    let value = to_value(Update::new("a", SECOND, UpdateKind::Ended(Err(error.clone()))));
    let value = value.expect("no map keys");
    assert_eq!(
        (&value["outcome"], &value["message"], &value["error"]["class"]),
        (&json!("timed_out"), &json!(error.to_string()), &json!("unreached"))
    );
}

#[test]
fn parts_have_stable_names() {
    let report = JobReport { state: Some(state()), ..JobReport::new("a") };
    assert_eq!(
        to_value(&report).expect("no map keys"),
        json!({"job_id": "a", "elapsed_ms": 0, "polls": 0, "state": {
            "status": "Running", "phase": "running", "detail": "40 %",
            "begin_time": "2025-11-24T22:51:00.047Z",
        }})
    );
    let error = WaitError::new(WaitErrorKind::Lost, report).with_last_seen(2 * SECOND);
    let value = to_value(&error).expect("no map keys");
    assert_eq!((&value["kind"], &value["last_seen_ms"]), (&json!("lost"), &json!(2000)));
    assert_eq!(value["report"]["job_id"], "a");
    let progress = Progress { waiting: 1, running: 2, succeeded: 3, failed: 4, removed: 5 };
    assert_eq!(
        to_string(&progress).expect("no map keys"),
        r#"{"total":15,"succeeded":3,"unsuccessful":4,"unfinished":3,"waiting":1,"running":2,"removed":5}"#
    );
    let mut stats = Stats { polls: 7, answers: 6, paused: SECOND, ..Stats::default() };
    (stats.lags, stats.lag_total, stats.lag_max) = (2, SECOND, SECOND);
    stats.count_end(Some(WaitErrorKind::Failed));
    let value = to_value(stats).expect("no map keys");
    assert_eq!(
        (&value["polls"]["total"], &value["polls"]["paused_ms"], &value["unsuccessful"]),
        (&json!(7), &json!(1000), &json!(1))
    );
    assert_eq!(
        (&value["polls"]["mean_lag_ms"], &value["polls"]["max_lag_ms"]),
        (&json!(500), &json!(1000))
    );
    assert!(to_value(Stats::default()).expect("no map keys")["polls"]["mean_lag_ms"].is_null());
}

#[test]
fn a_deadline_says_what_the_wait_hung_on() {
    for (waiting_on, what) in [
        (WaitingOn::Answer(SECOND), "answer"),
        (WaitingOn::Throttling(SECOND), "throttling"),
        (WaitingOn::Rate(SECOND), "rate"),
        (WaitingOn::InFlight(SECOND), "in_flight"),
    ] {
        let context = ErrorContext { waiting_on: Some(waiting_on), ..ErrorContext::default() };
        let report = JobReport::new("a");
        let error = WaitError::with_context(WaitErrorKind::TimedOut, report, context);
        let expected = json!({"what": what, "lasted_ms": 1000});
        assert_eq!(to_value(&error).expect("no map keys")["waiting_on"], expected);
        let ended = Update::new("a", SECOND, UpdateKind::Ended(Err(error)));
        assert_eq!(to_value(&ended).expect("no map keys")["waiting_on"], expected);
    }
}

#[test]
fn a_time_that_no_calendar_holds_is_left_out() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50);
    assert_eq!(
        to_string(&JobState::running().with_begin(far)).expect("no map keys"),
        r#"{"status":"Running","phase":"running"}"#
    );
}

#[test]
fn an_estimate_leaves_out_what_it_does_not_say() {
    let remaining = Remaining { mean: 3 * SECOND, p50: 2 * SECOND, p90: Some(5 * SECOND) };
    let mut eta = Eta { age: SECOND, past_jobs: 20, remaining: Some(remaining), late_after: None };
    assert_eq!(
        to_string(&eta).expect("no map keys"),
        r#"{"age_ms":1000,"past_jobs":20,"eta_ms":3000,"eta_p50_ms":2000,"eta_p90_ms":5000}"#
    );
    eta.late_after = Some(2 * SECOND);
    assert_eq!(to_value(eta).expect("no map keys")["overdue"], json!(false));
    eta.remaining = Some(Remaining { p90: None, ..remaining });
    assert_eq!(to_value(eta).expect("no map keys")["eta_p90_ms"], json!(null), "left out");
    (eta.age, eta.remaining) = (2 * SECOND, None);
    assert_eq!(
        to_string(&eta).expect("no map keys"),
        r#"{"age_ms":2000,"past_jobs":20,"late_after_ms":2000,"overdue":true}"#
    );
}

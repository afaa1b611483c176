use cfw_waiter::{JobReport, WaitErrorKind};
use expect_test::expect;

use super::*;

#[test]
fn lines_of_updates_have_stable_fields_in_a_stable_order() {
    let begin = std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_024_660_047);
    let to = JobState::running().with_begin(begin).with_end(begin).with_detail("40 %");
    let class = ErrorClass::Throttled { retry_after: Some(Duration::from_secs(1)), quota: None };
    let cause = SourceError::new(class, "a\u{202e}b").with_code("C.1", "n\u{202e}o");
    let mut report = JobReport::new("a");
    report.state = Some(to.clone());
    let error = WaitError::new(WaitErrorKind::TimedOut, report.clone());
    let error = error.with_cause(cause.with_request_id("r"));
    let mut lines = String::new();
    for (kind, job_kind) in [
        (UpdateKind::Changed { from: None, to: to.clone() }, Some("create")),
        (UpdateKind::Progressed(JobState::running().with_detail("50 %")), Some("create")),
        (UpdateKind::Progressed(JobState::running()), None),
        (UpdateKind::Ended(Ok(report)), Some("create")),
        (UpdateKind::Ended(Err(error)), None),
    ] {
        let update = Update::new("a", Duration::from_secs(1), kind);
        let line = update_line(&update, job_kind, None).unwrap().unwrap();
        let line = String::from_utf8(line).unwrap();
        let (_, line) = line.split_once(r#","type":"#).unwrap();
        lines.push_str(line);
    }
    let lines = lines.replace('\u{202e}', "U+202E");
    expect![[r#"
        "changed","job_id":"a","kind":"create","elapsed_ms":1000,"from":null,"status":"Running","phase":"running","begin_time":"2025-11-24T22:51:00.047Z","end_time":"2025-11-24T22:51:00.047Z","detail":"40 %"}
        "progressed","job_id":"a","kind":"create","elapsed_ms":1000,"status":"Running","phase":"running","detail":"50 %"}
        "progressed","job_id":"a","elapsed_ms":1000,"status":"Running","phase":"running"}
        "ended","job_id":"a","kind":"create","elapsed_ms":1000,"outcome":"succeeded","exit_code":0,"status":"Running","polls":0,"detail":"40 %"}
        "ended","job_id":"a","elapsed_ms":1000,"outcome":"timed_out","exit_code":124,"status":"Running","polls":0,"detail":"40 %","message":"job a still Running after 0s (timed out, 0 polls, last status Running 0s ago); last error: throttled: C.1: n o (request r)","error":{"class":"throttled","message":"throttled: C.1: n o (request r)","error_code":"C.1","error_msg":"nU+202Eo","request_id":"r","retry_after_ms":1000}}
    "#]].assert_eq(&lines);
}

//! What records mean.

use super::*;

#[test]
fn the_form_is_that_of_version_1() {
    let mut journal = Journal::new(Place::default());
    let own = Own::new(Some("create".to_owned()), Some(Duration::from_secs(5)));
    for record in [
        Record::waiting(running(3), own),
        Record::waiting(job("b"), Own::default()),
        Record::Ended(end("b", Some(WaitErrorKind::Failed))),
        Record::Finished {},
        Record::Rejected(Rejected {
            file: Some("ids".to_owned()),
            line: 3,
            message: "is not UTF-8".to_owned(),
        }),
    ] {
        journal.apply(record).unwrap();
    }
    expect_test::expect![[r#"
        {"cfw_wait_state":1}
        {"waiting":{"job":{"job_id":"a","created":"2023-11-14T22:13:20Z","started":"2023-11-14T22:13:20Z","deadline":"2023-11-14T22:28:20Z","polls":3,"phase":"running","status":"Running"},"line_kind":"create","line_timeout_ms":5000}}
        {"waiting":{"job":{"job_id":"b","created":"2023-11-14T22:13:20Z","started":"2023-11-14T22:13:20Z","deadline":"2023-11-14T22:28:20Z","polls":0}}}
        {"ended":{"job_id":"b","outcome":"failed","reason":"failed","report":{"elapsed_ms":1,"text":"ended\nwell","object":{"type":"ended","job_id":"b","error":{"class":"fatal"}}}}}
        {"finished":{}}
        {"rejected":{"file":"ids","line":3,"message":"is not UTF-8"}}
    "#]]
    .assert_eq(&image(&journal));
    let reported = Record::reported("b");
    journal.apply(reported).unwrap();
    let text = image(&journal);
    assert!(
        text.contains(
            "{\"ended\":{\"job_id\":\"b\",\"outcome\":\"failed\",\"reason\":\"failed\"}}\n"
        ),
        "{text}"
    );
    // Any JSON tool may have added fields.
    let wider = text
        .replace("\"polls\":3", "\"polls\":3,\"x\":{}")
        .replace("\"outcome\"", "\"x\":[],\"outcome\"");
    assert_eq!(image(&Journal::parse(wider.as_bytes()).unwrap().journal), text);
}

#[test]
fn a_finished_run_is_one_until_the_next_job() {
    let mut journal = Journal::new(Place::default());
    for (record, is_finished) in [
        (Record::waiting(job("a"), Own::default()), false),
        (Record::Finished {}, true),
        (Record::waiting(job("b"), Own::default()), false),
        (Record::Finished {}, true),
        (Record::Ended(end("a", None)), false),
        (Record::Finished {}, true),
        (Record::reported("a"), true),
    ] {
        journal.apply(record).unwrap();
        assert_eq!(journal.is_finished(), is_finished);
    }
}

#[test]
fn an_end_belongs_to_its_run_also_if_the_next_one_is_cut_off_at_its_start() {
    let timed_out = |id| Record::Ended(end(id, Some(WaitErrorKind::TimedOut)));
    let mut journal = Journal::new(Place::default());
    let waiting = |id| Record::waiting(job(id), Own::default());
    // The next run waits again for both, and is killed after the first record.
    for record in [
        waiting("a"),
        waiting("b"),
        timed_out("a"),
        timed_out("b"),
        Record::Finished {},
        waiting("a"),
    ] {
        journal.apply(record).unwrap();
    }
    let past = |journal: &Journal| journal.entries().iter().map(|entry| entry.is_past).collect();
    let reopened = |journal: &Journal| Journal::parse(&journal.image().unwrap()).unwrap().journal;
    let expected: Vec<bool> = past(&journal);
    assert_eq!(expected, [false, true]);
    let expected: Vec<bool> = past(&reopened(&journal));
    assert_eq!(expected, [false, true]);
    journal.apply(timed_out("a")).unwrap();
    let expected: Vec<bool> = past(&reopened(&journal));
    assert_eq!(expected, [false, true], "the end of the run that goes on");
    assert!(!reopened(&journal).is_finished());
}

#[test]
fn only_the_ends_of_jobs_are_final() {
    let is_final = |kind| end("a", kind).is_final();
    assert!(is_final(None));
    let kinds: Vec<_> =
        crate::ends::KINDS.into_iter().filter(|kind| is_final(Some(*kind))).collect();
    assert_eq!(kinds, [WaitErrorKind::Failed]);
}

#[test]
fn rejected_lines_are_those_of_a_run_until_it_comes_to_its_end() {
    let folder = Folder::new("rejected");
    let mut state = open(&folder.file()).unwrap();
    let of_file = BadLine { path: Some("ids".into()), ..bad_line(2, "is not UTF-8") };
    let long = bad_line(3, &"x".repeat(1_000));
    for (bad, is_news) in [
        (bad_line(2, "is not UTF-8"), true),
        (bad_line(2, "is not UTF-8"), false),
        (of_file.clone(), true),
        (long.clone(), true),
        (long, false),
    ] {
        assert_eq!(state.reject(&bad).unwrap(), is_news, "{bad:?}");
    }
    state.write().unwrap();
    let cut = bad_line(3, &"x".repeat(MAX_MESSAGE));
    let all = [bad_line(2, "is not UTF-8"), of_file, cut];
    // The shortest content says the same.
    state.compact().unwrap();
    drop(state);
    let mut state = open(&folder.file()).unwrap();
    assert_eq!(state.rejected(), all);
    state.finish().unwrap();
    drop(state);
    let mut state = open(&folder.file()).unwrap();
    assert_eq!(state.rejected(), []);
    // A file does not grow with them without bound.
    for number in 0..2_000 {
        assert!(state.reject(&bad_line(number, "is not UTF-8")).unwrap());
    }
    assert_eq!(state.rejected().len(), MAX_REJECTED);
}

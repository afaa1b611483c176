use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cfw_waiter::{JobId, WaitErrorKind};
use proptest::prelude::*;

use super::*;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("cfw-wait-state-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("jobs.state")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn job(id: &str) -> JobCheckpoint {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    JobCheckpoint::new(id, now, Duration::from_secs(900))
}

fn end(id: &str, error: Option<WaitErrorKind>) -> End {
    let id_text = serde_json::to_string(id).unwrap();
    let object = format!(r#"{{"type":"ended","job_id":{id_text},"error":{{"class":"fatal"}}}}"#);
    let object = serde_json::value::RawValue::from_string(object).unwrap();
    let report = Report { elapsed_ms: 1, text: "ended\nwell".to_owned(), object };
    End::new(&JobId::from(id), error, error.map(|kind| kind.as_str().to_owned()), report)
}

fn open(path: &Path) -> Result<State, String> {
    State::open(path, Place::default(), true).map_err(|error| error.message.unwrap())
}

fn image(journal: &Journal) -> String {
    String::from_utf8(journal.image().unwrap()).unwrap()
}

fn running(polls: u32) -> JobCheckpoint {
    let mut job = job("a");
    (job.polls, job.status) = (polls, Some((cfw_waiter::Phase::Running, "Running".into())));
    job
}

/// Records as runs write them, and more: an end may be followed by a new wait.
fn record() -> impl Strategy<Value = Record> {
    let id = prop_oneof!["[a-d]", Just("\u{1f980}\"x".to_owned())];
    let kind = prop::sample::select(crate::outcome::KINDS.as_slice());
    let waiting =
        (id.clone(), 0_u32..9, prop::option::of("[a-z]{1,9}"), prop::option::of(0_u64..9))
            .prop_map(|(id, polls, kind, timeout)| {
                let mut job = job(&id);
                job.polls = polls;
                job.status = (polls > 4).then_some((cfw_waiter::Phase::Unknown, "Q\n".into()));
                let own = Own::new(kind, timeout.map(Duration::from_millis));
                Record::waiting(job, own)
            });
    let ended =
        (id.clone(), prop::option::of(kind)).prop_map(|(id, kind)| Record::Ended(end(&id, kind)));
    prop_oneof![
        3 => waiting,
        2 => ended,
        2 => id.prop_map(|id| Record::reported(&id)),
        1 => Just(Record::Finished {}),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Wherever a file is cut, it says what its whole lines say, or, if the header is cut, that it is damaged.
    #[test]
    fn a_file_cut_anywhere_is_what_it_was_at_a_moment(records in prop::collection::vec(record(), 3..40)) {
        let mut journal = Journal::new(Place::default());
        let mut text = journal.image().unwrap();
        let header = text.len();
        let mut moments = vec![(header, image(&journal))];
        for record in records {
            // Only what a run can write: the end of a job that the file has.
            if journal.apply(record.clone()).is_ok() {
                record.write(&mut text).unwrap();
                moments.push((text.len(), image(&journal)));
            }
        }
        for cut in 1..=text.len() {
            let parsed = Journal::parse(&text[..cut]);
            if cut < header {
                prop_assert!(matches!(parsed, Err(Problem::Damaged(1, _))), "{parsed:?}");
                continue;
            }
            let (len, moment) = moments.iter().rev().find(|(len, _)| *len <= cut).unwrap();
            let parsed = parsed.unwrap();
            prop_assert_eq!(parsed.len, *len);
            prop_assert_eq!(&image(&parsed.journal), moment);
        }
        // The shortest content says the same.
        let parsed = Journal::parse(&journal.image().unwrap()).unwrap();
        prop_assert_eq!(image(&parsed.journal), image(&journal));
    }


    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in "\\PC{0,80}\n") {
        let header = b"{\"cfw_wait_state\":1}\n";
        for text in [&bytes[..], lines.as_bytes(), &[header, &bytes[..]].concat(), &[header, lines.as_bytes()].concat()] {
            let _ = Journal::parse(text);
            let _ = journal::parse_header(text);
        }
    }
}

proptest! {
    // Each syncs many files, which takes its time on a busy disk.
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// However writes, compactions, crashes and new runs alternate, the file has all that was written.
    #[test]
    fn a_file_has_what_was_written_to_it(
        steps in prop::collection::vec((record(), 0_u8..8), 10..40),
        number in any::<u64>(),
    ) {
        let folder = Folder::new(&format!("steps-{number}"));
        let mut state = open(&folder.file()).unwrap();
        let mut expected = Journal::new(Place::default());
        for (record, then) in steps {
            if expected.apply(record.clone()).is_err() {
                continue;
            }
            state.record(record).unwrap();
            match then {
                0 => state.compact().unwrap(),
                1 => {
                    state.write().unwrap();
                    drop(state);
                    // What a crash leaves of a record.
                    let mut text = fs::read(folder.file()).unwrap();
                    text.extend(b"{\"waiting\":{\"job");
                    fs::write(folder.file(), text).unwrap();
                    state = open(&folder.file()).unwrap();
                }
                2 => state.sync().unwrap(),
                3 => drop(fs::remove_file(folder.file())),
                _ => state.write().unwrap(),
            }
        }
        // At least one more record, after which nothing is missing.
        let last = Record::waiting(job("last"), Own::default());
        expected.apply(last.clone()).unwrap();
        state.record(last).unwrap();
        state.sync().unwrap();
        drop(state);
        prop_assert_eq!(image(&open(&folder.file()).unwrap().journal), image(&expected));
        let text = fs::read(folder.file()).unwrap();
        prop_assert_eq!(Journal::parse(&text).unwrap().len, text.len(), "nothing is left of the crash");
    }
}

#[test]
fn the_form_is_that_of_version_1() {
    let mut journal = Journal::new(Place::default());
    let own = Own::new(Some("create".to_owned()), Some(Duration::from_secs(5)));
    for record in [
        Record::waiting(running(3), own),
        Record::waiting(job("b"), Own::default()),
        Record::Ended(end("b", Some(WaitErrorKind::Failed))),
        Record::Finished {},
    ] {
        journal.apply(record).unwrap();
    }
    expect_test::expect![[r#"
        {"cfw_wait_state":1}
        {"waiting":{"job":{"job_id":"a","created":"2023-11-14T22:13:20Z","started":"2023-11-14T22:13:20Z","deadline":"2023-11-14T22:28:20Z","polls":3,"phase":"running","status":"Running"},"line_kind":"create","line_timeout_ms":5000}}
        {"waiting":{"job":{"job_id":"b","created":"2023-11-14T22:13:20Z","started":"2023-11-14T22:13:20Z","deadline":"2023-11-14T22:28:20Z","polls":0}}}
        {"ended":{"job_id":"b","outcome":"failed","reason":"failed","report":{"elapsed_ms":1,"text":"ended\nwell","object":{"type":"ended","job_id":"b","error":{"class":"fatal"}}}}}
        {"finished":{}}
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
fn what_is_no_state_file_is_named_and_left_as_it_is() {
    let folder = Folder::new("foreign");
    let path = folder.file();
    let head = "{\"cfw_wait_state\":1}\n";
    for (text, problem) in [
        ("a poem\n", "is not a state file of cfw-wait, and is left as it is"),
        ("a poem", "is not a state file of cfw-wait, and is left as it is"),
        ("\n", "is not a state file of cfw-wait, and is left as it is"),
        ("{\"format\":\"cfw-waiter history\",\"version\":1}", "is not a state file"),
        ("\0\0\0\0", "is not a state file"),
        (
            "{\"cfw_wait_state\":2,\"new\":[]}\nx\n",
            "is of version 2, which is not known (known: 1)",
        ),
        ("{\"cfw_wait_state\":1", "is damaged in line 1, and is left as it is: EOF while parsing"),
        ("{\"cfw_wait_state\":1}", "is damaged in line 1, and is left as it is: is cut"),
        (&format!("{head}nonsense\n"), "is damaged in line 2, and is left as it is: expected"),
        (&format!("{head}\n"), "is damaged in line 2"),
        (
            &format!(
                "{head}{}\n",
                r#"{"waiting":{"job":{"job_id":"a\u001b[2J","created":"2023-11-14T22:13:20Z","started":"2023-11-14T22:13:20Z","deadline":"2023-11-14T22:28:20Z"}}}"#
            ),
            "is damaged in line 2, and is left as it is: invalid job id",
        ),
        (
            &format!("{head}{{\"cured\":{{}}}}\n"),
            "is damaged in line 2, and is left as it is: unknown variant `cured`",
        ),
        (
            &format!("{head}{{\"finished\":{{}}}}\n{{\"reported\":{{\"job_id\":\"a\"}}}}\n"),
            "is damaged in line 3, and is left as it is: job \"a\" is not known",
        ),
        (
            &format!("{head}{{\"ended\":{{\"job_id\":\"a\",\"outcome\":\"cured\"}}}}\n"),
            "outcome \"cured\" is not known",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let error = open(&path).unwrap_err();
        assert!(error.contains(problem), "{text:?}: {error}");
        assert!(error.starts_with("--state \"") && !error.contains('\n'), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "untouched");
        let beside: Vec<_> =
            fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().file_name()).collect();
        let is_ours = text.starts_with("{\"cfw_wait_state\":1}");
        assert_eq!(beside.len(), if is_ours { 2 } else { 1 }, "{text:?}: {beside:?}");
        let _ = fs::remove_file(folder.0.join("jobs.state.lock"));
    }
    assert!(open(&folder.0).unwrap_err().ends_with("is a directory"));
    let missing = State::open(&folder.0.join("missing"), Place::default(), false).unwrap_err();
    assert!(missing.message.unwrap().ends_with("does not exist, and no JOB_ID is given"));
    assert!(open(&path.join("below")).unwrap_err().contains("cannot be "));
}

#[test]
fn an_empty_file_is_a_new_one() {
    let folder = Folder::new("empty");
    fs::write(folder.file(), "").unwrap();
    assert!(open(&folder.file()).unwrap().entries().is_empty());
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), "{\"cfw_wait_state\":1}\n");
}

#[test]
fn the_lock_is_held_while_the_file_is_replaced_and_goes_with_its_holder() {
    let folder = Folder::new("lock");
    let mut state = open(&folder.file()).unwrap();
    let busy = || open(&folder.file()).unwrap_err();
    assert!(busy().ends_with("is in use by another cfw-wait"), "{}", busy());
    state.compact().unwrap();
    assert!(busy().ends_with("is in use by another cfw-wait"));
    drop(state);
    open(&folder.file()).unwrap();
}

#[test]
fn the_file_does_not_grow_with_polls() {
    let folder = Folder::new("growth");
    let mut state = open(&folder.file()).unwrap();
    state.add(job("a"), Own::default()).unwrap();
    for polls in 1..2_000 {
        state.progress([running(polls)]).unwrap();
        state.write().unwrap();
    }
    // Nothing new is no record.
    let len = state.len;
    state.progress([running(1_999)]).unwrap();
    state.write().unwrap();
    assert_eq!(state.len, len);
    let len = fs::metadata(folder.file()).unwrap().len();
    assert!(len < SLACK + 1_000, "{len}");
    drop(state);
    assert_eq!(open(&folder.file()).unwrap().entries()[0].job.polls, 1_999);
}

#[test]
fn a_last_line_that_is_cut_is_overwritten_by_the_next_record_only() {
    let folder = Folder::new("cut");
    let mut state = open(&folder.file()).unwrap();
    state.add(job("a"), Own::default()).unwrap();
    state.sync().unwrap();
    drop(state);
    let whole = fs::read_to_string(folder.file()).unwrap();
    let torn = format!(
        "{whole}{{\"ended\":{{\"job_id\":\"a\",\"outcome\":\"succeeded\",\"padding\":\"{}",
        "x".repeat(999)
    );
    fs::write(folder.file(), &torn).unwrap();
    let mut state = open(&folder.file()).unwrap();
    assert!(state.entries()[0].end.is_none());
    state.sync().unwrap();
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), torn, "reading changes nothing");
    state.finish().unwrap();
    assert_eq!(
        fs::read_to_string(folder.file()).unwrap(),
        format!("{whole}{{\"finished\":{{}}}}\n")
    );
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
fn what_a_run_knows_of_the_place_is_kept_for_the_next_one() {
    let folder = Folder::new("place");
    let place = |json: &str| serde_json::from_str::<Place>(json).unwrap();
    let open = |json| State::open(&folder.file(), place(json), true);
    drop(open(r#"{"project_name":"p"}"#).unwrap());
    drop(open(r#"{"project_id":"1"}"#).unwrap());
    let error = open(r#"{"project_id":"2"}"#).unwrap_err().message.unwrap();
    assert!(error.contains(r#"holds jobs of project "1""#), "{error}");
    let error = open(r#"{"project_name":"q"}"#).unwrap_err().message.unwrap();
    assert!(error.contains(r#"holds jobs of project "p""#), "{error}");
}

#[test]
fn a_file_of_the_user_beside_it_is_left_as_it_is() {
    let folder = Folder::new("beside");
    let beside = folder.0.join("jobs.state.new");
    fs::write(&beside, "my list\n").unwrap();
    let error = open(&folder.file()).unwrap_err();
    assert!(error.ends_with("jobs.state.new\" is in the way, and is left as it is"), "{error}");
    assert_eq!(fs::read_to_string(&beside).unwrap(), "my list\n");
    // What a crash leaves of a new file is not in the way.
    for leftover in ["", "{\"cfw_", "{\"cfw_wait_state\":1}\n{\"wai", "\0\0\0"] {
        fs::write(&beside, leftover).unwrap();
        let mut state = open(&folder.file()).unwrap();
        state.compact().unwrap();
        assert!(!beside.exists());
        // Nor is one that appears meanwhile removed.
        fs::write(&beside, "my list\n").unwrap();
        state.compact().unwrap_err();
        assert_eq!(fs::read_to_string(&beside).unwrap(), "my list\n");
        drop(state);
    }
}

#[test]
fn only_the_ends_of_jobs_are_final() {
    let is_final = |kind| end("a", kind).is_final();
    assert!(is_final(None));
    let kinds: Vec<_> =
        crate::outcome::KINDS.into_iter().filter(|kind| is_final(Some(*kind))).collect();
    assert_eq!(kinds, [WaitErrorKind::Failed]);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_its_user_can_read_or_write_what_is_written() {
        let folder = Folder::new("mode");
        let mut state = open(&folder.file()).unwrap();
        let lock = folder.0.join("jobs.state.lock");
        assert_eq!((mode(&folder.file()), mode(&lock)), (0o600, 0o600));
        drop(state);
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o664)).unwrap();
        state = open(&folder.file()).unwrap();
        assert_eq!(mode(&folder.file()), 0o600);
        // Neither a link in the place of the new file is followed, nor is its mode taken.
        let victim = folder.0.join("victim");
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, folder.0.join("jobs.state.new")).unwrap();
        state.compact().unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert_eq!(mode(&folder.file()), 0o600);
    }

    #[test]
    fn without_the_lock_beside_it_the_file_is_locked_all_the_same() {
        let folder = Folder::new("unlocked");
        let mut state = open(&folder.file()).unwrap();
        for _ in 0..2 {
            fs::remove_file(folder.0.join("jobs.state.lock")).unwrap();
            let error = open(&folder.file()).unwrap_err();
            assert!(error.ends_with("is in use by another cfw-wait"), "{error}");
            state.compact().unwrap();
        }
        drop(state);
        // One that was opened, and not made.
        let state = open(&folder.file()).unwrap();
        fs::remove_file(folder.0.join("jobs.state.lock")).unwrap();
        assert!(open(&folder.file()).is_err());
        drop(state);
        open(&folder.file()).unwrap();
    }

    #[test]
    fn all_names_of_a_file_have_one_lock_and_a_link_stays_one() {
        let folder = Folder::new("link");
        let link = folder.0.join("link");
        drop(open(&folder.file()).unwrap());
        symlink(folder.file(), &link).unwrap();
        let mut state = open(&link).unwrap();
        state.compact().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let error = open(&folder.file()).unwrap_err();
        assert!(error.ends_with("is in use by another cfw-wait"), "{error}");
    }

    #[test]
    fn a_file_that_was_removed_is_made_again_and_another_one_is_left_alone() {
        let folder = Folder::new("removed");
        let mut state = open(&folder.file()).unwrap();
        state.add(job("a"), Own::default()).unwrap();
        fs::remove_file(folder.file()).unwrap();
        state.sync().unwrap();
        let text = fs::read_to_string(folder.file()).unwrap();
        assert!(text.contains("\"job_id\":\"a\""), "{text}");
        fs::remove_file(folder.file()).unwrap();
        fs::write(folder.file(), "a poem").unwrap();
        state.add(job("b"), Own::default()).unwrap();
        let error = state.sync().unwrap_err().message.unwrap();
        assert!(error.ends_with("was replaced by another program"), "{error}");
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), "a poem");
    }
}

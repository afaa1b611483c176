//! Files on disk: foreign, cut, locked and replaced.

use super::*;

#[test]
fn what_is_no_state_file_is_named_and_left_as_it_is() {
    let folder = Folder::new("foreign");
    let path = folder.file();
    let head = "{\"cfw_wait_state\":1}\n";
    let reported = |object: &str| {
        let mut text = head.as_bytes().to_vec();
        Record::waiting(job("a"), Own::default()).write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let report = format!(r#"{{"elapsed_ms":1,"text":"","object":{object}}}"#);
        format!(
            "{text}{{\"ended\":{{\"job_id\":\"a\",\"outcome\":\"succeeded\",\"report\":{report}}}}}\n"
        )
    };
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
            &format!("{head}{{\"a\\u001b[2Jb\\nc\":{{}}}}\n"),
            "is damaged in line 2, and is left as it is: unknown variant `a [2Jb c`",
        ),
        (
            &format!("{head}{{\"finished\":{{}}}}\n{{\"reported\":{{\"job_id\":\"a\"}}}}\n"),
            "is damaged in line 3, and is left as it is: job \"a\" is not known",
        ),
        (
            &format!("{head}{{\"ended\":{{\"job_id\":\"a\",\"outcome\":\"cured\"}}}}\n"),
            "outcome \"cured\" is not known",
        ),
        (&reported("5"), "the report of job \"a\" is not of its end"),
        (&reported(r#"["ended","a"]"#), "the report of job \"a\" is not of its end"),
        (&reported(r#"{"type":"ended"}"#), "the report of job \"a\" is not of its end"),
        (
            &reported(r#"{"type":"ended","job_id":"b"}"#),
            "is damaged in line 3, and is left as it is: the report of job \"a\" is not of its end",
        ),
        (
            &reported(r#"{"type":"changed","job_id":"a"}"#),
            "the report of job \"a\" is not of its end",
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
fn a_folder_beside_it_is_named() {
    let folder = Folder::new("folder-beside");
    fs::create_dir(folder.0.join("jobs.state.new")).unwrap();
    let error = open(&folder.file()).unwrap_err();
    assert!(error.ends_with("jobs.state.new\" is in the way, and is left as it is"), "{error}");
}

#[test]
fn a_file_beside_another_state_file_is_no_state_file() {
    let folder = Folder::new("reserved");
    for ending in [".new", ".lock", ".New"] {
        let name = folder.0.join(format!("jobs.state{ending}"));
        let error = open(&name).unwrap_err();
        let lower = ending.to_lowercase();
        let said = format!("beside a state file; use one that does not end in {lower}");
        assert!(error.ends_with(&said), "{error}");
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
    open(&folder.0.join("new")).unwrap();
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
fn if_no_shorter_file_can_be_made_the_old_one_grows_until_one_can() {
    let folder = Folder::new("no-shorter");
    let mut state = open(&folder.file()).unwrap();
    state.add(job("a"), Own::default()).unwrap();
    state.sync().unwrap();
    let obstacle = folder.0.join("jobs.state.new");
    fs::write(&obstacle, "my list\n").unwrap();
    let mut polls = 0;
    let mut grow = |state: &mut State| {
        polls += 1;
        state.progress([running(polls)]).unwrap();
        state.sync().unwrap();
        fs::metadata(folder.file()).unwrap().len()
    };
    while grow(&mut state) < 2 * SLACK {}
    fs::remove_file(&obstacle).unwrap();
    let largest = (0..1_000).map(|_| grow(&mut state)).max().unwrap();
    assert!(largest < 4 * SLACK, "{largest}");
    drop(state);
    assert_eq!(open(&folder.file()).unwrap().entries()[0].job.polls, polls);
}

#[test]
fn jobs_that_are_added_make_no_file_worth_replacing() {
    let folder = Folder::new("grown");
    let mut state = open(&folder.file()).unwrap();
    let obstacle = folder.0.join("jobs.state.new");
    fs::write(&obstacle, "my list\n").unwrap();
    for number in 0..2_000 {
        state.add(job(&number.to_string()), Own::default()).unwrap();
        state.write().unwrap();
    }
    assert!(state.len > 3 * SLACK && state.retry_at == 0, "{state:?}");
}

#[test]
fn a_place_for_which_the_header_has_no_room_makes_no_file() {
    let folder = Folder::new("long-place");
    let name = "x".repeat(70_000);
    let place: Place = serde_json::from_value(serde_json::json!({ "project_name": name })).unwrap();
    let error = State::open(&folder.file(), place, true).unwrap_err().message.unwrap();
    assert!(error.ends_with("the project name is longer than 1024 bytes"), "{error}");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_refused_is_never_written() {
    let folder = Folder::new("refused");
    let head = b"{\"cfw_wait_state\":1}\n".as_slice();
    let mut text = head.to_vec();
    Record::waiting(running(3), Own::default()).write(&mut text).unwrap();
    Record::Ended(end("a", None)).write(&mut text).unwrap();
    // Each place is damaged in turn.
    for at in (0..text.len()).step_by(7) {
        let mut damaged = text.clone();
        damaged[at] ^= 0x15;
        fs::write(folder.file(), &damaged).unwrap();
        let opened = open(&folder.file());
        assert_eq!(fs::read(folder.file()).unwrap(), damaged, "{at}: {opened:?}");
        assert!(!folder.0.join("jobs.state.new").exists());
    }
}

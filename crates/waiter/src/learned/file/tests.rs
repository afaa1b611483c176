use std::error::Error as _;
use std::fs;
use std::num::NonZeroU64;
use std::time::Duration;

use super::format::LONGEST;
use super::*;
use crate::learned::history::{Sample, Savings};

mod locks;
mod names;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cfw-waiter-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("history.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn one(kind: &str, seconds: f64) -> History {
    let mut history = History::new();
    history.record(kind, Sample::ended(Duration::from_secs_f64(seconds)));
    history
}

#[test]
fn what_was_written_is_read_again() {
    let folder = Folder::new("round-trip");
    assert!(History::load(folder.file()).unwrap().is_empty(), "a missing file is empty");
    let mut history = one("create", 212.25);
    history.record("create", Sample::at_least(Duration::from_millis(50)));
    history.record("delete \"all\"", Sample::ended(Duration::ZERO));
    history.save("create", Duration::from_secs(1), Savings { sum: -3.5, ceiling: 350.0 });
    history.save("create", Duration::from_millis(5), Savings::NONE);
    history.clone().append_to(folder.file()).unwrap();
    assert_eq!(History::load(folder.file()).unwrap(), history);
    one("create", 7.0).append_to(folder.file()).unwrap();
    let both = History::load(folder.file()).unwrap();
    let secs: Vec<f64> = both.samples("create").map(|s| s.duration().as_secs_f64()).collect();
    assert_eq!(secs, [212.25, 0.05, 7.0]);
}

#[test]
fn of_each_kind_the_newest_are_kept() {
    let folder = Folder::new("newest");
    let mut history = History::new();
    (0..300).for_each(|n| history.record("a", Sample::ended(Duration::from_secs(n))));
    history.append_to(folder.file()).unwrap();
    one("a", 1e4).append_to(folder.file()).unwrap();
    let kept = History::load(folder.file()).unwrap();
    let secs: Vec<u64> = kept.samples("a").map(|s| s.duration().as_secs()).collect();
    assert_eq!((secs.len(), secs[0], secs[255]), (256, 45, 10_000));
}

#[test]
fn writers_at_the_same_time_lose_nothing_and_readers_see_whole_files() {
    let folder = Folder::new("writers");
    let file = folder.file();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for n in 0..8 {
                    one(&format!("kind-{writer}"), f64::from(n)).append_to(file).unwrap();
                }
            });
        }
        for _ in 0..200 {
            History::load(&file).unwrap();
        }
    });
    let history = History::load(&file).unwrap();
    let counts: Vec<usize> = history.kinds().map(|kind| history.samples(kind).count()).collect();
    assert_eq!(counts, [8; 4]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_left_as_it_is() {
    let folder = Folder::new("damaged");
    let file = folder.file();
    one("create", 5.0).append_to(&file).unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let cut = whole.strip_suffix("]}}}").unwrap_or(&whole);
    assert_ne!(cut, whole);
    let later = whole.replace("\"version\":1", "\"version\":2");
    let negative = whole.replace("5.0", "-5.0");
    let long = whole.replace("5.0", "2e9");
    let rows = [
        (cut, "is damaged, and is left as it is"),
        (&later, "is of version 2, which is not known (known: 1), and is left as it is"),
        (&whole.replace("\"version\":1", "\"version\":2.0"), "is of version 2, which"),
        (&whole.replace("\"version\":1", "\"version\":5000000000"), "is of version 5000000000"),
        (&negative, "-5 is no duration"),
        (&long, "2000000000 is no duration"),
        (&whole.replace("[{", "[7,{"), "is damaged, and is left as it is"),
        ("{}", "is not a history of cfw-waiter, and is left as it is"),
        (r#"{"format":"other","version":1}"#, "is not a history of cfw-waiter"),
        ("#!/bin/sh\n", "is not a history of cfw-waiter, and is left as it is"),
    ];
    for (text, message) in rows {
        fs::write(&file, text).unwrap();
        let read = History::load(&file).unwrap_err().to_string();
        assert!(read.contains(message) && read.contains("history.json"), "{read}");
        let written = one("create", 6.0).append_to(&file).unwrap_err().to_string();
        assert_eq!(read, written);
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "left as it is");
    }
}

#[test]
fn a_file_that_is_too_large_is_left_as_it_is() {
    let folder = Folder::new("large");
    let file = folder.file();
    File::create(&file).unwrap().set_len(LARGEST + 1).unwrap();
    for error in [History::load(&file).unwrap_err(), one("a", 1.0).append_to(&file).unwrap_err()] {
        assert!(error.to_string().ends_with("is larger than 16777216 bytes"), "{error}");
    }
    assert_eq!(fs::metadata(&file).unwrap().len(), LARGEST + 1);
}

#[test]
fn of_a_file_with_more_jobs_the_newest_are_read() {
    let folder = Folder::new("surplus");
    one("a", 0.0).append_to(folder.file()).unwrap();
    let text = fs::read_to_string(folder.file()).unwrap();
    let jobs: Vec<String> = (0..300).map(|n| format!("{{\"seconds\":{n}}}")).collect();
    fs::write(folder.file(), text.replace("{\"seconds\":0.0}", &jobs.join(","))).unwrap();
    let history = History::load(folder.file()).unwrap();
    let secs: Vec<u64> = history.samples("a").map(|s| s.duration().as_secs()).collect();
    assert_eq!((secs.len(), secs[0], secs[255]), (256, 44, 299));
}

#[test]
fn a_file_that_holds_nothing_is_an_empty_history() {
    let folder = Folder::new("empty");
    let file = folder.file();
    for text in ["", " \n"] {
        fs::write(&file, text).unwrap();
        assert!(History::load(&file).unwrap().is_empty(), "{text:?}");
        one("create", 5.0).append_to(&file).unwrap();
        assert_eq!(History::load(&file).unwrap(), one("create", 5.0), "{text:?}");
    }
}

#[test]
fn errors_of_the_system_are_told_with_their_cause() {
    let folder = Folder::new("system");
    let missing = folder.0.join("missing").join("history.json");
    assert!(History::load(&missing).unwrap().is_empty());
    let error = one("a", 1.0).append_to(&missing).unwrap_err();
    assert!(error.to_string().starts_with("cannot write history "), "{error}");
    assert!(error.source().is_some());
    let error = History::load(&folder.0).unwrap_err();
    assert!(error.to_string().starts_with("cannot read history "), "{error}");
}

#[test]
#[cfg(unix)]
fn only_its_user_can_read_or_write_what_is_written() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = Folder::new("mode");
    let beside = |ending: &str| folder.0.join(format!("history.json{ending}"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let new = beside(".cfw-waiter-new");
    // What a process leaves behind when it dies is not written to.
    for left_behind in ["", "{\"for", "{\"format\":\"cfw-waiter history\",\"vers", "\0\0\0"] {
        fs::write(&new, left_behind).unwrap();
        History::check_writable(folder.file()).unwrap();
        one("create", 5.0).append_to(folder.file()).unwrap();
        assert_eq!([mode(&folder.file()), mode(&beside(".lock"))], [0o600; 2]);
        assert!(!new.exists() && !folder.file().is_symlink());
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let before = fs::read(folder.file()).unwrap();
    // Another file in its place is left alone, and a link is not followed.
    let other = folder.0.join("other");
    fs::write(&other, "other").unwrap();
    symlink(&other, &new).unwrap();
    for _ in 0..2 {
        let error = one("create", 5.0).append_to(folder.file()).unwrap_err().to_string();
        assert!(error.contains("is in the way, and is left as it is"), "{error}");
        assert_eq!(error, History::check_writable(folder.file()).unwrap_err().to_string());
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        assert_eq!(fs::read(folder.file()).unwrap(), before);
        fs::remove_file(&new).unwrap();
        fs::write(&new, "a poem").unwrap();
    }
    assert_eq!(fs::read_to_string(&new).unwrap(), "a poem");
    assert_eq!(History::load(folder.file()).unwrap().samples("create").count(), 4);
}

#[test]
fn a_file_of_the_user_beside_a_history_stays() {
    let folder = Folder::new("beside");
    let other = folder.0.join("history.json.new");
    fs::write(&other, "{}").unwrap();
    one("create", 5.0).append_to(folder.file()).unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "{}");
}

#[test]
fn where_nothing_can_be_written_is_known_beforehand() {
    let folder = Folder::new("check");
    History::check_writable(folder.file()).unwrap();
    let left: Vec<_> =
        fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["history.json.lock"]);
    let missing = folder.0.join("missing").join("history.json");
    let error = History::check_writable(&missing).unwrap_err().to_string();
    assert_eq!(error, one("a", 1.0).append_to(&missing).unwrap_err().to_string());
    fs::write(folder.file(), "").unwrap();
    let error = History::check_writable(folder.file().join("history.json")).unwrap_err();
    assert!(error.to_string().starts_with("cannot write history "), "{error}");
}

#[test]
fn a_job_that_two_processes_waited_for_counts_once() {
    let folder = Folder::new("once");
    let sample = |seconds| Sample::ended(Duration::from_secs(seconds));
    let running = |seconds| Sample::at_least(Duration::from_secs(seconds));
    let append = |sample: Sample, job| {
        let mut history = History::new();
        history.record("a", sample.of_job(NonZeroU64::new(job)));
        history.append_to(folder.file()).unwrap();
        let history = History::load(folder.file()).unwrap();
        let samples = history.samples("a").map(|s| (s.duration().as_secs(), s.is_at_least()));
        samples.collect::<Vec<_>>()
    };
    assert_eq!(append(running(5), 7), [(5, true)]);
    assert_eq!(append(running(9), 7), [(9, true)]);
    assert_eq!(append(running(8), 7), [(9, true)], "that is known");
    assert_eq!(append(sample(3), u64::MAX), [(9, true), (3, false)]);
    assert_eq!(append(sample(11), 7), [(3, false), (11, false)]);
    for again in [sample(11), sample(50), running(60)] {
        assert_eq!(append(again, 7), [(3, false), (11, false)]);
    }
    // Of jobs without a begin it is not known which they are.
    assert_eq!(append(sample(3), 0).len(), 3);
    assert_eq!(append(sample(3), 0).len(), 4);
    let text = fs::read_to_string(folder.file()).unwrap();
    assert!(text.contains("\"job\":\"0000000000000007\""), "{text}");
    for job in ["\"\"", "\"0\"", "\"x\"", "7"] {
        fs::write(folder.file(), text.replace("\"0000000000000007\"", job)).unwrap();
        let error = History::load(folder.file()).unwrap_err().to_string();
        assert!(error.ends_with("is damaged, and is left as it is"), "{job}: {error}");
    }
}

#[test]
fn whatever_was_learnt_can_be_read_again() {
    let folder = Folder::new("bounds");
    let second = Duration::from_secs(1);
    for duration in [Duration::from_secs(1_795_000_000), Duration::MAX] {
        let mut history = History::new();
        history.record("a", Sample::ended(duration));
        history.record("a", Sample::at_least(duration));
        history.append_to(folder.file()).unwrap();
        let history = History::load(folder.file()).unwrap();
        assert!(history.samples("a").all(|sample| sample.duration().as_secs_f64() == LONGEST));
    }
    for (sum, ceiling) in [
        (f64::MAX, f64::INFINITY),
        (f64::MIN, f64::NEG_INFINITY),
        (f64::INFINITY, f64::MAX),
        (f64::NEG_INFINITY, f64::MIN),
        (f64::NAN, f64::NAN),
    ] {
        for _ in 0..2 {
            let mut history = History::new();
            history.save("a", second, Savings { sum, ceiling });
            history.append_to(folder.file()).unwrap();
            let savings = History::load(folder.file()).unwrap().savings("a", second);
            assert!(savings.sum.abs() <= LONGEST, "{sum} {ceiling}: {savings:?}");
        }
    }
}

#[test]
fn a_debt_without_end_stays_a_debt() {
    let folder = Folder::new("debt");
    let second = Duration::from_secs(1);
    let mut history = History::new();
    history.save("a", second, Savings { sum: f64::NEG_INFINITY, ceiling: f64::NEG_INFINITY });
    history.append_to(folder.file()).unwrap();
    let savings = History::load(folder.file()).unwrap().savings("a", second);
    assert_eq!(savings, Savings { sum: -LONGEST, ceiling: -LONGEST });
}

#[test]
fn of_too_many_jobs_the_newest_of_each_kind_are_written() {
    let folder = Folder::new("many-kinds");
    let mut history = History::new();
    let kind = |n: u32| format!("{n:0>60000}");
    for n in 0..270 {
        let name = kind(n);
        for seconds in 0..=100 {
            history.record(&*name, Sample::ended(Duration::new(seconds, 123_456_789)));
        }
    }
    // Each kind has 2 KB of jobs, and its name is 60 KB long.
    history.append_to(folder.file()).unwrap();
    let before = fs::read(folder.file()).unwrap();
    assert!(before.len() as u64 <= LARGEST, "{}", before.len());
    let kept = History::load(folder.file()).unwrap();
    for n in [0, 269] {
        let secs: Vec<u64> = kept.samples(&kind(n)).map(|s| s.duration().as_secs()).collect();
        assert!(secs.len() >= 32 && secs.len() <= 64 && secs.last() == Some(&100), "{secs:?}");
    }
    let mut history = History::new();
    (270..320).for_each(|n| history.record(kind(n), Sample::ended(Duration::ZERO)));
    let error = history.append_to(folder.file()).unwrap_err().to_string();
    assert!(
        error.ends_with("would be larger than 16777216 bytes, and is left as it is"),
        "{error}"
    );
    assert!(fs::read(folder.file()).unwrap() == before, "left as it is");
}

#[test]
fn whole_numbers_with_a_point_and_a_mark_of_the_encoding_are_read() {
    let folder = Folder::new("numbers");
    let text = r#"{"version":1.0e0,"format":"cfw-waiter history","kinds":{"a":{"jobs":[{"seconds":5}],
        "accounts":[{"poll_cost":1,"saved":-3,"ceiling":350}]}},"later":7}"#;
    for mark in ["", "\u{feff}"] {
        fs::write(folder.file(), format!("{mark}{text}")).unwrap();
        let history = History::load(folder.file()).unwrap();
        assert_eq!(history.samples("a").next(), Some(Sample::ended(Duration::from_secs(5))));
        let savings = history.savings("a", Duration::from_secs(1));
        assert_eq!(savings, Savings { sum: -3.0, ceiling: 350.0 });
        one("a", 6.0).append_to(folder.file()).unwrap();
        let text = fs::read_to_string(folder.file()).unwrap();
        assert!(
            text.starts_with("{\"format\":\"cfw-waiter history\",\"version\":1,\"kinds\":"),
            "{text}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_words_of_json() {
    let folder = Folder::new("words");
    let history = |kind: &str| {
        format!("{{\"format\":\"cfw-waiter history\",\"version\":1,\"kinds\":{{\"a\":{kind}}}}}")
    };
    for (text, cause) in [
        ("null".to_owned(), "invalid type: null, expected an object at line 1 column 4"),
        (history("7"), "invalid type: integer `7`, expected an object at line 1 column 57"),
        (
            history("{\"jobs\":[]},\"a\":{\"jobs\":[]}"),
            "two kinds are named \"a\" at line 1 column ",
        ),
        (history("{\"jobs\":[7]}"), "invalid type: integer `7`, expected an object"),
        (
            history("{\"jobs\":[],\"accounts\":[7]}"),
            "invalid type: integer `7`, expected an object",
        ),
    ] {
        fs::write(folder.file(), text).unwrap();
        let error = History::load(folder.file()).unwrap_err();
        let found = error.source().unwrap().to_string();
        assert!(found.starts_with(cause), "{found}");
    }
}

//! What SECURITY.md, RELIABILITY.md and ARCHITECTURE.md name exists: tests, files and folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text in single backquotes, without that of blocks.
fn quoted(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if !fenced && !line.starts_with("    ") {
            prose += line;
            prose.push('\n');
        }
    }
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Names of the tests in a source file: functions below an attribute that makes a test.
fn tests_in(source: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            continue;
        }
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let (true, Some(name)) = (is_test, name) {
            names.extend(name.split('(').next());
        }
        is_test &= line.starts_with("//");
    }
    names
}

/// All files of the repository that hold sources or tests, and their folders, from its root on.
fn paths() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "tests", "examples", "benches"].map(|name| Path::new(ROOT).join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(ROOT).unwrap().to_owned());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn expanded(pattern: &str) -> Vec<String> {
    match pattern.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (names, after))) => {
            names.split(',').map(|name| format!("{before}{name}{after}")).collect()
        }
        None => vec![pattern.to_owned()],
    }
}

#[test]
fn each_promise_of_security_md_names_tests_that_exist() {
    let text = read("SECURITY.md");
    let promises = text.split_once("## Promises").expect("a section").1;
    let promises = promises.split("\n## ").next().expect("it has an end");
    let mut count = 0;
    for promise in promises.split("\n- ").skip(1) {
        let tests = promise.split_once("*Tests:*").unwrap_or_else(|| panic!("{promise}")).1;
        let tests = quoted(tests);
        assert!(!tests.is_empty(), "{promise}");
        for test in tests {
            assert_exists(&test);
            count += 1;
        }
    }
    assert!(count >= 30, "{count} tests");
}

#[track_caller]
fn assert_exists(test: &str) {
    let (path, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}"));
    assert!(tests_in(&read(path)).contains(name), "{test}");
}

#[test]
fn each_fault_of_reliability_md_names_tests_that_exist() {
    let text = read("RELIABILITY.md");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let (mut faults, mut count) = (0, 0);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let tests: Vec<String> =
            quoted(row).into_iter().filter(|text| text.contains("::")).collect();
        tests.iter().for_each(|test| assert_exists(test));
        count += tests.len();
        if let [_, _, cell, _] = cells[..]
            && !["Tests", "---"].contains(&cell)
        {
            assert!(!tests.is_empty(), "{row}");
            faults += 1;
        }
    }
    assert!(faults >= 35 && count >= 60, "{faults} faults, {count} tests");
}

#[test]
fn what_architecture_md_names_exists() {
    let paths = paths();
    let sources = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let sources: Vec<String> = sources.map(|path| read(path.to_str().unwrap())).collect();
    let tests: BTreeSet<&str> = sources.iter().flat_map(|source| tests_in(source)).collect();
    let (mut names, mut files) = (0, 0);
    for quote in quoted(&read("ARCHITECTURE.md")) {
        let is_word =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_./{},".contains(c);
        if !quote.chars().all(is_word) {
            continue;
        }
        if let Some(rule) = quote.strip_suffix("..") {
            // The rule of all rules is `rule_NN_..`, which is no word.
            assert!(tests.iter().any(|name| name.starts_with(rule)), "{quote}");
            names += 1;
        } else if quote.contains('/') {
            for pattern in expanded(&quote) {
                assert!(
                    paths.iter().any(|path| path.ends_with(pattern.trim_end_matches('/'))),
                    "{quote}"
                );
                files += 1;
            }
        } else if quote.matches('_').count() >= 4 {
            assert!(tests.contains(&*quote), "{quote}");
            names += 1;
        }
    }
    assert!(names >= 8 && files >= 20, "{names} tests, {files} files");
}

//! When jobs are likely to end, and which are overdue, by the durations of past jobs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cfw_simulator::{JobScript, Simulator};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::*;
use crate::terminal::Terminal;

/// A file with past jobs of the kind create, and its folder, removed at the end.
pub(crate) struct Past(
    pub(crate) PathBuf,
    #[expect(dead_code, reason = "it removes what is in it")] Folder,
);

impl Past {
    /// Twenty jobs, each a hundredth longer than the one before.
    pub(crate) fn new(name: &str, seconds: f64) -> Self {
        let folder = Folder::new(&format!("past-{name}"));
        let path = folder.file("past.json");
        let job = |n| format!("{{\"seconds\":{}}}", seconds * (1.0 + 0.01 * f64::from(n)));
        let jobs: Vec<String> = (0..20).map(job).collect();
        let text = format!(
            "{{\"format\":\"cfw-waiter history\",\"version\":1,\"kinds\":{{\"create\":{{\"jobs\":[{}]}},\"empty\":{{\"jobs\":[]}}}}}}",
            jobs.join(",")
        );
        fs::write(&path, text).unwrap();
        Self(path, folder)
    }
}

/// A command that waits for a job that takes a minute.
fn wait(sim: &Simulator, past: &Path, args: &[&str]) -> Command {
    add(sim, "job", JobScript::succeeds_after(ms(60_000)));
    let mut command = wait_command(sim, args);
    command.args(["--kind=create", "--history"]).arg(past).arg("job");
    command
}

/// The lines of standard output of one type.
fn of_type(lines: &[String], name: &str) -> Vec<Value> {
    let values = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    values.filter(|value| value["type"] == name).collect()
}

#[test]
fn an_overdue_job_is_reported_once() {
    let (sim, past) = (simulator(), Past::new("overdue", 0.3));
    let mut command = wait(&sim, &past.0, &["--output=json", "--heartbeat=100ms"]);
    let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (stdout, stderr) = (Lines::of(child.stdout()), Lines::of(child.stderr()));
    let warning = stderr.until("overdue: it has taken ");
    assert!(warning.contains("job  overdue: it has taken "), "{warning}");
    assert!(warning.contains("; 95 % of such jobs end within 0."), "{warning}");
    assert!(warning.ends_with(" (20 jobs known)"), "{warning}");
    // Two seconds and more, in which others would come.
    for _ in 0..22 {
        let heartbeat = stderr.until("1 running");
        assert!(heartbeat.contains(", overdue; "), "{heartbeat}");
    }
    child.signal(Signal::TERM);
    let rest = stderr.rest();
    assert!(!rest.iter().any(|line| line.contains("overdue: it has taken")), "{rest:?}");
    let lines = stdout.rest();
    let [overdue] = &of_type(&lines, "overdue")[..] else { panic!("{lines:?}") };
    assert_eq!((&overdue["job_id"], &overdue["overdue"]), (&"job".into(), &true.into()));
    assert!(overdue["age_ms"].as_u64() >= overdue["late_after_ms"].as_u64(), "{overdue}");
}

#[test]
fn a_job_that_takes_less_than_others_did_is_not_reported() {
    let (sim, past) = (simulator(), Past::new("early", 300.0));
    // Longer than a second, after which overdue jobs are looked for.
    add(&sim, "short", JobScript::succeeds_after(ms(1_300)));
    let mut command = wait_command(&sim, &["--output=json", "--heartbeat=100ms", "short"]);
    command.args(["--kind=create", "--history"]).arg(&past.0);
    let output = run(command);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("m left"), "{output:?}");
    for text in ["overdue", "it has taken"] {
        assert!(!output.stderr.contains(text), "{}", output.stderr);
    }
    assert!(!output.stdout.contains("\"type\":\"overdue\""), "{}", output.stdout);
}

#[test]
fn each_overdue_job_is_reported_with_its_kind_and_the_others_are_not() {
    let (sim, past) = (simulator(), Past::new("each", 0.3));
    for id in ["a", "b", "other"] {
        add(&sim, id, JobScript::succeeds_after(ms(60_000)));
    }
    let ids = past.0.with_extension("ids");
    let lines = "{\"id\":\"a\",\"kind\":\"create\"}\n{\"id\":\"other\",\"kind\":\"delete\"}\nb\n";
    fs::write(&ids, lines).unwrap();
    let args = ["--output=json", "--heartbeat=100ms", "--kind=create", "--history"];
    let mut command = wait_command(&sim, &args);
    command.arg(&past.0).arg("--ids-file").arg(&ids);
    let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (stdout, stderr) = (Lines::of(child.stdout()), Lines::of(child.stderr()));
    for text in ["overdue: it has taken", "overdue: it has taken", "; 2 overdue"] {
        stderr.until(text);
    }
    child.signal(Signal::TERM);
    drop(stderr.rest());
    let mut overdue = of_type(&stdout.rest(), "overdue");
    overdue.sort_by_key(|line| line["job_id"].to_string());
    let named: Vec<_> = overdue.iter().map(|line| (&line["job_id"], &line["kind"])).collect();
    assert_eq!(named, [(&"a".into(), &"create".into()), (&"b".into(), &Value::Null)]);
}

#[test]
fn the_first_status_says_when_the_job_is_likely_to_end() {
    let (sim, past) = (simulator(), Past::new("first", 300.0));
    let mut command = wait(&sim, &past.0, &["--output=json", "--quiet"]);
    let mut child = Running::start(command.stdout(Stdio::piped()));
    let line = Lines::of(child.stdout()).until("\"changed\"");
    let changed: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&changed["past_jobs"], &changed["overdue"]), (&20.into(), &false.into()));
    let [left, age, p50, p90, late] =
        ["eta_ms", "age_ms", "eta_p50_ms", "eta_p90_ms", "late_after_ms"]
            .map(|name| changed[name].as_u64().expect(name));
    assert!((300_000..360_000).contains(&(age + left)), "{changed}");
    assert!(p50 <= p90 && age + p90 <= late, "{changed}");
}

#[test]
fn nothing_is_said_without_history() {
    let (sim, past) = (simulator(), Past::new("none", 0.3));
    add(&sim, "short", JobScript::succeeds_after(ms(1_300)));
    for args in [
        &["--no-history", "--kind=create"][..],
        &["--kind=delete", "--history", past.0.to_str().unwrap()],
    ] {
        let mut command = wait_command(&sim, &["--output=json", "--heartbeat=100ms", "short"]);
        command.args(args);
        let output = run(command);
        assert_eq!(output.code, Some(0), "{output:?}");
        for text in ["eta", "overdue", "past_jobs"] {
            assert!(!output.stdout.contains(text), "{}", output.stdout);
        }
        assert!(!output.stderr.contains(" left") && !output.stderr.contains("overdue"));
    }
}

#[test]
fn an_id_is_cut_for_an_estimate() {
    let (sim, past) = (simulator(), Past::new("uuid", 300.0));
    let id = "3f0c2a9e-6b7d-4c55-9a51-0e8f7f6d1b20";
    add(&sim, id, JobScript::succeeds_after(ms(60_000)));
    let mut command = wait_command(&sim, &["--kind=create", "--history"]);
    command.arg(&past.0).arg(id).env("LANG", "C");
    let mut terminal = Terminal::start(command, 15, 40);
    let shown = terminal.until("m left");
    let row = shown.lines().find(|row| row.contains(" left")).unwrap();
    assert!(row.contains(" 3f0c2...  Running  ") && row.contains("6m left"), "{row}");
    terminal.child.signal(Signal::TERM);
}

#[test]
fn one_past_job_does_not_tell_the_end_of_nine_of_ten() {
    let (sim, past) = (simulator(), Past::new("one", 300.0));
    let text = fs::read_to_string(&past.0).unwrap();
    let (one, _) = text.split_once(",{\"seconds\":303").unwrap();
    fs::write(&past.0, format!("{one}]}}}}}}")).unwrap();
    let mut command = wait(&sim, &past.0, &["--output=json", "--heartbeat=100ms"]);
    let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (stdout, stderr) = (Lines::of(child.stdout()), Lines::of(child.stderr()));
    let line = stdout.until("\"changed\"");
    let changed: Value = serde_json::from_str(&line).unwrap();
    assert!(changed["eta_p50_ms"].as_u64() > Some(100_000), "{changed}");
    for left_out in ["eta_p90_ms", "late_after_ms", "overdue"] {
        assert_eq!(changed[left_out], Value::Null, "{changed}");
    }
    stderr.until("m-? left; ");
    child.signal(Signal::TERM);
}

#[test]
fn a_row_has_a_bar_and_a_range_where_they_fit() {
    let (sim, past) = (simulator(), Past::new("bar", 300.0));
    for (rows, columns, has_bar) in [(24, 80, true), (15, 40, false)] {
        let mut command = wait(&sim, &past.0, &[]);
        command.env("LANG", "C");
        let mut terminal = Terminal::start(command, rows, columns);
        let shown = terminal.until("m left");
        let row = shown.lines().find(|row| row.contains(" job ")).unwrap();
        assert!(row.is_ascii() && row.contains("Running") && row.contains(" 0:"), "{row}");
        assert!(row.contains("6m left"), "{row}");
        assert_eq!(row.contains("-------- "), has_bar, "{row}");
        terminal.child.signal(Signal::TERM);
    }
}

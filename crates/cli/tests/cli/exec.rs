//! `--exec`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cfw_simulator::{JobScript, Simulator};
use rustix::process::Signal;

use crate::support::{
    Folder, Lines, Output, Running, add, ms, parse_objects, run, simulator, wait_command,
};

fn read(dir: &Folder, name: &str) -> String {
    std::fs::read_to_string(dir.file(name)).unwrap()
}

fn exec_command(sim: &Simulator, dir: &Path, script: &str, args: &[&str]) -> Command {
    let mut command = wait_command(sim, &["--exec", script]);
    command.args(args).env("DIR", dir).env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn it_runs_once_at_each_end_with_the_object_and_variables() {
    let sim = simulator();
    add(&sim, "good", JobScript::succeeds_after(ms(50)));
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "slow", JobScript::never());
    let dir = Folder::new("exec-object");
    let script =
        r#"cat >>"$DIR/$CFW_JOB_ID.json"; echo "$CFW_OUTCOME $CFW_EXIT" >>"$DIR/$CFW_JOB_ID""#;
    let args = ["--timeout=500ms", "--output=json", "good", "bad", "slow"];
    let output = run(exec_command(&sim, &dir.0, script, &args));
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    for (id, variables) in
        [("good", "succeeded 0\n"), ("bad", "failed 1\n"), ("slow", "timed_out 124\n")]
    {
        assert_eq!(read(&dir, id), variables);
        let [object] = &*parse_objects(&read(&dir, &format!("{id}.json"))) else { panic!("{id}") };
        let is_end = |other: &&serde_json::Value| other["type"] == "ended" && other["job_id"] == id;
        let printed = parse_objects(&output.stdout);
        let printed = printed.iter().find(is_end).unwrap();
        for field in ["v", "type", "job_id", "outcome", "exit_code", "status", "polls", "message"] {
            assert_eq!(object[field], printed[field], "{id}: {field}");
        }
    }
}

#[test]
fn its_failure_is_reported_and_its_output_goes_to_standard_error() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let run = |script: &str, args: &[&str]| -> Output {
        run(exec_command(&sim, Path::new("/"), script, &[args, &["a"]].concat()))
    };
    let failed = run("echo hello; echo dear >&2; exit 7", &[]);
    assert_eq!((failed.code, &*failed.stdout), (Some(0), ""));
    for line in ["--exec a: hello\n", "--exec a: dear\n", "cfw-wait: --exec a: exit status: 7\n"] {
        assert!(failed.stderr.contains(line), "{}", failed.stderr);
    }
    let killed = run("kill -9 $$", &["--quiet"]);
    assert_eq!(killed.code, Some(0));
    assert!(killed.stderr.starts_with("cfw-wait: --exec a: signal: 9"), "{}", killed.stderr);
    assert_eq!(run("echo hello", &["--quiet"]).stderr, "");
    // What moves the cursor, or reorders text, is a blank.
    let escapes = run(r"printf '\033[31mred\tand\342\200\256green\n'", &[]);
    assert!(escapes.stderr.contains("--exec a:  [31mred and green\n"), "{}", escapes.stderr);
    let mut command = exec_command(&sim, Path::new("/"), "true", &["a"]);
    command.env("PATH", "/no/such/directory");
    let missing = crate::support::run(command);
    assert_eq!(missing.code, Some(0));
    assert!(missing.stderr.contains("--exec a: cannot start sh: "), "{}", missing.stderr);
    // A process that is left behind keeps the pipes open.
    let left = run("sleep 20 & echo hello", &[]);
    assert!(left.stderr.contains("--exec a: hello\n"), "{}", left.stderr);
    let flood = run("yes | head -c 1000000", &[]);
    assert!(flood.code == Some(0) && flood.stderr.len() < 100_000, "{}", flood.stderr.len());
}

#[test]
fn secrets_are_removed_unless_asked_for() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let script =
        r#"echo "endpoint $CFW_ENDPOINT token ${CFW_TOKEN-none} password ${OS_PASSWORD-none}""#;
    for (args, token, password) in
        [(&[][..], "none", "none"), (&["--exec-secrets"], sim.token(), "SENSITIVE")]
    {
        let mut command = exec_command(&sim, Path::new("/"), script, &[args, &["a"]].concat());
        let output = run({
            command.env("OS_PASSWORD", "SENSITIVE");
            command
        });
        let line = format!("endpoint {} token {token} password {password}\n", sim.endpoint());
        assert!(output.stderr.contains(&line), "{}", output.stderr);
    }
    let alone = run(wait_command(&sim, &["--exec-secrets", "a"]));
    assert_eq!(alone.code, Some(2), "{}", alone.stderr);
}

#[test]
fn at_most_eight_run_at_once() {
    let sim = simulator();
    let ids = sim.add_jobs(30, &JobScript::succeeds_after(ms(0)));
    let dir = Folder::new("exec-many");
    std::fs::create_dir(dir.0.join("running")).unwrap();
    let script = r#"
        mkdir "$DIR/running/$CFW_JOB_ID"
        ls "$DIR/running" | wc -l >"$DIR/$CFW_JOB_ID"
        sleep 0.1
        rmdir "$DIR/running/$CFW_JOB_ID"
    "#;
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let output = run(exec_command(&sim, &dir.0, script, &ids));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let counts: Vec<u32> = ids.iter().map(|id| read(&dir, id).trim().parse().unwrap()).collect();
    let most = counts.iter().max().unwrap();
    assert!((2..=8).contains(most), "{counts:?}");
}

#[test]
fn a_run_can_end_after_a_signal_that_ends_the_wait() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::never());
    let script = "sleep 1; echo done";
    let mut command = exec_command(&sim, Path::new("/"), script, &["a", "b"]);
    let mut child = Running::start(command.stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("a  Success after");
    child.interrupt();
    lines.until("--exec a: done");
    assert_eq!(child.code(), Some(130));
}

/// A command whose processes all hold a pipe open, and ignore what can be ignored.
const LONG: &str = r#"trap "" INT TERM HUP
exec 3>"$DIR/pipe"; echo started >&3; (sleep 40; echo survived >&3) & sleep 40"#;

fn make_pipe(dir: &Folder) -> PathBuf {
    let pipe = dir.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

#[test]
fn a_second_signal_kills_it_after_the_summary() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::never());
    let dir = Folder::new("exec-second-signal");
    let pipe = make_pipe(&dir);
    let mut command = exec_command(&sim, &dir.0, LONG, &["--output=json", "a", "b"]);
    let mut child = Running::start(command.stdout(Stdio::piped()));
    let lines = Lines::of(child.stdout());
    lines.until(r#""type":"ended""#);
    let written = Lines::of(std::fs::File::open(pipe).unwrap());
    written.until("started");
    child.signal(Signal::TERM);
    lines.until(r#""type":"summary""#);
    child.signal_until_ended(Signal::INT);
    assert_eq!(child.code(), Some(143), "the code of the first signal");
    assert_eq!(written.rest(), Vec::<String>::new());
}

#[test]
fn a_signal_stops_the_wait_for_it_and_kills_it() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let dir = Folder::new("exec-signal");
    let pipe = make_pipe(&dir);
    let mut command = exec_command(&sim, &dir.0, LONG, &["a"]);
    let mut child = Running::start(command.stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("Success after");
    let written = Lines::of(std::fs::File::open(pipe).unwrap());
    written.until("started");
    child.interrupt();
    lines.until("cfw-wait: --exec: stopped 1 run before the end");
    assert_eq!(child.code(), Some(0), "the job has succeeded");
    assert_eq!(written.rest(), Vec::<String>::new());
}

//! Jobs in files and as JSON, their ages, and looks at once.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cfw_simulator::{Fault, JobScript, Simulator};
use serde_json::Value;

use crate::support::{
    Folder, Lines, Running, add, bare_command, ms, parse_objects, read_all, run, simulator,
    wait_command,
};

/// A file in a folder of its own, removed at the end.
struct TempFile(PathBuf, #[expect(dead_code, reason = "it removes what is in it")] Folder);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let folder = Folder::new(name);
        let path = folder.file("ids");
        std::fs::write(&path, text).unwrap();
        Self(path, folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

/// Returns the command with the default intervals.
fn default_command(sim: &Simulator, args: &[&str]) -> Command {
    let mut command = bare_command(args);
    command
        .env("CFW_ENDPOINT", sim.endpoint())
        .env("CFW_PROJECT_ID", sim.project_id())
        .env("CFW_TOKEN", sim.token());
    command
}

fn end_of<'a>(objects: &'a [Value], id: &str) -> &'a Value {
    objects.iter().find(|object| object["type"] == "ended" && object["job_id"] == id).unwrap()
}

#[test]
fn ids_come_from_files_and_standard_input() {
    let sim = simulator();
    for id in ["a", "b", "c", "d"] {
        add(&sim, id, JobScript::succeeds_after(ms(0)));
    }
    let first = TempFile::new("ids-1", "\u{feff}# first\r\na\r\nb # two\r\n");
    let second = TempFile::new("ids-2", "{\"id\":\"c\"}");
    let args = ["--ids-file", first.path(), "--ids-file", second.path(), "--ids-file=-"];
    let mut command = wait_command(&sim, &args);
    let mut child = Running::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
    child.stdin().write_all(b"d").unwrap();
    let stderr = read_all(child.stderr());
    assert_eq!(child.code(), Some(0), "{stderr}");
    assert!(stderr.contains("4 jobs: 4 succeeded"), "{stderr}");
}

#[test]
fn a_named_pipe_without_a_writer_delays_nothing() {
    let sim = simulator();
    for id in ["a", "b"] {
        add(&sim, id, JobScript::succeeds_after(ms(0)));
    }
    let pipe = TempFile::new("pipe", "");
    std::fs::remove_file(pipe.path()).unwrap();
    assert!(Command::new("mkfifo").arg(pipe.path()).status().unwrap().success());
    let args = ["--heartbeat=100ms", "--ids-file", pipe.path(), "a"];
    let mut child = Running::start(wait_command(&sim, &args).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("a  Success after");
    let heartbeat = lines.until("waiting for ids");
    let place = format!("1 job: 1 succeeded; waiting for ids in {}", pipe.path());
    assert!(heartbeat.ends_with(&place), "{heartbeat}");
    std::fs::write(pipe.path(), "b\n").unwrap();
    lines.until("b  Success after");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn a_file_is_named_in_messages() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let file = TempFile::new("bad-ids", "a\nnull\n");
    let output = run(wait_command(&sim, &["--output=json", "--ids-file", file.path()]));
    assert_eq!(output.code, Some(2), "{output:?}");
    let message = format!("cfw-wait: line 2 of {}: invalid job id \"null\"", file.path());
    assert!(output.stderr.contains(&message), "{}", output.stderr);
    let objects = parse_objects(&output.stdout);
    let rejected = objects.iter().find(|object| object["type"] == "rejected").unwrap();
    assert_eq!((&rejected["file"], &rejected["line"]), (&file.path().into(), &2.into()));
    assert_eq!(end_of(&objects, "a")["outcome"], "succeeded");

    let empty = TempFile::new("no-ids", "# nothing yet\n");
    let output = run(wait_command(&sim, &["--ids-file", empty.path()]));
    let message = format!("cfw-wait: no job id in {}\n", empty.path());
    assert!(output.code == Some(2) && output.stderr.starts_with(&message), "{output:?}");

    for (path, problem) in [("/no/such/file", "No such file"), ("/", "is a directory")] {
        let output = run(wait_command(&sim, &["a", "--ids-file", path]));
        let message = format!("cfw-wait: --ids-file {path:?}: cannot be read: ");
        assert!(output.stderr.starts_with(&message), "{}", output.stderr);
        assert!(output.stderr.contains(problem), "{}", output.stderr);
        assert_eq!(output.code, Some(2));
    }
}

#[test]
fn an_object_sets_the_timeout_and_the_kind_of_its_job() {
    let sim = simulator();
    add(&sim, "slow", JobScript::never());
    add(&sim, "good", JobScript::succeeds_after(ms(600)));
    sim.fail_polls("slow", [Fault::unavailable()]);
    let lines = r#"
        {"id": "slow", "timeout": "300ms", "kind": "create-firewall"}
        {"id": "good", "kind": null}
    "#;
    let mut command = wait_command(&sim, &["--output=json", "--quiet", "-"]);
    let mut child = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdin().write_all(lines.as_bytes()).unwrap();
    let objects = parse_objects(&read_all(child.stdout()));
    assert_eq!(child.code(), Some(124));
    // Whether the trouble was that of the job depends on whether the other one was known.
    let is_of_slow = |object: &&Value| object["job_id"] == "slow" && object["type"] != "recovered";
    let slow: Vec<_> = objects.iter().filter(is_of_slow).collect();
    let types: Vec<_> = slow.iter().map(|object| object["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["trouble", "changed", "ended"]);
    assert!(slow.iter().all(|object| object["kind"] == "create-firewall"), "{slow:?}");
    assert_eq!(slow[2]["outcome"], "timed_out");
    let good = end_of(&objects, "good");
    assert_eq!((&good["outcome"], &good["kind"]), (&"succeeded".into(), &Value::Null));
}

#[test]
fn a_kind_is_that_of_one_wait() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let mut command = wait_command(&sim, &["--output=json", "--quiet", "-"]);
    let mut child = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut stdin = child.stdin();
    let lines = Lines::of(child.stdout());
    for (line, kind) in [("{\"id\":\"a\",\"kind\":\"x\"}", "x".into()), ("a", Value::Null)] {
        writeln!(stdin, "{line}").unwrap();
        let end = parse_objects(&lines.until(r#""type":"ended""#)).remove(0);
        assert_eq!(end["kind"], kind, "{end}");
    }
    drop(stdin);
    assert_eq!(child.code(), Some(0));
}

#[test]
fn an_old_job_is_polled_less_often() {
    let sim = simulator();
    for id in ["old", "new"] {
        add(&sim, id, JobScript::never());
    }
    let lines = b"{\"id\":\"old\",\"since\":\"1h\"}\n{\"id\":\"new\",\"since\":\"0s\"}\n";
    let args = ["--interval=50ms", "--min-interval=20ms", "--max-interval=1h", "--timeout=2s"];
    for (flags, lines) in [
        (&[][..], &lines[..]),
        (&["--since=1h"], b"old\n{\"id\":\"new\",\"since\":\"0s\"}\n"),
        (&["--since=2020-01-01T00:00:00Z"], b"old\n{\"id\":\"new\",\"since\":\"0s\"}\n"),
    ] {
        let args = [&args[..], &["--output=json", "--quiet", "-"], flags].concat();
        let mut command = default_command(&sim, &args);
        let mut child = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        child.stdin().write_all(lines).unwrap();
        let objects = parse_objects(&read_all(child.stdout()));
        assert_eq!(child.code(), Some(124));
        // One poll at once, and one before the deadline.
        assert_eq!(end_of(&objects, "old")["polls"], 2, "{flags:?}");
        assert!(end_of(&objects, "new")["polls"].as_u64().unwrap() > 3, "{flags:?}");
    }
}

#[test]
fn a_job_that_has_ended_is_known_at_once_unless_the_first_poll_is_delayed() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let elapsed = |args: &[&str]| {
        let args = [&["--output=json", "a"], args].concat();
        let output = run(default_command(&sim, &args));
        assert_eq!(output.code, Some(0), "{output:?}");
        end_of(&parse_objects(&output.stdout), "a")["elapsed_ms"].as_u64().unwrap()
    };
    assert!(elapsed(&["--interval=10m"]) < 60_000);
    // The first delay is between half of the interval and all of it.
    assert!(elapsed(&["--interval=1s", "--delay-first-poll"]) >= 500);
}

#[test]
fn a_timeout_of_zero_is_one_look() {
    let sim = simulator();
    add(&sim, "good", JobScript::succeeds_after(ms(0)));
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "slow", JobScript::never());
    add(&sim, "odd", JobScript::never().status_at(ms(0), "Preparing"));
    for (id, code, outcome) in [
        ("good", 0, "succeeded"),
        ("bad", 1, "failed"),
        ("slow", 124, "timed_out"),
        ("odd", 124, "timed_out"),
    ] {
        let output = run(wait_command(&sim, &["--timeout=0", "--output=json", id]));
        assert_eq!(output.code, Some(code), "{id}: {}", output.stderr);
        let objects = parse_objects(&output.stdout);
        let end = end_of(&objects, id);
        assert_eq!((&end["outcome"], &end["exit_code"]), (&outcome.into(), &code.into()));
        assert_eq!(end["polls"], 1, "{id}");
        let summary = objects.last().unwrap();
        assert_eq!(summary["unsuccessful"], u8::from(code != 0), "{summary}");
        assert_eq!((&summary["total"], &summary["unfinished"]), (&1.into(), &0.into()));
    }
    // The last poll before the deadline would come after nine seconds.
    let args = ["--timeout=0", "--delay-first-poll", "--interval=10m", "--output=json", "slow"];
    let output = run(default_command(&sim, &args));
    let elapsed = end_of(&parse_objects(&output.stdout), "slow")["elapsed_ms"].as_u64().unwrap();
    assert!(elapsed < 8_000, "a look is at once: {elapsed} ms");
    let lost = run(wait_command(&sim, &["--timeout=0s", "nowhere"]));
    assert_eq!((lost.code, sim.polls_of("nowhere").len()), (Some(4), 1), "{}", lost.stderr);
    let text = "nowhere  the one look did not find it: not found: CFW.00200005: Object not found";
    assert!(lost.stderr.contains(text), "{}", lost.stderr);
    let output = run(wait_command(&sim, &["--timeout=0", "slow", "good"]));
    assert!(output.stderr.contains("slow  still Running after "), "{}", output.stderr);
    assert!(
        output.stderr.contains(": timed out (1 poll, looked at once: --timeout 0)"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("2 jobs: 1 succeeded, 1 timed out"), "{}", output.stderr);
}

#[test]
fn a_look_is_one_poll_and_without_a_status_exit_code_3() {
    let busy = Fault::Throttled { retry_after: None, quota: None };
    for (fault, text) in [
        (Fault::unavailable(), "the one look got no status: APIGW.0610: No backend available"),
        (busy, "the one look got no status: throttled: APIGW.0308"),
        (Fault::Status(418), "the one look got no status: unexpected answer: HTTP 418"),
        (Fault::Hang, "the one look got no answer: timed out: no answer from 127.0.0.1:"),
        (Fault::Reset, "the one look got no answer: "),
    ] {
        // After an answer of another job as well, since the service counts as reached then.
        for is_reached in [false, true] {
            let sim = simulator();
            add(&sim, "good", JobScript::succeeds_after(ms(0)));
            add(&sim, "slow", JobScript::never());
            sim.fail_polls("slow", vec![fault.clone(); 1000]);
            let ids = if is_reached { &["good", "slow"][..] } else { &["slow"] };
            let args = [&["--timeout=0", "--attempt-timeout=300ms", "--output=json"], ids].concat();
            let output = run(wait_command(&sim, &args));
            assert_eq!(output.code, Some(3), "{fault:?}: {}", output.stderr);
            assert_eq!(sim.polls_of("slow").len(), 1, "{fault:?}: {}", output.stderr);
            assert!(output.stderr.contains(text), "{fault:?}: {}", output.stderr);
            assert!(!output.stderr.contains("still trying"), "{fault:?}: {}", output.stderr);
            let objects = parse_objects(&output.stdout);
            let end = end_of(&objects, "slow");
            assert_eq!((&end["outcome"], &end["exit_code"]), (&"unreachable".into(), &3.into()));
            assert!(end["message"].as_str().unwrap().starts_with("job slow: the one look got no "));
            assert!(end["error"].is_object(), "{end}");
            assert!(objects.iter().all(|object| object["type"] != "trouble"), "{objects:?}");
        }
    }
}

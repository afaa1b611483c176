//! Ids on standard input, closed streams, and output without a terminal.

use std::io::{BufRead as _, BufReader, Read as _, Write as _, pipe};
use std::process::Stdio;

use cfw_simulator::{Fault, JobScript};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::ioctl_fionread;

use crate::support::{
    Lines, Running, TIMEOUT, add, mask_text, ms, parse_objects, pause, read_all, run, simulator,
    wait_command,
};

#[test]
fn ids_are_read_during_the_wait() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    add(&sim, "b", JobScript::never());
    let mut child = Running::start(
        wait_command(&sim, &["--output=json", "--quiet", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let mut stdin = child.stdin();
    let lines = Lines::of(child.stdout());
    writeln!(stdin, "a").unwrap();
    lines.until(r#""job_id":"a""#);
    assert!(sim.finish("a"));
    lines.until(r#""type":"ended","job_id":"a""#);
    // All known jobs have ended, but standard input is open.
    writeln!(stdin, "\n  b  ").unwrap();
    lines.until(r#""job_id":"b""#);
    assert!(sim.finish("b"));
    lines.until(r#""type":"ended","job_id":"b""#);
    assert!(child.is_running(), "the pipe is still open");
    drop(stdin);
    let rest = parse_objects(&lines.rest().join("\n"));
    assert_eq!((rest.len(), &rest[0]["total"]), (1, &2.into()), "{rest:?}");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn ids_from_arguments_and_standard_input_are_combined() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(0)));
    let mut child = Running::start(
        wait_command(&sim, &["a", "-", "a"]).stdin(Stdio::piped()).stderr(Stdio::piped()),
    );
    let lines = Lines::of(child.stderr());
    child.stdin().write_all(b"b\n").unwrap();
    lines.until("2 jobs: 2 succeeded");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn a_bad_line_is_reported_with_exit_code_2() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(0)));
    let mut child = Running::start(
        wait_command(&sim, &["--output=json", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    child.stdin().write_all(b"a\nx/y\n\nb\n").unwrap();
    let (stdout, stderr) = (read_all(child.stdout()), read_all(child.stderr()));
    assert_eq!(child.code(), Some(2));
    let line = "cfw-wait: line 2 of standard input: invalid job id \"x/y\": holds a '/'\n";
    assert!(stderr.contains(line), "{stderr}");
    let objects = parse_objects(&stdout);
    let rejected = objects.iter().find(|object| object["type"] == "rejected").unwrap();
    assert_eq!(rejected["line"], 2);
    let summary = objects.last().unwrap();
    assert_eq!((&summary["succeeded"], &summary["rejected"]), (&2.into(), &1.into()));
}

#[test]
fn a_bad_line_moves_no_cursor() {
    let sim = simulator();
    for line in
        [r#"{"id":"a","\u001b[31mred\nx":1}"#, "{\"id\":\"a\",\"x\u{202e}y\":1}", "a\u{1b}[2Jb"]
    {
        let mut command = wait_command(&sim, &["--output=json", "-"]);
        let mut child = Running::start(
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()),
        );
        writeln!(child.stdin(), "{line}").unwrap();
        let (stdout, stderr) = (read_all(child.stdout()), read_all(child.stderr()));
        assert_eq!(child.code(), Some(2), "{stderr}");
        let text = format!("{stderr}{}", parse_objects(&stdout)[0]["message"]);
        let moves = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(moves), "{text:?}");
        let lines =
            stderr.lines().filter(|line| line.starts_with("cfw-wait: line 1 of standard input: "));
        assert_eq!((lines.count(), stderr.contains("\nx")), (1, false), "{stderr}");
    }
}

#[test]
fn lines_that_a_pipeline_makes_by_mistake_are_not_waited_for() {
    let sim = simulator();
    let mut child =
        Running::start(wait_command(&sim, &["-"]).stdin(Stdio::piped()).stderr(Stdio::piped()));
    child.stdin().write_all(b"# ids\nnull\n\"a\",\n[\na b\n").unwrap();
    let stderr = read_all(child.stderr());
    assert_eq!((child.code(), sim.counts().polls), (Some(2), 0));
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 5, "{stderr}");
    for (line, text) in [(0, "line 2 "), (0, "jq -er"), (1, "line 3 "), (1, "jq -r"), (3, "blank")]
    {
        assert!(lines[line].contains(text), "{text}: {stderr}");
    }
}

#[test]
fn bad_lines_beside_a_single_job_are_counted() {
    let sim = simulator();
    add(&sim, "a", JobScript::fails_after(ms(0)));
    let mut child = Running::start(
        wait_command(&sim, &["a", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()),
    );
    child.stdin().write_all(b"null\nx/y\n").unwrap();
    let stderr = read_all(child.stderr());
    assert_eq!(child.code(), Some(2), "{stderr}");
    assert!(stderr.contains("\n1 job: 1 failed, 2 bad lines ("), "{stderr}");
}

#[test]
fn empty_standard_input_is_a_usage_error() {
    let sim = simulator();
    let output = run(wait_command(&sim, &["-"]));
    assert_eq!(output.code, Some(2));
    assert!(
        output.stderr.starts_with("cfw-wait: no job id on standard input\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_interrupt_ends_the_wait_for_standard_input() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut child = Running::start(
        wait_command(&sim, &["--output=json", "--quiet", "a", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let _open = child.stdin();
    let lines = Lines::of(child.stdout());
    lines.until("Running");
    child.interrupt();
    let summary = lines.until("summary");
    assert_eq!(child.code(), Some(130));
    let summary = &parse_objects(&summary)[0];
    assert_eq!((&summary["reason"], &summary["exit_code"]), (&"interrupted".into(), &130.into()));
    assert_eq!(summary["unfinished"], 1);
}

#[test]
fn exit_code_141_if_standard_output_is_closed_while_jobs_are_unfinished() {
    for (quiet, stderr) in [
        (&["--quiet"][..], ""),
        (
            &[],
            "standard output was closed: 2 jobs: 2 running (N.Ns, N polls)\n\
               not finished: a (Running)\nnot finished: b (Running)\n",
        ),
    ] {
        let sim = simulator();
        add(&sim, "a", JobScript::never());
        add(&sim, "b", JobScript::never());
        let mut command = wait_command(&sim, &["--output=json", "a", "b"]);
        let mut child =
            Running::start(command.args(quiet).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut stdout = BufReader::new(child.stdout());
        for _ in 0..2 {
            stdout.read_line(&mut String::new()).unwrap();
        }
        drop(stdout);
        // The next line cannot be written.
        add(&sim, "a", JobScript::never().status_at(ms(0), "Preparing"));
        let text = read_all(child.stderr());
        assert_eq!(child.code(), Some(141), "{text}");
        let summary = text
            .split_once("standard output was")
            .map_or_else(String::new, |(_, rest)| format!("standard output was{rest}"));
        let summary = summary.replace("a (Preparing)", "a (Running)");
        assert_eq!(mask_text(&summary), stderr.replace("2 ", "N "), "{text}");
    }
}

#[test]
fn a_closed_standard_output_does_not_change_the_exit_code_of_jobs_that_have_ended() {
    let sim = simulator();
    add(&sim, "a", JobScript::fails_after(ms(300)));
    let mut child = Running::start(
        wait_command(&sim, &["--output=json", "--quiet", "a"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let mut stdout = BufReader::new(child.stdout());
    stdout.read_line(&mut String::new()).unwrap();
    // The change to Failed and the end cannot be written, and only the first of them is noticed.
    drop(stdout);
    let stderr = read_all(child.stderr());
    assert_eq!(child.code(), Some(1), "{stderr}");
    assert!(stderr.contains("a  failed"), "{stderr}");
}

#[test]
fn an_interrupt_takes_precedence_over_a_closed_standard_output() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut command = wait_command(&sim, &["--output=json", "--quiet", "a"]);
    let mut child = Running::start(command.stdout(Stdio::piped()));
    let mut reader = BufReader::new(child.stdout());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    child.interrupt();
    assert_eq!(child.code(), Some(130));
}

#[test]
fn a_slow_reader_of_a_non_blocking_pipe_loses_nothing() {
    // Together longer than a pipe, as text and as JSON.
    let ids: Vec<_> = (0..400).map(|n| format!("{n:0150}")).collect();
    let sim = simulator();
    ids.iter().for_each(|id| add(&sim, id, JobScript::succeeds_after(ms(0))));
    let ids = ids.iter().map(String::as_str);
    let args: Vec<_> = ["--rate=2000/s", "--output=json"].into_iter().chain(ids).collect();
    for is_stdout in [true, false] {
        let (mut reader, writer) = pipe().unwrap();
        let flags = fcntl_getfl(&writer).unwrap();
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
        let mut command = wait_command(&sim, &args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if is_stdout {
            command.stdout(writer)
        } else {
            command.stderr(writer)
        };
        let mut child = Running::start(&mut command);
        drop(command);
        for _ in 0..TIMEOUT.as_millis() / 10 {
            if ioctl_fionread(&reader).unwrap() > 60_000 || !child.is_running() {
                break;
            }
            pause(ms(10));
        }
        // The next writes find no room.
        pause(ms(100));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(child.code(), Some(0), "standard output: {is_stdout}");
        let last = if is_stdout { "\"type\":\"summary\"" } else { "400 jobs: 400 succeeded" };
        assert!(text.lines().last().unwrap().contains(last), "{}", text.lines().last().unwrap());
        let ends = if is_stdout { "\"type\":\"ended\"" } else { "  Success after " };
        assert_eq!(text.matches(ends).count(), 400, "standard output: {is_stdout}");
    }
}

#[test]
fn a_closed_standard_error_is_ignored() {
    let sim = simulator();
    add(&sim, "a", JobScript::fails_after(ms(150)));
    let mut child = Running::start(wait_command(&sim, &["a"]).stderr(Stdio::piped()));
    drop(child.stderr());
    assert_eq!(child.code(), Some(1));
}

#[test]
fn without_a_terminal_each_update_is_a_plain_line() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    sim.fail_polls("a", [Fault::unavailable()]);
    let mut child = Running::start(wait_command(&sim, &["a"]).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    let mut read = vec![lines.until("No backend"), lines.until("Running")];
    add(&sim, "a", JobScript::never().status_at(ms(0), "Preparing"));
    read.push(lines.until("Preparing"));
    sim.finish("a");
    read.extend(lines.rest());
    assert_eq!(child.code(), Some(0));
    assert_eq!(
        read.iter().map(|line| mask_text(line)).collect::<Vec<_>>(),
        [
            "[ N:N] a  APIGW.N: No backend available; still trying",
            "[ N:N] a  Running",
            "[ N:N] a  Running -> Preparing (a status not known here; still waiting)",
            "[ N:N] a  Success after N.Ns (N polls)",
        ]
    );
}

#[test]
fn quiet_prints_only_errors() {
    let sim = simulator();
    add(&sim, "good", JobScript::succeeds_after(ms(0)));
    add(&sim, "bad", JobScript::fails_after(ms(0)).error("CFW.1", "no"));
    let output = run(wait_command(&sim, &["--quiet", "good", "bad"]));
    assert_eq!(output.code, Some(1));
    let message = "[ N:N] bad  failed with status Failed after N.Ns (N poll): CFW.N: no\n";
    assert_eq!(mask_text(&output.stderr), message);
}

#[test]
fn verbose_logs_the_library_and_very_verbose_every_poll() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let once = run(wait_command(&sim, &["-v", "a"])).stderr;
    assert!(once.contains("cfw_waiter") && once.contains("job succeeded"), "{once}");
    assert!(!once.contains("polling"), "{once}");
    let twice = run(wait_command(&sim, &["-vv", "a"])).stderr;
    assert!(twice.contains("polling"), "{twice}");
    for line in twice.lines().filter(|line| !line.starts_with('[')) {
        assert!(line.contains(" cfw_"), "a line of another crate: {line}");
    }
}

//! Ids that arrive, readers that leave, and no terminal.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use cfw_simulator::{Fault, JobScript};

use crate::support::{Lines, Running, add, all, done, masked, ms, objects, simulator, waiting};

#[test]
fn ids_keep_coming_while_it_watches() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    add(&sim, "b", JobScript::never());
    let mut child = Running::start(
        waiting(&sim, &["--output=json", "--quiet", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let mut stdin = child.stdin();
    let lines = Lines::of(child.stdout());
    writeln!(stdin, "a").unwrap();
    lines.until(r#""job_id":"a""#);
    assert!(sim.finish("a"));
    lines.until(r#""type":"ended","job_id":"a""#);
    // All that is known has ended, yet there may be more.
    writeln!(stdin, "\n  b  ").unwrap();
    lines.until(r#""job_id":"b""#);
    assert!(sim.finish("b"));
    lines.until(r#""type":"ended","job_id":"b""#);
    assert!(child.is_running(), "the pipe is still open");
    drop(stdin);
    let rest = objects(&lines.rest().join("\n"));
    assert_eq!((rest.len(), &rest[0]["total"]), (1, &2.into()), "{rest:?}");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn ids_of_the_command_line_and_of_the_pipe_are_waited_for_together() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(0)));
    let mut child = Running::start(
        waiting(&sim, &["a", "-", "a"]).stdin(Stdio::piped()).stderr(Stdio::piped()),
    );
    let lines = Lines::of(child.stderr());
    child.stdin().write_all(b"b\n").unwrap();
    lines.until("2 jobs: 2 succeeded");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn a_bad_line_is_told_harms_no_other_and_makes_the_code_two() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(0)));
    let mut child = Running::start(
        waiting(&sim, &["--output=json", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    child.stdin().write_all(b"a\nx/y\n\nb\n").unwrap();
    let (stdout, told) = (all(child.stdout()), all(child.stderr()));
    assert_eq!(child.code(), Some(2));
    let line = "cfw-wait: line 2 of standard input: invalid job id \"x/y\": holds a '/'\n";
    assert!(told.contains(line), "{told}");
    let objects = objects(&stdout);
    let rejected = objects.iter().find(|object| object["type"] == "rejected").unwrap();
    assert_eq!(rejected["line"], 2);
    let summary = objects.last().unwrap();
    assert_eq!((&summary["succeeded"], &summary["rejected"]), (&2.into(), &1.into()));
}

#[test]
fn an_empty_pipe_is_a_wrong_call() {
    let sim = simulator();
    let done = done(waiting(&sim, &["-"]));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.starts_with("cfw-wait: no job id on standard input\n"), "{}", done.stderr);
}

#[test]
fn an_interrupt_ends_it_while_it_reads() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut child = Running::start(
        waiting(&sim, &["--output=json", "--quiet", "a", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let _open = child.stdin();
    let lines = Lines::of(child.stdout());
    lines.until("Running");
    child.interrupt();
    let summary = lines.until("summary");
    assert_eq!(child.code(), Some(130));
    let summary = &objects(&summary)[0];
    assert_eq!((&summary["reason"], &summary["exit_code"]), (&"interrupted".into(), &130.into()));
    assert_eq!(summary["unfinished"], 1);
}

#[test]
fn a_reader_who_leaves_is_no_error() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    add(&sim, "b", JobScript::never());
    let mut child = Running::start(
        waiting(&sim, &["--output=json", "--quiet", "a", "b"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    drop(child.stdout());
    // Its next line finds nobody; that the job failed is then nobody's business either.
    sim.fail("a");
    assert_eq!((all(child.stderr()), child.code()), (String::new(), Some(0)));
}

#[test]
fn an_interrupt_that_ends_the_reader_as_well_is_an_interrupt() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut command = waiting(&sim, &["--output=json", "--quiet", "a"]);
    let mut child = Running::start(command.stdout(Stdio::piped()));
    let mut reader = BufReader::new(child.stdout());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    child.interrupt();
    assert_eq!(child.code(), Some(130));
}

#[test]
fn nobody_at_standard_error_changes_nothing() {
    let sim = simulator();
    add(&sim, "a", JobScript::fails_after(ms(150)));
    let mut child = Running::start(waiting(&sim, &["a"]).stderr(Stdio::piped()));
    drop(child.stderr());
    assert_eq!(child.code(), Some(1));
}

#[test]
fn without_a_terminal_each_transition_is_a_plain_line() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    sim.fail_polls("a", [Fault::unavailable()]);
    let mut child = Running::start(waiting(&sim, &["a"]).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    let mut told = vec![lines.until("No backend"), lines.until("Running")];
    add(&sim, "a", JobScript::never().status_at(ms(0), "Preparing"));
    told.push(lines.until("Preparing"));
    sim.finish("a");
    told.extend(lines.rest());
    assert_eq!(child.code(), Some(0));
    assert_eq!(
        told.iter().map(|line| masked(line)).collect::<Vec<_>>(),
        [
            "[ N:N] a  transient failure: APIGW.N: No backend available. (request ID); waiting on",
            "[ N:N] a  Running",
            "[ N:N] a  Running -> Preparing (a status not known here; waiting on)",
            "[ N:N] a  Success after N.Ns (N polls)",
        ]
    );
}

#[test]
fn quiet_tells_only_what_went_wrong() {
    let sim = simulator();
    add(&sim, "good", JobScript::succeeds_after(ms(0)));
    add(&sim, "bad", JobScript::fails_after(ms(0)).error("CFW.1", "no"));
    let done = done(waiting(&sim, &["--quiet", "good", "bad"]));
    assert_eq!(done.code, Some(1));
    let told = "[ N:N] bad  failed with status Failed after N.Ns (N poll): CFW.N: no\n";
    assert_eq!(masked(&done.stderr), told);
}

#[test]
fn verbose_shows_what_the_library_does_and_very_verbose_every_poll() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let once = done(waiting(&sim, &["-v", "a"])).stderr;
    assert!(once.contains("cfw_waiter") && once.contains("job succeeded"), "{once}");
    assert!(!once.contains("polling"), "{once}");
    let twice = done(waiting(&sim, &["-vv", "a"])).stderr;
    assert!(twice.contains("polling"), "{twice}");
    for line in twice.lines().filter(|line| !line.starts_with('[')) {
        assert!(line.contains(" cfw_"), "a line of another crate: {line}");
    }
}

//! Exit codes.

use std::process::{Command, Stdio};

use cfw_simulator::{Fault, JobScript};

use crate::support::{
    Lines, Running, add, bare_command, mask_text, ms, parse_objects, run, simulator, wait_command,
};

#[test]
fn exit_code_0_if_all_jobs_succeed() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(100)));
    let output = run(wait_command(&sim, &["a", "b"]));
    assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output:?}");
}

#[test]
fn transient_faults_do_not_change_the_exit_code() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(50)));
    sim.fail_polls("a", [Fault::unavailable(), Fault::Reset, Fault::Busy]);
    assert_eq!(run(wait_command(&sim, &["a"])).code, Some(0));
}

#[test]
fn one_foreign_answer_amid_good_ones_does_not_change_the_exit_code() {
    for fault in Fault::foreign_client_errors() {
        let sim = simulator();
        add(&sim, "a", JobScript::succeeds_after(ms(0)));
        // A correct answer first.
        sim.fail_polls("a", [Fault::UnknownStatus, fault.clone()]);
        let output = run(wait_command(&sim, &["a"]));
        assert_eq!(output.code, Some(0), "{fault:?}: {}", output.stderr);
        assert_eq!(sim.polls_of("a").len(), 3, "{fault:?}");
    }
}

#[test]
fn the_wait_ends_at_once_if_nothing_good_was_heard_before_a_final_answer() {
    let not_published = Fault::gateway_code(404, "APIGW.0101", "The API does not exist");
    for fault in [Fault::Status(401), Fault::Status(405), not_published] {
        let sim = simulator();
        add(&sim, "a", JobScript::succeeds_after(ms(0)));
        sim.fail_polls("a", [fault.clone()]);
        let output = run(wait_command(&sim, &["a"]));
        assert_eq!(output.code, Some(3), "{fault:?}: {}", output.stderr);
        assert_eq!(sim.polls_of("a").len(), 1, "{fault:?}");
    }
}

#[test]
fn exit_code_1_after_too_many_failures_in_a_row() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    sim.fail_polls("a", vec![Fault::unavailable(); 20]);
    let output = run(wait_command(&sim, &["--max-failures=3", "--output=json", "a"]));
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let objects = parse_objects(&output.stdout);
    let ended = objects.iter().find(|object| object["type"] == "ended").unwrap();
    assert_eq!((&ended["outcome"], &ended["polls"]), (&"too_many_failures".into(), &3.into()));
    let text =
        "[ N:N] a  too many failures; given up after N.Ns (limit N failures in a row, N polls, ";
    let stderr = mask_text(&output.stderr);
    assert!(stderr.contains(text) && !stderr.contains("ms"), "{stderr}");
}

#[test]
fn failures_that_are_not_in_a_row_do_not_add_up() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let bad = Fault::unavailable;
    // An unknown status is a good answer.
    let faults = [bad(), bad(), Fault::UnknownStatus, bad(), bad(), Fault::UnknownStatus, bad()];
    sim.fail_polls("a", faults);
    let output = run(wait_command(&sim, &["--max-failures=3", "a"]));
    assert_eq!((output.code, sim.polls_of("a").len()), (Some(0), 8), "{}", output.stderr);
}

#[test]
fn an_attempt_that_takes_too_long_is_a_transient_failure() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    sim.fail_polls("a", [Fault::Hang]);
    let output = run(wait_command(&sim, &["--attempt-timeout=200ms", "--output=json", "a"]));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let objects = parse_objects(&output.stdout);
    let trouble = objects.iter().find(|object| object["type"] == "trouble").unwrap();
    assert!(trouble["elapsed_ms"].as_u64().unwrap() < 5_000, "{trouble}");
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// The command must say so wherever the limit stops it; without any to spare, it is exit code 3.
#[test]
fn exit_code_3_if_no_file_descriptor_is_left() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    // How many of these a libc and a runtime need differs. None is short of all, and the last is plenty.
    for limit in (4..40).chain([256]) {
        let mut command = Command::new("/bin/sh");
        let script = format!("ulimit -n {limit} && exec \"$@\"");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_cfw-wait"), "--timeout=1s", "a"]);
        command
            .env_clear()
            .stdin(Stdio::null())
            .env("CFW_ENDPOINT", sim.endpoint())
            .env("CFW_PROJECT_ID", sim.project_id())
            .env("CFW_TOKEN", sim.token());
        let output = run(command);
        let expected: &[i32] = match limit {
            ..8 => &[3],
            8..40 => &[0, 3, 124],
            _ => &[0],
        };
        // A panic would be exit code 101, or a signal.
        assert!(output.code.is_some_and(|code| expected.contains(&code)), "{limit}: {output:?}");
        if output.code == Some(3) {
            assert!(output.stderr.to_lowercase().contains("too many open files"), "{output:?}");
        }
    }
}

#[test]
fn exit_code_1_and_the_reason_if_a_job_fails() {
    let sim = simulator();
    add(&sim, "a", JobScript::fails_after(ms(0)).error("CFW.00600003", "no available flavor"));
    let output = run(wait_command(&sim, &["a"]));
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("CFW.00600003: no available flavor"), "{}", output.stderr);
}

#[test]
fn exit_code_3_if_the_credentials_are_refused() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    sim.revoke_tokens();
    let output = run(wait_command(&sim, &["a"]));
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.contains("credentials refused"), "{}", output.stderr);
    assert!(
        last_line(&output.stderr).starts_with("hint: renew the credentials"),
        "{}",
        output.stderr
    );
}

#[test]
fn the_last_line_says_what_to_do_and_once_for_all_jobs() {
    let sim = simulator();
    for id in ["a", "b"] {
        add(&sim, id, JobScript::never());
    }
    let hints = |args: &[&str]| {
        let stderr = run(wait_command(&sim, args)).stderr;
        let count = stderr.matches("hint: ").count();
        assert!(count == 0 || last_line(&stderr).starts_with("hint: "), "{stderr}");
        (count, last_line(&stderr).to_owned())
    };
    for ids in [&["a"][..], &["a", "b"]] {
        let (count, last) = hints(&[&["--timeout=200ms"], ids].concat());
        assert!(count == 1 && last.contains("with a longer --timeout"), "{last}");
        // One look was asked for, and `--quiet` keeps to the errors.
        assert_eq!(hints(&[&["--timeout=0"], ids].concat()).0, 0);
        assert_eq!(hints(&[&["--timeout=200ms", "--quiet"], ids].concat()).0, 0);
    }
    add(&sim, "c", JobScript::fails_after(ms(0)).error("CFW.00600003", "no available flavor"));
    assert_eq!(hints(&["c"]).0, 0, "the service gave the reason");
    let (_, last) = hints(&["--project-id", "another", "a"]);
    assert!(last.contains("check the endpoint, the project"), "{last}");
}

#[test]
fn exit_code_3_if_no_poll_can_succeed() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let output = run(wait_command(&sim, &["--project-id", "another", "a"]));
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.contains("APIGW.0302"), "{}", output.stderr);
}

#[test]
fn exit_code_3_if_the_service_is_never_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = format!("http://{address}");
    let run = |args: &[&str]| {
        let mut command = bare_command(&["--interval=50ms", "--min-interval=20ms", "a", "b"]);
        command.args(args).env("CFW_ENDPOINT", &endpoint).env("CFW_PROJECT_ID", "p");
        run({
            command.env("CFW_TOKEN", "t");
            command
        })
    };
    let cause = format!("cannot connect to {address}: ");
    for args in
        [&["--give-up-unreached=300ms", "--output=json"][..], &["--timeout=0", "--output=json"]]
    {
        let output = run(args);
        assert_eq!(output.code, Some(3), "{args:?}: {}", output.stderr);
        assert!(output.stderr.contains(&cause), "{args:?}: {}", output.stderr);
        let objects = parse_objects(&output.stdout);
        let ends: Vec<_> = objects.iter().filter(|object| object["type"] == "ended").collect();
        assert_eq!(ends.len(), 2, "{args:?}");
        assert!(ends.iter().all(|end| end["outcome"] == "unreachable"), "{ends:?}");
    }
    // Both waits end at the same time. The summary counts what was reported.
    let output = run(&["--give-up-unreached=300ms", "--fail-fast", "--output=json"]);
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    let objects = parse_objects(&output.stdout);
    let ends = objects.iter().filter(|object| object["type"] == "ended").count();
    assert_eq!(objects.last().unwrap()["unsuccessful"], ends);
    let output = run(&["--give-up-unreached=0", "--timeout=600ms"]);
    assert_eq!(output.code, Some(124), "no limit: {}", output.stderr);
}

#[test]
fn an_outage_is_waited_out_after_one_answer() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut command = wait_command(&sim, &["--give-up-unreached=100ms", "a"]);
    let mut child = Running::start(command.stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("Running");
    // They take at least the minimum interval of 20 ms each.
    sim.fail_polls("a", vec![Fault::Reset; 20]);
    sim.finish("a");
    lines.until("; still trying");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn exit_code_3_if_standard_output_cannot_be_written() {
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else {
        println!("skipped: this system has no /dev/full");
        return;
    };
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let mut command = wait_command(&sim, &["--output=json", "a"]);
    let mut child = Running::start(command.stdout(full).stderr(Stdio::piped()));
    let stderr = crate::support::read_all(child.stderr());
    assert_eq!(child.code(), Some(3), "{stderr}");
    assert!(stderr.contains("cfw-wait: standard output cannot be written: "), "{stderr}");
}

#[test]
fn what_answered_in_place_of_the_service_is_named() {
    for (fault, text) in [
        (Fault::Html(200), "a  HTTP 200: not JSON, but an HTML page"),
        (Fault::Redirect, "a  unexpected answer: HTTP 307: a redirect on the same host"),
        (Fault::WrongId, "a  HTTP 200: the answer is about another job (data.id); still trying"),
    ] {
        let sim = simulator();
        add(&sim, "a", JobScript::succeeds_after(ms(0)));
        sim.fail_polls("a", [Fault::UnknownStatus, fault.clone()]);
        let output = run(wait_command(&sim, &["a"]));
        assert_eq!(output.code, Some(0), "{fault:?}: {}", output.stderr);
        assert!(output.stderr.contains(text), "{fault:?}: {}", output.stderr);
    }
}

#[test]
fn exit_code_4_if_a_job_is_not_found_for_the_whole_grace() {
    let sim = simulator();
    let output = run(wait_command(&sim, &["--grace", "100ms", "nowhere"]));
    assert_eq!(output.code, Some(4));
    assert!(
        output.stderr.contains("nowhere  lost: the service does not know it"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_job_that_appears_within_the_grace_is_not_lost() {
    let sim = simulator();
    add(&sim, "late", JobScript::succeeds_after(ms(0)).appears_after(ms(300)));
    assert_eq!(run(wait_command(&sim, &["late"])).code, Some(0));
}

#[test]
fn exit_code_124_at_the_deadline() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let output = run(wait_command(&sim, &["--timeout", "500ms", "a"]));
    assert_eq!(output.code, Some(124));
    assert!(output.stderr.contains("a  still Running after"), "{}", output.stderr);
}

#[test]
fn exit_code_130_on_an_interrupt() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut child = Running::start(wait_command(&sim, &["a"]).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("Running");
    child.interrupt();
    assert_eq!(child.code(), Some(130));
    let summary = lines.rest().join("\n");
    assert!(summary.starts_with("interrupted: 1 job: 1 running ("), "{summary}");
    assert!(summary.ends_with("\nnot finished: a (Running)"), "{summary}");
}

#[test]
fn the_most_severe_end_gives_the_exit_code() {
    let sim = simulator();
    add(&sim, "good", JobScript::succeeds_after(ms(0)));
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "slow", JobScript::never());
    for (ids, code) in [
        (&["good", "slow"][..], 124),
        (&["good", "slow", "lost"], 4),
        (&["good", "slow", "lost", "bad"], 1),
    ] {
        let args = [&["--timeout=1s", "--grace=100ms"], ids].concat();
        let output = run(wait_command(&sim, &args));
        assert_eq!(output.code, Some(code), "{ids:?}: {}", output.stderr);
    }
    let output = run(wait_command(&sim, &["--timeout=300ms", "bad", "slow"]));
    let counts = "2 jobs: 1 failed, 1 timed out (";
    assert!(output.stderr.contains(counts), "{}", output.stderr);
}

#[test]
fn any_stops_at_the_first_success() {
    let sim = simulator();
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "good", JobScript::never());
    add(&sim, "slow", JobScript::never());
    let mut command = wait_command(&sim, &["--any", "bad", "good", "slow"]);
    let mut child = Running::start(command.stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("bad  failed");
    sim.finish("good");
    lines.until("3 jobs: 1 succeeded, 1 failed, 1 ");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn any_without_a_success_gives_the_most_severe_code() {
    let sim = simulator();
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "slow", JobScript::never());
    assert_eq!(run(wait_command(&sim, &["--any", "--timeout=300ms", "bad", "slow"])).code, Some(1));
}

#[test]
fn fail_fast_stops_at_the_first_failure_with_its_code() {
    let sim = simulator();
    add(&sim, "good", JobScript::succeeds_after(ms(0)));
    add(&sim, "slow", JobScript::never());
    let output = run(wait_command(&sim, &["--fail-fast", "--grace=0s", "good", "lost", "slow"]));
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(output.stderr.contains("not finished: slow (Running)"), "{}", output.stderr);
}

#[test]
fn the_demo_succeeds_although_one_of_its_jobs_fails() {
    // The demo takes nine seconds, in which other tests run, and little CPU time.
    let output = run(bare_command(&["demo", "--output=json"]));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let objects = parse_objects(&output.stdout);
    let summary = objects.last().unwrap();
    assert_eq!(summary["exit_code"], 0);
    assert_eq!((&summary["succeeded"], &summary["unsuccessful"]), (&6.into(), &1.into()));
    let polls = &summary["polls"];
    for trouble in ["transient", "throttled", "not_found"] {
        assert!(polls[trouble].as_u64().unwrap() > 0, "{summary}");
    }
    assert!(summary["elapsed_ms"].as_u64().unwrap() < 15_000, "{summary}");
}

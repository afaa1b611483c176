//! The exit code says how it came out.

use std::process::Stdio;

use cfw_simulator::{Fault, JobScript};

use crate::support::{Lines, Running, add, bare, done, ms, objects, simulator, waiting};

#[test]
fn zero_when_all_succeeded() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(100)));
    let done = done(waiting(&sim, &["a", "b"]));
    assert_eq!((done.code, &*done.stdout), (Some(0), ""), "{done:?}");
}

#[test]
fn faults_that_pass_do_not_count() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(50)));
    sim.fail_polls("a", [Fault::unavailable(), Fault::Reset, Fault::Busy]);
    assert_eq!(done(waiting(&sim, &["a"])).code, Some(0));
}

#[test]
fn one_when_a_job_failed_and_the_reason_is_told() {
    let sim = simulator();
    add(&sim, "a", JobScript::fails_after(ms(0)).error("CFW.00600003", "no available flavor"));
    let done = done(waiting(&sim, &["a"]));
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("CFW.00600003: no available flavor"), "{}", done.stderr);
}

#[test]
fn three_when_the_credentials_are_refused() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    sim.revoke_tokens();
    let done = done(waiting(&sim, &["a"]));
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("credentials refused"), "{}", done.stderr);
}

#[test]
fn three_when_no_poll_can_succeed() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let done = done(waiting(&sim, &["--project-id", "another", "a"]));
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("APIGW.0302"), "{}", done.stderr);
}

#[test]
fn four_when_a_job_is_not_found_for_the_whole_grace() {
    let sim = simulator();
    let done = done(waiting(&sim, &["--grace", "100ms", "nowhere"]));
    assert_eq!(done.code, Some(4));
    assert!(done.stderr.contains("nowhere  lost: the service does not know it"), "{}", done.stderr);
}

#[test]
fn a_job_that_appears_within_the_grace_is_not_lost() {
    let sim = simulator();
    add(&sim, "late", JobScript::succeeds_after(ms(0)).appears_after(ms(300)));
    assert_eq!(done(waiting(&sim, &["late"])).code, Some(0));
}

#[test]
fn one_hundred_and_twenty_four_at_the_deadline() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let done = done(waiting(&sim, &["--timeout", "500ms", "a"]));
    assert_eq!(done.code, Some(124));
    assert!(done.stderr.contains("a  still Running after"), "{}", done.stderr);
}

#[test]
fn one_hundred_and_thirty_when_interrupted() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut child = Running::start(waiting(&sim, &["a"]).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("Running");
    child.interrupt();
    assert_eq!(child.code(), Some(130));
    let told = lines.rest().join("\n");
    assert!(told.starts_with("interrupted: 1 job: 1 running ("), "{told}");
    assert!(told.ends_with("\nnot finished: a (Running)"), "{told}");
}

#[test]
fn the_worst_of_all_ends_counts() {
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
        let done = done(waiting(&sim, &args));
        assert_eq!(done.code, Some(code), "{ids:?}: {}", done.stderr);
    }
}

#[test]
fn any_is_content_with_one_success_and_stops_there() {
    let sim = simulator();
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "good", JobScript::never());
    add(&sim, "slow", JobScript::never());
    let mut command = waiting(&sim, &["--any", "bad", "good", "slow"]);
    let mut child = Running::start(command.stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("bad  failed");
    sim.finish("good");
    lines.until("3 jobs: 1 succeeded, 1 did not, 1 ");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn any_without_a_success_has_the_worst_code() {
    let sim = simulator();
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "slow", JobScript::never());
    assert_eq!(done(waiting(&sim, &["--any", "--timeout=300ms", "bad", "slow"])).code, Some(1));
}

#[test]
fn fail_fast_stops_at_the_first_that_does_not_succeed_and_has_its_code() {
    let sim = simulator();
    add(&sim, "good", JobScript::succeeds_after(ms(0)));
    add(&sim, "slow", JobScript::never());
    let done = done(waiting(&sim, &["--fail-fast", "--grace=0s", "good", "lost", "slow"]));
    assert_eq!(done.code, Some(4), "{}", done.stderr);
    assert!(done.stderr.contains("not finished: slow (Running)"), "{}", done.stderr);
}

#[test]
fn the_demo_ends_well_although_one_of_its_jobs_fails() {
    // Other tests run beside it: it lasts nine seconds and costs nothing.
    let done = done(bare(&["demo", "--output=json"]));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let objects = objects(&done.stdout);
    let summary = objects.last().unwrap();
    assert_eq!(summary["exit_code"], 0);
    assert_eq!((&summary["succeeded"], &summary["unsuccessful"]), (&6.into(), &1.into()));
    let polls = &summary["polls"];
    for trouble in ["transient", "throttled", "not_found"] {
        assert!(polls[trouble].as_u64().unwrap() > 0, "{summary}");
    }
    assert!(summary["elapsed_ms"].as_u64().unwrap() < 15_000, "{summary}");
}

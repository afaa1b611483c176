//! Trouble and its end, and the heartbeat of a silent run.

use std::process::Stdio;

use cfw_simulator::{Fault, JobScript};

use crate::support::{
    Lines, Running, add, mask_text, ms, parse_objects, run, simulator, wait_command,
};

#[test]
fn an_outage_of_many_jobs_is_one_object_and_one_line_and_so_is_its_end() {
    let sim = simulator();
    let ids = sim.add_jobs(60, &JobScript::never());
    let mut args = vec!["--output=json", "--rate=5000/s"];
    args.extend(ids.iter().map(String::as_str));
    let mut child =
        Running::start(wait_command(&sim, &args).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (objects, lines) = (Lines::of(child.stdout()), Lines::of(child.stderr()));
    for _ in 0..60 {
        objects.until("Running");
    }
    sim.fail_during(ms(0).., Fault::unavailable());
    let trouble = objects.until(r#""type":"trouble""#);
    let text = lines.until("still trying");
    let polls = sim.counts().polls;
    while sim.counts().polls < polls + 100 {
        std::thread::yield_now();
    }
    sim.clear_faults();
    let recovered = objects.until("type");
    assert!(recovered.contains(r#""type":"recovered""#), "{recovered}");
    let end = lines.until("");
    ids.iter().for_each(|id| assert!(sim.finish(id)));
    let rest = objects.rest();
    assert_eq!(child.code(), Some(0));
    assert!(!rest.iter().any(|line| line.contains("trouble") || line.contains("recovered")));
    let [trouble, recovered] = [trouble, recovered].map(|line| parse_objects(&line).remove(0));
    assert_eq!((&trouble["scope"], &trouble["jobs"]), (&"service".into(), &60.into()));
    assert_eq!(trouble["error"]["class"], "transient");
    assert!(ids.iter().any(|id| trouble["job_id"] == **id));
    assert_eq!((&recovered["scope"], &recovered["jobs"]), (&"service".into(), &60.into()));
    assert!(recovered["failed_polls"].as_u64().unwrap() > 60, "{recovered}");
    assert!(recovered["lasted_ms"].is_u64() && recovered["job_id"].is_null());
    assert_eq!(mask_text(&text), "[ N:N] N jobs  APIGW.N: No backend available; still trying");
    assert_eq!(mask_text(&end), "[ N:N] N jobs  polls succeed again after N.Ns (N polls failed)");
}

#[test]
fn without_a_terminal_a_line_says_now_and_then_how_the_run_stands() {
    let sim = simulator();
    for id in ["a", "b", "c"] {
        add(&sim, id, JobScript::never());
    }
    let args = ["--heartbeat=300ms", "a", "b"];
    let mut child = Running::start(wait_command(&sim, &args).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    for _ in 0..2 {
        let line = mask_text(&lines.until("longest"));
        let rest = line.strip_prefix("[ N:N] N jobs: N running; longest a for N.Ns; ");
        // `mask_text` makes no difference between a poll and the time until it.
        assert!(rest.is_some_and(|rest| rest.starts_with("next poll in N")), "{line}");
    }
    drop(child);

    sim.fail_polls("c", vec![Fault::unavailable(); 1000]);
    let mut child =
        Running::start(wait_command(&sim, &["--heartbeat=200ms", "c"]).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    let heartbeat = mask_text(&lines.until("; trouble"));
    assert!(heartbeat.starts_with("[ N:N] N job: N without a status; c for N.Ns; "), "{heartbeat}");
    let trouble = "; trouble for N.Ns: APIGW.N: No backend available";
    assert!(heartbeat.ends_with(trouble), "{heartbeat}");
}

#[test]
fn heartbeats_can_be_turned_off_and_are_not_for_quiet() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    for args in [&["--heartbeat=0"][..], &["--heartbeat=100ms", "--quiet"], &[]] {
        let args = [args, &["--timeout=900ms", "a"]].concat();
        let output = run(wait_command(&sim, &args));
        assert_eq!(output.code, Some(124));
        assert!(!output.stderr.contains("1 job: "), "{args:?}: {}", output.stderr);
    }
    let args = ["--heartbeat=100ms", "--timeout=900ms", "a"];
    let stderr = run(wait_command(&sim, &args)).stderr;
    assert!(stderr.contains("1 job: 1 running"), "{stderr}");
    let mut command = wait_command(&sim, &["--heartbeat=100ms", "-"]);
    let mut child = Running::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
    let _open = child.stdin();
    let line = Lines::of(child.stderr()).until("jobs");
    assert_eq!(mask_text(&line), "[ N:N] N jobs; waiting for ids on standard input");
}

//! `--output json`: one object per update, and a summary at the end.

use std::process::Stdio;

use cfw_simulator::{Fault, JobScript};
use expect_test::expect;
use serde_json::Value;

use crate::support::{
    Lines, Running, add, mask_text, ms, parse_objects, run, simulator, wait_command,
};

/// Masks the values that differ between runs.
fn mask_objects(stdout: &str) -> String {
    let mut text = String::new();
    for mut object in parse_objects(stdout) {
        mask(&mut object);
        text.push_str(&object.to_string());
        text.push('\n');
    }
    text
}

fn mask(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    // Missing if the server's `Date`, in whole seconds, is too coarse for it.
    fields.remove("mean_lag_ms");
    for (name, value) in fields {
        match (name.as_str(), &value) {
            ("time" | "begin_time" | "end_time", Value::String(time)) => {
                time.parse::<jiff::Timestamp>().unwrap();
                *value = "TIME".into();
            }
            ("request_id", _) => *value = "ID".into(),
            ("message", Value::String(text)) => *value = mask_text(text).into(),
            ("polls", Value::Number(_)) => *value = "N".into(),
            (_, Value::Number(_)) if name.ends_with("_ms") => {
                *value = "N".into();
            }
            _ => mask(value),
        }
    }
}

#[test]
fn a_job_that_succeeds() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut command = wait_command(&sim, &["--output=json", "a"]);
    let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let lines = Lines::of(child.stdout());
    let first = lines.until("Running");
    sim.finish("a");
    let mut masked = mask_objects(&[vec![first], lines.rest()].concat().join("\n"));
    assert_eq!(child.code(), Some(0));
    // The number of polls depends on the machine.
    let at = masked.rfind("\"polls\":{").unwrap();
    let end = masked.rfind("\"reason\"").unwrap();
    masked.replace_range(at..end, "");
    expect![[r#"
        {"begin_time":"TIME","elapsed_ms":"N","from":null,"job_id":"a","phase":"running","status":"Running","time":"TIME","type":"changed","v":1}
        {"begin_time":"TIME","elapsed_ms":"N","end_time":"TIME","from":"Running","job_id":"a","phase":"succeeded","status":"Success","time":"TIME","type":"changed","v":1}
        {"elapsed_ms":"N","exit_code":0,"job_id":"a","outcome":"succeeded","polls":"N","status":"Success","time":"TIME","type":"ended","v":1}
        {"elapsed_ms":"N","exit_code":0,"reason":"all_ended","rejected":0,"succeeded":1,"time":"TIME","total":1,"type":"summary","unfinished":0,"unsuccessful":0,"v":1}
    "#]]
    .assert_eq(&masked);
}

#[test]
fn a_job_that_fails_after_trouble() {
    let sim = simulator();
    add(&sim, "a", JobScript::fails_after(ms(0)).error("CFW.00600003", "no available flavor"));
    sim.fail_polls("a", [Fault::unavailable()]);
    let output = run(wait_command(&sim, &["--output=json", "--quiet", "a"]));
    assert_eq!(output.code, Some(1));
    expect![[r#"
        {"elapsed_ms":"N","error":{"class":"transient","error_code":"APIGW.0610","error_msg":"No backend available.","message":"transient failure: APIGW.N: No backend available. (request ID)","request_id":"ID"},"job_id":"a","jobs":1,"scope":"service","time":"TIME","type":"trouble","v":1}
        {"failed_polls":1,"jobs":0,"lasted_ms":"N","scope":"service","time":"TIME","type":"recovered","v":1}
        {"begin_time":"TIME","detail":"CFW.00600003: no available flavor","elapsed_ms":"N","end_time":"TIME","from":null,"job_id":"a","phase":"failed","status":"Failed","time":"TIME","type":"changed","v":1}
        {"detail":"CFW.00600003: no available flavor","elapsed_ms":"N","exit_code":1,"job_id":"a","message":"job a failed with status Failed after N.Ns (N polls): CFW.N: no available flavor","outcome":"failed","polls":"N","status":"Failed","time":"TIME","type":"ended","v":1}
        {"elapsed_ms":"N","exit_code":1,"polls":{"answered":1,"not_found":0,"paused_ms":"N","throttled":0,"total":2,"transient":1},"reason":"all_ended","rejected":0,"succeeded":0,"time":"TIME","total":1,"type":"summary","unfinished":0,"unsuccessful":1,"v":1}
    "#]].assert_eq(&mask_objects(&output.stdout));
}

#[test]
fn updates_of_many_jobs_are_lines_before_the_summary() {
    let sim = simulator();
    sim.fail_randomly(0.1, Fault::transient());
    let ids = sim.add_jobs(40, &JobScript::random(ms(200)).failure_share(0.3));
    let mut args = vec!["--output=json"];
    args.extend(ids.iter().map(String::as_str));
    let output = run(wait_command(&sim, &args));
    let objects = parse_objects(&output.stdout);
    let (summary, updates) = objects.split_last().unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(Some(summary["exit_code"].as_i64().unwrap()), output.code.map(i64::from));
    for object in &objects {
        assert_eq!(object["v"], 1);
        object["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    for id in &ids {
        let of_job: Vec<_> = updates.iter().filter(|update| update["job_id"] == **id).collect();
        let kinds: Vec<_> = of_job.iter().map(|update| update["type"].as_str().unwrap()).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == "ended").count(), 1, "{id}: {kinds:?}");
        assert_eq!(kinds.last(), Some(&"ended"), "{id}: {kinds:?}");
        let changes = of_job.iter().filter(|update| update["type"] == "changed");
        let mut known = &Value::Null;
        for change in changes {
            assert_eq!(&change["from"], known, "{id}");
            known = &change["status"];
        }
        assert_eq!(of_job.last().unwrap()["status"], *known, "{id}");
    }
    let ended = |outcome| updates.iter().filter(|update| update["outcome"] == outcome).count();
    assert_eq!(summary["succeeded"], ended("succeeded"));
    assert_eq!(summary["unsuccessful"], ended("failed"));
    assert_eq!(summary["total"], 40);
    assert!(output.stderr.contains("40 jobs: "), "text on standard error, too");
}

#[test]
fn text_output_leaves_standard_output_empty() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(60)));
    let output = run(wait_command(&sim, &["a"]));
    assert_eq!((output.code, &*output.stdout), (Some(0), ""));
}

#[test]
fn a_deadline_says_what_held_the_wait_up() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    sim.fail_polls("a", vec![Fault::Hang; 9]);
    let output = run(wait_command(&sim, &["--output=json", "--timeout=600ms", "a"]));
    assert_eq!(output.code, Some(124), "{}", output.stderr);
    let objects = parse_objects(&output.stdout);
    let ended = objects.iter().find(|object| object["type"] == "ended").unwrap();
    let waiting_on = &ended["waiting_on"];
    assert_eq!(waiting_on["what"], "answer");
    assert!(waiting_on["lasted_ms"].as_u64().is_some_and(|lasted| lasted > 0), "{waiting_on}");
    let held_up = "timed out (1 poll, unanswered for ";
    assert!(output.stderr.contains(held_up), "{}", output.stderr);
}

#[test]
fn the_recap_names_what_held_polls_up() {
    let sim = simulator();
    for id in ["a", "b", "c"] {
        add(&sim, id, JobScript::never());
    }
    let output = run(wait_command(&sim, &["--rate=1/h", "--timeout=600ms", "a", "b"]));
    assert_eq!(output.code, Some(124), "{}", output.stderr);
    let text = mask_text(&output.stderr);
    for recap in [
        "timed out: a (still Running; the next poll held back for N.Ns by the set rate)",
        "timed out: b (without any status; the next poll held back for N.Ns by the set rate)",
    ] {
        assert!(text.lines().any(|line| line == recap), "{text}");
    }
    sim.fail_polls("c", vec![Fault::Hang; 9]);
    let output = run(wait_command(&sim, &["--timeout=600ms", "a", "c"]));
    let recap = "timed out: c (without any status; the last poll unanswered for N.Ns)";
    let text = mask_text(&output.stderr);
    assert!(text.lines().any(|line| line == recap), "{text}");
}

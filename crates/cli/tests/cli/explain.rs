//! What `cfw-wait explain` says of past jobs, and whether waits do it.

use std::fs;

use cfw_simulator::JobScript;
use serde_json::Value;

use crate::estimates::Past;
use crate::support::*;

/// Explains the kind "create" of past jobs. Returns what is printed.
fn explain(past: &Past, args: &[&str]) -> String {
    let mut command = bare_command(&["explain", "create", "--history"]);
    command.arg(&past.0).args(args);
    let output = run(command);
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{output:?}");
    output.stdout
}

#[test]
fn a_kind_is_explained_as_text_json_and_svg() {
    let past = Past::new("explain", 90.0);
    let explain = |args: &[&str]| explain(&past, args);
    let text = explain(&[]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("create: 20 jobs in "), "{text}");
    for (label, value) in [
        ("durations ", "half within 1m 4"),
        ("first polls ", "at once, then at 1m 00"),
        ("else ", "at once, then at 1.0s, 2.5s, 4.8s, 8.1s, 13.2s, .."),
        ("a job costs ", " polls, and its end is noticed after "),
        ("schedule in use ", "the learned one"),
        ("account ", "1m 10s of 5m 50s may be lost in all"),
        ("                  a job can lose ", "s"),
    ] {
        let line = lines.iter().find(|line| line.starts_with(label)).expect(label);
        assert!(line.contains(value), "{line}");
    }
    let dear = explain(&["--poll-cost=20s"]);
    assert!(dear.contains("a poll counts as 20.0s") && dear != text, "{dear}");
    let json: Value = serde_json::from_str(&explain(&["--output=json"])).unwrap();
    assert_eq!((&json["v"], &json["type"]), (&1.into(), &"explanation".into()));
    assert_eq!((&json["past_jobs"], &json["learned"]), (&20.into(), &true.into()));
    assert!(json["expected"]["cost_ms"].as_u64() < json["expected_fallback"]["cost_ms"].as_u64());
    assert_eq!(json["account"]["balance_ms"], 70_000);
    let polls_ms = ["polls_ms", "fallback_polls_ms"].map(|name| &json[name]);
    assert_eq!(polls_ms.map(|polls| &polls[0]), [0, 0], "{json}");
    assert_eq!((&polls_ms[1][1], &polls_ms[1][2]), (&1_000.into(), &2_500.into()), "{json}");
    let svg = explain(&["--output=svg"]);
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    let polls = json["polls_ms"].as_array().unwrap().len();
    assert_eq!(svg.matches("<circle ").count(), polls, "{svg}");
    for text in ["create: 20 jobs", "polls without past jobs", "ends of past jobs", "<polyline "] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
}

#[test]
fn an_explanation_says_why_the_schedule_is_not_learned_and_counts_unfinished_jobs() {
    let past = Past::new("lost", 90.0);
    let text = fs::read_to_string(&past.0).unwrap();
    let account = "{\"poll_cost\":1.0,\"saved\":-69.0,\"ceiling\":null}";
    let more = format!(",{{\"seconds\":5.0,\"at_least\":true}}],\"accounts\":[{account}]}}");
    fs::write(&past.0, text.replacen("]}", &more, 1)).unwrap();
    let explain = |args: &[&str]| explain(&past, args);
    let text = explain(&[]);
    for line in [
        "                  1 job ran on after its wait; it counts as longer\n",
        "schedule in use   the one without past jobs: the worst loss exceeds the account\n",
        "account           1.0s of 5m 50s may be lost in all\n                  a job can lose ",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let debt = fs::read_to_string(&past.0).unwrap().replace("-69.0", "-500.0");
    let debt_file = past.0.with_extension("debt");
    fs::write(&debt_file, debt).unwrap();
    let mut command = bare_command(&["explain", "create", "--history"]);
    command.arg(&debt_file);
    let output = run(command);
    let debt = "account           7m 10s in debt, which jobs have to save before any may lose\n";
    assert!(output.stdout.contains(debt), "{}", output.stdout);
    for text in [&text, &output.stdout] {
        assert!(text.lines().skip(1).all(|line| line.len() <= 80), "{text}");
    }
    let json: Value = serde_json::from_str(&explain(&["--output=json"])).unwrap();
    assert_eq!((&json["past_jobs"], &json["unfinished"]), (&20.into(), &1.into()));
    assert_eq!((&json["learned"], &json["account"]["balance_ms"]), (&false.into(), &1_000.into()));
    assert_eq!(json["polls_ms"], json["fallback_polls_ms"]);
    let svg = explain(&["--output=svg"]);
    assert!(svg.contains(">polls (not learned)<"), "{svg}");
    // The curve begins at the top, where all jobs are running.
    assert!(svg.contains("<polyline points=\"150.0,56.0 "), "{svg}");
    assert_eq!(svg.matches("stroke=\"#15803d\"").count(), 20, "those that ended: {svg}");
}

#[test]
fn an_explanation_counts_the_poll_with_which_a_wait_begins() {
    let past = Past::new("begin", 90.0);
    let explain = |args: &[&str]| -> Value {
        let mut command = bare_command(&["explain", "create", "--output=json", "--history"]);
        command.arg(&past.0).args(args);
        serde_json::from_str(&run(command).stdout).unwrap()
    };
    let cost = |json: &Value, name: &str| {
        let [polls, lag, cost] = ["polls", "lag_ms", "cost_ms"].map(|n| json[name][n].as_f64());
        let expected = lag.unwrap() + 1e3 * polls.unwrap();
        assert!((cost.unwrap() - expected).abs() < 10.0, "{json}");
        polls.unwrap()
    };
    let (at_once, delayed) = (explain(&[]), explain(&["--delay-first-poll"]));
    let is = |json: &Value, polls: [Option<u64>; 2]| {
        let found = ["polls_ms", "fallback_polls_ms"].map(|name| json[name][0].as_u64());
        assert_eq!(found, polls, "{json}");
    };
    is(&at_once, [Some(0), Some(0)]);
    // The service has not answered yet: a wrong id is noticed as soon as without past jobs.
    is(&delayed, [Some(1_000), Some(1_000)]);
    assert_eq!(at_once["polls_ms"][1], delayed["polls_ms"][1]);
    assert!((cost(&at_once, "expected") - cost(&delayed, "expected")).abs() < 0.01);
    let fewer = cost(&at_once, "expected_fallback") - cost(&delayed, "expected_fallback");
    assert!((fewer - 1.0).abs() < 0.01, "{delayed}");
    // Without a learned schedule, the first poll is one of the others.
    let without = explain(&["--delay-first-poll", "--interval=1h"]);
    assert_eq!(without["learned"], false);
    assert_eq!(without["polls_ms"], without["fallback_polls_ms"]);
    assert_eq!(without["expected"], without["expected_fallback"]);
    // What the plan would have polled before is left out.
    let late = explain(&["--delay-first-poll", "--interval=95s", "--poll-cost=20s"]);
    let polls: Vec<_> = late["polls_ms"].as_array().unwrap().iter().map(Value::as_u64).collect();
    assert!(late["learned"] == true && polls.is_sorted(), "{late}");
    assert_eq!(polls[0], Some(95_000), "{late}");
}

#[test]
fn a_wait_polls_as_often_as_its_explanation_says() {
    let (sim, past) = (simulator(), Past::new("polls", 1.0));
    let flags = ["--interval=50ms", "--min-interval=20ms", "--poll-cost=50ms"];
    let jobs = fs::read(&past.0).unwrap();
    for delay in [&[][..], &["--delay-first-poll"]] {
        let mut command = bare_command(&["explain", "create", "--output=json", "--history"]);
        command.arg(&past.0).args(flags).args(delay);
        let json: Value = serde_json::from_str(&run(command).stdout).unwrap();
        let polls: Vec<_> = json["polls_ms"].as_array().unwrap().iter().collect();
        // The second poll comes more than a second after the first, and later than the job ends.
        assert!(polls[0].as_u64() < Some(100) && polls[1].as_u64() > Some(1_000), "{polls:?}");
        let is_as_said = |n: usize| {
            let id = format!("job-{}-{n}", delay.len());
            add(&sim, &id, JobScript::succeeds_after(ms(800)));
            let mut command = bare_command(&flags);
            command.env("CFW_ENDPOINT", sim.endpoint()).env("CFW_PROJECT_ID", sim.project_id());
            command.env("CFW_TOKEN", sim.token()).arg("--history").arg(&past.0);
            command.args(delay).args(["--kind=create", &id]);
            assert_eq!(run(command).code, Some(0));
            // Without what was learnt of this one.
            fs::write(&past.0, &jobs).unwrap();
            let made = sim.polls_of(&id).len();
            assert!(made <= 2, "{made}");
            made == 2
        };
        // The job has ended before the first poll if the machine takes that long to start the command.
        assert!((0..10).any(is_as_said), "{delay:?}");
    }
}

#[test]
fn an_explanation_keeps_to_the_intervals_of_the_flags() {
    let past = Past::new("intervals", 90.0);
    let polls = |args: &[&str]| -> Vec<u64> {
        let mut command = bare_command(&["explain", "create", "--output=json", "--history"]);
        command.arg(&past.0).args(args);
        let json: Value = serde_json::from_str(&run(command).stdout).unwrap();
        assert!(json["p50_ms"].as_u64() < json["p90_ms"].as_u64(), "{json}");
        assert!(json["p90_ms"].as_u64() < json["p95_ms"].as_u64(), "{json}");
        json["polls_ms"].as_array().unwrap().iter().map(|poll| poll.as_u64().unwrap()).collect()
    };
    let delays = |polls: &[u64]| polls.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
    let dense = polls(&["--max-interval=9s"]);
    assert!(delays(&dense).iter().all(|delay| *delay <= 9_001), "{dense:?}");
    let sparse = polls(&["--interval=13s", "--min-interval=13s"]);
    assert!(delays(&sparse).iter().all(|delay| *delay >= 12_999), "{sparse:?}");
    let usual = polls(&[]);
    assert!(delays(&usual).iter().any(|delay| *delay < 13_000));
    // A longest delay below the default first one is the first, too.
    assert_eq!(polls(&["--max-interval=700ms"])[..2], [0, 700]);
    assert_eq!(polls(&["--max-interval=700ms", "--delay-first-poll"])[0], 700);
    // Dear polls are few.
    let dear = polls(&["--poll-cost=20s"]);
    assert!(dear.len() < usual.len(), "{dear:?}, {usual:?}");
}

#[test]
fn intervals_that_contradict_each_other_are_a_usage_error_of_explain_and_wait() {
    let past = Past::new("contradiction", 90.0);
    let sim = simulator();
    for flags in
        [["--interval=2s", "--min-interval=5s"], ["--max-interval=3s", "--min-interval=4s"]]
    {
        let mut explain = bare_command(&["explain", "create", "--history"]);
        explain.arg(&past.0).args(flags);
        let mut wait = bare_command(&flags);
        wait.env("CFW_ENDPOINT", sim.endpoint());
        wait.env("CFW_PROJECT_ID", sim.project_id()).env("CFW_TOKEN", sim.token());
        wait.args(["--kind=create", "--history"]).arg(&past.0).arg("job");
        let [explain, wait] = [explain, wait].map(run);
        assert_eq!((explain.code, &*explain.stdout), (Some(2), ""), "{explain:?}");
        assert_eq!(wait.code, Some(2), "{wait:?}");
        assert!(explain.stderr.contains("--min-interval "), "{}", explain.stderr);
        let problem = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        assert_eq!(problem(&explain.stderr), problem(&wait.stderr));
    }
}

#[test]
fn a_kind_that_is_not_known_is_a_usage_error_that_names_the_known_ones() {
    let past = Past::new("unknown", 90.0);
    for kind in ["creat", "empty"] {
        let mut command = bare_command(&["explain", kind, "--history"]);
        command.arg(&past.0);
        let output = run(command);
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{output:?}");
        let expected =
            format!("KIND {kind}: no past job is known in {}; it has create\n", past.0.display());
        assert!(output.stderr.ends_with(&expected), "{}", output.stderr);
    }
    let many = past.0.with_extension("many");
    let kinds = (0..30).map(|n| format!("\"k{n:02}\":{{\"jobs\":[{{\"seconds\":1}}]}}"));
    // A library may name a kind as it likes.
    let kinds: Vec<_> = kinds.chain(["\"a\\tb\":{\"jobs\":[{\"seconds\":1}]}".into()]).collect();
    let kinds = kinds.join(",");
    fs::write(
        &many,
        format!("{{\"format\":\"cfw-waiter history\",\"version\":1,\"kinds\":{{{kinds}}}}}"),
    )
    .unwrap();
    let mut command = bare_command(&["explain", "create", "--history"]);
    command.arg(&many);
    let output = run(command);
    let expected = "; it has k00, k01, k02, k03, k04, k05, k06, k07, k08, k09 and 20 more kinds\n";
    assert!(output.stderr.ends_with(expected), "{}", output.stderr);
    let none = past.0.with_extension("missing");
    let mut command = bare_command(&["explain", "create", "--history"]);
    command.arg(&none);
    let output = run(command);
    assert_eq!(output.code, Some(2), "{output:?}");
    let expected = format!("KIND create: no past job of any kind is known in {}\n", none.display());
    assert!(output.stderr.ends_with(&expected), "{}", output.stderr);
    fs::write(&none, "a poem").unwrap();
    let mut command = bare_command(&["explain", "create", "--history"]);
    command.arg(&none);
    let output = run(command);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("--history: "), "{}", output.stderr);
    let output = run(bare_command(&["explain", "create"]));
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("--history FILE"), "{}", output.stderr);
}

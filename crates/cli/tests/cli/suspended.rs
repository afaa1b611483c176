//! The process is stopped and goes on, and the network goes away and comes back.

use std::process::{Command, Stdio};
use std::thread;

use cfw_simulator::JobScript;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Lines, Output, Running, add, ms, parse_objects, pause, run, simulator, wait_command,
};

/// A suspended machine: time has passed for all but the command.
#[test]
fn a_command_that_is_stopped_past_its_deadline_takes_one_last_look() {
    let cases = [(true, 0), (false, 124)];
    let tests = cases.map(|(ends, code)| thread::spawn(move || stop_past_deadline(ends, code)));
    tests.into_iter().for_each(|test| test.join().unwrap());
}

fn stop_past_deadline(ends: bool, code: i32) {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut command = wait_command(&sim, &["--output=json", "--timeout=2500ms", "a"]);
    let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let lines = Lines::of(child.stdout());
    lines.until("Running");
    child.signal(Signal::STOP);
    // More than two seconds past the deadline.
    pause(ms(5_000));
    let polls = sim.counts().polls;
    pause(ms(200));
    assert_eq!(sim.counts().polls, polls, "it is stopped");
    if ends {
        assert!(sim.finish("a"));
    }
    child.signal(Signal::CONT);
    let objects = parse_objects(&lines.rest().join("\n"));
    assert_eq!(child.code(), Some(code), "{objects:?}");
    assert_eq!(ends_in(&objects), 1, "{objects:?}");
    // One that was in flight may be sent again.
    let looks = sim.counts().polls - polls;
    assert!((1..=2).contains(&looks), "{looks}");
}

fn ends_in(objects: &[Value]) -> usize {
    objects.iter().filter(|object| object["type"] == "ended").count()
}

#[test]
fn a_command_that_is_stopped_for_a_while_goes_on() {
    let sim = simulator();
    for id in ["a", "b"] {
        add(&sim, id, JobScript::never());
    }
    let mut child = Running::start(
        wait_command(&sim, &["--output=json", "a", "b"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    );
    let lines = Lines::of(child.stdout());
    for _ in 0..2 {
        lines.until("Running");
    }
    for _ in 0..5 {
        child.signal(Signal::STOP);
        pause(ms(60));
        child.signal(Signal::CONT);
        pause(ms(60));
    }
    let polls = sim.counts().polls;
    await_polls(&sim, polls + 4);
    assert!(sim.finish("a") && sim.fail("b"));
    let objects = parse_objects(&lines.rest().join("\n"));
    assert_eq!(child.code(), Some(1), "{objects:?}");
    assert_eq!(ends_in(&objects), 2);
    assert_eq!(sim.counts().overlapping, 0);
}

/// Waits until a simulator has had this many polls.
fn await_polls(sim: &cfw_simulator::Simulator, polls: u64) {
    while sim.counts().polls < polls {
        pause(ms(10));
    }
}

/// Runs a script in a network of its own, in which nothing but this machine's own addresses are there, with a simulator that
/// runs beside it. None where the machine does not allow that.
///
/// To take the interface away is to pull the cable: packets are dropped without a word to either side, and what was in
/// flight is sent again later.
fn in_network(jobs: &str, script: &str) -> Option<Output> {
    let whole = format!(
        r#"
        ip link set lo up || exit 200
        eval "$("$0" simulate --quiet {jobs} &)"
        trap 'kill $CFW_SIMULATOR_PID' EXIT
        {script}
        "#
    );
    let allowed = |flags: &str| {
        let mut command = Command::new("unshare");
        command.args([flags, "ip", "link", "set", "lo", "up"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let Some(flags) = ["-n", "-rn"].into_iter().find(|flags| allowed(flags)) else {
        println!("skipped: this machine does not allow network namespaces");
        return None;
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", &whole]).arg(env!("CARGO_BIN_EXE_cfw-wait"));
    command.env_clear().env("PATH", path).stdin(Stdio::null());
    Some(run(command))
}

const WAIT: &str = "--interval=50ms --max-interval=50ms --min-interval=20ms --attempt-timeout=1s";

#[test]
fn a_cable_that_is_pulled_and_put_back_ends_no_wait() {
    let script = format!(
        r#"
        (sleep 0.7; ip link set lo down; sleep 2.5; ip link set lo up) &
        "$0" {WAIT} --timeout=60s --output=json $CFW_JOB_IDS
        "#
    );
    let Some(output) = in_network("--jobs=5 --duration=4s", &script) else { return };
    assert_eq!(output.code, Some(0), "{output:?}");
    let objects = parse_objects(&output.stdout);
    assert_eq!(ends_in(&objects), 5);
    assert!(output.stdout.contains(r#""type":"trouble""#), "{output:?}");
}

#[test]
fn a_cable_that_stays_pulled_ends_the_wait_at_its_deadline() {
    let script = format!(
        r#"
        (sleep 1.5; ip link set lo down) &
        "$0" {WAIT} --timeout=4s $CFW_JOB_IDS
        "#
    );
    let Some(output) = in_network("--jobs=2 --duration=10m", &script) else { return };
    assert_eq!(output.code, Some(124), "{output:?}");
    assert!(output.stderr.contains("no answer from 127.0.0.1"), "{output:?}");
    assert!(output.stderr.contains("still Running"), "{output:?}");
}

/// Every fifth packet or so is lost, and TCP sends it again.
#[test]
fn a_network_that_loses_and_delays_packets_ends_no_wait() {
    // A kernel without netem loses what is sent while the interface is down, in turns.
    let script = format!(
        r#"
        tc qdisc add dev lo root netem delay 30ms 10ms loss 10% 2>/dev/null && echo netem >&2 ||
            for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
                ip link set lo down; sleep 0.03; ip link set lo up; sleep 0.15
            done &
        "$0" {WAIT} --timeout=60s --output=json $CFW_JOB_IDS
        "#
    );
    let Some(output) = in_network("--jobs=10 --duration=1500ms", &script) else { return };
    assert_eq!(output.code, Some(0), "{output:?}");
    let objects = parse_objects(&output.stdout);
    assert_eq!(ends_in(&objects), 10);
    if !output.stderr.contains("netem") {
        println!("without delays: this kernel has no netem");
    }
}

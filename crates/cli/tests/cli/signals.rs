//! Signals: the summary, the exit codes, and process 1 of a container.

use std::io::Write as _;
use std::process::{Command, Stdio};

use cfw_simulator::JobScript;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    Folder, Lines, Running, TIMEOUT, add, ms, parse_objects, pause, read_all, simulator,
    wait_command,
};

const SIGNALS: [(Signal, &str, i32); 3] =
    [(Signal::HUP, "SIGHUP", 129), (Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143)];

#[test]
fn each_signal_ends_the_wait_with_a_summary_and_its_exit_code() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    for (signal, name, code) in SIGNALS {
        let mut command = wait_command(&sim, &["--output=json", "a"]);
        let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let lines = Lines::of(child.stdout());
        lines.until("Running");
        child.signal(signal);
        let stderr = read_all(child.stderr());
        let rest = parse_objects(&lines.rest().join("\n"));
        assert_eq!(child.code(), Some(code), "{name}");
        let summary = rest.last().unwrap();
        assert_eq!(summary["type"], "summary");
        assert_eq!((&summary["reason"], &summary["signal"]), (&"interrupted".into(), &name.into()));
        assert_eq!((&summary["exit_code"], &summary["unfinished"]), (&code.into(), &1.into()));
        let by = if signal == Signal::INT { String::new() } else { format!(" by {name}") };
        assert!(stderr.contains(&format!("\ninterrupted{by}: 1 job: 1 running (")), "{stderr}");
        assert!(stderr.ends_with("\nnot finished: a (Running)\n"), "{stderr}");
    }
}

#[test]
fn signals_end_process_1_of_a_container() {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--pid", "--fork", "true"]).stderr(Stdio::null());
    if !unshare.status().is_ok_and(|status| status.success()) {
        println!("skipped: this machine does not allow namespaces");
        return;
    }
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    for (signal, name, code) in SIGNALS {
        let inner = wait_command(&sim, &["--output=json", "--quiet", "a"]);
        let mut command = Command::new("unshare");
        command.args(["--user", "--pid", "--fork"]).arg(inner.get_program());
        command.args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let lines = Lines::of(child.stdout());
        lines.until("Running");
        let id = child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let first = Pid::from_raw(children.trim().parse().unwrap()).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", first.as_raw_pid()));
        let status = status.unwrap();
        let ids = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
        assert!(ids.ends_with("\t1"), "it is process 1: {ids}");
        kill_process(first, signal).unwrap();
        lines.until(&format!(r#""signal":"{name}""#));
        assert_eq!(child.code(), Some(code), "{name}");
    }
}

#[test]
fn a_second_signal_ends_a_command_that_is_stuck() {
    let sim = simulator();
    // Far more than a pipe holds. The test does not read it.
    let ids: Vec<_> = (0..800).map(|n| format!("{n}-{}", "x".repeat(100))).collect();
    ids.iter().for_each(|id| add(&sim, id, JobScript::never()));
    let mut command = wait_command(&sim, &["--output=json", "--rate=5000/s", "-"]);
    let mut child =
        Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let stdout = child.stdout();
    child.stdin().write_all((ids.join("\n") + "\n").as_bytes()).unwrap();
    wait_until(|| sim.counts().polls > 1500);
    child.signal(Signal::TERM);
    pause(ms(400));
    assert!(child.is_running(), "the command waits for its reader");
    child.signal_until_ended(Signal::INT);
    assert_eq!(child.code(), Some(143), "the code of the first signal");
    drop(stdout);
}

#[test]
fn a_signal_that_is_sent_twice_at_once_counts_once() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let mut command = wait_command(&sim, &["--output=json", "--quiet", "a"]);
    let mut child = Running::start(command.stdout(Stdio::piped()));
    let lines = Lines::of(child.stdout());
    lines.until("Running");
    // As timeout(1) does, to the process and to its group.
    child.signal(Signal::TERM);
    child.signal(Signal::TERM);
    child.signal(Signal::HUP);
    lines.until(r#""type":"summary""#);
    assert!(matches!(child.code(), Some(129 | 143)), "either arrived first");
}

#[test]
fn nohup_is_honoured() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let inner = wait_command(&sim, &["a"]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"trap "" HUP; exec "$0" "$@""#]).arg(inner.get_program());
    command.args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = Running::start(command.stdin(Stdio::null()).stderr(Stdio::piped()));
    let lines = Lines::of(child.stderr());
    lines.until("Running");
    child.signal(Signal::HUP);
    assert!(sim.finish("a"));
    lines.until("Success");
    assert_eq!(child.code(), Some(0));
}

#[test]
fn a_signal_before_the_wait_ends_the_command_with_a_summary() {
    let sim = simulator();
    // The command waits for a token on standard input, or for a pipe without a writer.
    let folder = Folder::new("signal-token");
    let pipe = folder.file("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe_text = pipe.to_str().unwrap();
    for (args, total) in
        [(&["--token-file=-", "a", "b", "a"][..], 2), (&["--token-file", pipe_text, "a"], 1)]
    {
        let args = [&["--output=json"], args].concat();
        let mut command = wait_command(&sim, &args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Running::start(&mut command);
        let _open = child.stdin();
        // Long after its start, so that it is where it waits.
        wait_until_handled(&child, Signal::TERM);
        pause(ms(100));
        child.signal(Signal::TERM);
        let (stdout, stderr) = (read_all(child.stdout()), read_all(child.stderr()));
        assert_eq!(child.code(), Some(143), "{args:?}");
        let [summary] = &*parse_objects(&stdout) else { panic!("{stdout}") };
        assert_eq!((&summary["type"], &summary["signal"]), (&"summary".into(), &"SIGTERM".into()));
        assert_eq!((&summary["total"], &summary["unfinished"]), (&total.into(), &total.into()));
        let jobs = if total == 1 { "1 job: 1" } else { "2 jobs: 2" };
        let text = format!("interrupted by SIGTERM: {jobs} without a status (");
        assert!(stderr.starts_with(&text), "{stderr}");
        assert!(stderr.contains("\nnot finished: a (no status)\n"), "{stderr}");
    }
}

#[test]
fn a_signal_in_the_first_milliseconds_leads_to_a_summary() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    for delay in 0..12 {
        for (signal, name, code) in SIGNALS {
            let mut command = wait_command(&sim, &["--output=json", "--quiet", "a", "-"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = Running::start(&mut command);
            let _open = child.stdin();
            // As soon as it can be handled, and a little later.
            wait_until_handled(&child, signal);
            if delay > 0 {
                pause(std::time::Duration::from_micros(300 * delay));
            }
            child.signal(signal);
            let objects = parse_objects(&read_all(child.stdout()));
            assert_eq!(child.code(), Some(code), "{name} after {delay}");
            let summary = objects.last().unwrap();
            assert_eq!((&summary["type"], &summary["total"]), (&"summary".into(), &1.into()));
            assert_eq!((&summary["signal"], &summary["exit_code"]), (&name.into(), &code.into()));
        }
    }
}

#[test]
fn a_signal_while_the_summary_is_stuck_ends_a_command_that_never_began_to_wait() {
    let sim = simulator();
    let (reader, writer) = std::io::pipe().unwrap();
    // No more fits into the pipe.
    let fill = |mut pipe: &std::io::PipeWriter| while pipe.write(&[0; 4096]).is_ok() {};
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    fill(&writer);
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let mut command = wait_command(&sim, &["--output=json", "--quiet", "--token-file=-", "a"]);
    let mut child = Running::start(command.stdin(Stdio::piped()).stdout(writer));
    let _open = child.stdin();
    wait_until_handled(&child, Signal::TERM);
    pause(ms(100));
    child.signal(Signal::TERM);
    pause(ms(400));
    assert!(child.is_running(), "the summary cannot be written");
    child.signal_until_ended(Signal::INT);
    assert_eq!(child.code(), Some(143), "the code of the first signal");
    drop(reader);
}

/// Waits until the process has a handler for the signal.
fn wait_until_handled(child: &Running, signal: Signal) {
    let status = format!("/proc/{}/status", child.id());
    let bit = 1_u64 << (signal.as_raw() - 1);
    #[expect(clippy::disallowed_methods, reason = "other processes follow real time")]
    let start = std::time::Instant::now();
    let is_handled = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & bit != 0
    };
    while !is_handled() {
        #[expect(clippy::disallowed_methods, reason = "other processes follow real time")]
        let elapsed = start.elapsed();
        assert!(elapsed < TIMEOUT, "the handler was never installed");
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..TIMEOUT.as_millis() {
        if condition() {
            return;
        }
        pause(ms(1));
    }
    panic!("the condition never held");
}

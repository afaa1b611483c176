//! The calls with which the state file is written: the command is killed at each of them, and each of them fails.
//!
//! strace stops the command at the n-th call of a kind that concerns the file, its lock or its folder. A few of the calls are tried,
//! and all with `CFW_WAIT_CALLS=all`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use cfw_simulator::{JobScript, Simulator};

use super::{command, counts, ends};
use crate::support::*;

const IDS: [&str; 4] = ["a", "b", "c", "d"];

/// Calls that change a file, make one, or make it last.
const CALLS: [&str; 9] =
    ["openat", "write", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "flock", "fchmod"];

/// The state of the file when the command starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Absent,
    /// A crash has left a part of a record and of a new file, and the place of the jobs was not known in full.
    Crashed,
}

/// Returns the simulator with jobs that end soon.
fn start(file: &Path, start: Start) -> Simulator {
    let sim = simulator();
    for (number, id) in IDS.iter().enumerate() {
        add(&sim, id, JobScript::succeeds_after(ms(100 * number as u64)));
    }
    if start == Start::Crashed {
        fs::write(file, "{\"cfw_wait_state\":1}\n{\"waiting\":{\"jo").unwrap();
        fs::write(file.with_extension("new"), "{\"cfw_wait_state\":1}\n{\"wai").unwrap();
    }
    sim
}

/// Returns the command under strace with an injection, which writes what it traces to `log`.
fn traced(inner: &Command, file: &Path, log: &Path, inject: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-o"]).arg(log);
    for path in [file, &file.with_extension("new"), file.parent().unwrap()] {
        command.arg("-P").arg(path);
    }
    command.arg(format!("--trace={}", CALLS.join(",")));
    if !inject.is_empty() {
        command.arg(format!("--inject={inject}"));
    }
    command.arg("--").arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

/// One injection, and what it does to the call.
#[derive(Clone, Debug)]
struct Try {
    start: Start,
    call: &'static str,
    number: usize,
    effect: &'static str,
}

/// Returns how often the command makes each call, or why strace cannot say.
fn count(state: Start) -> Result<HashMap<&'static str, usize>, String> {
    let folder = Folder::new(&format!("state-calls-{state:?}"));
    let (file, log) = (folder.file("jobs"), folder.file("log"));
    let sim = start(&file, state);
    let output = traced(&command(&sim, &file, &IDS), &file, &log, "").output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.code() != Some(0) {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = fs::read_to_string(&log).unwrap();
    let calls = CALLS.map(|call| (call, text.matches(&format!(" {call}(")).count()));
    Ok(calls.into_iter().filter(|(_, count)| *count > 0).collect())
}

impl Try {
    /// Runs the command with the injection, and again without, and checks that each end is reported once, or again with the flag.
    /// Returns the exit code of the first run, or `None` if it was killed.
    fn run(&self) -> Option<i32> {
        let Self { start: state, call, number, effect } = self;
        let folder = Folder::new(&format!(
            "state-{state:?}-{call}-{number}-{}",
            effect.replace(['=', ':'], "-")
        ));
        let (file, log, stdout) = (folder.file("jobs"), folder.file("log"), folder.file("stdout"));
        let sim = start(&file, *state);
        let from = if effect.ends_with('+') { "+" } else { "" };
        let inject = format!("{call}:{}:when={number}{from}", effect.trim_end_matches('+'));
        let mut first = traced(&command(&sim, &file, &IDS), &file, &log, &inject);
        let first = first.stdout(File::create(&stdout).unwrap()).output().unwrap();
        let error = String::from_utf8(first.stderr).unwrap();
        let text = fs::read_to_string(&stdout).unwrap();
        let before = parse_objects(text.rsplit_once('\n').unwrap_or_default().0);
        let code = first.status.code();
        let is_expected = match code {
            None => effect.starts_with("signal"),
            Some(0) => true,
            code => code == Some(3) && effect.starts_with("error"),
        };
        assert!(is_expected, "{self:?}: {code:?} {error}");
        if code == Some(3) {
            let lines = error.lines().filter(|line| line.contains("--state \""));
            assert_eq!(lines.count(), 1, "{self:?}: {error}");
        }
        let output = run(command(&sim, &file, &IDS));
        let after = parse_objects(&output.stdout);
        assert_eq!((output.code, counts(&after)), (Some(0), [4, 4, 0, 0]), "{self:?}: {output:?}");
        let (before, after) = (ends(&before), ends(&after));
        for id in IDS {
            let times = |ends: &[(&str, bool)], is_again| {
                ends.iter().filter(|end| **end == (id, is_again)).count()
            };
            let times = [times(&before, false), times(&after, false), times(&after, true)];
            let is_right = matches!(times, [1, 0, 0] | [0, 1, 0] | [0 | 1, 0, 1]);
            assert!(is_right, "{self:?}: {id}: {times:?}\n{error}");
        }
        code
    }
}

#[test]
fn at_whichever_call_it_is_killed_or_fails_no_end_is_lost() {
    let is_all = std::env::vars().any(|(name, value)| name == "CFW_WAIT_CALLS" && value == "all");
    let mut tries = Vec::new();
    for start in [Start::Absent, Start::Crashed] {
        let counts = match count(start) {
            Ok(counts) => counts,
            Err(error) => {
                println!("left out: strace does not work here: {error}");
                return;
            }
        };
        println!("{start:?}: {counts:?}");
        for call in CALLS {
            let all = counts.get(call).copied().unwrap_or(0);
            // How often ends are recorded together differs from run to run.
            let numbers = if is_all { 1..=all + 2 } else { all.div_ceil(2)..=all.div_ceil(2) };
            for number in numbers.filter(|number| *number > 0) {
                for effect in ["signal=KILL", "error=ENOSPC", "error=EIO", "error=ENOSPC+"] {
                    tries.push(Try { start, call, number, effect });
                }
            }
        }
    }
    if !is_all {
        tries = tries.into_iter().step_by(5).collect();
    }
    println!("{} tries", tries.len());
    let codes: Vec<_> = thread::scope(|scope| {
        let parts: Vec<_> = tries
            .chunks(tries.len().div_ceil(4))
            .map(|part| scope.spawn(|| part.iter().map(Try::run).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let [killed, failed, borne] =
        [None, Some(3), Some(0)].map(|code| codes.iter().filter(|one| **one == code).count());
    println!("{killed} killed, {failed} ended with exit code 3, {borne} came to their end");
    assert!(killed > 0 && failed > 0, "no injection has had an effect");
}

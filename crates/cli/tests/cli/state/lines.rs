//! Lines of the input: which of them a killed or interrupted command has recorded, and those that describe no job.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use cfw_simulator::JobScript;
use rustix::process::Signal;

use super::{command, counts, of_type, summary};
use crate::support::*;

/// What one read takes from a pipe at most, in bytes.
const READ: usize = 8 << 10;

/// Pipes ids to the command until the signal ends it, and returns how many it has taken from the pipe, and how many of those are
/// not in its file. The pipe outlives the command, so that what is left in it is known.
fn end_amid_ids(name: &str, signal: Signal, delay: Duration) -> (usize, usize) {
    let (sim, folder) = (simulator(), Folder::new(name));
    let file = folder.file("jobs");
    let (mut reader, mut writer) = io::pipe().unwrap();
    let mut command = command(&sim, &file, &["-"]);
    command.stdin(reader.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running::start(&mut command);
    drop(command);
    // As many bytes as divide a read, so that each brings whole lines.
    let ids: Vec<String> = (0..100_000).map(|number| format!("job{number:012}")).collect();
    let text = ids.join("\n") + "\n";
    let feed = thread::spawn(move || {
        // It ends when the command has ended and the rest is read.
        let _ = writer.write_all(text.as_bytes());
    });
    while !fs::read_to_string(&file).is_ok_and(|text| text.contains("job0")) {
        assert!(running.is_running());
        pause(ms(1));
    }
    pause(delay);
    running.signal(signal);
    running.code();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    feed.join().unwrap();
    let taken = ids.len() - rest.lines().count();
    let recorded = fs::read_to_string(&file).unwrap();
    let recorded: HashSet<&str> =
        recorded.split('"').filter(|text| text.starts_with("job0")).collect();
    let lost = ids[..taken].iter().filter(|id| !recorded.contains(id.as_str())).count();
    (taken, lost)
}

#[test]
fn a_signal_loses_none_of_the_ids_that_were_read() {
    for (number, signal) in [Signal::TERM, Signal::INT, Signal::HUP].into_iter().enumerate() {
        let name = format!("state-read-{number}");
        let (taken, lost) = end_amid_ids(&name, signal, ms(7 * number as u64));
        println!("{signal:?}: {taken} taken");
        assert_eq!(lost, 0, "{signal:?}: of {taken}");
    }
}

#[test]
fn a_kill_loses_the_ids_of_one_read_at_most() {
    for number in 0..3 {
        let name = format!("state-kill-read-{number}");
        let (taken, lost) = end_amid_ids(&name, Signal::KILL, ms(5 * number));
        println!("{lost} of {taken} lost");
        assert!(lost <= READ / 16, "{lost} of {taken}");
    }
}

#[test]
fn a_bad_line_counts_until_its_run_has_come_to_its_end() {
    let (sim, folder) = (simulator(), Folder::new("state-bad-line"));
    let (file, ids) = (folder.file("jobs"), folder.file("ids"));
    add(&sim, "a", JobScript::succeeds_after(ms(3_000)));
    let mut first = command(&sim, &file, &["-"]);
    first.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    let mut stdin = running.stdin();
    stdin.write_all(b"x/y\na\n").unwrap();
    Lines::of(running.stdout()).until(r#""status":"Running""#);
    running.signal(Signal::KILL);
    drop(running);
    // Neither is the line needed again, nor is it counted twice.
    fs::write(&ids, "x/y\n").unwrap();
    let again = |is_piped: bool| {
        let mut again: Command = command(&sim, &file, if is_piped { &["-"] } else { &[] });
        again.stdin(fs::File::open(&ids).unwrap());
        again
    };
    let mut interrupted = Running::start(again(true).stdout(Stdio::piped()).stderr(Stdio::null()));
    let lines = Lines::of(interrupted.stdout());
    lines.until(r#""type":"rejected""#);
    interrupted.signal(Signal::INT);
    assert_eq!(interrupted.code(), Some(130));
    let output = run(again(true));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, &summary(&objects)["rejected"]), (Some(2), &1.into()), "{output:?}");
    let rejected = of_type(&objects, "rejected");
    assert_eq!((rejected.len(), &rejected[0]["line"]), (1, &1.into()));
    assert_eq!(rejected[0]["again"], true);
    let text = "cfw-wait: line 1 of standard input: invalid job id \"x/y\": holds a '/' (again: an earlier run may";
    assert!(output.stderr.contains(text), "{}", output.stderr);
    // That run has come to its end. The next one judges by what it reads.
    let output = run(again(false));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, counts(&objects)), (Some(0), [1, 1, 0, 0]), "{output:?}");
    let output = run(again(true));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, &summary(&objects)["rejected"]), (Some(2), &1.into()), "{output:?}");
    assert_eq!(of_type(&objects, "rejected")[0].get("again"), None);
}

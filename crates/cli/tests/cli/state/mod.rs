//! `--state`: what the next run knows of those before it.

mod calls;
mod kills;
mod lines;
mod unusable;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use cfw_simulator::{JobScript, Simulator};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::*;
use crate::terminal::Terminal;

/// Returns the command with a state file and JSON.
fn command(sim: &Simulator, file: &Path, args: &[&str]) -> Command {
    let mut command = wait_command(sim, &["--output=json", "--state"]);
    command.arg(file).args(args);
    command
}

/// Starts the command, and kills it once it has written `text`. Returns its standard output.
fn kill_after(mut command: Command, text: &str) -> String {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut command);
    let lines = Lines::of(running.stdout());
    let mut written = vec![lines.until(text)];
    running.signal(Signal::KILL);
    drop(running);
    written.extend(lines.rest());
    written.join("\n")
}

/// Returns the lines of a type.
fn of_type<'a>(objects: &'a [Value], name: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["type"] == name).collect()
}

/// Returns the ids of the ends, and whether each is one that may have been reported before.
fn ends(objects: &[Value]) -> Vec<(&str, bool)> {
    of_type(objects, "ended")
        .into_iter()
        .map(|end| (end["job_id"].as_str().unwrap(), end["again"] == true))
        .collect()
}

fn summary(objects: &[Value]) -> &Value {
    objects.last().filter(|last| last["type"] == "summary").unwrap()
}

fn counts(objects: &[Value]) -> [u64; 4] {
    ["total", "succeeded", "unsuccessful", "unfinished"]
        .map(|field| summary(objects)[field].as_u64().unwrap())
}

#[test]
fn the_same_command_goes_on_after_a_crash() {
    let (sim, folder) = (simulator(), Folder::new("state-on"));
    let file = folder.file("jobs");
    add(&sim, "good", JobScript::succeeds_after(ms(0)));
    add(&sim, "bad", JobScript::fails_after(ms(0)));
    add(&sim, "long", JobScript::succeeds_after(ms(2_500)));
    let args = ["good", "bad", "long"];
    let mut first = command(&sim, &file, &args);
    first.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    let lines = Lines::of(running.stdout());
    lines.until(r#""type":"ended""#);
    lines.until(r#""type":"ended""#);
    // That the second end was reported is recorded right after.
    pause(ms(200));
    running.signal(Signal::KILL);
    drop(running);
    let polls = ["good", "bad", "long"].map(|id| sim.polls_of(id).len());

    let output = run(command(&sim, &file, &args));
    let objects = parse_objects(&output.stdout);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(objects[0]["type"], "resumed");
    assert_eq!((&objects[0]["unfinished"], &objects[0]["ended"]), (&1.into(), &2.into()));
    assert_eq!(ends(&objects), [("long", false)]);
    assert_eq!(counts(&objects), [3, 2, 1, 0]);
    assert_eq!(summary(&objects)["earlier"], 2);
    assert!(output.stderr.contains("\nfailed: bad ("), "the recap: {}", output.stderr);
    let first = "cfw-wait: going on with ";
    assert!(output.stderr.starts_with(first), "{}", output.stderr);
    assert!(output.stderr.contains(": 1 job is unfinished, 2 ended before\n"), "{}", output.stderr);
    assert_eq!(["good", "bad"].map(|id| sim.polls_of(id).len()), polls[..2], "not polled again");
    // Polls and time count from the beginning, and a known status is not reported again. A crash forgets polls since they
    // were recorded last, but not the first.
    let long = of_type(&objects, "ended")[0];
    let made = (sim.polls_of("long").len() - polls[2]) as u64;
    assert!(long["polls"].as_u64().unwrap() >= made, "{made}: {long}");
    let [all, this_run] =
        [&long["elapsed_ms"], &summary(&objects)["elapsed_ms"]].map(|time| time.as_u64().unwrap());
    // The first run lasted longer than its pause of 200 ms, and the summary comes a moment after the end.
    assert!(all >= this_run + 100, "{all} {this_run}");
    let changes: Vec<_> =
        of_type(&objects, "changed").iter().map(|change| change["from"].clone()).collect();
    assert_eq!(changes, ["Running"]);

    // All have ended: the result is known at once, without a poll.
    let polls: usize = args.iter().map(|id| sim.polls_of(id).len()).sum();
    let output = run(command(&sim, &file, &args));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects).len()), (Some(1), 0), "{output:?}");
    assert_eq!((counts(&objects), &summary(&objects)["earlier"]), ([3, 2, 1, 0], &3.into()));
    assert_eq!(args.iter().map(|id| sim.polls_of(id).len()).sum::<usize>(), polls);
    // The file is what starts afresh when it is removed.
    fs::remove_file(&file).unwrap();
    let output = run(command(&sim, &file, &["good"]));
    assert_eq!(ends(&parse_objects(&output.stdout)), [("good", false)]);
}

#[test]
fn ids_from_a_pipe_are_not_needed_again_and_do_no_harm() {
    let (sim, folder) = (simulator(), Folder::new("state-pipe"));
    let file = folder.file("jobs");
    for id in ["a", "b", "c"] {
        add(&sim, id, JobScript::succeeds_after(ms(3_000)));
    }
    add(&sim, "old", JobScript::succeeds_after(ms(0)));
    let mut first = command(&sim, &file, &["-"]);
    first.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    let mut stdin = running.stdin();
    stdin.write_all(b"old\na\n{\"id\":\"b\",\"kind\":\"create\"}\nc\n").unwrap();
    let lines = Lines::of(running.stdout());
    // It is still open. What has been polled was recorded.
    for _ in 0..3 {
        lines.until(r#""from":null,"status":"Running""#);
    }
    pause(ms(200));
    running.signal(Signal::KILL);
    drop(running);

    let ids = folder.file("ids");
    fs::write(&ids, "a\nold\nb\nnew\nnew\n").unwrap();
    add(&sim, "new", JobScript::succeeds_after(ms(0)));
    let mut second = command(&sim, &file, &["-"]);
    second.stdin(fs::File::open(&ids).unwrap());
    let output = run(second);
    let objects = parse_objects(&output.stdout);
    assert_eq!(output.code, Some(0), "{output:?}");
    let mut ended = ends(&objects);
    ended.sort_unstable();
    assert_eq!(ended, [("a", false), ("b", false), ("c", false), ("new", false)]);
    assert_eq!(counts(&objects), [5, 5, 0, 0]);
    let b = of_type(&objects, "ended").into_iter().find(|end| end["job_id"] == "b").unwrap();
    assert_eq!(b["kind"], "create", "what the line said");
    // Without any argument, the file names the jobs.
    let output = run(command(&sim, &file, &[]));
    assert_eq!((output.code, counts(&parse_objects(&output.stdout))), (Some(0), [5, 5, 0, 0]));
}

#[test]
fn deadlines_hold_over_a_crash_and_a_later_run_waits_again() {
    let (sim, folder) = (simulator(), Folder::new("state-deadline"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(3_600_000)));
    let timed = |timeout: &str| command(&sim, &file, &[timeout, "a"]);
    kill_after(timed("--timeout=1500ms"), "Running");
    pause(ms(1_600));
    // The deadline has passed while no process was there. The flag is not that of the recorded wait.
    let output = run(timed("--timeout=1h"));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects)), (Some(124), vec![("a", false)]), "{output:?}");
    let elapsed = of_type(&objects, "ended")[0]["elapsed_ms"].as_u64().unwrap();
    assert!((1_500..30_000).contains(&elapsed), "{elapsed}");
    // That run has come to its end, and the job has not: the next one waits for it, as long as it says.
    let output = run(timed("--timeout=300ms"));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects)), (Some(124), vec![("a", false)]), "{output:?}");
    assert_eq!(counts(&objects), [1, 0, 1, 0]);
    let elapsed = of_type(&objects, "ended")[0]["elapsed_ms"].as_u64().unwrap();
    assert!((250..30_000).contains(&elapsed), "{elapsed}");
    // A look is one at each run.
    add(&sim, "b", JobScript::succeeds_after(ms(3_600_000)));
    let file = folder.file("looks");
    for polls in 1..=2 {
        let output = run(command(&sim, &file, &["--timeout=0", "b"]));
        assert_eq!((output.code, sim.polls_of("b").len()), (Some(124), polls), "{output:?}");
    }
}

#[test]
fn a_wait_that_timed_out_in_a_run_that_crashed_is_over_for_the_run_that_goes_on() {
    let (sim, folder) = (simulator(), Folder::new("state-over"));
    let file = folder.file("jobs");
    add(&sim, "short", JobScript::succeeds_after(ms(3_600_000)));
    add(&sim, "long", JobScript::succeeds_after(ms(4_000)));
    let ids = folder.file("ids");
    fs::write(&ids, "{\"id\":\"short\",\"timeout\":\"1s\"}\nlong\n").unwrap();
    let ids = format!("--ids-file={}", ids.display());
    let mut first = command(&sim, &file, &[&ids]);
    first.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    Lines::of(running.stdout()).until(r#""outcome":"timed_out""#);
    pause(ms(200));
    running.signal(Signal::KILL);
    drop(running);
    let polls = sim.polls_of("short").len();
    let output = run(command(&sim, &file, &[&ids]));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects)), (Some(124), vec![("long", false)]), "{output:?}");
    assert_eq!(sim.polls_of("short").len(), polls);
    // Now the run is over. The timeout of the line holds again.
    let output = run(command(&sim, &file, &[]));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects)), (Some(124), vec![("short", false)]), "{output:?}");
    assert!(sim.polls_of("short").len() > polls);
}

#[test]
fn a_signal_leaves_the_rest_to_the_next_run() {
    let (sim, folder) = (simulator(), Folder::new("state-signal"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(1_500)));
    let mut first = command(&sim, &file, &["--timeout=1h", "a"]);
    first.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    let lines = Lines::of(running.stdout());
    lines.until("Running");
    pause(ms(300));
    running.signal(Signal::TERM);
    assert_eq!(running.code(), Some(143));
    let polls = sim.polls_of("a").len() as u64;
    let output = run(command(&sim, &file, &["--timeout=1h", "a"]));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects)), (Some(0), vec![("a", false)]), "{output:?}");
    let all = of_type(&objects, "ended")[0]["polls"].as_u64().unwrap();
    let made = sim.polls_of("a").len() as u64;
    assert!(
        polls > 2 && (made - 1..=made).contains(&all),
        "{polls} {all} {made}: all but one in flight"
    );
}

#[test]
fn an_end_that_nobody_took_is_reported_again_with_a_flag() {
    let (sim, folder) = (simulator(), Folder::new("state-again"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::fails_after(ms(0)).error("CFW.1", "no \"room\""));
    add(&sim, "b", JobScript::succeeds_after(ms(3_600_000)));
    let mut first = command(&sim, &file, &["a"]);
    first.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    drop(running.stdout());
    assert_eq!(running.code(), Some(1));
    let output = run(command(&sim, &file, &["--timeout=300ms", "--fail-fast", "a", "b"]));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects)), (Some(1), vec![("a", true)]), "{output:?}");
    let end = of_type(&objects, "ended")[0];
    assert_eq!(
        (&end["outcome"], &end["exit_code"], &end["v"]),
        (&"failed".into(), &1.into(), &1.into())
    );
    assert_eq!(end["detail"], "CFW.1: no \"room\"");
    let text = "failed with status Failed after ";
    let again = " (again: an earlier run may have reported it)\n";
    assert!(output.stderr.contains(text) && output.stderr.contains(again), "{}", output.stderr);
    assert_eq!(counts(&objects), [2, 0, 1, 1]);
    // It has been reported now. With --fail-fast it suffices all the same.
    let output = run(command(&sim, &file, &["--fail-fast", "a", "b"]));
    let objects = parse_objects(&output.stdout);
    assert_eq!((output.code, ends(&objects).len()), (Some(1), 0), "{output:?}");
    assert_eq!(summary(&objects)["reason"], "first_failure");
}

#[test]
fn with_any_an_earlier_success_suffices() {
    let (sim, folder) = (simulator(), Folder::new("state-any"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(3_600_000)));
    for ends_now in [1, 0] {
        let output = run(command(&sim, &file, &["--any", "a", "b"]));
        let objects = parse_objects(&output.stdout);
        assert_eq!((output.code, ends(&objects).len()), (Some(0), ends_now), "{output:?}");
        assert_eq!(counts(&objects), [2, 1, 0, 1]);
        assert_eq!(summary(&objects)["reason"], "first_success");
    }
}

#[test]
fn a_run_of_exec_is_part_of_the_report() {
    let (sim, folder) = (simulator(), Folder::new("state-exec"));
    let (file, log) = (folder.file("jobs"), folder.file("log"));
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::succeeds_after(ms(1_500)));
    let exec = |script: &str| {
        let mut command = command(&sim, &file, &["--exec", script, "a", "b"]);
        command.env("LOG", &log).env("PATH", "/usr/bin:/bin");
        command
    };
    // It is killed before the command for a has come to its end.
    let mut first = exec("echo begin >> \"$LOG\"; exec sleep 60");
    first.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    while !fs::read_to_string(&log).unwrap_or_default().contains("begin") {
        assert!(running.is_running());
        pause(ms(10));
    }
    running.signal(Signal::KILL);
    drop(running);
    let output = run(exec("cat >> \"$LOG\""));
    let objects = parse_objects(&output.stdout);
    assert_eq!(
        (output.code, ends(&objects)),
        (Some(0), vec![("a", true), ("b", false)]),
        "{output:?}"
    );
    let text = fs::read_to_string(&log).unwrap();
    let runs = parse_objects(text.strip_prefix("begin\n").unwrap());
    assert_eq!(ends(&runs).len(), 2);
    // Both have been reported with their commands.
    let output = run(exec("cat >> \"$LOG\""));
    assert_eq!((output.code, ends(&parse_objects(&output.stdout)).len()), (Some(0), 0));
    assert_eq!(fs::read_to_string(&log).unwrap(), text);
}

#[test]
fn no_secret_is_in_the_file() {
    let (sim, folder) = (simulator(), Folder::new("state-secret"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::fails_after(ms(0)));
    let mut command = command(&sim, &file, &["a"]);
    command.env("CFW_ENDPOINT", sim.endpoint().replace("http://", "http://user:SENSITIVE@"));
    // A client may refuse such a URL; the file must not have it in either case.
    let _ = run(command);
    let _ = run(self::command(&sim, &file, &["a"]));
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("SENSITIVE") && !text.contains(sim.token()), "{text}");
    assert!(text.contains(sim.project_id()), "{text}");
}

#[test]
fn an_end_is_recorded_as_reported_when_it_has_been_drawn() {
    let (sim, folder) = (simulator(), Folder::new("state-drawn"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::fails_after(ms(500)));
    add(&sim, "b", JobScript::succeeds_after(ms(3_600_000)));
    let mut command = wait_command(&sim, &["--state"]);
    command.arg(&file).args(["a", "b"]);
    let terminal = Terminal::start(command, 24, 100);
    while !fs::read_to_string(&file).unwrap_or_default().contains("{\"reported\"") {
        pause(ms(1));
    }
    terminal.child.signal(Signal::KILL);
    let (screen, _, _) = terminal.end();
    assert!(screen.contains("a  failed with status Failed"), "{screen}");
}

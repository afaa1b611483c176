//! `kill -9` at random instants.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use cfw_simulator::{JobScript, Simulator};
use rustix::process::Signal;

use super::{command, counts, ends};
use crate::support::*;

/// How many instants are tried: 9, or as many as `CFW_WAIT_KILLS` says.
fn instants() -> u64 {
    let named = std::env::vars().find(|(name, _)| name == "CFW_WAIT_KILLS");
    named.map_or(9, |(_, number)| number.parse().unwrap())
}

/// Numbers that look random: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

fn crowd_command(sim: &Simulator, file: &Path) -> Command {
    let mut command = command(sim, file, &["--rate=5000/s", "--concurrency=64", "-"]);
    command.stdin(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What one try has seen.
#[derive(Default)]
struct Seen {
    recorded: usize,
    before: usize,
    again: usize,
    torn: bool,
}

#[derive(Debug)]
struct Try {
    number: u64,
    jobs: usize,
    delay: Duration,
    /// The ids come over some time, and not at once.
    is_slow: bool,
    /// All ids are piped again, and not only those that are not recorded.
    pipes_all: bool,
}

impl Try {
    /// Kills the command after the delay, runs it again, and checks that each end was reported once, or again with the flag.
    fn run(&self) -> Seen {
        let Self { number, jobs, delay, is_slow, pipes_all } = *self;
        let folder = Folder::new(&format!("state-kill-{number}"));
        let (file, first_output) = (folder.file("jobs"), folder.file("first"));
        let sim = Simulator::builder().record(false).start_on_thread().unwrap();
        let ids = sim.add_jobs(jobs, &JobScript::random(ms(400)).failure_share(0.1));
        let mut first = crowd_command(&sim, &file);
        first.stdout(File::create(&first_output).unwrap());
        let mut running = Running::start(&mut first);
        let mut stdin = running.stdin();
        let lines = ids.clone();
        let writer = thread::spawn(move || {
            for chunk in lines.chunks(lines.len().div_ceil(10)) {
                // The command may be killed meanwhile.
                if stdin.write_all((chunk.join("\n") + "\n").as_bytes()).is_err() {
                    return;
                }
                if is_slow {
                    pause(ms(30));
                }
            }
        });
        pause(delay);
        running.signal(Signal::KILL);
        drop(running);
        writer.join().unwrap();

        // A line of a killed process may be cut.
        let text = fs::read_to_string(&first_output).unwrap();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        let before: Vec<_> = parse_objects(whole);
        let state = fs::read_to_string(&file).unwrap_or_default();
        let recorded: HashSet<&str> = state.lines().filter_map(recorded_id).collect();

        let mut second = crowd_command(&sim, &file);
        second.stdout(Stdio::piped());
        let mut running = Running::start(&mut second);
        let mut stdin = running.stdin();
        let again: Vec<_> =
            ids.iter().filter(|id| pipes_all || !recorded.contains(id.as_str())).cloned().collect();
        let writer = thread::spawn(move || stdin.write_all((again.join("\n") + "\n").as_bytes()));
        let after = parse_objects(&read_all(running.stdout()));
        writer.join().unwrap().unwrap();
        let code = running.code();

        let (before, after_ends) = (ends(&before), ends(&after));
        let mut reported: HashMap<&str, [u32; 3]> = HashMap::new();
        before.iter().for_each(|(id, again)| {
            assert!(!again, "{id}: nothing came before");
            reported.entry(id).or_default()[0] += 1;
        });
        after_ends.iter().for_each(|(id, again)| {
            reported.entry(id).or_default()[if *again { 2 } else { 1 }] += 1;
        });
        for id in &ids {
            let times = reported.get(id.as_str()).copied().unwrap_or_default();
            let is_right = matches!(times, [1, 0, 0] | [0, 1, 0] | [0 | 1, 0, 1]);
            assert!(is_right, "{id} of {jobs} jobs, killed after {delay:?}: {times:?}\n{state}");
        }
        assert_eq!(reported.len(), jobs);
        let [total, succeeded, failed, unfinished] = counts(&after);
        assert_eq!((total, succeeded + failed, unfinished), (jobs as u64, total, 0));
        assert_eq!(code, Some(i32::from(failed > 0)), "{failed} failed");
        Seen {
            recorded: recorded.len(),
            before: before.len(),
            again: after_ends.iter().filter(|(_, again)| *again).count(),
            torn: !state.is_empty() && !state.ends_with('\n'),
        }
    }
}

fn recorded_id(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("{\"waiting\":{\"job\":{\"job_id\":\"")?;
    rest.ends_with("}}}").then_some(rest.split_once('"')?.0)
}

#[test]
fn whenever_it_is_killed_each_end_is_reported_once_or_again_with_the_flag() {
    #[expect(clippy::disallowed_methods, reason = "instants differ from run to run")]
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    println!("seed {seed}");
    let mut random = Random(seed);
    let instants = instants();
    let tries: Vec<_> = (0..instants)
        .map(|instant| {
            // One of the default ones is with many jobs, which take their time.
            let jobs = match instant % 3 {
                0 => 1,
                1 => 50,
                _ if instant > 2 && instants <= 9 => 50,
                _ => 1_000,
            };
            let span = if jobs == 1_000 { 3_000 } else { 800 };
            let (delay, pipes_all) = (ms(random.below(span)), random.below(2) == 0);
            Try { number: instant, jobs, delay, is_slow: instant % 2 == 0, pipes_all }
        })
        .collect();
    // The commands mostly wait.
    let seen: Vec<Seen> = thread::scope(|scope| {
        let parts: Vec<_> = tries
            .chunks(tries.len().div_ceil(4))
            .map(|part| scope.spawn(|| part.iter().map(Try::run).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    for (one, Seen { recorded, before, again, .. }) in tries.iter().zip(&seen) {
        println!("{one:?}: {recorded} recorded, {before} reported, {again} again");
    }
    let count = |is_such: fn(&Seen, usize) -> bool| {
        seen.iter().zip(&tries).filter(|(seen, one)| is_such(seen, one.jobs)).count()
    };
    println!(
        "{instants} instants: {} before all jobs were recorded, {} in the midst of the ends, {} after them, {} in a record; \
         {} ends reported before, {} again",
        count(|seen, jobs| seen.recorded < jobs),
        count(|seen, jobs| seen.before > 0 && seen.before < jobs),
        count(|seen, jobs| seen.before == jobs),
        count(|seen, _| seen.torn),
        seen.iter().map(|seen| seen.before).sum::<usize>(),
        seen.iter().map(|seen| seen.again).sum::<usize>(),
    );
}

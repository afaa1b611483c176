//! A thousand jobs: memory and redraws.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Instant;

use cfw_simulator::{JobScript, Simulator};

use crate::support::{Lines, ms, wait_command};
use crate::terminal::Terminal;

#[test]
fn a_thousand_ids_use_little_memory_and_few_redraws() {
    let sim = Simulator::builder().record(false).start_on_thread().unwrap();
    let ids = sim.add_jobs(1000, &JobScript::random(ms(400)).failure_share(0.01));
    let mut command = wait_command(&sim, &["--output=json", "--rate=2000/s", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    #[expect(clippy::disallowed_methods, reason = "redraws follow real time")]
    let start = Instant::now();
    let mut terminal = Terminal::start(command, 24, 80);
    let mut stdin = terminal.child.stdin();
    let lines = Lines::of(terminal.child.stdout());
    stdin.write_all((ids.join("\n") + "\n").as_bytes()).unwrap();
    for _ in 0..1000 {
        lines.until(r#""type":"ended""#);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", terminal.child.id()));
    // Without /proc only the redraws are checked.
    if let Ok(status) = status {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        println!("peak memory: {kilobytes} kB");
        assert!(kilobytes < 30_000, "{kilobytes} kB");
    }
    drop(stdin);
    let (screen, code, written) = terminal.end();
    #[expect(clippy::disallowed_methods, reason = "redraws follow real time")]
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(code, Some(1));
    assert!(screen.contains("1000 jobs: 9"), "{screen}");
    // Each redraw writes the summary once, and so does the last line. How many there are at least depends on how busy
    // the machine is.
    let draws = written.windows(6).filter(|bytes| bytes == b" jobs:").count();
    println!("{draws} redraws in {seconds:.1} s");
    assert!(draws >= 2 && (draws as f64) <= 10.0 * seconds + 2.0, "{draws} in {seconds} s");
}

//! Starts the command and reads its output.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use cfw_simulator::{JobScript, Simulator};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// More than ten times what any step takes, for busy machines.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn simulator() -> Simulator {
    Simulator::builder().start_on_thread().unwrap()
}

pub(crate) fn add(sim: &Simulator, id: &str, script: JobScript) {
    sim.add_job(script.id(id));
}

/// Returns the command with an empty environment.
pub(crate) fn bare_command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cfw-wait"));
    command.env_clear().stdin(Stdio::null()).args(args);
    command
}

/// Returns the command with the environment of a simulator and short intervals.
pub(crate) fn wait_command(sim: &Simulator, args: &[&str]) -> Command {
    let mut command =
        bare_command(&["--interval=50ms", "--max-interval=50ms", "--min-interval=20ms"]);
    command
        .env("CFW_ENDPOINT", sim.endpoint())
        .env("CFW_PROJECT_ID", sim.project_id())
        .env("CFW_TOKEN", sim.token())
        .args(args);
    command
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Lines of a stream, read in the background.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// Returns the next line that contains `text`.
    pub(crate) fn until(&self, text: &str) -> String {
        loop {
            let line = self.0.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("no line {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns all lines up to the end of the stream.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0.iter().collect()
    }
}

/// A running command, which is killed when a test fails.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.0.stderr.take().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Sends a signal to the process group that the command leads.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Sends a signal until the command ends, as one that comes soon after the first is taken as part of it.
    pub(crate) fn signal_until_ended(&mut self, signal: Signal) {
        for _ in 0..TIMEOUT.as_millis() / 50 {
            self.signal(signal);
            pause(ms(50));
            if !self.is_running() {
                return;
            }
        }
        panic!("{signal:?} does not end the command");
    }

    pub(crate) fn code(self) -> Option<i32> {
        self.status().code()
    }

    pub(crate) fn status(mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The command has ended already if the test succeeded.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder of its own, removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("cfw-wait-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads a stream to its end.
pub(crate) fn read_all(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn parse_objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Masks numbers, request ids and the spinner, which differ between runs.
pub(crate) fn mask_text(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        if char.is_ascii_digit() {
            masked.push('N');
            rest = rest.as_str().trim_start_matches(|char: char| char.is_ascii_digit()).chars();
        } else if let Some(id) = rest.as_str().strip_prefix("request ").filter(|_| char == '(') {
            masked.push_str("(request ID");
            rest = id.trim_start_matches(|char: char| char.is_ascii_hexdigit()).chars();
        } else {
            masked.push(if "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏".contains(char) { '*' } else { char });
        }
    }
    for (text, mask) in
        [("polling", "next poll in Ns"), ("poll due", "next poll in Ns"), ("N.Nms", "N.Ns")]
    {
        masked = masked.replace(text, mask);
    }
    masked
}

/// Lets another process run for a while.
#[expect(clippy::disallowed_methods, reason = "other processes follow real time")]
pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}

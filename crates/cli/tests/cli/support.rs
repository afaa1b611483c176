//! Starting the command, and waiting for what it says.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use cfw_simulator::{JobScript, Simulator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Nothing here takes a tenth of it, but a machine can be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn simulator() -> Simulator {
    Simulator::builder().start_on_thread().unwrap()
}

pub(crate) fn add(sim: &Simulator, id: &str, script: JobScript) {
    sim.add_job(script.id(id));
}

/// The command with an empty environment.
pub(crate) fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cfw-wait"));
    command.env_clear().stdin(Stdio::null()).args(args);
    command
}

/// The command with the environment that leads to a simulator, and pauses of a test's size.
pub(crate) fn waiting(sim: &Simulator, args: &[&str]) -> Command {
    let mut command = bare(&["--interval=50ms", "--max-interval=50ms", "--min-interval=20ms"]);
    command
        .env("CFW_ENDPOINT", sim.endpoint())
        .env("CFW_PROJECT_ID", sim.project_id())
        .env("CFW_TOKEN", sim.token())
        .args(args);
    command
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn done(mut command: Command) -> Done {
    let output = command.output().unwrap();
    Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The lines of a stream as they come.
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

    /// The next line that holds `text`.
    pub(crate) fn until(&self, text: &str) -> String {
        loop {
            let line = self.0.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// All lines up to the end of the stream.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0.iter().collect()
    }
}

/// A command that is under way. It does not outlive a test that fails.
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
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
    }

    pub(crate) fn code(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All of a stream, to its end.
pub(crate) fn all(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Text without what differs from run to run: numbers, request ids, the turn of the spinner.
pub(crate) fn masked(text: &str) -> String {
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

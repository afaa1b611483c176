//! This program started again, to measure one contender or to serve: spoken to line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Failure;

pub(crate) const IN_MEMORY: &str = "--in-memory";
pub(crate) const TURNOVER: &str = "--turnover";
pub(crate) const CLIENT: &str = "--client";
pub(crate) const SERVER: &str = "--server";
pub(crate) const SOAK_SERVER: &str = "--soak-server";

/// A child process. It ends when its input does.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("a child without output")?;
        let input = child.stdin.take();
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    pub(crate) fn say(&mut self, line: &str) -> Result<(), Failure> {
        let input = self.input.as_mut().ok_or("a child without input")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    /// The words of the next line that the child prints.
    pub(crate) fn hear(&mut self) -> Result<Vec<String>, Failure> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a measurement ended early".into());
        }
        Ok(line.split_whitespace().map(str::to_owned).collect())
    }

    /// The numbers of the next line that the child prints.
    pub(crate) fn hear_numbers<const N: usize>(&mut self) -> Result<[f64; N], Failure> {
        let words = self.hear()?;
        let numbers: Vec<f64> = words.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        numbers.try_into().map_err(|_| format!("not {N} numbers: {words:?}").into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        // It has said all it had to say, and a failure to end would show in the next measurement.
        let _ = self.child.wait();
    }
}

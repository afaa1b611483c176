//! `--exec`: a command of the user's that runs once at each end.
//!
//! `sh -c` runs it, with the JSON object of the end on standard input and the most important fields as variables. Its
//! failure is reported and changes no exit code.

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::args::WaitArgs;
use crate::exit::Exit;
use crate::process_groups::{self, ProcessGroups};
use crate::signals::Signals;
use crate::text::printable;

/// The most commands that run at once.
const MAX_RUNNING: usize = 8;

/// The time after which a command is killed.
const LIMIT: Duration = Duration::from_secs(30);

/// The time for which the commands of all ends may delay the end of the process.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(60);

/// The same after a signal. Container runtimes kill a process ten seconds after SIGTERM.
pub(crate) const SIGNAL_LIMIT: Duration = Duration::from_secs(5);

/// The time for which output is read after a command has ended. A process that it left behind may keep the pipe open.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

/// The most bytes that are kept of each of the two outputs of a command.
const MAX_OUTPUT: usize = 4096;

/// The end of a wait.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) id: String,
    pub(crate) outcome: &'static str,
    pub(crate) exit: Exit,
    /// The JSON object, with a line break.
    pub(crate) json: Vec<u8>,
}

/// The result of one run.
#[derive(Debug)]
pub(crate) struct Report {
    /// The job, or `None` for a problem of all runs.
    pub(crate) id: Option<String>,
    /// What went wrong, if anything did.
    pub(crate) problem: Option<String>,
    /// The lines that the command printed.
    pub(crate) lines: Vec<String>,
}

/// Runs the command for ends, a few at a time.
pub(crate) struct Exec {
    command: String,
    keeps_secrets: bool,
    waiting: VecDeque<End>,
    running: JoinSet<Report>,
    groups: ProcessGroups,
}

impl Exec {
    /// Returns `None` if no command is given. The commands that run are registered in `groups`.
    pub(crate) fn from_args(args: &WaitArgs, groups: ProcessGroups) -> Option<Self> {
        let command = args.exec.clone()?;
        let keeps_secrets = args.exec_secrets;
        let (waiting, running) = (VecDeque::new(), JoinSet::new());
        Some(Self { command, keeps_secrets, waiting, running, groups })
    }

    /// Runs the command for an end, as soon as few enough are running.
    pub(crate) fn add(&mut self, end: End) {
        self.waiting.push_back(end);
        self.start_waiting();
    }

    /// Waits for the next run to end. Returns `None` if none is left.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no report is lost.
    pub(crate) async fn next_report(&mut self) -> Option<Report> {
        let report = self.running.join_next().await?;
        self.start_waiting();
        Some(report.unwrap_or_else(|error| Report {
            id: None,
            problem: Some(error.to_string()),
            lines: Vec::new(),
        }))
    }

    /// Waits for all runs to end, but not for longer than `limit`, and not after a signal. Then those left are killed,
    /// and one more report says how many they were.
    pub(crate) async fn finish(
        mut self,
        limit: Duration,
        signals: Option<Signals>,
        mut report: impl FnMut(Report),
    ) {
        let is_signalled = async {
            match signals {
                Some(mut signals) => drop(signals.first().await),
                None => std::future::pending().await,
            }
        };
        let all = async {
            while let Some(next) = self.next_report().await {
                report(next);
            }
        };
        let all_or_signal = async {
            tokio::select! {
                () = is_signalled => false,
                () = all => true,
            }
        };
        if is_within(limit, all_or_signal).await != Some(true) {
            let left = self.running.len() + self.waiting.len();
            self.running.shutdown().await;
            let runs = if left == 1 { "1 run".to_owned() } else { format!("{left} runs") };
            let problem = format!("stopped {runs} before the end");
            report(Report { id: None, problem: Some(problem), lines: Vec::new() });
        }
    }

    fn start_waiting(&mut self) {
        while self.running.len() < MAX_RUNNING {
            let Some(end) = self.waiting.pop_front() else { return };
            let command = self.prepare(&end);
            self.running.spawn(run(command, self.groups.clone(), end, LIMIT));
        }
    }

    fn prepare(&self, end: &End) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command);
        if !self.keeps_secrets {
            let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
            names.filter(|name| is_secret(name)).for_each(|name| {
                command.env_remove(name);
            });
        }
        command
            .env("CFW_JOB_ID", &end.id)
            .env("CFW_OUTCOME", end.outcome)
            .env("CFW_EXIT", end.exit.code().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A group of its own: Ctrl-C ends the wait, and not the notification about it.
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

/// Returns whether the variable holds a secret of the service. The names follow those that `cfw-api` reads.
fn is_secret(name: &str) -> bool {
    let prefixes = ["CFW_", "OS_", "HW_", "HUAWEICLOUD_SDK_"];
    let Some(rest) = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)) else {
        return false;
    };
    let words = ["TOKEN", "PASSWORD", "PASSCODE", "SECRET", "ACCESS_KEY"];
    words.iter().any(|word| rest.contains(word)) || ["AK", "SK"].contains(&rest)
}

async fn run(command: Command, groups: ProcessGroups, end: End, limit: Duration) -> Report {
    let mut printed = (Vec::new(), Vec::new());
    let problem = match is_within(limit, status(command, groups, &end.json, &mut printed)).await {
        Some(Ok(status)) if status.success() => None,
        Some(Ok(status)) => Some(status.to_string()),
        Some(Err(error)) => Some(error.to_string()),
        None => Some(format!("killed after {limit:?}")),
    };
    let printed = [printed.0, printed.1].concat();
    let printed = String::from_utf8_lossy(&printed);
    let lines = printed.lines().map(|line| printable(line.to_owned()));
    Report { id: Some(end.id), problem, lines: lines.collect() }
}

/// Runs the command, and appends what it prints.
async fn status(
    mut command: Command,
    groups: ProcessGroups,
    input: &[u8],
    printed: &mut (Vec<u8>, Vec<u8>),
) -> io::Result<ExitStatus> {
    let child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot start sh: {error}")))?;
    let mut group = Group::new(child, groups);
    let (stdin, stdout, stderr) =
        (group.child.stdin.take(), group.child.stdout.take(), group.child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // The command need not read its standard input.
            let _ = stdin.write_all(input).await;
        }
    };
    let read = async {
        tokio::join!(write, keep(stdout, &mut printed.0), keep(stderr, &mut printed.1));
    };
    let mut read = std::pin::pin!(read);
    let mut is_read = false;
    let status = loop {
        tokio::select! {
            status = group.child.wait() => break status?,
            () = &mut read, if !is_read => is_read = true,
        }
    };
    if !is_read {
        is_within(OUTPUT_GRACE, read).await;
    }
    group.has_ended = true;
    Ok(status)
}

/// Reads a stream to its end, and keeps its first bytes.
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let room = MAX_OUTPUT.saturating_sub(kept.len());
        kept.extend(buffer.iter().take(read.min(room)));
    }
}

/// A command and the processes that it started, which are killed when this is dropped before its end.
struct Group {
    child: Child,
    groups: ProcessGroups,
    /// The id of the group. `None` if the child ended at once.
    id: Option<u32>,
    has_ended: bool,
}

impl Group {
    fn new(child: Child, groups: ProcessGroups) -> Self {
        let id = child.id();
        id.into_iter().for_each(|id| groups.add(id));
        Self { child, groups, id, has_ended: false }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        self.groups.remove(id);
        if !self.has_ended {
            process_groups::kill(id);
        }
    }
}

/// Returns `None` if the future is not ready within the time.
async fn is_within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "bounds a command of the user's, not a wait")]
    tokio::time::timeout(limit, future).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(command: &str) -> Exec {
        Exec {
            command: command.to_owned(),
            keeps_secrets: false,
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            groups: ProcessGroups::default(),
        }
    }

    fn end(id: &str) -> End {
        let (id, json) = (id.to_owned(), b"{}\n".to_vec());
        End { id, outcome: "succeeded", exit: Exit::Succeeded, json }
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_killed() {
        let exec = exec("echo hello; sleep 60");
        let command = exec.prepare(&end("a"));
        let report = run(command, exec.groups.clone(), end("a"), Duration::from_millis(500)).await;
        assert_eq!(report.problem.as_deref(), Some("killed after 500ms"));
        assert_eq!(report.lines, ["hello"]);
    }

    #[tokio::test]
    async fn the_end_of_all_is_bounded() {
        let mut exec = exec("exec sleep 60");
        (0..20).for_each(|n| exec.add(end(&n.to_string())));
        let mut reports = Vec::new();
        exec.finish(Duration::from_millis(100), None, |report| reports.push(report)).await;
        let problems: Vec<_> = reports.iter().map(|report| report.problem.as_deref()).collect();
        assert_eq!(problems, [Some("stopped 20 runs before the end")]);
        assert_eq!(reports[0].id, None);
    }

    #[tokio::test]
    async fn all_runs_are_reported_if_there_is_time() {
        let mut exec = exec("exit 3");
        (0..20).for_each(|n| exec.add(end(&n.to_string())));
        let mut ids = Vec::new();
        exec.finish(EXIT_LIMIT, None, |report| {
            assert_eq!(report.problem.as_deref(), Some("exit status: 3"));
            ids.push(report.id.unwrap().parse::<u32>().unwrap());
        })
        .await;
        ids.sort_unstable();
        assert_eq!(ids, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "CFW_TOKEN",
            "OS_TOKEN",
            "OS_AUTH_TOKEN",
            "OS_PASSWORD",
            "OS_PASSCODE",
            "OS_ACCESS_KEY",
            "OS_SECRET_KEY",
            "OS_AK",
            "OS_SK",
            "OS_SECURITY_TOKEN",
            "OS_APPLICATION_CREDENTIAL_SECRET",
            "HW_ACCESS_KEY",
            "HW_SECRET_KEY",
            "HW_AUTH_TOKEN",
            "HW_SECURITY_TOKEN",
            "HW_USER_PASSWORD",
            "HUAWEICLOUD_SDK_AK",
            "HUAWEICLOUD_SDK_SK",
            "HUAWEICLOUD_SDK_SECURITY_TOKEN",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["CFW_ENDPOINT", "OS_CLOUD", "OS_USERNAME", "HOME", "SLACK_TOKEN", "OS_REGION"]
        {
            assert!(!is_secret(name), "{name}");
        }
    }
}

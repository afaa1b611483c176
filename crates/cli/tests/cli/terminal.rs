//! The live display, on a pseudo-terminal with its screen as text.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use cfw_simulator::{Fault, JobScript, Simulator};
use expect_test::expect_file;
use rustix::fs::OFlags;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::support::{Running, TIMEOUT, add, mask_text, ms, simulator, wait_command};

/// Opens a terminal, and returns its two ends: for the test, and for the command.
fn open_terminal(rows: u16, columns: u16) -> (OwnedFd, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    // A test process that leads a session must not get this terminal as its own.
    let slave = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(name.to_str().unwrap())
        .unwrap();
    (master, slave)
}

/// A terminal that is the standard error of a command.
pub(crate) struct Terminal {
    master: OwnedFd,
    pub(crate) child: Running,
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    written: Vec<u8>,
}

impl Terminal {
    pub(crate) fn start(command: Command, rows: u16, columns: u16) -> Self {
        Self::start_as("xterm-256color", command, rows, columns)
    }

    /// Starts a command on a terminal with a value of `TERM`.
    pub(crate) fn start_as(term: &str, mut command: Command, rows: u16, columns: u16) -> Self {
        let (master, slave) = open_terminal(rows, columns);
        command.env("TERM", term).stderr(slave);
        Self::start_on(master, command, rows, columns)
    }

    /// Starts a command that is given the terminal already.
    fn start_on(master: OwnedFd, mut command: Command, rows: u16, columns: u16) -> Self {
        let child = Running::start(&mut command);
        // Reading ends when the command, which holds the other end, has exited.
        drop(command);
        let mut reader = File::from(master.try_clone().unwrap());
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = |cells| NonZeroU16::new(cells).unwrap();
        let screen = vt100::Parser::new(size(rows), size(columns), 0);
        Self { master, child, screen, output, written: Vec::new() }
    }

    /// Waits until the screen contains `text`, perhaps wrapped between words.
    pub(crate) fn until(&mut self, text: &str) -> String {
        #[expect(clippy::disallowed_methods, reason = "redraws follow real time")]
        let start = Instant::now();
        loop {
            let shown = self.shown();
            let unwrapped = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            if shown.contains(text) || unwrapped.contains(text) {
                return shown;
            }
            match self.output.recv_timeout(TIMEOUT) {
                #[expect(clippy::disallowed_methods, reason = "redraws follow real time")]
                Ok(chunk) if start.elapsed() < TIMEOUT => self.process(&chunk),
                _ => panic!("no {text:?} on the screen:\n{shown}"),
            }
        }
    }

    /// Changes the size. The rows are cut, as those of xterm are.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        while let Ok(chunk) = self.output.try_recv() {
            self.process(&chunk);
        }
        tcsetwinsize(&self.master, size).unwrap();
        let size = |cells| NonZeroU16::new(cells).unwrap();
        self.screen.screen_mut().set_size(size(rows), size(columns));
    }

    /// Waits for the end. Returns the last screen, the exit code and all output.
    pub(crate) fn end(self) -> (String, Option<i32>, Vec<u8>) {
        let (screen, status, written) = self.end_status();
        (screen, status.code(), written)
    }

    fn end_status(mut self) -> (String, ExitStatus, Vec<u8>) {
        while let Ok(chunk) = self.output.recv() {
            self.process(&chunk);
        }
        (self.shown(), self.child.status(), self.written)
    }

    /// Waits for a frame.
    fn next_frame(&mut self) {
        let chunk = self.output.recv_timeout(TIMEOUT).unwrap();
        self.process(&chunk);
        self.settle();
    }

    /// Processes what is written within a few milliseconds.
    fn settle(&mut self) {
        while let Ok(chunk) = self.output.recv_timeout(ms(20)) {
            self.process(&chunk);
        }
    }

    /// Returns the screen by rows. vt100 would join a row that is full with the next one.
    fn shown(&self) -> String {
        let screen = self.screen.screen();
        let rows: Vec<_> = screen.rows(0, screen.size().1.get()).collect();
        let rows: Vec<_> = rows.iter().map(|row| row.trim_end()).collect();
        format!("{}\n", rows.join("\n").trim_end())
    }

    fn process(&mut self, chunk: &[u8]) {
        self.screen.process(chunk);
        self.written.extend_from_slice(chunk);
    }
}

#[test]
fn each_job_has_a_row_and_a_permanent_final_line() {
    let sim = simulator();
    for id in ["create-firewall", "protect-eip", "create-east-west", "flow-logs"] {
        add(&sim, id, JobScript::never().error("CFW.00600003", "no available flavor"));
    }
    sim.fail_polls("flow-logs", vec![Fault::unavailable(); 1000]);
    let ids = ["create-firewall", "protect-eip", "create-east-west", "flow-logs"];
    let mut terminal = Terminal::start(wait_command(&sim, &ids), 24, 130);
    terminal.until("3 running, 1 without a status");
    terminal.until("! flow-logs");
    sim.fail("create-east-west");
    terminal.until("✗ create-east-west");
    sim.finish("protect-eip");
    terminal.until("✓ protect-eip");
    let screen = terminal.until("1 failed, 1 running, 1 without a status");
    expect_file!["../screens/rows.txt"].assert_eq(&mask_text(&screen));

    sim.finish("create-firewall");
    terminal.until("✓ create-firewall");
    sim.clear_faults();
    terminal.until("1 failed, 1 running");
    sim.finish("flow-logs");
    let (screen, code, _) = terminal.end();
    assert_eq!(code, Some(1));
    expect_file!["../screens/end.txt"].assert_eq(&mask_text(&screen));
}

#[test]
fn more_than_twenty_jobs_share_one_row() {
    let sim = simulator();
    let ids: Vec<_> = (0..30).map(|n| format!("job-{n}")).collect();
    ids.iter().for_each(|id| add(&sim, id, JobScript::never()));
    let args: Vec<_> = ids.iter().map(String::as_str).collect();
    let mut terminal = Terminal::start(wait_command(&sim, &args), 24, 80);
    let screen = terminal.until("30 jobs: 30 running");
    assert_eq!(mask_text(&screen), "░░░░░░░░░░░░░░░░░░░░  N jobs: N running  N:N  N polls\n");
    ids[..8].iter().for_each(|id| assert!(sim.finish(id)));
    assert!(sim.fail("job-8"));
    terminal.until("✗ job-8  failed with status Failed");
    let screen = terminal.until("30 jobs: 8 succeeded, 1 failed, 21 running");
    // From 100 polls on, as on a busy machine, the bar is a cell shorter.
    assert!(screen.contains("█████") && screen.contains("░░░░░░░░░░░░░░"), "{screen}");
    assert!(!screen.contains('✓'), "a success is counted only:\n{screen}");
    assert!(sim.fail("job-9"));
    let screen = terminal.until("20 running");
    assert!(screen.contains(" job-29  Running"), "twenty jobs have rows again:\n{screen}");
    terminal.child.interrupt();
    assert_eq!(terminal.end().1, Some(130));
}

#[test]
fn the_last_end_is_shown_while_commands_run() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let command = wait_command(&sim, &["--exec", "sleep 60", "a"]);
    let mut terminal = Terminal::start(command, 10, 60);
    let screen = terminal.until("✓ a  Success");
    assert!(!screen.contains("polling"), "{screen}");
    terminal.child.interrupt();
    let (screen, code, _) = terminal.end();
    assert_eq!(code, Some(0));
    assert!(screen.contains("stopped 1 run before the end"), "{screen}");
}

#[test]
fn ids_are_cut_in_a_narrow_terminal_and_times_are_not() {
    let sim = simulator();
    let ids = ["6f1d2c1e-0b7a-4a58-9f6e-1d2f3a4b5c6d", "77777777-0b7a-4a58-9f6e-1d2f3a4b5c6d"];
    ids.iter().for_each(|id| add(&sim, id, JobScript::never()));
    let mut terminal = Terminal::start(wait_command(&sim, &ids), 10, 40);
    let screen = terminal.until("2 jobs: 2 running");
    assert_eq!(
        mask_text(&screen),
        "* NfNdNcNe-NbNa-NaN…  Running      N:N\n\
         * N-NbNa-NaN…  Running      N:N\n  N jobs: N running  N:N  N polls\n"
    );
    terminal.child.interrupt();
    assert_eq!(terminal.end().1, Some(130));
}

#[test]
fn an_interrupt_restores_the_terminal() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    add(&sim, "b", JobScript::never());
    let mut terminal = Terminal::start(wait_command(&sim, &["a", "b"]), 12, 80);
    let before = tcgetattr(&terminal.master).unwrap();
    terminal.until("2 jobs: 2 running");
    terminal.child.interrupt();
    terminal.until("not finished: b (Running)");
    let after = tcgetattr(&terminal.master).unwrap();
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    let shown = terminal.screen.screen();
    assert!(!shown.hide_cursor() && !shown.alternate_screen());
    assert_eq!(shown.cursor_position().1, 0, "the prompt is on a new line");
    let (screen, code, _) = terminal.end();
    assert_eq!(code, Some(130));
    expect_file!["../screens/interrupted.txt"].assert_eq(&mask_text(&screen));
}

#[test]
fn colours_depend_on_no_color() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    for (name, value, expected) in [("TERM_PROGRAM", "x", true), ("NO_COLOR", "1", false)] {
        let mut command = wait_command(&sim, &["a"]);
        command.env(name, value);
        let (screen, _, written) = Terminal::start(command, 10, 80).end();
        assert!(screen.contains("✓ a  Success after"), "{screen}");
        let is_coloured = written.windows(5).any(|bytes| bytes == b"\x1b[32m");
        assert_eq!(is_coloured, expected, "{name}");
    }
}

#[test]
fn plain_lines_on_request_or_with_verbose() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    for args in [&["--no-progress", "a"][..], &["-v", "a"]] {
        let (screen, code, _) = Terminal::start(wait_command(&sim, args), 10, 120).end();
        assert!(mask_text(&screen).contains("[ N:N] a  Success after"), "{screen}");
        assert_eq!(code, Some(0));
    }
}

#[test]
fn an_outage_names_its_cause_first_and_its_end_at_all_sizes() {
    for (rows, columns, name) in [(24, 80, "outage-80x24"), (15, 40, "outage-40x15")] {
        // Nothing listens here, and later the simulator does.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ids = ["create-firewall", "6f1d2c1e-0b7a-4a58-9f6e-1d2f3a4b5c6d"];
        let probe = simulator();
        let mut command = wait_command(&probe, &ids);
        command.env("CFW_ENDPOINT", format!("http://127.0.0.1:{port}"));
        let mut terminal = Terminal::start(command, rows, columns);
        terminal.until("still trying");
        terminal.until("2 without a status 0:01");
        let sim = Simulator::builder().port(port).start_on_thread().unwrap();
        ids.iter().for_each(|id| add(&sim, id, JobScript::never()));
        terminal.until("succeed again");
        let screen = terminal.until("2 running");
        let masked = mask_text(&screen);
        expect_file![format!("../screens/{name}.txt")].assert_eq(&masked);
        sim.finish(ids[0]);
        terminal.until("1 succeeded, 1 running");
        sim.fail(ids[1]);
        let (screen, code, _) = terminal.end();
        assert_eq!(code, Some(1));
        expect_file![format!("../screens/{name}-end.txt")].assert_eq(&mask_text(&screen));
    }
}

#[test]
fn a_window_that_changes_its_size_keeps_no_stale_rows() {
    let sim = simulator();
    let ids = ["6f1d2c1e-0b7a-4a58-9f6e-1d2f3a4b5c6d", "a", "b"];
    ids.iter().for_each(|id| add(&sim, id, JobScript::never()));
    let mut terminal = Terminal::start(wait_command(&sim, &ids), 24, 100);
    terminal.until("3 running");
    assert!(sim.finish("b"));
    terminal.until("1 succeeded, 2 running");
    for (rows, columns) in [(24, 50), (10, 40), (12, 44), (24, 120)] {
        terminal.resize(rows, columns);
        let id = ids[0].get(..9).unwrap();
        // A frame may still be drawn for the old size.
        terminal.next_frame();
        terminal.next_frame();
        let screen = terminal.until("2 running");
        assert_eq!(screen.matches(id).count(), 1, "{columns} columns:\n{screen}");
        assert_eq!(screen.matches("3 jobs: ").count(), 1, "{columns} columns:\n{screen}");
        assert_eq!(screen.matches("✓ b").count(), 1, "{columns} columns:\n{screen}");
    }
    terminal.child.interrupt();
    assert_eq!(terminal.end().1, Some(130));
}

#[test]
fn a_terminal_without_utf_8_gets_ascii() {
    let sim = simulator();
    add(&sim, "good", JobScript::never());
    add(&sim, "bad", JobScript::never());
    let mut command = wait_command(&sim, &["good", "bad"]);
    command.env("LANG", "C");
    let mut terminal = Terminal::start(command, 24, 80);
    terminal.until("2 running");
    sim.fail("bad");
    terminal.until("x bad");
    sim.finish("good");
    let (screen, _, written) = terminal.end();
    assert!(screen.contains("+ good  Success after"), "{screen}");
    assert!(written.is_ascii());
}

#[test]
fn dumb_terminals_and_those_of_ci_get_plain_lines() {
    for (term, ci) in [("dumb", ""), ("xterm-256color", "true")] {
        let sim = simulator();
        add(&sim, "a", JobScript::never());
        let mut command = wait_command(&sim, &["--heartbeat=200ms", "a"]);
        command.env("CI", ci).env("NO_COLOR", "1");
        let mut terminal = Terminal::start_as(term, command, 24, 80);
        terminal.until("1 job: 1 running; a for 0.");
        sim.finish("a");
        let (screen, code, written) = terminal.end();
        assert_eq!(code, Some(0));
        assert!(!written.contains(&0x1b), "no escapes");
        let lines: Vec<_> = screen.lines().map(mask_text).collect();
        assert_eq!(lines[0], "[ N:N] a  Running");
        assert_eq!(lines.last().unwrap(), "[ N:N] a  Success after N.Ns (N polls)");
    }
}

#[test]
fn a_job_of_a_shell_is_stopped_without_its_rows_and_goes_on_below() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    add(&sim, "b", JobScript::never());
    let reason = "a reason that fills the row";
    add(&sim, "c", JobScript::fails_after(ms(0)).error("CFW.1", reason));
    let mut command = wait_command(&sim, &["a", "b", "c"]);
    // As a shell with job control does.
    command.process_group(0);
    let mut terminal = Terminal::start(command, 12, 80);
    terminal.until("2 running");
    terminal.child.signal(Signal::TSTP);
    let status = format!("/proc/{}/stat", terminal.child.id());
    let is_stopped =
        || std::fs::read_to_string(&status).is_ok_and(|status| status.contains(") T "));
    for _ in 0..TIMEOUT.as_millis() {
        if is_stopped() || !terminal.child.is_running() {
            break;
        }
        terminal.settle();
    }
    if !terminal.child.is_running() {
        let (screen, status, written) = terminal.end_status();
        panic!("{status}\n{screen}\n{}", written.escape_ascii());
    }
    assert!(is_stopped());
    terminal.settle();
    let end = "✗ c  failed with status Failed after N.Ns (N poll): CFW.N: a reason that fills\n    \
               the row\n";
    assert_eq!(mask_text(&terminal.shown()), end, "no rows");
    terminal.screen.process(b"[1]+  Stopped\r\n$ fg\r\n");
    terminal.child.signal(Signal::CONT);
    let screen = terminal.until("2 running");
    let expected = "[N]+  Stopped\n$ fg\n* a  Running      N:N  next poll in Ns\n\
                    * b  Running      N:N  next poll in Ns\n  N jobs: N failed, N running  N:N  N polls\n";
    assert_eq!(mask_text(&screen), format!("{end}{expected}"));
    // The rows fit, and the line above what the shell wrote does not.
    terminal.resize(12, 60);
    sim.finish("b");
    let screen = terminal.until("b  Success");
    assert!(screen.contains("]+  Stopped\n$ fg\n✓ b"), "{screen}");
    terminal.child.interrupt();
    assert_eq!(terminal.end().1, Some(130));
}

/// A process in a PID namespace sees 0 as the session and the groups that began outside of it.
#[test]
fn a_job_in_a_container_whose_session_is_outside_is_stopped_without_its_rows() {
    let namespace = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let probe = Command::new("unshare").args(namespace).arg("true").output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine allows no PID namespaces");
        return;
    }
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    let wait = wait_command(&sim, &["a"]);
    let mut command = Command::new("unshare");
    // The first process of a namespace cannot be stopped from within.
    command.args(namespace).args(["sh", "-c", "\"$@\"; exit $?", "sh"]);
    command.arg(wait.get_program()).args(wait.get_args());
    let variables = wait.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(variables).env("PATH", "/usr/bin:/bin").process_group(0);
    let mut terminal = Terminal::start(command, 12, 80);
    terminal.until("a  Running");
    terminal.child.signal_group(Signal::TSTP);
    while terminal.shown().contains("Running") {
        terminal.next_frame();
    }
    assert_eq!(terminal.shown(), "\n");
    terminal.child.signal_group(Signal::CONT);
    terminal.until("a  Running");
    sim.finish("a");
    let (screen, code, _) = terminal.end();
    assert!(code == Some(0) && screen.contains("a  Success after"), "{code:?} {screen}");
}

#[test]
fn a_job_of_a_shell_in_the_background_draws_nothing_anew() {
    let sim = simulator();
    for id in ["a", "b", "c"] {
        add(&sim, id, JobScript::never());
    }
    let (master, slave) = open_terminal(12, 80);
    let wait = wait_command(&sim, &["a", "b", "c"]);
    // The shell has the terminal. Its job is in a group of its own.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "bash", "-c", "set -m; \"$@\" & wait $!", "bash"]);
    command.arg(wait.get_program()).args(wait.get_args());
    let variables = wait.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.env_clear().envs(variables).env("TERM", "xterm").env("PATH", "/usr/bin:/bin");
    command.stdin(slave.try_clone().unwrap()).stderr(slave);
    let mut terminal = Terminal::start_on(master, command, 12, 80);
    assert!(sim.finish("a"));
    terminal.until("a  Success after");
    terminal.screen.process(b"$ echo typed\r\n");
    terminal.resize(12, 25);
    assert!(sim.finish("b"));
    let screen = terminal.until("b  Success");
    assert!(screen.contains("$ echo typed\n"), "{screen}");
    assert!(!screen.contains("running"), "{screen}");
    assert!(sim.finish("c"));
    let (screen, code, _) = terminal.end();
    assert!(code == Some(0) && screen.contains("3 succeeded"), "{code:?} {screen}");
}

#[test]
fn ids_that_are_typed_get_plain_lines() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let (keyboard, slave) = open_terminal(24, 80);
    let mut keyboard = File::from(keyboard);
    let mut command = wait_command(&sim, &["-"]);
    command.stdin(slave);
    let mut terminal = Terminal::start(command, 24, 80);
    keyboard.write_all(b"a\n").unwrap();
    terminal.until("a  Success after");
    keyboard.write_all(b"\x04").unwrap();
    let (screen, code, written) = terminal.end();
    assert_eq!((&*mask_text(&screen), code), ("[ N:N] a  Success after N.Ns (N poll)\n", Some(0)));
    assert!(!written.windows(3).any(|bytes| bytes == b"\x1b[K"), "{}", written.escape_ascii());
}

//! Output: JSON for programs on standard output, text for people on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use cfw_waiter::{Eta, JobId, Update, UpdateKind};

use crate::args::{Format, OutputArgs};
use crate::exec;
use crate::input::BadLine;
use crate::screen::Screen;
use crate::style::{self, Style, Styles};
use crate::summary::{Reason, Summary};
use crate::text::printable;
use crate::trouble::Notice;
use crate::{client, describe, json, state, streams};

/// What follows a report that an earlier run may have made.
const AGAIN: &str = " (again: an earlier run may have reported it)";

/// Writes updates and the summary in the formats that the flags select.
pub(crate) struct Output {
    is_json: bool,
    is_closed: bool,
    human: HumanOutput,
    heartbeat: Option<Duration>,
}

enum HumanOutput {
    /// Prints errors only.
    Quiet(Styles),
    Lines(Styles),
    Screen(Screen),
}

impl Output {
    /// Selects the formats by the flags, the environment and whether standard error is a terminal.
    pub(crate) fn new(args: &OutputArgs) -> Self {
        let is_json = args.output == Format::Json;
        let styles =
            Styles { has_colours: has_colours(), signs: style::signs(client::environment) };
        // JSON and text would mix on one screen.
        let is_shared = is_json && io::stdout().is_terminal() && io::stderr().is_terminal();
        let is_plain =
            args.no_progress || args.verbose > 0 || !style::can_redraw(client::environment);
        let human = if args.quiet || is_shared {
            HumanOutput::Quiet(styles)
        } else if is_plain {
            HumanOutput::Lines(styles)
        } else {
            Screen::new(styles).map_or(HumanOutput::Lines(styles), HumanOutput::Screen)
        };
        Self { is_json, is_closed: false, human, heartbeat: args.heartbeat() }
    }

    /// Writes an update. `kind` is the kind of the job, if the user named one, and `eta` says when it is likely to end.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written. A closed standard error is ignored.
    pub(crate) fn update(
        &mut self,
        update: &Update,
        kind: Option<&str>,
        eta: Option<Eta>,
    ) -> io::Result<()> {
        match &mut self.human {
            HumanOutput::Screen(screen) => screen.update(update),
            HumanOutput::Lines(styles) => print_update(*styles, update),
            HumanOutput::Quiet(styles) => {
                if matches!(update.kind, UpdateKind::Ended(Err(_))) {
                    print_update(*styles, update);
                }
            }
        }
        if self.is_json { json::write_update(update, kind, eta) } else { Ok(()) }
    }

    /// Writes the begin or the end of trouble, or that a job is overdue. `now` is the run time of the command. People do not need the end
    /// of trouble of the job `updated`, whose own update comes next.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written.
    pub(crate) fn notice(
        &mut self,
        notice: &Notice,
        kind: Option<&str>,
        now: Duration,
        updated: Option<&JobId>,
    ) -> io::Result<()> {
        match &mut self.human {
            _ if updated.is_some_and(|id| notice.is_recovery_of(id)) => {}
            HumanOutput::Screen(screen) => screen.notice(notice),
            HumanOutput::Lines(styles) => {
                let (style, label, text) = describe::notice(notice);
                let text = styles.apply(style, &text);
                print_error(&describe::log_line(now, &label, &text));
            }
            HumanOutput::Quiet(_) => {}
        }
        if self.is_json { json::write_notice(notice, kind) } else { Ok(()) }
    }

    /// Writes no more JSON, because the reader of standard output has closed it.
    pub(crate) fn stop_json(&mut self) {
        self.is_json = false;
        self.is_closed = true;
    }

    /// Returns whether the reader of standard output has closed it. What is written from then on is lost.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Reports a line of the input that does not describe a job. `is_again` says that an earlier run may have reported it.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written.
    pub(crate) fn rejected(&mut self, line: &BadLine, is_again: bool) -> io::Result<()> {
        let BadLine { path, number, problem } = line;
        let path = path.as_deref().unwrap_or("standard input");
        let again = if is_again { AGAIN } else { "" };
        self.line(printable(format!("cfw-wait: line {number} of {path}: {problem}{again}")));
        if self.is_json { json::write_rejected(line, is_again) } else { Ok(()) }
    }

    /// Says what a state file holds of earlier runs.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written.
    pub(crate) fn resumed(
        &mut self,
        file: &Path,
        unfinished: usize,
        ended: usize,
    ) -> io::Result<()> {
        if !matches!(self.human, HumanOutput::Quiet(_)) {
            self.line(format!("cfw-wait: {}", resumed(file, unfinished, ended)));
        }
        if self.is_json { json::write_resumed(unfinished, ended) } else { Ok(()) }
    }

    /// Writes an end that an earlier run may have reported. `line` is its line of JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written.
    pub(crate) fn again(
        &mut self,
        id: &str,
        is_success: bool,
        report: &state::Report,
        line: &[u8],
    ) -> io::Result<()> {
        let text = printable(format!("{}{AGAIN}", report.text));
        let style = if is_success { Style::Success } else { Style::Error };
        match &mut self.human {
            HumanOutput::Screen(screen) => screen.end(style, is_success, id, &text),
            HumanOutput::Quiet(_) if is_success => {}
            HumanOutput::Lines(styles) | HumanOutput::Quiet(styles) => {
                let elapsed = Duration::from_millis(report.elapsed_ms);
                print_error(&describe::log_line(elapsed, id, &styles.apply(style, &text)));
            }
        }
        if self.is_json { json::write_again(line) } else { Ok(()) }
    }

    /// Returns the live display, if there is one.
    pub(crate) fn screen(&mut self) -> Option<&mut Screen> {
        match &mut self.human {
            HumanOutput::Screen(screen) => Some(screen),
            HumanOutput::Lines(_) | HumanOutput::Quiet(_) => None,
        }
    }

    /// Returns the time between two lines that say how the run stands, if there are such lines.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat.filter(|_| matches!(self.human, HumanOutput::Lines(_)))
    }

    /// Draws the lines that were not drawn yet, if there is a live display, and removes its block.
    pub(crate) fn draw_lines(&mut self) {
        if let Some(screen) = self.screen() {
            screen.clear();
        }
    }

    /// Writes the summary.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written.
    pub(crate) fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        // The end of the only job has been printed, and the summary would repeat it.
        let is_redundant = summary.progress.total() == 1
            && summary.unfinished.is_empty()
            && summary.earlier == 0
            && summary.rejected == 0;
        let mut lines = if is_redundant { Vec::new() } else { describe::summary(summary) };
        // Another end was asked for, or the user knows why.
        if matches!(summary.reason, Reason::AllEnded | Reason::FirstFailure) {
            lines.extend(summary.failures.hint().map(|hint| format!("hint: {hint}")));
        }
        match &mut self.human {
            HumanOutput::Screen(screen) => {
                if matches!(summary.reason, Reason::Interrupted(_)) {
                    screen.leave();
                }
                lines.into_iter().for_each(|line| screen.line(line));
                screen.clear();
            }
            HumanOutput::Lines(_) => lines.iter().for_each(|line| print_error(line)),
            HumanOutput::Quiet(_) => {}
        }
        if !self.is_json {
            return Ok(());
        }
        match json::write_summary(summary) {
            // The exit code is already known, and does not depend on the reader.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Reports a run of `--exec`. If the output is quiet, only a failed one.
    pub(crate) fn exec(&mut self, report: &exec::Report) {
        if report.problem.is_none() && matches!(self.human, HumanOutput::Quiet(_)) {
            return;
        }
        let id = report.id.as_ref().map_or_else(String::new, |id| format!(" {id}"));
        for line in &report.lines {
            self.line(format!("--exec{id}: {line}"));
        }
        if let Some(problem) = &report.problem {
            self.line(format!("cfw-wait: --exec{id}: {problem}"));
        }
    }

    /// Prints a line to standard error, also if the output is quiet.
    pub(crate) fn line(&mut self, line: String) {
        match &mut self.human {
            HumanOutput::Screen(screen) => screen.line(line),
            HumanOutput::Lines(_) | HumanOutput::Quiet(_) => print_error(&line),
        }
    }
}

/// Describes what a state file holds of earlier runs.
fn resumed(file: &Path, unfinished: usize, ended: usize) -> String {
    let file = printable(file.display().to_string());
    format!("going on with {file}: {}, {ended} ended before", format_unfinished(unfinished))
}

fn format_unfinished(jobs: usize) -> String {
    match jobs {
        1 => "1 job is unfinished".to_owned(),
        _ => format!("{jobs} jobs are unfinished"),
    }
}

/// Writes a warning to standard error as one line, whatever it names.
pub(crate) fn print_warning(message: &str) {
    print_error(&printable(format!("cfw-wait: warning: {message}")));
}

/// Writes a line to standard error. If it is closed, the error cannot be reported.
pub(crate) fn print_error(line: &str) {
    let _ = streams::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Returns whether standard error is a terminal with colours, and `NO_COLOR` is not set.
pub(crate) fn has_colours() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

fn print_update(styles: Styles, update: &Update) {
    if let Some((style, text)) = describe::update(update) {
        let text = styles.apply(style, &text);
        print_error(&describe::log_line(update.elapsed, update.id.as_str(), &text));
    }
}

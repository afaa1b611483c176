//! Output: JSON for programs on standard output, text for people on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use cfw_waiter::{Stats, Update, UpdateKind, Watch};

use crate::args::{Format, OutputArgs};
use crate::exec;
use crate::input::BadLine;
use crate::json;
use crate::screen::Screen;
use crate::summary::{FailureCounts, Reason, Summary};
use crate::text::{self, Styles};

/// Writes updates and the summary in the formats that the flags select.
pub(crate) struct Output {
    is_json: bool,
    human: HumanOutput,
}

enum HumanOutput {
    /// Prints errors only.
    Quiet(Styles),
    Lines(Styles),
    Screen(Screen),
}

impl Output {
    /// Selects the formats by the flags and by whether standard error is a terminal.
    pub(crate) fn new(args: &OutputArgs) -> Self {
        let is_json = args.output == Format::Json;
        let styles = Styles { has_colours: has_colours() };
        // JSON and text would mix on one screen.
        let is_shared = is_json && io::stdout().is_terminal() && io::stderr().is_terminal();
        let human = if args.quiet || is_shared {
            HumanOutput::Quiet(styles)
        } else if args.no_progress || args.verbose > 0 {
            HumanOutput::Lines(styles)
        } else {
            Screen::new(styles).map_or(HumanOutput::Lines(styles), HumanOutput::Screen)
        };
        Self { is_json, human }
    }

    /// Writes an update. `kind` is the kind of the job, if the user named one.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written. A closed standard error is ignored.
    pub(crate) fn update(&mut self, update: &Update, kind: Option<&str>) -> io::Result<()> {
        match &mut self.human {
            HumanOutput::Screen(screen) => screen.update(update),
            HumanOutput::Lines(styles) => print_update(*styles, update),
            HumanOutput::Quiet(styles) => {
                if matches!(update.kind, UpdateKind::Ended(Err(_))) {
                    print_update(*styles, update);
                }
            }
        }
        if self.is_json { json::write_update(update, kind) } else { Ok(()) }
    }

    /// Writes no more JSON, because the reader of standard output has closed it.
    pub(crate) fn stop_json(&mut self) {
        self.is_json = false;
    }

    /// Reports a line of the input that does not describe a job.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written.
    pub(crate) fn rejected(&mut self, line: &BadLine) -> io::Result<()> {
        let path = line.path.as_deref().unwrap_or("standard input");
        self.line(format!("cfw-wait: line {} of {path}: {}", line.number, line.problem));
        if self.is_json { json::write_rejected(line) } else { Ok(()) }
    }

    /// Returns whether [`draw`](Self::draw) has an effect.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.human, HumanOutput::Screen(_))
    }

    /// Redraws the live display, if there is one.
    pub(crate) fn draw(
        &mut self,
        watch: &Watch,
        failures: &FailureCounts,
        stats: &Stats,
        elapsed: Duration,
    ) {
        if let HumanOutput::Screen(screen) = &mut self.human {
            screen.draw(watch, failures, stats, elapsed);
        }
    }

    /// Writes the summary.
    ///
    /// # Errors
    ///
    /// Returns an error if standard output cannot be written.
    pub(crate) fn finish(self, summary: &Summary) -> io::Result<()> {
        let is_interrupted = matches!(summary.reason, Reason::Interrupted(_));
        let is_quiet = matches!(self.human, HumanOutput::Quiet(_));
        if let HumanOutput::Screen(screen) = self.human {
            if is_interrupted { screen.leave() } else { screen.clear() }
        }
        // The end of the only job has been printed, and the summary would repeat it.
        let is_redundant = summary.progress.total() == 1 && summary.unfinished.is_empty();
        if !is_quiet && !is_redundant {
            text::summary_lines(summary).iter().for_each(|line| print_error(line));
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

/// Writes a line to standard error. If it is closed, the error cannot be reported.
pub(crate) fn print_error(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Returns whether standard error is a terminal with colours, and `NO_COLOR` is not set.
pub(crate) fn has_colours() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

fn print_update(styles: Styles, update: &Update) {
    if let Some((style, text)) = text::describe_update(update) {
        let clock = text::format_clock(update.elapsed);
        print_error(&format!("[{clock:>5}] {}  {}", update.id, styles.apply(style, &text)));
    }
}

//! Where news go: to a program on standard output, to a person on standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use cfw_waiter::{Stats, Update, UpdateKind, Watch};

use crate::args::{Format, ShowArgs};
use crate::input::BadLine;
use crate::json;
use crate::screen::Screen;
use crate::summary::{Reason, Summary};
use crate::words::{self, Paint};

/// Whoever listens.
pub(crate) struct Output {
    is_json: bool,
    people: People,
}

enum People {
    /// Hears of what went wrong only.
    Quiet(Paint),
    Lines(Paint),
    Screen(Screen),
}

impl Output {
    /// Chooses by the flags, and by whether there is a terminal.
    pub(crate) fn new(args: &ShowArgs) -> Self {
        let is_json = args.output == Format::Json;
        let paint = Paint(colours());
        // Two kinds of lines on one screen are of use to nobody.
        let is_shared = is_json && io::stdout().is_terminal() && io::stderr().is_terminal();
        let people = if args.quiet || is_shared {
            People::Quiet(paint)
        } else if args.no_progress || args.verbose > 0 {
            People::Lines(paint)
        } else {
            Screen::new(paint).map_or(People::Lines(paint), People::Screen)
        };
        Self { is_json, people }
    }

    /// Tells a piece of news.
    ///
    /// # Errors
    ///
    /// If standard output cannot be written. Whether standard error can be is nobody's concern: the job
    /// is to wait.
    pub(crate) fn update(&mut self, update: &Update) -> io::Result<()> {
        match &mut self.people {
            People::Screen(screen) => screen.update(update),
            People::Lines(paint) => tell(*paint, update),
            People::Quiet(paint) => {
                if matches!(update.kind, UpdateKind::Ended(Err(_))) {
                    tell(*paint, update);
                }
            }
        }
        if self.is_json { json::write_update(update) } else { Ok(()) }
    }

    /// Tells that a line of standard input is no id.
    ///
    /// # Errors
    ///
    /// If standard output cannot be written.
    pub(crate) fn rejected(&mut self, line: &BadLine) -> io::Result<()> {
        let text = format!("cfw-wait: line {} of standard input: {}", line.number, line.problem);
        self.line(text);
        if self.is_json { json::write_rejected(line) } else { Ok(()) }
    }

    /// Whether [`draw`](Self::draw) shows anything.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.people, People::Screen(_))
    }

    /// Shows how things stand.
    pub(crate) fn draw(&mut self, watch: &Watch, stats: &Stats, elapsed: Duration) {
        if let People::Screen(screen) = &mut self.people {
            screen.draw(watch, stats, elapsed);
        }
    }

    /// Tells how it came out.
    ///
    /// # Errors
    ///
    /// If standard output cannot be written.
    pub(crate) fn finish(self, summary: &Summary) -> io::Result<()> {
        let is_interrupted = summary.reason == Reason::Interrupted;
        let is_quiet = matches!(self.people, People::Quiet(_));
        if let People::Screen(screen) = self.people {
            if is_interrupted { screen.abandon() } else { screen.close() }
        }
        // One job that ended has said it all.
        let is_told = summary.progress.total() == 1 && summary.unfinished.is_empty();
        if !is_quiet && !is_told {
            words::summary(summary).iter().for_each(|line| print_error(line));
        }
        if !self.is_json {
            return Ok(());
        }
        match json::write_summary(summary) {
            // The verdict is known and stands, whether or not somebody reads it here.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Says a line to people in any case.
    pub(crate) fn line(&mut self, line: String) {
        match &mut self.people {
            People::Screen(screen) => screen.line(line),
            People::Lines(_) | People::Quiet(_) => print_error(&line),
        }
    }
}

/// Writes a line to standard error. If it is closed there is nobody to tell.
pub(crate) fn print_error(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether standard error takes colours: a terminal, and no `NO_COLOR`.
pub(crate) fn colours() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

fn tell(paint: Paint, update: &Update) {
    if let Some((tone, text)) = words::news(update) {
        let clock = words::clock(update.elapsed);
        print_error(&format!("[{clock:>5}] {}  {}", update.id, paint.paint(tone, &text)));
    }
}

//! The live display of a terminal: a block of lines at its end that is drawn anew, and above it the
//! lines that stay.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cfw_waiter::{ErrorClass, JobView, Progress, Stats, Update, UpdateKind, Watch};
use console::{Term, measure_text_width, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::words::{self, Paint, Tone};

/// Every draw comes from [`Screen::draw`], one per call, so this is how often the screen can change.
pub(crate) const REDRAW: Duration = Duration::from_millis(125);

/// More jobs than this are told as numbers.
const MOST_ROWS: usize = 20;

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

pub(crate) struct Screen {
    bar: ProgressBar,
    /// What the bar shows. Set apart from it, because it would draw at each change otherwise.
    frame: Arc<Mutex<String>>,
    term: Term,
    paint: Paint,
    /// Lines that stay, until they are drawn.
    lines: Vec<String>,
    /// The class of trouble that was told last and has not passed: an outage hits all jobs alike,
    /// and a line for each would say nothing more.
    told: Option<ErrorClass>,
    is_folded: bool,
    /// How much room the ids of the rows take, so that the lines above them align.
    id_width: usize,
    drawn: usize,
}

impl Screen {
    /// None where there is no terminal that can show it.
    pub(crate) fn new(paint: Paint) -> Option<Self> {
        let target = ProgressDrawTarget::stderr_with_hz(10);
        if target.is_hidden() {
            return None;
        }
        let frame = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&frame);
        let style = ProgressStyle::with_template("{frame}").ok()?.with_key(
            "frame",
            move |_: &_, out: &mut dyn std::fmt::Write| {
                // Writing to indicatif's string cannot fail.
                let _ = out.write_str(&shown.lock().unwrap_or_else(PoisonError::into_inner));
            },
        );
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        Some(Self {
            bar,
            frame,
            term: Term::stderr(),
            paint,
            lines: Vec::new(),
            told: None,
            is_folded: false,
            id_width: 0,
            drawn: 0,
        })
    }

    /// Takes in a piece of news; the next draw shows it.
    pub(crate) fn update(&mut self, update: &Update) {
        match &update.kind {
            UpdateKind::Trouble(error) => {
                let is_new = self.told.is_none_or(|told| {
                    std::mem::discriminant(&told) != std::mem::discriminant(&error.class())
                });
                self.told = Some(error.class());
                if is_new {
                    // The service's words can be long, and all is well so far.
                    let line = self.final_line("!", update);
                    let width = usize::from(self.term.size().1);
                    self.lines
                        .extend(line.map(|line| truncate_str(&line, width, "…").into_owned()));
                }
            }
            // Of hundreds of jobs only those that need somebody are worth a line.
            UpdateKind::Ended(Ok(_)) if self.is_folded => {}
            UpdateKind::Ended(Ok(_)) => self.lines.extend(self.final_line("✓", update)),
            UpdateKind::Ended(Err(_)) => self.lines.extend(self.final_line("✗", update)),
            _ => {}
        }
    }

    /// Adds a line that stays.
    pub(crate) fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Shows how things stand.
    pub(crate) fn draw(&mut self, watch: &Watch, stats: &Stats, elapsed: Duration) {
        let (height, width) = self.term.size();
        let progress = watch.progress();
        // One row is for the sum, and one for the line where the user will type.
        let rows = MOST_ROWS.min(usize::from(height).saturating_sub(2));
        self.is_folded = progress.live() > rows;
        let mut block = Vec::new();
        if self.is_folded {
            block.push(self.bar_line(progress, stats, elapsed));
        } else {
            let jobs = watch.jobs();
            if jobs.iter().all(|job| job.trouble.is_none()) {
                self.told = None;
            }
            let widest = jobs.iter().map(|job| measure_text_width(job.report.id.as_str())).max();
            // Never narrower than before: rows and lines that stay keep their columns as jobs end.
            self.id_width = self.id_width.max(widest.unwrap_or(0)).min(usize::from(width) / 2);
            block.extend(jobs.iter().map(|job| self.row(job)));
            if progress.total() != 1 {
                block.push(self.sum_line(progress, stats, elapsed));
            }
        }
        self.drawn = self.drawn.wrapping_add(1);
        for line in &mut block {
            *line = truncate_str(line, usize::from(width), "…").into_owned();
        }
        self.show(block.join("\n"));
    }

    /// Takes the block away; what stays, stays.
    pub(crate) fn close(mut self) {
        self.show(String::new());
        self.bar.finish_and_clear();
    }

    /// Leaves the block as it is and goes on below it.
    ///
    /// The terminal has most likely echoed `^C` after the block, and nobody can tell where the cursor is
    /// now: drawing would miss. The last frame is worth keeping, too.
    pub(crate) fn abandon(mut self) {
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        let _ = io::stderr().write_all(format!("\n{}", lines(&mut self.lines)).as_bytes());
    }

    fn final_line(&self, sign: &str, update: &Update) -> Option<String> {
        let (tone, text) = words::news(update)?;
        let sign = self.paint.paint(tone, sign);
        Some(format!("{sign} {}  {text}", self.column(update.id.as_str())))
    }

    /// An id with blanks up to the width of the others.
    fn column(&self, id: &str) -> String {
        format!("{id}{}", " ".repeat(self.id_width.saturating_sub(measure_text_width(id))))
    }

    /// The only place that draws, and only if there is something new.
    fn show(&mut self, block: String) {
        let is_new = {
            let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = *frame != block;
            *frame = block;
            is_new
        };
        if self.lines.is_empty() {
            if is_new {
                self.bar.tick();
            }
            return;
        }
        // Not `println`, which fills lines with blanks to the edge in place of ending them: copied or
        // shown in a wider window, they would run together.
        let lines = lines(&mut self.lines);
        // Nobody is left to tell when standard error is closed, here and below.
        let _ = self.bar.suspend(|| io::stderr().write_all(lines.as_bytes()));
    }

    fn row(&self, job: &JobView) -> String {
        let JobView { report, in_flight, next_poll, trouble, .. } = job;
        let id = self.column(&truncate_str(report.id.as_str(), self.id_width, "…"));
        let status = report.state.as_ref().map_or("…", |state| &*state.status);
        let spinner = SPINNER.get(self.drawn % SPINNER.len()).unwrap_or(&"");
        let next = match next_poll {
            _ if *in_flight => "polling".to_owned(),
            Some(Duration::ZERO) => "poll due".to_owned(),
            Some(rest) => format!("next poll in {}s", rest.as_millis().div_ceil(1000)),
            None => "no further poll".to_owned(),
        };
        let clock = words::clock(report.elapsed);
        let next = self.paint.paint(Tone::Faint, &next);
        let mut row = format!("{spinner} {id}  {status:<10}  {clock:>5}  {next}");
        if let Some(error) = trouble {
            let trouble = words::trouble(&report.id, error);
            row = format!("{row}  {}", self.paint.paint(Tone::Warning, &trouble));
        }
        row
    }

    fn sum_line(&self, progress: Progress, stats: &Stats, elapsed: Duration) -> String {
        let text = format!(
            "  {}  {}  {}",
            words::counts(progress),
            words::clock(elapsed),
            words::polls(stats.polls)
        );
        let text = self.paint.paint(Tone::Faint, &text);
        if stats.pause_left.is_zero() {
            return text;
        }
        let pause = format!("paused, {}s left", stats.pause_left.as_millis().div_ceil(1000));
        format!("{text}  {}", self.paint.paint(Tone::Warning, &pause))
    }

    fn bar_line(&self, progress: Progress, stats: &Stats, elapsed: Duration) -> String {
        const CELLS: usize = 20;
        let ended = progress.succeeded + progress.failed;
        let full = (ended * CELLS).checked_div(progress.total()).unwrap_or(0);
        let bar = self.paint.paint(Tone::Good, &"█".repeat(full)) + &"░".repeat(CELLS - full);
        format!("{bar}{}", self.sum_line(progress, stats, elapsed))
    }
}

/// Empties `lines` into one text, so that it is one write.
fn lines(lines: &mut Vec<String>) -> String {
    lines.drain(..).flat_map(|line| [line, "\n".to_owned()]).collect()
}

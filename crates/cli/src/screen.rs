//! The live display on a terminal: a block of lines that is redrawn, below permanent lines.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cfw_waiter::{ErrorClass, JobView, Progress, Stats, Update, UpdateKind, Watch};
use console::{Term, measure_text_width, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::summary::FailureCounts;
use crate::text::{self, Style, Styles};

/// The redraw interval. [`Screen::draw`] draws once per call, and nothing else draws meanwhile.
pub(crate) const REDRAW: Duration = Duration::from_millis(125);

/// The most jobs with a row each. More jobs collapse into one row.
const MAX_ROWS: usize = 20;

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

pub(crate) struct Screen {
    bar: ProgressBar,
    /// The text of the bar, which would redraw at each change if it held the text itself.
    frame: Arc<Mutex<String>>,
    term: Term,
    styles: Styles,
    /// Permanent lines that are not drawn yet.
    pending_lines: Vec<String>,
    /// The class of the last trouble with a line, while it lasts. An outage affects all jobs, so
    /// that a line for each would repeat the first.
    shown_trouble: Option<ErrorClass>,
    /// The jobs share one row.
    is_collapsed: bool,
    /// The width of the id column, in rows and permanent lines.
    id_width: usize,
    frames: usize,
}

impl Screen {
    /// Returns `None` if standard error is not a terminal that supports it.
    pub(crate) fn new(styles: Styles) -> Option<Self> {
        let target = ProgressDrawTarget::stderr_with_hz(10);
        if target.is_hidden() {
            return None;
        }
        let frame = Arc::new(Mutex::new(String::new()));
        let shared_frame = Arc::clone(&frame);
        let style = ProgressStyle::with_template("{frame}").ok()?.with_key(
            "frame",
            move |_: &_, out: &mut dyn std::fmt::Write| {
                // indicatif writes to a string, which cannot fail.
                let _ = out.write_str(&shared_frame.lock().unwrap_or_else(PoisonError::into_inner));
            },
        );
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        Some(Self {
            bar,
            frame,
            term: Term::stderr(),
            styles,
            pending_lines: Vec::new(),
            shown_trouble: None,
            is_collapsed: false,
            id_width: 0,
            frames: 0,
        })
    }

    /// Adds the line of an update. The next draw shows it.
    pub(crate) fn update(&mut self, update: &Update) {
        match &update.kind {
            UpdateKind::Trouble(error) => {
                let is_new = self.shown_trouble.is_none_or(|shown| {
                    std::mem::discriminant(&shown) != std::mem::discriminant(&error.class())
                });
                self.shown_trouble = Some(error.class());
                if is_new {
                    // The service's message can be long, and the wait goes on.
                    let line = self.permanent_line("!", update);
                    let width = usize::from(self.term.size().1);
                    self.pending_lines
                        .extend(line.map(|line| truncate_str(&line, width, "…").into_owned()));
                }
            }
            // With many jobs only those that need attention get a line.
            UpdateKind::Ended(Ok(_)) if self.is_collapsed => {}
            UpdateKind::Ended(Ok(_)) => self.pending_lines.extend(self.permanent_line("✓", update)),
            UpdateKind::Ended(Err(_)) => {
                self.pending_lines.extend(self.permanent_line("✗", update))
            }
            _ => {}
        }
    }

    /// Adds a permanent line.
    pub(crate) fn line(&mut self, line: String) {
        self.pending_lines.push(line);
    }

    /// Redraws the block.
    pub(crate) fn draw(
        &mut self,
        watch: &Watch,
        failures: &FailureCounts,
        stats: &Stats,
        elapsed: Duration,
    ) {
        let (height, width) = self.term.size();
        let progress = watch.progress();
        // One row is for the summary, and one for the cursor.
        let rows = MAX_ROWS.min(usize::from(height).saturating_sub(2));
        self.is_collapsed = progress.live() > rows;
        let mut block = Vec::new();
        if self.is_collapsed {
            let summary = self.summary_line(progress, failures, stats, elapsed);
            block.push(self.collapsed_line(progress, &summary));
        } else {
            let jobs = watch.jobs();
            if jobs.iter().all(|job| job.trouble.is_none()) {
                self.shown_trouble = None;
            }
            let widest = jobs.iter().map(|job| measure_text_width(job.report.id.as_str())).max();
            // The column never shrinks, so that rows and permanent lines stay aligned as jobs end.
            self.id_width = self.id_width.max(widest.unwrap_or(0)).min(usize::from(width) / 2);
            block.extend(jobs.iter().map(|job| self.row(job)));
            if progress.total() != 1 {
                block.push(self.summary_line(progress, failures, stats, elapsed));
            }
        }
        self.frames = self.frames.wrapping_add(1);
        for line in &mut block {
            *line = truncate_str(line, usize::from(width), "…").into_owned();
        }
        self.show(block.join("\n"));
    }

    /// Removes the block, and draws the permanent lines.
    pub(crate) fn clear(mut self) {
        self.show(String::new());
        self.bar.finish_and_clear();
    }

    /// Leaves the last block on the screen and continues below it.
    ///
    /// After Ctrl-C the terminal has most likely echoed `^C`, so that the position of the cursor is
    /// unknown and a redraw would overwrite the wrong lines.
    pub(crate) fn leave(mut self) {
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        let _ =
            io::stderr().write_all(format!("\n{}", take_lines(&mut self.pending_lines)).as_bytes());
    }

    fn permanent_line(&self, sign: &str, update: &Update) -> Option<String> {
        let (style, text) = text::describe_update(update)?;
        let sign = self.styles.apply(style, sign);
        Some(format!("{sign} {}  {text}", self.column(update.id.as_str())))
    }

    /// Pads an id to the width of its column.
    fn column(&self, id: &str) -> String {
        format!("{id}{}", " ".repeat(self.id_width.saturating_sub(measure_text_width(id))))
    }

    /// Draws the pending lines and the block, if either has changed. Nothing else draws.
    fn show(&mut self, block: String) {
        let is_new = {
            let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = *frame != block;
            *frame = block;
            is_new
        };
        if self.pending_lines.is_empty() {
            if is_new {
                self.bar.tick();
            }
            return;
        }
        // `println` of indicatif pads lines to the edge instead of ending them, so that they would
        // run together when copied or shown in a wider window.
        let lines = take_lines(&mut self.pending_lines);
        // If standard error is closed, the error cannot be reported.
        let _ = self.bar.suspend(|| io::stderr().write_all(lines.as_bytes()));
    }

    fn row(&self, job: &JobView) -> String {
        let JobView { report, in_flight, next_poll, trouble, .. } = job;
        let id = self.column(&truncate_str(report.id.as_str(), self.id_width, "…"));
        let status = report.state.as_ref().map_or("…", |state| &*state.status);
        let spinner = SPINNER.get(self.frames % SPINNER.len()).unwrap_or(&"");
        let next_poll = match next_poll {
            _ if *in_flight => "polling".to_owned(),
            Some(Duration::ZERO) => "poll due".to_owned(),
            Some(delay) => format!("next poll in {}s", delay.as_millis().div_ceil(1000)),
            None => "no further poll".to_owned(),
        };
        let clock = text::format_clock(report.elapsed);
        let next_poll = self.styles.apply(Style::Dim, &next_poll);
        let mut row = format!("{spinner} {id}  {status:<10}  {clock:>5}  {next_poll}");
        if let Some(error) = trouble {
            let trouble = text::describe_error(&report.id, error);
            row = format!("{row}  {}", self.styles.apply(Style::Warning, &trouble));
        }
        row
    }

    fn summary_line(
        &self,
        progress: Progress,
        failures: &FailureCounts,
        stats: &Stats,
        elapsed: Duration,
    ) -> String {
        let text = format!(
            "  {}  {}  {}",
            text::format_counts(progress, failures),
            text::format_clock(elapsed),
            text::format_polls(stats.polls)
        );
        let text = self.styles.apply(Style::Dim, &text);
        if stats.pause_left.is_zero() {
            return text;
        }
        let pause = format!("paused, {}s left", stats.pause_left.as_millis().div_ceil(1000));
        format!("{text}  {}", self.styles.apply(Style::Warning, &pause))
    }

    fn collapsed_line(&self, progress: Progress, summary: &str) -> String {
        const CELLS: usize = 20;
        let ended = progress.succeeded + progress.failed;
        let full = (ended * CELLS).checked_div(progress.total()).unwrap_or(0);
        let bar = self.styles.apply(Style::Success, &"█".repeat(full)) + &"░".repeat(CELLS - full);
        format!("{bar}{summary}")
    }
}

/// Joins and removes all lines, so that they are written at once.
fn take_lines(lines: &mut Vec<String>) -> String {
    lines.drain(..).flat_map(|line| [line, "\n".to_owned()]).collect()
}

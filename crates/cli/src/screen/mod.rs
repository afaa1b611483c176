//! The live display on a terminal.

mod block;
mod rows;

use std::io::Write as _;
use std::time::Duration;

use cfw_waiter::{ErrorClass, Progress, Stats, Update, UpdateKind, Watch};
use console::{Term, measure_text_width};

use crate::describe;
use crate::signals::is_foreground;
use crate::streams;
use crate::style::{Style, Styles};
use crate::summary::Failures;
use crate::trouble::Notice;

use self::block::{Block, Size};

/// The redraw interval. [`Screen::draw`] draws once per call, and nothing else draws meanwhile.
pub(crate) const REDRAW: Duration = Duration::from_millis(125);

/// The most jobs with a row each. More jobs collapse into one row.
const MAX_ROWS: usize = 20;

/// The most columns to which the label of a permanent line is padded.
const MAX_LABEL_WIDTH: usize = 22;

pub(crate) struct Screen {
    term: Term,
    styles: Styles,
    block: Block,
    /// The rows of the block.
    drawn: Vec<String>,
    /// Permanent lines that are not drawn yet.
    pending_lines: Vec<Line>,
    /// The jobs share one row.
    is_collapsed: bool,
    /// The width of the id column, in rows and permanent lines.
    id_width: usize,
    /// A row has said when its job is likely to end. From then on the columns leave room for that.
    has_estimates: bool,
    frame: usize,
}

/// A permanent line.
#[derive(Debug)]
enum Line {
    /// A sign and a label in the columns of the rows, and a text.
    Labelled(String, String, String),
    Plain(String),
}

impl Screen {
    /// Returns `None` if standard error is not a terminal.
    pub(crate) fn new(styles: Styles) -> Option<Self> {
        let term = Term::stderr();
        term.is_term().then(|| Self {
            term,
            styles,
            block: Block::default(),
            drawn: Vec::new(),
            pending_lines: Vec::new(),
            is_collapsed: false,
            id_width: 0,
            has_estimates: false,
            frame: 0,
        })
    }

    /// Adds the line of an update. The next draw shows it.
    pub(crate) fn update(&mut self, update: &Update) {
        let UpdateKind::Ended(outcome) = &update.kind else { return };
        if let Some((style, text)) = describe::update(update) {
            self.end(style, outcome.is_ok(), update.id.as_str(), &text);
        }
    }

    /// Adds the line of an end.
    pub(crate) fn end(&mut self, style: Style, is_success: bool, id: &str, text: &str) {
        let sign = match is_success {
            // With many jobs only those that need attention get a line.
            true if self.is_collapsed => return,
            true => self.styles.signs.success,
            false => self.styles.signs.failure,
        };
        self.permanent_line(style, sign, id, text);
    }

    /// Adds the line of the begin or the end of trouble.
    pub(crate) fn notice(&mut self, notice: &Notice) {
        // Jobs that are not found yet would have a line each.
        if self.is_collapsed
            && let Notice::JobTrouble { error, .. } = notice
            && error.class() == ErrorClass::NotFound
        {
            return;
        }
        let (style, label, text) = describe::notice(notice);
        self.permanent_line(style, self.styles.signs.notice, &label, &text);
    }

    /// Adds a permanent line.
    pub(crate) fn line(&mut self, line: String) {
        self.pending_lines.push(Line::Plain(line));
    }

    /// Redraws the block.
    pub(crate) fn draw(
        &mut self,
        watch: &Watch,
        progress: Progress,
        failures: &Failures,
        stats: &Stats,
        elapsed: Duration,
    ) {
        let Size { rows, columns } = self.size();
        // One row is for the summary, and one for the cursor.
        let max_rows = MAX_ROWS.min(rows.saturating_sub(2));
        self.is_collapsed = progress.live() > max_rows;
        let mut block = Vec::new();
        if self.is_collapsed {
            block.push(rows::collapsed(progress, failures, stats, elapsed, columns, self.styles));
        } else {
            let jobs = watch.jobs();
            let widest = jobs.iter().map(|job| measure_text_width(job.report.id.as_str())).max();
            // The column never shrinks, so that rows and permanent lines stay aligned as jobs end.
            self.id_width = self.id_width.max(widest.unwrap_or(0)).min(columns / 2);
            self.has_estimates |= jobs.iter().any(|job| job.eta.is_some());
            let (id_width, has_estimates) = (self.id_width, self.has_estimates);
            let layout = rows::Layout { columns, id_width, has_estimates };
            let row = |job| rows::job(job, layout, self.frame, self.styles);
            block.extend(jobs.iter().map(row));
            if progress.total() != 1 {
                block.push(rows::summary(progress, failures, stats, elapsed, columns, self.styles));
            }
        }
        self.frame = self.frame.wrapping_add(1);
        if is_foreground() {
            self.show(block);
        } else {
            // The shell's user types where the block would be.
            self.clear();
            self.forget();
        }
    }

    /// Removes the block, and draws the permanent lines.
    pub(crate) fn clear(&mut self) {
        self.show(Vec::new());
    }

    /// Leaves the block on the terminal. The next lines are drawn below it.
    pub(crate) fn leave(&mut self) {
        self.block.forget();
        self.drawn.clear();
        // After Ctrl-C the terminal has most likely echoed `^C`.
        write("\r\x1b[K");
    }

    /// Forgets the block and the lines above it, because another process writes to the terminal.
    pub(crate) fn forget(&mut self) {
        self.block.forget();
        self.drawn.clear();
    }

    fn permanent_line(&mut self, style: Style, sign: &str, label: &str, text: &str) {
        let sign = self.styles.apply(style, sign);
        self.pending_lines.push(Line::Labelled(sign, label.to_owned(), text.to_owned()));
    }

    /// Draws the pending lines and the block, if either has changed.
    fn show(&mut self, block: Vec<String>) {
        if self.pending_lines.is_empty() && self.drawn == block {
            return;
        }
        let id_width = self.id_width.min(MAX_LABEL_WIDTH);
        let lines = self.pending_lines.drain(..).map(|line| match line {
            Line::Labelled(sign, label, text) => {
                format!("{sign} {}  {text}", rows::pad(&label, id_width))
            }
            Line::Plain(text) => text,
        });
        let lines = lines.collect();
        write(&self.block.draw(self.size(), lines, &block));
        self.drawn = block;
    }

    fn size(&self) -> Size {
        let (rows, columns) = self.term.size();
        Size { rows: usize::from(rows), columns: usize::from(columns) }
    }
}

/// Writes to standard error at once, so that no half frame is ever shown. If it is closed, the error cannot
/// be reported.
fn write(output: &str) {
    let _ = streams::stderr().write_all(output.as_bytes());
}

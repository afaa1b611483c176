//! The rows of the live display, which fit the width of the terminal.

use std::time::Duration;

use cfw_waiter::{Eta, JobView, Progress, Stats};
use console::{measure_text_width, truncate_str};

use crate::describe;
use crate::style::{Style, Styles};
use crate::summary::Failures;
use crate::text::{format_clock, format_counts, format_polls, printable};

/// The width of the status column, if the terminal is wide enough.
const STATUS_WIDTH: usize = 10;

/// The least widths to which ids and statuses are cut for an estimate: the first group of a UUID, and `Running`.
const MIN_ID_WIDTH: usize = 8;
const MIN_STATUS_WIDTH: usize = 7;

/// The width that the text of an estimate has at most, for jobs of less than a hundred hours.
const ESTIMATE_WIDTH: usize = "90s-99m left".len();

/// What the rows of all jobs have in common, so that their columns are aligned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The columns of the terminal.
    pub(super) columns: usize,
    /// The width of the widest id.
    pub(super) id_width: usize,
    /// Whether rows say when jobs are likely to end.
    pub(super) has_estimates: bool,
}

impl Layout {
    /// Returns the widths of an id and a status, and how far a longer status may reach, beside a clock.
    ///
    /// Ids are cut first for an estimate, and then statuses. Where this is not enough, there is none.
    fn widths(self, clock: usize) -> (usize, usize, usize) {
        // A sign, and two blanks between columns.
        let left = self.columns.saturating_sub(clock + 6);
        let least_id = self.id_width.min(MIN_ID_WIDTH);
        let with_estimate = left
            .checked_sub(2 + ESTIMATE_WIDTH)
            .filter(|left| self.has_estimates && *left >= least_id + MIN_STATUS_WIDTH);
        let (left, status) = match with_estimate {
            Some(left) => (left, STATUS_WIDTH.min(left - least_id)),
            None => (left, STATUS_WIDTH.min(left / 2)),
        };
        let id = self.id_width.min(left - status);
        (id, status, left - id)
    }
}

/// Returns the row of a job. The elapsed time is never cut: ids and statuses are shortened for it.
pub(super) fn job(job: &JobView, layout: Layout, frame: usize, styles: Styles) -> String {
    let JobView { report, in_flight, next_poll, trouble, eta, .. } = job;
    let (signs, columns) = (styles.signs, layout.columns);
    let clock = format!("{:>5}", format_clock(report.elapsed));
    let spinner = signs.spinner.get(frame % signs.spinner.len()).unwrap_or(&"");
    let (id_width, status_width, longest_status) = layout.widths(clock.len());
    let cut = |text: &str, width| {
        // An ellipsis that is as wide as the column would leave nothing of the text, or not fit.
        let is_wider = width > measure_text_width(signs.ellipsis);
        let tail = if is_wider { signs.ellipsis } else { "" };
        truncate_str(text, width, tail).into_owned()
    };
    let id = pad(&cut(report.id.as_str(), id_width), id_width);
    let status = report.state.as_ref().map_or(signs.ellipsis, |state| &*state.status);
    let status = printable(status.to_owned());
    let status = pad(&cut(&status, status_width.max(longest_status)), status_width);
    let mut row = format!("{spinner} {id}  {status}  {clock}");
    if let Some(eta) = eta {
        row.push_str(&self::eta(eta, columns.saturating_sub(measure_text_width(&row)), styles));
    }
    let next_poll = match next_poll {
        _ if *in_flight => "polling".to_owned(),
        Some(Duration::ZERO) => "poll due".to_owned(),
        Some(delay) => format!("next poll in {}s", delay.as_millis().div_ceil(1000)),
        None => "no further poll".to_owned(),
    };
    if let Some(text) = fit(&row, &next_poll, columns) {
        row = format!("{row}  {}", styles.apply(Style::Dim, text));
    }
    if let Some(detail) = report.state.as_ref().and_then(|state| state.detail.as_deref())
        && has_room(&row, columns)
    {
        let detail = printable(detail.to_owned());
        row = format!("{row}  {}", styles.apply(Style::Dim, &detail));
    }
    if let Some(error) = trouble
        && has_room(&row, columns)
    {
        let trouble = describe::trouble(&report.id, error);
        row = format!("{row}  {}", styles.apply(Style::Warning, &trouble));
    }
    cut(&row, columns)
}

/// Returns a bar and the time that a job is likely to take longer, as far as they fit after a row.
///
/// Few past jobs do not tell enough for a bar.
fn eta(eta: &Eta, columns: usize, styles: Styles) -> String {
    const MIN_CELLS: usize = 4;
    const MAX_CELLS: usize = 8;
    let text = describe::eta(eta);
    let Some(left) = columns.checked_sub(2 + text.len()) else { return String::new() };
    let style = if eta.is_overdue() { Style::Warning } else { Style::Dim };
    let text = styles.apply(style, &text);
    match (left.checked_sub(1), eta.progress()) {
        (Some(cells @ MIN_CELLS..), Some(progress)) => {
            format!("  {} {text}", bar(progress, cells.min(MAX_CELLS), styles))
        }
        _ => format!("  {text}"),
    }
}

/// Returns a bar of which a part from 0 to 1 is full.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of the number of cells, rounded down"
)]
fn bar(part: f64, cells: usize, styles: Styles) -> String {
    let full = ((part * cells as f64) as usize).min(cells);
    let signs = styles.signs;
    styles.apply(Style::Success, &signs.full_cell.repeat(full))
        + &signs.empty_cell.repeat(cells - full)
}

/// Returns the row with the number of jobs in each state.
pub(super) fn summary(
    progress: Progress,
    failures: &Failures,
    stats: &Stats,
    elapsed: Duration,
    columns: usize,
    styles: Styles,
) -> String {
    let clock = format_clock(elapsed);
    let counts = format_counts(progress, failures);
    let counts =
        truncate_str(&counts, columns.saturating_sub(clock.len() + 4), styles.signs.ellipsis);
    let mut row = format!("  {counts}  {clock}");
    let polls = format_polls(stats.polls);
    if fit(&row, &polls, columns).is_some() {
        row = format!("{row}  {polls}");
    }
    let pause = format!("paused, {}s left", stats.pause_left.as_millis().div_ceil(1000));
    let pause = fit(&row, &pause, columns).filter(|_| !stats.pause_left.is_zero());
    let row = styles.apply(Style::Dim, &row);
    match pause {
        Some(pause) => format!("{row}  {}", styles.apply(Style::Warning, pause)),
        None => row,
    }
}

/// Returns the row that stands for all jobs if there are too many for one each.
pub(super) fn collapsed(
    progress: Progress,
    failures: &Failures,
    stats: &Stats,
    elapsed: Duration,
    columns: usize,
    styles: Styles,
) -> String {
    const MAX_CELLS: usize = 20;
    // The counts are more important than the bar.
    let needed =
        measure_text_width(&summary(progress, failures, stats, elapsed, usize::MAX, styles));
    let cells = columns.saturating_sub(needed).min(MAX_CELLS);
    let summary = summary(progress, failures, stats, elapsed, columns - cells, styles);
    let ended = progress.succeeded + progress.failed;
    let full = (ended * cells).checked_div(progress.total()).unwrap_or(0);
    let signs = styles.signs;
    let bar = styles.apply(Style::Success, &signs.full_cell.repeat(full))
        + &signs.empty_cell.repeat(cells - full);
    let row = format!("{bar}{summary}");
    truncate_str(&row, columns, signs.ellipsis).into_owned()
}

/// Pads a text to the width of its column.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(measure_text_width(text))))
}

/// Returns whether a text that is cut at the last column leaves the row before it whole, and has some words left.
fn has_room(row: &str, columns: usize) -> bool {
    const MIN_WIDTH: usize = 4;
    measure_text_width(row) + 2 + MIN_WIDTH <= columns
}

/// Returns the text if it fits the row, after two blanks.
fn fit<'a>(row: &str, text: &'a str, columns: usize) -> Option<&'a str> {
    (measure_text_width(row) + 2 + measure_text_width(text) <= columns).then_some(text)
}

#[cfg(test)]
mod tests {
    use cfw_waiter::{History, JobState, Learned, Policy, Sample, Schedule, Waiter, source_fn};

    use super::*;
    use crate::style::{ASCII, UNICODE};

    fn layout(id_width: usize, columns: usize) -> Layout {
        Layout { columns, id_width, has_estimates: false }
    }

    fn with_estimates(id_width: usize, columns: usize) -> Layout {
        Layout { has_estimates: true, ..layout(id_width, columns) }
    }

    #[test]
    fn the_row_of_a_job_shows_its_detail_as_far_as_it_fits() {
        let styles = Styles { has_colours: false, signs: &UNICODE };
        let detail = "40 %\u{202e} of the rules";
        let source =
            source_fn(move |_id| async move { Ok(JobState::running().with_detail(detail)) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let jobs = runtime.block_on(async {
            let mut watch = Waiter::new(source).watch(["a"]);
            watch.next().await.unwrap();
            watch.jobs()
        });
        let row = |columns| job(&jobs[0], layout(1, columns), 0, styles);
        let wide = row(80);
        assert!(wide.ends_with("s  40 %  of the rules"), "{wide}");
        let cut = row(45);
        assert!(cut.ends_with('…') && cut.contains("  40"), "{cut}");
        assert_eq!(measure_text_width(&cut), 45);
        // Where the columns fill the row, the elapsed time is not cut in favour of the detail.
        for columns in 14..=90 {
            let row = job(&jobs[0], layout(50, columns), 0, styles);
            assert!(row.contains(" 0:0"), "{columns}: {row}");
            assert!(measure_text_width(&row) <= columns, "{columns}: {row}");
        }
    }

    /// Returns the view of a job that was seen running, when some jobs are known that took about as many seconds.
    fn view(past: u64, known: usize) -> JobView {
        let mut history = History::new();
        for n in 0..known {
            let past = Duration::from_secs(past + u64::try_from(n).unwrap());
            history.record("default", Sample::ended(past));
        }
        let source = source_fn(|_id| async { Ok(JobState::running()) });
        let schedule = Schedule::learned(Learned::new()).unwrap();
        let waiter = Waiter::builder(source)
            .policy(Policy::new().schedule(schedule).first_poll_at_once(true))
            .history(history)
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut watch = waiter.watch(["create-firewall"]);
            watch.next().await.unwrap();
            watch.job("create-firewall").unwrap()
        })
    }

    #[test]
    fn the_row_of_a_job_shows_when_it_is_likely_to_end() {
        let styles = Styles { has_colours: false, signs: &ASCII };
        let view = view(90, 20);
        let row = |columns| job(&view, with_estimates(15, columns), 0, styles);
        let wide = row(80);
        let expected = "| create-firewall  Running      0:00  -------- ";
        assert!(wide.starts_with(expected) && wide.contains(" left  next poll in "), "{wide}");
        for columns in 14..=90 {
            let row = row(columns);
            assert!(row.contains(" 0:00") && row.is_ascii(), "{columns}: {row}");
            assert!(measure_text_width(&row) <= columns, "{columns}: {row}");
            // Half a text says nothing, and the bar comes last.
            assert_eq!(row.contains(" left"), columns >= 40, "{columns}: {row}");
            assert_eq!(row.contains("- 2m left"), columns >= 40, "{columns}: {row}");
        }
    }

    #[test]
    fn an_id_is_cut_before_an_estimate_and_before_a_status() {
        // The widths of an id and a status, and of a status at the most.
        for (layout, expected) in [
            (layout(36, 40), (19, 10, 10)),
            (with_estimates(36, 40), (8, 7, 7)),
            (with_estimates(36, 43), (8, 10, 10)),
            (with_estimates(36, 53), (18, 10, 10)),
            (with_estimates(36, 80), (36, 10, 19)),
            (with_estimates(3, 40), (3, 10, 12)),
            (with_estimates(3, 35), (3, 7, 7)),
            // No room for an estimate: as if there were none.
            (with_estimates(36, 39), (18, 10, 10)),
            (with_estimates(3, 34), (3, 10, 20)),
            (with_estimates(36, 12), (1, 0, 0)),
        ] {
            assert_eq!(layout.widths(5), expected, "{layout:?}");
        }
        let longest = "90s-99m left".len();
        assert_eq!(with_estimates(36, 40 + 2).widths(7), (8, 7, 7), "the clock after an hour");
        assert_eq!(40 - "| ".len() - 8 - 2 - 7 - 2 - 5 - 2, longest);
    }

    #[test]
    fn few_past_jobs_have_no_bar_and_none_have_nothing() {
        let styles = Styles { has_colours: false, signs: &UNICODE };
        let row = |known| job(&view(90, known), with_estimates(15, 80), 0, styles);
        assert!(row(20).contains('░') && row(20).contains(" left"), "{}", row(20));
        assert!(!row(1).contains('░') && row(1).contains(" left"), "{}", row(1));
        assert!(!row(0).contains(" left"), "{}", row(0));
    }

    #[test]
    fn a_bar_is_full_at_one() {
        let styles = Styles { has_colours: false, signs: &ASCII };
        for (part, expected) in [
            (0.0, "--------"),
            (0.124, "--------"),
            (0.5, "####----"),
            (0.99, "#######-"),
            (1.0, "########"),
        ] {
            assert_eq!(bar(part, 8, styles), expected, "{part}");
        }
    }
}

//! The explanation as a plot: the share of jobs that are still running by age, with the polls.

use std::fmt::Write as _;
use std::time::Duration;

use crate::text::{format_jobs, printable};

use super::Subject;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// The corners of the curve's field.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 280.0;
/// The number of points of the curve.
const POINTS: u32 = 400;
/// The most characters of the kind in the title.
const MAX_TITLE: usize = 60;

const CURVE: &str = "#1f5fa8";
const POLLS: &str = "#c2410c";
const FALLBACK: &str = "#6b7280";
const JOBS: &str = "#15803d";

/// Returns the plot as a document.
pub(super) fn document(subject: &Subject<'_>) -> String {
    let explanation = &subject.explanation;
    let max = axis_end(subject);
    let x = |age: Duration| LEFT + (RIGHT - LEFT) * (age.as_secs_f64() / max).min(1.0);
    let y = |share: f64| BOTTOM - (BOTTOM - TOP) * share;
    let title: String = subject.kind.chars().take(MAX_TITLE).collect();
    let title = escape(&format!("{title}: {}", format_jobs(explanation.ended)));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    axes(&mut svg, max);
    let points: Vec<_> = (0..=POINTS)
        .map(|n| {
            let age = Duration::from_secs_f64(max * f64::from(n) / f64::from(POINTS));
            format!("{:.1},{:.1}", x(age), y(explanation.survival(age)))
        })
        .collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{CURVE}\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    // From the axis up to the curve.
    for poll in explanation.polls.iter().filter(|poll| poll.as_secs_f64() <= max) {
        let (x, y) = (x(*poll), y(explanation.survival(*poll)));
        line(&mut svg, [x, BOTTOM, x, y], POLLS, 1.5);
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{POLLS}\"/>");
    }
    let rows = [
        (
            if explanation.is_learned { "polls" } else { "polls (not learned)" },
            POLLS,
            &explanation.polls,
        ),
        ("polls without past jobs", FALLBACK, &explanation.fallback_polls),
        ("ends of past jobs", JOBS, &subject.durations),
    ];
    for (row, (name, colour, ages)) in (0_u32..).zip(rows) {
        let y = BOTTOM + 52.0 + 22.0 * f64::from(row);
        for age in ages.iter().filter(|age| age.as_secs_f64() <= max) {
            line(&mut svg, [x(*age), y - 8.0, x(*age), y], colour, 1.5);
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>",
            LEFT - 10.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Returns the age at the right end of the axis, in seconds: all polls of the explanation lie before it.
fn axis_end(subject: &Subject<'_>) -> f64 {
    let last_poll = subject.explanation.polls.last().map_or(1.0, Duration::as_secs_f64);
    (1.05 * last_poll).max(1.0)
}

fn axes(svg: &mut String, max: f64) {
    let (unit, name) = match max {
        ..600.0 => (1.0, "s"),
        ..36_000.0 => (60.0, "min"),
        _ => (3_600.0, "h"),
    };
    let step = step(max / unit);
    let marks = (0..=10_u32).map(|n| f64::from(n) * step);
    for mark in marks.take_while(|mark| *mark <= max / unit) {
        let x = LEFT + (RIGHT - LEFT) * mark * unit / max;
        line(svg, [x, TOP, x, BOTTOM], "#e5e7eb", 1.0);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 16.0,
            (mark * 1e3).round() / 1e3
        );
    }
    for percent in [0_u32, 25, 50, 75, 100] {
        let y = BOTTOM - (BOTTOM - TOP) * f64::from(percent) / 100.0;
        line(svg, [LEFT, y, RIGHT, y], "#e5e7eb", 1.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    line(svg, [LEFT, BOTTOM, RIGHT, BOTTOM], "#222", 1.0);
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">jobs still running</text>", TOP - 10.0);
    let _ = writeln!(
        svg,
        "<text x=\"{RIGHT}\" y=\"{:.1}\" text-anchor=\"end\">age, {name}</text>",
        BOTTOM + 32.0
    );
}

/// Returns the distance of marks on an axis of this length: 1, 2 or 5 times a power of ten.
fn step(length: f64) -> f64 {
    let power = 10.0_f64.powf((length / 8.0).log10().floor());
    let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter();
    step.clone().find(|step| length / step <= 8.0).unwrap_or(10.0 * power)
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4], colour: &str, width: f64) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" \
         stroke-width=\"{width}\"/>"
    );
}

fn escape(text: &str) -> String {
    // XML has no way to write the two that are no characters.
    let text = printable(text.to_owned()).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_and_few() {
        for (length, expected) in
            [(1.0, 0.2), (8.0, 1.0), (9.0, 2.0), (161.0, 50.0), (599.0, 100.0), (72.0, 10.0)]
        {
            let found = step(length);
            assert!((found - expected).abs() < 1e-9, "{length}: {found}, not {expected}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(escape("a</text>&\u{7}\u{ffff}"), "a&lt;/text&gt;&amp; \u{fffd}");
    }
}

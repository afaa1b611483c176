//! Line plots as SVG, no more than the docs need.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// Room for the labels: left, right, top, bottom.
const MARGIN: [f64; 4] = [56.0, 16.0, 36.0, 48.0];

/// A plot of lines, and of ticks under them.
pub(super) struct Plot {
    title: &'static str,
    x: Axis,
    y: Axis,
    body: String,
    legends: f64,
}

pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) max: f64,
    pub(super) marks: Vec<f64>,
    /// Whether the axis is that of the logarithm of 1 + the value.
    pub(super) is_log: bool,
}

impl Axis {
    /// Returns where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(0.0, self.max);
        if self.is_log { (1.0 + value).ln() / (1.0 + self.max).ln() } else { value / self.max }
    }
}

impl Plot {
    pub(super) fn new(title: &'static str, x: Axis, y: Axis) -> Self {
        Self { title, x, y, body: String::new(), legends: 0.0 }
    }

    fn left(&self, x: f64) -> f64 {
        let [left, right, ..] = MARGIN;
        left + self.x.place(x) * (WIDTH - left - right)
    }

    fn top(&self, y: f64) -> f64 {
        let [.., top, bottom] = MARGIN;
        HEIGHT - bottom - self.y.place(y) * (HEIGHT - top - bottom)
    }

    /// Adds a line through points, with its name.
    pub(super) fn line(&mut self, name: &str, color: &str, dash: &str, points: &[(f64, f64)]) {
        let place = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", self.left(x), self.top(y));
        let points: Vec<String> = points.iter().map(place).collect();
        let style =
            format!("fill='none' stroke='{color}' stroke-width='2' stroke-dasharray='{dash}'");
        self.body += &format!("<polyline points='{}' {style}/>\n", points.join(" "));
        self.legend(name, color);
    }

    /// Adds a line across at a value of y.
    pub(super) fn dashes(&mut self, color: &str, dash: &str, at: f64) {
        let (left, right, y) = (self.left(0.0), self.left(self.x.max), self.top(at));
        self.body += &format!(
            "<line x1='{left:.1}' x2='{right:.1}' y1='{y:.1}' y2='{y:.1}' stroke='{color}' \
             stroke-dasharray='{dash}'/>\n"
        );
    }

    /// Adds a line of text below the legend.
    pub(super) fn note(&mut self, text: &str) {
        self.body += &format!(
            "<text x='{:.1}' y='{:.1}' fill='#555'>{text}</text>\n",
            self.left(0.0) + 8.0,
            self.top(0.0) - 8.0
        );
    }

    /// Adds ticks at some values of x, `height` above the axis, with their name.
    pub(super) fn ticks(&mut self, name: &str, color: &str, height: f64, at: &[f64]) {
        for &x in at.iter().filter(|&&x| x <= self.x.max) {
            let (x, y) = (self.left(x), self.top(0.0) - height);
            let line = format!("x1='{x:.1}' x2='{x:.1}' y1='{y:.1}' y2='{:.1}'", y - 12.0);
            self.body += &format!("<line {line} stroke='{color}' stroke-width='2'/>\n");
        }
        self.legend(name, color);
    }

    fn legend(&mut self, name: &str, color: &str) {
        let (x, y) = (WIDTH - 200.0, MARGIN[2] + 8.0 + 18.0 * self.legends);
        self.legends += 1.0;
        self.body += &format!("<rect x='{x}' y='{y}' width='14' height='4' fill='{color}'/>\n");
        self.body += &format!("<text x='{}' y='{}'>{name}</text>\n", x + 20.0, y + 6.0);
    }

    /// Returns the plot as a document.
    pub(super) fn document(&self) -> String {
        let (right, bottom) = (self.left(self.x.max), self.top(0.0));
        let mut text = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' \
             font-family='sans-serif' font-size='12'>\n\
             <rect width='100%' height='100%' fill='white'/>\n\
             <text x='{WIDTH}' y='20' dx='-320' text-anchor='middle' font-size='14'>{}</text>\n",
            self.title
        );
        let left = self.left(0.0);
        // Writing to a string cannot fail.
        for mark in &self.x.marks {
            let x = self.left(*mark);
            let _ = writeln!(
                text,
                "<text x='{x:.1}' y='{:.1}' text-anchor='middle'>{mark}</text>",
                bottom + 16.0
            );
        }
        for mark in &self.y.marks {
            let y = self.top(*mark);
            let _ = writeln!(
                text,
                "<line x1='{left}' x2='{right}' y1='{y:.1}' y2='{y:.1}' stroke='#ddd'/>\
                 <text x='{:.1}' y='{:.1}' text-anchor='end'>{mark}</text>",
                left - 6.0,
                y + 4.0
            );
        }
        let middle = (left + right) / 2.0;
        let _ = writeln!(
            text,
            "<text x='{middle:.1}' y='{:.1}' text-anchor='middle'>{}</text>",
            HEIGHT - 10.0,
            self.x.label
        );
        let _ = writeln!(
            text,
            "<text transform='translate(14,{:.1}) rotate(-90)' text-anchor='middle'>{}</text>",
            (bottom + self.top(self.y.max)) / 2.0,
            self.y.label
        );
        let _ = writeln!(
            text,
            "<path d='M{left},{:.1} V{bottom:.1} H{right:.1}' fill='none' stroke='black'/>",
            self.top(self.y.max)
        );
        text + &self.body + "</svg>\n"
    }
}

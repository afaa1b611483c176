//! What is on the terminal: a block of lines that is redrawn, below permanent lines.

use std::collections::VecDeque;

use console::measure_text_width;

/// The indent of the second and further rows of a permanent line.
const INDENT: &str = "    ";

/// The number of rows and columns of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// The lines on the terminal, each of which ends with a line break. The cursor is below the last one.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The width of each line of the block.
    widths: Vec<usize>,
    /// The lines above the block, the newest last, as many as a screen can show.
    above: VecDeque<Permanent>,
    /// The columns of the terminal when the block was drawn.
    columns: usize,
}

#[derive(Debug)]
struct Permanent {
    text: String,
    /// The width of each row.
    widths: Vec<usize>,
}

impl Block {
    /// Returns the output that erases the block, adds permanent lines and draws a new block.
    ///
    /// The lines of the block must fit the size, with one row left for the cursor. Permanent lines can have
    /// any length. They are wrapped between words.
    pub(super) fn draw(&mut self, size: Size, lines: Vec<String>, block: &[String]) -> String {
        let mut output = String::new();
        let (up, mut permanent) = self.rows_to_redraw(size);
        permanent.extend(lines);
        if up > 0 {
            output.push_str(&format!("\r\x1b[{up}A"));
        }
        // Rows are erased one by one: tmux adds a screen that is erased as a whole to its history, which would
        // then hold each frame. A row that the terminal wraps needs the rows below, too.
        let erase = |width: usize| match width {
            _ if up == 0 => "",
            width if width > size.columns => "\x1b[J",
            _ => "\x1b[K",
        };
        for text in permanent {
            let rows = wrap(&text, size.columns);
            let widths: Vec<_> = rows.iter().map(|row| measure_text_width(row)).collect();
            for (row, width) in rows.iter().zip(&widths) {
                output.push_str(erase(*width));
                output.push_str(row);
                output.push('\n');
            }
            self.above.push_back(Permanent { text, widths });
        }
        while self.above.len() > size.rows {
            self.above.pop_front();
        }
        self.widths = block.iter().map(|line| measure_text_width(line)).collect();
        for (line, width) in block.iter().zip(&self.widths) {
            output.push_str(erase(*width));
            output.push_str(line);
            output.push('\n');
        }
        if up > 0 {
            output.push_str("\x1b[J");
        }
        self.columns = size.columns;
        output
    }

    /// Forgets the block, which then stays on the terminal.
    pub(super) fn forget(&mut self) {
        self.widths.clear();
        self.above.clear();
    }

    /// Returns how far the cursor is below the first row to redraw, and the permanent lines from there on.
    ///
    /// A terminal that becomes narrower wraps the rows that are too wide, or cuts them off, and tells
    /// neither. So the permanent lines on the screen are drawn anew as well: the terminal that wraps them has
    /// more rows, which must not remain, and the one that cuts them off has lost text. The cursor moves up
    /// by the greater number of rows. In the terminal that cuts this can erase a few older rows.
    fn rows_to_redraw(&mut self, size: Size) -> (usize, Vec<String>) {
        let mut up = height(&self.widths, size.columns);
        let mut permanent = Vec::new();
        let widths = self.above.iter().flat_map(|line| &line.widths).chain(&self.widths);
        if size.columns >= self.columns || widths.max().is_none_or(|width| *width <= size.columns) {
            return (up, permanent);
        }
        while let Some(line) = self.above.pop_back() {
            let rows = up + height(&line.widths, size.columns);
            // A row that has left the screen cannot be erased.
            if rows >= size.rows {
                self.above.push_back(line);
                break;
            }
            up = rows;
            permanent.push(line.text);
        }
        permanent.reverse();
        (up, permanent)
    }
}

/// Returns the number of rows of a terminal that wraps lines.
fn height(widths: &[usize], columns: usize) -> usize {
    widths.iter().map(|width| width.div_ceil(columns.max(1)).max(1)).sum()
}

/// Splits a line between words into rows. A word that is wider than a row is left to the terminal.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = String::new();
    let mut width = 0;
    for (index, word) in text.split(' ').enumerate() {
        let word_width = measure_text_width(word);
        if index > 0 && width + 1 + word_width > columns && !row.trim().is_empty() {
            rows.push(row.trim_end().to_owned());
            (row, width) = (INDENT.to_owned(), INDENT.len());
            // The blanks at which the line is split are not repeated.
            if word.is_empty() {
                continue;
            }
        } else if index > 0 && row != INDENT {
            row.push(' ');
            width += 1;
        }
        row.push_str(word);
        width += word_width;
    }
    rows.push(row.trim_end().to_owned());
    rows
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    /// A terminal that either wraps or cuts rows when it becomes narrower.
    struct Terminal {
        screen: vt100::Parser,
        size: Size,
        wraps: bool,
    }

    impl Terminal {
        fn new(rows: usize, columns: usize, wraps: bool) -> Self {
            let size = Size { rows, columns };
            Self { screen: parser(size), size, wraps }
        }

        fn write(&mut self, output: &str) {
            self.screen.process(output.replace('\n', "\r\n").as_bytes());
        }

        fn resize(&mut self, columns: usize) {
            let text = self.text();
            self.size.columns = columns;
            self.screen = parser(self.size);
            let rows = text.lines().map(|row| {
                if self.wraps { row.to_owned() } else { row.chars().take(columns).collect() }
            });
            let rows: Vec<_> = rows.collect();
            self.write(&(rows.join("\n") + "\n"));
        }

        fn text(&self) -> String {
            let screen = self.screen.screen();
            let rows: Vec<_> = screen.rows(0, screen.size().1.get()).collect();
            let rows: Vec<_> = rows.iter().map(|row| row.trim_end()).collect();
            rows.join("\n").trim_end().to_owned()
        }
    }

    fn parser(size: Size) -> vt100::Parser {
        let cells = |count: usize| NonZeroU16::new(count.try_into().unwrap()).unwrap();
        vt100::Parser::new(cells(size.rows), cells(size.columns), 0)
    }

    fn strings(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_block_is_redrawn_below_permanent_lines() {
        let mut terminal = Terminal::new(8, 20, true);
        let mut block = Block::default();
        for (lines, rows, expected) in [
            (&[][..], &["a 1", "b 1"][..], "a 1\nb 1"),
            (&["one"], &["a 2"], "one\na 2"),
            (&["two", "three"], &["a 3", "b 3"], "one\ntwo\nthree\na 3\nb 3"),
            (&[], &[], "one\ntwo\nthree"),
            (&["four"], &["a 4"], "one\ntwo\nthree\nfour\na 4"),
        ] {
            terminal.write(&block.draw(terminal.size, strings(lines), &strings(rows)));
            assert_eq!(terminal.text(), expected);
        }
    }

    #[test]
    fn a_redraw_never_erases_a_whole_screen() {
        let mut terminal = Terminal::new(8, 20, true);
        let mut block = Block::default();
        let full = "x".repeat(20);
        for (lines, rows, expected) in [
            (&[][..], &["a 1", &*full, "c 1"][..], format!("a 1\n{full}\nc 1")),
            (&[], &[&*full, "b"], format!("{full}\nb")),
            (&[], &["a", "b", "c"], "a\nb\nc".to_owned()),
            // A word that is wider than the terminal.
            (&["1234567890123456789012345"], &["a"], "12345678901234567890\n12345\na".to_owned()),
        ] {
            let output = block.draw(terminal.size, strings(lines), &strings(rows));
            if lines.is_empty() {
                assert!(!output.contains("A\x1b[J"), "{output:?}");
            }
            terminal.write(&output);
            assert_eq!(terminal.text(), expected);
        }
    }

    #[test]
    fn a_block_that_scrolls_leaves_nothing_behind() {
        let mut terminal = Terminal::new(5, 20, true);
        let mut block = Block::default();
        for n in 0..9 {
            let rows = [format!("a {n}"), format!("b {n}"), "c".to_owned()];
            terminal.write(&block.draw(terminal.size, vec![format!("line {n}")], &rows));
        }
        assert_eq!(terminal.text(), "line 8\na 8\nb 8\nc");
    }

    #[test]
    fn a_narrower_terminal_keeps_no_stale_rows_and_all_permanent_lines() {
        for wraps in [true, false] {
            let mut terminal = Terminal::new(20, 40, wraps);
            let mut block = Block::default();
            let row = |columns: usize| "x".repeat(columns);
            let lines = strings(&["one is a line that has three rows then", "two"]);
            terminal.write(&block.draw(terminal.size, lines, &[row(40), row(40), row(30)]));
            for columns in [18, 14, 26, 13] {
                terminal.resize(columns);
                terminal.write(&block.draw(terminal.size, vec![], &[row(columns), row(5)]));
                let text = terminal.text();
                let stripped: Vec<_> = text.split_whitespace().collect();
                let words = "one is a line that has three rows then two".split(' ');
                let expected: Vec<_> =
                    words.map(str::to_owned).chain([row(columns), row(5)]).collect();
                assert_eq!(stripped, expected, "{columns}, wraps: {wraps}\n{text}");
            }
        }
    }

    #[test]
    fn lines_above_the_screen_are_not_drawn_again() {
        let mut terminal = Terminal::new(6, 20, true);
        let mut block = Block::default();
        let lines = (0..9).map(|n| format!("line {n} of nine lines")).collect();
        terminal.write(&block.draw(terminal.size, lines, &["block".to_owned()]));
        terminal.resize(10);
        terminal.write(&block.draw(terminal.size, vec![], &["block".to_owned()]));
        let text = terminal.text();
        assert_eq!(text.matches("line 8").count(), 1, "{text}");
        assert!(text.ends_with("block"), "{text}");
    }

    #[test]
    fn a_narrower_terminal_draws_all_rows_anew_that_it_shows_and_no_others() {
        let x = "x".repeat(15);
        for (wraps, count, line, block_row, expected) in [
            // Three lines, two rows of the block, and the cursor fill the screen.
            (true, 3, "line", &*x, "line 0\nline 1\nline 2\nnew"),
            (true, 4, "line", &x, "line 1\nline 2\nline 3\nnew"),
            (true, 9, "line", &x, "line 6\nline 7\nline 8\nnew"),
            // Four cut lines, one row of the block, and the cursor: the lower two need the room of all.
            (false, 9, "a long line", "y", "a long\n    line 7\na long\n    line 8\nnew"),
        ] {
            let mut terminal = Terminal::new(6, 20, wraps);
            let mut block = Block::default();
            let lines = (0..count).map(|n| format!("{line} {n}")).collect();
            terminal.write(&block.draw(terminal.size, lines, &[block_row.to_owned()]));
            terminal.resize(10);
            terminal.write(&block.draw(terminal.size, vec![], &["new".to_owned()]));
            assert_eq!(terminal.text(), expected, "{count} of {line}, wraps: {wraps}");
        }
    }

    #[test]
    fn permanent_lines_are_wrapped_between_words() {
        for (text, columns, rows) in [
            ("short", 10, &["short"][..]),
            ("exactly 10", 10, &["exactly 10"]),
            ("one two three four", 10, &["one two", "    three", "    four"]),
            ("a  b   two", 10, &["a  b   two"]),
            ("a  longer   two", 10, &["a  longer", "    two"]),
            ("an immeasurable word", 8, &["an", "    immeasurable", "    word"]),
            ("immeasurable", 8, &["immeasurable"]),
            ("", 8, &[""]),
            ("\x1b[31mx\x1b[0m 234567", 8, &["\x1b[31mx\x1b[0m 234567"]),
        ] {
            assert_eq!(wrap(text, columns), rows, "{text:?}");
        }
    }
}

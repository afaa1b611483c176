//! Job ids from standard input.

use std::io::{self, BufRead, Read as _};
use std::thread;

use cfw_api::JobId;
use tokio::sync::mpsc;

use crate::ids;

/// The longest line that is read. The rest of a longer line is skipped.
const MAX_LINE_LEN: u64 = 4096;

/// The number of ids that are read ahead.
const READ_AHEAD: usize = 64;

/// A line that is not a job id, or a read error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// The number of the line, from 1.
    pub(crate) number: u64,
    pub(crate) problem: String,
}

pub(crate) type Line = Result<JobId, BadLine>;

/// Reads standard input on a new thread.
///
/// The thread is never joined, because a read from a terminal or an idle pipe cannot be interrupted.
/// A blocking task of the runtime would delay the end of the process.
pub(crate) fn read_stdin() -> io::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    thread::Builder::new()
        .name("cfw-wait-stdin".to_owned())
        .spawn(move || read(io::stdin().lock(), |line| sender.blocking_send(line).is_ok()))?;
    Ok(receiver)
}

/// Sends every line that is not blank, until the input ends or `send` returns false.
fn read(mut input: impl BufRead, mut send: impl FnMut(Line) -> bool) {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut input).take(MAX_LINE_LEN).read_until(b'\n', &mut line);
        let is_cut = line.len() as u64 == MAX_LINE_LEN && !line.ends_with(b"\n");
        let parsed = match read {
            Ok(0) => return,
            Ok(_) if is_cut => Some(Err(format!("is longer than {MAX_LINE_LEN} bytes"))),
            Ok(_) => parse(&line),
            Err(error) => {
                send(Err(BadLine { number, problem: format!("cannot be read: {error}") }));
                return;
            }
        };
        if let Some(line) = parsed
            && !send(line.map_err(|problem| BadLine { number, problem }))
        {
            return;
        }
        if is_cut && input.skip_until(b'\n').is_err() {
            return;
        }
    }
}

fn parse(line: &[u8]) -> Option<Result<JobId, String>> {
    let Ok(text) = str::from_utf8(line) else {
        return Some(Err("is not UTF-8".to_owned()));
    };
    let text = ids::trim(without_comment(text));
    (!text.is_empty()).then(|| ids::parse(text))
}

/// Cuts a comment off: from a `#` at the start of a line, or after a blank, to its end.
fn without_comment(line: &str) -> &str {
    let mut previous = ' ';
    for (at, char) in line.char_indices() {
        if char == '#' && ids::is_blank(previous) {
            return line.get(..at).unwrap_or(line);
        }
        previous = char;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: impl BufRead) -> Vec<Result<String, (u64, String)>> {
        let mut lines = Vec::new();
        read(input, |line| {
            lines.push(
                line.map(|id| id.as_str().to_owned()).map_err(|bad| (bad.number, bad.problem)),
            );
            true
        });
        lines
    }

    #[test]
    fn blank_lines_are_skipped() {
        let read = lines("\u{feff}a\r\n\n  \t\n b \n\u{feff}\r\nc".as_bytes());
        assert_eq!(read, ["a", "b", "c"].map(|id| Ok(id.to_owned())));
    }

    #[test]
    fn comments_are_skipped() {
        let read =
            lines("# all\na # the first\n\u{feff}#b\n  # c\nb#1\t#2\n\u{feff}# d\n#\n".as_bytes());
        assert_eq!(read, ["a", "b#1"].map(|id| Ok(id.to_owned())));
    }

    #[test]
    fn a_bad_line_has_its_number_and_does_not_affect_others() {
        let read = lines(&b"a\n\nx/y\n\xff\nb\n"[..]);
        assert_eq!(
            read,
            [
                Ok("a".to_owned()),
                Err((3, "invalid job id \"x/y\": holds a '/'".to_owned())),
                Err((4, "is not UTF-8".to_owned())),
                Ok("b".to_owned()),
            ]
        );
    }

    #[test]
    fn the_rest_of_a_long_line_is_skipped() {
        let mut input = vec![b'x'; 3 * 4096];
        input.extend_from_slice(b"\na\n");
        let too_long = Err((1, "is longer than 4096 bytes".to_owned()));
        assert_eq!(lines(&*input), [too_long, Ok("a".to_owned())]);
    }

    #[test]
    fn a_read_error_is_sent_and_ends_the_input() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the tape tore"))
            }
        }
        let read = lines(io::BufReader::new(io::Read::chain(&b"a\n"[..], Broken)));
        let torn = Err((2, "cannot be read: the tape tore".to_owned()));
        assert_eq!(read, [Ok("a".to_owned()), torn]);
    }

    #[test]
    fn a_closed_receiver_ends_the_input() {
        let mut sent = 0;
        read(&b"a\nb\nc\n"[..], |_| {
            sent += 1;
            false
        });
        assert_eq!(sent, 1);
    }
}

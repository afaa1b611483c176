//! Job ids from standard input, as they arrive.

use std::io::{self, BufRead, Read as _};
use std::thread;

use cfw_api::JobId;
use tokio::sync::mpsc;

/// No id is longer, by far: what follows on such a line is skipped and not kept.
const LONGEST_LINE: u64 = 4096;

/// How many ids may be read ahead.
const AHEAD: usize = 64;

/// A line that is no id, or the end of a stream that broke.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Counted from 1.
    pub(crate) number: u64,
    pub(crate) problem: String,
}

pub(crate) type Line = Result<JobId, BadLine>;

/// Reads standard input on a thread of its own.
///
/// The thread is never joined: a read from a terminal or an idle pipe cannot be interrupted, and the
/// end of the process ends it. This is also why it is no task of the runtime, which would wait for it.
pub(crate) fn read_stdin() -> io::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::Builder::new()
        .name("cfw-wait-stdin".to_owned())
        .spawn(move || read(io::stdin().lock(), |line| sender.blocking_send(line).is_ok()))?;
    Ok(receiver)
}

/// Tells every line that is not blank, until the input ends or nobody listens.
fn read(mut input: impl BufRead, mut tell: impl FnMut(Line) -> bool) {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut line);
        let is_cut = line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n");
        let told = match read {
            Ok(0) => return,
            Ok(_) if is_cut => Some(Err(format!("is longer than {LONGEST_LINE} bytes"))),
            Ok(_) => parse(&line),
            Err(error) => {
                tell(Err(BadLine { number, problem: format!("cannot be read: {error}") }));
                return;
            }
        };
        if let Some(line) = told
            && !tell(line.map_err(|problem| BadLine { number, problem }))
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
    let id = text.trim();
    (!id.is_empty()).then(|| JobId::new(id).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: impl BufRead) -> Vec<Result<String, (u64, String)>> {
        let mut told = Vec::new();
        read(input, |line| {
            told.push(
                line.map(|id| id.as_str().to_owned()).map_err(|bad| (bad.number, bad.problem)),
            );
            true
        });
        told
    }

    #[test]
    fn ids_come_one_a_line_and_blank_lines_are_skipped() {
        let told = lines(&b"a\r\n\n  \t\n b \nc"[..]);
        assert_eq!(told, ["a", "b", "c"].map(|id| Ok(id.to_owned())));
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_harms_no_other() {
        let told = lines(&b"a\n\nx/y\n\xff\nb\n"[..]);
        assert_eq!(
            told,
            [
                Ok("a".to_owned()),
                Err((3, "invalid job id \"x/y\": holds a '/'".to_owned())),
                Err((4, "is not UTF-8".to_owned())),
                Ok("b".to_owned()),
            ]
        );
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut input = vec![b'x'; 3 * 4096];
        input.extend_from_slice(b"\na\n");
        let too_long = Err((1, "is longer than 4096 bytes".to_owned()));
        assert_eq!(lines(&*input), [too_long, Ok("a".to_owned())]);
    }

    #[test]
    fn a_broken_stream_is_told_and_ends() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the tape tore"))
            }
        }
        let told = lines(io::BufReader::new(io::Read::chain(&b"a\n"[..], Broken)));
        let torn = Err((2, "cannot be read: the tape tore".to_owned()));
        assert_eq!(told, [Ok("a".to_owned()), torn]);
    }

    #[test]
    fn nobody_listening_ends_it() {
        let mut told = 0;
        read(&b"a\nb\nc\n"[..], |_| {
            told += 1;
            false
        });
        assert_eq!(told, 1);
    }
}

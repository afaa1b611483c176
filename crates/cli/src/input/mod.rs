//! Jobs from files and from standard input, one per line.

#[cfg(test)]
pub(crate) mod fuzzing;
mod line;
mod reader;

use std::fs::{File, Metadata};
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

pub(crate) use self::line::{Job, kind_problem};
pub(crate) use self::reader::{Batch, Lines};
use crate::exit::CliError;

/// The longest line that is read. The rest of a longer line is skipped.
const MAX_LINE_LEN: u64 = 4096;

/// The byte order marks with which texts in UTF-16 begin, as Windows writes them.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// A source of lines.
#[derive(Debug)]
pub(crate) enum Source {
    Stdin,
    File {
        path: Arc<str>,
        file: File,
    },
    /// A named pipe. To open it waits for its writer, who may come late.
    Pipe {
        path: Arc<str>,
    },
}

impl Source {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    ///
    /// Returns an error that names the flag and the path if the file cannot be opened or is a directory. A named pipe is
    /// opened when it is read.
    pub(crate) fn open(path: &str) -> Result<Self, CliError> {
        if path == "-" {
            return Ok(Self::Stdin);
        }
        if std::fs::metadata(path).is_ok_and(|metadata| is_pipe(&metadata)) {
            return Ok(Self::Pipe { path: path.into() });
        }
        let opened = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
            true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            false => Ok(file),
        });
        match opened {
            Ok(file) => Ok(Self::File { path: path.into(), file }),
            Err(error) => {
                let message = format!("--ids-file {path:?}: cannot be read: {error}");
                Err(CliError::usage(message))
            }
        }
    }

    /// Returns where the lines are, for a message.
    pub(crate) fn origin(&self) -> String {
        self.path().map_or_else(|| "on standard input".to_owned(), |path| format!("in {path}"))
    }

    /// Returns the path, or `None` for standard input.
    fn path(&self) -> Option<&Arc<str>> {
        match self {
            Self::Stdin => None,
            Self::File { path, .. } | Self::Pipe { path } => Some(path),
        }
    }
}

#[cfg(unix)]
fn is_pipe(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

/// Other systems have no named pipes among their files.
#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}

/// A line that does not describe a job, or a read error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// The path of the file, or `None` for standard input.
    pub(crate) path: Option<Arc<str>>,
    /// The number of the line, from 1.
    pub(crate) number: u64,
    pub(crate) problem: String,
}

pub(crate) type Line = Result<Job, BadLine>;

/// Sends every line that is not blank, until the input ends or `send` returns false.
fn read(mut input: impl BufRead, mut send: impl FnMut(Result<Job, (u64, String)>) -> bool) {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut input).take(MAX_LINE_LEN).read_until(b'\n', &mut line);
        let is_cut = line.len() as u64 == MAX_LINE_LEN && !line.ends_with(b"\n");
        let parsed = match read {
            Ok(0) => return,
            Ok(_) if number == 1 && UTF_16.iter().any(|mark| line.starts_with(mark)) => {
                // Each of its lines would be an error.
                let hint = "is UTF-16, not UTF-8; iconv -f UTF-16 -t UTF-8 converts it";
                send(Err((number, hint.to_owned())));
                return;
            }
            Ok(_) if is_cut => Some(Err(format!("is longer than {MAX_LINE_LEN} bytes"))),
            Ok(_) => line::parse(&line),
            Err(error) => {
                send(Err((number, format!("cannot be read: {error}"))));
                return;
            }
        };
        if let Some(line) = parsed
            && !send(line.map_err(|problem| (number, problem)))
        {
            return;
        }
        if is_cut && input.skip_until(b'\n').is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(input: impl BufRead) -> Vec<Result<String, (u64, String)>> {
        let mut lines = Vec::new();
        read(input, |line| {
            lines.push(line.map(|job| job.id.as_str().to_owned()));
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
    fn a_text_in_utf_16_is_one_error_with_a_hint() {
        for input in [&b"\xff\xfea\0\r\0\n\0b\0\n\0"[..], b"\xfe\xff\0a\0\n\0b\0\n"] {
            let hint = "is UTF-16, not UTF-8; iconv -f UTF-16 -t UTF-8 converts it";
            assert_eq!(lines(input), [Err((1, hint.to_owned()))]);
        }
        let hint = "holds a zero byte, as UTF-16 does; iconv -f UTF-16LE -t UTF-8 converts that";
        let zero = || Err((1, hint.to_owned()));
        assert_eq!(lines(&b"a\0\n"[..]), [zero()]);
        assert_eq!(lines(&b"a\n\xff\xfe\n"[..]).len(), 2, "only at the start of the input");
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
        let read = lines(BufReader::new(io::Read::chain(&b"a\n"[..], Broken)));
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

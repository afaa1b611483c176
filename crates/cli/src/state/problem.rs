//! What can be wrong with a state file.

use std::fmt;
use std::io;

use super::journal::VERSION;

/// Why a state file cannot be used: what follows its name in a message of one line.
#[derive(Debug)]
pub(crate) enum Problem {
    Missing,
    Directory,
    NotRegular,
    /// The file is one of the standard streams, too.
    Stream(&'static str),
    /// Files beside a state file have such names.
    Reserved(&'static str),
    Busy,
    Lock(io::Error),
    Read(io::Error),
    Write(io::Error),
    TooLarge(u64),
    Foreign,
    Version(u64),
    /// The number of the line, and what is wrong with it.
    Damaged(u64, String),
    /// What differs, in the file and in this command.
    Elsewhere(&'static str, String, String),
    /// What is too long, and the most bytes that it may have.
    TooLong(&'static str, usize),
    Replaced,
    Changed,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist, and no JOB_ID is given"),
            Self::Directory => f.write_str("is a directory"),
            Self::NotRegular => f.write_str("is not a regular file"),
            Self::Stream(stream) => write!(f, "is {stream}, too; use another file"),
            Self::Reserved(ending) => write!(
                f,
                "has the name of a file beside a state file; use one that does not end in {ending}"
            ),
            Self::Busy => f.write_str("is in use by another cfw-wait"),
            Self::Lock(error) => write!(f, "cannot be locked: {error}"),
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::Write(error) => write!(f, "cannot be written: {error}"),
            Self::TooLarge(limit) => write!(f, "is larger than {limit} bytes"),
            Self::Foreign => f.write_str("is not a state file of cfw-wait, and is left as it is"),
            Self::Version(version) => write!(
                f,
                "is of version {version}, which is not known (known: {VERSION}), and is left as it is"
            ),
            Self::Damaged(line, problem) => {
                write!(f, "is damaged in line {line}, and is left as it is: {problem}")
            }
            Self::Elsewhere(what, recorded, given) => write!(
                f,
                "holds jobs of {what} {recorded:?}, and not of {given:?}; use a file for each"
            ),
            Self::TooLong(what, limit) => {
                write!(f, "cannot be used: the {what} is longer than {limit} bytes")
            }
            Self::Replaced => f.write_str("was replaced by another program"),
            Self::Changed => f.write_str("was changed by another program, and is left as it is"),
        }
    }
}

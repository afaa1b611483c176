//! The bodies of answers: what the manual says, what its examples show, and what servers send.

pub(crate) mod error_body;
pub(crate) mod firewall;
pub(crate) mod job;
mod repair;

/// Why the body of a success cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadBody {
    /// It does not tell what was asked for. An error code in it may tell why.
    Malformed(String),
    /// It is about something else, and so is whatever error it holds.
    WrongJob(String),
}

impl From<String> for BadBody {
    fn from(problem: String) -> Self {
        Self::Malformed(problem)
    }
}

/// Removes a byte order mark, which servers on Windows send and `serde_json` refuses.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

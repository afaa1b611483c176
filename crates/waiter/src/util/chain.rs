//! An error and its causes in one line.

use std::error::Error;
use std::fmt::Write as _;

/// Returns the message of an error and of what caused it, joined by colons: a log has no other place for the causes.
///
/// A cause that the message before it ends with is left out: some libraries repeat it.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}

//! What no input line must ever do: a target of `fuzz/`.

use super::line;

/// Lines of ids and of JSON: each is a job with a sound id and kind, or a problem in one line.
pub(crate) fn ndjson(data: &[u8]) {
    for text in data.split(|byte| *byte == b'\n') {
        match line::parse(text) {
            None => {}
            Some(Ok(job)) => {
                let id = job.id.as_str();
                let is_bad = |c: char| c.is_whitespace() || c.is_control() || "\"'<>/".contains(c);
                assert!(!id.is_empty() && !id.contains(is_bad), "{id:?} is no id");
                if let Some(kind) = job.kind {
                    assert!(!kind.contains(char::is_control) && kind.len() <= 100, "{kind:?}");
                }
            }
            Some(Err(problem)) => {
                assert!(!problem.is_empty() && !problem.contains(char::is_control), "{problem:?}");
            }
        }
    }
}

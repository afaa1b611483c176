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

/// Describes a body that is an HTML page, such as that of a login, by its title. Returns `None` for other bodies.
pub(crate) fn page_problem(body: &[u8]) -> Option<String> {
    /// The part of a body in which its title is.
    const HEAD: usize = 4096;
    let text = String::from_utf8_lossy(body.get(..HEAD).unwrap_or(body));
    let text = text.trim_start();
    // ASCII lower case, so that offsets are the same in both.
    let lower = text.to_ascii_lowercase();
    if !["<html", "<!doctype html"].iter().any(|start| lower.starts_with(start)) {
        return None;
    }
    let title = lower.find("<title").and_then(|at| text.get(at..)?.split_once('>'));
    let title = title.map_or("", |(_, rest)| rest.split('<').next().unwrap_or(""));
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = if title.is_empty() { String::new() } else { format!(" with the title {title:?}") };
    Some(format!("not JSON, but an HTML page{name}"))
}

/// Removes a byte order mark, which servers on Windows send and `serde_json` refuses.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_described_by_its_title() {
        for (body, expected) in [
            ("<html><head><title>Sign\n in</title>", Some(" with the title \"Sign in\"")),
            (" <!DOCTYPE html><HTML><TITLE lang=en>Sign in", Some(" with the title \"Sign in\"")),
            ("<html><title></title><h1>Sign in</h1>", Some("")),
            ("<html><title", Some("")),
            ("<html", Some("")),
            ("{\"html\":\"<html>\"}", None),
            ("", None),
        ] {
            let expected = expected.map(|title| format!("not JSON, but an HTML page{title}"));
            assert_eq!(page_problem(body.as_bytes()), expected, "{body}");
        }
    }
}

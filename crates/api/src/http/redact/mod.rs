//! Cleans a server's text of secrets.
//!
//! The gateway echoes requests: the canonical request with its `Authorization` header, and the access key.
//! Proxies and other services may echo anything else that was sent, escaped in their own way.

use std::{borrow::Cow, ops::Range};

use crate::clean::is_unprintable;

mod encoded;
#[cfg(test)]
mod tests;

/// Replaces a secret.
const REDACTED: &str = "[redacted]";

/// The start of the gateway's echo of a whole request, in any case.
const ECHO: &str = "canonicalrequest";

/// The starts of an echo of a login.
const LOGIN_ECHOES: [&str; 4] = ["\"auth\"", "\"password\"", "'auth'", "'password'"];

/// Names that precede a key, a signature or a token in a gateway's text.
const MARKERS: [&str; 6] =
    ["ak:", "ak=", "access=", "signature=", "x-auth-token:", "x-security-token:"];

/// The longest text that is searched. Far less of it is shown, and a server must not make the search expensive.
const MAX_TEXT: usize = 4096;

/// Returns `text` on one line, without secrets and characters that no terminal should see, cut to `cap` characters.
pub(crate) fn sanitise(text: &str, secrets: &[&str], cap: usize) -> String {
    let text = cut(text, MAX_TEXT);
    let is_echo = |text: &[u8]| text.eq_ignore_ascii_case(ECHO.as_bytes());
    let end = text.as_bytes().windows(ECHO.len()).position(is_echo).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    // Most texts, such as the request id of each answer, pass all that follows unchanged.
    let echoes = LOGIN_ECHOES.iter().flat_map(|echo| encoded::find(text, echo));
    let end = echoes.map(|range| range.start).min().unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default().trim().trim_end_matches([',', ':']);
    let mut text = Cow::Borrowed(text);
    let mut found: Vec<Range<usize>> =
        secrets.iter().flat_map(|secret| encoded::find(&text, secret)).collect();
    if !found.is_empty() {
        found.sort_unstable_by_key(|range| (range.start, range.end));
        text = without_ranges(&text, &found).into();
    }
    // All markers end in one of these.
    if text.contains([':', '=']) {
        for marker in MARKERS {
            text = without_value(&text, marker).into();
        }
    }
    if text.contains(is_unprintable) {
        text = text.replace(is_unprintable, " ").into();
    }
    match text.char_indices().nth(cap) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.into_owned(),
    }
}

/// Returns the beginning of `text`, of at most `limit` bytes.
fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

/// Replaces ranges, which are sorted and may overlap.
fn without_ranges(text: &str, ranges: &[Range<usize>]) -> String {
    let mut clean = String::new();
    let mut done = 0;
    for range in ranges {
        if range.end <= done {
            continue;
        }
        if range.start >= done {
            clean.push_str(text.get(done..range.start).unwrap_or_default());
            clean.push_str(REDACTED);
        }
        done = range.end;
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    clean
}

fn without_value(text: &str, marker: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut clean = String::new();
    let mut done = 0;
    for (at, _) in lower.match_indices(marker) {
        // `ak:` is a name of its own, not the end of `break:`.
        let inside_word =
            lower.get(..at).is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric()));
        if inside_word || at < done {
            continue;
        }
        let value = at + marker.len();
        let Some(rest) = text.get(value..) else {
            continue;
        };
        let start = rest.len() - rest.trim_start_matches([' ', '"', '\'']).len();
        let length = rest
            .get(start..)
            .and_then(|value| value.find(|c: char| c.is_whitespace() || ",;|\"'}])".contains(c)))
            .unwrap_or(rest.len() - start);
        clean.push_str(text.get(done..value + start).unwrap_or_default());
        if length > 0 {
            clean.push_str(REDACTED);
        }
        done = value + start + length;
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    clean
}

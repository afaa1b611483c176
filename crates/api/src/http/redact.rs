//! Cleans a server's text of secrets.
//!
//! The gateway echoes requests: the canonical request with its `Authorization` header, and the access key.
//! Proxies and other services may echo anything else that was sent.

use std::borrow::Cow;

/// Replaces a secret.
const REDACTED: &str = "[redacted]";

/// The start of the gateway's echo of a whole request, in any case.
const ECHO: &str = "canonicalrequest";

/// Names that precede a key, a signature or a token in a gateway's text.
const MARKERS: [&str; 6] =
    ["ak:", "ak=", "access=", "signature=", "x-auth-token:", "x-security-token:"];

/// Shorter secrets are not searched for: they would match within ordinary words.
const SHORTEST_SECRET: usize = 4;

/// So much of a secret's beginning is enough to recognise it: servers cut what they echo.
const TELLING_PREFIX: usize = 16;

/// Returns `text` on one line, without secrets, cut to `cap` characters.
pub(crate) fn sanitise(text: &str, secrets: &[&str], cap: usize) -> String {
    let is_echo = |text: &[u8]| text.eq_ignore_ascii_case(ECHO.as_bytes());
    let end = text.as_bytes().windows(ECHO.len()).position(is_echo).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default().trim().trim_end_matches([',', ':']);
    // Most texts, such as the request id of each answer, pass all that follows as they are.
    let mut text = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        if let Some(clean) = without_secret(&text, secret) {
            text = clean.into();
        }
    }
    // All markers end in one of these.
    if text.contains([':', '=']) {
        for marker in MARKERS {
            text = without_value(&text, marker).into();
        }
    }
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ").into();
    }
    match text.char_indices().nth(cap) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.into_owned(),
    }
}

/// Nothing if there is no trace of the secret.
fn without_secret(text: &str, secret: &str) -> Option<String> {
    let prefix_end = secret
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| *at >= TELLING_PREFIX)
        .unwrap_or(secret.len());
    let prefix = secret.get(..prefix_end).unwrap_or(secret);
    if !text.contains(prefix) {
        return None;
    }
    let mut clean = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.find(prefix).and_then(|at| rest.split_at_checked(at)) {
        let same: usize = from
            .chars()
            .zip(secret.chars())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a.len_utf8())
            .sum();
        clean.push_str(before);
        clean.push_str(REDACTED);
        rest = from.get(same..).unwrap_or_default();
    }
    clean.push_str(rest);
    Some(clean)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_server_echoes_is_cut_redacted_and_capped() {
        let secrets = ["SENSITIVE-TOKEN-OF-SOME-LENGTH", "pässwörd", "no"];
        let rows = [
            ("Object not found.", "Object not found."),
            (
                "verify aksk signature fail,canonicalRequest:GET|/v3/|x-auth-token:abc",
                "verify aksk signature fail",
            ),
            (
                "Get secretKey failed,ak:HST3ABCDEF,err:ak not exist",
                "Get secretKey failed,ak:[redacted],err:ak not exist",
            ),
            ("break:here AK: ABC", "break:here AK: [redacted]"),
            (
                "SDK-HMAC-SHA256 Access=AAA, Signature=beef",
                "SDK-HMAC-SHA256 Access=[redacted], Signature=[redacted]",
            ),
            ("bad token SENSITIVE-TOKEN-OF-SOME-LENGTH!", "bad token [redacted]!"),
            ("bad token SENSITIVE-TOKEN-OF-", "bad token [redacted]"),
            ("twice SENSITIVE-TOKEN-OF-X SENSITIVE-TOKEN-OF-SOME", "twice [redacted]X [redacted]"),
            ("user u, password pässwörd", "user u, password [redacted]"),
            ("no such thing\r\nat all", "no such thing  at all"),
            ("X-Auth-Token:", "X-Auth-Token"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(sanitise(text, &secrets, 200), expected);
        }
        assert_eq!(sanitise(&"ä".repeat(300), &[], 200), format!("{}…", "ä".repeat(200)));
    }

    proptest! {
        #[test]
        fn no_text_hides_a_secret(
            before in ".{0,40}",
            after in ".{0,40}",
            secret in "[A-Za-z0-9+/=-]{4,60}",
            shown in 1_usize..60,
            cap in 0_usize..300,
        ) {
            // Cut as servers cut what they echo, but not to less than tells it.
            let echoed: String = secret.chars().take(shown.max(TELLING_PREFIX)).collect();
            let clean = sanitise(&format!("{before}{echoed}{after}"), &[&secret], cap);
            prop_assert!(!clean.contains(&echoed) || REDACTED.contains(&echoed), "{}", clean);
            prop_assert!(clean.chars().count() <= cap + 1);
        }
    }
}

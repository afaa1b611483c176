//! URLs of settings and of servers.

use std::str::FromStr;

use reqwest::Url;

/// Parses a URL as [`Url::parse`] does, except that no text panics.
///
/// `idna_adapter` 1.0.0, which keeps the tables of Unicode out of the tree, refuses a host that is not ASCII. A capital beside
/// such a character violates a debug assertion of it, also where either is percent-encoded.
pub(crate) fn parse(text: &str) -> Result<Url, <Url as FromStr>::Err> {
    let after_scheme = text.split_once(':').map_or("", |(_, rest)| rest);
    // The slashes before a host may be any number, of either kind, and among blanks that do not count.
    let is_before = |c: char| matches!(c, '/' | '\\' | '\t' | '\n' | '\r');
    let authority = after_scheme.trim_start_matches(is_before).split(['/', '\\', '?', '#']).next();
    let host = authority.and_then(|text| text.rsplit('@').next()).unwrap_or_default();
    if host.is_ascii() && !host.contains('%') {
        Url::parse(text)
    } else {
        // The error of such a host, without a capital.
        Url::parse("https://\u{e9}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_not_ascii_is_an_error() {
        for text in [
            "https:A\u{fffd}//..",
            "https://A\u{e9}.example.com/v1",
            "https:\\\t/A%C3%A9/",
            "https://%41\u{e9}",
            "http://user:pass@E\u{301}:8080",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_in_the_host_does_not_count() {
        for text in [
            "https://Example.com/\u{e9}/%(project_id)s",
            "http://us%40er:P\u{e9}@proxy.example.com:3128",
            "https://[::1]:8443?A=\u{e9}",
        ] {
            assert_eq!(parse(text), Url::parse(text), "{text:?}");
        }
    }
}

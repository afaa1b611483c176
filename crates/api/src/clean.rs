//! The one place that cleans text that comes from people and files.

/// Removes white space and byte order marks around `text`: files written on Windows begin with one and end their
/// lines with a carriage return.
pub(crate) fn clean(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// Returns why a cleaned text cannot be used as an id, a name, a URL or a header value, or `None` if it can.
pub(crate) fn problem(text: &str) -> Option<&'static str> {
    text.chars().any(char::is_control).then_some("holds a control character")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_are_cleaned() {
        for (text, cleaned) in [
            ("\u{feff}abc\r\n", "abc"),
            (" a b ", "a b"),
            ("a\u{feff}b", "a\u{feff}b"),
            ("\u{a0}\u{feff} \t", ""),
            ("\n\u{feff}\n x", "x"),
        ] {
            assert_eq!(clean(text), cleaned, "{text:?}");
        }
        assert_eq!(problem("a\u{7}b"), Some("holds a control character"));
        assert_eq!(problem("a b"), None);
    }
}

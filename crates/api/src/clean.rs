//! The one place that cleans text that comes from people and files.

/// Removes white space and byte order marks around `text`: files written on Windows begin with one and end their
/// lines with a carriage return. Other invisible characters stay, because the end of a password can be an emoji.
pub(crate) fn clean(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// Returns why a cleaned text cannot be used as a name, a URL or a header value, or `None` if it can.
pub(crate) fn problem(text: &str) -> Option<&'static str> {
    text.chars().any(char::is_control).then_some("holds a control character")
}

/// Returns whether a server's character must not reach a terminal or a log: it moves the cursor, breaks the line,
/// reverses or hides other text.
pub(crate) fn is_unprintable(c: char) -> bool {
    // Most texts are ASCII.
    if c.is_ascii() { c.is_ascii_control() } else { c.is_control() || is_invisible(c) }
}

/// Returns whether a character shows nothing itself, and may change what others show: Unicode's format characters, of
/// which the bidirectional ones reorder a line, its line and paragraph separators, fillers, variation selectors,
/// and tags. The joiners U+200C and U+200D count as well, which some scripts and emoji need: ids, codes and status words do
/// not.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Khmer inherent vowels.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
        // Mongolian variation selectors and vowel separator.
        | '\u{180b}'..='\u{180f}'
        // Zero-width space, joiners and marks; separators; embeddings and overrides; isolates and invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Variation selectors, byte order mark, interlinear annotations.
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // Shorthand and musical controls, tags and more variation selectors.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
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

    #[test]
    fn what_moves_hides_or_reorders_text_is_unprintable() {
        // Controls, line and paragraph separators, interlinear annotations, and what Unicode's property
        // Default_Ignorable_Code_Point holds.
        let ranges = [
            0x00..=0x1f,
            0x7f..=0x9f,
            0x2028..=0x2029,
            0xfff9..=0xfffb,
            0xad..=0xad,
            0x34f..=0x34f,
            0x61c..=0x61c,
            0x115f..=0x1160,
            0x17b4..=0x17b5,
            0x180b..=0x180f,
            0x200b..=0x200f,
            0x202a..=0x202e,
            0x2060..=0x206f,
            0x3164..=0x3164,
            0xfe00..=0xfe0f,
            0xfeff..=0xfeff,
            0xffa0..=0xffa0,
            0xfff0..=0xfff8,
            0x1bca0..=0x1bca3,
            0x1d173..=0x1d17a,
            0xe0000..=0xe0fff,
        ];
        let is_listed = |code: u32| ranges.iter().any(|range| range.contains(&code));
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let code = u32::from(c);
            assert_eq!(is_unprintable(c), is_listed(code), "U+{code:04X}");
        }
        for c in "az AZ09~\u{a0}\u{ac}\u{ae}é\u{301}中日本語العربيةעברית한국어😀\u{2010}\u{2027}\u{202f}\u{205f}\u{fffc}\u{fffd}…".chars() {
            assert!(!is_unprintable(c), "{c:?}");
        }
    }
}

//! Texts that are safe to print on a terminal.

/// Replaces what would move the cursor, or hide or reorder other text, on a terminal: control characters and Unicode's
/// bidirectional and zero-width ones.
///
/// The client cleans what the service says. This is the last line of defence against texts of others, such as a
/// certificate's names in the error of a TLS library.
pub(crate) fn printable(text: String) -> String {
    let is_unprintable = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if text.contains(is_unprintable) { text.replace(is_unprintable, " ") } else { text }
}

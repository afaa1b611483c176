//! Makes JSON readable that a strict parser refuses for a detail.

use std::iter::Peekable;

/// The deepest nesting that is kept. `serde_json` refuses more than 128.
const DEPTH: usize = 64;

/// Returns `body` with what a strict parser refuses inside of strings and numbers replaced, so that one bad field does
/// not hide the others. Structure is not repaired: a body that is cut stays so.
///
/// Bytes that are no UTF-8 become U+FFFD, raw control characters in strings become spaces, unknown escapes are taken
/// literally, and half a surrogate pair becomes U+FFFD. Words and numbers that JSON does not have or an `f64` does not
/// hold become `false`, which is no text, number or absent value, and what is nested deeper than 64 becomes `[]`.
pub(super) fn repaired(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len());
    let mut depth: usize = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_kept = depth <= DEPTH;
        match c {
            '"' => {
                let string = string(&mut chars);
                if is_kept {
                    out.push_str(&string);
                }
            }
            '[' | '{' => {
                depth = depth.saturating_add(1);
                match depth {
                    ..=DEPTH => out.push(c),
                    _ if is_kept => out.push_str("[]"),
                    _ => (),
                }
            }
            ']' | '}' => {
                if is_kept {
                    out.push(c);
                }
                depth = depth.saturating_sub(1);
            }
            _ if !is_kept => (),
            ',' | ':' => out.push(c),
            _ if c.is_whitespace() => out.push(' '),
            _ => {
                let mut word = String::from(c);
                let in_word = |c: &char| !c.is_whitespace() && !",:[]{}\"".contains(*c);
                while let Some(c) = chars.next_if(in_word) {
                    word.push(c);
                }
                let is_value = serde_json::from_str::<serde_json::Value>(&word).is_ok();
                out.push_str(if is_value { &word } else { "false" });
            }
        }
    }
    out
}

/// Reads a string after its opening quote, and returns it with both quotes. One that does not end has no closing quote.
fn string(chars: &mut Peekable<impl Iterator<Item = char> + Clone>) -> String {
    let mut out = String::from('"');
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push('"');
                return out;
            }
            '\\' => match chars.next() {
                Some('u') => match unicode_escape(chars) {
                    Some(c) => push_escaped(&mut out, c),
                    None => out.push('\u{fffd}'),
                },
                Some(c @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => out.extend(['\\', c]),
                Some(c) => {
                    out.push_str("\\\\");
                    push_escaped(&mut out, c);
                }
                None => return out,
            },
            c => push_escaped(&mut out, c),
        }
    }
    out
}

/// Adds a character to a JSON string.
fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        c if c.is_control() => out.push(' '),
        c => out.push(c),
    }
}

/// Reads the digits of an escape, and those of the second half of a surrogate pair. Digits that are missing are not read.
fn unicode_escape(chars: &mut Peekable<impl Iterator<Item = char> + Clone>) -> Option<char> {
    let first = hex(chars)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first);
    }
    let mut ahead = chars.clone();
    if (ahead.next(), ahead.next()) != (Some('\\'), Some('u')) {
        return None;
    }
    let second = hex(&mut ahead)?;
    if !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    *chars = ahead;
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
}

fn hex(chars: &mut Peekable<impl Iterator<Item = char>>) -> Option<u32> {
    let mut number = 0;
    for _ in 0..4 {
        number = number * 16 + chars.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sound_keeps_its_meaning() {
        let body = r#"{"a": [1, -2.5e3, "x\"\\\/\b\f\n\r\t", true, null], "\u00e9\ud83d\ude00\ud800\udc00\udbff\udfff": {"b": {}}}"#;
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&repaired(body.as_bytes())), value(body));
    }

    #[test]
    fn only_details_are_repaired() {
        for (body, expected) in [
            ("{\"a\":1e999,\"b\":[NaN,01,+1,.5]}", "{\"a\":false,\"b\":[false,false,false,false]}"),
            ("{\"a\":\"x\ny\"}", "{\"a\":\"x y\"}"),
            (r#"{"a":"\q\ud800\u00zz\u0022"}"#, "{\"a\":\"\\\\q\u{fffd}\u{fffd}zz\\\"\"}"),
            // A cut body stays one.
            (r#"{"data":{"status":"Succ"#, r#"{"data":{"status":"Succ"#),
            (r#"{"data":{"status":"Success""#, r#"{"data":{"status":"Success""#),
            (r#"{"data":"x\"#, r#"{"data":"x"#),
            ("]]}{", "]]}{"),
        ] {
            assert_eq!(repaired(body.as_bytes()), expected, "{body}");
        }
        let (open, close) = ("[".repeat(1000), "]".repeat(1000));
        let expected = ["[".repeat(64), "[]".to_owned(), "]".repeat(64)].concat();
        assert_eq!(repaired(format!("{open}1{close}").as_bytes()), expected);
    }
}

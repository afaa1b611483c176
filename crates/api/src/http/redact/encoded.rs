//! Finds a secret in a text, however it is escaped.
//!
//! Each character may be written as it is, as a JSON or Python escape, as an HTML entity or percent-encoded, mixed in
//! any way. Texts are also searched after decoding them up to twice, so escapes are found three layers deep.

use std::ops::Range;

/// A secret's beginning of this many characters is redacted without the rest: servers cut what they echo.
const TELLING_PREFIX: usize = 16;

/// Shorter secrets are found only as whole words, because they occur within ordinary ones.
const SHORTEST_WITHIN_WORDS: usize = 4;

/// The characters that begin an escape, and `+` for a space.
const ESCAPES: [char; 4] = ['\\', '%', '&', '+'];

/// What is skipped within a secret: long lines are broken, and UTF-16 holds zeros.
const LINE_BREAKS: [char; 3] = ['\r', '\n', '\0'];

/// Returns where `secret` is in `text`, unsorted.
pub(super) fn find(text: &str, secret: &str) -> Vec<Range<usize>> {
    if secret.is_empty() || text.is_empty() {
        return Vec::new();
    }
    // Most texts, such as the request id of each answer, end here.
    let beginning = beginning(secret);
    if !text.contains(ESCAPES)
        && !text.contains(LINE_BREAKS)
        && beginning.is_ascii()
        && !text.contains(beginning)
    {
        return Vec::new();
    }
    let chars: Vec<char> = secret.chars().collect();
    let mut found = find_in(text, &chars);
    for once in [Escape::Backslash, Escape::Entity, Escape::Percent] {
        let Some(decoded) = Decoded::of(text, once) else { continue };
        found.extend(find_in(&decoded.text, &chars).into_iter().map(|range| decoded.source(range)));
        for twice in [Escape::Backslash, Escape::Entity, Escape::Percent] {
            let Some(inner) = Decoded::of(&decoded.text, twice) else { continue };
            let ranges = find_in(&inner.text, &chars).into_iter();
            found.extend(ranges.map(|range| decoded.source(inner.source(range))));
        }
    }
    found
}

/// Returns the part of a secret that every match without escapes begins with.
fn beginning(secret: &str) -> &str {
    let end = secret.char_indices().nth(SHORTEST_WITHIN_WORDS).map_or(secret.len(), |(at, _)| at);
    secret.get(..end).unwrap_or(secret)
}

/// Returns where the secret is in a text that is decoded as far as needed, except for one layer of escapes.
fn find_in(text: &str, secret: &[char]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut done = 0;
    for (start, first) in text.char_indices() {
        // A match within a secret skips line breaks, and none begins with one that is not the secret's.
        let is_skipped = LINE_BREAKS.contains(&first) && secret.first() != Some(&first);
        if start < done || is_skipped {
            continue;
        }
        let Some(end) = match_at(text, start, secret) else { continue };
        if secret.len() < SHORTEST_WITHIN_WORDS && !is_word(text, start, end) {
            continue;
        }
        found.push(start..end);
        done = end;
    }
    found
}

fn is_word(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|text| text.chars().next_back());
    let after = text.get(end..).and_then(|text| text.chars().next());
    ![before, after].into_iter().flatten().any(char::is_alphanumeric)
}

/// Returns the end of the longest match of the secret, or of enough of its beginning, at `start`.
fn match_at(text: &str, start: usize, secret: &[char]) -> Option<usize> {
    // A character can be written in several ways, also one that begins like another, so there can be several ends.
    let mut ends = vec![start];
    let (mut matched, mut end) = (0, start);
    let mut next = Vec::new();
    for &char in secret {
        next.clear();
        for &at in &ends {
            push_ends(text, at, char, &mut next);
        }
        if next.is_empty() {
            break;
        }
        next.sort_unstable();
        next.dedup();
        std::mem::swap(&mut ends, &mut next);
        matched += 1;
        end = ends.last().copied().unwrap_or(end);
    }
    let rest = text.get(end..).unwrap_or_default();
    let is_cut_short = matched >= SHORTEST_WITHIN_WORDS
        && (rest.is_empty() || rest.starts_with("...") || rest.starts_with('\u{2026}'));
    (matched >= secret.len().min(TELLING_PREFIX) || is_cut_short).then_some(end)
}

/// Adds the ends of every way in which `char` is written at `at`.
fn push_ends(text: &str, at: usize, char: char, ends: &mut Vec<usize>) {
    let Some(rest) = text.get(at..) else { return };
    if rest.starts_with(char) {
        ends.push(at + char.len_utf8());
    }
    let unbroken = rest.trim_start_matches(LINE_BREAKS);
    if unbroken.len() < rest.len() {
        push_ends(text, text.len() - unbroken.len(), char, ends);
    }
    if !char.is_ascii() {
        ends.extend(damaged(rest, char).map(|length| at + length));
    }
    if !char.is_ascii_alphanumeric() {
        ends.extend(named_entity(rest).map(|length| at + length));
    }
    match rest.as_bytes().first() {
        Some(b'+') if char == ' ' => ends.push(at + 1),
        Some(b'\\') => ends.extend(
            backslash(rest).filter(|(found, _)| *found == char).map(|(_, length)| at + length),
        ),
        Some(b'&') => ends.extend(
            entity(rest).filter(|(found, _)| *found == char).map(|(_, length)| at + length),
        ),
        Some(b'%') => ends.extend(
            percent(rest).filter(|(found, _)| *found == char).map(|(_, length)| at + length),
        ),
        _ => (),
    }
}

/// Returns the length of a character that was read or written in another encoding than UTF-8: its bytes taken for
/// characters of Latin-1, or replaced one by one.
fn damaged(text: &str, char: char) -> Option<usize> {
    let mut utf8 = [0; 4];
    let bytes = char.encode_utf8(&mut utf8).bytes();
    let latin: String = bytes.map(char::from).collect();
    if text.starts_with(&latin) {
        return Some(latin.len());
    }
    let replaced = ['?', '\u{fffd}'].into_iter().find(|mark| text.starts_with(*mark))?;
    let count = text.chars().take(char.len_utf8()).take_while(|c| *c == replaced).count();
    Some(count * replaced.len_utf8())
}

/// Returns the length of an HTML entity with any name. HTML has two thousand of them.
fn named_entity(text: &str) -> Option<usize> {
    let name = text.strip_prefix('&')?;
    let length = name.find(|c: char| !c.is_ascii_alphanumeric())?;
    let is_name = (2..=31).contains(&length) && name.as_bytes().get(length) == Some(&b';');
    is_name.then_some(length + 2)
}

/// Reads an escape of JSON, JavaScript, Python or Rust: `\"`, `\n`, `\u00e9`, `\ud83d\ude00`, `\x41`, `\u{e9}`.
fn backslash(text: &str) -> Option<(char, usize)> {
    let kind = *text.as_bytes().get(1)?;
    let hex = |from: usize, digits: usize| -> Option<u32> {
        let digits = text.get(from..from + digits)?;
        u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
    };
    let short = |char| Some((char, 2));
    match kind {
        b'"' | b'\\' | b'/' | b'\'' | b'`' => short(char::from(kind)),
        b'b' => short('\u{8}'),
        b'f' => short('\u{c}'),
        b'n' => short('\n'),
        b'r' => short('\r'),
        b't' => short('\t'),
        b'0' => short('\0'),
        b'x' => Some((char::from_u32(hex(2, 2)?)?, 4)),
        b'U' => Some((char::from_u32(hex(2, 8)?)?, 10)),
        b'u' if text.as_bytes().get(2) == Some(&b'{') => {
            let length = text.get(3..)?.find('}').filter(|length| (1..=6).contains(length))?;
            Some((char::from_u32(hex(3, length)?)?, 4 + length))
        }
        b'u' => {
            let first = hex(2, 4)?;
            if let Some(char) = char::from_u32(first) {
                return Some((char, 6));
            }
            let second = text.get(6..)?.strip_prefix("\\u").and_then(|_| hex(8, 4))?;
            let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            let char = char::decode_utf16(pair).next()?.ok()?;
            Some((char, 12))
        }
        _ => None,
    }
}

/// Reads an HTML entity: `&quot;`, `&#34;`, `&#x22;`.
fn entity(text: &str) -> Option<(char, usize)> {
    const NAMES: [(&str, char); 8] = [
        ("quot", '"'),
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("sol", '/'),
        ("plus", '+'),
    ];
    let body = text.get(1..)?;
    if let Some(number) = body.strip_prefix('#') {
        let (number, radix, before) = match number.strip_prefix(['x', 'X']) {
            Some(number) => (number, 16, 3),
            None => (number, 10, 2),
        };
        let length = number.find(|c: char| !c.is_digit(radix)).unwrap_or(number.len());
        let code = u32::from_str_radix(number.get(..length)?, radix).ok()?;
        let semicolon = usize::from(number.get(length..)?.starts_with(';'));
        return Some((char::from_u32(code)?, before + length + semicolon));
    }
    let (name, char) = NAMES
        .into_iter()
        .find(|(name, _)| body.get(..name.len()).is_some_and(|b| b.eq_ignore_ascii_case(name)))?;
    let semicolon = usize::from(body.get(name.len()..)?.starts_with(';'));
    Some((char, 1 + name.len() + semicolon))
}

/// Reads a percent-encoded character: one to four bytes of UTF-8, else one of Latin-1. Scripts write `%u00e9`, too.
fn percent(text: &str) -> Option<(char, usize)> {
    if let Some(unit) = text.get(2..6).filter(|_| text.starts_with("%u") || text.starts_with("%U"))
    {
        let is_hex = unit.bytes().all(|b| b.is_ascii_hexdigit());
        let code = u32::from_str_radix(unit, 16).ok().filter(|_| is_hex)?;
        if let Some(char) = char::from_u32(code) {
            return Some((char, 6));
        }
        // The halves of a surrogate pair.
        let pair = text.get(..12)?.replace("%u", "\\u").replace("%U", "\\u");
        return backslash(&pair);
    }
    let byte = |number: usize| -> Option<u8> {
        let digits = text.get(3 * number..3 * number + 3)?.strip_prefix('%')?;
        u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
    };
    let first = byte(0)?;
    let length = match first {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    let bytes: Option<Vec<u8>> = (0..length).map(byte).collect();
    let char = bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.chars().next());
    Some(char.map_or((char::from(first), 3), |char| (char, 3 * length)))
}

#[derive(Clone, Copy)]
enum Escape {
    Backslash,
    Entity,
    Percent,
}

/// A decoded text, and where each of its bytes comes from.
struct Decoded {
    text: String,
    /// The start of the source of each byte, and the end of the source.
    sources: Vec<usize>,
}

impl Decoded {
    /// Decodes one layer of escapes of one kind. Returns `None` if there are none.
    fn of(text: &str, escape: Escape) -> Option<Self> {
        type Read = fn(&str) -> Option<(char, usize)>;
        let (begin, read): (char, Read) = match escape {
            Escape::Backslash => ('\\', backslash),
            Escape::Entity => ('&', entity),
            Escape::Percent => ('%', percent),
        };
        let mut decoded = Self { text: String::new(), sources: Vec::new() };
        let (mut at, mut has_escapes) = (0, false);
        while let Some(rest) = text.get(at..)
            && let Some(char) = rest.chars().next()
        {
            let (char, length) = match read(rest).filter(|_| char == begin) {
                Some(read) => {
                    has_escapes = true;
                    read
                }
                None => (char, char.len_utf8()),
            };
            decoded.text.push(char);
            decoded.sources.resize(decoded.text.len(), at);
            at += length;
        }
        decoded.sources.push(at);
        has_escapes.then_some(decoded)
    }

    fn source(&self, range: Range<usize>) -> Range<usize> {
        let source = |at: usize| self.sources.get(at).copied().unwrap_or_default();
        source(range.start)..source(range.end)
    }
}

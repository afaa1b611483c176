//! Job ids as people and other programs write them.

use cfw_api::JobId;

/// The most characters of a bad id that a message shows.
const MAX_SHOWN: usize = 60;

/// Parses a job id, without blanks and byte order marks around it.
///
/// The service answers "not found" to a text that is no id, as it does for a job that appears late. So texts that
/// a pipeline makes by mistake are refused here rather than waited for.
///
/// # Errors
///
/// Returns a description of the text and the problem.
pub(crate) fn parse(text: &str) -> Result<JobId, String> {
    let text = trim(text);
    let id = JobId::new(text).map_err(|error| error.to_string())?;
    match problem(text) {
        None => Ok(id),
        Some(problem) => {
            let shown: String = text.chars().take(MAX_SHOWN).collect();
            Err(format!("invalid job id {shown:?}: {problem}"))
        }
    }
}

/// Removes blanks and byte order marks around a text. Files written on Windows begin with a mark, and files that
/// are joined hold one in the middle.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

fn problem(text: &str) -> Option<&'static str> {
    if ["null", "none", "nil", "undefined", "nan"].contains(&&*text.to_ascii_lowercase()) {
        return Some("stands for a missing value; jq -er fails instead of printing it");
    }
    text.chars().find_map(|c| match c {
        '"' | '\'' | '`' | '\u{2018}'..='\u{201f}' => {
            Some("holds a quotation mark; jq -r prints texts without")
        }
        '<' | '>' => Some("holds an angle bracket, as <none> and placeholders do"),
        '$' => Some("holds a dollar sign; shells expand variables between double quotes only"),
        ',' => Some("holds a comma; jq -r '.[]' prints one id per line"),
        '[' | ']' | '{' | '}' => Some("holds a bracket; jq -r '.[]' prints one id per line"),
        c if is_blank(c) => Some("holds a blank; each id is an argument, or a line, of its own"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_trimmed() {
        for text in ["a", " a\t", "\u{feff}a\r\n", "\u{feff} a \u{feff}"] {
            assert_eq!(parse(text).unwrap().as_str(), "a", "{text:?}");
        }
        let id = "5a2b74ef-6fb9-4d0b.b4e9:e8a0_5#1";
        assert_eq!(parse(id).unwrap().as_str(), id);
    }

    #[test]
    fn texts_that_are_no_ids_are_refused_with_a_hint() {
        let refused = |text: &str| parse(text).unwrap_err();
        let quoted =
            "invalid job id \"\\\"cd63\\\"\": holds a quotation mark; jq -r prints texts without";
        assert_eq!(refused("\"cd63\""), quoted);
        for (text, hint) in [
            ("'cd63'", "quotation mark; jq -r"),
            ("`cd63`", "quotation mark; jq -r"),
            ("null", "missing value; jq -er"),
            ("None", "missing value; jq -er"),
            ("undefined", "missing value; jq -er"),
            ("NaN", "missing value; jq -er"),
            ("\u{201c}cd63\u{201d}", "quotation mark; jq -r"),
            ("\u{2018}cd63\u{2019}", "quotation mark; jq -r"),
            ("<none>", "angle bracket"),
            ("<no value>", "angle bracket"),
            ("JOB_ID>", "angle bracket"),
            ("$JOB_ID", "dollar sign; shells"),
            ("${JOB_ID}", "dollar sign; shells"),
            ("cd63,", "comma; jq -r"),
            ("a,b", "comma; jq -r"),
            ("[", "bracket; jq -r"),
            ("]", "bracket; jq -r"),
            ("{", "bracket; jq -r"),
            ("a b", "blank; each id"),
            ("a\u{a0}b", "blank; each id"),
        ] {
            assert!(refused(text).contains(hint), "{}", refused(text));
        }
        let long = format!("{}\"", "x".repeat(200));
        assert!(refused(&long).len() < 150, "{}", refused(&long));
        for (text, problem) in [
            ("", "is empty"),
            ("a\u{feff}b", "invisible"),
            ("a/b", "holds a '/'"),
            ("a\nb", "control"),
        ] {
            assert!(refused(text).contains(problem), "{}", refused(text));
        }
    }
}

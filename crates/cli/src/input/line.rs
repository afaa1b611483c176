//! One line: an id, or a JSON object with an id and more.

use std::time::Duration;

use cfw_api::JobId;
use serde::Deserialize;

use crate::ids;
use crate::printable::printable;
use crate::values::{AgeArg, TimeoutArg};

/// The longest name of a kind of jobs.
const MAX_KIND_LEN: usize = 100;

/// A job to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    /// What the job does. Jobs of one kind take similar times.
    pub(crate) kind: Option<String>,
    /// The age of the job now, instead of `--since`.
    pub(crate) age: Option<Duration>,
    /// Instead of `--timeout`.
    pub(crate) timeout: Option<Duration>,
}

impl From<JobId> for Job {
    fn from(id: JobId) -> Self {
        Self { id, kind: None, age: None, timeout: None }
    }
}

/// A line of JSON. A field that is null counts as missing, as jq prints it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    id: Option<String>,
    kind: Option<String>,
    since: Option<String>,
    timeout: Option<String>,
}

/// Parses a line. Returns `None` if it is blank or a comment.
///
/// # Errors
///
/// Returns a description of the problem.
pub(super) fn parse(line: &[u8]) -> Option<Result<Job, String>> {
    let Ok(line) = str::from_utf8(line) else {
        return Some(Err("is not UTF-8".to_owned()));
    };
    if line.contains('\0') {
        let hint = "holds a zero byte, as UTF-16 does; iconv -f UTF-16LE -t UTF-8 converts that";
        return Some(Err(hint.to_owned()));
    }
    let text = ids::trim(line);
    // Neither a comment, since texts in JSON can hold `#`, nor the opening line of an object in several lines.
    if text.starts_with('{') && text != "{" {
        // A problem may name what the line holds: a field, an unknown word.
        return Some(parse_object(text).map_err(printable));
    }
    let text = ids::trim(without_comment(line));
    (!text.is_empty()).then(|| ids::parse(text).map(Job::from).map_err(printable))
}

fn parse_object(text: &str) -> Result<Job, String> {
    let object: Object = serde_json::from_str(text).map_err(|error| {
        // There is one line: the number would be taken for that of the input.
        let text = error.to_string().replace(" at line 1 column", " at column");
        format!("invalid JSON object: {text}")
    })?;
    let id = object.id.ok_or("has no id")?;
    let field = |name: &str, text: &str, problem: String| format!("{name} {text:?}: {problem}");
    let age = object.since.map(|text| {
        text.parse().map(|AgeArg(age)| age).map_err(|problem| field("since", &text, problem))
    });
    let timeout = object.timeout.map(|text| {
        let timeout = text.parse::<TimeoutArg>();
        timeout.map(|arg| arg.duration()).map_err(|problem| field("timeout", &text, problem))
    });
    let kind = object.kind.map(|text| match kind_problem(&text) {
        None => Ok(text),
        Some(problem) => Err(field("kind", &text, problem)),
    });
    Ok(Job {
        id: ids::parse(&id)?,
        kind: kind.transpose()?,
        age: age.transpose()?,
        timeout: timeout.transpose()?,
    })
}

/// Returns what is wrong with the name of a kind.
pub(crate) fn kind_problem(kind: &str) -> Option<String> {
    if kind.trim().is_empty() {
        Some("is empty".to_owned())
    } else if kind.len() > MAX_KIND_LEN {
        Some(format!("is longer than {MAX_KIND_LEN} bytes"))
    } else {
        kind.contains(char::is_control).then(|| "holds a control character".to_owned())
    }
}

/// Cuts a comment off: from a `#` at the start of a line, or after a blank, to its end.
fn without_comment(line: &str) -> &str {
    let mut previous = ' ';
    for (at, char) in line.char_indices() {
        if char == '#' && ids::is_blank(previous) {
            return line.get(..at).unwrap_or(line);
        }
        previous = char;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(line: &str) -> Job {
        parse(line.as_bytes()).unwrap().unwrap()
    }

    fn problem(line: &str) -> String {
        parse(line.as_bytes()).unwrap().unwrap_err()
    }

    #[test]
    fn an_object_describes_a_job() {
        let all = r##" {"id": "a", "kind": "create #1", "since": "90s", "timeout": "1h30m"} "##;
        let expected = Job {
            id: JobId::new("a").unwrap(),
            kind: Some("create #1".to_owned()),
            age: Some(Duration::from_secs(90)),
            timeout: Some(Duration::from_secs(5400)),
        };
        assert_eq!(job(all), expected);
        let nulls = r#"{"id":"a","kind":null,"since":null,"timeout":null}"#;
        assert_eq!(job(nulls), Job::from(JobId::new("a").unwrap()));
        assert_eq!(job("\u{feff}{\"id\":\" a\"}\r\n"), job("a"));
        assert_eq!(job(r#"{"id":"a","timeout":"0"}"#).timeout, Some(Duration::ZERO));
    }

    #[test]
    fn a_bad_object_is_refused_with_the_field_and_the_value() {
        for (line, expected) in [
            ("{}", "has no id"),
            (r#"{"id":null}"#, "has no id"),
            (
                r#"{"id":4711}"#,
                "invalid JSON object: invalid type: integer `4711`, expected a string at column 10",
            ),
            (
                r#"{"id":"a","timout":"3s"}"#,
                "invalid JSON object: unknown field `timout`, expected one of `id`, `kind`, `since`, `timeout` at column 18",
            ),
            (r#"{"id":"a"} b"#, "invalid JSON object: trailing characters at column 12"),
            (r#"{"id":"a/b"}"#, "invalid job id \"a/b\": holds a '/'"),
            (
                r#"{"id":"null"}"#,
                "invalid job id \"null\": stands for a missing value; jq -er fails instead of printing it",
            ),
            (
                r#"{"id":"a","timeout":"soon"}"#,
                "timeout \"soon\": expected a time with its unit, such as 1.5s, 30m or 1h30m",
            ),
            (
                r#"{"id":"a","since":"yesterday"}"#,
                "since \"yesterday\": expected an age such as 90s, or a time such as 2026-11-24T22:51:00Z",
            ),
            (r#"{"id":"a","kind":" "}"#, "kind \" \": is empty"),
            (r#"{"id":"a","kind":"\n"}"#, "kind \"\\n\": is empty"),
            (r#"{"id":"a","kind":"a\u0007"}"#, "kind \"a\\u{7}\": holds a control character"),
        ] {
            assert_eq!(problem(line), expected);
        }
        let long = format!(r#"{{"id":"a","kind":"{}"}}"#, "x".repeat(101));
        assert!(problem(&long).ends_with("is longer than 100 bytes"));
        assert!(problem("{").contains("bracket"), "an object in several lines");
    }
}

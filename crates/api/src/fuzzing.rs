//! What any bytes from outside must never do: the targets of `fuzz/`.
//!
//! Each target takes bytes and panics if a promise is broken. cargo-fuzz calls them with `--cfg fuzzing`, under which alone they
//! are compiled for others; the tests below call them with the corpus and with bytes made from it.

#![expect(clippy::panic, reason = "a broken promise is reported by a panic, as fuzzers expect")]

use std::{
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use crate::{
    Class, JobId, JobStatus, Settings,
    http::{
        classify::{Classification, classify, server_time},
        redact::sanitise,
    },
    times,
    wire::{error_body::ErrorBody, job},
};

/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Stands for each secret of a file.
const SECRET: &str = "SENSITIVE";

/// The body of a job's status: usable only as the job that was asked for, with a status that the body holds.
pub fn job_response(body: &[u8]) {
    let id = JobId::new("cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f");
    let Ok(id) = id else { panic!("the id is sound") };
    let Ok(read) = job::parse(&id, body) else { return };
    assert!(!read.status.as_str().trim().is_empty(), "an empty status");
    let holds = |word: &str| {
        let text = String::from_utf8_lossy(body).to_ascii_lowercase();
        // An escape may stand for any letter.
        text.contains(word) || text.contains("\\u")
    };
    if read.status == JobStatus::Success {
        assert!(holds("success"), "a success that the body does not hold");
    }
    for time in [read.begin_time, read.end_time].into_iter().flatten() {
        assert!(time > SystemTime::UNIX_EPOCH, "a time before 1970");
    }
}

/// An error's body behind a status, with and without a `Retry-After`. The first two bytes choose these.
pub fn error_response(data: &[u8]) {
    let [status, hint, body @ ..] = data else { return };
    let status = 200 + u16::from(*status) * 2;
    let body = ErrorBody::parse(body);
    let is_bounded = |hint: Duration| hint <= LONGEST_PAUSE && !hint.is_zero();
    assert!(body.retry_after.is_none_or(is_bounded), "{:?}", body.retry_after);
    let classification = classify(status, &body, hint % 2 == 1);
    let is_busy = matches!(status, 429 | 500..=502 | 504..=599) && body.code.is_none();
    assert!(
        !is_busy || classification != Classification::Fatal,
        "{status} without a code is fatal"
    );
    let class = Class::new(classification, body.retry_after, &body.text);
    assert!(!matches!(class, Class::Throttled { quota: Some(quota), .. } if quota.per.is_zero()));
    let _ = server_time(&body.text);
}

/// Times in all their forms: read as what they say or not at all, and the same without blanks around them.
pub fn times(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for read in [times::from_text, times::from_http_date] {
        let time = read(&text);
        assert_eq!(time, read(text.trim()), "blanks around {text:?} count");
    }
    let _ = times::from_compact(&text);
    if let Ok(number) = text.trim().parse() {
        let time = times::from_number(number);
        assert!(time.is_none_or(|time| time > SystemTime::UNIX_EPOCH), "{number} is {time:?}");
    }
}

/// A `Retry-After`, after the answer's own date where a line holds that first: a pause of above zero and five minutes at most.
pub fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (date, value) = text.split_once('\n').unwrap_or(("", &text));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_641_370_501);
    for answered in [None, times::from_http_date(date)] {
        for pause in [times::retry_after(value, answered, now), times::pause_seconds(value)] {
            let is_sound = |pause: Duration| pause <= LONGEST_PAUSE && !pause.is_zero();
            assert!(pause.is_none_or(is_sound), "{value:?} is {pause:?}");
        }
        let is_negative = value.trim().starts_with('-');
        assert!(!is_negative || times::retry_after(value, answered, now).is_none(), "{value:?}");
    }
}

/// The text of a throttling answer: a quota of calls that the text names.
pub fn throttle_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let class = Class::new(Classification::Throttled, None, &text);
    let Class::Throttled { quota: Some(quota), .. } = class else { return };
    assert!(!quota.per.is_zero(), "{quota:?}");
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let is_named = numbers.any(|number| number.parse() == Ok(quota.calls.get()));
    assert!(is_named, "{text:?} does not name {quota:?}");
}

/// clouds.yaml, and after a line of `~` secure.yaml: read or refused, and no secret in what is printed of either.
#[cfg(feature = "clouds-yaml")]
pub fn clouds_yaml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (clouds, secure) = text.split_once("\n~\n").unwrap_or((&text, ""));
    let env = |name: &str| match name {
        "OS_CLOUD" => Some("c".to_owned()),
        "HOME" => Some("/home".to_owned()),
        _ => None,
    };
    let files = [("clouds.yaml", clouds), ("secure.yaml", secure)];
    load(&env, &files, data);
}

/// The credentials file of the SDK: read or refused, and no secret in what is printed of either.
pub fn sdk_credentials(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let env = |name: &str| (name == "HOME").then(|| "/home".to_owned());
    load(&env, &[("/home/.huaweicloud/credentials", &text)], data);
}

fn load(env: &dyn Fn(&str) -> Option<String>, files: &[(&str, &str)], data: &[u8]) {
    let read = |path: &Path| {
        let is_it = |(name, _): &&(&str, &str)| path == Path::new(name) || path.ends_with(name);
        let file = files.iter().find(is_it).filter(|(_, text)| !text.is_empty());
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let result = Settings::load(env, &read);
    let mut printed = format!("{result:?}");
    let mut error = result.as_ref().err().map(|error| error as &dyn std::error::Error);
    while let Some(cause) = error {
        printed += &format!(" {cause} {cause:?}");
        error = cause.source();
    }
    // Names of settings may be shown, and the corpus has the word in values of secrets only.
    let is_value = |line: &str| {
        let secrets = ["password", "secret", "token", "sk", "passcode"];
        let (key, value) = line.split_once([':', '=']).unwrap_or_default();
        let key = key.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
        value.contains(SECRET) && secrets.iter().any(|name| key == *name)
    };
    let text = String::from_utf8_lossy(data);
    let others = text.lines().any(|line| line.contains(SECRET) && !is_value(line));
    assert!(others || !printed.contains(SECRET), "a secret is printed: {printed}");
}

/// A secret, and how a server echoes it: no encoding of it comes through.
///
/// The first byte is the secret's length and the next three choose up to three encodings, one around another. Then come the
/// secret and the text around it.
pub fn redaction(data: &[u8]) {
    let [length, layers @ ..] = data else { return };
    let Some((layers, rest)) = layers.split_at_checked(3) else { return };
    let rest: String = String::from_utf8_lossy(rest).chars().take(600).collect();
    let length = 8 + usize::from(*length % 40);
    let secret: String = rest.chars().take(length).collect();
    let around: String = rest.chars().skip(length).collect();
    // Shorter texts, and those of few letters, may stand in any answer.
    let mut letters: Vec<char> = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    let is_plain = letters.len() == length;
    letters.sort_unstable();
    letters.dedup();
    if secret.chars().count() < length || letters.len() < 6 {
        return;
    }
    let middle = around.chars().count() / 2;
    let before: String = around.chars().take(middle).collect();
    let after: String = around.chars().skip(middle).collect();
    let mut text = secret.clone();
    for layer in layers {
        text = encode(&text, *layer);
    }
    let text = format!("{before} {text} {after}");
    let clean = sanitise(&text, &[&secret], 10_000);
    assert!(clean.len() <= text.len() + "[redacted]".len() * text.len(), "longer than explained");
    // With blanks and signs what is left could be another text's. The unit tests have those.
    if is_plain {
        assert!(!clean.contains(&secret), "{secret:?} comes through: {clean}");
        let mut decoded = clean;
        for layer in layers.iter().rev() {
            decoded = decode(&decoded, *layer);
        }
        assert!(!decoded.contains(&secret), "{secret:?} comes through, encoded: {decoded}");
    }
}

fn encode(text: &str, way: u8) -> String {
    let escaped = |text: String| text.trim_matches('"').to_owned();
    match way % 7 {
        0 => text.to_owned(),
        1 => text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        2 => text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
        3 => text.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        4 => text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect(),
        5 => escaped(format!("{text:?}")),
        _ => text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
    }
}

/// Undoes `encode`, as far as it stands there.
fn decode(text: &str, way: u8) -> String {
    let number = |digits: &str, radix| {
        u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).unwrap_or('?')
    };
    let replaced = |start: &str, radix, length: Option<usize>| {
        let mut parts = text.split(start);
        let mut clear = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = length.or_else(|| part.find(';')).unwrap_or(0);
            let Some((digits, rest)) = part.split_at_checked(end) else {
                clear += part;
                continue;
            };
            clear.push(number(digits, radix));
            clear += if length.is_none() { rest.strip_prefix(';').unwrap_or(rest) } else { rest };
        }
        clear
    };
    match way % 7 {
        1 => replaced("%", 16, Some(2)),
        2 => replaced("\\u", 16, Some(4)),
        3 => replaced("&#", 10, None),
        4 => replaced("&#x", 16, None),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use proptest::{
        collection::vec,
        prelude::*,
        sample::{Index, select},
        test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
    };

    use super::*;

    /// The corpus of a target. A published crate has none.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let fuzz = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"));
        let files = fs::read_dir(fuzz.join("corpus").join(target)).into_iter().flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty() || !fuzz.exists(), "no corpus for {target}");
        files.iter().map(|file| fs::read(file).unwrap()).collect()
    }

    /// Plays the corpus of a target, and bytes: any, and those of the corpus cut, joined and changed.
    fn replay(target: &str, play: fn(&[u8])) {
        let corpus = corpus(target);
        corpus.iter().for_each(|input| play(input));
        #[expect(clippy::disallowed_methods, reason = "how long to search is said from outside")]
        let cases = std::env::var("CFW_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
        let is_long = cases.is_some();
        let config = Config {
            // A text is searched for a secret in all its encodings, which takes long in a build without optimisation.
            cases: cases.unwrap_or(if target == "redaction" { 400 } else { 2_000 }),
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = if is_long {
            TestRunner::new(config)
        } else {
            TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        };
        let known = if corpus.is_empty() { vec![Vec::new()] } else { corpus };
        let edit = (any::<Index>(), 0_usize..4, vec(any::<u8>(), 0..6));
        let edited = (select(known.clone()), select(known), vec(edit, 0..6)).prop_map(
            |(mut input, other, edits)| {
                for (at, removed, inserted) in edits {
                    let at = at.index(input.len() + 1);
                    let end = (at + removed).min(input.len());
                    if inserted.is_empty() {
                        let from = at.min(other.len());
                        input.splice(at.., other[from..].iter().copied());
                    } else {
                        input.splice(at..end, inserted);
                    }
                }
                input
            },
        );
        let inputs = prop_oneof![1 => vec(any::<u8>(), 0..200), 4 => edited];
        runner
            .run(&inputs, |input| {
                play(&input);
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn fuzz_job_response() {
        replay("job_response", job_response);
    }

    #[test]
    fn fuzz_error_response() {
        replay("error_response", error_response);
    }

    #[test]
    fn fuzz_times() {
        replay("times", times);
    }

    #[test]
    fn fuzz_retry_after() {
        replay("retry_after", retry_after);
    }

    #[test]
    fn fuzz_throttle_text() {
        replay("throttle_text", throttle_text);
    }

    #[cfg(feature = "clouds-yaml")]
    #[test]
    fn fuzz_clouds_yaml() {
        replay("clouds_yaml", clouds_yaml);
    }

    #[test]
    fn fuzz_sdk_credentials() {
        replay("sdk_credentials", sdk_credentials);
    }

    #[test]
    fn fuzz_redaction() {
        replay("redaction", redaction);
    }
}

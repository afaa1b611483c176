//! What no bytes of a state file must ever do: a target of `fuzz/`.

use super::journal::{Journal, parse_header};
use super::problem::Problem;

/// A state file: one problem in one printable line, or a content that is the same when it is written and read again, and of
/// which each beginning with a whole header is read as well.
pub(crate) fn state(data: &[u8]) {
    let parsed = match Journal::parse(data) {
        Ok(parsed) => parsed,
        Err(problem) => return check(&problem),
    };
    assert!(parsed.len <= data.len(), "more was read than there is");
    let image = image(&parsed.journal);
    let again = Journal::parse(&image).ok().map(|again| (again.len, self::image(&again.journal)));
    assert_eq!(again, Some((image.len(), image)), "what is written is read again as it was");
    // A crash cuts anywhere: here at places that depend on the content.
    let header = data.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
    for cut in (header..data.len()).step_by(1 + data.len() / 16) {
        let before = Journal::parse(data.get(..cut).unwrap_or_default());
        let len = before.map(|before| before.len).ok();
        assert!(len.is_some_and(|len| len <= cut && len <= parsed.len), "cut at {cut}: {len:?}");
    }
    // One that has lost the end of its header is refused.
    let cut = data.get(..header - 1).unwrap_or_default();
    assert!(Journal::parse(cut).is_err(), "no header");
    if let Err(problem) = parse_header(cut) {
        check(&problem);
    }
}

fn image(journal: &Journal) -> Vec<u8> {
    journal.image().unwrap_or_default()
}

fn check(problem: &Problem) {
    let text = problem.to_string();
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
}

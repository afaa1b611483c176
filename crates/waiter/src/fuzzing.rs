//! What any bytes from outside must never do: the targets of `fuzz/`.
//!
//! Each target takes bytes and panics if a promise is broken. cargo-fuzz calls them with `--cfg fuzzing`, under which alone they
//! are compiled for others; the tests below call them with the corpus and with bytes made from it.

/// A script of what handles and a driver do to the core, with its invariants as oracle.
#[cfg(any(test, debug_assertions))]
pub fn core(script: &[u8]) {
    crate::board::script::play(script);
}

/// A checkpoint: refused, or written and read again as the same, with options of a wait that ends. A part of one is refused.
#[cfg(feature = "serde")]
pub fn checkpoint(data: &[u8]) {
    use std::time::{Duration, SystemTime};

    use crate::{Checkpoint, JobOptions};

    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(data) else { return };
    let text = serde_json::to_string(&checkpoint).unwrap_or_default();
    let again = serde_json::from_str::<Checkpoint>(&text).ok();
    let rounded = |checkpoint: &Checkpoint| serde_json::to_string(checkpoint).ok();
    assert_eq!(again.as_ref().and_then(rounded).as_ref(), Some(&text), "{checkpoint:?}");
    // Any JSON tool may have written it again, and a crash may have cut it.
    let tool = serde_json::from_str::<serde_json::Value>(&text).and_then(serde_json::from_value);
    let tool = tool.ok().as_ref().and_then(rounded);
    assert_eq!(tool.as_ref(), Some(&text), "{checkpoint:?}");
    for cut in (0..text.len()).step_by(1 + text.len() / 16) {
        let part = text.as_bytes().get(..cut).unwrap_or_default();
        assert!(serde_json::from_slice::<Checkpoint>(part).is_err(), "cut at {cut}: {text}");
    }
    assert_eq!(again.map(|again| again.jobs.len()), Some(checkpoint.jobs.len()));
    for job in &checkpoint.jobs {
        let whole = job.deadline.duration_since(job.started).unwrap_or_default();
        for now in [SystemTime::UNIX_EPOCH, job.started, job.deadline] {
            let options = JobOptions::resumed(job, now + Duration::from_secs(1));
            assert!(options.timeout.is_some_and(|timeout| timeout <= whole), "{options:?}");
        }
    }
}

/// A file of past jobs: refused, or written and read again as the same, and good for a plan.
#[cfg(feature = "history")]
pub fn history(data: &[u8]) {
    use std::time::Duration;

    use crate::{Learned, Schedule};

    let Some((history, written)) = crate::learned::read_and_write(data) else { return };
    let again = crate::learned::read_and_write(&written);
    let again = again.map(|(_, written)| written);
    assert_eq!(again.as_ref(), Some(&written), "a file that is written is read again as it was");
    let kind = history.kinds().next().map(str::to_owned);
    let schedule = Schedule::learned(Learned::new()).unwrap_or_default();
    let plan = kind.and_then(|kind| schedule.explain(&history, &kind, Duration::from_millis(500)));
    if let Some(plan) = plan {
        assert!(plan.polls.is_sorted(), "polls out of order: {:?}", plan.polls);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

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
            cases: cases.unwrap_or(2_000),
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
        let inputs = prop_oneof![1 => vec(any::<u8>(), 0..400), 4 => edited];
        let result = runner.run(&inputs, |input| {
            play(&input);
            Ok(())
        });
        result.unwrap();
    }

    #[test]
    fn fuzz_core() {
        replay("core", core);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn fuzz_checkpoint() {
        replay("checkpoint", checkpoint);
    }

    #[cfg(feature = "history")]
    #[test]
    fn fuzz_history() {
        replay("history", history);
    }
}

//! What no input line must ever do: a target of `fuzz/`.

use super::line;

/// Lines of ids and of JSON: each is a job with a sound id and kind, or a problem in one line.
pub(crate) fn ndjson(data: &[u8]) {
    for text in data.split(|byte| *byte == b'\n') {
        match line::parse(text) {
            None => {}
            Some(Ok(job)) => {
                let id = job.id.as_str();
                let is_bad = |c: char| c.is_whitespace() || c.is_control() || "\"'<>/".contains(c);
                assert!(!id.is_empty() && !id.contains(is_bad), "{id:?} is no id");
                if let Some(kind) = job.kind {
                    assert!(!kind.contains(char::is_control) && kind.len() <= 100, "{kind:?}");
                }
            }
            Some(Err(problem)) => {
                assert!(!problem.is_empty() && !problem.contains(char::is_control), "{problem:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A number from a seed: Steele, Lea and Flood's splitmix64.
    fn next(seed: &mut u64) -> usize {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap()
    }

    /// The corpus, and bytes made from it: cut, joined and changed.
    #[test]
    fn fuzz_ndjson() {
        let fuzz = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"));
        let files = fs::read_dir(fuzz.join("corpus/ndjson")).into_iter().flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty() || !fuzz.exists(), "no corpus");
        let mut corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        corpus.iter().for_each(|input| ndjson(input));
        corpus.push(b"{\"id\":\"a\"}".to_vec());
        let mut seed = 7;
        for _ in 0..20_000 {
            let mut input = corpus[next(&mut seed) % corpus.len()].clone();
            for _ in 0..next(&mut seed) % 6 {
                let at = next(&mut seed) % (input.len() + 1);
                let other = &corpus[next(&mut seed) % corpus.len()];
                match next(&mut seed) % 4 {
                    0 => input.truncate(at),
                    1 => input.insert(at, u8::try_from(next(&mut seed) % 256).unwrap()),
                    2 => input.extend_from_slice(&other[at.min(other.len())..]),
                    _ => drop(input.splice(at..input.len().min(at + 3), *b"\\u0")),
                }
            }
            ndjson(&input);
        }
    }
}

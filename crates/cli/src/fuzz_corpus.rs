//! Plays the corpora of `fuzz/`, and bytes made from them, on stable Rust.

use std::fs;
use std::path::PathBuf;

/// A number from a seed: Steele, Lea and Flood's splitmix64.
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 33).unwrap()
}

/// Plays the corpus of a target, and bytes made from it: cut, joined and changed, in parts and by whole lines.
fn replay(target: &str, cases: usize, play: fn(&[u8])) {
    let fuzz = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"));
    let files = fs::read_dir(fuzz.join("corpus").join(target)).into_iter().flatten();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    // A published crate has none.
    assert!(!files.is_empty() || !fuzz.exists(), "no corpus");
    let mut corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    corpus.iter().for_each(|input| play(input));
    corpus.push(b"{\"id\":\"a\"}".to_vec());
    let mut seed = 7;
    for _ in 0..cases {
        let mut input = corpus[next(&mut seed) % corpus.len()].clone();
        for _ in 0..next(&mut seed) % 6 {
            let at = next(&mut seed) % (input.len() + 1);
            let other = &corpus[next(&mut seed) % corpus.len()];
            match next(&mut seed) % 5 {
                0 => input.truncate(at),
                1 => input.insert(at, u8::try_from(next(&mut seed) % 256).unwrap()),
                2 => input.extend_from_slice(&other[at.min(other.len())..]),
                3 => drop(input.splice(at..input.len().min(at + 3), *b"\\u0")),
                _ => {
                    let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
                    input.extend_from_slice(lines[next(&mut seed) % lines.len()]);
                }
            }
        }
        play(&input);
    }
}

#[test]
fn fuzz_ndjson() {
    replay("ndjson", 20_000, crate::input::fuzzing::ndjson);
}

#[test]
fn fuzz_state() {
    replay("state", 6_000, crate::state::fuzzing::state);
}

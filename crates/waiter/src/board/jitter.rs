//! Randomness as a function: the same seed, id and number give the same value, on any machine and in
//! any order of arrival (rule 14).

/// A finaliser with full avalanche: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014 (the variant known as splitmix64).
pub(crate) fn splitmix64(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of an id, for the index of jobs and for their jitter.
pub(crate) fn hash_id(seed: u64, id: &str) -> u64 {
    let (chunks, rest) = id.as_bytes().as_chunks();
    let mut hash = seed ^ (id.len() as u64).rotate_left(32);
    for chunk in chunks {
        hash = splitmix64(hash ^ u64::from_le_bytes(*chunk));
    }
    let tail = rest.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte));
    splitmix64(hash ^ tail)
}

/// A number in [0, 1) for the `n`th draw of a hash; `salt` keeps draws for different ends apart.
pub(crate) fn uniform(hash: u64, n: u32, salt: u32) -> f64 {
    let bits = splitmix64(hash ^ ((u64::from(salt) << 32) | u64::from(n)));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The jitter of a job's `n`th delay, in [0, 1): mostly the job's own, a quarter drawn anew each time.
///
/// Each delay alone is as evenly spread as by a fresh draw, since a sum modulo 1 with an even term is even. But
/// what a job draws keeps, so that jobs started together part in proportion to the number of polls, and not
/// to its square root only.
pub(crate) fn jitter(hash: u64, n: u32) -> f64 {
    #[cfg(test)]
    if switch::is_off() {
        return 0.0;
    }
    draw(hash, n)
}

/// The same for the delays of plans, where it moves a poll either way.
pub(crate) fn plan_jitter(hash: u64, n: u32) -> f64 {
    #[cfg(test)]
    if switch::is_off() {
        return 0.5;
    }
    draw(hash, n)
}

fn draw(hash: u64, n: u32) -> f64 {
    let sum = uniform(hash, 0, 4) + 0.25 * uniform(hash, n, 1);
    // Modulo 1: what `fract` returns, which calls a function where the processor may have no instruction for it.
    if sum < 1.0 { sum } else { sum - 1.0 }
}

/// Switches jitter off, for tests that compare polls with what a schedule says.
#[cfg(test)]
pub(crate) mod switch {
    use std::cell::Cell;

    thread_local! {
        static IS_OFF: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn is_off() -> bool {
        IS_OFF.get()
    }

    /// Calls a function without jitter on this thread.
    pub(crate) fn off<T>(f: impl FnOnce() -> T) -> T {
        struct On;
        impl Drop for On {
            fn drop(&mut self) {
                IS_OFF.set(false);
            }
        }
        let _on = On;
        IS_OFF.set(true);
        f()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_evenly() {
        let hash = hash_id(7, "5a2b74ef-6fb9-4d0b-b4e9-e8a05ae0b6cf");
        let mut draws: Vec<f64> = (0..10_000).map(|n| uniform(hash, n, 1)).collect();
        draws.sort_unstable_by(f64::total_cmp);
        assert!((0.0..1.0).contains(&draws[0]) && draws[9_999] < 1.0);
        for (tenth, bound) in [(1_000, 0.1), (5_000, 0.5), (9_000, 0.9)] {
            assert!((draws[tenth] - bound).abs() < 0.02, "{}", draws[tenth]);
        }
    }

    /// The same seed gives the same polls in each version (rule 14).
    #[test]
    fn jitter_is_a_sum_modulo_one() {
        let hash = hash_id(7, "5a2b74ef-6fb9-4d0b-b4e9-e8a05ae0b6cf");
        for own in 0..1_000 {
            let hash = hash.wrapping_add(own);
            let sum = uniform(hash, 0, 4) + 0.25 * uniform(hash, 3, 1);
            assert_eq!(jitter(hash, 3).to_bits(), sum.fract().to_bits(), "{sum}");
        }
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let ids = ["", "\0", "a", "b", "job-00000001", "job-00000010", "12345678", "12345678\0"];
        let mut hashes: Vec<_> = ids.iter().map(|id| hash_id(7, id)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), ids.len());
    }
}

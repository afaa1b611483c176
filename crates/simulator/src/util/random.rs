//! Random draws as pure functions: the same seed and key give the same draw, in any order.

/// Mixes its arguments into 64 bits with the finaliser of `SplitMix64`, applied once per word.
pub(crate) fn splitmix64(seed: u64, key: u64, n: u64) -> u64 {
    finalize(finalize(finalize(seed) ^ key) ^ n)
}

/// Returns a draw from the uniform distribution on `[0, 1)`.
pub(crate) fn uniform(seed: u64, key: u64, n: u64) -> f64 {
    (splitmix64(seed, key, n) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns the FNV-1a hash, which unlike the hashes of `std` is the same in every version.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns 32 hexadecimal digits, the form of project and request ids.
pub(crate) fn hex_id(seed: u64, key: u64, n: u64) -> String {
    format!("{:016x}{:016x}", splitmix64(seed, key, n), splitmix64(!seed, key, n))
}

/// Returns a UUID with dashes, the usual form of job ids.
pub(crate) fn uuid(seed: u64, key: u64, n: u64) -> String {
    let (high, low) = (splitmix64(seed, key, n), splitmix64(!seed, key, n));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

const fn finalize(value: u64) -> u64 {
    let a = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_every_argument() {
        assert_eq!(uniform(7, 1, 2), uniform(7, 1, 2));
        for other in [uniform(8, 1, 2), uniform(7, 2, 2), uniform(7, 1, 3)] {
            assert_ne!(uniform(7, 1, 2), other);
        }
    }

    #[test]
    fn draws_are_uniform() {
        let mean = (0..10_000).map(|n| uniform(7, 42, n)).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
    }

    #[test]
    fn ids_have_the_form_of_the_service() {
        let id = uuid(7, 0, 1);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(hex_id(7, 0, 1).len(), 32);
    }
}

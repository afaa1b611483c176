//! Randomness as a function: the same seed and the same key give the same draw, in any order.

/// Mixes its arguments into 64 well-spread bits (the finaliser of `SplitMix64`, once per word).
pub(crate) fn mix(seed: u64, key: u64, n: u64) -> u64 {
    scramble(scramble(scramble(seed) ^ key) ^ n)
}

/// A draw from `[0, 1)`.
pub(crate) fn unit(seed: u64, key: u64, n: u64) -> f64 {
    (mix(seed, key, n) >> 11) as f64 / (1_u64 << 53) as f64
}

/// FNV-1a: the same on every machine and in every version, unlike the hashes of `std`.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// 32 hexadecimal digits, as the service writes its ids of projects and requests.
pub(crate) fn hex_id(seed: u64, key: u64, n: u64) -> String {
    format!("{:016x}{:016x}", mix(seed, key, n), mix(!seed, key, n))
}

/// A dashed UUID, the usual form of job ids.
pub(crate) fn uuid(seed: u64, key: u64, n: u64) -> String {
    let (high, low) = (mix(seed, key, n), mix(!seed, key, n));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

const fn scramble(value: u64) -> u64 {
    let a = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_every_argument_and_nothing_else() {
        assert_eq!(unit(7, 1, 2), unit(7, 1, 2));
        for other in [unit(8, 1, 2), unit(7, 2, 2), unit(7, 1, 3)] {
            assert_ne!(unit(7, 1, 2), other);
        }
    }

    #[test]
    fn draws_fill_the_unit_interval_evenly() {
        let mean = (0..10_000).map(|n| unit(7, 42, n)).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
    }

    #[test]
    fn ids_have_the_shape_of_the_service() {
        let id = uuid(7, 0, 1);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(hex_id(7, 0, 1).len(), 32);
    }
}

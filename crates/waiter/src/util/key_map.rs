//! Side tables by key.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::slab::Key;

/// A map by keys of a slab. Keys are small numbers that no user chooses, so a multiplication hashes them well enough.
pub(crate) type KeyMap<T, V> = HashMap<Key<T>, V, BuildHasherDefault<KeyHasher>>;

#[derive(Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The golden ratio of 2^64 (Knuth, TAOCP 3, 6.4); the high bits, which the map looks at first, are folded in.
        let product = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::slab::Slab;

    #[test]
    fn keys_of_a_slab_hash_apart() {
        let mut slab = Slab::new();
        let mut map = KeyMap::default();
        for n in 0..10_000_u32 {
            map.insert(slab.insert(n), n);
        }
        assert_eq!(map.len(), 10_000);
        assert!(slab.iter().all(|(key, n)| map.get(&key) == Some(n)));
    }
}

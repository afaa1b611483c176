//! Storage with stable slots, in chunks: a growing vector would hold twice what it needs while it is
//! copied, and up to twice afterwards.

use std::ops::{Index, IndexMut};

const CHUNK: usize = 512;

/// The slot of nothing: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Entry<T>>>,
    vacant: u32,
    len: usize,
}

#[derive(Debug)]
enum Entry<T> {
    /// Free; holds the next free slot.
    Vacant(u32),
    Occupied(T),
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), vacant: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let slot = self.vacant;
        if let Some(entry) = self.entry_mut(slot)
            && let Entry::Vacant(next) = *entry
        {
            *entry = Entry::Occupied(value);
            self.vacant = next;
            return slot;
        }
        // The first chunk grows by doubling, since most waiters hold few jobs.
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            let capacity = if self.chunks.is_empty() { 1 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("a chunk with room was just made sure of");
        let slot = before + chunk.len();
        chunk.push(Entry::Occupied(value));
        u32::try_from(slot)
            .ok()
            .filter(|&slot| slot != NONE)
            .expect("fewer than 2^32 entries fit in memory")
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let vacant = self.vacant;
        let entry = self.entry_mut(slot)?;
        if matches!(entry, Entry::Vacant(_)) {
            return None;
        }
        let Entry::Occupied(value) = std::mem::replace(entry, Entry::Vacant(vacant)) else {
            return None;
        };
        self.vacant = slot;
        self.len -= 1;
        if self.len == 0 && self.chunks.len() > 1 {
            // What a crowd of jobs needed is given back when the last one has gone.
            self.chunks = Vec::new();
            self.vacant = NONE;
        }
        Some(value)
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        let (chunk, at) = place(slot);
        match self.chunks.get(chunk)?.get(at)? {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        match self.entry_mut(slot)? {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant(_) => None,
        }
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry<T>> {
        let (chunk, at) = place(slot);
        self.chunks.get_mut(chunk)?.get_mut(at)
    }

    /// The occupied slots, in order.
    pub(crate) fn slots(&self) -> Vec<u32> {
        let end = u32::try_from(self.chunks.len() * CHUNK).unwrap_or(NONE);
        (0..end).filter(|&slot| self.get(slot).is_some()).collect()
    }
}

fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK)
}

/// For slots that the caller knows to be occupied.
impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        self.get(slot).expect("links lead only to occupied slots")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        self.get_mut(slot).expect("links lead only to occupied slots")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), 0_u32..1_500), 0..3_000)) {
            let (mut slab, mut model) = (Slab::new(), BTreeMap::new());
            for (insert, value) in steps {
                if insert {
                    prop_assert!(model.insert(slab.insert(value), value).is_none());
                } else {
                    prop_assert_eq!(slab.remove(value), model.remove(&value));
                }
            }
            prop_assert_eq!(slab.len(), model.len());
            prop_assert_eq!(slab.slots(), model.keys().copied().collect::<Vec<_>>());
            prop_assert!(model.iter().all(|(&slot, value)| slab.get(slot) == Some(value)));
            prop_assert_eq!(slab.get(NONE), None);
        }
    }
}

//! Storage with stable typed keys, in chunks: a growing vector holds twice what it needs while it is
//! copied, and up to twice afterwards.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

const CHUNK: usize = 512;

/// Names an entry of a `Slab<T>`. A key of one slab cannot index a slab of another type.
pub(crate) struct Key<T> {
    /// One more than the index of the entry, so that an `Option<Key<T>>` takes four bytes.
    number: NonZeroU32,
    owner: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    fn at(index: usize) -> Self {
        let number = u32::try_from(index).ok().and_then(|index| index.checked_add(1));
        let number = number.and_then(NonZeroU32::new);
        Self { number: number.expect("fewer than 2^32 entries fit in memory"), owner: PhantomData }
    }

    /// Returns the index of the entry: small, and unique among the entries of a slab.
    pub(crate) fn index(self) -> usize {
        self.number.get() as usize - 1
    }

    /// Returns the key of the entry with the same index in a slab that grows and shrinks in step.
    pub(crate) fn cast<U>(self) -> Key<U> {
        Key { number: self.number, owner: PhantomData }
    }
}

// Derives would ask the same of `T`.
impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Key<T> {}

impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index())
    }
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// The first chunk with room, from which the next entry is taken.
    open: Option<usize>,
    len: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    /// Invariant: empty when no entry is occupied, and then without memory, but for the first chunk.
    entries: Vec<Entry<T>>,
    /// The head of the list of vacant entries.
    vacant: Option<NonZeroU32>,
    occupied: usize,
    /// The next chunk with room. Invariant: a chunk is in this list exactly when it has room.
    next_open: Option<usize>,
}

#[derive(Debug)]
enum Entry<T> {
    /// Holds the next vacant entry of the chunk, counted from one.
    Vacant(Option<NonZeroU32>),
    Occupied(T),
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), open: None, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> Key<T> {
        let at = self.open.unwrap_or_else(|| self.add_chunk());
        let chunk = &mut self.chunks[at];
        let within = chunk.insert(value, at == 0);
        if chunk.occupied == CHUNK {
            self.open = chunk.next_open.take();
        }
        self.len += 1;
        Key::at(at * CHUNK + within)
    }

    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let (at, within) = place(key);
        let chunk = self.chunks.get_mut(at)?;
        let was_full = chunk.occupied == CHUNK;
        let value = chunk.remove(within, at == 0)?;
        if was_full {
            chunk.next_open = self.open.replace(at);
        }
        self.len -= 1;
        if self.len == 0 && self.chunks.len() > 1 {
            *self = Self::new();
        }
        Some(value)
    }

    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        let (chunk, within) = place(key);
        match self.chunks.get(chunk)?.entries.get(within)? {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let (chunk, within) = place(key);
        match self.chunks.get_mut(chunk)?.entries.get_mut(within)? {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant(_) => None,
        }
    }

    /// Returns the keys of all entries, in the order of their indexes.
    pub(crate) fn keys(&self) -> Vec<Key<T>> {
        self.iter().map(|(key, _)| key).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.chunks.iter().enumerate().flat_map(|(at, chunk)| {
            chunk.entries.iter().enumerate().filter_map(move |(within, entry)| match entry {
                Entry::Occupied(value) => Some((Key::at(at * CHUNK + within), value)),
                Entry::Vacant(_) => None,
            })
        })
    }

    fn add_chunk(&mut self) -> usize {
        let at = self.chunks.len();
        let entries = Vec::new();
        self.chunks.push(Chunk { entries, vacant: None, occupied: 0, next_open: None });
        self.open = Some(at);
        at
    }
}

impl<T> Chunk<T> {
    fn insert(&mut self, value: T, is_first: bool) -> usize {
        self.occupied += 1;
        if let Some(vacant) = self.vacant {
            let within = vacant.get() as usize - 1;
            if let Entry::Vacant(next) =
                std::mem::replace(&mut self.entries[within], Entry::Occupied(value))
            {
                self.vacant = next;
            }
            return within;
        }
        // The first chunk grows by doubling, since most waiters hold few jobs.
        if !is_first && self.entries.capacity() == 0 {
            self.entries.reserve_exact(CHUNK);
        }
        self.entries.push(Entry::Occupied(value));
        self.entries.len() - 1
    }

    fn remove(&mut self, within: usize, is_first: bool) -> Option<T> {
        let entry =
            self.entries.get_mut(within).filter(|entry| matches!(entry, Entry::Occupied(_)))?;
        let Entry::Occupied(value) = std::mem::replace(entry, Entry::Vacant(self.vacant)) else {
            return None;
        };
        self.occupied -= 1;
        self.vacant = u32::try_from(within + 1).ok().and_then(NonZeroU32::new);
        if self.occupied == 0 {
            self.vacant = None;
            self.entries.clear();
            // The first chunk keeps its memory: few entries come and go all the time.
            if !is_first {
                self.entries = Vec::new();
            }
        }
        Some(value)
    }
}

fn place<T>(key: Key<T>) -> (usize, usize) {
    (key.index() / CHUNK, key.index() % CHUNK)
}

/// For keys that lead to an occupied entry.
impl<T> Index<Key<T>> for Slab<T> {
    type Output = T;

    fn index(&self, key: Key<T>) -> &T {
        self.get(key).expect("links lead only to occupied entries")
    }
}

impl<T> IndexMut<Key<T>> for Slab<T> {
    fn index_mut(&mut self, key: Key<T>) -> &mut T {
        self.get_mut(key).expect("links lead only to occupied entries")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), 0_usize..1_500), 0..3_000)) {
            let (mut slab, mut model) = (Slab::new(), BTreeMap::new());
            for (insert, value) in steps {
                if insert {
                    prop_assert!(model.insert(slab.insert(value), value).is_none());
                } else {
                    let key = Key::at(value);
                    prop_assert_eq!(slab.remove(key), model.remove(&key));
                }
            }
            prop_assert_eq!(slab.len(), model.len());
            prop_assert_eq!(slab.keys(), model.keys().copied().collect::<Vec<_>>());
            prop_assert!(model.iter().all(|(&key, value)| slab.get(key) == Some(value)));
            prop_assert_eq!(slab.get(Key::at(1 << 20)), None);
        }
    }

    #[test]
    fn chunks_without_entries_give_their_memory_back_and_are_used_again() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..10 * CHUNK).map(|n| slab.insert(n)).collect();
        keys.iter().skip(1).for_each(|&key| assert!(slab.remove(key).is_some()));
        let capacity = |slab: &Slab<_>| {
            slab.chunks.iter().map(|chunk| chunk.entries.capacity()).sum::<usize>()
        };
        assert!(capacity(&slab) <= 2 * CHUNK, "{}", capacity(&slab));
        let again: Vec<_> = (0..10 * CHUNK - 1).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.chunks.len(), 10);
        again
            .into_iter()
            .chain(keys.first().copied())
            .for_each(|key| assert!(slab.remove(key).is_some()));
        assert!(slab.len() == 0 && slab.chunks.is_empty(), "{slab:?}");
    }
}

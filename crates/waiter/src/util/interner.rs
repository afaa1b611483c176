//! Equal values are stored once and counted.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Index;

use super::slab::{Key, Slab};

/// Stores each distinct value once, for as long as it has users.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    entries: Slab<Interned<T>>,
    /// Each entry by its value.
    index: HashMap<T, Key<Interned<T>>>,
}

#[derive(Debug)]
pub(crate) struct Interned<T> {
    value: T,
    /// Invariant: above zero; the entry is removed with its last user.
    users: u32,
}

impl<T: Clone + Eq + Hash> Interner<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Slab::new(), index: HashMap::new() }
    }

    /// Returns the key of a value, for one more user.
    pub(crate) fn acquire(&mut self, value: &T) -> Key<Interned<T>> {
        if let Some(&key) = self.index.get(value) {
            return self.share(key);
        }
        let key = self.entries.insert(Interned { value: value.clone(), users: 1 });
        self.index.insert(value.clone(), key);
        key
    }

    /// Returns the value of an entry that may have been removed.
    pub(crate) fn get(&self, key: Key<Interned<T>>) -> Option<&T> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Counts one more user of an entry.
    pub(crate) fn share(&mut self, key: Key<Interned<T>>) -> Key<Interned<T>> {
        self.entries[key].users += 1;
        key
    }

    /// Removes one user of an entry, and the entry with its last user.
    pub(crate) fn release(&mut self, key: Key<Interned<T>>) {
        self.entries[key].users -= 1;
        if self.entries[key].users == 0
            && let Some(entry) = self.entries.remove(key)
        {
            self.index.remove(&entry.value);
            if self.index.is_empty() {
                self.index.shrink_to_fit();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// For keys whose user still holds them.
impl<T> Index<Key<Interned<T>>> for Interner<T> {
    type Output = T;

    fn index(&self, key: Key<Interned<T>>) -> &T {
        &self.entries[key].value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_an_entry_until_the_last_user_has_gone() {
        let mut interner = Interner::new();
        let one = interner.acquire(&"a".to_owned());
        let two = interner.acquire(&"a".to_owned());
        let other = interner.acquire(&"b".to_owned());
        assert_eq!((one, interner.len()), (two, 2));
        assert_ne!(one, other);
        interner.release(one);
        assert_eq!(interner[two], "a");
        interner.release(two);
        assert_eq!(interner.len(), 1);
        assert_eq!(interner.acquire(&"b".to_owned()), other);
    }
}

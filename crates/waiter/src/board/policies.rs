//! Each policy once, however many waits have it.

use std::collections::HashMap;
use std::ops::Index;
use std::sync::Arc;

use crate::Policy;
use crate::util::slab::Slab;

/// The policies in use, counted. They are told apart by where they are: the waits of a waiter share one.
#[derive(Debug)]
pub(super) struct Policies {
    slots: Slab<(Arc<Policy>, u32)>,
    index: HashMap<usize, u32>,
}

impl Policies {
    pub(super) fn new() -> Self {
        Self { slots: Slab::new(), index: HashMap::new() }
    }

    /// The slot of a policy, for one more user.
    pub(super) fn acquire(&mut self, policy: &Arc<Policy>) -> u32 {
        let place = Arc::as_ptr(policy).addr();
        let slot =
            *self.index.entry(place).or_insert_with(|| self.slots.insert((Arc::clone(policy), 0)));
        self.slots[slot].1 += 1;
        slot
    }

    /// One user less.
    pub(super) fn release(&mut self, slot: u32) {
        self.slots[slot].1 -= 1;
        if self.slots[slot].1 == 0
            && let Some((policy, _)) = self.slots.remove(slot)
        {
            self.index.remove(&Arc::as_ptr(&policy).addr());
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl Index<u32> for Policies {
    type Output = Policy;

    fn index(&self, slot: u32) -> &Policy {
        &self.slots[slot].0
    }
}

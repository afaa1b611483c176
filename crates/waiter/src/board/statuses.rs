//! Each status text once, however many jobs are in that status.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::util::slab::{NONE, Slab};
use crate::{JobState, Phase};

/// The statuses in use, counted: a service that puts a percentage into its status must not fill the
/// memory.
#[derive(Debug)]
pub(super) struct Statuses {
    slots: Slab<Status>,
    index: HashMap<Key, u32>,
}

type Key = (Phase, Cow<'static, str>);

#[derive(Debug)]
struct Status {
    key: Key,
    users: u32,
}

impl Statuses {
    pub(super) fn new() -> Self {
        Self { slots: Slab::new(), index: HashMap::new() }
    }

    /// The slot of a state's status, for one more user.
    pub(super) fn acquire(&mut self, state: &JobState) -> u32 {
        let key = (state.phase, state.status.clone());
        if let Some(&slot) = self.index.get(&key) {
            return self.share(slot);
        }
        let slot = self.slots.insert(Status { key: key.clone(), users: 1 });
        self.index.insert(key, slot);
        slot
    }

    /// One more user of a slot.
    pub(super) fn share(&mut self, slot: u32) -> u32 {
        if let Some(status) = self.slots.get_mut(slot) {
            status.users += 1;
        }
        slot
    }

    /// One user less.
    pub(super) fn release(&mut self, slot: u32) {
        let Some(status) = self.slots.get_mut(slot) else { return };
        status.users -= 1;
        if status.users == 0
            && let Some(status) = self.slots.remove(slot)
        {
            self.index.remove(&status.key);
        }
    }

    pub(super) fn is(&self, slot: u32, state: &JobState) -> bool {
        self.slots.get(slot).is_some_and(|s| s.key.0 == state.phase && s.key.1 == state.status)
    }

    pub(super) fn phase(&self, slot: u32) -> Option<Phase> {
        self.slots.get(slot).map(|status| status.key.0)
    }

    pub(super) fn text(&self, slot: u32) -> Option<Cow<'static, str>> {
        self.slots.get(slot).map(|status| status.key.1.clone())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

const _: () = assert!(NONE == u32::MAX, "a slot of no status is never occupied");

//! When to look at what again. An entry is a hint: whoever is woken looks at the facts, so a stale
//! entry costs a glance and never a wrong decision.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::time::Time;

/// A heap of wake-ups, by time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) at: Time,
    pub(super) slot: u32,
    /// Tells the entry apart from one for an earlier owner of the slot.
    pub(super) stamp: u32,
}

impl Timers {
    /// Adds a wake-up. When two thirds of the entries are stale, given that each of `live` owners
    /// needs one, those that are not `valid` go.
    pub(super) fn push(&mut self, timer: Timer, live: usize, valid: impl Fn(&Timer) -> bool) {
        if timer.at == Time::NEVER {
            return;
        }
        if self.heap.len() > 2 * live + 64 {
            self.heap.retain(|Reverse(timer)| valid(timer));
            self.heap.shrink_to(2 * live + 64);
        }
        if self.heap.len() == self.heap.capacity() {
            // Doubling would hold up to twice the memory that a million jobs need.
            self.heap.reserve_exact(self.heap.len() / 4 + 16);
        }
        self.heap.push(Reverse(timer));
    }

    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        self.heap.peek().filter(|Reverse(timer)| timer.at <= now)?;
        self.heap.pop().map(|Reverse(timer)| timer)
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(timer)| timer.at)
    }
}

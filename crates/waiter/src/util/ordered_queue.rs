//! A priority queue for items that are mostly pushed in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// How much room an empty queue keeps.
const KEPT: usize = 1_024;

/// The least comes out first. An item pushed in order costs one comparison.
#[derive(Debug)]
pub(crate) struct OrderedQueue<T> {
    sorted: VecDeque<T>,
    /// Items that were pushed after a greater one.
    strays: BinaryHeap<Reverse<T>>,
}

impl<T: Copy + Ord> OrderedQueue<T> {
    pub(crate) const fn new() -> Self {
        Self { sorted: VecDeque::new(), strays: BinaryHeap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len() + self.strays.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty() && self.strays.is_empty()
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.sorted.back().is_none_or(|last| *last <= item) {
            self.sorted.push_back(item);
        } else {
            self.strays.push(Reverse(item));
        }
    }

    pub(crate) fn first(&self) -> Option<&T> {
        match (self.sorted.front(), self.strays.peek()) {
            (Some(sorted), Some(Reverse(stray))) => Some(sorted.min(stray)),
            (sorted, stray) => sorted.or(stray.map(|Reverse(stray)| stray)),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.pop_least();
        // Gives back what a crowd needed. More than `KEPT` pushes pay for the next allocation.
        if self.is_empty() && self.sorted.capacity() + self.strays.capacity() > KEPT {
            *self = Self::new();
        }
        item
    }

    fn pop_least(&mut self) -> Option<T> {
        let stray = self.strays.peek().map(|Reverse(stray)| stray);
        if stray.is_some_and(|stray| self.sorted.front().is_none_or(|sorted| stray < sorted)) {
            return self.strays.pop().map(|Reverse(stray)| stray);
        }
        self.sorted.pop_front()
    }

    /// Returns the items that were pushed in order, the least first.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = &T> {
        self.sorted.iter()
    }

    #[cfg(any(test, debug_assertions))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.sorted.iter().chain(self.strays.iter().map(|Reverse(stray)| stray))
    }

    pub(crate) fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        self.sorted.retain(&wanted);
        self.sorted.shrink_to_fit();
        self.strays.retain(|Reverse(stray)| wanted(stray));
        self.strays.shrink_to_fit();
    }
}

impl<T: Copy + Ord> From<Vec<T>> for OrderedQueue<T> {
    fn from(mut items: Vec<T>) -> Self {
        items.sort_unstable();
        Self { sorted: items.into(), strays: BinaryHeap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_all_in_order(
            start in prop::collection::btree_set(0_u32..100, 0..20),
            steps in prop::collection::vec(prop::option::weighted(0.6, 0_u32..100), 0..200),
        ) {
            let shuffled = start.iter().rev().copied().collect::<Vec<_>>();
            let (mut queue, mut model) = (OrderedQueue::from(shuffled), start);
            for step in steps {
                match step {
                    Some(item) => {
                        if model.insert(item) {
                            queue.push(item);
                        }
                    }
                    None => prop_assert_eq!(queue.pop(), model.pop_first()),
                }
                prop_assert_eq!(queue.first(), model.first());
                prop_assert_eq!(queue.len(), model.len());
            }
            queue.retain(|item| item % 2 == 0);
            model.retain(|item| item % 2 == 0);
            let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            prop_assert_eq!(rest, model.into_iter().collect::<Vec<_>>());
            prop_assert!(queue.is_empty());
        }
    }
}

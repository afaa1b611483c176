//! Finds a high-ranked one of many items whose ranks change all the time, without looking at all of them.

/// How many items that ranked high are looked at each time.
const SHORTLIST: usize = 16;
/// How many of the others are looked at each time.
const LOOKS: usize = 64;
/// How much room an empty ranking keeps.
const KEPT: usize = 1_024;

/// Of up to 80 items the one that ranks highest comes out. Of more, the others than those on a short list are looked at in
/// turns, and replace what ranks lower there: each call costs the same among a hundred items as among a million.
#[derive(Debug)]
pub(crate) struct Ranking<T> {
    /// The short list comes first.
    items: Vec<T>,
    /// Which of the others is looked at next.
    next: usize,
}

impl<T: Copy> Ranking<T> {
    pub(crate) const fn new() -> Self {
        Self { items: Vec::new(), next: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Takes the item that ranks highest of those that are looked at.
    pub(crate) fn pop<R: Copy + PartialOrd>(&mut self, rank: impl Fn(&T) -> R) -> Option<T> {
        let listed = self.items.len().min(SHORTLIST);
        let mut ranks = [None; SHORTLIST];
        for (rank_of, item) in ranks.iter_mut().zip(&self.items) {
            *rank_of = Some(rank(item));
        }
        let ranks = &mut ranks[..listed];
        let mut lowest = position(ranks, |one, other| one < other)?;
        for _ in 0..(self.items.len() - listed).min(LOOKS) {
            if !(listed..self.items.len()).contains(&self.next) {
                self.next = listed;
            }
            let found = Some(rank(&self.items[self.next]));
            if found > ranks[lowest] {
                self.items.swap(lowest, self.next);
                ranks[lowest] = found;
                lowest = position(ranks, |one, other| one < other)?;
            }
            self.next += 1;
        }
        let best = position(ranks, |one, other| one > other)?;
        let item = self.items.swap_remove(best);
        if self.items.is_empty() && self.items.capacity() > KEPT {
            self.items = Vec::new();
        }
        Some(item)
    }

    pub(crate) fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        self.items.retain(wanted);
        self.items.shrink_to_fit();
    }

    #[cfg(any(test, debug_assertions))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }
}

/// Returns the position of a rank that comes before all others, the first of equal ones.
fn position<R: Copy>(ranks: &[R], comes_before: impl Fn(R, R) -> bool) -> Option<usize> {
    let before =
        |best: usize, at: usize| if comes_before(ranks[at], ranks[best]) { at } else { best };
    (0..ranks.len()).reduce(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Items with fixed ranks, in any order. Ranks differ, so that one is the highest.
    fn ranking(items: &[usize]) -> Ranking<usize> {
        let mut ranking = Ranking::new();
        items.iter().for_each(|&item| ranking.push(item));
        ranking
    }

    fn pop_all(mut ranking: Ranking<usize>) -> Vec<usize> {
        std::iter::from_fn(|| ranking.pop(|item| *item)).collect()
    }

    fn shuffled(count: usize) -> impl Strategy<Value = Vec<usize>> {
        Just((0..count).collect::<Vec<_>>()).prop_shuffle()
    }

    proptest! {
        #[test]
        fn of_few_items_the_highest_comes_first(items in (0_usize..81).prop_flat_map(shuffled)) {
            let mut sorted = items.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(pop_all(ranking(&items)), sorted);
        }

        #[test]
        fn of_many_items_each_comes_once_and_high_ones_come_early(
            items in (81_usize..700).prop_flat_map(shuffled),
        ) {
            let count = items.len();
            let popped = pop_all(ranking(&items));
            let mut sorted = popped.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            // Once all were looked at, the highest of them is on the short list.
            let rounds = count.div_ceil(LOOKS);
            let highest = popped.iter().position(|&item| item + 1 == count).unwrap();
            prop_assert!(highest <= rounds, "after {highest} others of {count}");
            // The first to come are among the highest of those looked at.
            prop_assert!(popped[0] >= LOOKS + SHORTLIST - 1, "{popped:?}");
        }
    }

    #[test]
    fn ranks_that_change_are_followed() {
        let mut ranking = ranking(&(0..300).collect::<Vec<_>>());
        assert!(ranking.pop(|item| *item) >= Some(79));
        // The lowest become the highest.
        let popped: Vec<_> =
            (0..20).filter_map(|_| ranking.pop(|item| usize::MAX - item)).collect();
        assert!(popped.contains(&0) && popped.iter().all(|item| *item < 100), "{popped:?}");
    }

    #[test]
    fn equal_ranks_come_all_the_same() {
        let mut ranking = ranking(&[7; 200]);
        assert_eq!(std::iter::from_fn(|| ranking.pop(|_| 1.0)).count(), 200);
        assert_eq!(ranking.pop(|_| 1.0), None);
    }

    #[test]
    fn unwanted_items_are_removed_and_an_empty_ranking_keeps_little_room() {
        let mut ranking = ranking(&(0..5_000).collect::<Vec<_>>());
        ranking.retain(|item| item % 2 == 0);
        assert_eq!(ranking.len(), 2_500);
        while ranking.pop(|item| *item).is_some() {}
        assert!(ranking.items.capacity() <= KEPT);
    }
}

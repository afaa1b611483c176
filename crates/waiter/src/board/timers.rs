//! When to look at what again. Entries are not taken out when plans change: the owner knows which time it is to be
//! woken at, and one for another time is stale. Whoever pops an entry checks that first.

use std::collections::BTreeMap;

use super::queue::Queue;
use super::time::Time;

/// The length of a page, as a power of two of nanoseconds: about a quarter of a second.
const PAGE_BITS: u32 = 28;

/// A calendar of wake-ups: those of the page that time has reached are in order, those of later pages
/// wait unsorted. In one heap of a million, each wake-up would touch twenty cache lines.
#[derive(Debug)]
pub(super) struct Timers {
    /// The wake-ups of `page`, and of earlier ones that were asked for late.
    open: Queue<Timer>,
    page: u64,
    later: BTreeMap<u64, Page>,
    len: usize,
    /// The first wake-up of all, or never.
    first: Time,
}

#[derive(Debug)]
struct Page {
    first: Time,
    timers: Vec<Timer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) at: Time,
    pub(super) slot: u32,
    /// Tells the entry apart from one for an earlier owner of the slot.
    pub(super) stamp: u32,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self { open: Queue::new(), page: 0, later: BTreeMap::new(), len: 0, first: Time::NEVER }
    }

    /// Adds a wake-up. When two thirds of the entries are stale, given that each of `live` owners
    /// needs one, those that are not `valid` go.
    pub(super) fn push(&mut self, timer: Timer, live: usize, valid: impl Fn(&Timer) -> bool) {
        if timer.at == Time::NEVER {
            return;
        }
        if self.len > 2 * live + 64 {
            self.retain(valid);
        }
        self.len += 1;
        self.first = self.first.min(timer.at);
        let page = page_of(timer.at);
        if page <= self.page {
            self.open.push(timer);
            return;
        }
        let page =
            self.later.entry(page).or_insert(Page { first: Time::NEVER, timers: Vec::new() });
        page.first = page.first.min(timer.at);
        if page.timers.len() == page.timers.capacity() {
            // Doubling would hold up to twice the memory that a million jobs need.
            page.timers.reserve_exact(page.timers.len() / 4 + 4);
        }
        page.timers.push(timer);
    }

    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.first > now {
            return None;
        }
        if self.open.is_empty()
            && let Some((page, next)) = self.later.pop_first()
        {
            self.page = page;
            self.open = next.timers.into();
        }
        let timer = self.open.pop()?;
        self.len -= 1;
        self.first = self.find_first();
        Some(timer)
    }

    /// The next wake-ups after the one popped last, as far as they are in order already.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = &Timer> {
        self.open.sorted()
    }

    pub(super) fn next(&self) -> Option<Time> {
        Some(self.first).filter(|&first| first != Time::NEVER)
    }

    fn find_first(&self) -> Time {
        let first = self.open.first().map(|timer| timer.at);
        first
            .or_else(|| self.later.first_key_value().map(|(_, page)| page.first))
            .unwrap_or(Time::NEVER)
    }

    fn retain(&mut self, valid: impl Fn(&Timer) -> bool) {
        self.open.retain(&valid);
        self.later.retain(|_, page| {
            page.timers.retain(&valid);
            page.timers.shrink_to_fit();
            let first = page.timers.iter().map(|timer| timer.at).min();
            page.first = first.unwrap_or(Time::NEVER);
            first.is_some()
        });
        self.len =
            self.open.len() + self.later.values().map(|page| page.timers.len()).sum::<usize>();
        self.first = self.find_first();
    }
}

fn page_of(at: Time) -> u64 {
    at.as_nanos() >> PAGE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u64),
        Advance(u64),
        Compact,
    }

    fn step() -> impl Strategy<Value = Step> {
        // Up to some twenty pages ahead; now and then far off.
        let delay = prop_oneof![9 => 0_u64..5_000, 1 => 0_u64..10_000_000];
        prop_oneof![
            6 => delay.prop_map(Step::Push),
            3 => (0_u64..2_000).prop_map(Step::Advance),
            1 => Just(Step::Compact),
        ]
    }

    proptest! {
        #[test]
        fn wake_ups_come_in_order_and_none_is_lost(
            steps in prop::collection::vec(step(), 30..300),
        ) {
            let (mut timers, mut model, mut now) = (Timers::new(), BTreeSet::new(), Time::ZERO);
            for (step, slot) in steps.into_iter().zip(0_u32..) {
                match step {
                    Step::Push(delay) => {
                        let at = now.after(Duration::from_millis(delay));
                        let timer = Timer { at, slot, stamp: 0 };
                        timers.push(timer, usize::MAX / 4, |_| true);
                        model.insert(timer);
                    }
                    Step::Advance(delay) => {
                        now = now.after(Duration::from_millis(delay));
                        while let Some(timer) = timers.pop_due(now) {
                            prop_assert_eq!(Some(timer), model.pop_first());
                        }
                        prop_assert!(model.first().is_none_or(|timer| timer.at > now));
                    }
                    Step::Compact => {
                        timers.retain(|timer| timer.slot % 2 == 0);
                        model.retain(|timer| timer.slot % 2 == 0);
                    }
                }
                prop_assert_eq!(timers.len, model.len());
                prop_assert_eq!(timers.next(), model.first().map(|timer| timer.at));
            }
        }
    }

    #[test]
    fn stale_entries_are_bounded() {
        let mut timers = Timers::new();
        for n in 0..10_000 {
            let at = Time::ZERO.after(Duration::from_millis(n * 7 % 5_000));
            timers.push(Timer { at, slot: 0, stamp: 0 }, 1, |_| false);
            assert!(timers.len <= 67, "{}", timers.len);
        }
    }
}

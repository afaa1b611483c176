//! When to look at what again. Entries are not taken out when plans change: the owner knows which time it is to be
//! woken at, and one for another time is stale. Whoever pops an entry checks that first.

use std::collections::{BTreeMap, VecDeque};

use super::ordered_queue::OrderedQueue;
use crate::board::Time;

/// The length of a page, as a power of two of nanoseconds: about a quarter of a second.
const PAGE_BITS: u32 = 28;
/// So many pages after the open one are found without a search: some 17 seconds, longer than most delays.
const NEAR: usize = 64;

/// A calendar of wake-ups: those of the page that time has reached are in order, those of later pages
/// wait unsorted. In one heap of a million, each wake-up would touch twenty cache lines.
#[derive(Debug)]
pub(crate) struct TimerQueue {
    /// The wake-ups of `page`, and of earlier ones that were asked for late.
    open: OrderedQueue<Timer>,
    page: u64,
    /// Those of the pages that follow it, the next one first.
    near: VecDeque<Vec<Timer>>,
    /// Those of pages that were not near when they were asked for.
    far: BTreeMap<u64, Vec<Timer>>,
    len: usize,
    /// The first wake-up of all, or never.
    first: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(crate) at: Time,
    pub(crate) slot: u32,
    /// Tells the entry apart from one for an earlier owner of the slot.
    pub(crate) generation: u32,
}

impl TimerQueue {
    pub(crate) const fn new() -> Self {
        Self {
            open: OrderedQueue::new(),
            page: 0,
            near: VecDeque::new(),
            far: BTreeMap::new(),
            len: 0,
            first: Time::NEVER,
        }
    }

    /// Adds a wake-up. When two thirds of the entries are stale, given that each of `live` owners
    /// needs one, those that are not `valid` go.
    pub(crate) fn push(&mut self, timer: Timer, live: usize, valid: impl Fn(&Timer) -> bool) {
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
        let timers = self.page_mut(page);
        if timers.len() == timers.capacity() {
            // Doubling would hold up to twice the memory that a million jobs need.
            timers.reserve_exact(timers.len() / 4 + 4);
        }
        timers.push(timer);
    }

    fn page_mut(&mut self, page: u64) -> &mut Vec<Timer> {
        match usize::try_from(page - self.page - 1) {
            Ok(ahead) if ahead < NEAR => {
                if self.near.len() <= ahead {
                    self.near.resize_with(ahead + 1, Vec::new);
                }
                &mut self.near[ahead]
            }
            _ => self.far.entry(page).or_default(),
        }
    }

    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.first > now {
            return None;
        }
        if self.open.is_empty() {
            self.open_next();
        }
        let timer = self.open.pop()?;
        self.len -= 1;
        self.first = self.find_first();
        Some(timer)
    }

    /// Opens the next page that holds anything.
    fn open_next(&mut self) {
        let near = (self.page + 1..).zip(&self.near).find(|(_, timers)| !timers.is_empty());
        let far = self.far.first_key_value();
        let pages = [near.map(|(page, _)| page), far.map(|(&page, _)| page)];
        let Some(page) = pages.into_iter().flatten().min() else { return };
        // Up to this page all are empty. It may have been far when it was first written to.
        let passed = usize::try_from(page - self.page).unwrap_or(usize::MAX);
        let mut passed = self.near.drain(..passed.min(self.near.len()));
        let mut timers = passed.next_back().unwrap_or_default();
        drop(passed);
        timers.extend(self.far.remove(&page).into_iter().flatten());
        self.page = page;
        self.open = timers.into();
    }

    /// The next wake-ups after the one popped last, as far as they are in order already.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = &Timer> {
        self.open.sorted()
    }

    pub(crate) fn next(&self) -> Option<Time> {
        Some(self.first).filter(|&first| first != Time::NEVER)
    }

    fn find_first(&self) -> Time {
        if let Some(timer) = self.open.first() {
            return timer.at;
        }
        let near = self.near.iter().find(|timers| !timers.is_empty());
        let next = near.into_iter().chain(self.far.values().next()).flatten();
        next.map(|timer| timer.at).min().unwrap_or(Time::NEVER)
    }

    fn retain(&mut self, valid: impl Fn(&Timer) -> bool) {
        self.open.retain(&valid);
        for timers in self.near.iter_mut().chain(self.far.values_mut()) {
            timers.retain(&valid);
            timers.shrink_to_fit();
        }
        self.far.retain(|_, timers| !timers.is_empty());
        let later = self.near.iter().chain(self.far.values());
        self.len = self.open.len() + later.map(Vec::len).sum::<usize>();
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
            let (mut timers, mut model, mut now) = (TimerQueue::new(), BTreeSet::new(), Time::ZERO);
            for (step, slot) in steps.into_iter().zip(0_u32..) {
                match step {
                    Step::Push(delay) => {
                        let at = now.after(Duration::from_millis(delay));
                        let timer = Timer { at, slot, generation: 0 };
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
    fn a_page_that_was_far_is_whole_when_its_time_comes() {
        let mut timers = TimerQueue::new();
        let push = |timers: &mut TimerQueue, ms| {
            let at = Time::ZERO.after(Duration::from_millis(ms));
            timers.push(Timer { at, slot: 0, generation: 0 }, 9, |_| true);
        };
        let pop = |timers: &mut TimerQueue| timers.pop_due(Time::NEVER).map(|t| t.at.as_nanos());
        for ms in [30_000, 10_000, u64::MAX / 2_000_000] {
            push(&mut timers, ms);
        }
        assert_eq!(pop(&mut timers), Some(10_000_000_000));
        assert!(timers.near.is_empty() && timers.far.len() == 2, "{timers:?}");
        push(&mut timers, 30_001);
        push(&mut timers, 20_000);
        push(&mut timers, 29_999);
        assert!(timers.near.len() > 2 && timers.far.len() > 1, "{timers:?}");
        for ms in [20_000, 29_999, 30_000, 30_001, u64::MAX / 2_000_000] {
            assert_eq!(pop(&mut timers), Some(ms * 1_000_000));
        }
        assert_eq!(pop(&mut timers), None);
    }

    #[test]
    fn stale_entries_are_bounded() {
        let mut timers = TimerQueue::new();
        for n in 0..10_000 {
            let at = Time::ZERO.after(Duration::from_millis(n * 7 % 5_000));
            timers.push(Timer { at, slot: 0, generation: 0 }, 1, |_| false);
            assert!(timers.len <= 67, "{}", timers.len);
        }
    }
}

//! Whether the source was ever reached. Until it is, waits can give up before their deadlines (rule 6).

use super::time::{Time, nanos};
use super::waits::Wait;
use super::{Board, Deferred};
use crate::report::ErrorContext;
use crate::util::human::Human;
use crate::util::slab::Key;
use crate::{SourceError, WaitErrorKind};

#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Whether any answer ever came, good or bad.
    is_reached: bool,
    /// When the last attempt failed without an answer, and how. None once the source was reached.
    last_failure: Option<(Time, SourceError)>,
    /// Attempts sent before this do not count: the process was suspended since.
    counts_since: Time,
    /// Waits that have come to their limits, and no attempt had failed since they began. The next one that fails ends them.
    /// Some may have ended already; the generation tells.
    overdue: Vec<(Key<Wait>, u32)>,
}

impl Reach {
    #[cfg(test)]
    pub(super) fn count_overdue(&self) -> usize {
        self.overdue.len()
    }

    /// Returns how much room it keeps.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.overdue.capacity()
    }
}

impl Board {
    /// Returns when a wait gives up if the source was not reached by then.
    fn unreached_limit(&self, wait: &Wait) -> Time {
        let limit = self.waits.policy(wait).give_up_unreached;
        limit.map_or(Time::NEVER, |limit| wait.started.after_nanos(nanos(limit)))
    }

    /// Returns the stage of a wait's timer at which it may give up, if that is `from` or later.
    pub(super) fn unreached_stage(&self, wait: &Wait, from: Time) -> Time {
        if self.reach.is_reached {
            return Time::NEVER;
        }
        Some(self.unreached_limit(wait)).filter(|&limit| limit >= from).unwrap_or(Time::NEVER)
    }

    /// Returns whether a wait gives up by now, its timer having fired.
    pub(super) fn gives_up(&mut self, key: Key<Wait>, until: Time) -> bool {
        let wait = &self.waits[key];
        if self.reach.is_reached
            || self.unreached_limit(wait) > until
            || self.waits.last_look(key).is_some()
        {
            return false;
        }
        let has_failed =
            self.reach.last_failure.as_ref().is_some_and(|(at, _)| *at >= wait.started);
        if !has_failed {
            let generation = wait.generation;
            self.add_overdue(key, generation);
        }
        has_failed
    }

    fn add_overdue(&mut self, key: Key<Wait>, generation: u32) {
        let (overdue, waits) = (&mut self.reach.overdue, &self.waits);
        // The timer of a wait fires twice at most before its deadline, so what is kept is half of this.
        if overdue.len() > 4 * waits.live() + 64 {
            overdue.retain(|&(key, generation)| waits.is_live(key, generation));
        }
        overdue.push((key, generation));
    }

    /// Records that an answer came. From now on an outage is waited out.
    pub(super) fn record_reached(&mut self) {
        if !self.reach.is_reached {
            self.reach.is_reached = true;
            self.reach.overdue = Vec::new();
            let failure = self.reach.last_failure.take();
            self.outbox.deferred.extend(failure.map(|(_, error)| Deferred::Error(error)));
        }
    }

    /// Records that an attempt sent at this time failed without an answer, and ends the waits that have come to their
    /// limits before any did.
    pub(super) fn record_unreached(&mut self, sent: Time, error: &SourceError) {
        if self.reach.is_reached || sent < self.reach.counts_since {
            return;
        }
        let before = self.reach.last_failure.replace((self.now, error.clone()));
        self.outbox.deferred.extend(before.map(|(_, error)| Deferred::Error(error)));
        for (wait, generation) in std::mem::take(&mut self.reach.overdue) {
            if self.waits.is_live(wait, generation) && self.gives_up(wait, self.now) {
                self.end_unreachable(wait);
            }
        }
    }

    /// The process was suspended: what failed before says nothing of the network now.
    pub(super) fn forget_unreached(&mut self) {
        if !self.reach.is_reached {
            self.reach.counts_since = self.now;
            let failure = self.reach.last_failure.take();
            self.outbox.deferred.extend(failure.map(|(_, error)| Deferred::Error(error)));
        }
    }

    /// Ends a wait whose source was never reached.
    pub(super) fn end_unreachable(&mut self, key: Key<Wait>) {
        let limit = self.waits.policy(&self.waits[key]).give_up_unreached.unwrap_or_default();
        let failure = self.reach.last_failure.as_ref().map(|(_, error)| error.clone());
        let limit = Some(format!("limit {:#}", Human(limit)));
        let context = ErrorContext { limit, cause: failure, ..ErrorContext::default() };
        self.end_with_error(key, WaitErrorKind::Unreachable, context);
    }
}

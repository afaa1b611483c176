//! The requests in flight, and when each is given up.

use std::ops::Index;
use std::time::Duration;

use super::attempts::Step;
use super::jobs::Job;
use super::time::Time;
use super::{RequestId, pop};
use crate::util::ordered_queue::OrderedQueue;
use crate::util::slab::{Key, Slab};

#[derive(Debug)]
pub(super) struct Request {
    pub(super) job: Key<Job>,
    pub(super) sent: Time,
    /// When it is given up.
    pub(super) expires: Time,
    /// How long the source was given, by the deadlines of the waits of then.
    pub(super) timeout: Duration,
    /// How far its timeout had grown when it was sent.
    pub(super) step: Step,
    /// Whether it is a lengthened attempt that has taken longer than a first one may.
    is_slow: bool,
    generation: u32,
}

/// Why a request is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AbortReason {
    /// No wait wants its answer, unless one has come meanwhile.
    NoWaiters,
    /// It took too long; the board has forgotten it already.
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expiry {
    at: Time,
    request: RequestId,
}

#[derive(Debug)]
pub(super) struct Requests {
    requests: Slab<Request>,
    /// When to look at requests: when they become slow, and when they are given up. Invariant: holds an entry for the time
    /// at which each is given up; the first entry is for a request in flight.
    expiries: OrderedQueue<Expiry>,
    aborts: Vec<(RequestId, AbortReason)>,
    slow: usize,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self { requests: Slab::new(), expiries: OrderedQueue::new(), aborts: Vec::new(), slow: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Returns how many requests in flight are lengthened attempts that have taken longer than a first one may.
    pub(super) fn slow(&self) -> usize {
        self.slow
    }

    /// Adds a request, which becomes slow at `slow` and is given up at `expires`.
    pub(super) fn insert(
        &mut self,
        job: Key<Job>,
        (sent, slow, expires): (Time, Time, Time),
        (step, timeout): (Step, Duration),
        generation: u32,
    ) -> RequestId {
        let is_slow = false;
        let request = Request { job, sent, expires, timeout, step, is_slow, generation };
        let request = RequestId { key: self.requests.insert(request), generation };
        self.expiries.push(Expiry { at: expires, request });
        if slow < expires {
            self.expiries.push(Expiry { at: slow, request });
        }
        if self.expiries.len() > 2 * self.requests.len() + 64 {
            // Entries of ended requests gather behind one that is not answered.
            let requests = &self.requests;
            self.expiries.retain(|expiry| is_in_flight(requests, expiry.request));
        }
        request
    }

    /// Ends a request. Returns none if it is not in flight any more.
    pub(super) fn remove(&mut self, request: RequestId) -> Option<Request> {
        let current = is_in_flight(&self.requests, request);
        let removed = current.then(|| self.requests.remove(request.key)).flatten();
        if removed.as_ref().is_some_and(|removed| removed.is_slow) {
            self.slow -= 1;
        }
        self.drop_stale();
        removed
    }

    pub(super) fn get(&self, request: RequestId) -> Option<&Request> {
        self.requests.get(request.key).filter(|known| known.generation == request.generation)
    }

    pub(super) fn id(&self, key: Key<Request>) -> RequestId {
        RequestId { key, generation: self.requests[key].generation }
    }

    /// Returns the requests in flight.
    pub(super) fn ids(&self) -> Vec<RequestId> {
        let id = |(key, request): (_, &Request)| RequestId { key, generation: request.generation };
        self.requests.iter().map(id).collect()
    }

    /// Ends the first request whose time is up. Counts those that have become slow on the way.
    pub(super) fn pop_expired(&mut self, now: Time) -> Option<(RequestId, Request)> {
        loop {
            let first = *self.expiries.first().filter(|first| first.at <= now)?;
            let request = self.requests.get_mut(first.request.key)?;
            if request.expires <= now {
                let request = self.remove(first.request)?;
                return Some((first.request, request));
            }
            request.is_slow = true;
            self.slow += 1;
            self.expiries.pop();
            self.drop_stale();
        }
    }

    /// Returns when the first request becomes slow or is given up; never if there are none.
    pub(super) fn next_expiry(&self) -> Time {
        self.expiries.first().map_or(Time::NEVER, |first| first.at)
    }

    pub(super) fn push_abort(&mut self, request: RequestId, reason: AbortReason) {
        self.aborts.push((request, reason));
    }

    pub(super) fn pop_abort(&mut self) -> Option<(RequestId, AbortReason)> {
        pop(&mut self.aborts)
    }

    pub(super) fn has_aborts(&self) -> bool {
        !self.aborts.is_empty()
    }

    pub(super) fn clear_aborts(&mut self) {
        self.aborts = Vec::new();
    }

    fn drop_stale(&mut self) {
        let requests = &self.requests;
        while self.expiries.first().is_some_and(|first| !is_in_flight(requests, first.request)) {
            self.expiries.pop();
        }
    }

    #[cfg(any(test, debug_assertions))]
    pub(super) fn has_expiry(&self, request: RequestId) -> bool {
        self.expiries.iter().any(|expiry| expiry.request == request)
    }

    #[cfg(test)]
    pub(super) fn count_expiries(&self) -> usize {
        self.expiries.len()
    }
}

/// For keys of requests that are known to be in flight.
impl Index<Key<Request>> for Requests {
    type Output = Request;

    fn index(&self, key: Key<Request>) -> &Request {
        &self.requests[key]
    }
}

fn is_in_flight(requests: &Slab<Request>, request: RequestId) -> bool {
    requests.get(request.key).is_some_and(|known| known.generation == request.generation)
}

//! The plan that decides which fault affects which request.

use std::collections::{HashMap, VecDeque};
use std::ops::{Bound, RangeBounds as _};
use std::sync::Arc;
use std::time::Duration;

use crate::faults::fault::Fault;
use crate::model::route::Route;
use crate::util::random::{hash, splitmix64, uniform};

/// All planned faults.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    per_job: HashMap<String, VecDeque<Arc<Fault>>>,
    queued: Vec<QueuedFault>,
    timed: Vec<TimedFault>,
    random: Option<RandomFaults>,
}

/// A fault for the next requests on one route.
#[derive(Debug)]
struct QueuedFault {
    route: Route,
    remaining: u32,
    fault: Arc<Fault>,
}

/// A fault for all requests in a span of time.
#[derive(Debug)]
struct TimedFault {
    /// `None` for all routes but [`Route::Token`].
    route: Option<Route>,
    span: (Bound<Duration>, Bound<Duration>),
    fault: Arc<Fault>,
}

#[derive(Debug)]
struct RandomFaults {
    share: f64,
    faults: Vec<Arc<Fault>>,
}

/// Identifies a poll for random faults: its job, and the number of earlier polls of that job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollKey<'a> {
    pub(crate) seed: u64,
    pub(crate) job: &'a str,
    pub(crate) n: u64,
}

impl FaultPlan {
    /// Adds faults for the next polls of one job, one each.
    pub(crate) fn add_for_job(&mut self, job: &str, faults: impl IntoIterator<Item = Fault>) {
        self.per_job.entry(job.to_owned()).or_default().extend(faults.into_iter().map(Arc::new));
    }

    /// Adds a fault for the next `n` requests on `route`.
    pub(crate) fn add_queued(&mut self, route: Route, n: u32, fault: Fault) {
        self.queued.push(QueuedFault { route, remaining: n, fault: Arc::new(fault) });
    }

    /// Adds a fault for a span of time.
    ///
    /// Without a route it affects all of CFW, but not IAM, which is another host in a real cloud.
    pub(crate) fn add_timed(
        &mut self,
        route: Option<Route>,
        span: (Bound<Duration>, Bound<Duration>),
        fault: Fault,
    ) {
        self.timed.push(TimedFault { route, span, fault: Arc::new(fault) });
    }

    /// Sets the faults that affect a random share of the polls.
    pub(crate) fn set_random(&mut self, share: f64, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(Arc::new).collect();
        self.random = Some(RandomFaults { share, faults });
    }

    /// Returns the fault for a request on `route` at `now`, and counts it as used. `poll` is
    /// `None` unless the request is a poll.
    pub(crate) fn next_fault(
        &mut self,
        route: Route,
        now: Duration,
        poll: Option<PollKey<'_>>,
    ) -> Option<Arc<Fault>> {
        poll.and_then(|poll| self.per_job.get_mut(poll.job)?.pop_front())
            .or_else(|| self.next_queued(route))
            .or_else(|| self.next_timed(route, now))
            .or_else(|| self.next_random(poll?))
    }

    fn next_queued(&mut self, route: Route) -> Option<Arc<Fault>> {
        self.queued.retain(|queued| queued.remaining > 0);
        let queued = self.queued.iter_mut().find(|queued| queued.route == route)?;
        queued.remaining -= 1;
        Some(queued.fault.clone())
    }

    fn next_timed(&mut self, route: Route, now: Duration) -> Option<Arc<Fault>> {
        self.timed.retain(|timed| match timed.span.1 {
            Bound::Included(end) => now <= end,
            Bound::Excluded(end) => now < end,
            Bound::Unbounded => true,
        });
        let applies = |timed: &&TimedFault| {
            timed.route.map_or(route != Route::Token, |only| only == route)
                && timed.span.contains(&now)
        };
        self.timed.iter().find(applies).map(|timed| timed.fault.clone())
    }

    fn next_random(&self, PollKey { seed, job, n }: PollKey<'_>) -> Option<Arc<Fault>> {
        let RandomFaults { share, faults } = self.random.as_ref()?;
        let key = hash(job);
        let is_hit = uniform(seed, key, n) < *share;
        let count = u64::try_from(faults.len()).unwrap_or(u64::MAX);
        let index = splitmix64(seed, !key, n).checked_rem(count)?;
        faults.get(usize::try_from(index).ok()?).filter(|_| is_hit).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn next_faults(plan: &mut FaultPlan, route: Route, at: &[u64]) -> Vec<Option<Fault>> {
        at.iter()
            .map(|at| plan.next_fault(route, ms(*at), None).map(|fault| (*fault).clone()))
            .collect()
    }

    #[test]
    fn queued_faults_are_used_in_order_and_per_route() {
        let mut plan = FaultPlan::default();
        plan.add_queued(Route::ListJob, 2, Fault::Busy);
        plan.add_queued(Route::ListJob, 0, Fault::Hang);
        plan.add_queued(Route::ListJob, 1, Fault::Reset);
        assert_eq!(next_faults(&mut plan, Route::CreateFirewall, &[0]), [None]);
        assert_eq!(
            next_faults(&mut plan, Route::ListJob, &[0, 0, 0, 0]),
            [Some(Fault::Busy), Some(Fault::Busy), Some(Fault::Reset), None]
        );
    }

    #[test]
    fn a_timed_fault_excludes_its_end_and_iam() {
        let mut plan = FaultPlan::default();
        plan.add_timed(None, (Bound::Included(ms(10)), Bound::Excluded(ms(20))), Fault::Busy);
        assert_eq!(next_faults(&mut plan, Route::Token, &[15]), [None]);
        let seen = next_faults(&mut plan, Route::ListJob, &[9, 10, 19, 20]);
        assert_eq!(seen, [None, Some(Fault::Busy), Some(Fault::Busy), None]);
    }

    #[test]
    fn random_faults_depend_only_on_the_job_and_its_poll_count() {
        let mut plan = FaultPlan::default();
        plan.set_random(0.1, [Fault::Busy, Fault::Reset]);
        let mut fault = |job: &str, n| {
            plan.next_fault(Route::ListJob, ms(n), Some(PollKey { seed: 7, job, n }))
        };
        let forward: Vec<_> = (0..1000).map(|n| fault("a", n)).collect();
        let backward: Vec<_> = (0..1000).rev().map(|n| fault("a", n)).collect();
        assert!(forward.iter().eq(backward.iter().rev()));
        let other: Vec<_> = (0..1000).map(|n| fault("b", n)).collect();
        assert_ne!(forward, other);
        let hits: Vec<_> = forward.iter().flatten().collect();
        assert!((60..140).contains(&hits.len()), "{}", hits.len());
        assert!(hits.iter().any(|fault| ***fault == Fault::Busy));
        assert!(hits.iter().any(|fault| ***fault == Fault::Reset));
    }

    #[test]
    fn an_empty_set_of_random_faults_gives_none() {
        let mut plan = FaultPlan::default();
        plan.set_random(1.0, []);
        assert_eq!(
            plan.next_fault(Route::ListJob, ms(0), Some(PollKey { seed: 7, job: "a", n: 1 })),
            None
        );
    }
}

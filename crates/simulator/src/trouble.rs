//! Which fault hits which request.

use std::collections::{HashMap, VecDeque};
use std::ops::{Bound, RangeBounds as _};
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::random::{hash, mix, unit};
use crate::record::Route;

/// All planned faults.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    of_job: HashMap<String, VecDeque<Arc<Fault>>>,
    next: Vec<Next>,
    spells: Vec<Spell>,
    random: Option<(f64, Vec<Arc<Fault>>)>,
}

#[derive(Debug)]
struct Next {
    route: Route,
    left: u32,
    fault: Arc<Fault>,
}

#[derive(Debug)]
struct Spell {
    route: Option<Route>,
    span: (Bound<Duration>, Bound<Duration>),
    fault: Arc<Fault>,
}

/// What is random about a poll: its job, and how many polls this job has had before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw<'a> {
    pub(crate) seed: u64,
    pub(crate) job: &'a str,
    pub(crate) n: u64,
}

impl Trouble {
    pub(crate) fn plan_polls(&mut self, job: &str, faults: impl IntoIterator<Item = Fault>) {
        self.of_job.entry(job.to_owned()).or_default().extend(faults.into_iter().map(Arc::new));
    }

    pub(crate) fn plan_next(&mut self, route: Route, n: u32, fault: Fault) {
        self.next.push(Next { route, left: n, fault: Arc::new(fault) });
    }

    /// Without a route the spell holds for the whole of CFW, but not for IAM: another host.
    pub(crate) fn plan_spell(
        &mut self,
        route: Option<Route>,
        span: (Bound<Duration>, Bound<Duration>),
        fault: Fault,
    ) {
        self.spells.push(Spell { route, span, fault: Arc::new(fault) });
    }

    pub(crate) fn plan_random(&mut self, share: f64, faults: impl IntoIterator<Item = Fault>) {
        self.random = Some((share, faults.into_iter().map(Arc::new).collect()));
    }

    /// The fault for a request on `route` at `now`; `poll` says more where it is a poll.
    pub(crate) fn strike(
        &mut self,
        route: Route,
        now: Duration,
        poll: Option<Draw<'_>>,
    ) -> Option<Arc<Fault>> {
        poll.and_then(|poll| self.of_job.get_mut(poll.job)?.pop_front())
            .or_else(|| self.strike_next(route))
            .or_else(|| self.strike_spell(route, now))
            .or_else(|| self.strike_random(poll?))
    }

    fn strike_next(&mut self, route: Route) -> Option<Arc<Fault>> {
        self.next.retain(|next| next.left > 0);
        let next = self.next.iter_mut().find(|next| next.route == route)?;
        next.left -= 1;
        Some(next.fault.clone())
    }

    fn strike_spell(&mut self, route: Route, now: Duration) -> Option<Arc<Fault>> {
        self.spells.retain(|spell| match spell.span.1 {
            Bound::Included(end) => now <= end,
            Bound::Excluded(end) => now < end,
            Bound::Unbounded => true,
        });
        let holds = |spell: &&Spell| {
            spell.route.map_or(route != Route::Token, |only| only == route)
                && spell.span.contains(&now)
        };
        self.spells.iter().find(holds).map(|spell| spell.fault.clone())
    }

    fn strike_random(&self, Draw { seed, job, n }: Draw<'_>) -> Option<Arc<Fault>> {
        let (share, faults) = self.random.as_ref()?;
        let key = hash(job);
        let hit = unit(seed, key, n) < *share;
        let count = u64::try_from(faults.len()).unwrap_or(u64::MAX);
        let which = mix(seed, !key, n).checked_rem(count)?;
        faults.get(usize::try_from(which).ok()?).filter(|_| hit).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn strikes(trouble: &mut Trouble, route: Route, at: &[u64]) -> Vec<Option<Fault>> {
        at.iter()
            .map(|at| trouble.strike(route, ms(*at), None).map(|fault| (*fault).clone()))
            .collect()
    }

    #[test]
    fn scripted_faults_are_used_up_in_order_and_per_route() {
        let mut trouble = Trouble::default();
        trouble.plan_next(Route::ListJob, 2, Fault::Busy);
        trouble.plan_next(Route::ListJob, 0, Fault::Hang);
        trouble.plan_next(Route::ListJob, 1, Fault::Reset);
        assert_eq!(strikes(&mut trouble, Route::CreateFirewall, &[0]), [None]);
        assert_eq!(
            strikes(&mut trouble, Route::ListJob, &[0, 0, 0, 0]),
            [Some(Fault::Busy), Some(Fault::Busy), Some(Fault::Reset), None]
        );
    }

    #[test]
    fn a_spell_holds_from_its_start_until_before_its_end_and_spares_iam() {
        let mut trouble = Trouble::default();
        trouble.plan_spell(None, (Bound::Included(ms(10)), Bound::Excluded(ms(20))), Fault::Busy);
        assert_eq!(strikes(&mut trouble, Route::Token, &[15]), [None]);
        let seen = strikes(&mut trouble, Route::ListJob, &[9, 10, 19, 20]);
        assert_eq!(seen, [None, Some(Fault::Busy), Some(Fault::Busy), None]);
    }

    #[test]
    fn random_faults_depend_on_the_id_and_its_count_of_polls_alone() {
        let mut trouble = Trouble::default();
        trouble.plan_random(0.1, [Fault::Busy, Fault::Reset]);
        let mut draw =
            |job: &str, n| trouble.strike(Route::ListJob, ms(n), Some(Draw { seed: 7, job, n }));
        let forward: Vec<_> = (0..1000).map(|n| draw("a", n)).collect();
        let backward: Vec<_> = (0..1000).rev().map(|n| draw("a", n)).collect();
        assert!(forward.iter().eq(backward.iter().rev()));
        let other: Vec<_> = (0..1000).map(|n| draw("b", n)).collect();
        assert_ne!(forward, other);
        let hits: Vec<_> = forward.iter().flatten().collect();
        assert!((60..140).contains(&hits.len()), "{}", hits.len());
        assert!(hits.iter().any(|fault| ***fault == Fault::Busy));
        assert!(hits.iter().any(|fault| ***fault == Fault::Reset));
    }

    #[test]
    fn no_faults_to_choose_from_is_no_fault() {
        let mut trouble = Trouble::default();
        trouble.plan_random(1.0, []);
        assert_eq!(
            trouble.strike(Route::ListJob, ms(0), Some(Draw { seed: 7, job: "a", n: 1 })),
            None
        );
    }
}

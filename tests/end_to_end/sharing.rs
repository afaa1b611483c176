//! One waiter is one source is one budget, however many wait.

use cfw_simulator::{Fault, JobScript};
use cfw_waiter::{Quota, Schedule, UpdateKind};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::support::{brisk, brisk_policy, eventually, falls_silent, finish_after, ms, simulator};

#[tokio::test]
async fn fifty_waits_for_one_job_cost_the_polls_of_one() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let waiter = brisk(&sim).build().unwrap();
    let waits = join_all((0..50).map(|_| waiter.wait_for_job(&id)));
    let (outcomes, ()) = tokio::join!(waits, finish_after(&sim, &id, 5));
    let polls = sim.polls_of(&id);
    assert_eq!(outcomes.len(), 50);
    for outcome in outcomes {
        // Each was there from the first poll to the last, and there were no others.
        assert_eq!(outcome.unwrap().polls as usize, polls.len());
    }
    assert_eq!(sim.counts().overlapping, 0);
}

#[tokio::test]
async fn dropping_waits_ends_their_polls_and_no_others() {
    let sim = simulator();
    let ids = sim.add_jobs(20, &JobScript::never());
    let waiter = brisk(&sim).build().unwrap();
    let (watched, waited) = ids.split_at(10);
    let mut watch = waiter.watch(watched);
    let mut waits: Vec<_> = waited.iter().map(|id| waiter.wait_for_job(id)).collect();
    assert!(watch.next().await.is_some());
    for wait in &mut waits {
        assert!(wait.now_or_never().is_none());
    }
    eventually(|| waited.iter().all(|id| sim.polls_of(id).len() > 1)).await;

    drop(waits);
    let polls = |ids: &[String]| ids.iter().map(|id| sim.polls_of(id).len()).sum::<usize>();
    // What was on the wire when its wait was dropped may still arrive, but not long after others do.
    let others = polls(watched);
    eventually(|| polls(watched) >= others + 50).await;
    let (before, others) = (polls(waited), polls(watched));
    eventually(|| polls(watched) >= others + 50).await;
    assert_eq!(polls(waited), before);

    drop(watch);
    falls_silent(&sim).await;
    assert_eq!(waiter.stats().watched, 0);
}

#[tokio::test]
async fn five_hundred_waits_in_a_row_keep_to_one_quota() {
    let sim = simulator();
    let ids = sim.add_jobs(500, &JobScript::succeeds_after(ms(0)));
    let (calls, per) = (60, ms(200));
    let waiter = brisk(&sim)
        .policy(brisk_policy().schedule(Schedule::fixed(ms(1)).unwrap()))
        .min_interval(ms(1))
        .quota(Quota::new(calls, per).unwrap())
        .build()
        .unwrap();
    for id in &ids {
        waiter.wait_for_job(id).await.unwrap();
    }
    let polls = sim.requests();
    assert_eq!(polls.len(), 500);
    for (first, poll) in polls.iter().enumerate() {
        let held = polls[first..].iter().take_while(|other| other.at < poll.at + per).count();
        // The first one may have been on its way for long; all others were sent after it had arrived.
        assert!(held <= calls as usize + 1, "{held} polls from {:?} on", poll.at);
    }
}

#[tokio::test]
async fn a_pause_outlives_the_wait_that_met_it() {
    let sim = simulator();
    let ids = sim.add_jobs(2, &JobScript::succeeds_after(ms(0)));
    let fault = Fault::Throttled {
        retry_after: Some("0.3".to_owned()),
        quota: Some("limit:100000,time:1 second".to_owned()),
    };
    sim.fail_next(1, fault);
    let waiter = brisk(&sim).build().unwrap();
    let mut first = waiter.watch([&ids[0]]);
    let trouble = first.next().await.unwrap();
    assert!(matches!(trouble.kind, UpdateKind::Trouble(_)), "{trouble:?}");
    drop(first);
    waiter.wait_for_job(&ids[1]).await.unwrap();
    let polls = sim.requests();
    assert_eq!(polls.len(), 2);
    let gap = polls[1].at - polls[0].answered.unwrap();
    assert!(gap >= ms(295), "{gap:?}");
}

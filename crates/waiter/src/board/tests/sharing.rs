//! What waits on one job share where schedules learn: its age, the plan by which it is polled, and its last poll.

use std::sync::Arc;

use super::learning::{assert_about, history, learned, options, policy, world};
use super::script::*;
use super::world::{World, at, secs};
use crate::{Learned, Policy};

/// Two plans would poll the job for both.
#[test]
fn waits_on_one_job_share_the_plan_by_which_it_is_polled() {
    let mut world = world();
    world.board.set_history(history("create"));
    world.script("job", Script::never());
    let plan_of = |world: &World, watch: usize| {
        let wait = world.board.waits[world.key(watch).key].first().unwrap();
        Arc::clone(world.board.waits.policy(&world.board.waits[wait]).schedule.plan().unwrap())
    };
    let other = learned(Learned::new().max_interval(secs(200)));
    // The first wait of another kind has nothing to go by.
    let blank = world.watch_with(["job"], options(&policy(), Some("blank"), 0));
    let first = world.watch_with(["job"], options(&policy(), Some("create"), 0));
    for n in 0..3 {
        let id = format!("short-{n}");
        let now = world.now.as_nanos() / 1_000_000;
        world.script(&id, Script::succeeds(now + 3_000).clock(-now.cast_signed(), 0));
        for kind in ["create", "blank"] {
            world.watch_with([id.as_str()], options(&policy(), Some(kind), 0));
        }
        world.run_until(world.now.after(secs(20)));
    }
    let joins = world.watch_with(["job"], options(&policy(), Some("create"), 0));
    let differs = world.watch_with(["job"], options(&other, Some("create"), 0));
    let learnt = world.watch_with(["job"], options(&policy(), Some("blank"), 0));
    world.script("new", Script::never());
    let newest = world.watch_with(["new"], options(&policy(), Some("create"), 0));
    let plans = [first, joins, differs, newest, blank, learnt].map(|watch| plan_of(&world, watch));
    let [first, joins, differs, newest, blank, learnt] = plans;
    assert!(Arc::ptr_eq(&first, &joins) && !Arc::ptr_eq(&first, &newest));
    assert!(!Arc::ptr_eq(&first, &differs) && differs.settings.get_max_interval() == secs(200));
    assert!(!blank.is_learned() && learnt.is_learned());
}

/// The plan of a wait that joins says when the poll after the last one comes, whatever wait that was for.
#[test]
fn a_wait_that_joins_goes_on_from_the_last_poll() {
    let mut world = world();
    world.script("warm", Script::succeeds(500));
    world.watch(["warm"], &Policy::new());
    world.run_until(at(5_000));
    world.script("job", Script::never());
    let first = world.watch(["job"], &policy());
    world.run_until(at(80_000));
    let [seen] = world.poll_times("job")[..] else { panic!("{:?}", world.polls) };
    let other = learned(Learned::new().max_interval(secs(200)));
    world.watch(["job"], &other);
    world.remove(first, "job");
    world.run_until(at(100_000));
    let next = world.poll_times("job")[1];
    assert_about((next - seen) as f64 / 1e3, 11.9);
}

#[test]
fn what_one_wait_knows_of_an_age_the_others_on_the_job_know() {
    let first_poll = |ages: &[(u64, u64)], leaves: Option<usize>| {
        let mut world = world();
        world.script("warm", Script::succeeds(500));
        world.watch(["warm"], &Policy::new());
        world.run_until(at(5_000));
        world.script("job", Script::succeeds(1_000_000));
        let mut watches = Vec::new();
        for (after, since) in ages {
            world.run_until(at(5_000 + after * 1_000));
            watches.push(world.watch_with(["job"], options(&policy(), None, *since)));
        }
        if let Some(leaves) = leaves {
            world.remove(watches[leaves], "job");
        }
        world.run_until(at(100_000));
        world.poll_times("job")[0] as f64 / 1e3 - 5.0
    };
    // The plan's first poll is at an age of 70.5 s.
    assert_about(first_poll(&[(0, 0)], None), 70.5);
    assert_about(40.0 + first_poll(&[(0, 40)], None), 70.5);
    for leaves in [None, Some(0), Some(1), Some(2)] {
        assert_about(40.0 + first_poll(&[(0, 40), (5, 0), (10, 20)], leaves), 70.5);
        assert_about(40.0 + first_poll(&[(0, 0), (5, 45), (10, 20)], leaves), 70.5);
    }
    assert_about(40.0 + first_poll(&[(0, 0), (10, 50)], Some(1)), 70.5);
}

//! When a driver takes its next turn: scheduled polls may wait a little for others, nothing else does.

use super::script::*;
use super::world::*;
use crate::board::{Budget, Time};
use crate::{Policy, Quota, Schedule};

fn every_two_seconds() -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(2)).unwrap())
}

/// Runs a world until shortly before its next poll. Returns when that is due.
fn run_until_before_a_poll(world: &mut World, micros: u64) -> Time {
    world.run_until(at(10_000));
    let due = world.board.next_wake().expect("a poll is planned");
    world.run_until(due.before_nanos(micros * 1_000));
    due
}

#[test]
fn a_scheduled_poll_waits_until_a_driver_has_rested() {
    // Milliseconds of the minimum interval; microseconds from the turn to the poll, and to the next turn.
    let rows = [
        (500, 1, 5_000),
        (500, 4_999, 5_000),
        (500, 5_000, 5_000),
        (500, 5_001, 5_001),
        (60_000, 1_000, 5_000),
        (50, 100, 500),
        (50, 600, 600),
        (1, 7, 10),
    ];
    for (min_interval, to_poll, to_turn) in rows {
        let budget = Budget { min_interval: ms(min_interval), ..budget() };
        let mut world = World::new(budget);
        world.script("job", Script::never());
        world.watch(["job"], &every_two_seconds());
        let due = run_until_before_a_poll(&mut world, to_poll);
        assert_eq!(world.board.next_wake(), Some(due));
        let turn = world.now.after_nanos(to_turn * 1_000);
        assert_eq!(world.board.next_turn(), Some(turn), "{min_interval} {to_poll}");
    }
}

#[test]
fn a_driver_of_very_many_jobs_rests_for_less() {
    for (jobs, rest) in [(100_000, 5_000), (200_000, 2_500)] {
        let mut world = World::new(budget());
        let ids: Vec<String> = (0..jobs).map(|n| format!("job-{n}")).collect();
        world.watch(ids.iter().map(String::as_str), &every_two_seconds());
        let due = world.board.next_wake().expect("polls are planned");
        world.board.handle_time(due.before_nanos(1_000));
        let turn = due.before_nanos(1_000).after_nanos(rest * 1_000);
        assert_eq!(world.board.next_turn(), Some(turn), "{jobs}");
    }
}

#[test]
fn the_last_poll_of_a_wait_and_its_deadline_come_in_time() {
    let mut world = World::of_one(Script::never(), &every_two_seconds().timeout(secs(30)));
    for limit in [29_000, 30_000] {
        world.run_until(at(limit - 1));
        assert_eq!(world.board.next_turn(), Some(at(limit)));
    }
}

#[test]
fn a_request_is_given_up_in_time() {
    let script = Script::never().faults([Fault::Hang]);
    let mut world = World::of_one(script, &every_two_seconds());
    world.run_until(at(5_000));
    let expires = world.polls[0].0.after(secs(10));
    world.run_until(expires.before(ms(1)));
    assert_eq!(world.board.next_turn(), Some(expires));
}

#[test]
fn polls_that_the_rate_holds_back_come_as_soon_as_it_allows() {
    let quota = Quota::new(250, secs(1)).unwrap();
    let mut world = World::new(Budget { quota: Some(quota.with_burst(1)), ..budget() });
    let ids: Vec<String> = (0..2_000).map(|n| format!("job-{n}")).collect();
    ids.iter().for_each(|id| world.script(id, Script::never()));
    world.watch(ids.iter().map(String::as_str), &every_two_seconds());
    world.run_until(at(10_000));
    let next = world.board.next_turn().expect("jobs are ready");
    assert_eq!(Some(next), world.board.next_wake());
    assert!(next <= world.now.after(ms(4)));
}

//! Changes of the detail beside a status.

use super::script::*;
use super::world::*;
use crate::{JobState, Policy, Schedule};

fn every(interval: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(interval)).unwrap()).timeout(secs(3_600))
}

fn details(heard: &Heard) -> Vec<&str> {
    heard.progressed.iter().map(|(_, detail)| detail.as_deref().unwrap_or("(none)")).collect()
}

#[test]
fn rule_02_each_change_of_detail_is_reported_once_and_a_change_of_status_includes_it() {
    let mut world = World::of_one(Script::succeeds(100_000).detail_every(secs(30)), &every(5));
    world.run();
    let job = world.job();
    let statuses: Vec<_> = job.statuses.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["Running", "Success"]);
    // "step 0" came with the change to Running.
    assert_eq!(details(job), ["step 1", "step 2", "step 3"]);
    assert!(job.progressed[0].0 < at(35_100), "when it was observed");
}

#[test]
fn rule_02_a_service_without_details_makes_no_such_update_and_costs_no_memory() {
    let mut world = World::of_one(Script::succeeds(100_000), &every(5));
    world.run_until(at(50_000));
    assert_eq!(world.board.waits.counts()[3], 0);
    world.run();
    assert!(world.job().progressed.is_empty());
}

#[test]
fn rule_11_a_consumer_that_lags_hears_the_newest_detail_alone() {
    let mut world = World::new(budget());
    world.script("job", Script::never().detail_every(secs(10)));
    let watch = world.watch(["job"], &every(5));
    world.run_until(at(8_000));
    world.neglect(watch, true);
    world.run_until(at(78_000));
    world.drain_late(watch);
    assert_eq!(details(world.job()), ["step 7"]);
    world.drain_late(watch);
    assert_eq!(details(world.job()), ["step 7"], "once");
}

#[test]
fn rule_11_a_detail_that_has_come_back_is_no_change() {
    let mut world = World::new(budget());
    world.script("job", Script::never());
    let watch = world.watch(["job"], &every(600));
    let tell = |world: &mut World, detail: &str| {
        let state = JobState::running();
        let state = if detail.is_empty() { state } else { state.with_detail(detail) };
        assert!(world.board.tell(world.now, "job", &state));
    };
    tell(&mut world, "10 %");
    world.drain(watch);
    for detail in ["20 %", "10 %"] {
        tell(&mut world, detail);
    }
    world.drain(watch);
    assert!(world.job().progressed.is_empty());
    tell(&mut world, "");
    world.drain(watch);
    assert_eq!(details(world.job()), ["(none)"]);
    assert_eq!(world.board.waits.counts()[3], 0, "nothing is left behind");
    tell(&mut world, "10 %");
    world.drain(watch);
    assert_eq!(details(world.job()), ["(none)", "10 %"]);
    assert!(world.remove(watch, "job"));
    world.drain(watch);
    assert_eq!(world.board.waits.counts()[3], 0, "nor after the end");
}

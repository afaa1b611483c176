//! When a job is likely to end, as its view says.

use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::WaitOptions;
use crate::{Eta, History, Learned, Policy, Sample, Schedule};

/// Jobs of 90 s to 109 s.
fn world() -> World {
    let mut history = History::new();
    (90..110).for_each(|s| history.record("create", Sample::ended(secs(s))));
    let mut world = World::new(budget());
    world.board.set_history(history);
    world
}

fn options(kind: &str, since: u64) -> WaitOptions {
    let policy = Policy::new().schedule(Schedule::learned(Learned::new()).unwrap());
    let policy = policy.first_poll_at_once(true);
    let kind = Some(kind.into());
    WaitOptions { kind, since: secs(since), ..WaitOptions::new(Arc::new(policy)) }
}

/// Plays a job for some seconds.
fn eta_after(world: &mut World, script: Script, options: WaitOptions, secs: u64) -> Option<Eta> {
    world.script("job", script);
    let watch = world.watch_with(["job"], options);
    world.run_until(at(secs * 1_000));
    let key = world.key(watch);
    let view = world.board.job(world.now, key, "job").unwrap();
    let (listed, _) = world.board.jobs(world.now, key, None, 10);
    assert_eq!(listed[0].eta, view.eta);
    view.eta
}

#[track_caller]
fn assert_age(eta: Option<Eta>, expected: f64) {
    let found = eta.unwrap().age.as_secs_f64();
    assert!((found - expected).abs() < 1.1, "{found}, not about {expected}");
}

#[test]
fn a_view_says_when_a_job_is_likely_to_end_and_whether_it_is_overdue() {
    let mut world = world();
    let eta = eta_after(&mut world, Script::never(), options("create", 0), 40);
    assert_age(eta, 40.0);
    let eta = eta.unwrap();
    let left = eta.remaining.unwrap().p50.as_secs_f64();
    assert!((56.0..68.0).contains(&left) && eta.past_jobs == 20 && !eta.is_overdue(), "{eta:?}");
    world.run_until(at(140_000));
    let key = world.key(0);
    let eta = world.board.job(world.now, key, "job").unwrap().eta;
    assert_age(eta, 140.0);
    assert!(eta.unwrap().is_overdue(), "{eta:?}");
}

#[test]
fn the_age_is_that_of_the_job() {
    let by_server =
        eta_after(&mut world(), Script::never().clock(30_000, 0), options("create", 0), 40);
    assert_age(by_server, 70.0);
    let by_user = eta_after(&mut world(), Script::never(), options("create", 30), 40);
    assert_age(by_user, 70.0);
    // An age that is not believed of a young wait is no age to count from.
    let script = Script::never().clock(8_000_000, 0);
    assert_eq!(eta_after(&mut world(), script, options("create", 0), 40), None);
}

#[test]
fn nothing_is_said_without_history_or_a_schedule_that_learns_or_a_status() {
    let mut world_ = world();
    assert_eq!(eta_after(&mut world_, Script::never(), options("delete", 0), 40), None);
    let fixed = WaitOptions { kind: Some("create".into()), ..WaitOptions::new(Arc::default()) };
    assert_eq!(eta_after(&mut world(), Script::never(), fixed, 40), None);
    let unseen = Script::never().faults([Fault::Hang; 9]);
    assert_eq!(eta_after(&mut world(), unseen, options("create", 0), 8), None);
}

#[test]
fn jobs_that_end_meanwhile_count() {
    let mut world = World::new(budget());
    for n in 0..12 {
        let id = format!("job-{n}");
        world.script(&id, Script::succeeds(10_000 + n).clock(0, 0));
        world.watch_with([id.as_str()], options("create", 0));
    }
    let eta = eta_after(&mut world, Script::never(), options("create", 0), 5);
    assert_eq!(eta, None);
    world.run_until(at(60_000));
    let key = world.key(12);
    let eta = world.board.job(world.now, key, "job").unwrap().eta.unwrap();
    assert!(eta.past_jobs == 12 && eta.is_overdue(), "{eta:?}");
}

#[test]
fn one_job_of_a_watch_is_found_while_it_lives() {
    let mut world = world();
    world.script("job", Script::succeeds(10_000));
    world.script("other", Script::never());
    let watch = world.watch_with(["job"], options("create", 0));
    let other = world.watch_with(["other"], options("create", 0));
    let (watch, other) = (world.key(watch), world.key(other));
    let find = |world: &mut World, watch, id| {
        world.board.job(world.now, watch, id).map(|view| view.report.id.to_string())
    };
    assert_eq!(find(&mut world, watch, "job").as_deref(), Some("job"));
    world.run_until(at(5_000));
    assert_eq!(find(&mut world, watch, "job").as_deref(), Some("job"));
    assert_eq!(find(&mut world, other, "job"), None, "it is in another watch");
    assert_eq!(find(&mut world, watch, "unknown"), None);
    world.run_until(at(200_000));
    assert_eq!(find(&mut world, watch, "job"), None, "it has ended");
}

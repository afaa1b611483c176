//! What handles do, and what they look up.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use super::script::*;
use super::world::*;
use crate::board::{LogEvent, LogEventKind, Pending, RuntimeKey, WaitOptions};
use crate::{JobId, JobState, Policy, Progress, Schedule, UpdateKind, WaitErrorKind};

fn every(interval: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(interval)).unwrap())
}

#[test]
fn adds_before_the_start_collapse_and_can_be_taken_back() {
    let mut world = World::new(budget());
    let options = WaitOptions::new(Arc::new(Policy::new()));
    let key = world.board.open(false, Pending::default(), options);
    let now = at(0);
    let board = &mut world.board;
    assert!(board.add(now, key, "a".into(), None) && board.add(now, key, "b".into(), None));
    assert!(!board.add(now, key, "a".into(), None));
    assert!(board.remove(now, key, "b") && !board.remove(now, key, "b"));
    assert_eq!(board.progress(key).waiting, 1);
    assert!(board.is_idle());
}

#[test]
fn rule_11_removed_jobs_are_no_failures() {
    let mut world = World::new(budget());
    for id in ["a", "b", "c"] {
        world.script(id, Script::fails(2_000));
    }
    let watch = world.watch(["a", "b", "c"], &every(10));
    assert!(world.remove(watch, "a"));
    world.run();
    let key = world.key(watch);
    let expected = Progress { removed: 1, failed: 2, ..Progress::default() };
    assert_eq!(world.board.progress(key), expected);
    assert_eq!(expected.total(), 3);
    let stats = world.stats();
    let ended = [WaitErrorKind::Removed, WaitErrorKind::Failed].map(|kind| stats.ends(kind));
    assert_eq!(ended, [1, 2]);
}

#[test]
fn rule_01_a_pending_job_of_a_started_watch_is_removed_with_an_end() {
    let mut world = World::new(budget());
    let options = WaitOptions::new(Arc::new(Policy::new()));
    let ids = ["a", "b"].map(JobId::from).into_iter().collect();
    let key = world.board.open(false, ids, options);
    world.board.start(at(0), key);
    assert!(world.board.add_pending(at(0), key, 1));
    assert!(world.board.remove(at(50), key, "b") && !world.board.has_pending(key));
    let Poll::Ready(Some(update)) = world.board.next_update(key) else { panic!("an end is due") };
    let UpdateKind::Ended(Err(error)) = update.kind else { panic!("{update:?}") };
    assert_eq!((error.kind(), error.report().id.as_str()), (WaitErrorKind::Removed, "b"));
    assert_eq!(error.report().elapsed, ms(50));
    assert_eq!(world.board.progress(key).total(), 2);
}

#[test]
fn rule_12_a_stopped_wait_knows_how_long_it_took() {
    let mut world = World::of_one(Script::never(), &every(600));
    world.run_until(at(15_000));
    assert!(!world.board.stop(at(17_345), RUNTIME, "the runtime ended", usize::MAX));
    world.now = at(17_345);
    world.drain(0);
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    assert_eq!(error.report().elapsed, ms(17_345));
}

#[test]
fn rule_12_a_stop_ends_no_more_waits_at_once_than_its_limit_and_those_of_one_runtime_only() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..10).map(|n| format!("job-{n}")).collect();
    for id in &ids {
        world.watch([id.as_str()], &every(10));
    }
    let crowd = world.watch(ids.iter().map(String::as_str), &every(10));
    let other = world.watch(["job-0"], &every(10));
    let key = world.key(other);
    world.board.set_runtime(key, RuntimeKey(1));
    let mut left = Vec::new();
    while world.board.stop(at(5), RUNTIME, "the runtime ended", 4) {
        left.push(world.board.live_on(RUNTIME));
    }
    assert_eq!(left, [16, 12, 8, 4]);
    assert_eq!((world.board.live_on(RUNTIME), world.board.live_on(RuntimeKey(1))), (0, 1));
    // One that is being closed has nothing to stop once its waits have gone.
    let key = world.key(crowd);
    assert!(world.board.close(key, 1).0);
    assert!(!world.board.stop(at(6), RUNTIME, "the runtime ended", 4));
}

/// What would be logged: the trouble of each job, and whether it was the source's.
fn troubles(world: &mut World) -> Vec<(String, bool)> {
    let trouble = |event: LogEvent| match event.kind {
        LogEventKind::Trouble { is_outage, .. } => Some((event.id.to_string(), is_outage)),
        LogEventKind::Changed { .. } => None,
    };
    world.board.take_log(true).into_iter().filter_map(trouble).collect()
}

#[test]
fn rule_12_an_outage_is_warned_of_though_one_job_was_ill_before() {
    let mut world = World::new(budget());
    world.script("ill", Script::never().faults([Fault::Transient; 999]));
    world.script("well", Script::never());
    world.script("unknown", Script::never().faults([Fault::NotFound; 999]));
    let patient = every(5).timeout(secs(600)).not_found_grace(secs(600));
    world.watch(["ill", "well", "unknown"], &patient);
    world.outages = vec![(at(60_000), at(90_000), Fault::Transient)];
    troubles(&mut world);
    world.run_until(at(55_000));
    let before = troubles(&mut world);
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(before.contains(&("unknown".to_owned(), false)), "{before:?}");
    world.run_until(at(80_000));
    let during = troubles(&mut world);
    assert_eq!(during.iter().filter(|(_, is_outage)| *is_outage).count(), 1, "{during:?}");
}

#[test]
fn rule_12_a_job_that_is_not_known_is_no_outage() {
    let script = Script::never().faults([Fault::NotFound, Fault::Transient]);
    let mut world = World::of_one(script, &every(5).timeout(secs(30)));
    troubles(&mut world);
    world.run();
    assert_eq!(troubles(&mut world), [("job".to_owned(), false), ("job".to_owned(), true)]);
}

#[test]
fn a_poke_brings_the_next_poll_forward_up_to_the_minimum_interval() {
    let mut world = World::of_one(Script::never(), &every(60));
    world.run_until(at(70_000));
    assert_eq!(world.polls.len(), 1);
    assert!(!world.board.poke(at(70_000), "stranger"));
    assert!(world.board.poke(at(70_000), "job"));
    world.run_until(at(70_000));
    assert_eq!(world.poll_times("job")[1], 70_000);
    // In flight: the answer may be older than what the poke is about.
    assert!(world.board.poke(at(70_020), "job"));
    world.run_until(at(72_000));
    assert_eq!(world.poll_times("job")[2..], [70_550]);
}

#[test]
fn a_poke_within_the_minimum_interval_is_not_lost_when_another_wait_leaves() {
    let mut world = World::of_one(Script::never(), &every(60));
    let other = world.watch(["job"], &every(10));
    while world.polls.len() < 2 || world.stats().in_flight > 0 {
        world.run_until(world.now.after(ms(10)));
    }
    let polls = world.polls.len();
    assert!(world.board.poke(world.now, "job"));
    world.close(other);
    world.run_until(world.now.after(ms(600)));
    assert_eq!(world.polls.len(), polls + 1);
}

#[test]
fn a_state_from_outside_ends_waits_and_postpones_no_poll() {
    let polls = |tells: &[u64]| {
        let mut world = World::of_one(Script::never(), &every(10).timeout(secs(100)));
        for &time in tells {
            world.run_until(at(time));
            assert!(world.board.tell(at(time), "job", &JobState::unknown("Paused")));
        }
        world.run();
        world.polls
    };
    assert_eq!(polls(&[]), polls(&[5_000, 23_000, 24_000, 60_000]));

    for (state, kind) in
        [(JobState::succeeded(), None), (JobState::failed(), Some(WaitErrorKind::Failed))]
    {
        let mut world = World::of_one(Script::never(), &every(10));
        let other = world.watch(["job"], &every(20));
        world.run_until(at(33_000));
        assert!(!world.board.tell(at(33_000), "stranger", &state));
        assert!(world.board.tell(at(33_000), "job", &state));
        assert!(!world.board.tell(at(33_000), "job", &state), "no wait is left");
        world.run();
        assert_eq!(world.end(), (33_000, kind));
        assert_eq!(end_of(&world.heard[&(other, "job".into())]), Some((33_000, kind)));
        assert_eq!(world.board.next_wake(), None);
    }
}

#[test]
fn a_state_from_outside_is_as_young_as_its_telling_and_breaks_a_row_of_not_found() {
    let quick = every(10).not_found_grace(secs(1));
    let mut world = World::of_one(Script::never().faults([Fault::NotFound; 4]), &quick);
    while world.polls.len() < 2 || world.stats().in_flight > 0 {
        world.run_until(world.now.after(secs(1)));
    }
    assert!(world.board.tell(world.now, "job", &JobState::running()));
    let told = world.now;
    world.run_until(at(45_000));
    assert!(world.polls.len() >= 4 && world.job().end.is_none(), "the row began anew");
    assert!(world.remove(0, "job"));
    let now = world.now;
    world.run();
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    let answered = at(world.poll_times("job").last().unwrap() + 50);
    let seen = if world.polls.len() > 4 { answered } else { told };
    let age = error.last_seen().unwrap();
    assert!(age.abs_diff(now.since(seen)) <= ms(1), "{age:?}");
}

#[test]
fn a_job_without_waits_is_neither_poked_nor_told() {
    let mut world = World::of_one(Script::never().faults([Fault::Hang]), &every(2));
    world.run_until(at(3_000));
    let key = world.key(0);
    assert!(!world.board.close(key, usize::MAX).0);
    assert_eq!(world.stats().in_flight, 1);
    assert!(!world.board.poke(at(3_000), "job"));
    assert!(!world.board.tell(at(3_000), "job", &JobState::running()));
}

#[test]
fn a_listing_goes_on_after_the_wait_where_it_stopped_has_gone() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..6).map(|n| format!("job-{n}")).collect();
    let watch = world.watch(ids.iter().map(String::as_str), &every(10));
    let key = world.key(watch);
    let (views, next) = world.board.jobs(at(0), key, None, 2);
    assert_eq!(views.len(), 2);
    // Its place is taken by a stranger's wait, and another one of the watch comes last.
    assert!(world.remove(watch, "job-2"));
    world.drain(watch);
    world.watch(["stranger"], &every(10));
    assert!(world.add(watch, "job-6", &every(10)));
    let (views, next) = world.board.jobs(at(0), key, next, 9);
    let listed: Vec<_> = views.iter().map(|view| view.report.id.to_string()).collect();
    assert_eq!(listed, ["job-3", "job-4", "job-5", "job-6"]);
    assert!(next.is_none());
}

#[test]
fn rule_10_a_watch_that_is_being_closed_wakes_nobody() {
    let mut world = World::new(budget());
    let watch = world.watch(["a", "b"], &every(10));
    let key = world.key(watch);
    assert!(world.board.set_waker(key, Waker::noop().clone()).is_none());
    assert!(world.board.close(key, 1).0);
    assert!(world.board.tell(at(0), "b", &JobState::succeeded()));
    assert!(world.board.take_deferred().0.is_empty());
    let (is_left, waker) = world.board.close(key, 9);
    assert!(!is_left && waker.is_some(), "the waker is handed back to be dropped");
}

#[test]
fn a_state_from_outside_is_an_observation() {
    let mut world = World::of_one(Script::never(), &every(60));
    world.run_until(at(62_000));
    assert_eq!((world.polls.len(), world.stats().in_flight), (1, 0));
    world.run_until(at(70_000));
    assert!(world.board.tell(at(70_000), "job", &JobState::unknown("Paused")));
    world.run_until(at(75_000));
    assert!(world.remove(0, "job"));
    world.drain(0);
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    assert_eq!(error.last_seen(), Some(secs(5)));
}

#[test]
fn a_checkpoint_holds_each_job_once_whose_end_was_not_reported() {
    let mut world = World::new(budget());
    let watch = world.watch(["runs", "removed", "ended", "again"], &every(10));
    let (key, now) = (world.key(watch), at(0));
    assert!(world.board.remove(now, key, "removed"));
    for id in ["ended", "again"] {
        assert!(world.board.tell(now, id, &JobState::succeeded()));
    }
    assert!(world.board.add(now, key, "again".into(), None));
    let (jobs, next) = world.board.saved_jobs(now, key, None, 9);
    let saved: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!((&saved[..], next.is_none()), (&["runs", "ended", "again"][..], true));
}

struct Deaf;

impl Wake for Deaf {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_watch_tells_the_waker_that_it_has_from_others() {
    let mut world = World::new(budget());
    let watch = world.watch(["job"], &every(10));
    let key = world.key(watch);
    let [one, other] = [(); 2].map(|()| Waker::from(Arc::new(Deaf)));
    assert!(!world.board.has_waker(key, &one));
    assert!(world.board.set_waker(key, one.clone()).is_none());
    assert!(world.board.has_waker(key, &one) && !world.board.has_waker(key, &other));
}

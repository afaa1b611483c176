//! When the first polls of a wait come: at once on request, and later for a job that is older than its wait.

use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::{Pending, Time, WaitOptions};
use crate::options::Resumed;
use crate::{JobOptions, Policy, Schedule};

fn at_once() -> Policy {
    Policy::new().first_poll_at_once(true)
}

fn list(delays: &[u64]) -> Schedule {
    Schedule::delays(delays.iter().map(|delay| secs(*delay))).unwrap()
}

/// Opens and starts a watch of one job of this age.
fn watch_older(world: &mut World, id: &str, policy: &Policy, since: u64) {
    let options = WaitOptions { since: secs(since), ..WaitOptions::new(Arc::new(policy.clone())) };
    world.watch_with([id], options);
}

/// Asserts that each delay between an answer and the next poll is at most the one given, and at least so many percent of it.
fn assert_delays(times: &[u64], delays: &[(u64, u64)]) {
    assert!(times.len() > delays.len(), "{times:?}");
    for (pair, &(delay, least)) in times.windows(2).zip(delays) {
        let waited = pair[1] - pair[0] - 50;
        assert!((delay * least / 100..=delay).contains(&waited), "{times:?}, {delay}");
    }
}

#[test]
fn rule_04_the_first_poll_comes_at_once_if_asked_and_the_schedule_follows_it() {
    let policy = at_once().schedule(list(&[1, 2, 50])).timeout(secs(80));
    let mut world = World::of_one(Script::never(), &policy);
    world.run();
    let times = world.poll_times("job");
    assert_eq!(times[0], 0);
    // The wide jitter stays with the first delay.
    assert_delays(&times, &[(1_000, 50), (2_000, 80), (50_000, 80)]);
}

#[test]
fn rule_04_a_first_poll_at_once_respects_minimum_interval_pause_and_request_in_flight() {
    let mut world = World::new(budget());
    world.script("job", Script::never().faults([Fault::Unavailable(secs(7))]));
    world.watch(["job"], &at_once());
    world.run_until(at(20));
    world.watch(["job"], &at_once());
    assert_eq!(world.poll_times("job"), [0], "the request in flight serves the second wait");
    world.run_until(at(3_000));
    world.watch(["job"], &at_once());
    world.run_until(at(7_200));
    assert_eq!(world.poll_times("job"), [0, 7_050], "the pause holds it back");
    world.watch(["job"], &at_once());
    world.run_until(at(7_700));
    assert_eq!(world.poll_times("job"), [0, 7_050, 7_600], "answer and minimum interval");
}

#[test]
fn rule_04_a_late_joiner_without_the_wish_polls_nothing_at_once() {
    let slow = Policy::new().schedule(Schedule::fixed(secs(60)).unwrap());
    let mut world = World::of_one(Script::never(), &slow);
    world.run_until(at(1_000));
    world.watch(["job"], &slow);
    world.run_until(at(20_000));
    assert!(world.poll_times("job").is_empty());
    world.watch(["job"], &slow.clone().first_poll_at_once(true));
    world.run_until(at(21_000));
    assert_eq!(world.poll_times("job"), [20_000]);
}

#[test]
fn rule_04_an_older_job_is_polled_as_its_age_asks() {
    let mut world = World::new(budget());
    world.script("job", Script::never());
    // At 10 s the default schedule asks for 1 s + 10 s / 2.
    watch_older(&mut world, "job", &Policy::new().timeout(secs(30)), 10);
    world.run();
    let times = world.poll_times("job");
    assert!((3_000..=6_000).contains(&times[0]), "{times:?}");
    let grown = 1_000 + (10_000 + times[0] + 50) / 2;
    assert_delays(&times, &[(grown, 80)]);
    assert_eq!(
        world.end(),
        (30_000, Some(crate::WaitErrorKind::TimedOut)),
        "counted from the start"
    );
}

#[test]
fn rule_04_an_older_job_skips_the_delays_of_a_list_that_it_has_passed() {
    let mut world = World::new(budget());
    world.script("job", Script::never());
    let policy = at_once().schedule(list(&[1, 2, 8, 30])).timeout(secs(120));
    watch_older(&mut world, "job", &policy, 4);
    world.run();
    let times = world.poll_times("job");
    assert_eq!(times[0], 0);
    assert_delays(&times, &[(8_000, 50), (30_000, 80), (30_000, 80)]);
}

#[test]
fn rule_04_an_age_beyond_all_measure_saturates() {
    let mut world = World::new(budget());
    world.script("job", Script::never());
    let policy = Policy::new().timeout(secs(60));
    let since = std::time::Duration::MAX;
    world.watch_with(["job"], WaitOptions { since, ..WaitOptions::new(Arc::new(policy)) });
    world.run();
    assert!(world.poll_times("job").len() >= 4, "{:?}", world.poll_times("job"));
}

#[test]
fn rule_03_the_youngest_wait_does_not_decide_for_one_on_a_younger_job() {
    let policy = Policy::new();
    let mut world = World::of_one(Script::never(), &policy);
    world.run_until(at(2_000));
    // The same job, which this wait takes for an hour old.
    watch_older(&mut world, "job", &policy, 3_600);
    world.run_until(at(30_000));
    let mut alone = World::of_one(Script::never(), &policy);
    alone.run_until(at(30_000));
    assert_eq!(world.poll_times("job"), alone.poll_times("job"));
}

#[test]
fn options_of_one_job_fall_back_on_those_of_its_watch() {
    let of_watch = Policy::new().timeout(secs(50));
    let own = Policy::new().timeout(secs(20));
    let rows = [
        (JobOptions::new(), 9, secs(9)),
        (JobOptions::new().timeout(secs(3)), 9, secs(3)),
        (JobOptions::from(own.clone()), 9, secs(20)),
        (JobOptions::from(Arc::new(own)).timeout(secs(30)), 9, secs(30)),
        (JobOptions::new().since(secs(10)), 0, secs(50)),
    ];
    for (options, timeout, expected) in rows {
        for is_started in [false, true] {
            let mut world = World::new(budget());
            let of_watch = WaitOptions {
                timeout: (timeout > 0).then(|| secs(timeout)),
                ..WaitOptions::new(Arc::new(of_watch.clone()))
            };
            let key = world.board.open(false, Pending::default(), of_watch);
            if is_started {
                world.board.start(Time::ZERO, key);
            }
            assert!(world.board.add(Time::ZERO, key, "job".into(), Some(options.clone())));
            assert_eq!(world.board.jobs(Time::ZERO, key, None, 1).0[0].time_left, expected);
            if !is_started {
                world.board.start(Time::ZERO, key);
                assert!(!world.board.add_pending(Time::ZERO, key, 1));
            }
            assert_eq!(world.board.jobs(Time::ZERO, key, None, 1).0[0].time_left, expected);
            let has_age = world.board.waits.counts()[3];
            assert_eq!(has_age, usize::from(options.since > secs(0)));
            assert!(world.board.remove(Time::ZERO, key, "job"));
            assert!(world.board.next_update(key).is_ready());
            assert_eq!(world.board.waits.counts()[3], 0, "nothing is left behind");
        }
    }
}

/// Makes a wait on one job each millisecond for five seconds, and drops it after another one. Returns the times of its polls.
fn poll_times_of_many_waits(script: Script) -> Vec<u64> {
    let mut world = World::new(budget());
    world.script("job", script);
    for n in 0..5_000 {
        world.run_until(at(n));
        let watch = world.watch(["job"], &at_once());
        world.run_until(at(n + 1));
        world.close(watch);
    }
    world.poll_times("job")
}

#[test]
fn rule_04_the_minimum_interval_lies_between_polls_of_an_id_whose_waits_come_and_go() {
    // Each wait is dropped with its request in flight; the interval counts from there.
    let times = poll_times_of_many_waits(Script::never());
    assert!(times.windows(2).all(|pair| (500..=501).contains(&(pair[1] - pair[0]))), "{times:?}");
    assert_eq!((times[0], times.len()), (0, 10));
    // Each poll ends its wait, and the board forgets the job.
    let times = poll_times_of_many_waits(Script { latency: ms(1), ..Script::succeeds(0) });
    assert!(times.windows(2).all(|pair| (500..=501).contains(&(pair[1] - pair[0]))), "{times:?}");
    assert_eq!((times[0], times.len()), (0, 10));
}

#[test]
fn rule_04_an_id_that_was_never_polled_before_it_was_forgotten_is_polled_at_once() {
    let mut world = World::new(budget());
    world.script("job", Script::never());
    let watch = world.watch(["job"], &Policy::new());
    world.run_until(at(100));
    world.close(watch);
    world.watch(["job"], &at_once());
    world.run_until(at(200));
    assert_eq!(world.poll_times("job"), [100]);
}

#[test]
fn what_is_left_of_a_resumed_wait_does_not_depend_on_how_often_it_is_asked_for() {
    let (elapsed, limit) = (secs(30), secs(100));
    let resumed =
        Resumed { at: Some(at(1_000)), times: None, elapsed, limit, polls: 3, status: None };
    let options = WaitOptions {
        timeout: Some(secs(70)),
        since: secs(40),
        resumed: Some(Arc::new(resumed)),
        ..WaitOptions::new(Arc::new(Policy::new()))
    };
    for times in [&[6_000][..], &[2_000, 6_000]] {
        let left = times.iter().fold(options.clone(), |left, &ms| left.at(at(ms)).into_owned());
        let elapsed = left.resumed.as_ref().map(|resumed| resumed.elapsed);
        assert_eq!((left.timeout(), left.since, elapsed), (secs(65), secs(45), Some(secs(35))));
    }
}

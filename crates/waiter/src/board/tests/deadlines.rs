//! Rule 5: a wait ends at or before its deadline, and makes the most of the time before it.

use super::script::*;
use super::world::*;
use crate::board::Time;
use crate::{Policy, Schedule, WaitErrorKind};

fn every(interval: u64, timeout: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(ms(interval)).unwrap()).timeout(ms(timeout))
}

fn timed_out(world: &World, at: u64) {
    assert_eq!(world.end(), (at, Some(WaitErrorKind::TimedOut)));
}

#[test]
fn rule_05_a_service_that_never_answers_does_not_hold_a_wait() {
    let mut world =
        World::of_one(Script::never().faults([Fault::Hang; 1_000]), &every(2_000, 65_000));
    world.run();
    timed_out(&world, 65_000);
    assert!(!world.board.has_requests(), "the last request is aborted at the deadline");
}

#[test]
fn rule_05_an_attempt_that_takes_too_long_is_a_transient_failure() {
    let mut world = World::of_one(Script::succeeds(0).faults([Fault::Hang]), &every(5_000, 60_000));
    world.run();
    let (end, kind) = world.end();
    let sent = world.poll_times("job")[0];
    assert_eq!(kind, None);
    assert!(
        (sent + 10_500..=sent + 11_050).contains(&end),
        "ten seconds, then a short rest: {end}"
    );
    assert_eq!(world.stats().timed_out, 1);
}

#[test]
fn rule_05_the_last_poll_comes_a_second_before_the_deadline_or_a_quarter() {
    for (timeout, last) in [(100_000, 99_000), (4_000, 3_000), (2_000, 1_500), (400, 300)] {
        let mut world = World::of_one(Script::never(), &every(300_000, timeout));
        world.run();
        assert_eq!(world.poll_times("job"), [last]);
        timed_out(&world, timeout);
    }
}

#[test]
fn rule_05_a_job_that_ends_just_before_the_last_poll_is_seen() {
    let mut world = World::of_one(Script::succeeds(98_999), &every(300_000, 100_000));
    world.run();
    assert_eq!(world.end(), (99_050, None));
}

#[test]
fn rule_05_an_answer_at_the_deadline_itself_counts() {
    let script = Script { latency: ms(1_000), ..Script::succeeds(98_999) };
    let mut world = World::of_one(script, &every(300_000, 100_000));
    world.run();
    assert_eq!(world.end(), (100_000, None));
}

#[test]
fn rule_05_no_last_poll_where_one_is_in_flight() {
    // Sent between 97.4 and 98.5 s, answered after the moment of the last poll.
    let script = Script { latency: ms(2_200), ..Script::never() };
    let mut world = World::of_one(
        script,
        &Policy::new().schedule(Schedule::fixed(secs(10)).unwrap()).timeout(secs(100)),
    );
    world.run_until(at(60_000));
    world.run();
    let times = world.poll_times("job");
    let last = times[times.len() - 1];
    assert!(last <= 99_000);
    let in_flight_then = times.iter().any(|&sent| (96_800..99_000).contains(&sent));
    assert_eq!(in_flight_then, last != 99_000, "{times:?}");
}

#[test]
fn rule_05_zero_ends_at_once_without_a_poll_and_huge_saturates() {
    let mut world = World::of_one(Script::never(), &every(1_000, 0));
    world.run();
    timed_out(&world, 0);
    assert_eq!(world.polls, []);

    let huge = Policy::new().timeout(std::time::Duration::MAX);
    let mut world = World::of_one(Script::succeeds(3_000), &huge);
    assert_eq!(world.job().deadline, Time::NEVER);
    world.run();
    assert_eq!(world.end().1, None);
}

#[test]
fn rule_05_a_pause_is_not_shortened_by_a_deadline() {
    let script = Script::succeeds(5_000).faults([Fault::Throttled(Some(secs(50)), None)]);
    let mut world = World::of_one(script, &every(2_000, 30_000));
    world.run();
    timed_out(&world, 30_000);
    assert_eq!(world.polls.len(), 1, "neither a last poll nor any other falls into the pause");
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    assert!(error.to_string().ends_with("no status seen); last error: throttled"), "{error}");
}

#[test]
fn rule_05_each_wait_on_a_job_keeps_its_own_deadline() {
    let mut world = World::of_one(Script::succeeds(70_000), &every(10_000, 100_000));
    let short = world.watch(["job"], &every(10_000, 30_000));
    world.run();
    assert_eq!(world.end().1, None);
    let other = &world.heard[&(short, "job".into())];
    assert_eq!(end_of(other), Some((30_000, Some(WaitErrorKind::TimedOut))));
}

#[test]
fn rule_05_a_short_deadline_that_joins_a_flight_is_kept() {
    let mut world = World::of_one(Script::never().faults([Fault::Hang; 9]), &every(2_000, 100_000));
    world.run_until(at(2_500));
    assert!(world.board.has_requests());
    let joined = world.watch(["job"], &every(2_000, 3_000));
    world.run_until(at(20_000));
    let other = &world.heard[&(joined, "job".into())];
    assert_eq!(end_of(other), Some((3_000, Some(WaitErrorKind::TimedOut))));
}

#[test]
fn rule_05_deadlines_hold_while_a_budget_keeps_a_job_from_its_poll() {
    let mut world = World::new(crate::board::Budget { max_in_flight: 1, ..budget() });
    world.script("hog", Script::never().faults([Fault::Hang; 100]));
    world.script("job", Script::never());
    world.watch(["hog"], &every(1_000, 100_000));
    world.run_until(at(1_500));
    let watch = world.watch(["job"], &every(1_000, 5_000));
    world.run_until(at(20_000));
    let heard = &world.heard[&(watch, "job".into())];
    assert_eq!(end_of(heard), Some((5_000, Some(WaitErrorKind::TimedOut))));
}

#[test]
fn rule_05_a_coarse_timer_makes_a_wait_end_early_and_never_late() {
    let mut world = World::new(crate::board::Budget { resolution: ms(1), ..budget() });
    world.script("job", Script::never());
    world.watch(["job"], &every(1_000, 10_000));
    world.run();
    timed_out(&world, 9_999);
}

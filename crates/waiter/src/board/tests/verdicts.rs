//! Verdicts of many waits on one job: rules 6, 7, 9 and 13.

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, Role};
use crate::policy::UnknownStatus;
use crate::{JobState, Policy, Schedule, WaitErrorKind};

fn every(interval: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(interval)).unwrap())
}

#[test]
fn rule_07_row_and_span_of_a_late_joiner_are_its_own() {
    let mut world = World::of_one(Script::never().faults([Fault::NotFound; 99]), &every(4));
    world.run_until(at(25_000));
    let late = world.watch(["job"], &every(4));
    world.run();
    let first = &world.heard[&(0, "job".into())];
    let late = &world.heard[&(late, "job".into())];
    let [first, late] = [first, late].map(|heard| end_of(heard).unwrap());
    assert_eq!((first.1, late.1), (Some(WaitErrorKind::Lost), Some(WaitErrorKind::Lost)));
    assert!((30_000..40_000).contains(&first.0), "{first:?}");
    assert!((30_000..40_000).contains(&late.0), "the grace counts from its own start: {late:?}");
}

#[test]
fn rule_07_a_late_joiner_needs_three_answers_of_its_own() {
    let quick = every(4).not_found_grace(secs(0));
    let patient = every(4).not_found_grace(secs(60));
    let mut world = World::of_one(Script::never().faults([Fault::NotFound; 99]), &patient);
    world.run_until(at(25_000));
    let polls = world.polls.len();
    let late = world.watch(["job"], &quick);
    world.run_until(at(50_000));
    let late = &world.heard[&(late, "job".into())];
    let report = late.end.clone().unwrap().1.unwrap_err();
    assert_eq!(report.kind(), WaitErrorKind::Lost);
    assert_eq!(report.report().polls, 3);
    assert!(world.polls.len() >= polls + 3);
}

#[test]
fn rule_06_limits_of_failures_are_each_waits_own_and_not_found_breaks_a_row() {
    use Fault::{NotFound, Transient};
    let two = every(4).failures_in_a_row(2);
    let faults = [Transient, NotFound, Transient, NotFound, Transient, Transient];
    let mut world = World::of_one(Script::never().faults(faults), &two);
    world.run_until(at(9_000));
    let late = world.watch(["job"], &every(4).failures_in_total(2));
    world.run_until(at(60_000));
    let polls = |watch| {
        let heard = &world.heard[&(watch, "job".into())];
        let error = heard.end.clone().unwrap().1.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::TooManyFailures);
        error.report().polls
    };
    assert_eq!(polls(0), 6);
    assert!((2..=4).contains(&polls(late)));
}

#[test]
fn rule_06_a_panic_counts_as_a_failure_of_the_source() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..6).map(|n| format!("job-{n}")).collect();
    world.watch(ids.iter().map(String::as_str), &every(1));
    let mut now = at(1_000);
    let mut windows = Vec::new();
    for n in 0..6 {
        world.board.handle_time(now);
        let Some(Action::Poll { request, .. }) = world.board.poll_action(now, Role::Leader) else {
            panic!("one is due at {now:?}")
        };
        let answer = if n == 0 {
            Answer::Told(Ok(JobState::running()))
        } else {
            Answer::Panicked("scripted".into())
        };
        world.board.handle_answer(now, request, &answer);
        windows.push(world.board.stats(now).window);
        now = now.after(ms(10));
    }
    assert_eq!(windows, [2, 2, 2, 2, 2, 1]);
}

#[test]
fn rule_09_another_phase_with_the_same_text_is_no_change() {
    let mut world = World::new(budget());
    world.watch(["job"], &every(1));
    let states = [
        JobState::running().with_status("Paused"),
        JobState::unknown("Paused"),
        JobState::running().with_status("Paused"),
        JobState::running().with_status("Queued"),
        JobState::unknown("Queued"),
        JobState::succeeded().with_status("Queued"),
    ];
    for state in states {
        world.now = world.board.next_wake().unwrap();
        world.board.handle_time(world.now);
        let Some(Action::Poll { request, .. }) = world.board.poll_action(world.now, Role::Leader)
        else {
            panic!("it is due")
        };
        world.board.handle_answer(world.now, request, &Answer::Told(Ok(state)));
        // The world itself checks that no status is followed by itself.
        world.drain(0);
    }
    let heard: Vec<_> = world.job().statuses.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(heard, ["Paused", "Queued"]);
    assert_eq!(world.end().1, None);
}

#[test]
fn rule_09_an_unknown_phase_with_a_known_text_can_still_end_a_wait() {
    let mut world = World::new(budget());
    world.watch(["job"], &every(1).unknown_status(UnknownStatus::Fail));
    for state in [JobState::running(), JobState::unknown("Running")] {
        world.now = world.board.next_wake().unwrap();
        world.board.handle_time(world.now);
        let Some(Action::Poll { request, .. }) = world.board.poll_action(world.now, Role::Leader)
        else {
            panic!("it is due")
        };
        world.board.handle_answer(world.now, request, &Answer::Told(Ok(state)));
    }
    world.drain(0);
    assert_eq!(world.end().1, Some(WaitErrorKind::UnknownStatus));
}

#[test]
fn rule_13_details_are_those_of_the_last_answer() {
    let mut world = World::new(budget());
    world.watch(["job"], &every(1));
    let time = std::time::SystemTime::UNIX_EPOCH + secs(7);
    let full = JobState::running().with_detail("step 1").with_begin(time).with_answered(time);
    let full = full.with_end(time);
    for state in [full, JobState::running()] {
        world.now = world.board.next_wake().unwrap();
        world.board.handle_time(world.now);
        let Some(Action::Poll { request, .. }) = world.board.poll_action(world.now, Role::Leader)
        else {
            panic!("it is due")
        };
        world.board.handle_answer(world.now, request, &Answer::Told(Ok(state.clone())));
        let key = world.key(0);
        let (views, _) = world.board.jobs(world.now, key, None, 1);
        assert_eq!(views[0].report.state, Some(state));
    }
}

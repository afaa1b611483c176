//! Verdicts of many waits on one job: rules 6, 7, 9 and 13.

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, Role};
use crate::policy::UnknownStatus;
use crate::{ErrorClass, JobState, Policy, Schedule, WaitErrorKind};

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
            Answer::Received(Ok(JobState::running()))
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
fn rule_06_unexpected_answers_end_a_wait_at_the_third_over_ten_seconds() {
    use Fault::{NotFound, Throttled, Transient, Unexpected, Unknown, Unreached};
    let odd = Unexpected(true);
    let pause = Throttled(Some(secs(20)), None);
    // How many polls it takes. After failures they are 1, 2 and 4 s apart, less the jitter.
    let rows: [(&[Fault], Option<u32>); 8] = [
        (&[odd; 9], Some(6)),
        (&[odd, odd, odd, odd], None),
        (&[odd, pause, odd, odd], Some(4)),
        (&[odd, pause, odd], None),
        (&[odd, Unreached, odd, Transient, Unreached, odd], Some(6)),
        (&[odd, pause, odd, NotFound, odd, odd], None),
        (&[odd, pause, odd, Unknown, odd, odd], None),
        (&[Unknown, Unexpected(false), pause, Unexpected(false), odd], Some(5)),
    ];
    for (faults, polls) in rows {
        let script = Script::succeeds(0).faults(faults.iter().copied());
        let mut world = World::of_one(script, &every(4));
        world.run();
        let outcome = world.job().end.clone().unwrap().1;
        let report = outcome.as_ref().unwrap_or_else(|error| error.report());
        let ended = outcome.is_err().then_some(report.polls);
        assert_eq!(ended, polls, "{faults:?}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), WaitErrorKind::Fatal);
            let class = error.cause().expect("the last answer").class();
            assert!(matches!(class, ErrorClass::Unexpected { .. }), "{class:?}");
            assert!(error.to_string().contains("unexpected answers in a row over"), "{error}");
        }
    }
}

#[test]
fn rule_06_an_answer_that_cannot_pass_is_fatal_unless_a_state_was_told_for_any_job() {
    let cannot_pass = Script::succeeds(0).faults([Fault::Unexpected(false)]);
    let mut world = World::of_one(cannot_pass.clone(), &every(4));
    world.run();
    assert_eq!(world.end().1, Some(WaitErrorKind::Fatal));
    assert_eq!((world.polls.len(), world.stats().fatal), (1, 1));

    let mut world = World::of_one(Script::succeeds(0), &every(4));
    world.run();
    assert_eq!(world.end().1, None);
    // The waiter remembers it when no job is left.
    assert_eq!(world.board.jobs.len(), 0);
    world.script("other", cannot_pass);
    let other = world.watch(["other"], &every(4));
    world.run();
    assert_eq!(end_of(&world.heard[&(other, "other".into())]).unwrap().1, None);
    assert_eq!((world.stats().transient, world.stats().fatal), (1, 0));
}

#[test]
fn rule_06_a_late_joiner_counts_unexpected_answers_for_itself() {
    let script = Script::never().faults([Fault::Unexpected(true); 99]);
    let mut world = World::of_one(script, &every(4));
    world.run_until(at(6_000));
    let late = world.watch(["job"], &every(4));
    world.run();
    let ends = [0, late].map(|watch| {
        let (_, outcome) = world.heard[&(watch, "job".into())].end.clone().unwrap();
        let error = outcome.unwrap_err();
        (error.kind(), error.report().elapsed >= secs(10))
    });
    assert_eq!(ends, [(WaitErrorKind::Fatal, true); 2]);
}

#[test]
fn rule_06_unreached_and_unexpected_answers_count_as_failures() {
    let fault = [Fault::Unreached, Fault::Unexpected(true)];
    for fault in fault {
        let script = Script::never().faults([fault; 9]);
        let mut world = World::of_one(script, &every(4).failures_in_a_row(2));
        world.run();
        assert_eq!(world.end().1, Some(WaitErrorKind::TooManyFailures), "{fault:?}");
        assert_eq!(world.stats().transient, 2);
    }
}

#[test]
fn rule_02_trouble_is_reported_when_it_changes_to_another_class() {
    use Fault::{Transient, Unexpected, Unreached};
    let odd = Unexpected(true);
    let faults = [Transient, Unreached, Unreached, odd, Unexpected(false), Transient];
    let script = Script::succeeds(0).faults([Fault::Unknown].into_iter().chain(faults));
    let mut world = World::of_one(script, &every(4));
    world.run();
    assert_eq!((world.end().1, world.job().troubles.len()), (None, 4));
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
        world.board.handle_answer(world.now, request, &Answer::Received(Ok(state)));
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
        world.board.handle_answer(world.now, request, &Answer::Received(Ok(state)));
    }
    world.drain(0);
    assert_eq!(world.end().1, Some(WaitErrorKind::UnknownStatus));
}

#[test]
fn rule_13_details_are_those_of_the_last_answer() {
    let mut world = World::new(budget());
    world.watch(["job"], &every(1));
    let time = std::time::SystemTime::UNIX_EPOCH + secs(7);
    let plain = JobState::running();
    let full = plain.clone().with_detail("step 1").with_begin(time).with_answered(time);
    let parts = [
        full.with_end(time),
        plain.clone().with_answered(time),
        plain.clone().with_begin(time),
        plain.clone().with_end(time),
        plain.clone().with_detail("step 2"),
    ];
    for state in parts.into_iter().flat_map(|part| [plain.clone(), part, plain.clone()]) {
        world.now = world.board.next_wake().unwrap();
        world.board.handle_time(world.now);
        let Some(Action::Poll { request, .. }) = world.board.poll_action(world.now, Role::Leader)
        else {
            panic!("it is due")
        };
        world.board.handle_answer(world.now, request, &Answer::Received(Ok(state.clone())));
        let key = world.key(0);
        let (views, _) = world.board.jobs(world.now, key, None, 1);
        assert_eq!(views[0].report.state, Some(state));
    }
}

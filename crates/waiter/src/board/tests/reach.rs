//! Rule 6 where the source was never reached, and rule 5 where a deadline says what the wait hung on.

use std::fmt;
use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, AttemptTimeouts, Budget, RequestId, Role, Time};
use crate::{
    ErrorClass, JobState, Policy, Quota, Schedule, SourceError, WaitError, WaitErrorKind, WaitingOn,
};

fn every(interval: u64, timeout: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(ms(interval)).unwrap()).timeout(ms(timeout))
}

fn impatient() -> Policy {
    every(5_000, 600_000).give_up_unreached(secs(60))
}

const UNREACHABLE: Option<WaitErrorKind> = Some(WaitErrorKind::Unreachable);

fn error(world: &World, watch: usize, id: &str) -> WaitError {
    let (_, outcome) = world.heard[&(watch, id.into())].end.clone().expect("the wait has ended");
    outcome.unwrap_err()
}

#[test]
fn rule_06_a_source_that_is_never_reached_is_given_up_at_the_limit() {
    let script = Script::never().faults([Fault::Unreached; 999]);
    let mut world = World::of_one(script.clone(), &impatient());
    world.run();
    assert_eq!(world.end(), (60_000, UNREACHABLE));
    let text = error(&world, 0, "job").to_string();
    assert!(
        text.starts_with("job job not reached: scripted; given up after 1m 00s (limit 1m 00s, "),
        "{text}"
    );
    assert!(text.ends_with(" polls, no status seen)"), "{text}");

    let mut world = World::of_one(script.clone(), &every(5_000, 100_000));
    world.run();
    assert_eq!(world.end().1, Some(WaitErrorKind::TimedOut), "off by default");

    let mut world = World::of_one(script, &impatient().timeout(secs(60)));
    world.run();
    assert_eq!(world.end(), (60_000, Some(WaitErrorKind::TimedOut)));
}

#[test]
fn rule_06_attempts_that_time_out_do_not_reach_a_source() {
    let script = Script::never().faults([Fault::Hang; 999]);
    let mut world = World::of_one(script, &impatient());
    world.run();
    assert_eq!(world.end(), (60_000, UNREACHABLE));
    assert_eq!(error(&world, 0, "job").cause().unwrap().class(), ErrorClass::Unreached);
}

#[test]
fn rule_06_any_answer_reaches_a_source_for_good() {
    let odd = [
        Fault::Transient,
        Fault::Throttled(Some(secs(1)), None),
        Fault::NotFound,
        Fault::Unexpected(true),
        Fault::Unknown,
    ];
    for first in odd {
        let faults = [first].into_iter().chain([Fault::Unreached; 999]);
        let mut world = World::of_one(Script::never().faults(faults), &impatient());
        // It stays reached for waits that begin later.
        world.run_until(at(50_000));
        world.script("other", Script::never().faults([Fault::Unreached; 999]));
        let other = world.watch(["other"], &impatient());
        world.run();
        assert_eq!(world.end(), (600_000, Some(WaitErrorKind::TimedOut)), "{first:?}");
        assert_eq!(error(&world, other, "other").kind(), WaitErrorKind::TimedOut);
    }
}

#[test]
fn rule_06_a_limit_that_passes_before_any_attempt_failed_ends_the_wait_with_the_first_that_does() {
    let script = Script::never().faults([Fault::Hang; 999]);
    let mut world = World::of_one(script, &impatient().give_up_unreached(secs(3)));
    world.script("other", Script::never());
    let other = world.watch(["other"], &impatient().give_up_unreached(secs(2)));
    world.run();
    let (sent, _) = world.polls[0];
    let expired = (sent.as_nanos() / 1_000_000) + 10_000;
    assert_eq!(world.end(), (expired, UNREACHABLE));
    // One request at a time was sent, so this job had none; what failed was the source.
    let error = error(&world, other, "other");
    assert_eq!((error.kind(), error.report().polls), (WaitErrorKind::Unreachable, 0));
    assert_eq!(error.cause().map(SourceError::class), Some(ErrorClass::Unreached));

    let mut world = World::of_one(
        Script::never().faults([Fault::Unreached; 9]),
        &impatient().give_up_unreached(secs(0)),
    );
    world.run();
    assert_eq!((world.polls.len(), world.end().1), (1, UNREACHABLE));
}

#[test]
fn rule_06_the_limit_is_each_waits_own() {
    let mut world =
        World::of_one(Script::never().faults([Fault::Unreached; 999]), &every(5_000, 300_000));
    world.run_until(at(100_000));
    let late = world.watch(["job"], &impatient());
    world.run_until(at(159_900));
    assert!(world.heard[&(late, "job".into())].end.is_none());
    world.run();
    let late = &world.heard[&(late, "job".into())];
    assert_eq!(end_of(late), Some((60_000, UNREACHABLE)));
    assert_eq!(world.end().1, Some(WaitErrorKind::TimedOut));
}

#[test]
fn rule_06_a_wait_of_many_stages_comes_to_each() {
    // The last poll comes at 59.2 s, the limit after it.
    let script = Script::never().faults([Fault::Unreached; 999]);
    let mut world = World::of_one(script, &every(300_000, 60_200).give_up_unreached(secs(60)));
    world.run();
    assert_eq!(world.poll_times("job"), [59_200]);
    assert_eq!(world.end(), (60_000, UNREACHABLE));
}

fn next_poll(world: &mut World, now: Time) -> RequestId {
    world.board.handle_time(now);
    loop {
        match world.board.poll_action(now, Role::Leader).expect("a poll is due") {
            Action::Poll { request, .. } => return request,
            Action::Abort(_) | Action::Wake(_) | Action::Drop(_) => {}
        }
    }
}

fn unreached() -> Answer {
    Answer::Received(Err(SourceError::new(ErrorClass::Unreached, "scripted")))
}

#[test]
fn rule_06_time_asleep_gives_nothing_up_before_an_attempt_that_was_made_since() {
    // An attempt failed, another is in flight, and the machine sleeps past the limit or to a moment before it.
    for wakes in [at(3_600_000), at(50_000)] {
        let mut world = World::new(budget());
        world.watch(["job"], &every(1_000, 86_400_000).give_up_unreached(secs(60)));
        let request = next_poll(&mut world, at(1_000));
        world.board.handle_answer(at(1_100), request, &unreached());
        let request = next_poll(&mut world, at(3_000));
        world.now = wakes;
        // The answer from before the sleep comes first.
        world.board.handle_answer(world.now, request, &unreached());
        world.board.handle_time(world.now);
        world.now = world.now.max(at(61_000));
        world.board.handle_time(world.now);
        world.drain(0);
        assert!(world.job().end.is_none());
        let now = world.now.after(secs(20));
        let request = next_poll(&mut world, now);
        world.now = now.after(ms(10));
        world.board.handle_answer(world.now, request, &unreached());
        world.drain(0);
        assert_eq!(world.end().1, UNREACHABLE);
    }
}

/// An error with a destructor.
#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "dropped with the error")] Arc<()>);

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("held")
    }
}

impl std::error::Error for Held {}

#[test]
fn rule_12_the_last_failure_of_an_unreached_source_is_dropped_by_the_driver() {
    let [fails, answers, sleeps] = [0, 1, 2];
    for replaced_by in [fails, answers, sleeps] {
        let mut world = World::new(budget());
        let first = world.watch(["first"], &every(1_000, 600_000));
        let request = next_poll(&mut world, at(1_000));
        let held = Arc::new(());
        let alive = Arc::downgrade(&held);
        let error = SourceError::new(ErrorClass::Unreached, Held(held));
        world.board.handle_answer(at(1_100), request, &Answer::Received(Err(error)));
        world.now = at(1_100);
        world.close(first);
        world.watch(["second"], &every(1_000, 600_000));
        let request = next_poll(&mut world, at(3_000));
        assert!(alive.upgrade().is_some(), "kept for waits that give up");
        if replaced_by == sleeps {
            world.board.handle_time(at(3_600_000));
        } else if replaced_by == answers {
            let answer = Answer::Received(Ok(JobState::running()));
            world.board.handle_answer(at(3_100), request, &answer);
        } else {
            world.board.handle_answer(at(3_100), request, &unreached());
        }
        assert!(alive.upgrade().is_some(), "not within the board, under the lock");
        drop(world.board.take_deferred());
        assert!(alive.upgrade().is_none());
    }
}

fn waits_on(world: &World, watch: usize, id: &str, words: &str) -> Option<WaitingOn> {
    let error = error(world, watch, id);
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    assert!(error.to_string().contains(words), "{error}");
    error.waiting_on()
}

#[test]
fn rule_05_a_deadline_names_the_poll_that_is_not_answered() {
    let mut world = World::of_one(Script::never().faults([Fault::Hang; 9]), &every(1_000, 5_000));
    world.run();
    let (sent, _) = world.polls[0];
    let lasted = at(5_000).since(sent);
    let words =
        format!("(deadline 5s, timed out, 1 poll, unanswered for {lasted:.1?}, no status seen)");
    assert_eq!(waits_on(&world, 0, "job", &words), Some(WaitingOn::Answer(lasted)));

    let script = Script { faults: vec![None, Some(Fault::Hang)], ..Script::never() };
    let mut world = World::of_one(script, &every(3_000, 10_000));
    world.run();
    let (sent, _) = world.polls[1];
    let lasted = at(10_000).since(sent);
    let words = format!("2 polls, the last one unanswered for {lasted:.1?}, last status Running");
    assert_eq!(waits_on(&world, 0, "job", &words), Some(WaitingOn::Answer(lasted)));
}

#[test]
fn rule_05_a_deadline_names_the_throttling_that_holds_a_job_back() {
    let refused = Fault::Throttled(None, None);
    let mut world = World::new(budget());
    let ids = ["one", "two", "three"];
    for id in ids {
        world.script(id, Script::never().faults([refused; 99]));
    }
    world.watch(ids, &every(1_000, 30_000));
    world.run();
    assert!(world.polls.len() > 1);
    for id in ids {
        let words = "by the service's throttling, no status seen)";
        let waiting_on = waits_on(&world, 0, id, words);
        assert!(
            matches!(waiting_on, Some(WaitingOn::Throttling(lasted)) if lasted > secs(1)),
            "{waiting_on:?}"
        );
    }
}

#[test]
fn rule_05_a_deadline_names_the_rate_or_the_limit_that_holds_a_job_back() {
    let quota = Some(Quota::new(1, secs(60)).unwrap());
    let rows = [
        (Budget { quota, ..budget() }, None, "held back for 29.", "by the set rate, no status"),
        (
            Budget {
                attempt_timeouts: AttemptTimeouts::new(secs(100), |timeout| timeout),
                ..budget()
            },
            Some(Fault::Hang),
            "held back for 2",
            "by the limit of requests in flight, no status",
        ),
    ];
    for (budget, fault, held, by) in rows {
        let mut world = World::new(budget);
        world.script("hog", Script { faults: vec![fault; 99], ..Script::never() });
        world.script("job", Script::never());
        world.watch(["hog"], &every(1_000, 100_000));
        world.run_until(at(1_500));
        let watch = world.watch(["job"], &every(1_000, 30_000));
        world.run_until(at(40_000));
        let waiting_on = waits_on(&world, watch, "job", by);
        assert!(error(&world, watch, "job").to_string().contains(held));
        match fault {
            None => assert!(matches!(waiting_on, Some(WaitingOn::Rate(_)))),
            Some(_) => assert!(matches!(waiting_on, Some(WaitingOn::InFlight(_)))),
        }
    }
}

#[test]
fn rule_05_a_deadline_names_what_would_have_held_a_job_back_for_longest() {
    for (pause, by) in [(35, "by the set rate"), (75, "by the service's throttling")] {
        let quota = Some(Quota::new(1, secs(60)).unwrap());
        let mut world = World::new(Budget { quota, ..budget() });
        let refused = Fault::Throttled(Some(secs(pause)), None);
        world.script("refused", Script::never().faults([refused]));
        world.script("job", Script::never());
        world.watch(["refused"], &every(1_000, 100_000));
        world.run_until(at(1_500));
        let watch = world.watch(["job"], &every(1_000, 30_000));
        world.run_until(at(40_000));
        waits_on(&world, watch, "job", by);
    }
}

#[test]
fn rule_05_a_deadline_of_a_job_that_runs_names_nothing_else() {
    let mut world = World::of_one(Script::never(), &every(1_000, 10_000));
    world.run();
    assert_eq!(waits_on(&world, 0, "job", "polls, last status Running"), None);
}

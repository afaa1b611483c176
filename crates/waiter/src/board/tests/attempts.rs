//! Rule 5: how long attempts may take, and how that changes.

use std::time::Duration;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, AttemptTimeouts, Budget, RequestId, Role, Time};
use crate::{ErrorClass, Policy, Schedule, SourceError};

fn every(interval: u64, timeout: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(ms(interval)).unwrap()).timeout(ms(timeout))
}

#[test]
fn rule_05_an_attempt_has_twice_the_time_after_one_that_timed_out() {
    // Each answer takes 11 s, and the first attempt is given up after 10 s.
    let script = Script { latency: secs(11), ..Script::succeeds(0) };
    let mut world = World::of_one(script, &Policy::new().timeout(secs(60)));
    world.run();
    let (ended, kind) = world.end();
    assert_eq!((kind, world.polls.len()), (None, 2));
    assert!(ended < 24_000, "{ended}");
}

/// The times from one poll to the next of which the first one timed out.
fn timed_out_gaps(times: &[u64]) -> Vec<u64> {
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.map(|gap| gap / 1_000).collect()
}

#[test]
fn rule_05_attempt_timeouts_grow_to_a_minute_at_most() {
    let script = Script::never().faults([Fault::Hang; 99]);
    let mut world = World::of_one(script, &every(500, 600_000));
    world.run_until(at(400_000));
    assert_eq!(timed_out_gaps(&world.poll_times("job"))[..7], [10, 20, 40, 60, 60, 60, 60]);
}

#[test]
fn rule_05_an_answer_that_took_long_leaves_time_for_the_next_one() {
    let script = Script { latency: secs(11), ..Script::never() };
    let mut world = World::of_one(script, &every(1_000, 300_000));
    world.run_until(at(200_000));
    assert_eq!(world.stats().timed_out, 1, "none but the first attempt is given up");
    assert!(world.stats().answers > 10);

    // Once the service is quick again, one answer halves the time, and another one does so again.
    world.script("job", Script { latency: ms(50), ..Script::never() });
    world.run_until(at(220_000));
    assert_eq!(world.board.attempt_step(world.board.jobs.find("job").unwrap()), Default::default());
}

#[test]
fn rule_05_attempts_that_time_out_together_lengthen_the_next_ones_once() {
    let ids: Vec<String> = (0..32).map(|n| format!("job-{n}")).collect();
    let mut world = World::new(budget());
    for id in &ids {
        let faults = [None; 4].into_iter().chain([Some(Fault::Hang); 9]);
        world.script(id, Script { faults: faults.collect(), ..Script::never() });
    }
    world.watch(ids.iter().map(String::as_str), &every(1_000, 300_000));
    while world.stats().timed_out == 0 {
        world.run_until(world.now.after(secs(1)));
    }
    assert!(world.max_flying > 20, "{}", world.max_flying);
    // By then all have timed out, and one request at a time probes the service.
    world.run_until(world.now.after(secs(5)));
    assert_eq!(world.stats().timed_out, 32);
    let (sent, _) = *world.polls.last().expect("polls were sent");
    world.run_until(sent.after(ms(19_999)));
    assert_eq!(world.stats().timed_out, 32);
    world.run_until(sent.after(secs(20)));
    assert_eq!(world.stats().timed_out, 33, "the next one had 20 s");
}

#[test]
fn rule_05_a_slow_job_among_quick_ones_has_more_time_of_its_own() {
    let mut world = World::new(budget());
    world.script("slow", Script { latency: secs(15), ..Script::succeeds(100_000) });
    world.script("quick", Script::never());
    world.watch(["slow", "quick"], &every(1_000, 200_000));
    world.run_until(at(199_000));
    let heard = &world.heard[&(0, "slow".into())];
    assert_eq!(end_of(heard).map(|(_, kind)| kind), Some(None));
    assert_eq!(world.stats().timed_out, 1, "quick answers of others take no time from it");
}

#[test]
fn rule_05_a_source_that_gives_its_requests_up_itself_is_given_more_time_too() {
    for (fault, took, longer) in [
        (ErrorClass::TRANSIENT, 10_000, true),
        (ErrorClass::Unreached, 10_000, true),
        (ErrorClass::TRANSIENT, 9_999, false),
        (ErrorClass::THROTTLED, 10_000, false),
    ] {
        let attempt_timeouts = AttemptTimeouts::new(secs(10), |request| request * 3);
        let mut world = World::new(Budget { attempt_timeouts, ..budget() });
        world.watch(["job"], &every(1_000, 300_000));
        world.board.handle_time(at(1_000));
        let (request, timeout) = poll_with_timeout(&mut world, at(1_000));
        assert_eq!(timeout, secs(10));
        let answer = Answer::Received(Err(SourceError::new(fault, "scripted")));
        world.board.handle_answer(at(1_000 + took), request, &answer);
        world.board.handle_time(at(60_000));
        let (request, timeout) = poll_with_timeout(&mut world, at(60_000));
        assert_eq!(timeout, secs(if longer { 20 } else { 10 }), "{fault:?} after {took} ms");
        // All that lies between its requests may take longer.
        let expiry = world.board.requests.get(request).expect("it is in flight").expires;
        assert_eq!(expiry, at(60_000).after(timeout * 3), "{request:?}");
    }
}

fn poll_with_timeout(world: &mut World, now: Time) -> (RequestId, Duration) {
    loop {
        match world.board.poll_action(now, Role::Leader).expect("a poll is due") {
            Action::Poll { request, timeout, .. } => return (request, timeout),
            Action::Abort(_) | Action::Wake(_) | Action::Drop(_) => {}
        }
    }
}

#[test]
fn rule_08_an_attempt_that_takes_long_keeps_no_other_job_from_a_probe() {
    for max_in_flight in [32, 2] {
        let hung: Vec<String> = (0..5).map(|n| format!("hung-{n}")).collect();
        let mut world = World::new(Budget { max_in_flight, ..budget() });
        for id in &hung {
            world.script(id, Script::never().faults([Fault::Hang; 99]));
        }
        world.watch(hung.iter().map(String::as_str), &every(1_000, 300_000));
        world.run_until(at(1_000));
        world.script("quick", Script::never());
        world.watch(["quick"], &every(1_000, 300_000));
        world.run_until(at(200_000));
        let first = world.poll_times("quick")[0];
        // One request at a time may be in flight, and the next one is sent ten seconds later, however long that one has.
        assert!(first < if max_in_flight > 2 { 52_000 } else { 100_000 }, "{first}");
    }
}

#[test]
fn rule_06_a_request_cut_short_by_a_deadline_ends_no_wait_that_came_later() {
    use crate::WaitErrorKind::{TimedOut, TooManyFailures, Unreachable};

    let (transient, unreached) = (ErrorClass::TRANSIENT, ErrorClass::Unreached);
    for (first, second, end) in [
        (transient, transient, TooManyFailures),
        (unreached, unreached, Unreachable),
        // The answer that came too late for its wait has reached the source.
        (transient, unreached, TooManyFailures),
    ] {
        let error = |class| Answer::Received(Err(SourceError::new(class, "scripted")));
        let strict = every(1_000, 60_000).failures_in_a_row(1).give_up_unreached(Duration::ZERO);
        let mut world = World::new(budget());
        world.watch(["job"], &every(1_000, 2_000));
        let sent = world.board.next_wake().unwrap();
        world.board.handle_time(sent);
        let (request, timeout) = poll_with_timeout(&mut world, sent);
        assert_eq!(timeout, at(2_000).since(sent));
        world.now = at(1_900);
        world.watch(["job"], &strict);
        world.board.handle_time(at(1_950));
        world.now = at(2_000);
        world.board.handle_answer(at(2_000), request, &error(first));
        (0..2).for_each(|watch| world.drain_late(watch));
        let ended = |world: &World, watch| end_of(&world.heard[&(watch, "job".into())]);
        assert_eq!((ended(&world, 0), ended(&world, 1)), (Some((2_000, Some(TimedOut))), None));
        // The poll is still due, and its failure counts.
        assert_eq!(world.board.next_wake(), Some(at(2_500)));
        world.board.handle_time(at(2_500));
        let (request, timeout) = poll_with_timeout(&mut world, at(2_500));
        assert_eq!(timeout, secs(10));
        world.now = at(2_600);
        world.board.handle_answer(at(2_600), request, &error(second));
        world.drain_late(1);
        assert_eq!(ended(&world, 1), Some((700, Some(end))));
    }
}

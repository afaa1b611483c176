//! Rule 5: a wait ends at or before its deadline, and makes the most of the time before it.

use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, AttemptTimeouts, Budget, Pending, Role, Time, WaitOptions};
use crate::{JobId, JobOptions, JobState, Policy, Quota, Schedule, WaitErrorKind};

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
    assert!(
        error.to_string().ends_with("no status seen); last error: throttled: scripted"),
        "{error}"
    );
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
    let mut world = World::new(Budget { max_in_flight: 1, ..budget() });
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
    let mut world = World::new(Budget { resolution: ms(1), ..budget() });
    world.script("job", Script::never());
    world.watch(["job"], &every(1_000, 10_000));
    world.run();
    timed_out(&world, 9_999);
}

#[test]
fn rule_05_a_request_taken_over_has_a_timer() {
    // Three hundred jobs whose requests hang; each wait times out, and the caller waits again at once.
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..300).map(|n| format!("job-{n}")).collect();
    let policy = every(1_000, 2_000);
    for id in &ids {
        world.script(id, Script::never().faults([Fault::Hang; 1_000]));
        world.watch([id.as_str()], &policy);
    }
    let mut waiting: Vec<usize> = (0..300).collect();
    for round in 1..=20 {
        world.run_until(at(round * 2_000));
        for (number, id) in waiting.iter_mut().zip(&ids) {
            let heard = &world.heard[&(*number, id.as_str().into())];
            assert_eq!(end_of(heard), Some((2_000, Some(WaitErrorKind::TimedOut))), "{id}");
            world.close(*number);
            *number = world.watch([id.as_str()], &policy);
        }
    }
    assert!(world.stats().in_flight <= 32);
}

#[test]
fn rule_05_short_waits_take_at_most_every_other_poll() {
    // One poll a second; each second a dozen waits come that poll once, as their last poll.
    let narrow = Budget { quota: Some(Quota::new(1, secs(1)).unwrap()), ..budget() };
    let mut world = World::new(narrow);
    let long: Vec<String> = (0..5).map(|n| format!("long-{n}")).collect();
    for id in &long {
        world.script(id, Script::never());
    }
    world.watch(long.iter().map(String::as_str), &every(1_000, 10_000_000));
    for second in 0..120 {
        world.run_until(at(second * 1_000));
        for n in 0..12 {
            let id = format!("short-{second}-{n}");
            world.script(&id, Script::never());
            world.watch([id.as_str()], &every(600_000, 4_000));
        }
    }
    let late = world.polls.iter().filter(|(time, _)| *time >= at(20_000));
    let is_long: Vec<bool> = late.map(|(_, id)| id.as_str().starts_with("long")).collect();
    assert!(is_long.len() > 90, "{}", is_long.len());
    assert!(is_long.windows(2).all(|pair| pair[0] || pair[1]), "two last polls in a row");
    let count = is_long.iter().filter(|long| **long).count();
    assert!(count * 3 > is_long.len(), "{count} of {}: and they are first of two", is_long.len());
    assert!(count * 3 < is_long.len() * 2, "{count} of {}: last polls go first", is_long.len());
    for id in &long {
        let times = world.poll_times(id);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 15_000), "{id}: {times:?}");
    }
}

#[test]
fn rule_05_a_job_that_one_of_its_waits_leaves_keeps_its_turn_between_two_last_polls() {
    let mut world = World::new(Budget { max_in_flight: 1, ..budget() });
    world.watch(["short-1", "short-2"], &every(600_000, 4_000));
    world.watch(["long"], &every(3_000, 100_000));
    let leaving = world.watch(["long"], &every(3_000, 100_000));
    let now = at(3_000);
    world.now = now;
    world.board.handle_time(now);
    let polled = |world: &mut World| loop {
        match world.board.poll_action(now, Role::Leader).expect("three polls are due") {
            Action::Poll { request, id, .. } => break (request, id.to_string()),
            Action::Abort(_) | Action::Wake(_) | Action::Drop(_) => {}
        }
    };
    let (request, first) = polled(&mut world);
    assert!(first.starts_with("short"), "the last poll of {first} overtakes");
    world.close(leaving);
    world.board.handle_answer(now, request, &Answer::Received(Ok(JobState::running())));
    let (_, second) = polled(&mut world);
    assert_eq!(second, "long");
}

/// A driver that has sent the first poll of a job and is then suspended, until `now`.
fn suspended(timeout: u64, now: u64) -> (World, crate::board::RequestId) {
    let mut world = World::new(budget());
    world.watch(["job"], &every(1_000, timeout));
    let sent = world.board.next_wake().unwrap();
    world.board.handle_time(sent);
    let request = poll(&mut world, sent).expect("it is due");
    world.now = at(now);
    (world, request)
}

fn poll(world: &mut World, now: Time) -> Option<crate::board::RequestId> {
    loop {
        match world.board.poll_action(now, Role::Leader)? {
            Action::Poll { request, .. } => return Some(request),
            Action::Abort(_) | Action::Wake(_) | Action::Drop(_) => {}
        }
    }
}

fn told(world: &mut World) -> Option<(u64, Option<WaitErrorKind>)> {
    world.drain_late(0);
    end_of(world.job())
}

#[test]
fn rule_05_after_a_jump_one_last_poll_is_made_and_what_it_says_counts() {
    for (state, kind) in [
        (JobState::succeeded(), None),
        (JobState::failed(), Some(WaitErrorKind::Failed)),
        (JobState::running(), Some(WaitErrorKind::TimedOut)),
    ] {
        let (mut world, _) = suspended(60_000, 3_600_000);
        let now = world.now;
        world.board.handle_time(now);
        assert_eq!(told(&mut world), None);
        let request = poll(&mut world, now).expect("one last poll");
        assert_eq!(poll(&mut world, now), None);
        world.now = at(3_601_900);
        world.board.handle_answer(world.now, request, &Answer::Received(Ok(state)));
        assert_eq!(told(&mut world), Some((3_601_900, kind)));
        assert!(world.board.is_idle());
    }
}

#[test]
fn rule_05_a_last_look_takes_two_seconds_or_an_attempt_at_most() {
    for (attempt, most, is_held_back) in
        [(10_000, 2_000, false), (700, 700, false), (10_000, 2_000, true), (700, 700, true)]
    {
        let mut world = World::new(Budget {
            attempt_timeouts: AttemptTimeouts::new(ms(attempt), |timeout| timeout),
            ..budget()
        });
        world.watch(["job"], &every(1_000, 60_000));
        world.board.handle_time(at(3_600_000));
        world.now = at(3_600_000);
        assert!(is_held_back || poll(&mut world, at(3_600_000)).is_some());
        world.board.handle_time(at(3_600_000 + most - 1));
        assert_eq!(told(&mut world), None);
        world.now = at(3_600_000 + most);
        world.board.handle_time(world.now);
        assert_eq!(told(&mut world), Some((3_600_000 + most, Some(WaitErrorKind::TimedOut))));
    }
}

#[test]
fn rule_05_a_driver_that_is_up_to_two_seconds_late_has_not_jumped() {
    for (late, is_jump) in [(2_000, false), (2_001, true)] {
        let (mut world, _) = suspended(5_000, 0);
        // The last poll at 4 s finds a request in flight; what is left is the deadline.
        world.board.handle_time(at(4_000));
        world.now = at(5_000 + late);
        world.board.handle_time(world.now);
        assert_eq!(told(&mut world).is_none(), is_jump, "{late} ms late");
    }
}

#[test]
fn rule_05_an_answer_after_the_deadline_counts_after_a_jump_only() {
    for (now, kind) in [(5_000, None), (5_001, Some(WaitErrorKind::TimedOut)), (7_001, None)] {
        let (mut world, request) = suspended(5_000, 0);
        world.board.handle_time(at(4_000));
        world.now = at(now);
        world.board.handle_answer(world.now, request, &Answer::Received(Ok(JobState::succeeded())));
        assert_eq!(told(&mut world), Some((now, kind)));
    }
}

#[test]
fn rule_05_an_answer_from_before_a_jump_is_not_the_last_look() {
    let (mut world, request) = suspended(5_000, 8_000);
    let now = world.now;
    world.board.handle_answer(now, request, &Answer::Received(Ok(JobState::running())));
    world.board.handle_time(now);
    assert_eq!((told(&mut world), poll(&mut world, now)), (None, None));
    // As soon as the minimum interval allows.
    assert_eq!(world.board.next_wake(), Some(at(8_500)));
    world.board.handle_time(at(8_500));
    assert!(poll(&mut world, at(8_500)).is_some());
}

#[test]
fn rule_05_a_request_lost_in_a_jump_says_nothing_of_the_service() {
    let rare = Policy::new()
        .schedule(Schedule::delays([ms(1_000), secs(3_600)]).unwrap())
        .failures_in_a_row(1);
    let mut world = World::new(budget());
    world.watch(["job"], &rare.timeout(secs(86_400)));
    world.board.handle_time(at(1_000));
    assert!(poll(&mut world, at(1_000)).is_some());
    let now = at(1_000_000);
    world.now = now;
    world.board.handle_time(now);
    assert_eq!(told(&mut world), None, "no failure");
    assert!(poll(&mut world, now).is_some(), "the poll is still due");
    assert_eq!(world.board.stats(now).timed_out, 0);
}

#[test]
fn rule_13_a_request_lost_in_a_jump_does_not_make_a_status_younger() {
    let mut world = World::new(budget());
    world.watch(["job"], &every(20_000, 100_000));
    let mut now = world.board.next_wake().unwrap();
    world.board.handle_time(now);
    let request = poll(&mut world, now).unwrap();
    world.board.handle_answer(now, request, &Answer::Received(Ok(JobState::running())));
    let answered = now;
    now = world.board.next_wake().unwrap();
    world.board.handle_time(now);
    assert!(poll(&mut world, now).is_some());
    now = at(90_000);
    world.board.handle_time(now);
    world.now = now;
    assert!(world.remove(0, "job"));
    world.drain(0);
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    assert_eq!(error.last_seen(), Some(now.since(answered)));
}

#[test]
fn rule_05_a_revoked_request_is_due_again_at_once() {
    let mut world = World::new(budget());
    let rare = Schedule::delays([ms(1_000), secs(3_600)]).unwrap();
    world.watch(["job"], &Policy::new().schedule(rare).timeout(secs(86_400)));
    world.board.handle_time(at(1_000));
    let request = poll(&mut world, at(1_000)).expect("it is due");
    world.board.forget_requests();
    let again = poll(&mut world, at(1_000)).expect("it still is");
    assert_ne!(request, again);
    assert_eq!(world.board.stats(at(1_000)).in_flight, 1);
    world.board.handle_answer(at(1_100), request, &Answer::Received(Ok(JobState::succeeded())));
    assert!(!world.board.is_idle(), "an answer to a revoked request is ignored");
}

#[test]
fn rule_05_a_job_that_is_added_long_after_its_watch_started_is_no_jump() {
    let mut world = World::new(budget());
    world.watch(["other"], &every(600_000, 12_000));
    let options = WaitOptions::new(Arc::new(every(1_000, 11_000)));
    let slow = world.board.open(false, [JobId::from("job")].into_iter().collect(), options);
    world.board.start(at(0), slow);
    world.board.handle_time(at(10_900));
    // The time of its last poll was 0.9 s ago, so the driver is going to be 2.4 s late for that.
    assert!(!world.board.add_pending(at(10_900), slow, 1));
    world.now = at(12_400);
    world.board.handle_time(world.now);
    world.drain_late(0);
    let other = &world.heard[&(0, "other".into())];
    assert_eq!(end_of(other), Some((12_400, Some(WaitErrorKind::TimedOut))));
}

#[test]
fn rule_05_an_explicit_timeout_wins_over_that_of_a_policy() {
    let options = WaitOptions::new(Arc::new(every(1_000, 60_000)));
    let options = WaitOptions { timeout: Some(secs(5)), ..options };
    let mut world = World::new(budget());
    let key = world.board.open(false, Pending::default(), options);
    world.board.start(at(0), key);
    world.board.set_options(key, |_| panic!("the options of a started watch are fixed"));
    assert!(world.board.add(at(0), key, "job".into(), None));
    assert_eq!(world.board.jobs(at(0), key, None, 1).0[0].time_left, secs(5));
    let own = JobOptions::from(every(1_000, 7_000));
    assert!(world.board.add(at(0), key, "own".into(), Some(own)));
    assert_eq!(world.board.jobs(at(0), key, None, 2).0[1].time_left, secs(7));
    let waiting =
        world.board.open(false, Pending::default(), WaitOptions::new(Arc::new(Policy::new())));
    world.board.set_options(waiting, |options| options.timeout = Some(secs(3)));
    world.board.set_options(waiting, |options| options.policy = Arc::new(every(1_000, 9_000)));
    world.board.start(at(0), waiting);
    assert!(world.board.add(at(0), waiting, "other".into(), None));
    assert_eq!(world.board.jobs(at(0), waiting, None, 1).0[0].time_left, secs(3));
}

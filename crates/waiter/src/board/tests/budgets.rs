//! Rule 8: one source, one budget.

use std::time::Duration;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, Budget, Role, Time};
use crate::{ErrorClass, JobState, Policy, Quota, Schedule, SourceError};

fn every(interval: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(interval)).unwrap())
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("job-{n:04}")).collect()
}

/// A world of many jobs, all in one watch.
fn crowd(budget: Budget, count: usize, script: &Script, policy: &Policy) -> World {
    let mut world = World::new(budget);
    let ids = ids(count);
    for id in &ids {
        world.script(id, script.clone());
    }
    world.watch(ids.iter().map(String::as_str), policy);
    world
}

fn in_window(world: &World, from: u64, to: u64) -> usize {
    world.polls.iter().filter(|(time, _)| (at(from)..at(to)).contains(time)).count()
}

/// The most polls in any window of this length.
fn busiest(world: &World, window: Duration) -> usize {
    let times: Vec<Time> = world.polls.iter().map(|(time, _)| *time).collect();
    let count = |from: &Time| {
        times.partition_point(|t| *t < from.after(window)) - times.partition_point(|t| t < from)
    };
    times.iter().map(count).max().unwrap_or(0)
}

#[test]
fn rule_08_a_throttled_answer_pauses_the_whole_source_as_long_as_it_says() {
    let mut world = crowd(budget(), 20, &Script::never(), &every(5).timeout(secs(120)));
    world.outages = vec![(at(20_000), at(20_500), Fault::Throttled(Some(ms(12_500)), None))];
    world.run_until(at(100_000));
    let began = world
        .polls
        .iter()
        .filter(|(t, _)| (at(20_000)..at(20_500)).contains(t))
        .map(|(t, _)| *t)
        .min();
    let began = began.unwrap().as_nanos() / 1_000_000 + 50;
    assert_eq!(in_window(&world, began + 1, began + 12_500), 0);
    assert!(in_window(&world, began + 12_500, began + 13_500) > 0);
    assert_eq!(world.stats().paused, ms(12_500));
}

#[test]
fn rule_08_without_a_hint_the_pause_doubles_per_refusal_from_five_to_sixty_seconds() {
    let throttled = Fault::Throttled(None, None);
    let mut world = World::of_one(Script::succeeds(0).faults([throttled; 7]), &every(2));
    world.run();
    let times = world.poll_times("job");
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0] - 50).collect();
    for (pause, longest) in
        pauses.iter().zip([5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000])
    {
        assert!((longest / 2..=longest).contains(pause), "{pauses:?}");
    }
    assert_eq!(world.end().1, None, "a storm of refusals is survived");
}

#[test]
fn rule_08_a_named_window_is_the_pause_up_to_a_minute() {
    for (window, pause) in [(30, 30_000), (300, 60_000)] {
        let quota = Quota::new(10, secs(window)).unwrap();
        let script = Script::succeeds(0).faults([Fault::Throttled(None, Some(quota))]);
        let mut world = World::of_one(script, &every(2));
        world.run();
        let times = world.poll_times("job");
        assert_eq!(times[1] - times[0] - 50, pause);
    }
}

#[test]
fn rule_08_hints_are_believed_up_to_five_minutes_and_zero_is_none() {
    let rest = |hint| {
        let script = Script::succeeds(0).faults([Fault::Throttled(Some(hint), None)]);
        let mut world = World::of_one(script, &every(2));
        world.run();
        let times = world.poll_times("job");
        times[1] - times[0] - 50
    };
    assert_eq!(rest(secs(4_000)), 300_000);
    assert!((2_500..=5_000).contains(&rest(secs(0))));
}

#[test]
fn rule_08_answers_to_requests_sent_before_the_pause_neither_extend_nor_double_it() {
    // Ten requests under way when the first refusal comes: nine refusals follow it.
    let script = Script { latency: ms(400), ..Script::never() };
    let mut world = crowd(budget(), 10, &script, &every(3).timeout(secs(100)));
    world.outages = vec![(at(11_000), at(14_000), Fault::Throttled(None, None))];
    world.run_until(at(60_000));
    assert!(world.stats().throttled >= 2, "{:?}", world.stats());
    let paused = world.stats().paused;
    assert!((ms(2_500)..=ms(5_000)).contains(&paused), "{paused:?}");
}

#[test]
fn rule_08_unavailable_with_retry_after_pauses_alike() {
    let mut world = crowd(budget(), 20, &Script::never(), &every(5).timeout(secs(120)));
    world.outages = vec![(at(20_000), at(20_500), Fault::Unavailable(secs(10)))];
    world.run_until(at(60_000));
    assert_eq!(world.stats().paused, secs(10));
}

#[test]
fn rule_08_a_named_quota_is_adopted_at_nine_tenths_and_forgotten_when_it_is_not_repeated() {
    let quota = Quota::new(100, secs(60)).unwrap();
    let mut world = crowd(budget(), 100, &Script::never(), &every(5).timeout(secs(2_000)));
    world.outages = vec![(at(20_000), at(20_300), Fault::Throttled(Some(secs(1)), Some(quota)))];
    world.run_until(at(20_500));
    world.polls.clear();
    world.run_until(at(260_000));
    let busiest = busiest(&world, secs(60));
    assert!((80..=90).contains(&busiest), "{busiest} polls in the busiest minute");
    let minute = in_window(&world, 200_000, 260_000);
    assert!(minute >= 80, "and hardly fewer in any: {minute}");
    world.run_until(at(400_000));
    let minute = in_window(&world, 300_000, 360_000);
    assert!(minute > 1_000, "after four minutes it is forgotten: {minute}");
}

#[test]
fn rule_08_a_quota_of_one_call_a_day_leaves_no_job_unpolled_for_more_than_five_minutes() {
    let quota = Quota::new(1, secs(86_400)).unwrap();
    let refused = Fault::Throttled(None, Some(quota));
    let mut world = crowd(budget(), 3, &Script::never(), &every(5).timeout(secs(3_600)));
    world.outages = vec![(at(20_000), at(26_000), refused)];
    world.run();
    for id in ids(3) {
        let times = world.poll_times(&id);
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest <= Some(300_000), "{id} was unpolled for {longest:?} ms");
        assert!(longest > Some(200_000), "the quota was kept to: {longest:?} ms");
    }
    // Where each probe is refused anew, one still goes out every five minutes.
    let mut world = crowd(budget(), 1, &Script::never(), &every(5).timeout(secs(3_600)));
    world.outages = vec![(at(20_000), at(10_000_000), refused)];
    world.run();
    let times = world.poll_times("job-0000");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 300_000), "{times:?}");
    assert!(times.len() > 12, "{times:?}");
}

#[test]
fn rule_08_the_same_quota_named_again_is_believed_longer_and_not_adopted_anew() {
    // A burst of nine and an interval of a second: adopted anew, it would start with an empty bucket each time.
    let quota = Quota::new(100, secs(90)).unwrap();
    let refused = Fault::Throttled(Some(ms(100)), Some(quota));
    let named_at = |times: &[u64]| {
        let mut world = crowd(budget(), 100, &Script::never(), &every(1).timeout(secs(2_000)));
        world.outages = times.iter().map(|&time| (at(time), at(time + 800), refused)).collect();
        world.run_until(at(500_000));
        world
    };
    let (once, twice) = (named_at(&[20_000]), named_at(&[20_000, 200_000]));
    let both = [&once, &twice].map(|world| in_window(world, 200_000, 215_000));
    assert!(both[0].abs_diff(both[1]) <= 2, "{both:?} polls after it was named again");
    let both = [&once, &twice].map(|world| in_window(world, 300_000, 400_000));
    assert!(both[0] > 2_000 && both[1] < 110, "believed for four minutes more: {both:?}");
}

#[test]
fn rule_08_without_a_named_quota_the_rate_halves_and_grows_back_by_a_tenth_per_ten_seconds() {
    let mut world = crowd(budget(), 100, &Script::never(), &every(5).timeout(secs(2_000)));
    world.run_until(at(100_000));
    let before = in_window(&world, 40_000, 100_000);
    world.outages = vec![(at(100_000), at(100_800), Fault::Throttled(Some(secs(1)), None))];
    world.run_until(at(1_000_000));
    assert!(world.stats().throttled >= 1);
    let after = in_window(&world, 102_000, 112_000) * 6;
    assert!(
        (before * 4 / 10..=before * 6 / 10).contains(&after),
        "{before} a minute, then {after}"
    );
    let next = in_window(&world, 112_000, 122_000) * 6;
    assert!((after..=after * 13 / 10).contains(&next), "{after} a minute, then {next}");
    let recovered = in_window(&world, 300_000, 360_000);
    assert!(recovered >= before * 9 / 10, "{before} a minute, in the end {recovered}");
}

#[test]
fn rule_08_a_set_quota_is_never_passed() {
    for (calls, per, burst) in [(10, 10, 1), (50, 1, 50), (7, 3, 3), (1, 5, 1), (200, 60, 20)] {
        let quota = Quota::new(calls, secs(per)).unwrap().with_burst(burst);
        let limited = Budget { quota: Some(quota), ..budget() };
        let mut world = crowd(limited, 100, &Script::never(), &every(1).timeout(secs(100)));
        world.run_until(at(90_000));
        let busiest = busiest(&world, secs(per));
        assert!(busiest <= calls as usize, "{busiest} in a window for {calls}");
        assert!(
            busiest * 10 >= calls as usize * 9,
            "{busiest} in a window for {calls}: hardly fewer"
        );
    }
}

#[test]
fn rule_08_the_window_starts_at_one_doubles_with_good_answers_and_falls_to_one() {
    let mut world = crowd(budget(), 200, &Script::never(), &every(5).timeout(secs(300)));
    assert_eq!(world.stats().window, 1);
    world.run_until(at(10_000));
    assert_eq!(world.stats().window, 32);
    // Five failures in a row make it probe with one request at a time.
    world.outages = vec![
        (at(20_000), at(40_000), Fault::Transient),
        (at(60_000), at(60_100), Fault::Throttled(Some(secs(1)), None)),
    ];
    world.run_until(at(39_000));
    assert_eq!(world.stats().window, 1);
    world.run_until(at(59_999));
    assert_eq!(world.stats().window, 32);
    world.run_until(at(60_400));
    assert_eq!(world.stats().window, 1);
}

#[test]
fn rule_08_never_more_in_flight_than_allowed() {
    let narrow = Budget { max_in_flight: 3, ..budget() };
    let script = Script { latency: ms(700), ..Script::never() };
    let mut world = crowd(narrow, 50, &script, &every(1).timeout(secs(60)));
    world.run();
    assert_eq!(world.max_flying, 3, "the world checks the upper bound at each turn");
}

#[test]
fn rule_08_a_refusal_ends_every_wait_of_the_source() {
    let mut world = crowd(budget(), 10, &Script::never(), &every(5));
    world.run_until(at(20_000));
    world.outages = vec![(at(20_000), at(90_000), Fault::Refused)];
    world.run();
    assert!(
        world
            .heard
            .values()
            .all(|heard| end_of(heard).unwrap().1 == Some(crate::WaitErrorKind::Refused))
    );
    assert_eq!(world.stats().refused, 1, "one refusal is enough");
}

#[test]
fn when_budgets_bind_last_polls_go_first_then_the_longest_due() {
    let narrow = Budget { quota: Some(Quota::new(2, secs(1)).unwrap()), ..budget() };
    let mut world = crowd(narrow, 20, &Script::never(), &every(4).timeout(secs(1_000)));
    world.run_until(at(100_000));
    world.script("urgent", Script::never());
    world.watch(["urgent"], &every(500).timeout(secs(20)));
    world.polls.clear();
    world.run_until(at(130_000));
    let urgent = world.poll_times("urgent");
    assert_eq!(urgent.len(), 1);
    assert!((119_000..121_000).contains(&urgent[0]), "{urgent:?}");
    // The others take turns: none is polled twice before each was polled once.
    let mut polled: Vec<_> = world.polls.iter().map(|(_, id)| id.as_str()).take(14).collect();
    polled.sort_unstable();
    polled.dedup();
    assert_eq!(polled.len(), 14);
}

#[test]
fn rule_08_refusals_of_one_burst_that_are_answered_at_one_instant_count_once() {
    // Most of eight requests are answered together. Each that did not predate the pause would double it.
    let script = Script { latency: ms(400), ..Script::never() };
    let mut world = crowd(budget(), 8, &script, &every(5).timeout(secs(200)));
    world.run_until(at(20_000));
    for id in ids(8) {
        assert!(world.board.poke(world.now, &id));
    }
    world.outages = vec![(at(20_000), at(21_000), Fault::Throttled(None, None))];
    world.run_until(at(20_000));
    let stats = world.stats();
    assert!(stats.in_flight >= 5, "{stats:?}");
    world.run_until(at(20_500));
    let stats = world.stats();
    assert!(stats.throttled >= 5, "{stats:?}");
    assert!((ms(2_500)..=ms(5_000)).contains(&stats.paused), "{stats:?}");
    world.run_until(at(30_000));
    assert!(world.stats().paused <= ms(5_000), "the next refusal is the first of a new burst");
}

#[test]
fn rule_08_a_request_sent_at_the_instant_at_which_the_pause_begins_predates_it() {
    let mut world = World::new(budget());
    world.watch(["a", "b", "c"], &every(5).timeout(secs(60)));
    let now = at(5_000);
    world.board.handle_time(now);
    let send = |world: &mut World| match world.board.poll_action(now, Role::Leader) {
        Some(Action::Poll { request, .. }) => request,
        other => panic!("{other:?}"),
    };
    let first = send(&mut world);
    world.board.handle_answer(now, first, &Answer::Received(Ok(JobState::running())));
    let (second, third) = (send(&mut world), send(&mut world));
    let refusal = ErrorClass::Throttled { retry_after: Some(secs(4)), quota: None };
    let refusal = Answer::Received(Err(SourceError::new(refusal, "scripted")));
    world.board.handle_answer(now, second, &refusal);
    let later = at(6_000);
    world.board.handle_answer(later, third, &refusal);
    assert_eq!(world.board.stats(later).pause_left, secs(3), "the second one extends nothing");
    assert_eq!(world.board.stats(later).window, 1);
}

#[test]
fn rule_08_a_good_answer_to_a_request_sent_before_the_pause_does_not_open_the_window() {
    let mut world = World::new(budget());
    world.watch(["a", "b", "c", "d"], &every(5).timeout(secs(60)));
    let now = at(5_000);
    world.board.handle_time(now);
    let mut sent = Vec::new();
    for _ in 0..2 {
        while let Some(Action::Poll { request, .. }) = world.board.poll_action(now, Role::Leader) {
            sent.push(request);
        }
        if sent.len() == 1 {
            let good = Answer::Received(Ok(JobState::running()));
            world.board.handle_answer(now, sent[0], &good);
        }
    }
    assert_eq!(sent.len(), 3);
    world.board.handle_answer(at(5_100), sent[1], &unavailable(4));
    world.board.handle_answer(at(5_200), sent[2], &Answer::Received(Ok(JobState::running())));
    assert_eq!(world.board.stats(at(5_200)).window, 1);
    assert_eq!(world.board.stats(at(5_200)).pause_left, ms(3_900));
}

fn unavailable(secs: u64) -> Answer {
    let class = ErrorClass::Transient { retry_after: Some(self::secs(secs)) };
    Answer::Received(Err(SourceError::new(class, "scripted")))
}

#[test]
fn rule_08_an_unavailable_service_pauses_once_for_all_requests_sent_before() {
    let mut world = World::new(budget());
    world.watch(["a", "b", "c"], &every(5).timeout(secs(60)));
    let now = at(5_000);
    world.board.handle_time(now);
    let send = |world: &mut World| match world.board.poll_action(now, Role::Leader) {
        Some(Action::Poll { request, .. }) => request,
        other => panic!("{other:?}"),
    };
    let first = send(&mut world);
    world.board.handle_answer(now, first, &Answer::Received(Ok(JobState::running())));
    let (second, third) = (send(&mut world), send(&mut world));
    world.board.handle_answer(at(5_100), second, &unavailable(4));
    world.board.handle_answer(at(5_200), third, &unavailable(40));
    assert_eq!(world.board.stats(at(5_200)).pause_left, ms(3_900));
}

#[test]
fn rule_08_an_adaptive_rate_grows_with_time_and_not_with_polls() {
    let throttled = Fault::Throttled(Some(secs(1)), None);
    let polls = |jobs| {
        let mut world = crowd(budget(), jobs, &Script::never(), &every(5).timeout(secs(2_000)));
        world.outages = vec![(at(60_000), at(60_800), throttled)];
        world.run_until(at(71_000));
        in_window(&world, 62_000, 71_000)
    };
    // Half of 20 and half of 200 jobs' polls, give or take the growth within ten seconds: none.
    let (few, many) = (polls(20), polls(200));
    assert!((15..=22).contains(&few), "{few}");
    assert!((150..=220).contains(&many), "{many}");
}

#[test]
fn rule_08_a_rate_that_slept_through_a_pause_has_grown_meanwhile() {
    let mut world = crowd(budget(), 60, &Script::never(), &every(5).timeout(secs(2_000)));
    world.outages = vec![
        (at(60_000), at(60_500), Fault::Throttled(Some(secs(1)), None)),
        (at(62_000), at(62_500), Fault::Unavailable(secs(100))),
    ];
    world.run_until(at(200_000));
    // Ten steps of a tenth: 2.6 times as fast.
    let before = in_window(&world, 40_000, 50_000);
    let after = in_window(&world, 165_000, 175_000);
    assert!(after * 10 >= before * 9, "{before}, then {after}");
}

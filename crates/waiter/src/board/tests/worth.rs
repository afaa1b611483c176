//! The order of polls where a budget holds them back and schedules learn.

use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, Budget, Role, WaitOptions};
use crate::options::Resumed;
use crate::{History, JobState, Learned, Policy, Quota, Sample, Schedule};

/// Jobs of the kind "short" take a minute or so, those of the kind "long" a quarter of an hour.
fn history() -> History {
    let mut history = History::new();
    for n in 0..20 {
        history.record("short", Sample::ended(secs(50 + n)));
        history.record("long", Sample::ended(secs(800 + 10 * n)));
    }
    history
}

fn learned(settings: Learned) -> Policy {
    Policy::new().schedule(Schedule::learned(settings).unwrap()).timeout(secs(1_700))
}

fn options(policy: &Policy, kind: &str) -> WaitOptions {
    WaitOptions { kind: Some(kind.into()), ..WaitOptions::new(Arc::new(policy.clone())) }
}

fn limited(calls: u32, per: u64) -> Budget {
    Budget { quota: Some(Quota::new(calls, secs(per)).unwrap().with_burst(1)), ..budget() }
}

fn ids(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{kind}-{n:02}")).collect()
}

/// Adds jobs of one kind that never end. The server gives their begin time.
fn add(world: &mut World, kind: &str, count: usize, policy: &Policy) {
    let ids = ids(kind, count);
    let begin = -(world.now.as_nanos() / 1_000_000).cast_signed();
    ids.iter().for_each(|id| world.script(id, Script::never().clock(begin, 0)));
    world.watch_with(ids.iter().map(String::as_str), options(policy, kind));
}

/// Long jobs and short ones, all of them due when a pause of two minutes ends. Returns the polls after it.
fn after_a_pause(policy: &Policy, has_worth_order: bool) -> Vec<String> {
    let mut world = World::new(limited(1, 1));
    world.board.set_history(history());
    if !has_worth_order {
        world.board.disable_worth_order();
    }
    // The long ones are due first.
    add(&mut world, "long", 5, policy);
    world.run_until(at(20_000));
    add(&mut world, "short", 5, policy);
    world.script("other", Script::never().faults([Fault::Unavailable(secs(120))]));
    world.run_until(at(40_000));
    world.watch(["other"], &Policy::new().first_poll_at_once(true).timeout(secs(10)));
    world.run_until(at(100_000));
    world.polls.clear();
    world.run_until(at(175_000));
    world.polls.iter().map(|(_, id)| id.as_str().to_owned()).take(10).collect()
}

#[test]
fn the_poll_that_is_worth_most_goes_first() {
    let polls = after_a_pause(&learned(Learned::new()), true);
    assert_eq!(polls.len(), 10, "{polls:?}");
    assert!(polls[..5].iter().all(|id| id.starts_with("short")), "{polls:?}");
    let polls = after_a_pause(&learned(Learned::new()), false);
    assert!(polls[..5].iter().all(|id| id.starts_with("long")), "{polls:?}");
}

#[test]
fn a_dear_poll_must_be_worth_more() {
    // The short jobs end for certain by now, the long ones hardly: to overtake them a poll must be cheap.
    let worlds = [1, 3_600].map(|price| {
        let mut world = World::new(limited(1, 1));
        world.board.set_history(history());
        let policy = learned(Learned::new());
        add(&mut world, "long", 3, &policy);
        world.run_until(at(20_000));
        add(&mut world, "short", 3, &learned(Learned::new().poll_cost(ms(price))));
        world.run_until(at(40_000));
        world
    });
    let [cheap, dear] = worlds.map(|world| {
        let count =
            |kind: &str| world.polls.iter().filter(|(_, id)| id.as_str().starts_with(kind)).count();
        (count("short"), count("long"))
    });
    assert!(cheap.0 > dear.0, "{cheap:?}, {dear:?}");
}

#[test]
fn a_poll_is_forced_after_the_longest_interval() {
    // During the pause all jobs have become overdue, so they are polled as they became due.
    let policy = learned(Learned::new().max_interval(secs(100)));
    let polls = after_a_pause(&policy, true);
    assert!(polls[..5].iter().all(|id| id.starts_with("long")), "{polls:?}");
}

/// Jobs in a pause until 160 s: long ones that are due first, then short ones, of which a poll is worth more. `change` comes
/// when all are due. Returns the polls after the pause.
fn in_a_pause(policy: &Policy, change: impl FnOnce(&mut World)) -> Vec<String> {
    let mut world = World::new(limited(1, 1));
    world.board.set_history(history());
    add(&mut world, "long", 5, policy);
    world.run_until(at(20_000));
    add(&mut world, "short", 5, policy);
    world.script("other", Script::never().faults([Fault::Unavailable(secs(120))]));
    world.run_until(at(40_000));
    world.watch(["other"], &Policy::new().first_poll_at_once(true).timeout(secs(10)));
    world.run_until(at(155_000));
    change(&mut world);
    world.polls.clear();
    world.run_until(at(175_000));
    world.polls.iter().map(|(_, id)| id.as_str().to_owned()).take(10).collect()
}

#[test]
fn a_poll_that_is_wanted_now_is_not_overtaken_though_its_job_was_due_before() {
    let policy = learned(Learned::new());
    let (elapsed, limit) = (secs(0), secs(1_800));
    let resumed = Resumed { at: None, times: None, elapsed, limit, polls: 0, status: None };
    let others = [
        WaitOptions { resumed: Some(Arc::new(resumed)), ..options(&policy, "long") },
        options(&learned(Learned::new()).first_poll_at_once(true), "long"),
        WaitOptions::new(Arc::new(Policy::new().timeout(secs(1_000)))),
    ];
    let mut orders = vec![in_a_pause(&policy, |world| {
        assert!(world.board.poke(world.now, "long-04"));
    })];
    orders.extend(others.map(|options| {
        in_a_pause(&policy, |world| {
            world.watch_with(["long-04"], options);
        })
    }));
    // The same policy, of which a new wait wants the first poll at once.
    let at_once = learned(Learned::new()).first_poll_at_once(true);
    orders.push(in_a_pause(&at_once, |world| {
        world.watch_with(["long-04"], options(&at_once, "long"));
    }));
    for polls in orders {
        let turn = polls.iter().position(|id| id == "long-04");
        assert!(turn < Some(5) && turn.is_some(), "{polls:?}");
        assert!(polls[0].starts_with("short"), "the others go by worth: {polls:?}");
    }
}

#[test]
fn waits_that_join_do_not_put_off_a_poll_that_is_forced() {
    let policy = learned(Learned::new().max_interval(secs(100)));
    let polls = in_a_pause(&policy, |world| {
        world.watch_with(["long-00", "long-01", "long-02"], options(&policy, "long"));
    });
    assert!(polls[..5].iter().all(|id| id.starts_with("long")), "{polls:?}");
}

#[test]
fn a_wait_that_joins_does_not_make_its_job_younger() {
    let mut world = World::new(limited(1, 1));
    world.board.set_history(history());
    let policy = learned(Learned::new());
    let ids = ids("short", 3);
    // The server tells no times.
    ids.iter().for_each(|id| world.script(id, Script::never()));
    let watch = |world: &mut World| {
        world.watch_with(ids.iter().map(String::as_str), options(&policy, "short"));
    };
    watch(&mut world);
    world.run_until(at(40_000));
    let standings = |world: &World| -> Vec<String> {
        let keys = ids.iter().map(|id| world.board.jobs.find(id).unwrap());
        keys.map(|key| format!("{:?}", world.board.standing(key))).collect()
    };
    let before = standings(&world);
    assert!(before.iter().all(|standing| standing.starts_with("Some")), "{before:?}");
    watch(&mut world);
    assert_eq!(standings(&world), before);
}

/// Returns where a job stands on its plan: its price, the age at which it was seen, and that from which it is counted.
fn standing(world: &World, id: &str) -> [f64; 3] {
    let key = world.board.jobs.find(id).unwrap();
    let standing = format!("{:?}", world.board.standing(key).unwrap());
    ["price", "seen", "age"].map(|name| {
        let (_, rest) = standing.split_once(&format!("{name}: ")).unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    })
}

#[test]
fn a_job_is_as_old_as_its_wait_at_its_last_answer_and_what_the_user_says() {
    let mut world = World::new(budget());
    world.board.set_history(history());
    let policy = learned(Learned::new().poll_cost(secs(3)));
    for (id, since) in [("young", 0), ("old", 30)] {
        // The server tells no times.
        world.script(id, Script::never());
        world.watch_with([id], WaitOptions { since: secs(since), ..options(&policy, "short") });
    }
    let check = |world: &World, id, since: f64| {
        let answered = *world.poll_times(id).last().unwrap() as f64 / 1e3;
        let [price, seen, age] = standing(world, id);
        assert_eq!((price, seen), (3.0, age));
        assert!((seen - since - answered).abs() < 0.1, "{id}: {seen}, answered at {answered}");
    };
    for (id, since) in [("young", 0.0), ("old", 30.0)] {
        while world.board.jobs[world.board.jobs.find(id).unwrap()].status.is_none() {
            world.run_until(world.now.after(ms(100)));
        }
        assert!(world.poll_times(id)[0] >= 500);
        check(&world, id, since);
    }
    world.run_until(at(70_000));
    for (id, since) in [("young", 0.0), ("old", 30.0)] {
        assert!(world.poll_times(id).len() > 1);
        check(&world, id, since);
    }
}

#[test]
fn polls_that_are_worth_the_same_go_by_their_price() {
    let mut world = World::new(limited(1, 1));
    let mut history = history();
    (0..20).for_each(|n| history.record("twin", Sample::ended(secs(50 + n))));
    world.board.set_history(history);
    // The dear ones are older, so by worth alone they would go first.
    add(&mut world, "short", 5, &learned(Learned::new()));
    world.run_until(at(5_000));
    add(&mut world, "twin", 5, &learned(Learned::new().poll_cost(ms(10))));
    world.script("other", Script::never().faults([Fault::Unavailable(secs(120))]));
    world.run_until(at(40_000));
    world.watch(["other"], &Policy::new().first_poll_at_once(true).timeout(secs(10)));
    world.run_until(at(155_000));
    world.polls.clear();
    world.run_until(at(175_000));
    let polls: Vec<&str> = world.polls.iter().map(|(_, id)| id.as_str()).take(10).collect();
    assert!(polls[..5].iter().all(|id| id.starts_with("twin")), "{polls:?}");
}

#[test]
fn no_job_stays_unpolled_for_longer_than_its_longest_interval_and_a_turn_of_all() {
    // A request every 4 s for 30 jobs: a turn takes two minutes.
    let mut world = World::new(limited(15, 60));
    world.board.set_history(history());
    let policy = learned(Learned::new().max_interval(secs(100)));
    add(&mut world, "long", 15, &policy);
    add(&mut world, "short", 15, &policy);
    world.run_until(at(1_600_000));
    let polls = |kind: &str| -> Vec<Vec<u64>> {
        ids(kind, 15).iter().map(|id| world.poll_times(id)).collect()
    };
    for times in polls("long").into_iter().chain(polls("short")) {
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= 100_000 + 130_000, "{longest} ms in {times:?}");
    }
}

/// Jobs of other schedules are polled as often as if all went by how long they have been due, but for what follows from
/// which of the learned ones are polled: how soon these are due again.
#[test]
fn jobs_of_other_schedules_do_not_notice_the_order_by_worth() {
    let polls = |has_worth_order: bool| {
        let mut world = World::new(limited(30, 60));
        world.board.set_history(history());
        if !has_worth_order {
            world.board.disable_worth_order();
        }
        let cheap = learned(Learned::new().poll_cost(ms(1)));
        add(&mut world, "long", 10, &cheap);
        add(&mut world, "short", 10, &learned(Learned::new()));
        let others = ids("other", 10);
        others.iter().for_each(|id| world.script(id, Script::never()));
        let fixed = Policy::new().schedule(Schedule::fixed(secs(10)).unwrap());
        world.watch(others.iter().map(String::as_str), &fixed.timeout(secs(1_700)));
        world.run_until(at(1_500_000));
        others.iter().map(|id| world.poll_times(id).len()).sum::<usize>()
    };
    let [with, without] = [true, false].map(polls);
    assert!(without > 100, "{without}");
    assert!(
        with.abs_diff(without) * 100 <= 15 * without,
        "{with} with the order, {without} without"
    );
}

#[test]
fn rule_05_last_polls_still_go_first() {
    let mut world = World::new(limited(2, 1));
    world.board.set_history(history());
    add(&mut world, "short", 30, &learned(Learned::new().poll_cost(ms(10))));
    world.run_until(at(100_000));
    world.script("urgent", Script::never());
    let slow = Policy::new().schedule(Schedule::fixed(secs(500)).unwrap());
    world.watch(["urgent"], &slow.timeout(secs(20)));
    world.run_until(at(130_000));
    let urgent = world.poll_times("urgent");
    assert!(matches!(urgent[..], [at] if (119_000..120_000).contains(&at)), "{urgent:?}");
}

#[test]
fn rule_05_a_poll_worth_most_whose_wait_has_left_gives_last_polls_no_second_turn() {
    let mut world = World::new(limited(5, 1));
    world.board.set_history(history());
    let policy = learned(Learned::new());
    add(&mut world, "long", 5, &policy);
    world.run_until(at(20_000));
    add(&mut world, "short", 5, &policy);
    let short = ids("short", 5);
    let leaving = world.watch_with(short.iter().map(String::as_str), options(&policy, "short"));
    world.script("other", Script::never().faults([Fault::Unavailable(secs(120))]));
    world.run_until(at(40_000));
    world.watch(["other"], &Policy::new().first_poll_at_once(true).timeout(secs(10)));
    world.run_until(at(140_000));
    // Their last polls are due at the end of the pause.
    let urgent = Policy::new().schedule(Schedule::fixed(secs(500)).unwrap()).timeout(secs(21));
    world.script("urgent-0", Script::never());
    world.script("urgent-1", Script::never());
    world.watch(["urgent-0", "urgent-1"], &urgent);
    world.run_until(at(155_000));
    // All polls that are worth most are looked at again before they are made.
    world.close(leaving);
    world.polls.clear();
    world.run_until(at(161_000));
    let polls: Vec<&str> = world.polls.iter().map(|(_, id)| id.as_str()).collect();
    let is_urgent: Vec<bool> = polls.iter().map(|id| id.starts_with("urgent")).collect();
    assert_eq!(is_urgent.get(..3), Some(&[true, false, true][..]), "{polls:?}");
    assert!(polls.get(1).is_some_and(|id| id.starts_with("short")), "{polls:?}");
}

#[test]
fn a_first_poll_at_once_does_not_wait_until_it_is_worth_something() {
    let mut world = World::new(limited(1, 4));
    world.board.set_history(history());
    add(&mut world, "short", 20, &learned(Learned::new().poll_cost(ms(10))));
    world.run_until(at(100_000));
    let policy = learned(Learned::new()).first_poll_at_once(true);
    add(&mut world, "long", 1, &policy);
    // Twenty others are due, and have been for longer.
    world.run_until(at(190_000));
    assert!(!world.poll_times("long-00").is_empty());
}

#[test]
fn stale_candidates_are_few_though_each_poll_is_forced() {
    let mut world = World::new(Budget { max_in_flight: 1_000, ..budget() });
    world.board.set_history(history());
    let policy = learned(Learned::new().poll_cost(ms(1)).max_interval(secs(1)));
    let policy = policy.timeout(secs(1_000_000));
    add(&mut world, "short", 20, &policy);
    for step in 1..20_000 {
        let now = at(step * 100);
        world.board.handle_time(now);
        // Twenty polls a second are asked for and ten are made.
        if let Some(Action::Poll { request, .. }) = world.board.poll_action(now, Role::Leader) {
            world.board.handle_answer(now, request, &Answer::Received(Ok(JobState::running())));
        }
        let entries = world.board.agenda.len();
        assert!(entries < 3 * 110, "{entries} at step {step}");
    }
}

#[test]
fn entries_stay_few_while_polls_change_places() {
    let mut world = World::new(Budget { max_in_flight: 1_000, ..budget() });
    world.board.set_history(history());
    let policy = learned(Learned::new().poll_cost(ms(1)));
    let policy = policy.timeout(secs(1_000_000));
    for kind in ["short", "long"] {
        add(&mut world, kind, 10, &policy);
    }
    let mut most = 0;
    for step in 1..20_000 {
        let now = at(step * 500);
        world.board.handle_time(now);
        if let Some(Action::Poll { request, .. }) = world.board.poll_action(now, Role::Leader) {
            world.board.handle_answer(now, request, &Answer::Received(Ok(JobState::running())));
        }
        most = most.max(world.board.agenda.len());
    }
    assert!(most < 3 * 110, "{most} entries");
}

/// What the order is for: jobs of two modes under a tight quota are noticed earlier, in the same number of polls.
#[test]
fn ends_are_noticed_earlier() {
    let mean_lag = |has_worth_order: bool| {
        let mut world = World::new(limited(30, 60));
        let mut history = History::new();
        for n in 0..20 {
            history.record("default", Sample::ended(ms(9_500 + 50 * n)));
            history.record("default", Sample::ended(secs(285 + n)));
        }
        world.board.set_history(history);
        if !has_worth_order {
            world.board.disable_worth_order();
        }
        let policy = learned(Learned::new());
        let (mut ends, jobs) = (Vec::new(), 300);
        for n in 0..jobs {
            let id = format!("job-{n:03}");
            let begin = world.now.as_nanos() / 1_000_000;
            let end = begin + if n % 2 == 0 { 10_000 } else { 295_000 } + 7 * n;
            world.script(&id, Script::succeeds(end).clock(-begin.cast_signed(), 0));
            world.watch([id.as_str()], &policy);
            ends.push((id, end));
            world.run_until(at(begin + 4_000));
        }
        world.run();
        let lag = |(id, end): &(String, u64)| world.poll_times(id).last().unwrap() - end;
        ends.iter().map(lag).sum::<u64>() / jobs
    };
    let [with, without] = [true, false].map(mean_lag);
    assert!(with * 10 <= without * 9, "{with} ms with the order, {without} ms without");
}

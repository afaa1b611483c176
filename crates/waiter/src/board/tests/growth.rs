//! What grows, and what shrinks again.

use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, AttemptTimeouts, Budget, Pending, Role, WaitOptions};
use crate::{History, JobState, Learned, Policy, Sample, Schedule};

fn every(interval: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(interval)).unwrap())
}

#[test]
fn status_texts_are_kept_once_and_no_longer_than_needed() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..100).map(|n| format!("job-{n}")).collect();
    for id in &ids {
        world.script(id, Script::succeeds(50_000));
    }
    world.watch(ids.iter().map(String::as_str), &Policy::new());
    world.run_until(at(40_000));
    assert_eq!(world.board.jobs.count_statuses(), 1);
    world.run();
    world.close(0);
    assert_eq!((world.board.jobs.count_statuses(), world.board.jobs.len()), (0, 0));
    assert_eq!(world.board.waits.counts(), [0; 5]);
    assert_eq!((world.board.requests.len(), world.board.agenda.len()), (0, 0));
}

#[test]
fn a_board_that_never_comes_to_rest_keeps_its_lists_short() {
    let mut world = World::new(Budget { max_in_flight: 1_000, ..budget() });
    let ids: Vec<String> = (0..20).map(|n| format!("job-{n}")).collect();
    world.watch(ids.iter().map(String::as_str), &every(1).timeout(secs(100_000)));
    for step in 1..20_000 {
        let now = at(step * 100);
        world.board.handle_time(now);
        // Twenty polls a second are asked for and ten are made, so there is always a next one.
        if let Some(Action::Poll { request, .. }) = world.board.poll_action(now, Role::Leader) {
            world.board.handle_answer(now, request, &Answer::Received(Ok(JobState::running())));
        }
        let entries = world.board.agenda.len() + world.board.requests.count_expiries();
        assert!(entries < 3 * 110, "{entries} at step {step}");
    }
}

#[test]
fn rule_14_timers_stay_few_while_short_waits_come_and_go_on_one_id() {
    let mut world = World::of_one(Script::never(), &every(10).timeout(secs(1_000_000)));
    let short = every(5).timeout(secs(20));
    let mut most = 0;
    for n in 0..20_000 {
        if n % 10 == 0 {
            world.run_until(at(n));
        }
        let watch = world.watch(["job"], &short);
        world.close(watch);
        most = most.max(world.board.agenda.len());
    }
    assert!(most <= 200, "{most} entries");
}

#[test]
fn rule_14_entries_of_the_ready_queue_stay_few_while_waits_come_and_go() {
    // A pause holds the job back; each new wait's last poll makes it ready anew.
    let script = Script::never().faults([Fault::Unavailable(secs(300))]);
    let mut world = World::of_one(script, &every(5).timeout(secs(1_000)));
    world.run_until(at(10_000));
    assert!(world.stats().pause_left > secs(200));
    let mut most = 0;
    for n in 0..20_000 {
        world.now = at(20_000 + n * 10);
        let watch = world.watch(["job"], &every(500).timeout(ms(8)));
        world.now = at(20_000 + n * 10 + 7);
        world.board.handle_time(world.now);
        world.close(watch);
        most = most.max(world.board.agenda.len());
    }
    assert!(most <= 300, "{most} entries");
}

#[test]
fn rule_14_four_thousand_waits_on_one_id_cost_a_poll_no_more_than_one() {
    let mut world = World::of_one(Script::never(), &every(5).timeout(secs(1_000)));
    for _ in 0..4_000 {
        world.watch(["job"], &every(5).timeout(secs(1_000)));
    }
    world.run_until(at(60_000));
    assert!((8..=14).contains(&world.polls.len()), "{}", world.polls.len());
    // The youngest decides: none of the others is asked.
    let eldest = world.board.waits.on(&world.board.jobs[world.board.jobs.find("job").unwrap()]);
    assert_eq!(eldest.count(), 4_001);
    world.run();
    assert!(world.heard.values().all(|heard| heard.end.is_some()));
    assert_eq!(world.board.waits.counts()[4], 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is measured")]
fn rule_14_a_crowd_of_waits_that_learn_leaves_one_id_without_a_search_for_each() {
    let mut history = History::new();
    (0..20).for_each(|n| history.record("default", Sample::ended(secs(500 + n))));
    let mut world = World::new(budget());
    world.board.set_history(history);
    world.script("job", Script::never());
    let learned = Policy::new().schedule(Schedule::learned(Learned::new()).unwrap());
    world.watch(["job"], &learned.clone().timeout(secs(90)));
    world.run_until(at(60_000));
    let options = WaitOptions::new(Arc::new(learned.timeout(secs(30))));
    let watches = (0..40_000).map(|_| {
        let key = world.board.open(true, Pending::default(), options.clone());
        world.board.start(world.now, key);
        assert!(world.board.add(world.now, key, "job".into(), None));
        key
    });
    let watches: Vec<_> = watches.collect();
    let begin = std::time::Instant::now();
    watches[..20_000].iter().for_each(|watch| assert!(!world.board.close(*watch, 10).0));
    // The last polls of the others, and their deadlines.
    world.board.handle_time(at(89_100));
    world.board.handle_time(at(90_000));
    assert!(world.board.is_idle());
    // A search among the waits that are left took ten seconds and more.
    assert!(begin.elapsed() < secs(5), "{:?}", begin.elapsed());
}

#[test]
fn rule_14_removed_pending_jobs_leave_nothing_behind() {
    let mut world = World::new(budget());
    let options = WaitOptions::new(Arc::new(Policy::new()));
    let key = world.board.open(false, Pending::default(), options);
    let now = at(0);
    assert!(world.board.add(now, key, "kept".into(), None));
    for n in 0..20_000 {
        assert!(world.board.add(now, key, format!("job-{n}").into(), None));
        if n > 0 {
            assert!(world.board.remove(now, key, &format!("job-{}", n - 1)));
        }
    }
    let watch = world.board.waits.find_watch(key).unwrap();
    assert!(world.board.waits[watch].pending.places() <= 100);
    let (views, next) = world.board.jobs(now, key, None, 1);
    assert_eq!(views[0].report.id.as_str(), "kept");
    assert!(world.board.remove(now, key, "kept"));
    let (views, next) = world.board.jobs(now, key, next, 1);
    assert_eq!((views[0].report.id.as_str(), next.is_none()), ("job-19999", true));
    // Once the last one is waited for, no room is kept for those that were.
    (0..1_000).for_each(|n| assert!(world.board.add(now, key, format!("new-{n}").into(), None)));
    world.board.start(now, key);
    assert!(!world.board.add_pending(now, key, 1_001));
    assert_eq!(world.board.waits[watch].pending.room(), 0);
}

#[test]
fn rule_14_a_crowd_that_has_gone_leaves_no_room_in_the_rare_tables() {
    let mut world = World::new(Budget { max_in_flight: 5_000, ..budget() });
    let ids: Vec<String> = (0..3_000).map(|n| format!("job-{n}")).collect();
    for id in &ids {
        world.script(id, Script::succeeds(20_000).faults([Fault::NotFound; 3]));
    }
    world.watch(ids.iter().map(String::as_str), &every(4));
    world.run();
    assert!(world.board.waits.room() < 100, "{}", world.board.waits.room());
}

#[test]
fn rule_14_lists_of_what_is_to_be_done_give_back_the_memory_of_a_crowd() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..3_000).map(|n| format!("job-{n}")).collect();
    for id in &ids {
        world.script(id, Script::never().faults([Fault::Refused]));
        let watch = world.watch([id.as_str()], &every(4));
        let key = world.key(watch);
        assert!(world.board.set_waker(key, std::task::Waker::noop().clone()).is_none());
    }
    world.run_until(at(5_000));
    assert!(world.board.is_idle());
    let outbox = &world.board.outbox;
    let room = outbox.wakers.capacity() + outbox.deferred.capacity();
    assert!(room + world.board.touched.capacity() <= 3_072, "{room}");
}

#[test]
fn rule_14_expiries_stay_few_behind_a_request_that_hangs() {
    let mut world = World::new(Budget {
        attempt_timeouts: AttemptTimeouts::new(secs(100_000), |timeout| timeout),
        ..budget()
    });
    world.script("hog", Script::never().faults([Fault::Hang]));
    world.script("job", Script::never());
    let patient = every(1).timeout(secs(50_000));
    world.watch(["hog", "job"], &patient);
    world.run_until(at(1_000_000));
    assert!(world.polls.len() > 800 && world.stats().in_flight >= 1);
    assert!(world.board.requests.count_expiries() < 100);
}

#[test]
fn rule_14_pokes_leave_few_timers() {
    let mut world = World::of_one(Script::never(), &every(10).timeout(secs(1_000)));
    while world.polls.is_empty() || world.stats().in_flight > 0 {
        world.run_until(world.now.after(ms(10)));
    }
    for _ in 0..20_000 {
        assert!(world.board.poke(world.now, "job"));
    }
    assert!(world.board.agenda.len() < 100, "{}", world.board.agenda.len());
}

#[test]
fn rule_14_a_crowd_of_jobs_that_has_gone_leaves_no_room_in_the_index() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..3_000).map(|n| format!("job-{n}")).collect();
    let crowd = world.watch(ids.iter().map(String::as_str), &every(10));
    world.watch(["stays"], &every(10));
    for id in &ids {
        assert!(world.board.tell(at(0), id, &JobState::running().with_detail("step 1")));
    }
    assert!(world.board.jobs.room() >= 6_000);
    world.close(crowd);
    assert!(world.board.jobs.room() < 300, "{}", world.board.jobs.room());
}

#[test]
fn waits_past_the_limit_of_an_unreached_source_leave_nothing_while_no_attempt_fails() {
    let mut world = World::of_one(Script::never(), &every(5));
    let impatient = every(5).give_up_unreached(std::time::Duration::ZERO);
    for n in 0..10_000 {
        world.run_until(at(n / 20));
        let watch = world.watch(["job"], &impatient);
        world.board.handle_time(world.now);
        world.close(watch);
    }
    assert!(world.polls.is_empty());
    let overdue = world.board.reach.count_overdue();
    assert!((1..=100).contains(&overdue), "{overdue}");
    world.run_until(world.now.after(secs(20)));
    assert_eq!((world.polls.is_empty(), world.board.reach.room()), (false, 0));
}

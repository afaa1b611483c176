//! Many jobs, many waits: rules 2, 3, 10, 11 and 14.

use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, Budget, Role, WaitOptions};
use crate::{JobId, JobState, Policy, Progress, Schedule, WaitErrorKind};

fn every(interval: u64) -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(interval)).unwrap())
}

#[test]
fn rule_03_the_same_id_watched_twice_costs_one_stream_of_polls() {
    let mut one = World::of_one(Script::succeeds(100_000), &every(10));
    one.run();
    let mut two = World::of_one(Script::succeeds(100_000), &every(10));
    let second = two.watch(["job"], &every(10));
    two.run();
    assert_eq!(one.polls, two.polls);
    assert_eq!(two.heard[&(second, "job".into())].statuses, two.job().statuses);
}

#[test]
fn rule_03_the_next_poll_is_the_earliest_that_any_wait_asks_each_at_its_own_age() {
    let mut world = World::of_one(Script::never(), &every(60).timeout(secs(600)));
    world.run_until(at(200_000));
    let before = world.polls.len();
    let eager = world.watch(["job"], &every(5).timeout(secs(100)));
    world.run_until(at(299_000));
    let during = world.polls.len() - before;
    assert!((19..=26).contains(&during), "about one in five seconds: {during}");
    world.run_until(at(599_000));
    let after = world.polls.len() - before - during;
    assert!((4..=7).contains(&after), "about one a minute again: {after}");
    assert_eq!(
        end_of(&world.heard[&(eager, "job".into())]).unwrap().1,
        Some(WaitErrorKind::TimedOut)
    );
}

#[test]
fn rule_03_an_eager_wait_is_not_slowed_by_a_later_one() {
    let mut world = World::of_one(Script::never(), &every(5).timeout(secs(600)));
    world.watch(["job"], &every(60).timeout(secs(600)));
    world.run_until(at(100_000));
    assert!(
        (19..=26).contains(&world.polls.len()),
        "about one in five seconds: {}",
        world.polls.len()
    );
}

#[test]
fn rule_03_a_wait_that_has_gone_leaves_no_poll_behind() {
    let mut world = World::of_one(Script::never(), &every(60).timeout(secs(600)));
    let eager = world.watch(["job"], &every(2));
    world.run_until(at(10_500));
    world.close(eager);
    let polls = world.polls.len();
    world.run_until(at(50_000));
    assert_eq!(world.polls.len(), polls, "the eager schedule went with its wait");
}

#[test]
fn rule_03_a_late_joiner_hears_the_last_known_status_at_once() {
    let mut world = World::of_one(Script::succeeds(100_000), &every(10));
    world.run_until(at(45_000));
    let polls = world.polls.len();
    let late = world.watch(["job"], &every(10));
    world.run_until(at(45_000));
    assert_eq!(world.heard[&(late, "job".into())].statuses, [(at(45_000), "Running".to_owned())]);
    assert_eq!(world.polls.len(), polls);
}

#[test]
fn rule_03_a_late_joiner_in_trouble_hears_of_it() {
    let mut world = World::of_one(Script::never().faults([Fault::Transient; 99]), &every(10));
    world.run_until(at(45_000));
    let late = world.watch(["job"], &every(10));
    world.run_until(at(45_000));
    assert_eq!(world.heard[&(late, "job".into())].troubles, [at(45_000)]);
}

#[test]
fn rule_03_an_ended_id_starts_afresh() {
    let mut world = World::of_one(Script::succeeds(5_000), &every(2));
    world.run();
    let ended = world.now;
    let again = world.watch(["job"], &every(2));
    world.run_until(ended);
    let heard = world.heard[&(again, "job".into())].clone();
    assert_eq!((heard.statuses, heard.end.is_none()), (vec![], true));
    world.run();
    assert_eq!(world.heard[&(again, "job".into())].statuses.len(), 1);
}

#[test]
fn rule_03_in_one_watch_an_id_is_present_once() {
    let mut world = World::of_one(Script::succeeds(30_000), &every(10));
    assert!(!world.add(0, "job", &every(10)));
    world.run();
    assert_eq!(world.ended_watches, [0]);
    let key = world.key(0);
    assert_eq!(world.board.progress(key), Progress { succeeded: 1, ..Progress::default() });
    assert!(world.board.add(world.now, key, "job".into(), None), "an ended id can be added again");
}

#[test]
fn rule_10_a_closed_watch_is_polled_no_more_and_its_request_is_aborted() {
    let mut world = World::of_one(Script::never().faults([Fault::Hang; 9]), &every(2));
    world.script("other", Script::succeeds(60_000));
    world.watch(["other"], &every(10));
    world.run_until(at(3_000));
    assert_eq!((world.stats().in_flight, world.board.has_aborts()), (1, false));
    world.close(0);
    assert!(world.board.has_aborts(), "a leader is woken for it");
    world.run_until(at(3_000));
    assert_eq!((world.stats().in_flight, world.board.has_aborts()), (0, false));
    world.run();
    assert_eq!(world.poll_times("job").len(), 1);
    assert_eq!(end_of(&world.heard[&(1, "other".into())]).unwrap().1, None);
}

#[test]
fn rule_10_a_wait_added_meanwhile_takes_the_request_over() {
    let script = Script { latency: secs(5), ..Script::succeeds(1_000) };
    let mut world = World::of_one(script, &every(2));
    world.run_until(at(3_000));
    world.close(0);
    let heir = world.watch(["job"], &every(60));
    world.run();
    assert_eq!(world.polls.len(), 1);
    assert_eq!(end_of(&world.heard[&(heir, "job".into())]).unwrap().1, None);
}

#[test]
fn rule_11_a_consumer_that_lags_hears_one_change_one_trouble_and_the_end() {
    use Fault::{NotFound, Transient, Unknown};
    let mut script =
        Script::succeeds(100_000).faults([Unknown, Transient, Unknown, NotFound, Unknown]);
    script.faults.extend([None, Some(Unknown)]);
    script.faults.extend([Some(Transient); 20]);
    let mut world = World::of_one(script, &every(10));
    world.neglect(0, true);
    world.run_until(at(80_000));
    world.drain(0);
    let heard = world.job().clone();
    assert_eq!(heard.statuses, [(at(80_000), "Paused".to_owned())]);
    assert_eq!(heard.troubles.len(), 1);
    world.run();
    world.drain(0);
    let heard = world.job();
    assert_eq!(heard.statuses.len(), 2);
    assert_eq!(heard.statuses[1].1, "Success");
    assert!(heard.end.is_some());
}

#[test]
fn rule_11_a_status_that_came_and_went_is_no_news() {
    let mut script = Script::never();
    script.faults = vec![None, Some(Fault::Unknown), None];
    let mut world = World::of_one(script, &every(10));
    world.run_until(at(10_100));
    world.neglect(0, true);
    world.run_until(at(29_000));
    assert!(world.polls.len() >= 3);
    world.drain(0);
    assert_eq!(world.job().statuses.len(), 1);
}

#[test]
fn rule_11_a_neglected_watch_is_polled_like_any_other() {
    let polls = |neglected| {
        let mut world = World::of_one(Script::succeeds(300_000), &every(10));
        world.neglect(0, neglected);
        world.run();
        world.polls
    };
    assert_eq!(polls(true), polls(false));
}

#[test]
fn rule_14_the_same_seed_gives_the_same_polls_in_any_order_of_arrival() {
    let ids: Vec<String> = (0..50).map(|n| format!("job-{n}")).collect();
    let run = |order: &mut dyn Iterator<Item = &String>| {
        // A wide window, so that no order has to be chosen.
        let mut world = World::new(Budget { max_in_flight: 1_000, ..budget() });
        for id in &ids {
            world.script(id, Script::succeeds(50_000));
        }
        world.script("first", Script::succeeds(700));
        world.watch(["first"], &Policy::new());
        world.run_until(at(2_000));
        world.watch(order.map(String::as_str), &Policy::new());
        world.run();
        let mut polls = world.polls;
        polls.sort();
        polls
    };
    let forwards = run(&mut ids.iter());
    assert!(forwards.len() > 300);
    assert_eq!(forwards, run(&mut ids.iter()));
    let late = |polls: Vec<(crate::board::Time, JobId)>| {
        polls.into_iter().filter(|(time, _)| *time > at(10_000)).collect::<Vec<_>>()
    };
    assert_eq!(late(forwards).len(), late(run(&mut ids.iter().rev())).len());
}

#[test]
fn rule_14_a_clock_that_runs_back_reads_as_the_last() {
    let mut world = World::new(budget());
    world.watch(["job"], &every(10));
    let sent = at(10_000);
    world.board.handle_time(sent);
    let Some(Action::Poll { request, .. }) = world.board.poll_action(sent, Role::Leader) else {
        panic!("it is due")
    };
    world.board.handle_answer(at(1), request, &Answer::Received(Ok(JobState::running())));
    world.board.handle_time(at(2));
    assert!(world.board.poll_action(at(3), Role::Leader).is_none());
    let next = world.board.next_wake().expect("a poll is planned");
    assert!(next >= sent.after(secs(8)), "the rest counts from the answer: {next:?}");
}

#[test]
fn a_thousand_jobs_added_at_once_do_not_poll_in_step() {
    let mut world = World::new(Budget { max_in_flight: 1_000, ..budget() });
    let ids: Vec<String> = (0..1_000).map(|n| format!("5a2b74ef-6fb9-4d0b-b4e9-{n:012}")).collect();
    for id in &ids {
        world.script(id, Script::never());
    }
    world.watch(ids.iter().map(String::as_str), &Policy::new().timeout(secs(400)));
    world.run_until(at(300_000));
    let times: Vec<u64> = world.polls.iter().map(|(at, _)| at.as_nanos() / 1_000_000).collect();
    let late: Vec<u64> = times.into_iter().filter(|&ms| ms >= 15_000).collect();
    let mean = late.len() as f64 / 285.0;
    let busiest = (15_000..299_000)
        .step_by(100)
        .map(|from| {
            late.partition_point(|&ms| ms < from + 1_000) - late.partition_point(|&ms| ms < from)
        })
        .max()
        .unwrap();
    assert!(
        (busiest as f64) < 3.0 * mean,
        "{busiest} polls in the busiest second, {mean:.0} on average"
    );
}

#[test]
fn rule_03_the_answer_to_a_request_in_flight_counts_for_a_late_joiner() {
    let script = Script { latency: secs(3), ..Script::never().faults([Fault::Transient; 9]) };
    let mut world = World::of_one(script, &every(10));
    world.run_until(at(11_000));
    assert_eq!(world.stats().in_flight, 1);
    let late = world.watch(["job"], &every(10).failures_in_a_row(1));
    world.run_until(at(14_000));
    let late = world.heard[&(late, "job".into())].end.clone().unwrap().1.unwrap_err();
    assert_eq!((late.kind(), late.report().polls), (WaitErrorKind::TooManyFailures, 1));
}

#[test]
fn rule_03_of_waits_with_one_schedule_the_one_that_started_last_decides() {
    let grown = Policy::new();
    let mut world = World::new(budget());
    world.script("job", Script::never());
    // Added last, but its clock has run from the start.
    let options = WaitOptions::new(Arc::new(grown.clone()));
    let slow = world.board.open(false, [JobId::from("job")].into_iter().collect(), options);
    world.board.start(at(0), slow);
    world.run_until(at(100_000));
    world.watch(["job"], &grown);
    world.board.add_pending(at(100_000), slow, 1);
    world.run_until(at(115_000));
    assert!(world.polls.len() >= 6, "the younger wait polls as often as alone: {:?}", world.polls);
}

#[test]
fn rule_03_a_wait_that_takes_over_the_request_of_an_ended_job_starts_afresh() {
    let script = Script { latency: secs(3), ..Script::never() };
    let mut world = World::of_one(script, &every(10));
    world.run_until(at(20_000));
    while world.stats().in_flight == 0 {
        world.run_until(world.now.after(ms(100)));
    }
    // Told before the driver has dropped the request.
    assert!(world.board.tell(world.now, "job", &JobState::succeeded()));
    let again = world.watch(["job"], &every(10));
    let key = world.key(again);
    let (views, _) = world.board.jobs(world.now, key, None, 1);
    assert_eq!((views[0].in_flight, views[0].report.state.clone()), (true, None));
}

//! Many jobs, many waits: rules 2, 3, 10, 11 and 14.

use std::sync::Arc;
use std::task::Poll;

use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, Budget, LogEvent, Pending, Role, RuntimeKey, WaitOptions};
use crate::policy::UnknownStatus;
use crate::{JobId, JobState, Policy, Progress, Schedule, UpdateKind, WaitErrorKind};

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
    assert_eq!(world.stats().in_flight, 1);
    world.close(0);
    world.run_until(at(3_000));
    assert_eq!(world.stats().in_flight, 0);
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
    world.board.handle_answer(at(1), request, &Answer::Told(Ok(JobState::running())));
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
fn adds_before_the_start_collapse_and_can_be_taken_back() {
    let mut world = World::new(budget());
    let options = WaitOptions { policy: Arc::new(Policy::new()), timeout: None };
    let key = world.board.open(false, Pending::default(), options);
    let now = at(0);
    let board = &mut world.board;
    assert!(board.add(now, key, "a".into(), None) && board.add(now, key, "b".into(), None));
    assert!(!board.add(now, key, "a".into(), None));
    assert!(board.remove(now, key, "b") && !board.remove(now, key, "b"));
    assert_eq!(board.progress(key).waiting, 1);
    assert!(board.is_idle());
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
            world.board.handle_answer(now, request, &Answer::Told(Ok(JobState::running())));
        }
        let entries = world.board.agenda.len() + world.board.requests.count_expiries();
        assert!(entries < 3 * 110, "{entries} at step {step}");
    }
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

#[test]
fn rule_11_removed_jobs_are_no_failures() {
    let mut world = World::new(budget());
    for id in ["a", "b", "c"] {
        world.script(id, Script::fails(2_000));
    }
    let watch = world.watch(["a", "b", "c"], &every(10));
    assert!(world.remove(watch, "a"));
    world.run();
    let key = world.key(watch);
    let expected = Progress { removed: 1, failed: 2, ..Progress::default() };
    assert_eq!(world.board.progress(key), expected);
    assert_eq!(expected.total(), 3);
    let stats = world.stats();
    let ended = [WaitErrorKind::Removed, WaitErrorKind::Failed].map(|kind| stats.ends(kind));
    assert_eq!(ended, [1, 2]);
}

#[test]
fn rule_01_a_pending_job_of_a_started_watch_is_removed_with_an_end() {
    let mut world = World::new(budget());
    let options = WaitOptions { policy: Arc::new(Policy::new()), timeout: None };
    let ids = ["a", "b"].map(JobId::from).into_iter().collect();
    let key = world.board.open(false, ids, options);
    world.board.start(at(0), key);
    assert!(world.board.add_pending(at(0), key, 1));
    assert!(world.board.remove(at(50), key, "b") && !world.board.has_pending(key));
    let Poll::Ready(Some(update)) = world.board.next_update(key) else { panic!("an end is due") };
    let UpdateKind::Ended(Err(error)) = update.kind else { panic!("{update:?}") };
    assert_eq!((error.kind(), error.report().id.as_str()), (WaitErrorKind::Removed, "b"));
    assert_eq!(error.report().elapsed, ms(50));
    assert_eq!(world.board.progress(key).total(), 2);
}

#[test]
fn rule_12_a_stopped_wait_knows_how_long_it_took() {
    let mut world = World::of_one(Script::never(), &every(600));
    world.run_until(at(15_000));
    assert!(!world.board.stop(at(17_345), RUNTIME, "the runtime ended", usize::MAX));
    world.now = at(17_345);
    world.drain(0);
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    assert_eq!(error.report().elapsed, ms(17_345));
}

#[test]
fn rule_12_a_stop_ends_no_more_waits_at_once_than_its_limit_and_those_of_one_runtime_only() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..10).map(|n| format!("job-{n}")).collect();
    for id in &ids {
        world.watch([id.as_str()], &every(10));
    }
    let crowd = world.watch(ids.iter().map(String::as_str), &every(10));
    let other = world.watch(["job-0"], &every(10));
    let key = world.key(other);
    world.board.set_runtime(key, RuntimeKey(1));
    let mut left = Vec::new();
    while world.board.stop(at(5), RUNTIME, "the runtime ended", 4) {
        left.push(world.board.live_on(RUNTIME));
    }
    assert_eq!(left, [16, 12, 8, 4]);
    assert_eq!((world.board.live_on(RUNTIME), world.board.live_on(RuntimeKey(1))), (0, 1));
    // One that is being closed has nothing to stop once its waits have gone.
    let key = world.key(crowd);
    assert!(world.board.close(key, 1).0);
    assert!(!world.board.stop(at(6), RUNTIME, "the runtime ended", 4));
}

/// What would be logged: the trouble of each job, and whether it was the source's.
fn troubles(world: &mut World) -> Vec<(String, bool)> {
    let trouble = |event| match event {
        LogEvent::Trouble { id, is_outage, .. } => Some((id.to_string(), is_outage)),
        LogEvent::Changed { .. } => None,
    };
    world.board.take_log(true).into_iter().filter_map(trouble).collect()
}

#[test]
fn rule_12_an_outage_is_warned_of_though_one_job_was_ill_before() {
    let mut world = World::new(budget());
    world.script("ill", Script::never().faults([Fault::Transient; 999]));
    world.script("well", Script::never());
    world.script("unknown", Script::never().faults([Fault::NotFound; 999]));
    let patient = every(5).timeout(secs(600)).not_found_grace(secs(600));
    world.watch(["ill", "well", "unknown"], &patient);
    world.outages = vec![(at(60_000), at(90_000), Fault::Transient)];
    troubles(&mut world);
    world.run_until(at(55_000));
    let before = troubles(&mut world);
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(before.contains(&("unknown".to_owned(), false)), "{before:?}");
    world.run_until(at(80_000));
    let during = troubles(&mut world);
    assert_eq!(during.iter().filter(|(_, is_outage)| *is_outage).count(), 1, "{during:?}");
}

#[test]
fn rule_12_a_job_that_is_not_known_is_no_outage() {
    let script = Script::never().faults([Fault::NotFound, Fault::Transient]);
    let mut world = World::of_one(script, &every(5).timeout(secs(30)));
    troubles(&mut world);
    world.run();
    assert_eq!(troubles(&mut world), [("job".to_owned(), false), ("job".to_owned(), true)]);
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
fn rule_14_removed_pending_jobs_leave_nothing_behind() {
    let mut world = World::new(budget());
    let options = WaitOptions { policy: Arc::new(Policy::new()), timeout: None };
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
fn rule_03_of_waits_with_one_schedule_the_one_that_started_last_decides() {
    let grown = Policy::new();
    let mut world = World::new(budget());
    world.script("job", Script::never());
    // Added last, but its clock has run from the start.
    let options = WaitOptions { policy: Arc::new(grown.clone()), timeout: None };
    let slow = world.board.open(false, [JobId::from("job")].into_iter().collect(), options);
    world.board.start(at(0), slow);
    world.run_until(at(100_000));
    world.watch(["job"], &grown);
    world.board.add_pending(at(100_000), slow, 1);
    world.run_until(at(115_000));
    assert!(world.polls.len() >= 6, "the younger wait polls as often as alone: {:?}", world.polls);
}

#[test]
fn a_poke_brings_the_next_poll_forward_up_to_the_minimum_interval() {
    let mut world = World::of_one(Script::never(), &every(60));
    world.run_until(at(70_000));
    assert_eq!(world.polls.len(), 1);
    assert!(!world.board.poke(at(70_000), "stranger"));
    assert!(world.board.poke(at(70_000), "job"));
    world.run_until(at(70_000));
    assert_eq!(world.poll_times("job")[1], 70_000);
    // In flight: the answer may be older than what the poke is about.
    assert!(world.board.poke(at(70_020), "job"));
    world.run_until(at(72_000));
    assert_eq!(world.poll_times("job")[2..], [70_550]);
}

#[test]
fn a_poke_within_the_minimum_interval_is_not_lost_when_another_wait_leaves() {
    let mut world = World::of_one(Script::never(), &every(60));
    let other = world.watch(["job"], &every(10));
    while world.polls.len() < 2 || world.stats().in_flight > 0 {
        world.run_until(world.now.after(ms(10)));
    }
    let polls = world.polls.len();
    assert!(world.board.poke(world.now, "job"));
    world.close(other);
    world.run_until(world.now.after(ms(600)));
    assert_eq!(world.polls.len(), polls + 1);
}

#[test]
fn a_state_from_outside_ends_waits_and_postpones_no_poll() {
    let polls = |tells: &[u64]| {
        let mut world = World::of_one(Script::never(), &every(10).timeout(secs(100)));
        for &time in tells {
            world.run_until(at(time));
            assert!(world.board.tell(at(time), "job", &JobState::unknown("Paused")));
        }
        world.run();
        world.polls
    };
    assert_eq!(polls(&[]), polls(&[5_000, 23_000, 24_000, 60_000]));

    for (state, kind) in
        [(JobState::succeeded(), None), (JobState::failed(), Some(WaitErrorKind::Failed))]
    {
        let mut world = World::of_one(Script::never(), &every(10));
        let other = world.watch(["job"], &every(20));
        world.run_until(at(33_000));
        assert!(!world.board.tell(at(33_000), "stranger", &state));
        assert!(world.board.tell(at(33_000), "job", &state));
        assert!(!world.board.tell(at(33_000), "job", &state), "no wait is left");
        world.run();
        assert_eq!(world.end(), (33_000, kind));
        assert_eq!(end_of(&world.heard[&(other, "job".into())]), Some((33_000, kind)));
        assert_eq!(world.board.next_wake(), None);
    }
}

#[test]
fn a_state_from_outside_is_as_young_as_its_telling_and_breaks_a_row_of_not_found() {
    let quick = every(10).not_found_grace(secs(1));
    let mut world = World::of_one(Script::never().faults([Fault::NotFound; 4]), &quick);
    while world.polls.len() < 2 || world.stats().in_flight > 0 {
        world.run_until(world.now.after(secs(1)));
    }
    assert!(world.board.tell(world.now, "job", &JobState::running()));
    let told = world.now;
    world.run_until(at(45_000));
    assert!(world.polls.len() >= 4 && world.job().end.is_none(), "the row began anew");
    assert!(world.remove(0, "job"));
    let now = world.now;
    world.run();
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    let answered = at(world.poll_times("job").last().unwrap() + 50);
    let seen = if world.polls.len() > 4 { answered } else { told };
    let age = error.last_seen().unwrap();
    assert!(age.abs_diff(now.since(seen)) <= ms(1), "{age:?}");
}

#[test]
fn a_job_without_waits_is_neither_poked_nor_told() {
    let mut world = World::of_one(Script::never().faults([Fault::Hang]), &every(2));
    world.run_until(at(3_000));
    let key = world.key(0);
    assert!(!world.board.close(key, usize::MAX).0);
    assert_eq!(world.stats().in_flight, 1);
    assert!(!world.board.poke(at(3_000), "job"));
    assert!(!world.board.tell(at(3_000), "job", &JobState::running()));
}

#[test]
fn a_listing_goes_on_after_the_wait_where_it_stopped_has_gone() {
    let mut world = World::new(budget());
    let ids: Vec<String> = (0..6).map(|n| format!("job-{n}")).collect();
    let watch = world.watch(ids.iter().map(String::as_str), &every(10));
    let key = world.key(watch);
    let (views, next) = world.board.jobs(at(0), key, None, 2);
    assert_eq!(views.len(), 2);
    // Its place is taken by a stranger's wait, and another one of the watch comes last.
    assert!(world.remove(watch, "job-2"));
    world.drain(watch);
    world.watch(["stranger"], &every(10));
    assert!(world.add(watch, "job-6", &every(10)));
    let (views, next) = world.board.jobs(at(0), key, next, 9);
    let listed: Vec<_> = views.iter().map(|view| view.report.id.to_string()).collect();
    assert_eq!(listed, ["job-3", "job-4", "job-5", "job-6"]);
    assert!(next.is_none());
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
    let mut world = World::new(Budget { attempt_timeout: secs(100_000), ..budget() });
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
fn rule_10_a_watch_that_is_being_closed_wakes_nobody() {
    let mut world = World::new(budget());
    let watch = world.watch(["a", "b"], &every(10));
    let key = world.key(watch);
    assert!(world.board.set_waker(key, std::task::Waker::noop().clone()).is_none());
    assert!(world.board.close(key, 1).0);
    assert!(world.board.tell(at(0), "b", &JobState::succeeded()));
    assert!(world.board.take_deferred().0.is_empty());
    let (is_left, waker) = world.board.close(key, 9);
    assert!(!is_left && waker.is_some(), "the waker is handed back to be dropped");
}

#[test]
fn a_state_from_outside_is_an_observation() {
    let mut world = World::of_one(Script::never(), &every(60));
    world.run_until(at(62_000));
    assert_eq!((world.polls.len(), world.stats().in_flight), (1, 0));
    world.run_until(at(70_000));
    assert!(world.board.tell(at(70_000), "job", &JobState::unknown("Paused")));
    world.run_until(at(75_000));
    assert!(world.remove(0, "job"));
    world.drain(0);
    let error = world.job().end.clone().unwrap().1.unwrap_err();
    assert_eq!(error.last_seen(), Some(secs(5)));
}

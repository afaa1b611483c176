//! Schedules that learn: which polls waits make, at which age of the job, and what is learnt from how they end.

use std::sync::Arc;

use super::script::*;
use super::world::*;
use crate::board::{Budget, WaitOptions};
use crate::learned::Account;
use crate::{History, Learned, Policy, Sample, Schedule, WaitErrorKind};

/// Twenty durations around 100 s, with a spread of a quarter. The best first poll of such jobs comes after 70 s.
const REGULAR: [u64; 20] =
    [76, 112, 95, 131, 88, 103, 67, 145, 99, 84, 120, 92, 109, 73, 158, 97, 86, 101, 115, 80];

pub(super) fn learned(settings: Learned) -> Policy {
    Policy::new().schedule(Schedule::learned(settings).unwrap())
}

pub(super) fn policy() -> Policy {
    learned(Learned::new())
}

pub(super) fn history(kind: &str) -> History {
    let mut history = History::new();
    REGULAR.iter().for_each(|&s| history.record(kind, Sample::ended(secs(s))));
    history
}

pub(super) fn world() -> World {
    let mut world = World::new(budget());
    world.board.set_history(history("default"));
    world
}

pub(super) fn options(policy: &Policy, kind: Option<&str>, since: u64) -> WaitOptions {
    let kind = kind.map(Into::into);
    WaitOptions { kind, since: secs(since), ..WaitOptions::new(Arc::new(policy.clone())) }
}

/// Plays one job with a learned schedule. Returns when it was polled, in seconds.
fn poll_secs(world: &mut World, script: Script, policy: &Policy) -> Vec<f64> {
    world.script("job", script);
    world.watch(["job"], policy);
    world.run();
    world.poll_times("job").iter().map(|&ms| ms as f64 / 1e3).collect()
}

#[track_caller]
pub(super) fn assert_about(found: f64, expected: f64) {
    // The jitter is 5 %; the grid, the latency and the clock add some.
    assert!((found / expected - 1.0).abs() < 0.065, "{found}, not about {expected}");
}

fn durations(history: &History, kind: &str) -> Vec<(f64, bool)> {
    let samples = history.samples(kind);
    samples.map(|sample| (sample.duration().as_secs_f64(), sample.is_at_least())).collect()
}

#[test]
fn jobs_are_polled_where_their_kind_tends_to_end() {
    let polls = poll_secs(&mut world(), Script::succeeds(100_000).clock(0, 0), &policy());
    // One early, since nothing was heard of the source; then by the plan.
    assert!((0.5..=1.0).contains(&polls[0]), "{polls:?}");
    assert_about(polls[1], 70.5);
    assert!(polls.len() <= 6, "{polls:?}");
    let fixed = poll_secs(&mut World::new(budget()), Script::succeeds(100_000), &Policy::new());
    assert!(fixed.len() >= 11, "{fixed:?}");
}

#[test]
fn the_age_is_that_of_the_job_not_of_the_wait() {
    // It began a minute before.
    let polls = poll_secs(&mut world(), Script::succeeds(40_000).clock(60_000, 0), &policy());
    assert_about(60.0 + polls[1], 77.0);
}

#[test]
fn without_a_time_of_the_server_the_age_is_what_the_user_says() {
    let mut world = world();
    world.script("job", Script::succeeds(40_000));
    world.watch_with(["job"], options(&policy(), None, 60));
    world.run();
    let second = world.poll_times("job")[1] as f64 / 1e3;
    assert_about(60.0 + second, 77.0);
}

#[test]
fn an_age_that_few_jobs_reach_is_not_believed_of_a_young_wait() {
    for clock in [(28_800_000, 0), (-5_000, 0), (0, -90_000), (i64::from(u32::MAX), 0)] {
        let script = Script::succeeds(100_000).clock(clock.0, clock.1);
        let polls = poll_secs(&mut world(), script, &policy());
        assert_about(polls[1], 70.5);
    }
}

#[test]
fn ages_are_not_believed_once_the_times_of_a_job_have_contradicted_each_other() {
    let mut world = world();
    // The time of answers is 50 s ahead of that of jobs: a job looks 50 s old when it begins.
    let polls = poll_secs(&mut world, Script::succeeds(100_000).clock(0, 50_000), &policy());
    assert_about(50.0 + polls[1], 70.5);
    let start = world.now.as_nanos() / 1_000_000;
    let script = Script::succeeds(start + 90_000).clock(-start.cast_signed(), 50_000);
    world.script("next", script);
    world.watch(["next"], &policy().first_poll_at_once(true));
    world.run();
    // The first poll saw it running, and as 50 s old.
    let second = world.poll_times("next")[1] - start;
    assert_about(second as f64 / 1e3, 70.5);
}

#[test]
fn ages_are_believed_again_after_a_job_whose_times_agree() {
    let mut world = world();
    poll_secs(&mut world, Script::succeeds(100_000).clock(0, 50_000), &policy());
    let mut start = 0;
    for (id, age) in [("honest", 0), ("old", 60_000)] {
        start = world.now.as_nanos() / 1_000_000;
        let script = Script::succeeds(start + 30_000).clock(age - start.cast_signed(), 0);
        world.script(id, script);
        world.watch([id], &policy().first_poll_at_once(true));
        world.run();
    }
    let second = world.poll_times("old")[1] - start;
    assert_about(60.0 + second as f64 / 1e3, 77.0);
}

#[test]
fn a_proven_source_is_not_polled_early() {
    let mut world = world();
    world.script("first", Script::succeeds(500));
    world.watch(["first"], &Policy::new());
    world.run_until(at(30_000));
    world.script("job", Script::succeeds(130_000));
    world.watch(["job"], &policy());
    world.run();
    assert_about(world.poll_times("job")[0] as f64 / 1e3 - 30.0, 70.5);
    // Overdue already: at once.
    world.script("late", Script::succeeds(0));
    let now = world.now;
    world.watch_with(["late"], options(&policy(), None, 200));
    world.run();
    assert_eq!(world.poll_times("late"), [now.as_nanos() / 1_000_000]);
}

#[test]
fn rule_07_a_wrong_id_is_lost_as_soon_as_with_the_fallback() {
    let mut world = world();
    world.script("job", Script { appears: at(1_000_000), ..Script::never() });
    world.watch(["job"], &policy());
    world.run();
    let (ended, kind) = world.end();
    assert_eq!(kind, Some(WaitErrorKind::Lost));
    assert!(ended <= 60_000, "{ended}");
}

#[test]
fn after_bad_answers_the_delays_are_those_of_the_fallback() {
    let script = Script::never().faults([Fault::Transient; 4]);
    let policy = policy().timeout(secs(60));
    let polls = poll_secs(&mut world(), script, &policy);
    assert!(polls.len() >= 5 && polls[4] < 25.0, "{polls:?}");
    assert!(polls.len() <= 6, "the plan counts again: {polls:?}");
}

#[test]
fn delays_keep_to_the_minimum_and_the_maximum_interval() {
    let longest = 20;
    let policy = learned(Learned::new().max_interval(secs(longest))).timeout(secs(500));
    let polls = poll_secs(&mut world(), Script::never(), &policy);
    let delays = polls.windows(2).map(|pair| pair[1] - pair[0]);
    delays.for_each(|delay| assert!((0.5..=longest as f64 + 0.1).contains(&delay), "{polls:?}"));
    let cheap = learned(Learned::new().poll_cost(ms(1))).timeout(secs(200));
    let polls = poll_secs(&mut world(), Script::never(), &cheap);
    assert!(polls.len() > 20, "{polls:?}");
    let delays = polls.windows(2).map(|pair| pair[1] - pair[0]);
    delays.for_each(|delay| assert!(delay >= 0.5, "{polls:?}"));
}

#[test]
fn a_plan_keeps_to_the_minimum_interval_of_its_waiter() {
    let mut world = World::new(Budget { min_interval: secs(8), ..budget() });
    world.board.set_history(history("default"));
    let fallback = Schedule::fixed(secs(15)).unwrap();
    let cheap = learned(Learned::new().poll_cost(ms(100)).fallback(fallback)).timeout(secs(200));
    let polls = poll_secs(&mut world, Script::never(), &cheap);
    let delays: Vec<f64> = polls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(delays.iter().all(|delay| *delay >= 8.0), "{polls:?}");
    assert!(delays.iter().any(|delay| *delay < 8.2), "the plan would poll more often: {polls:?}");
}

#[test]
fn what_a_job_has_saved_is_handed_out_with_its_duration() {
    let mut world = world();
    poll_secs(&mut world, Script::succeeds(100_000).clock(0, 0), &policy());
    let account = world.board.take_learned().savings("default", secs(1)).account(1.0);
    assert!(account.balance() > Account::new(1.0).balance(), "{account:?}");
}

/// Neither schedule made the polls of the time before the wait: a job that is waited for again and again once it has ended, or
/// whose begin the server misstates, must not pay for later losses.
#[test]
fn a_job_saves_nothing_that_was_not_waited_for_from_its_begin() {
    for began in [60_000, 99_000, 800_000_000] {
        let mut world = world();
        poll_secs(&mut world, Script::succeeds(1_000).clock(began, 0), &policy());
        let account = world.board.take_learned().savings("default", secs(1)).account(1.0);
        assert!(account.balance() <= Account::new(1.0).balance(), "{began}: {account:?}");
    }
}

/// A begin that the server misstates, in milliseconds before the wait: 1970, ten years before, and three days before.
const LONG_BEFORE: [i64; 3] = [1_000_000_000_000, 315_000_000_000, 3 * 86_400_000];

#[test]
fn a_duration_of_years_is_not_learnt() {
    for began in LONG_BEFORE {
        let mut world = World::new(budget());
        let polls = poll_secs(&mut world, Script::succeeds(100_000).clock(began, 0), &policy());
        let [.., before, after] = polls[..] else { panic!("{polls:?}") };
        let news = world.board.take_learned();
        let learnt = durations(&news, "default");
        assert_eq!(learnt.len(), 1, "{learnt:?}");
        // A begin that a job may well have had, though the wait knows of none, leaves a lower bound.
        let is_at_least = began < 31_536_000_000;
        let expected = if is_at_least { before } else { (before + after) / 2.0 };
        assert_eq!(learnt[0].1, is_at_least, "{began}: {learnt:?}");
        assert!((learnt[0].0 - expected).abs() < 0.1, "{began}: {learnt:?}");
        let account = news.savings("default", secs(1)).account(1.0);
        assert!(account.balance() <= Account::new(1.0).balance(), "{began}: {account:?}");
        // Of one that had ended already nothing is known.
        world.script("ended", Script::succeeds(0).clock(began, 0));
        world.watch(["ended"], &policy());
        world.run();
        assert_eq!(durations(&world.board.take_learned(), "default"), [], "{began}");
    }
}

#[test]
fn a_long_duration_is_learnt_where_the_wait_or_its_user_knows_of_it() {
    let hours = |hours: i64| hours * 3_600_000;
    for (began, since, expected) in [
        // It may have run for most of a day before anyone asked.
        (hours(23), 0, 23.0 * 3_600.0 + 30.0),
        (hours(72), 50 * 3_600, 72.0 * 3_600.0 + 30.0),
    ] {
        let mut world = World::new(budget());
        world.script("job", Script::succeeds(30_000).clock(began, 0));
        world.watch_with(["job"], options(&policy(), None, since));
        world.run();
        let learnt = durations(&world.board.take_learned(), "default");
        assert_eq!(learnt, [(expected, false)]);
    }
}

#[test]
fn a_begin_that_was_later_while_the_job_ran_is_not_believed() {
    for (earlier, is_believed) in [(0, true), (4_000, true), (6_000, false), (60_000, false)] {
        let mut world = World::new(budget());
        let script = Script::succeeds(100_000).clock(0, 0).misstates_once_ended([earlier, 0]);
        poll_secs(&mut world, script, &policy());
        let learnt = durations(&world.board.take_learned(), "default");
        let told = 100.0 + earlier as f64 / 1e3;
        assert_eq!(learnt == [(told, false)], is_believed, "{earlier}: {learnt:?}");
        assert!((90.0..105.0).contains(&learnt[0].0), "{learnt:?}");
    }
}

#[test]
fn a_job_that_was_seen_running_took_no_less_than_that() {
    // The server says that it ended 90 s earlier than it did.
    let mut world = World::new(budget());
    let script = Script::succeeds(100_000).clock(0, 0).misstates_once_ended([0, 90_000]);
    poll_secs(&mut world, script, &policy());
    let learnt = durations(&world.board.take_learned(), "default");
    assert!((90.0..105.0).contains(&learnt[0].0), "{learnt:?}");
    // It was created a minute before it began, and the server tells the begin.
    let mut world = World::new(budget());
    poll_secs(&mut world, Script::succeeds(100_000).clock(-60_000, 0), &policy());
    assert_eq!(durations(&world.board.take_learned(), "default"), [(40.0, false)]);
}

#[test]
fn a_job_counts_once_however_often_it_is_waited_for() {
    let mut world = World::new(budget());
    // Its waits end before it does, twice.
    for timeout in [20, 40] {
        world.script("job", Script::succeeds(100_000).clock(500, 0));
        world.watch(["job"], &policy().timeout(secs(timeout)));
        world.run();
    }
    let first = world.board.take_learned();
    let [(age, true)] = durations(&first, "default")[..] else { panic!("{first:?}") };
    assert!((40.0..60.0).contains(&age), "{age}");
    world.watch(["job"], &policy());
    world.run();
    let ended = world.board.take_learned();
    assert_eq!(durations(&ended, "default"), [(100.5, false)]);
    let mut all = first;
    all.append(ended.clone());
    assert_eq!(durations(&all, "default"), [(100.5, false)]);
    // It has ended: to ask again says nothing more, in this process and in the next.
    for is_next in [false, true] {
        if is_next {
            world = World::new(budget());
            world.board.set_history(all.clone());
            world.script("job", Script::succeeds(100_000).clock(500, 0));
            world.run_until(at(150_000));
        }
        for _ in 0..3 {
            world.watch(["job"], &policy());
            world.run();
            assert_eq!(durations(&world.board.take_learned(), "default"), []);
        }
    }
}

#[test]
fn another_job_of_the_same_name_counts_as_well() {
    let mut world = World::new(budget());
    for run in 1..=3 {
        let start = world.now.as_nanos() / 1_000_000;
        let script = Script::succeeds(start + 30_000).clock(-start.cast_signed(), 0);
        world.script("nightly", script);
        world.watch(["nightly"], &policy());
        world.run();
        assert_eq!(durations(&world.board.take_learned(), "default").len(), 1, "{run}");
    }
}

#[test]
fn durations_are_learnt_by_kind_from_the_servers_times() {
    let mut world = world();
    for (id, kind, end) in
        [("a", Some("create"), 90_000), ("b", Some("create"), 95_500), ("c", None, 33_000)]
    {
        world.script(id, Script::succeeds(end).clock(1_500, 0));
        world.watch_with([id], options(&policy(), kind, 0));
    }
    world.script("failed", Script::fails(7_000).clock(0, 0));
    world.watch_with(["failed"], options(&policy(), Some("delete"), 0));
    world.run();
    let learnt = world.board.take_learned();
    assert_eq!(learnt.kinds().collect::<Vec<_>>(), ["create", "default", "delete"]);
    let mut create = durations(&learnt, "create");
    create.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(create, [(91.5, false), (97.0, false)]);
    assert_eq!(durations(&learnt, "default"), [(34.5, false)]);
    assert_eq!(durations(&learnt, "delete"), [(7.0, false)]);
    assert!(world.board.take_learned().is_empty(), "it was taken");
}

#[test]
fn without_times_of_the_server_a_duration_lies_between_the_last_polls() {
    let mut world = world();
    let polls = poll_secs(&mut world, Script::succeeds(100_000), &policy());
    let [.., before, after] = polls[..] else { panic!("{polls:?}") };
    let learnt = durations(&world.board.take_learned(), "default");
    assert!((learnt[0].0 - (before + after) / 2.0).abs() < 0.1, "{learnt:?}, {polls:?}");
    // One that was never seen running says nothing, but that its first poll may have come late.
    world.script("ended", Script::succeeds(0));
    world.watch(["ended"], &policy());
    world.run();
    let news = world.board.take_learned();
    assert_eq!(durations(&news, "default"), []);
    let balance = news.savings("default", secs(1)).account(1.0).balance();
    let first = world.poll_times("ended")[0] as f64 / 1e3 - after;
    assert!((first - 6.0..first + 6.0).contains(&(70.0 - balance)), "{balance}, {first}");
}

#[test]
fn jobs_that_are_left_running_count_as_longer() {
    let mut world = world();
    let short = policy().timeout(secs(50));
    world.script("job", Script::never().clock(20_000, 0));
    world.watch(["job"], &short);
    // A second wait on the job: only the last one to leave says how long it ran.
    world.watch(["job"], &policy().timeout(secs(120)));
    world.run();
    let learnt = durations(&world.board.take_learned(), "default");
    assert_eq!(learnt.len(), 1, "{learnt:?}");
    assert!(learnt[0].1 && (135.0..=140.0).contains(&learnt[0].0), "{learnt:?}");
    for id in ["removed", "dropped"] {
        world.script(id, Script::never());
        let watch = world.watch([id], &policy());
        world.run_until(world.now.after(secs(100)));
        match id {
            "removed" => assert!(world.remove(watch, id)),
            _ => world.close(watch),
        }
        world.run();
        let learnt = durations(&world.board.take_learned(), "default");
        assert_eq!(learnt.len(), 1, "{learnt:?}");
        assert!(learnt[0].1 && (50.0..=100.0).contains(&learnt[0].0), "{learnt:?}");
    }
    // One that was never seen says nothing.
    world.script("unseen", Script::never().faults([Fault::Hang; 9]));
    world.watch(["unseen"], &policy().timeout(secs(5)));
    world.run();
    assert!(world.board.take_learned().is_empty());
}

#[test]
fn nothing_is_learnt_without_a_schedule_that_learns() {
    let mut world = world();
    world.script("job", Script::succeeds(30_000).clock(0, 0));
    world.watch_with(["job"], options(&Policy::new(), Some("create"), 0));
    world.run();
    assert!(world.board.take_learned().is_empty());
}

#[test]
fn what_was_learnt_counts_for_the_next_job() {
    let mut world = World::new(budget());
    let mut start = 0;
    for n in 0..12 {
        let id = format!("job-{n}");
        // Each begins when it is first waited for.
        let script = Script::succeeds(start + 100_000).clock(-start.cast_signed(), 0);
        world.script(&id, script);
        world.watch([id.as_str()], &policy());
        world.run();
        start = world.now.as_nanos() / 1_000_000;
    }
    let polls = |n: usize| world.poll_times(&format!("job-{n}")).len();
    assert!(polls(11) <= 4 && polls(0) >= 7, "{} and then {}", polls(0), polls(11));
}

#[test]
fn waits_of_one_kind_share_one_plan() {
    let mut world = world();
    let ids: Vec<String> = (0..500).map(|n| format!("job-{n}")).collect();
    ids.iter().for_each(|id| world.script(id, Script::never()));
    let policy = Arc::new(policy());
    for id in &ids {
        world.watch_with([id.as_str()], WaitOptions::new(Arc::clone(&policy)));
    }
    let [.., policies, _, live] = world.board.waits.counts();
    assert_eq!((policies, live), (1, 500));
}

#[test]
fn a_plan_and_a_policy_make_one_policy_however_many_waits_begin() {
    let mut world = world();
    let (one, other) = (WaitOptions::new(Arc::new(policy())), options(&policy(), None, 0));
    let job = world.board.jobs.insert(world.now, "job".into());
    let mut planned =
        |options: &WaitOptions| Arc::clone(&world.board.with_plan(job, options).policy);
    let made = planned(&one);
    assert!(made.schedule.plan().is_some() && Arc::ptr_eq(&made, &planned(&one)));
    // Another policy keeps its own settings, though its schedule is the same.
    let others = planned(&other);
    assert!(!Arc::ptr_eq(&made, &others) && Arc::ptr_eq(&others, &planned(&other)));
    assert!(Arc::ptr_eq(&made, &planned(&one)), "both are at hand");
}

#[test]
fn rule_14_the_same_history_gives_the_same_polls() {
    let play = || poll_secs(&mut world(), Script::succeeds(150_000).clock(0, 0), &policy());
    assert_eq!(play(), play());
}

#[test]
fn a_job_that_begins_and_ends_in_the_same_millisecond_is_not_learnt() {
    let mut world = world();
    poll_secs(&mut world, Script::succeeds(30_000).clock(-30_000, 0), &policy());
    assert_eq!(durations(&world.board.take_learned(), "default"), []);
}

#[test]
fn long_durations_of_whole_seconds_are_learnt_as_they_are() {
    let mut world = world();
    poll_secs(&mut world, Script::succeeds(32_993).clock(7, 0), &policy());
    assert_eq!(durations(&world.board.take_learned(), "default"), [(33.0, false)]);
}

#[test]
fn short_durations_of_whole_seconds_are_blurred() {
    let mut world = World::new(budget());
    for n in 0..40 {
        let id = format!("job-{n}");
        world.script(&id, Script::succeeds(4_993).clock(7, 0));
        world.watch([id.as_str()], &policy());
    }
    world.run();
    let learnt = durations(&world.board.take_learned(), "default");
    assert_eq!(learnt.len(), 40);
    assert!(learnt.iter().all(|(secs, _)| (4.0..=6.0).contains(secs)), "{learnt:?}");
    assert!(learnt.iter().any(|(secs, _)| (secs - 5.0).abs() > 0.3), "{learnt:?}");
}

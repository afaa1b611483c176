//! Which durations are learnt where waits share a job, and where the times of the server contradict what was seen.

use std::time::{Duration, SystemTime};

use super::script::*;
use super::world::*;
use crate::board::WaitOptions;
use crate::{History, JobState, Learned, Policy, Sample, Schedule};

pub(super) fn policy() -> Policy {
    Policy::new().schedule(Schedule::learned(Learned::new()).unwrap())
}

/// Past jobs of about 100 s: the first poll of their plan comes late.
pub(super) fn history() -> History {
    let mut history = History::new();
    (90..110).for_each(|s| history.record("default", Sample::ended(secs(s))));
    history
}

pub(super) fn learnt(world: &mut World) -> Vec<(f64, bool)> {
    let news = world.board.take_learned();
    let samples = news.samples("default");
    samples.map(|sample| (sample.duration().as_secs_f64(), sample.is_at_least())).collect()
}

/// A job that ended, and the answer, with times in milliseconds of the world.
pub(super) fn ended(begin: impl Into<Option<u64>>, end: u64, answered: u64) -> JobState {
    let server = |ms: u64| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000) + Duration::from_millis(ms + 7)
    };
    let state = JobState::succeeded().with_end(server(end)).with_answered(server(answered));
    state.with_begin(begin.into().map(server))
}

/// Waits for a job of whose times nothing is known while it runs, and then tells of its end.
pub(super) fn tell(
    world: &mut World,
    id: &str,
    after_ms: u64,
    state: impl FnOnce(u64) -> JobState,
) {
    world.script(id, Script::never());
    world.watch([id], &policy());
    world.run_until(world.now.after(ms(after_ms)));
    let now = world.now.as_nanos() / 1_000_000;
    assert!(world.board.tell(world.now, id, &state(now)));
    world.run();
}

#[test]
fn a_wait_that_joins_late_does_not_make_its_job_short() {
    let mut world = World::new(budget());
    world.script("job", Script::succeeds(100_000));
    world.watch(["job"], &policy());
    world.run_until(at(99_000));
    world.watch(["job"], &policy());
    world.run();
    let learnt = learnt(&mut world);
    let [(duration, false)] = learnt[..] else { panic!("{learnt:?}") };
    assert!((85.0..110.0).contains(&duration), "{duration}");
    // What the user says of the older wait counts, too: its job may have run for that long.
    let mut world = World::new(budget());
    let began = 30 * 3_600_000;
    world.script("job", Script::succeeds(100_000).clock(began, 0));
    let options = WaitOptions::new(policy().into());
    world.watch_with(["job"], WaitOptions { since: secs(29 * 3_600), ..options });
    world.run_until(at(50_000));
    world.watch(["job"], &policy());
    world.run();
    assert_eq!(self::learnt(&mut world), [(30.0 * 3_600.0 + 100.0, false)]);
}

#[test]
fn a_begin_that_was_earlier_while_the_job_ran_or_untold_is_not_believed_against_what_was_seen() {
    for later in [6_000, 60_000, 95_000] {
        let mut world = World::new(budget());
        let script = Script::succeeds(100_000).clock(0, 0).misstates_once_ended([-later, 0]);
        world.script("job", script);
        world.watch(["job"], &policy());
        world.run();
        let learnt = learnt(&mut world);
        let [(duration, false)] = learnt[..] else { panic!("{learnt:?}") };
        assert!((90.0..105.0).contains(&duration), "{later}: {duration}");
    }
    for begin in [50_000, 99_000, 100_000] {
        let mut world = World::new(budget());
        tell(&mut world, "job", 100_000, |now| ended(begin, now, now));
        let learnt = learnt(&mut world);
        let [(duration, false)] = learnt[..] else { panic!("{begin}: {learnt:?}") };
        assert!((85.0..=100.0).contains(&duration), "{begin}: {duration}");
    }
}

#[test]
fn the_middle_of_a_long_silence_is_no_duration() {
    let mut world = World::new(budget());
    let faults = [None].into_iter().chain([Some(Fault::Transient); 400]).collect();
    world.script("job", Script { faults, ..Script::succeeds(30_000) });
    world.watch(["job"], &policy().timeout(secs(86_400)));
    world.run();
    assert!(world.now > at(1_000_000), "the source was silent for long");
    let learnt = learnt(&mut world);
    let [(duration, true)] = learnt[..] else { panic!("{learnt:?}") };
    assert!(duration < 10.0, "{duration}");
}

#[test]
fn jobs_of_one_id_and_one_misstated_begin_count_each() {
    let mut world = World::new(budget());
    for run in 1..=3 {
        let start = world.now.as_nanos() / 1_000_000;
        world.script("nightly", Script::succeeds(start + 30_000).clock(1_000_000_000_000, 0));
        world.watch(["nightly"], &policy());
        world.run();
        assert_eq!(learnt(&mut world).len(), 1, "{run}");
    }
}

#[test]
fn a_job_counts_once_though_its_begin_is_rounded_or_its_end_alone_is_known() {
    for shift in [-4_000, -400, 400, 4_000] {
        let mut world = World::new(budget());
        let script = Script::succeeds(100_000).clock(500, 0).misstates_once_ended([shift, 0]);
        world.script("job", script);
        let mut all = History::new();
        for timeout in [20, 600, 600] {
            world.watch(["job"], &policy().timeout(secs(timeout)));
            world.run();
            all.append(world.board.take_learned());
        }
        let ends: Vec<bool> = all.samples("default").map(Sample::is_at_least).collect();
        assert_eq!(ends, [false], "{shift}");
    }
    let mut all = History::new();
    for _ in 0..2 {
        let mut world = World::new(budget());
        tell(&mut world, "job", 100_000, |now| ended(None, now, now));
        all.append(world.board.take_learned());
    }
    assert_eq!(all.samples("default").count(), 1);
}

//! One job, one wait: rules 1, 2, 4, 6, 7, 9 and 13 as timelines.

use super::script::*;
use super::world::*;
use crate::policy::UnknownStatus;
use crate::{JobState, Policy, Schedule, WaitErrorKind};

/// Polls every ten seconds, give or take the jitter.
fn steady() -> Policy {
    Policy::new().schedule(Schedule::fixed(secs(10)).unwrap())
}

#[test]
fn rule_01_success_is_ok_and_comes_once() {
    let mut world = World::of_one(Script::succeeds(4_000), &Policy::new());
    world.run();
    let (_, outcome) = world.job().end.clone().unwrap();
    let report = outcome.unwrap();
    assert_eq!(report.state, Some(JobState::succeeded()));
    assert_eq!(report.polls as usize, world.polls.len());
    assert_eq!(world.ended_watches, [0]);
    assert!(world.board.is_idle());
}

#[test]
fn rule_01_every_other_end_is_an_error_of_its_kind() {
    let unknown = steady().unknown_status(UnknownStatus::Fail);
    let patient = steady().timeout(secs(60));
    let two = steady().failures_in_a_row(2);
    let rows = [
        (Script::fails(0), steady(), WaitErrorKind::Failed),
        (Script::never(), patient, WaitErrorKind::TimedOut),
        (Script::never().faults([Fault::NotFound; 9]), steady(), WaitErrorKind::Lost),
        (Script::never().faults([Fault::Refused]), steady(), WaitErrorKind::Refused),
        (Script::never().faults([Fault::Fatal]), steady(), WaitErrorKind::Fatal),
        (Script::never().faults([Fault::Transient; 2]), two, WaitErrorKind::TooManyFailures),
        (Script::never().faults([Fault::Unknown]), unknown, WaitErrorKind::UnknownStatus),
        (Script::never().faults([Fault::Panic]), steady(), WaitErrorKind::Panicked),
    ];
    for (script, policy, kind) in rows {
        let mut world = World::of_one(script, &policy);
        world.run();
        assert_eq!(world.end().1, Some(kind));
    }
    let mut world = World::of_one(Script::never(), &steady());
    world.run_until(at(15_000));
    assert!(world.remove(0, "job"));
    world.run();
    assert_eq!(world.end(), (15_000, Some(WaitErrorKind::Removed)));
    let mut world = World::of_one(Script::never(), &steady());
    world.run_until(at(15_000));
    assert!(!world.board.stop(at(15_000), RUNTIME, "the runtime ended", usize::MAX));
    world.run();
    assert_eq!(world.end(), (15_000, Some(WaitErrorKind::Stopped)));
}

#[test]
fn rule_02_the_first_observation_is_a_transition_from_nothing_and_repeats_are_not_told() {
    let mut world = World::of_one(Script::succeeds(60_000), &steady());
    world.run();
    let statuses: Vec<_> = world.job().statuses.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["Running", "Success"]);
}

#[test]
fn rule_02_trouble_is_told_once_until_a_good_answer_or_another_class() {
    use Fault::{NotFound, Transient};
    let mut script = Script::succeeds(200_000).faults([Transient, Transient, NotFound, Transient]);
    script.faults.extend([None, Some(Transient)]);
    let mut world = World::of_one(script, &steady());
    world.run();
    assert_eq!(
        world.job().troubles.len(),
        4,
        "two classes, back to the first, and one after a good answer"
    );
}

#[test]
fn rule_04_polls_follow_the_schedule_and_end_with_the_job() {
    let mut world = World::of_one(Script::succeeds(40_000), &Policy::new());
    world.run();
    let times = world.poll_times("job");
    // Each rest is between 0.8 and 1 of 1 s + half the age, 15 s at the most; the first between 0.5 and 1 s.
    assert!((500..=1_000).contains(&times[0]), "{times:?}");
    for pair in times.windows(2) {
        let (answered, rest) = (pair[0] + 50, pair[1] - pair[0] - 50);
        let grown = (1_000 + answered / 2).min(15_000);
        assert!((grown * 4 / 5 - 1..=grown).contains(&rest), "{times:?}");
    }
    assert!(times[times.len() - 1] >= 40_000 && times[times.len() - 2] < 40_000);
}

#[test]
fn rule_04_nothing_is_polled_after_the_end() {
    let mut world = World::of_one(Script::fails(1_000), &Policy::new());
    world.run();
    let polls = world.polls.len();
    world.run_until(at(10_000_000));
    assert_eq!(world.polls.len(), polls);
    assert_eq!(world.board.next_wake(), None);
}

#[test]
fn rule_04_the_minimum_interval_holds_whatever_the_schedule_asks() {
    let eager = Policy::new().schedule(Schedule::fixed(ms(1)).unwrap()).timeout(secs(20));
    let mut world = World::of_one(Script::never(), &eager);
    world.run();
    // The world itself checks each pair; a poll and its answer take 550 ms.
    assert_eq!(world.polls.len(), 36);
}

#[test]
fn rule_06_an_outage_of_two_minutes_is_survived() {
    let mut world = World::of_one(Script::succeeds(60_000), &Policy::new());
    world.outages = vec![(at(10_000), at(130_000), Fault::Transient)];
    world.run();
    let (end, kind) = world.end();
    assert_eq!(kind, None);
    assert!((130_000..146_000).contains(&end), "noticed {end} ms after the start");
}

#[test]
fn rule_06_failures_are_followed_sooner_than_the_schedule_and_ever_more_slowly() {
    let slow = Policy::new().schedule(Schedule::fixed(secs(60)).unwrap());
    let mut world = World::of_one(Script::never().faults([Fault::Transient; 8]), &slow);
    world.run_until(at(250_000));
    let times = world.poll_times("job");
    let rests: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0] - 50).collect();
    for (rest, longest) in
        rests.iter().zip([1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 15_000])
    {
        assert!((longest / 2..=longest).contains(rest), "{rests:?}");
    }
    assert!(
        (48_000..=60_000).contains(&rests[8]),
        "a good answer returns to the schedule: {rests:?}"
    );
}

#[test]
fn rule_06_an_answer_that_the_job_is_not_known_starts_the_delays_after_failures_anew() {
    use Fault::{NotFound, Transient};
    let slow = Policy::new().schedule(Schedule::fixed(secs(60)).unwrap());
    let faults = [Transient, Transient, Transient, Transient, NotFound, Transient];
    let mut world = World::of_one(Script::never().faults(faults), &slow);
    world.run_until(at(200_000));
    let times = world.poll_times("job");
    let rest = times[6] - times[5] - 50;
    assert!((500..=1_000).contains(&rest), "{times:?}");
}

#[test]
fn rule_06_a_failure_waits_no_longer_than_the_schedule() {
    let quick = Policy::new().schedule(Schedule::fixed(ms(600)).unwrap()).timeout(secs(60));
    let mut world = World::of_one(Script::never().faults([Fault::Transient; 200]), &quick);
    world.run();
    let times = world.poll_times("job");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 650), "{times:?}");
}

#[test]
fn rule_06_a_limit_counts_what_its_name_says() {
    let one_good = |faults: [Fault; 4]| {
        let mut script = Script::never().faults(faults);
        script.faults.insert(2, None);
        script
    };
    let transient = [Fault::Transient; 4];
    let not_counted =
        [Fault::Throttled(Some(secs(1)), None), Fault::NotFound, Fault::NotFound, Fault::Transient];
    let rows = [
        (transient, Policy::new().failures_in_a_row(3), None),
        (transient, Policy::new().failures_in_a_row(2), Some(2)),
        (transient, Policy::new().failures_in_total(4), Some(5)),
        (transient, Policy::new().failures_in_total(5), None),
        (not_counted, Policy::new().failures_in_total(2), None),
    ];
    for (faults, policy, polls) in rows {
        let mut world = World::of_one(one_good(faults), &policy.timeout(secs(100)));
        world.run();
        let kind = world.end().1.unwrap();
        match polls {
            Some(polls) => {
                assert_eq!((kind, world.polls.len()), (WaitErrorKind::TooManyFailures, polls))
            }
            None => assert_eq!(kind, WaitErrorKind::TimedOut),
        }
    }
}

#[test]
fn rule_07_lost_takes_three_answers_that_span_the_grace() {
    let lost = |policy: &Policy| {
        let mut world = World::of_one(Script::never().faults([Fault::NotFound; 100]), policy);
        world.run();
        let first = world.poll_times("job")[0] + 50;
        assert_eq!(world.end().1, Some(WaitErrorKind::Lost));
        (world.end().0 - first, world.polls.len())
    };
    let (span, _) = lost(&Policy::new());
    assert!((30_000..45_000).contains(&span), "{span} ms");
    // However long the grace has been over, one answer is not enough, nor are two.
    let (_, polls) = lost(&Policy::new().schedule(Schedule::fixed(secs(60)).unwrap()));
    assert_eq!(polls, 3);
    let (_, polls) = lost(&steady().not_found_grace(secs(0)));
    assert_eq!(polls, 3);
}

#[test]
fn rule_07_other_failures_neither_count_nor_break_the_row_but_a_status_does() {
    use Fault::{NotFound, Transient};
    let throttled = Fault::Throttled(Some(secs(1)), None);
    let mixed = [NotFound, Transient, NotFound, throttled, Transient, NotFound];
    let policy = steady().not_found_grace(secs(2));
    let mut world = World::of_one(Script::never().faults(mixed), &policy);
    world.run();
    assert_eq!((world.end().1, world.polls.len()), (Some(WaitErrorKind::Lost), 6));

    let mut script = Script::succeeds(100_000).faults([NotFound; 5]);
    script.faults[2] = None;
    let mut world = World::of_one(script, &policy);
    world.run();
    assert_eq!(world.end().1, None);
}

#[test]
fn rule_07_a_job_that_appears_late_is_waited_for() {
    let mut world =
        World::of_one(Script { appears: at(25_000), ..Script::succeeds(60_000) }, &Policy::new());
    world.run();
    assert_eq!(world.end().1, None);
}

#[test]
fn rule_09_an_unknown_status_is_told_and_waited_on() {
    let script = Script::succeeds(60_000).faults([Fault::Unknown; 2]);
    let mut world = World::of_one(script, &steady());
    world.run();
    let statuses: Vec<_> = world.job().statuses.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["Paused", "Running", "Success"]);
}

#[test]
fn rule_13_an_error_tells_the_whole_story() {
    let mut world = World::of_one(Script::never(), &steady().timeout(secs(60)));
    world.outages = vec![(at(30_000), at(90_000), Fault::Transient)];
    world.run();
    let (_, outcome) = world.job().end.clone().unwrap();
    let error = outcome.unwrap_err();
    let polls = world.polls.len();
    let text = error.to_string();
    assert!(text.starts_with("job job still Running after 1m 00s (deadline 1m 00s, "), "{text}");
    assert!(text.contains(", timed out, "), "{text}");
    assert!(text.contains(&format!("{polls} polls, last status Running ")), "{text}");
    assert!(text.ends_with("s ago); last error: transient failure: scripted"), "{text}");
    assert!(std::error::Error::source(&error).is_none(), "the message says it all");
    assert_eq!(error.last_seen().map(|seen| seen > secs(30)), Some(true));
    assert_eq!(error.report().polls as usize, polls);
}

//! Plans of a kind over time: when they are made anew, when they are not used, and what is carried on.

use std::time::Duration;

use super::*;
use crate::ConfigError;
use crate::learned::history::Savings;
use crate::learned::{Account, History, Kind, Learned, Sample};

const KIND: &str = "create";
const MIN: Duration = Duration::from_millis(500);

fn secs(secs: f64) -> Duration {
    Duration::from_secs_f64(secs)
}

fn regular_history() -> History {
    let mut history = History::new();
    (0..20).for_each(|n| history.record(KIND, Sample::ended(secs(90.0 + f64::from(n)))));
    history
}

fn plan(kind: &mut Kind, settings: &Arc<Learned>, now: f64, history: &History) -> Arc<Planned> {
    kind.plan(settings, MIN, secs(now), history)
}

#[test]
fn a_plan_is_kept_for_a_second_and_made_anew_after_the_next_end() {
    let (settings, history) = (Arc::new(Learned::new()), regular_history());
    let mut kind = Kind::new(KIND, &history);
    let first = plan(&mut kind, &settings, 0.0, &history);
    assert!(Arc::ptr_eq(&first, &plan(&mut kind, &settings, 500.0, &history)));
    kind.learn(Sample::ended(secs(95.0)));
    assert!(Arc::ptr_eq(&first, &plan(&mut kind, &settings, 0.9, &history)));
    let second = plan(&mut kind, &settings, 1.1, &history);
    assert!(!Arc::ptr_eq(&first, &second));
    let dear = Arc::new(Learned::new().poll_cost(secs(20.0)));
    assert!(plan(&mut kind, &dear, 1.2, &history).delay(0.0, 0.5) > second.delay(0.0, 0.5));
}

#[test]
fn losses_lead_back_to_the_fallback_and_savings_to_the_plan() {
    let (settings, history) = (Arc::new(Learned::new()), regular_history());
    let mut kind = Kind::new(KIND, &history);
    let first = plan(&mut kind, &settings, 0.0, &history);
    assert!(first.is_learned());
    let mut fell_back = false;
    let mut sum = 0.0;
    for n in 1..200 {
        let plan = plan(&mut kind, &settings, f64::from(n) * 10.0, &history);
        fell_back |= !plan.is_learned();
        // It ends just after the first poll, whatever that is, and is not learnt from: the worst for it.
        let end = plan.delay(0.0, 0.5).map_or(10.0, |first| first + 0.01);
        let saved = kind.book(
            &settings,
            one_wait(&plan, 0.0).gain(0.0, end, f64::INFINITY, plan.settings.price()),
            &history,
        );
        sum += saved.account(1.0).balance() - Account::new(1.0).balance();
        assert!(sum >= -70.0, "{sum} after {n}");
    }
    assert!(fell_back);
}

#[test]
fn what_was_lost_is_carried_on() {
    let settings = Arc::new(Learned::new());
    let mut history = regular_history();
    let lost = Savings { sum: -69.0, ceiling: 350.0 };
    history.save(KIND, settings.get_poll_cost(), lost);
    let mut kind = Kind::new(KIND, &history);
    assert!(!plan(&mut kind, &settings, 0.0, &history).is_learned());
    // Another price has an account of its own.
    let dear = Arc::new(Learned::new().poll_cost(secs(2.0)));
    assert!(plan(&mut kind, &dear, 0.0, &history).is_learned());
}

#[test]
fn savings_in_parts_do_what_they_do_one_by_one() {
    let mut random = Random(11);
    for _ in 0..1_000 {
        let mut account = Account::new(1.0);
        let gains: Vec<f64> = (0..20).map(|_| 300.0 * (random.next() - 0.4)).collect();
        let cut = random.below(20);
        let sum = |gains: &[f64]| {
            gains.iter().fold(Savings::NONE, |sum, gain| sum.then(Savings::of(*gain, &account)))
        };
        let parts = sum(&gains[..cut]).then(sum(&gains[cut..]));
        let in_parts = parts.account(1.0).balance();
        gains.iter().for_each(|gain| account.book(*gain));
        assert!((account.balance() - in_parts).abs() < 1e-9, "{in_parts}");
    }
}

#[test]
fn claimed_ages_are_believed_within_reason() {
    let (settings, history) = (Arc::new(Learned::new()), regular_history());
    let plan = plan(&mut Kind::new(KIND, &history), &settings, 0.0, &history);
    for (claimed, own, expected) in [
        (None, 5.0, 5.0),
        (Some((80.0, 80.0)), 5.0, 80.0),
        // The time of the answer is cut to a second.
        (Some((5.0, 6.0)), 5.4, 5.4),
        (Some((5.0, 6.0)), 9.0, 6.0),
        (Some((-0.4, 0.6)), 0.3, 0.3),
        (Some((-3.0, -2.0)), 7.0, 7.0),
        (Some((28_800.0, 28_801.0)), 5.0, 5.0),
        (Some((28_800.0, 28_801.0)), 28_790.0, 28_800.0),
        (Some((f64::NAN, f64::NAN)), 5.0, 5.0),
    ] {
        assert_eq!(plan.believed_age(claimed, own), expected, "{claimed:?}, {own}");
    }
}

#[test]
fn without_a_past_job_the_fallback_counts() {
    let (settings, history) = (Arc::new(Learned::new()), History::new());
    let mut kind = Kind::new(KIND, &history);
    assert!(!plan(&mut kind, &settings, 0.0, &history).is_learned());
    kind.learn(Sample::ended(secs(100.0)));
    assert!(plan(&mut kind, &settings, 2.0, &history).is_learned());
}

#[test]
fn beyond_a_day_the_fallback_counts() {
    let (settings, history) = (Arc::new(Learned::new()), regular_history());
    let plan = plan(&mut Kind::new(KIND, &history), &settings, 0.0, &history);
    assert!(plan.delay(86_399.0, 0.5).is_some());
    assert_eq!(plan.delay(86_400.0, 0.5), None);
}

#[test]
fn a_job_of_more_than_a_day_is_booked_as_one_of_a_day() {
    let (settings, history) = (Arc::new(Learned::new()), regular_history());
    let mut kind = Kind::new(KIND, &history);
    let plan = plan(&mut kind, &settings, 0.0, &history);
    let [day, longer] = [86_400.0, 400_123.0]
        .map(|end| one_wait(&plan, 0.0).gain(0.0, end, f64::INFINITY, plan.settings.price()));
    assert_eq!(day, longer);
}

#[test]
fn delays_are_jittered_by_a_twentieth() {
    let (settings, history) = (Arc::new(Learned::new()), regular_history());
    let plan = plan(&mut Kind::new(KIND, &history), &settings, 0.0, &history);
    let [least, middle, most] = [0.0, 0.5, 1.0].map(|u| plan.delay(90.0, u).unwrap());
    assert!((least / middle - 0.95).abs() < 1e-9 && (most / middle - 1.05).abs() < 1e-9);
}

#[test]
fn a_history_keeps_the_newest_and_can_be_appended_to() {
    let mut history = History::new();
    (0..300).for_each(|n| history.record(KIND, Sample::ended(secs(f64::from(n)))));
    let mut newer = History::new();
    newer.record(KIND, Sample::at_least(secs(1e4)));
    newer.record("delete", Sample::ended(secs(1.0)));
    let kept = |history: &History| -> Vec<f64> {
        history.samples(KIND).map(|sample| sample.duration().as_secs_f64()).collect()
    };
    assert_eq!((kept(&history).len(), kept(&history)[0]), (256, 44.0));
    history.append(newer);
    assert_eq!((kept(&history).len(), kept(&history)[0], kept(&history)[255]), (256, 45.0, 1e4));
    assert_eq!(history.kinds().collect::<Vec<_>>(), [KIND, "delete"]);
}

#[test]
fn a_job_that_ends_replaces_what_was_known_of_it_while_it_ran() {
    let (settings, job) = (Arc::new(Learned::new()), std::num::NonZeroU64::new(7));
    let mut kind = Kind::new(KIND, &History::new());
    assert!(kind.learn(Sample::at_least(secs(50.0)).of_job(job)));
    assert!(kind.learn(Sample::at_least(secs(50.0))));
    assert!(kind.learn(Sample::ended(secs(60.0)).of_job(job)));
    assert!(!kind.learn(Sample::ended(secs(60.0)).of_job(job)));
    let explanation = kind.explain(&settings, MIN, &History::new());
    assert_eq!((explanation.ended, explanation.unfinished), (1, 1));
}

#[test]
fn settings_that_cannot_be_are_named() {
    let problem =
        |settings| Schedule::learned(settings).map_err(|error: ConfigError| error.to_string());
    let rows = [
        (Learned::new().poll_cost(Duration::ZERO), "poll cost 0s is not between 1ms and 86400s"),
        (
            Learned::new().max_interval(secs(0.5)),
            "max interval 500ms is shorter than 1s, the shortest delay of the fallback",
        ),
        (
            Learned::new().leash(secs(14.0), 0.5),
            "leash 14s is shorter than 15s, the longest delay of the fallback",
        ),
        (
            Learned::new().leash(secs(60.0), -0.5),
            "leash -0.5 of the age is not a number of 0 or more",
        ),
        (
            Learned::new().leash(secs(60.0), f64::NAN),
            "leash NaN of the age is not a number of 0 or more",
        ),
        (
            Learned::new().leash(secs(60.0), f64::INFINITY),
            "leash inf of the age is not a number of 0 or more",
        ),
        (
            Learned::new().fallback(Schedule::learned(Learned::new()).unwrap()),
            "fallback is a schedule that learns, too",
        ),
    ];
    for (settings, message) in rows {
        assert_eq!(problem(settings), Err(message.to_owned()));
    }
    assert!(problem(Learned::new()).is_ok());
    assert!(problem(Learned::new().leash(secs(15.0), 0.0).max_interval(secs(1.0))).is_ok());
    let slow = Schedule::fixed(secs(900.0)).unwrap();
    assert!(problem(Learned::new().fallback(slow).max_interval(secs(900.0))).is_ok());
}

#[test]
fn no_delay_is_longer_than_the_users_leash() {
    let history = regular_history();
    let delay = |settings: Learned, age| {
        let plan = plan(&mut Kind::new(KIND, &history), &Arc::new(settings), 0.0, &history);
        plan.delay(age, 1.0).unwrap()
    };
    assert!(delay(Learned::new(), 0.0) > 50.0);
    assert_eq!(delay(Learned::new().leash(secs(20.0), 0.4), 0.0), 20.0);
    assert_eq!(delay(Learned::new().leash(secs(20.0), 0.4), 60.0), 24.0);
    assert_eq!(delay(Learned::new().leash(secs(20.0), -0.0), 60.0), 20.0);
    let zeros = [0.0, -0.0].map(|part| Learned::new().leash(secs(20.0), part));
    assert_eq!(zeros[0], zeros[1]);
}

#[test]
fn cheap_polls_follow_a_plan() {
    let (settings, history) = (Arc::new(Learned::new().poll_cost(secs(0.05))), regular_history());
    assert!(plan(&mut Kind::new(KIND, &history), &settings, 0.0, &history).is_learned());
}

#[test]
fn dense_fallbacks_do_not_take_for_ever() {
    let fallback = Schedule::fixed(Duration::from_nanos(1)).unwrap();
    let settings = Arc::new(Learned::new().fallback(fallback));
    let history = regular_history();
    let plan = plan(&mut Kind::new(KIND, &history), &settings, 0.0, &history);
    assert!(plan.delay(0.0, 0.5).is_none_or(|delay| delay >= 0.5));
}

#[test]
fn a_plan_with_more_polls_than_are_counted_is_not_used() {
    let (dense, history) = (Duration::from_millis(1), regular_history());
    let fallback = Schedule::exponential(dense, 1.5, secs(15.0)).unwrap();
    let settings = Arc::new(Learned::new().fallback(fallback).max_interval(dense));
    let mut kind = Kind::new(KIND, &history);
    let explanation = kind.explain(&settings, dense, &history);
    assert_eq!((explanation.is_learned, explanation.worst_loss), (false, Some(f64::INFINITY)));
}

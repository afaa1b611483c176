use super::*;
use proptest::prelude::*;

fn secs(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// The ages of the first polls, when every answer comes at once and the jitter is `u`.
fn ages(schedule: &Schedule, u: f64, count: u32) -> Vec<f64> {
    let mut age = 0;
    let step = |n| {
        age += schedule.next_delay(age, n, 0, u);
        (age as f64 / 1e6).round() / 1e3
    };
    (0..count).map(step).collect()
}

#[test]
fn default_grows_by_half_up_to_fifteen_seconds() {
    let ages = ages(&Schedule::default(), 0.0, 9);
    assert_eq!(ages, [1.0, 2.5, 4.75, 8.125, 13.188, 20.781, 32.172, 47.172, 62.172]);
}

#[test]
fn fixed_repeats() {
    assert_eq!(ages(&Schedule::fixed(secs(10.0)).unwrap(), 0.0, 3), [10.0, 20.0, 30.0]);
}

#[test]
fn a_list_is_walked_and_its_last_delay_repeats() {
    let list = Schedule::delays([1, 2, 5].map(Duration::from_secs)).unwrap();
    assert_eq!(ages(&list, 0.0, 5), [1.0, 3.0, 8.0, 13.0, 18.0]);
}

#[test]
fn a_list_skips_the_delays_that_an_age_has_passed() {
    let list = Schedule::delays([1, 2, 5].map(Duration::from_secs)).unwrap();
    let skipped = [0.0, 0.9, 1.0, 2.9, 3.0, 7.9, 8.0, 1e9].map(|age| list.delays_until(secs(age)));
    assert_eq!(skipped, [0, 0, 1, 1, 2, 2, 3, 3]);
    assert_eq!(list.next_delay(3_500_000_000, 0, 2, 0.0), 5_000_000_000);
    assert_eq!(Schedule::default().delays_until(secs(90.0)), 0);
}

#[test]
fn an_endless_list_is_read_no_further_than_its_bound() {
    let list = Schedule::delays((1..).map(Duration::from_millis)).unwrap();
    assert_eq!(list.delay(0, u32::MAX), 1_000_000_000);
}

#[test]
fn the_first_delay_has_the_wider_jitter() {
    let fixed = Schedule::fixed(secs(10.0)).unwrap();
    let u = 1.0 - f64::EPSILON;
    assert_eq!(ages(&fixed, u, 2), [5.0, 13.0]);
}

#[test]
fn bad_input_names_field_and_value() {
    let rows = [
        (Schedule::exponential(secs(0.0), 2.0, secs(1.0)), "first delay 0s is not above zero"),
        (
            Schedule::exponential(secs(1.0), 0.5, secs(1.0)),
            "factor 0.5 is not a number of 1 or more",
        ),
        (
            Schedule::exponential(secs(1.0), f64::NAN, secs(1.0)),
            "factor NaN is not a number of 1 or more",
        ),
        (
            Schedule::exponential(secs(2.0), 1.5, secs(0.5)),
            "max delay 500ms is shorter than first delay 2s",
        ),
        (Schedule::fixed(secs(0.0)), "interval 0s is not above zero"),
        (Schedule::delays([]), "delays hold no delay: the list is empty"),
        (
            Schedule::delays([secs(1.0), secs(0.0)]),
            "delays hold 0s at index 1, which is not above zero",
        ),
    ];
    for (schedule, message) in rows {
        assert_eq!(schedule.unwrap_err().to_string(), message);
    }
}

proptest! {
    #[test]
    fn a_delay_stays_between_four_fifths_of_grown_and_the_maximum(
        first in 1_u64..100_000, factor in 1.0_f64..4.0, extra in 0_u64..1_000_000,
        age in 0_u64..10_000_000_000, n in 0_u32..2_000, u in 0.0_f64..1.0,
    ) {
        let (first, max) = (Duration::from_millis(first), Duration::from_millis(first + extra));
        let schedule = Schedule::exponential(first, factor, max).unwrap();
        let age = age * 1_000_000;
        let grown = schedule.delay(age, n);
        let rest = schedule.next_delay(age, n, 0, u);
        prop_assert!(grown <= nanos(max) && rest <= grown);
        let least = to_nanos(grown as f64 * if n == 0 { 0.499_999 } else { 0.799_999 });
        prop_assert!(rest >= least);
    }
}

#[test]
fn extremes_saturate() {
    let schedule = Schedule::exponential(secs(1.0), f64::MAX, Duration::MAX).unwrap();
    assert_eq!(schedule.next_delay(u64::MAX, 1, 0, 0.0), u64::MAX);
    assert_eq!(schedule.next_delay(nanos(secs(1e10)), 1, 0, 0.0), u64::MAX);
}

//! Rule 8 on the throttle alone.

use super::world::*;
use crate::Quota;
use crate::board::throttle::{HeldBackBy, Throttle};

#[test]
fn rule_08_the_same_quota_named_again_keeps_its_bucket() {
    let quota = Quota::new(100, secs(90)).unwrap();
    let mut throttle = Throttle::new(7, 32, None);
    throttle.throttled(at(1_000), at(900), Some(ms(100)), Some(quota));
    let empty = throttle.free_at(at(1_200)).since(at(1_000));
    assert!((ms(1_000)..ms(1_200)).contains(&empty), "an empty bucket at first: {empty:?}");
    throttle.throttled(at(100_000), at(99_900), Some(ms(100)), Some(quota));
    assert_eq!(throttle.free_at(at(100_000)), at(100_100), "a full one, and the pause");
    throttle.throttled(at(200_000), at(199_900), Some(ms(100)), Some(quota.with_burst(1)));
    assert!(throttle.free_at(at(200_000)) > at(200_900), "another quota is adopted anew");
}

/// A deadline names what held a job back (rule 5).
#[test]
fn rule_08_what_holds_a_request_back_does_so_until_it_may_be_sent() {
    let mut throttle = Throttle::new(7, 32, None);
    let one_a_day = Quota::new(1, secs(86_400)).unwrap();
    throttle.throttled(at(1_000), at(900), Some(ms(100)), Some(one_a_day));
    for now in [at(1_000), at(1_100), at(240_999)] {
        assert_eq!(throttle.free_at(now), at(241_000), "a quota is believed for four minutes");
        assert_eq!(throttle.holds_back(now), Some(HeldBackBy::Service), "{now:?}");
    }
    for now in [at(241_000), at(241_001)] {
        assert!(throttle.free_at(now) <= now);
        assert_eq!(throttle.holds_back(now), None, "{now:?}");
    }
}

#[test]
fn rule_08_an_adaptive_rate_ends_where_it_has_grown_beyond_a_thousand_calls_a_second() {
    let mut throttle = Throttle::new(7, 32, None);
    (0..60_000).for_each(|_| throttle.good(at(1_000), at(900)));
    // Half of them in each minute: one in two milliseconds, and a tenth more each ten seconds.
    throttle.throttled(at(1_000), at(999), Some(ms(1)), None);
    for (now, is_limited) in [(at(71_000), true), (at(81_000), false)] {
        (0..2).for_each(|_| throttle.spend(now));
        assert_eq!(throttle.free_at(now) > now, is_limited, "{now:?}");
    }
}

//! Refusals and failures in a row: which are final, and after how long.

use super::*;

#[test]
fn a_wrong_key_is_final_at_once() {
    for refused in [Refusal::Key, Refusal::Token] {
        let mut state = key();
        decide(&mut state, at(0));
        let number = current(&state);
        assert!(state.refused(at(0), number, refused, Some(at(1000)), &refusal()).is_some());
        assert_eq!(decide(&mut state, at(HOUR)), "fail Unauthorized");
    }
}

/// Plays calls at each of the given milliseconds, all of which are refused, and returns what each may do. A renewal
/// returns the token that `renew` makes of the time.
fn play_refusals(
    state: &mut CredentialState,
    times: &[u64],
    renew: impl Fn(u64) -> String,
) -> Vec<String> {
    let mut told = Vec::new();
    for &ms in times {
        let now = at(0) + Duration::from_millis(ms);
        let mut decision = decide(state, now);
        if decision.starts_with("renew") {
            state.renewed(now, renewal(state), Ok(new_token(&renew(ms), None)));
            decision = decide(state, now);
        }
        if decision.starts_with("probe") {
            assert_eq!(decide(state, now), "wait", "one request at a time carries it");
        }
        if !decision.starts_with("fail") {
            let number = current(state);
            refuse(state, now, number);
        }
        told.push(decision);
    }
    told
}

fn transient(left: &str) -> String {
    format!("fail Transient {{ retry_after: Some({left}) }}")
}

#[test]
fn what_was_accepted_is_refused_for_good_after_three_refusals_over_ten_seconds() {
    let material =
        AuthMaterial::Token { secret: "a".into(), header: HeaderValue::from_static("a") };
    let mut state = CredentialState::fixed(material, Duration::from_secs(11));
    decide(&mut state, at(0));
    state.accepted(current(&state));
    let times = [0, 0, 999, 1_000, 1_000, 9_999, 10_000, 10_000, 3_600_000];
    let told = play_refusals(&mut state, &times, |_| String::new());
    let expected = [
        "go a".to_owned(),
        transient("1s"),
        transient("1ms"),
        "probe a".to_owned(),
        transient("9s"),
        transient("1ms"),
        "probe a".to_owned(),
        "fail Unauthorized".to_owned(),
        "fail Unauthorized".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn renewed_tokens_are_refused_for_good_after_as_long() {
    let mut state = proven(None);
    let times = [0, 100, 1_099, 1_100, 9_999, 10_000, 10_000];
    let told = play_refusals(&mut state, &times, |ms| format!("t{ms}"));
    let expected = [
        "go a".to_owned(),
        // The first renewal is at once.
        "probe t100".to_owned(),
        transient("1ms"),
        "probe t1100".to_owned(),
        transient("1ms"),
        "probe t10000".to_owned(),
        "fail Unauthorized".to_owned(),
    ];
    assert_eq!(told, expected);
    // The same for a source that has but one token.
    let mut state = proven(None);
    let told = play_refusals(&mut state, &times, |_| "a".to_owned());
    let expected = [
        "go a".to_owned(),
        transient("1s"),
        transient("1ms"),
        "probe a".to_owned(),
        transient("1ms"),
        "probe a".to_owned(),
        "fail Unauthorized".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn an_accepted_request_ends_a_row_of_refusals() {
    let mut state = key();
    decide(&mut state, at(0));
    for start in [0, 100, 200] {
        state.accepted(current(&state));
        let number = current(&state);
        assert!(refuse(&mut state, at(start), number).is_some());
        assert!(refuse(&mut state, at(start), number).is_none(), "a straggler counts no more");
        assert!(decide(&mut state, at(start + 1)).starts_with("probe"));
        assert!(refuse(&mut state, at(start + 1), number).is_none(), "nor later");
        let number = current(&state);
        assert!(refuse(&mut state, at(start + 1), number).is_some());
        assert!(decide(&mut state, at(start + 10)).starts_with("probe"));
    }
}

#[test]
fn a_clock_that_stands_or_goes_back_does_not_make_a_row_endless() {
    let mut state = key();
    decide(&mut state, at(50));
    state.accepted(current(&state));
    let told =
        play_refusals(&mut state, &[50_000, 40_000, 30_000, 20_000, 10_000, 0], |_| String::new());
    let refused = told.iter().filter(|decision| !decision.starts_with("fail")).count();
    assert_eq!(u32::try_from(refused), Ok(Row::MAX_REFUSALS), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("fail Unauthorized"));
}

#[test]
fn a_renewal_fails_for_good_after_as_many_odd_or_refused_answers() {
    let unexpected = |can_pass| Class::Unexpected { can_pass };
    let fail = |state: &mut CredentialState, ms, class| {
        let now = at(0) + Duration::from_millis(ms);
        if decide(state, now).starts_with("renew") {
            let ticket = renewal(state);
            state.renewed(
                now,
                ticket,
                Err(Error::new(Operation::Token, ErrorKind::Service, class)),
            );
        }
        decide(state, now)
    };
    // Before a token was ever issued.
    for (class, end) in [
        (Class::Unauthorized, "fail Unauthorized"),
        (unexpected(false), "fail Fatal"),
        (Class::Fatal, "fail Fatal"),
    ] {
        assert_eq!(fail(&mut renewable(), 0, class), end);
    }
    // After one was, and at any time if it is an answer that can pass.
    let rows = [
        (proven(None), Class::Unauthorized, "fail Unauthorized"),
        (proven(None), unexpected(false), "fail Fatal"),
        (proven(None), unexpected(true), "fail Fatal"),
        (renewable(), unexpected(true), "fail Fatal"),
    ];
    for (mut state, class, end) in rows {
        if let Some(a) = state.current.clone() {
            refuse(&mut state, at(0), a.number);
        }
        for ms in [0, 999, 1_000, 9_999] {
            let told = fail(&mut state, ms, class);
            assert_eq!(told, "fail Transient { retry_after: None }", "{class:?} {ms}");
        }
        assert_eq!(state.failures.map(|row| row.count), Some(2), "{class:?}");
        assert_eq!(fail(&mut state, 10_000, class), end, "{class:?}");
    }
    // A token ends the row.
    let mut state = renewable();
    fail(&mut state, 0, unexpected(true));
    decide(&mut state, at(1));
    state.renewed(at(1), renewal(&state), Ok(new_token("a", None)));
    assert!(state.failures.is_none() && state.failure.is_none());
    assert_eq!(decide(&mut state, at(1)), "probe a");
}

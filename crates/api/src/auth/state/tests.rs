use reqwest::header::HeaderValue;

use super::*;
use crate::{ErrorKind, error::Operation};

const HOUR: u64 = 3600;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn new_token(token: &str, life: Option<u64>) -> Renewed {
    let header = HeaderValue::from_str(token).unwrap();
    let life = life.map(Duration::from_secs);
    let material = AuthMaterial::Token { secret: token.into(), header };
    Renewed { material, life, project_id: None, endpoint: CatalogEndpoint::None }
}

fn refusal() -> Error {
    Error::new(Operation::Token, ErrorKind::Refused, Class::Unauthorized)
}

fn renewable() -> CredentialState {
    CredentialState::renewable(Duration::from_secs(11), Duration::from_secs(11))
}

fn key() -> CredentialState {
    CredentialState::fixed(AuthMaterial::Key { clock: ClockSkew::NONE }, Duration::from_secs(11))
}

/// What a call at `now` may do, in a word; the numbers are a generation's and a probe's.
fn decide(state: &mut CredentialState, now: SystemTime) -> String {
    match state.decide(now) {
        Decision::Proceed { generation, probe: Some(_) } => format!("probe {}", token(&generation)),
        Decision::Proceed { generation, probe: None } => format!("go {}", token(&generation)),
        Decision::Renew { reason, .. } => format!("renew {reason:?}"),
        Decision::Wait => "wait".to_owned(),
        Decision::Fail { error, .. } => format!("fail {:?}", error.class()),
    }
}

fn token(generation: &Generation) -> String {
    match &generation.material {
        AuthMaterial::Token { secret, .. } => secret.expose_secret().to_owned(),
        AuthMaterial::Key { clock } => format!("{clock:?}"),
    }
}

fn renewal(state: &CredentialState) -> u64 {
    state.renewal.unwrap().ticket
}

fn current(state: &CredentialState) -> u64 {
    state.current.as_ref().unwrap().number
}

/// Returns a state with token `a`, accepted at 0, that lasts for `life`.
fn proven(life: Option<u64>) -> CredentialState {
    let mut state = renewable();
    decide(&mut state, at(0));
    state.renewed(at(0), renewal(&state), Ok(new_token("a", life)));
    decide(&mut state, at(0));
    state.accepted(current(&state));
    state
}

fn refuse(state: &mut CredentialState, now: SystemTime, number: u64) -> Option<Error> {
    state.refused(now, number, Refusal::Token, None, &refusal())
}

#[test]
fn one_renewal_and_one_probe_serve_all() {
    let mut state = renewable();
    assert_eq!(decide(&mut state, at(0)), "renew First");
    assert_eq!(decide(&mut state, at(0)), "wait");
    let ticket = renewal(&state);
    state.renewed(at(1), ticket, Ok(new_token("a", None)));
    assert_eq!(decide(&mut state, at(1)), "probe a");
    assert_eq!(decide(&mut state, at(1)), "wait");
    state.accepted(current(&state));
    assert_eq!([decide(&mut state, at(1)), decide(&mut state, at(1))], ["go a", "go a"]);
}

#[test]
fn a_probe_that_tells_nothing_is_followed_by_another() {
    let mut state = key();
    let Decision::Proceed { probe: Some(first), .. } = state.decide(at(0)) else {
        panic!("no probe")
    };
    state.unanswered(first);
    let Decision::Proceed { probe: Some(second), .. } = state.decide(at(0)) else {
        panic!("no probe")
    };
    state.unanswered(first);
    assert_eq!(decide(&mut state, at(0)), "wait", "only its own ticket ends a probe");
    state.unanswered(second);
    assert!(decide(&mut state, at(0)).starts_with("probe"));
}

#[test]
fn who_holds_a_probe_or_renewal_beyond_its_limit_is_passed_over() {
    let mut state = key();
    decide(&mut state, at(0));
    assert_eq!(decide(&mut state, at(11)), "wait");
    assert!(decide(&mut state, at(12)).starts_with("probe"));
    // A clock that went back cannot make it wait.
    assert!(decide(&mut state, at(5)).starts_with("probe"));

    let mut state = renewable();
    decide(&mut state, at(0));
    let abandoned = renewal(&state);
    assert_eq!(decide(&mut state, at(11)), "wait");
    assert_eq!(decide(&mut state, at(12)), "renew First");
    state.renewed(at(12), abandoned, Ok(new_token("late", None)));
    assert_eq!(decide(&mut state, at(12)), "wait", "its late result is ignored");
}

#[test]
fn a_refused_generation_is_renewed_once_however_many_calls_carried_it() {
    let mut state = proven(None);
    let a = current(&state);
    assert!(refuse(&mut state, at(9), a).is_none());
    assert!(refuse(&mut state, at(9), a).is_none());
    assert_eq!([decide(&mut state, at(9)), decide(&mut state, at(9))], ["renew Refused", "wait"]);
    assert!(refuse(&mut state, at(9), a).is_none());
    state.renewed(at(10), renewal(&state), Ok(new_token("b", None)));
    assert!(refuse(&mut state, at(10), a).is_none(), "a straggler says nothing about the new one");
    state.accepted(a);
    assert_eq!([decide(&mut state, at(10)), decide(&mut state, at(10))], ["probe b", "wait"]);
    state.accepted(current(&state));
    // An accepted token may be refused and renewed again.
    let b = current(&state);
    assert!(refuse(&mut state, at(11), b).is_none());
    assert_eq!(decide(&mut state, at(11)), "renew Refused");
}

#[test]
fn two_refusals_in_a_row_of_what_was_never_accepted_are_final() {
    let mut state = renewable();
    decide(&mut state, at(9));
    state.renewed(at(9), renewal(&state), Ok(new_token("a", None)));
    decide(&mut state, at(9));
    let a = current(&state);
    assert!(refuse(&mut state, at(9), a).is_none());
    decide(&mut state, at(9));
    state.renewed(at(9), renewal(&state), Ok(new_token("b", None)));
    decide(&mut state, at(9));
    let b = current(&state);
    assert!(refuse(&mut state, at(9), b).is_some());
    assert_eq!(decide(&mut state, at(99 * HOUR)), "fail Unauthorized");
}

#[test]
fn the_refused_token_again_is_final() {
    let mut state = renewable();
    decide(&mut state, at(9));
    state.renewed(at(9), renewal(&state), Ok(new_token("a", None)));
    decide(&mut state, at(9));
    let a = current(&state);
    refuse(&mut state, at(9), a);
    decide(&mut state, at(9));
    state.renewed(at(9), renewal(&state), Ok(new_token("a", None)));
    assert_eq!(decide(&mut state, at(9)), "fail Unauthorized");
    // But a token that was not refused may come again, when a provider does not know a newer one yet.
    let mut state = proven(Some(HOUR));
    assert_eq!(decide(&mut state, at(HOUR)), "renew Expiring");
    state.renewed(at(HOUR), renewal(&state), Ok(new_token("a", Some(HOUR))));
    assert_eq!(decide(&mut state, at(HOUR)), "probe a");
}

#[test]
fn a_token_that_cannot_be_renewed_is_refused_once() {
    let material =
        AuthMaterial::Token { secret: "a".into(), header: HeaderValue::from_static("a") };
    let mut state = CredentialState::fixed(material, Duration::from_secs(11));
    assert_eq!(decide(&mut state, at(0)), "probe a");
    let a = current(&state);
    assert!(refuse(&mut state, at(0), a).is_some());
    assert_eq!(decide(&mut state, at(0)), "fail Unauthorized");
    assert!(refuse(&mut state, at(0), a).is_some(), "stragglers hear the same");
}

#[test]
fn a_token_is_renewed_ahead_while_calls_go_on_with_it() {
    let mut state = proven(Some(HOUR));
    assert!(state.renew_ahead(at(HOUR - 301)).is_none());
    assert_eq!(decide(&mut state, at(HOUR - 300)), "go a");
    let ticket = state.renew_ahead(at(HOUR - 300)).unwrap();
    assert!(state.renew_ahead(at(HOUR - 299)).is_none(), "one at a time");
    assert_eq!(decide(&mut state, at(HOUR - 299)), "go a");
    state.renewed(at(HOUR - 299), ticket, Ok(new_token("b", Some(HOUR))));
    assert_eq!(decide(&mut state, at(HOUR - 299)), "probe b");
    // A tenth of a short life.
    let mut state = proven(Some(100));
    assert!(state.renew_ahead(at(89)).is_none());
    assert!(state.renew_ahead(at(90)).is_some());
}

#[test]
fn a_failed_renewal_ahead_harms_nobody_before_the_token_ends() {
    for class in [Class::Transient { retry_after: None }, Class::Fatal] {
        let mut state = proven(Some(HOUR));
        let ticket = state.renew_ahead(at(HOUR - 300)).unwrap();
        state.renewed(
            at(HOUR - 300),
            ticket,
            Err(Error::new(Operation::Token, ErrorKind::Service, class)),
        );
        assert_eq!(decide(&mut state, at(HOUR - 1)), "go a");
        let after = if class == Class::Fatal { "fail Fatal" } else { "renew Expiring" };
        assert_eq!(decide(&mut state, at(HOUR)), after);
    }
}

#[test]
fn a_token_is_tried_before_its_age_counts() {
    let mut state = renewable();
    decide(&mut state, at(0));
    state.renewed(at(0), renewal(&state), Ok(new_token("a", Some(0))));
    assert_eq!(decide(&mut state, at(HOUR)), "probe a");
    state.accepted(current(&state));
    assert_eq!(decide(&mut state, at(HOUR)), "renew Expiring");
}

#[test]
fn throttled_renewals_pause_calls_for_the_rest_of_the_pause_and_lower_no_rate() {
    let throttled = |retry_after: Option<u64>| {
        let retry_after = retry_after.map(Duration::from_secs);
        let class = Class::Throttled { retry_after, quota: None };
        Error::new(Operation::Token, ErrorKind::Throttled, class)
    };
    for (retry_after, seconds) in [(Some(2), 2), (None, 1)] {
        let mut state = renewable();
        decide(&mut state, at(0));
        state.renewed(at(0), renewal(&state), Err(throttled(retry_after)));
        let left = |left: Duration| format!("fail Transient {{ retry_after: Some({left:?}) }}");
        let length = Duration::from_secs(seconds);
        let moment = Duration::from_millis(250);
        assert_eq!(decide(&mut state, at(0)), left(length));
        assert_eq!(decide(&mut state, at(0) + moment), left(length - moment));
        assert_eq!(decide(&mut state, at(seconds)), "renew First");
    }
}

#[test]
fn failed_renewals_are_spaced_and_their_failure_shared() {
    let mut state = renewable();
    let failure = |retry_after| {
        Error::new(Operation::Token, ErrorKind::Service, Class::Transient { retry_after })
    };
    let mut now = 0;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(decide(&mut state, at(now)), "renew First");
        state.renewed(at(now), renewal(&state), Err(failure(None)));
        assert!(decide(&mut state, at(now + pause - 1)).starts_with("fail Transient"));
        now += pause;
    }
    assert_eq!(decide(&mut state, at(now)), "renew First");
    state.renewed(at(now), renewal(&state), Err(failure(Some(Duration::from_secs(200)))));
    assert!(decide(&mut state, at(now + 199)).starts_with("fail Transient"));
    assert_eq!(decide(&mut state, at(now + 200)), "renew First");
    state.renewed(at(now + 200), renewal(&state), Err(refusal()));
    assert_eq!(
        decide(&mut state, at(99 * HOUR)),
        "fail Unauthorized",
        "a wrong password is never repeated"
    );
}

#[test]
fn a_keys_clock_is_corrected_once() {
    let clock = |state: &mut CredentialState, servers| {
        let number = current(state);
        state.refused(at(0), number, Refusal::Clock, servers, &refusal())
    };
    let mut state = key();
    decide(&mut state, at(0));
    assert!(clock(&mut state, Some(at(1000))).is_none());
    assert_eq!(decide(&mut state, at(0)), "probe Ahead(1000s)");
    assert!(clock(&mut state, Some(at(2000))).is_some());
    assert_eq!(decide(&mut state, at(0)), "fail Unauthorized");

    // Not again, although it was right meanwhile: otherwise a server could collect signatures for any time.
    let mut state = key();
    decide(&mut state, at(0));
    assert!(clock(&mut state, Some(at(0) - Duration::from_secs(7))).is_none());
    assert_eq!(decide(&mut state, at(0)), "probe Behind(7s)");
    state.accepted(current(&state));
    assert!(clock(&mut state, Some(at(1000))).is_some());
    assert_eq!(decide(&mut state, at(1)), "probe Behind(7s)");

    // By a day at most, in either direction.
    let day = Duration::from_secs(24 * HOUR);
    let second = Duration::from_secs(1);
    for (servers, is_corrected) in [
        (at(0) + day, true),
        (at(0) + day + second, false),
        (SystemTime::UNIX_EPOCH + (Duration::from_secs(1_000_000) - day), true),
        (SystemTime::UNIX_EPOCH + (Duration::from_secs(1_000_000) - day - second), false),
    ] {
        let mut state = key();
        decide(&mut state, at(0));
        assert_eq!(clock(&mut state, Some(servers)).is_none(), is_corrected, "{servers:?}");
    }

    // Without the server's time there is nothing to correct it by.
    let mut state = key();
    decide(&mut state, at(0));
    assert!(clock(&mut state, None).is_some());
}

#[test]
fn a_locked_key_rests_for_five_minutes_and_is_then_probed() {
    let mut state = key();
    decide(&mut state, at(0));
    state.accepted(current(&state));
    let number = current(&state);
    let error = state.refused(at(0), number, Refusal::LockedOut, None, &refusal()).unwrap();
    assert_eq!(error.retry_after(), Some(LOCKOUT));
    assert_eq!(
        decide(&mut state, at(100)),
        "fail Throttled { retry_after: Some(200s), quota: None }"
    );
    assert!(decide(&mut state, at(300)).starts_with("probe"));
    assert_eq!(decide(&mut state, at(300)), "wait");
}

#[test]
fn a_correction_of_the_clock_is_applied_without_overflow() {
    let second = Duration::from_secs(1);
    assert_eq!(ClockSkew::Ahead(second).apply(at(0)), at(1));
    assert_eq!(ClockSkew::Behind(second).apply(at(1)), at(0));
    assert_eq!(ClockSkew::Ahead(Duration::MAX).apply(at(0)), at(0));
}

mod refusals;

use super::*;
use crate::{ErrorKind, error::What};

const HOUR: u64 = 3600;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn fresh(token: &str, life: Option<u64>) -> Fresh {
    let header = HeaderValue::from_str(token).unwrap();
    let life = life.map(Duration::from_secs);
    Fresh { secret: token.into(), header, life, project_id: None, endpoint: None }
}

fn refusal() -> Error {
    Error::new(What::Token, ErrorKind::Refused, Class::Unauthorized)
}

fn renewable() -> Ledger {
    Ledger::renewable(Duration::from_secs(11), Duration::from_secs(11))
}

fn key() -> Ledger {
    Ledger::fixed(Proof::Key { clock: Correction::NONE }, Duration::from_secs(11))
}

/// What a call at `now` may do, in a word; the numbers are a generation's and a probe's.
fn ask(ledger: &mut Ledger, now: SystemTime) -> String {
    match ledger.ask(now) {
        Ask::Go { generation, probe: Some(_) } => format!("probe {}", token(&generation)),
        Ask::Go { generation, probe: None } => format!("go {}", token(&generation)),
        Ask::Renew { why, .. } => format!("renew {why:?}"),
        Ask::Wait => "wait".to_owned(),
        Ask::Fail { error, .. } => format!("fail {:?}", error.class()),
    }
}

fn token(generation: &Generation) -> String {
    match &generation.proof {
        Proof::Token { secret, .. } => secret.expose_secret().to_owned(),
        Proof::Key { clock } => format!("{clock:?}"),
    }
}

fn renewal(ledger: &Ledger) -> u64 {
    ledger.renewal.unwrap().ticket
}

fn current(ledger: &Ledger) -> u64 {
    ledger.current.as_ref().unwrap().number
}

/// A ledger with token `a`, let through at 0, that is good for `life`.
fn proven(life: Option<u64>) -> Ledger {
    let mut ledger = renewable();
    ask(&mut ledger, at(0));
    ledger.renewed(at(0), renewal(&ledger), Ok(fresh("a", life)));
    ask(&mut ledger, at(0));
    ledger.accepted(current(&ledger));
    ledger
}

fn refuse(ledger: &mut Ledger, now: SystemTime, number: u64) -> Option<Error> {
    ledger.refused(now, number, Refusal::Token, None, &refusal())
}

#[test]
fn one_renewal_and_one_probe_serve_all() {
    let mut ledger = renewable();
    assert_eq!(ask(&mut ledger, at(0)), "renew First");
    assert_eq!(ask(&mut ledger, at(0)), "wait");
    let ticket = renewal(&ledger);
    ledger.renewed(at(1), ticket, Ok(fresh("a", None)));
    assert_eq!(ask(&mut ledger, at(1)), "probe a");
    assert_eq!(ask(&mut ledger, at(1)), "wait");
    ledger.accepted(current(&ledger));
    assert_eq!([ask(&mut ledger, at(1)), ask(&mut ledger, at(1))], ["go a", "go a"]);
}

#[test]
fn a_probe_that_tells_nothing_is_followed_by_another() {
    let mut ledger = key();
    let Ask::Go { probe: Some(first), .. } = ledger.ask(at(0)) else { panic!("no probe") };
    ledger.unanswered(first);
    let Ask::Go { probe: Some(second), .. } = ledger.ask(at(0)) else { panic!("no probe") };
    ledger.unanswered(first);
    assert_eq!(ask(&mut ledger, at(0)), "wait", "only its own ticket ends a probe");
    ledger.unanswered(second);
    assert!(ask(&mut ledger, at(0)).starts_with("probe"));
}

#[test]
fn who_holds_a_probe_or_renewal_beyond_its_limit_is_passed_over() {
    let mut ledger = key();
    ask(&mut ledger, at(0));
    assert_eq!(ask(&mut ledger, at(11)), "wait");
    assert!(ask(&mut ledger, at(12)).starts_with("probe"));
    // A clock that went back cannot make it wait.
    assert!(ask(&mut ledger, at(5)).starts_with("probe"));

    let mut ledger = renewable();
    ask(&mut ledger, at(0));
    let abandoned = renewal(&ledger);
    assert_eq!(ask(&mut ledger, at(11)), "wait");
    assert_eq!(ask(&mut ledger, at(12)), "renew First");
    ledger.renewed(at(12), abandoned, Ok(fresh("late", None)));
    assert_eq!(ask(&mut ledger, at(12)), "wait", "its late result is ignored");
}

#[test]
fn a_refused_generation_is_renewed_once_however_many_calls_carried_it() {
    let mut ledger = proven(None);
    let a = current(&ledger);
    assert!(refuse(&mut ledger, at(9), a).is_none());
    assert!(refuse(&mut ledger, at(9), a).is_none());
    assert_eq!([ask(&mut ledger, at(9)), ask(&mut ledger, at(9))], ["renew Refused", "wait"]);
    assert!(refuse(&mut ledger, at(9), a).is_none());
    ledger.renewed(at(10), renewal(&ledger), Ok(fresh("b", None)));
    assert!(refuse(&mut ledger, at(10), a).is_none(), "a straggler says nothing about the new one");
    ledger.accepted(a);
    assert_eq!([ask(&mut ledger, at(10)), ask(&mut ledger, at(10))], ["probe b", "wait"]);
    ledger.accepted(current(&ledger));
    // What was let through once may be refused and renewed again.
    let b = current(&ledger);
    assert!(refuse(&mut ledger, at(11), b).is_none());
    assert_eq!(ask(&mut ledger, at(11)), "renew Refused");
}

#[test]
fn two_refusals_in_a_row_are_final() {
    let mut ledger = proven(None);
    let a = current(&ledger);
    assert!(refuse(&mut ledger, at(9), a).is_none());
    ask(&mut ledger, at(9));
    ledger.renewed(at(9), renewal(&ledger), Ok(fresh("b", None)));
    ask(&mut ledger, at(9));
    let b = current(&ledger);
    assert!(refuse(&mut ledger, at(9), b).is_some());
    assert_eq!(ask(&mut ledger, at(99 * HOUR)), "fail Unauthorized");
}

#[test]
fn the_refused_token_again_is_final() {
    let mut ledger = proven(None);
    let a = current(&ledger);
    refuse(&mut ledger, at(9), a);
    ask(&mut ledger, at(9));
    ledger.renewed(at(9), renewal(&ledger), Ok(fresh("a", None)));
    assert_eq!(ask(&mut ledger, at(9)), "fail Unauthorized");
    // But a token that was not refused may come again, when a provider does not know a newer one yet.
    let mut ledger = proven(Some(HOUR));
    assert_eq!(ask(&mut ledger, at(HOUR)), "renew Expiring");
    ledger.renewed(at(HOUR), renewal(&ledger), Ok(fresh("a", Some(HOUR))));
    assert_eq!(ask(&mut ledger, at(HOUR)), "probe a");
}

#[test]
fn a_token_that_cannot_be_renewed_is_refused_once() {
    let proof = Proof::Token { secret: "a".into(), header: HeaderValue::from_static("a") };
    let mut ledger = Ledger::fixed(proof, Duration::from_secs(11));
    assert_eq!(ask(&mut ledger, at(0)), "probe a");
    let a = current(&ledger);
    assert!(refuse(&mut ledger, at(0), a).is_some());
    assert_eq!(ask(&mut ledger, at(0)), "fail Unauthorized");
    assert!(refuse(&mut ledger, at(0), a).is_some(), "stragglers hear the same");
}

#[test]
fn a_token_is_renewed_ahead_while_calls_go_on_with_it() {
    let mut ledger = proven(Some(HOUR));
    assert!(ledger.ask_ahead(at(HOUR - 301)).is_none());
    assert_eq!(ask(&mut ledger, at(HOUR - 300)), "go a");
    let ticket = ledger.ask_ahead(at(HOUR - 300)).unwrap();
    assert!(ledger.ask_ahead(at(HOUR - 299)).is_none(), "one at a time");
    assert_eq!(ask(&mut ledger, at(HOUR - 299)), "go a");
    ledger.renewed(at(HOUR - 299), ticket, Ok(fresh("b", Some(HOUR))));
    assert_eq!(ask(&mut ledger, at(HOUR - 299)), "probe b");
    // A tenth of a short life.
    let mut ledger = proven(Some(100));
    assert!(ledger.ask_ahead(at(89)).is_none());
    assert!(ledger.ask_ahead(at(90)).is_some());
}

#[test]
fn a_failed_renewal_ahead_harms_nobody_before_the_token_ends() {
    for class in [Class::Transient { retry_after: None }, Class::Fatal] {
        let mut ledger = proven(Some(HOUR));
        let ticket = ledger.ask_ahead(at(HOUR - 300)).unwrap();
        ledger.renewed(
            at(HOUR - 300),
            ticket,
            Err(Error::new(What::Token, ErrorKind::Service, class)),
        );
        assert_eq!(ask(&mut ledger, at(HOUR - 1)), "go a");
        let after = if class == Class::Fatal { "fail Fatal" } else { "renew Expiring" };
        assert_eq!(ask(&mut ledger, at(HOUR)), after);
    }
}

#[test]
fn a_token_is_tried_before_its_age_counts() {
    let mut ledger = renewable();
    ask(&mut ledger, at(0));
    ledger.renewed(at(0), renewal(&ledger), Ok(fresh("a", Some(0))));
    assert_eq!(ask(&mut ledger, at(HOUR)), "probe a");
    ledger.accepted(current(&ledger));
    assert_eq!(ask(&mut ledger, at(HOUR)), "renew Expiring");
}

#[test]
fn failed_renewals_are_spaced_and_their_failure_shared() {
    let mut ledger = renewable();
    let failure =
        |retry_after| Error::new(What::Token, ErrorKind::Service, Class::Transient { retry_after });
    let mut now = 0;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(ask(&mut ledger, at(now)), "renew First");
        ledger.renewed(at(now), renewal(&ledger), Err(failure(None)));
        assert!(ask(&mut ledger, at(now + pause - 1)).starts_with("fail Transient"));
        now += pause;
    }
    assert_eq!(ask(&mut ledger, at(now)), "renew First");
    ledger.renewed(at(now), renewal(&ledger), Err(failure(Some(Duration::from_secs(200)))));
    assert!(ask(&mut ledger, at(now + 199)).starts_with("fail Transient"));
    assert_eq!(ask(&mut ledger, at(now + 200)), "renew First");
    ledger.renewed(at(now + 200), renewal(&ledger), Err(refusal()));
    assert_eq!(
        ask(&mut ledger, at(99 * HOUR)),
        "fail Unauthorized",
        "a wrong password is never repeated"
    );
}

#[test]
fn a_keys_clock_is_corrected_once() {
    let clock = |ledger: &mut Ledger, servers| {
        let number = current(ledger);
        ledger.refused(at(0), number, Refusal::Clock, servers, &refusal())
    };
    let mut ledger = key();
    ask(&mut ledger, at(0));
    assert!(clock(&mut ledger, Some(at(1000))).is_none());
    assert_eq!(ask(&mut ledger, at(0)), "probe Ahead(1000s)");
    assert!(clock(&mut ledger, Some(at(2000))).is_some());
    assert_eq!(ask(&mut ledger, at(0)), "fail Unauthorized");

    // It may be corrected again after it was right once, and in either direction.
    let mut ledger = key();
    ask(&mut ledger, at(0));
    clock(&mut ledger, Some(at(1000)));
    ask(&mut ledger, at(0));
    ledger.accepted(current(&ledger));
    assert!(clock(&mut ledger, Some(at(0) - Duration::from_secs(7))).is_none());
    assert_eq!(ask(&mut ledger, at(0)), "probe Behind(7s)");

    // Without the server's time there is nothing to correct it by.
    let mut ledger = key();
    ask(&mut ledger, at(0));
    assert!(clock(&mut ledger, None).is_some());
}

#[test]
fn a_wrong_key_is_final_at_once() {
    for refused in [Refusal::Key, Refusal::Token] {
        let mut ledger = key();
        ask(&mut ledger, at(0));
        let number = current(&ledger);
        assert!(ledger.refused(at(0), number, refused, Some(at(1000)), &refusal()).is_some());
        assert_eq!(ask(&mut ledger, at(HOUR)), "fail Unauthorized");
    }
}

#[test]
fn a_locked_key_rests_for_five_minutes_and_is_then_probed() {
    let mut ledger = key();
    ask(&mut ledger, at(0));
    ledger.accepted(current(&ledger));
    let number = current(&ledger);
    let error = ledger.refused(at(0), number, Refusal::LockedOut, None, &refusal()).unwrap();
    assert_eq!(error.retry_after(), Some(LOCK_OUT));
    assert_eq!(
        ask(&mut ledger, at(100)),
        "fail Throttled { retry_after: Some(200s), quota: None }"
    );
    assert!(ask(&mut ledger, at(300)).starts_with("probe"));
    assert_eq!(ask(&mut ledger, at(300)), "wait");
}

#[test]
fn a_correction_of_the_clock_is_applied_without_overflow() {
    let second = Duration::from_secs(1);
    assert_eq!(Correction::Ahead(second).apply(at(0)), at(1));
    assert_eq!(Correction::Behind(second).apply(at(1)), at(0));
    assert_eq!(Correction::Ahead(Duration::MAX).apply(at(0)), at(0));
}

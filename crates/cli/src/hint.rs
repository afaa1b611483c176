//! The hint after the summary: what to do about waits that ended without the end of their job.

use cfw_waiter::WaitErrorKind;

/// The kinds with a hint, in ascending severity. `Failed` has none: its reason is the service's own.
const HINTS: [(WaitErrorKind, &str); 5] = [
    (
        WaitErrorKind::TimedOut,
        "a job goes on after a timeout: run the same command again, or with a longer --timeout",
    ),
    (
        WaitErrorKind::Lost,
        "check the job id, the project and the region; a job that is very old may be forgotten",
    ),
    (
        WaitErrorKind::Unreachable,
        "check host and port of the endpoint, the proxy and the network; a job may still be running",
    ),
    (
        WaitErrorKind::Fatal,
        "check the endpoint, the project and the job id; a job may still be running",
    ),
    (
        WaitErrorKind::Refused,
        "renew the credentials, and check that they belong to this cloud and project; a job may still be running",
    ),
];

/// Returns the hint for the most severe of the kinds, if one of them has a hint.
pub(crate) fn hint(kinds: impl Fn(WaitErrorKind) -> bool) -> Option<&'static str> {
    HINTS.into_iter().rev().find(|(kind, _)| kinds(*kind)).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn the_most_severe_kind_has_the_hint() {
        let of = |kinds: &[WaitErrorKind]| hint(|kind| kinds.contains(&kind)).unwrap_or_default();
        assert!(of(&[WaitErrorKind::TimedOut]).contains("longer --timeout"));
        assert!(of(&[WaitErrorKind::Lost, WaitErrorKind::TimedOut]).contains("job id"));
        assert!(of(&[WaitErrorKind::Fatal, WaitErrorKind::Refused]).contains("credentials"));
        assert_eq!(of(&[]), "");
        assert_eq!(of(&[WaitErrorKind::Failed]), "", "the reason of the service is the advice");
        assert!(HINTS.map(|(kind, _)| Exit::from_kind(kind)).is_sorted());
    }
}

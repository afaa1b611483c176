//! Sources that take long, or are never reached, through the driver on a paused clock.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cfw_waiter::{
    Attempt, ErrorClass, JobId, JobSource, JobState, Policy, SourceError, WaitErrorKind, Waiter,
    WaitingOn, source_fn,
};
use tokio::time::{sleep, timeout};

use crate::support::{Act, Service, every, ms, secs};

/// Answers with success after so long. It gives its requests up itself, as an HTTP client does, if it is told to.
struct Slow {
    takes: Duration,
    limits_itself: bool,
    attempts: Arc<Mutex<Vec<Duration>>>,
}

impl JobSource for Slow {
    async fn fetch(&self, _id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        self.attempts.lock().unwrap().push(attempt.timeout);
        let limit = if self.limits_itself { attempt.timeout } else { Duration::MAX };
        match timeout(limit, sleep(self.takes)).await {
            Ok(()) => Ok(JobState::succeeded()),
            Err(_) => Err(SourceError::new(ErrorClass::Unreached, "timed out")),
        }
    }

    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        attempt_timeout.saturating_mul(if self.limits_itself { 2 } else { 1 })
    }
}

#[tokio::test(start_paused = true)]
async fn rule_05_an_answer_that_takes_eleven_seconds_is_heard() {
    for limits_itself in [false, true] {
        let attempts = Arc::<Mutex<Vec<_>>>::default();
        let source = Slow { takes: secs(11), limits_itself, attempts: Arc::clone(&attempts) };
        let waiter = Waiter::builder(source).seed(7).build().unwrap();
        let report = waiter.wait_for_job("job").timeout(secs(60)).await.unwrap();
        assert_eq!(report.polls, 2);
        assert_eq!(*attempts.lock().unwrap(), [secs(10), secs(20)]);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_05_the_first_attempt_timeout_is_the_one_that_was_set() {
    let attempts = Arc::<Mutex<Vec<_>>>::default();
    let source = Slow { takes: secs(5), limits_itself: false, attempts: Arc::clone(&attempts) };
    let waiter = Waiter::builder(source).seed(7).attempt_timeout(secs(2)).build().unwrap();
    waiter.wait_for_job("job").timeout(secs(60)).await.unwrap();
    assert_eq!(*attempts.lock().unwrap(), [secs(2), secs(4), secs(8)]);
}

#[tokio::test(start_paused = true)]
async fn rule_05_a_deadline_names_an_unanswered_poll() {
    let service = Service::new([("job", Act::Hang)]);
    let wait = service.waiter().wait_for_job("job").timeout(secs(5));
    let error = wait.await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::TimedOut);
    let waiting_on = error.waiting_on();
    let is_long = |lasted| lasted > secs(2) && lasted < secs(5);
    assert!(matches!(waiting_on, Some(WaitingOn::Answer(lasted)) if is_long(lasted)), "{error}");
    assert!(error.to_string().contains("1 poll, unanswered for "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn rule_06_a_source_that_was_never_reached_is_given_up_with_the_cause_first() {
    let source = source_fn(|_| async {
        let cause = std::io::Error::other("connection refused");
        let unreached = SourceError::new(ErrorClass::Unreached, cause);
        Err(unreached.with_code("", "cannot connect to 127.0.0.1:18561"))
    });
    let policy = every(secs(5)).give_up_unreached(secs(60));
    let waiter = Waiter::builder(source).seed(7).policy(policy).build().unwrap();
    let mut ids = waiter.watch(["one", "two"]);
    while let Some(update) = ids.next().await {
        let cfw_waiter::UpdateKind::Ended(outcome) = update.kind else { continue };
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::Unreachable);
        assert!((secs(60)..secs(60) + ms(5)).contains(&error.report().elapsed), "{error}");
        let text = error.to_string();
        let cause = format!("job {} not reached: cannot connect to 127.0.0.1:18561", update.id);
        assert!(text.starts_with(&cause), "{text}");
        assert_eq!(text.matches("cannot connect").count(), 1, "{text}");
        assert!(error.source().is_none(), "the message holds the whole chain");
    }
    assert_eq!(waiter.stats().ends(WaitErrorKind::Unreachable), 2);
}

#[test]
fn giving_up_on_a_source_is_off_unless_it_is_set() {
    assert_eq!(Policy::new().get_give_up_unreached(), None);
    let set = Policy::new().give_up_unreached(secs(60));
    assert_eq!(set.get_give_up_unreached(), Some(secs(60)));
    assert_eq!(set.give_up_unreached(None).get_give_up_unreached(), None);
}

use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A run of which each step is one answer, in milliseconds.
struct Script {
    troubles: Troubles,
    stats: Stats,
    live: usize,
    now: Duration,
}

impl Script {
    fn new(live: usize) -> Self {
        let (troubles, stats) = (Troubles::default(), Stats::default());
        Self { troubles, stats, live, now: Duration::ZERO }
    }

    fn fail(&mut self, at: u64, id: &str, class: ErrorClass) -> Vec<String> {
        self.now = ms(at);
        self.stats.transient += 1;
        let run = Run { live: self.live, stats: &self.stats, now: self.now };
        let error = SourceError::new(class, "cause");
        names(&self.troubles.fail(&id.into(), self.now, &error, &run))
    }

    fn answer(&mut self, at: u64, id: &str) -> Vec<String> {
        self.now = ms(at);
        self.stats.answers += 1;
        let run = Run { live: self.live, stats: &self.stats, now: self.now };
        names(&self.troubles.succeed(&id.into(), self.now, &run))
    }

    /// Checks jobs, of which those in `bad` had a bad answer last.
    fn check(&mut self, at: u64, good: &[&str], bad: &[&str]) -> Vec<String> {
        self.now = ms(at);
        let ids = |ids: &[&str], is_bad| -> Vec<_> {
            ids.iter().map(|id| (JobId::from(*id), self.now, is_bad)).collect()
        };
        let jobs = [ids(good, false), ids(bad, true)].concat();
        let run = Run { live: self.live, stats: &self.stats, now: self.now };
        let jobs = jobs.iter().map(|(id, elapsed, is_bad)| (id, *elapsed, *is_bad));
        names(&self.troubles.check(jobs, &run))
    }
}

fn names(notices: &[Notice]) -> Vec<String> {
    let name = |notice: &Notice| match notice {
        Notice::JobTrouble { id, .. } => format!("{id} fails"),
        Notice::ServiceTrouble { id, jobs, .. } => format!("service fails: {id} of {jobs}"),
        Notice::JobRecovered { id, lasted, .. } => format!("{id} recovers: {lasted:?}"),
        Notice::ServiceRecovered { jobs, lasted, failed_polls, .. } => {
            format!("service recovers: {jobs}, {lasted:?}, {failed_polls} polls")
        }
        Notice::Overdue { id, .. } => format!("{id} is overdue"),
    };
    notices.iter().map(name).collect()
}

const TRANSIENT: ErrorClass = ErrorClass::TRANSIENT;
const NOTHING: [&str; 0] = [];

#[test]
fn an_outage_of_a_thousand_jobs_is_one_notice_and_its_end_another() {
    let mut script = Script::new(1000);
    let ids: Vec<_> = (0..1000).map(|n| format!("job-{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    assert_eq!(script.fail(1_000, ids[0], ErrorClass::Unreached), ["service fails: job-0 of 1000"]);
    for id in &ids[1..] {
        assert_eq!(script.fail(1_500, id, ErrorClass::Unreached), NOTHING);
    }
    assert_eq!(script.check(9_000, &[], &ids), NOTHING);
    script.stats.answers += 1;
    assert_eq!(script.check(10_000, &ids[..1], &ids[1..]), NOTHING);
    script.stats.answers += 999;
    let end = ["service recovers: 1000, 9s, 1000 polls"];
    assert_eq!(script.check(12_000, &ids, &[]), end, "from the first failure to the first answer");
    assert!(!script.troubles.is_any());
}

#[test]
fn a_steady_service_has_recovered_although_a_job_was_not_polled_since() {
    let mut script = Script::new(500);
    script.fail(0, "a", TRANSIENT);
    script.fail(100, "b", TRANSIENT);
    script.stats.answers += 99;
    assert_eq!(script.check(2_000, &["b"], &["a"]), NOTHING);
    script.stats.answers += 1;
    assert_eq!(script.check(2_500, &[], &["a"]), ["service recovers: 500, 2s, 2 polls"]);
    script.fail(9_000, "a", TRANSIENT);
    script.stats.transient += 50;
    script.fail(9_100, "b", TRANSIENT);
    script.stats.answers += 50;
    script.check(9_200, &[], &["a", "b"]);
    script.stats.transient += 1;
    script.check(9_300, &[], &["a", "b"]);
    script.stats.answers += 99;
    assert_eq!(script.check(9_400, &[], &["a", "b"]), NOTHING, "not in a row");
    // Trouble lasts until the first of the good answers after the last bad one.
    script.stats.answers += 1;
    let end = ["service recovers: 500, 400ms, 3 polls"];
    assert_eq!(script.check(9_500, &[], &["a", "b"]), end);
}

#[test]
fn the_trouble_of_one_job_among_others_is_its_own() {
    let mut script = Script::new(3);
    assert_eq!(script.fail(0, "a", TRANSIENT), NOTHING, "others may have it, too");
    assert_eq!(script.check(999, &["b", "c"], &["a"]), NOTHING);
    assert_eq!(script.check(1_000, &["b", "c"], &["a"]), ["a fails"]);
    assert_eq!(script.check(2_000, &["b", "c"], &["a"]), NOTHING);
    assert_eq!(script.answer(3_000, "a"), ["a recovers: 3s"]);
    script.fail(4_000, "b", TRANSIENT);
    assert_eq!(script.answer(4_100, "b"), ["b fails", "b recovers: 100ms"], "a short one");
}

#[test]
fn the_trouble_of_two_jobs_is_that_of_the_service() {
    let mut script = Script::new(3);
    script.fail(0, "a", TRANSIENT);
    assert_eq!(script.fail(500, "b", TRANSIENT), ["service fails: b of 3"]);
    assert_eq!(script.fail(600, "c", TRANSIENT), NOTHING);
    // A class is reported once, although jobs meet several by turns.
    assert_eq!(script.fail(700, "a", ErrorClass::Unreached), ["service fails: a of 3"]);
    assert_eq!(script.fail(800, "b", ErrorClass::Unreached), NOTHING);
    assert_eq!(script.fail(900, "a", TRANSIENT), NOTHING);
    assert_eq!(script.check(2_000, &[], &["a", "b", "c"]), NOTHING, "nothing was held back");
    let current = script.troubles.current().unwrap();
    assert_eq!((current.jobs, current.since), (3, ms(0)));
    assert_eq!(script.answer(2_100, "a"), NOTHING);
    assert_eq!(script.answer(2_200, "b"), NOTHING);
    assert_eq!(script.answer(2_300, "c"), ["service recovers: 3, 2.1s, 6 polls"]);
}

#[test]
fn throttling_concerns_all_jobs_and_a_job_that_is_not_found_only_itself() {
    let mut script = Script::new(3);
    assert_eq!(script.fail(0, "a", ErrorClass::NotFound), ["a fails"]);
    assert_eq!(script.fail(0, "b", ErrorClass::NotFound), ["b fails"]);
    assert_eq!(script.fail(0, "a", ErrorClass::THROTTLED), ["service fails: a of 3"]);
    assert_eq!(script.answer(1_000, "a"), ["service recovers: 3, 1s, 1 polls"]);
    assert_eq!(script.answer(1_000, "b"), ["b recovers: 1s"]);
}

#[test]
fn a_wait_that_ends_without_an_answer_is_no_recovery() {
    let mut script = Script::new(1);
    assert_eq!(script.fail(0, "a", TRANSIENT).len(), 1);
    script.troubles.give_up(&"a".into());
    assert_eq!(script.check(1_000, &[], &[]), NOTHING);
    assert!(!script.troubles.is_any());
}

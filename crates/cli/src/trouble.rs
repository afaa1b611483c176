//! Trouble: failed polls, of one job or of the service.
//!
//! The waiter reports trouble for each job, so that an outage is reported as often as there are jobs.
//! Here those reports become one for the service, as soon as they are not about a single job.

use std::collections::BTreeMap;
use std::time::Duration;

use cfw_waiter::{ErrorClass, JobId, SourceError, Stats, Update, UpdateKind, WaitErrorKind};

/// The time for which the trouble of one job is held back, because other jobs may have it, too.
const HOLD: Duration = Duration::from_secs(1);

/// The number of good answers in a row after which the service has recovered, although jobs that
/// failed before have not been polled again.
const STEADY_ANSWERS: u64 = 100;

/// The begin or the end of trouble.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Polls of one job have begun to fail.
    JobTrouble { id: JobId, elapsed: Duration, error: SourceError },
    /// Polls have begun to fail for a reason that concerns all jobs. `id` is the first job that met it, and
    /// `jobs` is the number of unfinished jobs.
    ServiceTrouble { id: JobId, elapsed: Duration, error: SourceError, jobs: usize },
    /// A poll of the job has succeeded again.
    JobRecovered { id: JobId, elapsed: Duration, lasted: Duration },
    /// Polls succeed again. `id` is the job that met the trouble first.
    ServiceRecovered { id: JobId, jobs: usize, lasted: Duration, failed_polls: u64 },
}

impl Notice {
    /// Returns the job that met the trouble, or met it first.
    pub(crate) fn id(&self) -> &JobId {
        match self {
            Self::JobTrouble { id, .. }
            | Self::ServiceTrouble { id, .. }
            | Self::JobRecovered { id, .. }
            | Self::ServiceRecovered { id, .. } => id,
        }
    }

    /// Returns whether this is the end of trouble that no other job has.
    pub(crate) fn is_recovery_of(&self, job: &JobId) -> bool {
        match self {
            Self::JobRecovered { id, .. } => id == job,
            Self::ServiceRecovered { id, jobs, .. } => id == job && *jobs <= 1,
            Self::JobTrouble { .. } | Self::ServiceTrouble { .. } => false,
        }
    }
}

/// What trouble is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    /// The number of unfinished jobs.
    pub(crate) live: usize,
    pub(crate) stats: &'a Stats,
    /// The run time of the command.
    pub(crate) now: Duration,
}

/// The trouble that lasts.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// The jobs whose last answer, as far as known, was bad.
    jobs: BTreeMap<JobId, JobTrouble>,
    service: Option<ServiceTrouble>,
}

#[derive(Debug)]
struct JobTrouble {
    error: SourceError,
    since: Duration,
    /// How long the wait for the job had lasted.
    elapsed: Duration,
    report: Report,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    /// Held back.
    Pending,
    /// Reported for this job.
    Job,
    /// Part of the trouble of the service.
    Service,
}

#[derive(Debug)]
struct ServiceTrouble {
    id: JobId,
    error: SourceError,
    since: Duration,
    /// The classes that have been reported. Jobs may meet them by turns.
    classes: Vec<std::mem::Discriminant<ErrorClass>>,
    failed_before: u64,
    /// The numbers of failed and good polls when a poll failed last.
    failed: u64,
    good: u64,
    /// The time of the first good answer since then.
    good_since: Option<Duration>,
}

/// The trouble to show in one line.
#[derive(Debug)]
pub(crate) struct Current<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) error: &'a SourceError,
    pub(crate) since: Duration,
    /// The number of jobs whose last answer was bad.
    pub(crate) jobs: usize,
}

impl Troubles {
    /// Returns whether [`check`](Self::check) has anything to do.
    pub(crate) fn is_any(&self) -> bool {
        self.service.is_some() || !self.jobs.is_empty()
    }

    /// Returns the trouble that lasts: that of the service, or else that of the first job.
    pub(crate) fn current(&self) -> Option<Current<'_>> {
        let jobs = self.jobs.len();
        if let Some(ServiceTrouble { id, error, since, .. }) = &self.service {
            return Some(Current { id, error, since: *since, jobs });
        }
        let (id, trouble) = self.jobs.iter().min_by_key(|(_, trouble)| trouble.since)?;
        Some(Current { id, error: &trouble.error, since: trouble.since, jobs })
    }

    /// Takes note of an update.
    pub(crate) fn update(&mut self, update: &Update, run: &Run<'_>) -> Vec<Notice> {
        let Update { id, elapsed, kind, .. } = update;
        match kind {
            UpdateKind::Trouble(error) => self.fail(id, *elapsed, error, run),
            UpdateKind::Ended(Err(error)) if error.kind() != WaitErrorKind::Failed => {
                self.give_up(id);
                Vec::new()
            }
            _ => self.succeed(id, *elapsed, run),
        }
    }

    /// Looks for good answers, which change no status and so lead to no update, and reports what was held
    /// back long enough.
    ///
    /// `jobs` are the unfinished jobs, each with whether its last answer was bad.
    pub(crate) fn check<'a>(
        &mut self,
        jobs: impl Iterator<Item = (&'a JobId, Duration, bool)>,
        run: &Run<'_>,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(service) = &mut self.service {
            service.count(run);
            if run.stats.answers.saturating_sub(service.good) >= STEADY_ANSWERS {
                self.jobs.retain(|_, trouble| trouble.report != Report::Service);
            }
        }
        for (id, elapsed, is_bad) in jobs {
            if !is_bad {
                notices.extend(self.succeed(id, elapsed, run));
            }
        }
        for (id, trouble) in &mut self.jobs {
            if trouble.report == Report::Pending && run.now.saturating_sub(trouble.since) >= HOLD {
                notices.push(trouble.report_for(id));
            }
        }
        notices.extend(self.close(run));
        notices
    }

    fn fail(
        &mut self,
        id: &JobId,
        elapsed: Duration,
        error: &SourceError,
        run: &Run<'_>,
    ) -> Vec<Notice> {
        let known = self.jobs.get(id);
        let report = if self.service.is_some() && is_about_service(error) {
            Report::Service
        } else {
            Report::Pending
        };
        let since = known.map_or(run.now, |known| known.since);
        let mut trouble = JobTrouble { error: error.clone(), since, elapsed, report };
        let job_notice = (!is_about_service(error)).then(|| trouble.report_for(id));
        self.jobs.insert(id.clone(), trouble);
        if let Some(notice) = job_notice {
            return vec![notice];
        }
        let class = std::mem::discriminant(&error.class());
        let affected =
            self.jobs.values().filter(|trouble| is_about_service(&trouble.error)).count();
        let service = match &mut self.service {
            Some(service) if service.classes.contains(&class) => return Vec::new(),
            Some(service) => service,
            None if run.live <= 1 || affected >= 2 || is_certainly_about_service(error) => {
                let failed = failed_polls(run.stats);
                self.service.insert(ServiceTrouble {
                    id: id.clone(),
                    error: error.clone(),
                    since,
                    classes: Vec::new(),
                    failed_before: failed.saturating_sub(u64::try_from(affected).unwrap_or(0)),
                    failed,
                    good: run.stats.answers,
                    good_since: None,
                })
            }
            None => return Vec::new(),
        };
        service.classes.push(class);
        service.error = error.clone();
        for trouble in self.jobs.values_mut().filter(|trouble| is_about_service(&trouble.error)) {
            service.since = service.since.min(trouble.since);
            trouble.report = Report::Service;
        }
        vec![Notice::ServiceTrouble {
            id: id.clone(),
            elapsed,
            error: error.clone(),
            jobs: run.live,
        }]
    }

    fn succeed(&mut self, id: &JobId, elapsed: Duration, run: &Run<'_>) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(mut trouble) = self.jobs.remove(id) else { return notices };
        if trouble.report == Report::Pending {
            notices.push(trouble.report_for(id));
        }
        if trouble.report == Report::Job {
            let lasted = run.now.saturating_sub(trouble.since);
            notices.push(Notice::JobRecovered { id: id.clone(), elapsed, lasted });
        }
        if let Some(service) = &mut self.service {
            service.count(run);
        }
        notices.extend(self.close(run));
        notices
    }

    /// Takes note of a wait that ended without an answer.
    fn give_up(&mut self, id: &JobId) {
        self.jobs.remove(id);
        if !self.is_service_affected() {
            // It is not known whether polls would succeed now.
            self.service = None;
        }
    }

    /// Ends the trouble of the service if it affects no job any more.
    fn close(&mut self, run: &Run<'_>) -> Option<Notice> {
        if self.is_service_affected() {
            return None;
        }
        let service = self.service.take()?;
        let end = service.good_since.unwrap_or(run.now);
        Some(Notice::ServiceRecovered {
            id: service.id,
            jobs: run.live,
            lasted: end.saturating_sub(service.since),
            failed_polls: failed_polls(run.stats).saturating_sub(service.failed_before),
        })
    }

    fn is_service_affected(&self) -> bool {
        self.jobs.values().any(|trouble| trouble.report == Report::Service)
    }
}

impl JobTrouble {
    /// Returns the notice of this job.
    fn report_for(&mut self, id: &JobId) -> Notice {
        self.report = Report::Job;
        Notice::JobTrouble { id: id.clone(), elapsed: self.elapsed, error: self.error.clone() }
    }
}

impl ServiceTrouble {
    /// Takes note of the number of polls.
    fn count(&mut self, run: &Run<'_>) {
        let failed = failed_polls(run.stats);
        if failed > self.failed {
            self.failed = failed;
            self.good = run.stats.answers;
            self.good_since = None;
        } else if run.stats.answers > self.good && self.good_since.is_none() {
            self.good_since = Some(run.now);
        }
    }
}

fn failed_polls(stats: &Stats) -> u64 {
    stats.transient + stats.throttled
}

/// Returns whether the error may concern other jobs as well.
fn is_about_service(error: &SourceError) -> bool {
    error.class() != ErrorClass::NotFound
}

/// Returns whether the error concerns all jobs, even if only one has met it.
fn is_certainly_about_service(error: &SourceError) -> bool {
    matches!(error.class(), ErrorClass::Unreached | ErrorClass::Throttled { .. })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            script.fail(1_000, ids[0], ErrorClass::Unreached),
            ["service fails: job-0 of 1000"]
        );
        for id in &ids[1..] {
            assert_eq!(script.fail(1_500, id, ErrorClass::Unreached), NOTHING);
        }
        assert_eq!(script.check(9_000, &[], &ids), NOTHING);
        script.stats.answers += 1;
        assert_eq!(script.check(10_000, &ids[..1], &ids[1..]), NOTHING);
        script.stats.answers += 999;
        let end = ["service recovers: 1000, 9s, 1000 polls"];
        assert_eq!(
            script.check(12_000, &ids, &[]),
            end,
            "from the first failure to the first answer"
        );
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
}

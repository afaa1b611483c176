//! Trouble: failed polls, of one job or of the service, and jobs that are overdue.
//!
//! The waiter reports trouble for each job, so that an outage is reported as often as there are jobs.
//! Here those reports become one for the service, as soon as they are not about a single job.

use std::collections::BTreeMap;
use std::time::Duration;

use cfw_waiter::{ErrorClass, Eta, JobId, SourceError, Stats, Update, UpdateKind, WaitErrorKind};

/// The time for which the trouble of one job is held back, because other jobs may have it, too.
const HOLD: Duration = Duration::from_secs(1);

/// The number of good answers in a row after which the service has recovered, although jobs that
/// failed before have not been polled again.
const STEADY_ANSWERS: u64 = 100;

/// The begin or the end of trouble, or a job that is overdue.
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
    /// A job takes longer than nearly all past jobs of its kind.
    Overdue { id: JobId, elapsed: Duration, eta: Eta },
}

impl Notice {
    /// Returns the job that met the trouble, or met it first.
    pub(crate) fn id(&self) -> &JobId {
        match self {
            Self::JobTrouble { id, .. }
            | Self::ServiceTrouble { id, .. }
            | Self::JobRecovered { id, .. }
            | Self::ServiceRecovered { id, .. }
            | Self::Overdue { id, .. } => id,
        }
    }

    /// Returns whether this is the end of trouble that no other job has.
    pub(crate) fn is_recovery_of(&self, job: &JobId) -> bool {
        match self {
            Self::JobRecovered { id, .. } => id == job,
            Self::ServiceRecovered { id, jobs, .. } => id == job && *jobs <= 1,
            Self::JobTrouble { .. } | Self::ServiceTrouble { .. } | Self::Overdue { .. } => false,
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
mod tests;

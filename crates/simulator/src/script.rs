use std::time::Duration;

use crate::random::{hash, unit};

/// What a job will do, counted from the moment it is added.
///
/// Nothing runs meanwhile: the state is worked out from the elapsed time whenever somebody asks.
///
/// ```
/// use std::time::Duration;
/// use cfw_simulator::JobScript;
///
/// let millis = Duration::from_millis;
/// let script = JobScript::fails_after(millis(300))
///     .error("CFW.00600003", "no available flavor") // told beside `data` once the job has failed
///     .appears_after(millis(50))                    // until then: 400 and CFW.00200005
///     .status_at(millis(100), "Preparing");         // a word that no manual mentions
/// # let _ = script;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a script does nothing until it is given to `Simulator::add_job`"]
pub struct JobScript {
    pub(crate) id: Option<String>,
    length: Length,
    failure: Failure,
    error: Option<(String, String)>,
    appears_after: Duration,
    statuses: Vec<(Duration, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Endless,
    Exactly(Duration),
    Around(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    Certain(bool),
    Share(f64),
}

impl JobScript {
    /// `Running`, then `Success` from `length` on.
    pub const fn succeeds_after(length: Duration) -> Self {
        Self::new(Length::Exactly(length), Failure::Certain(false))
    }

    /// `Running`, then `Failed` from `length` on.
    pub const fn fails_after(length: Duration) -> Self {
        Self::new(Length::Exactly(length), Failure::Certain(true))
    }

    /// `Running` until [`Simulator::finish`](crate::Simulator::finish) or
    /// [`Simulator::fail`](crate::Simulator::fail) ends it.
    pub const fn never() -> Self {
        Self::new(Length::Endless, Failure::Certain(false))
    }

    /// Succeeds after a time between 0.25 and 1.75 times `mean`.
    ///
    /// The time is drawn from the simulator's seed and the job's id, so the order in which jobs
    /// are added changes nothing.
    pub const fn random(mean: Duration) -> Self {
        Self::new(Length::Around(mean), Failure::Certain(false))
    }

    const fn new(length: Length, failure: Failure) -> Self {
        Self {
            id: None,
            length,
            failure,
            error: None,
            appears_after: Duration::ZERO,
            statuses: Vec::new(),
        }
    }

    /// The job's id. By default a UUID drawn from the simulator's seed.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The chance that the job ends `Failed`, from 0 to 1, drawn from the seed and the job's id.
    pub fn failure_share(mut self, share: f64) -> Self {
        self.failure = Failure::Share(share);
        self
    }

    /// `error_code` and `error_msg` beside `data`, once the job has failed.
    pub fn error(mut self, code: impl Into<String>, msg: impl Into<String>) -> Self {
        self.error = Some((code.into(), msg.into()));
        self
    }

    /// Until then the job "does not exist": 400 and `CFW.00200005`. Its clock runs all the same.
    pub fn appears_after(mut self, delay: Duration) -> Self {
        self.appears_after = delay;
        self
    }

    /// From `at` on, until the job ends or the next such point, its status is `status`.
    pub fn status_at(mut self, at: Duration, status: impl Into<String>) -> Self {
        self.statuses.push((at, status.into()));
        self.statuses.sort_by_key(|(at, _)| *at);
        self
    }

    pub(crate) fn start(self, seed: u64, id: &str, now: Duration) -> Job {
        const LENGTH: u64 = 0;
        const FAILURE: u64 = 1;
        let key = hash(id);
        let length = match self.length {
            Length::Endless => None,
            Length::Exactly(length) => Some(length),
            Length::Around(mean) => Some(mean.mul_f64(0.25 + 1.5 * unit(seed, key, LENGTH))),
        };
        let failed = match self.failure {
            Failure::Certain(failed) => failed,
            Failure::Share(share) => unit(seed, key, FAILURE) < share,
        };
        Job {
            added: now,
            visible: now.saturating_add(self.appears_after),
            ends: length.map(|length| now.saturating_add(length)),
            failed,
            error: self.error.map(Box::new),
            statuses: self.statuses.into_boxed_slice(),
        }
    }
}

/// A started script. Times count from the simulator's start.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) added: Duration,
    visible: Duration,
    ends: Option<Duration>,
    failed: bool,
    error: Option<Box<(String, String)>>,
    statuses: Box<[(Duration, String)]>,
}

/// What a job looks like at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobView<'a> {
    pub(crate) status: &'a str,
    pub(crate) begin: Duration,
    pub(crate) end: Option<Duration>,
    pub(crate) error: Option<(&'a str, &'a str)>,
}

/// How far a job is, whatever words the service uses for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Running,
    Succeeded,
    Failed,
}

impl Job {
    /// `None` while the job has not appeared.
    pub(crate) fn view(&self, now: Duration) -> Option<JobView<'_>> {
        if now < self.visible {
            return None;
        }
        let progress = self.progress(now);
        let status = match progress {
            Progress::Succeeded => "Success",
            Progress::Failed => "Failed",
            Progress::Running => {
                let age = now.saturating_sub(self.added);
                self.statuses
                    .iter()
                    .rev()
                    .find(|(at, _)| *at <= age)
                    .map_or("Running", |(_, status)| status)
            }
        };
        Some(JobView {
            status,
            begin: self.added,
            end: self.ends.filter(|_| progress != Progress::Running),
            error: self
                .error
                .as_deref()
                .filter(|_| progress == Progress::Failed)
                .map(|(code, msg)| (code.as_str(), msg.as_str())),
        })
    }

    pub(crate) fn progress(&self, now: Duration) -> Progress {
        match self.ends {
            Some(end) if end <= now && self.failed => Progress::Failed,
            Some(end) if end <= now => Progress::Succeeded,
            _ => Progress::Running,
        }
    }

    /// Ends the job now, unless it has ended already.
    pub(crate) fn end(&mut self, now: Duration, failed: bool) -> bool {
        let running = self.progress(now) == Progress::Running;
        if running {
            self.ends = Some(now);
            self.failed = failed;
        }
        running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn statuses(script: JobScript, at: &[u64]) -> Vec<Option<String>> {
        let job = script.start(7, "a", ms(1000));
        at.iter().map(|at| job.view(ms(1000 + at)).map(|view| view.status.to_owned())).collect()
    }

    fn some(statuses: &[&str]) -> Vec<Option<String>> {
        statuses.iter().map(|status| Some((*status).to_owned())).collect()
    }

    #[test]
    fn a_job_changes_at_the_scripted_instants() {
        let script = JobScript::succeeds_after(ms(300))
            .status_at(ms(200), "Paused")
            .status_at(ms(100), "Queued");
        let seen = statuses(script, &[0, 99, 100, 199, 200, 299, 300, 9999]);
        assert_eq!(
            seen,
            some(&[
                "Running", "Running", "Queued", "Queued", "Paused", "Paused", "Success", "Success"
            ])
        );
        assert_eq!(statuses(JobScript::fails_after(ms(5)), &[4, 5]), some(&["Running", "Failed"]));
        assert_eq!(statuses(JobScript::never(), &[u64::MAX / 2]), some(&["Running"]));
    }

    #[test]
    fn a_job_is_hidden_until_it_appears_and_its_clock_runs_meanwhile() {
        let script = JobScript::succeeds_after(ms(100)).appears_after(ms(150));
        assert_eq!(statuses(script, &[0, 149, 150]), [None, None, Some("Success".to_owned())]);
    }

    #[test]
    fn only_a_failed_job_tells_its_error_and_only_an_ended_one_its_end() {
        let failing =
            JobScript::fails_after(ms(100)).error("CFW.00600003", "no flavor").start(7, "a", ms(0));
        let running = failing.view(ms(99)).unwrap();
        assert_eq!((running.end, running.error), (None, None));
        let failed = failing.view(ms(100)).unwrap();
        assert_eq!(
            (failed.end, failed.error),
            (Some(ms(100)), Some(("CFW.00600003", "no flavor")))
        );
        let fine = JobScript::succeeds_after(ms(0)).error("CFW.00600003", "no flavor").start(
            7,
            "a",
            ms(0),
        );
        assert_eq!(fine.view(ms(0)).unwrap().error, None);
    }

    #[test]
    fn random_jobs_depend_on_seed_and_id_alone() {
        let length =
            |seed, id: &str| JobScript::random(ms(1000)).start(seed, id, ms(0)).ends.unwrap();
        assert_eq!(length(7, "a"), length(7, "a"));
        assert_ne!(length(7, "a"), length(7, "b"));
        assert_ne!(length(7, "a"), length(8, "a"));
        let lengths: Vec<_> = (0..1000).map(|n| length(7, &format!("job-{n}"))).collect();
        assert!(lengths.iter().all(|length| (ms(250)..ms(1750)).contains(length)));
        let mean = lengths.iter().sum::<Duration>() / 1000;
        assert!((ms(950)..ms(1050)).contains(&mean), "{mean:?}");
    }

    #[test]
    fn the_failure_share_is_kept() {
        let failing = (0..1000)
            .filter(|n| {
                JobScript::random(ms(1))
                    .failure_share(0.2)
                    .start(7, &format!("job-{n}"), ms(0))
                    .failed
            })
            .count();
        assert!((150..250).contains(&failing), "{failing}");
    }

    #[test]
    fn a_job_can_be_ended_by_hand_once() {
        let mut job = JobScript::never().start(7, "a", ms(0));
        assert!(job.end(ms(40), true));
        assert!(!job.end(ms(50), false));
        assert_eq!(job.view(ms(60)).unwrap().status, "Failed");
        assert_eq!(job.view(ms(60)).unwrap().end, Some(ms(40)));
    }
}

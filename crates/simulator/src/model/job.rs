//! Jobs: the script that a user gives, and the job that follows it.

use std::time::Duration;

use crate::util::random::{hash, uniform};

/// The course of a job, in times since it was added.
///
/// A job has no timer: its state is computed from the elapsed time at each request.
///
/// ```
/// use std::time::Duration;
/// use cfw_simulator::JobScript;
///
/// let millis = Duration::from_millis;
/// let script = JobScript::fails_after(millis(300))
///     .error("CFW.00600003", "no available flavor") // beside `data`, once the job has failed
///     .appears_after(millis(50))                    // until then: 400 and CFW.00200005
///     .status_at(millis(100), "Preparing");         // a status that no manual lists
/// # let _ = script;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a script does nothing until it is given to `Simulator::add_job`"]
pub struct JobScript {
    pub(crate) id: Option<String>,
    runtime: Runtime,
    failure: Failure,
    error: Option<(String, String)>,
    appears_after: Duration,
    /// Invariant: sorted by time.
    statuses: Vec<(Duration, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Runtime {
    Unbounded,
    Fixed(Duration),
    RandomWithMean(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    Fixed(bool),
    WithProbability(f64),
}

impl JobScript {
    /// Returns a script of `Running`, and of `Success` after `runtime`.
    pub const fn succeeds_after(runtime: Duration) -> Self {
        Self::new(Runtime::Fixed(runtime), Failure::Fixed(false))
    }

    /// Returns a script of `Running`, and of `Failed` after `runtime`.
    pub const fn fails_after(runtime: Duration) -> Self {
        Self::new(Runtime::Fixed(runtime), Failure::Fixed(true))
    }

    /// Returns a script of `Running` until [`Simulator::finish`](crate::Simulator::finish) or
    /// [`Simulator::fail`](crate::Simulator::fail) ends the job.
    pub const fn never() -> Self {
        Self::new(Runtime::Unbounded, Failure::Fixed(false))
    }

    /// Returns a script that succeeds after a time between 0.25 and 1.75 times `mean`.
    ///
    /// The time depends on the simulator's seed and the job's id, and not on the order in which
    /// jobs are added.
    pub const fn random(mean: Duration) -> Self {
        Self::new(Runtime::RandomWithMean(mean), Failure::Fixed(false))
    }

    const fn new(runtime: Runtime, failure: Failure) -> Self {
        Self {
            id: None,
            runtime,
            failure,
            error: None,
            appears_after: Duration::ZERO,
            statuses: Vec::new(),
        }
    }

    /// Sets the job's id. By default it is a UUID drawn from the simulator's seed.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the probability, from 0 to 1, that the job ends `Failed`. It is drawn from the
    /// simulator's seed and the job's id.
    pub fn failure_share(mut self, share: f64) -> Self {
        self.failure = Failure::WithProbability(share);
        self
    }

    /// Sets the `error_code` and `error_msg` that stand beside `data` once the job has failed.
    pub fn error(mut self, code: impl Into<String>, msg: impl Into<String>) -> Self {
        self.error = Some((code.into(), msg.into()));
        self
    }

    /// Hides the job for this long: polls get 400 and `CFW.00200005`. Its runtime passes
    /// meanwhile.
    pub fn appears_after(mut self, delay: Duration) -> Self {
        self.appears_after = delay;
        self
    }

    /// Sets the status from `at` on, until the job ends or the next such time.
    pub fn status_at(mut self, at: Duration, status: impl Into<String>) -> Self {
        self.statuses.push((at, status.into()));
        self.statuses.sort_by_key(|(at, _)| *at);
        self
    }

    pub(crate) fn start(self, seed: u64, id: &str, now: Duration) -> Job {
        const RUNTIME: u64 = 0;
        const FAILURE: u64 = 1;
        let key = hash(id);
        let runtime = match self.runtime {
            Runtime::Unbounded => None,
            Runtime::Fixed(runtime) => Some(runtime),
            Runtime::RandomWithMean(mean) => {
                Some(mean.mul_f64(0.25 + 1.5 * uniform(seed, key, RUNTIME)))
            }
        };
        let fails = match self.failure {
            Failure::Fixed(fails) => fails,
            Failure::WithProbability(share) => uniform(seed, key, FAILURE) < share,
        };
        Job {
            added_at: now,
            visible_at: now.saturating_add(self.appears_after),
            ends_at: runtime.map(|runtime| now.saturating_add(runtime)),
            fails,
            error: self.error.map(Box::new),
            statuses: self.statuses.into_boxed_slice(),
        }
    }
}

/// A job that was added. Times count from the simulator's start.
#[derive(Debug)]
pub(crate) struct Job {
    added_at: Duration,
    visible_at: Duration,
    /// `None` if only the user can end the job.
    ends_at: Option<Duration>,
    /// The job ends `Failed`. Has no meaning while it runs.
    fails: bool,
    error: Option<Box<(String, String)>>,
    /// By time since `added_at`. Invariant: sorted by time.
    statuses: Box<[(Duration, String)]>,
}

/// The fields of a job at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobView<'a> {
    pub(crate) status: &'a str,
    pub(crate) begin: Duration,
    pub(crate) end: Option<Duration>,
    pub(crate) error: Option<(&'a str, &'a str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobPhase {
    Running,
    Succeeded,
    Failed,
}

impl Job {
    /// Returns `None` before the job has appeared.
    pub(crate) fn view(&self, now: Duration) -> Option<JobView<'_>> {
        if now < self.visible_at {
            return None;
        }
        let phase = self.phase(now);
        let status = match phase {
            JobPhase::Succeeded => "Success",
            JobPhase::Failed => "Failed",
            JobPhase::Running => {
                let age = now.saturating_sub(self.added_at);
                self.statuses
                    .iter()
                    .rev()
                    .find(|(at, _)| *at <= age)
                    .map_or("Running", |(_, status)| status)
            }
        };
        Some(JobView {
            status,
            begin: self.added_at,
            end: self.ends_at.filter(|_| phase != JobPhase::Running),
            error: self
                .error
                .as_deref()
                .filter(|_| phase == JobPhase::Failed)
                .map(|(code, msg)| (code.as_str(), msg.as_str())),
        })
    }

    pub(crate) fn phase(&self, now: Duration) -> JobPhase {
        match self.ends_at {
            Some(end) if end <= now && self.fails => JobPhase::Failed,
            Some(end) if end <= now => JobPhase::Succeeded,
            _ => JobPhase::Running,
        }
    }

    /// Ends the job now. Returns false if it had ended already.
    pub(crate) fn end(&mut self, now: Duration, fails: bool) -> bool {
        let is_running = self.phase(now) == JobPhase::Running;
        if is_running {
            self.ends_at = Some(now);
            self.fails = fails;
        }
        is_running
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
    fn status_changes_at_the_scripted_times() {
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
    fn runtime_passes_while_a_job_is_hidden() {
        let script = JobScript::succeeds_after(ms(100)).appears_after(ms(150));
        assert_eq!(statuses(script, &[0, 149, 150]), [None, None, Some("Success".to_owned())]);
    }

    #[test]
    fn only_a_failed_job_has_an_error_and_only_an_ended_one_an_end() {
        let failing =
            JobScript::fails_after(ms(100)).error("CFW.00600003", "no flavor").start(7, "a", ms(0));
        let running = failing.view(ms(99)).unwrap();
        assert_eq!((running.end, running.error), (None, None));
        let failed = failing.view(ms(100)).unwrap();
        assert_eq!(
            (failed.end, failed.error),
            (Some(ms(100)), Some(("CFW.00600003", "no flavor")))
        );
        let succeeded = JobScript::succeeds_after(ms(0)).error("CFW.00600003", "no flavor").start(
            7,
            "a",
            ms(0),
        );
        assert_eq!(succeeded.view(ms(0)).unwrap().error, None);
    }

    #[test]
    fn random_runtimes_depend_on_seed_and_id_only() {
        let runtime =
            |seed, id: &str| JobScript::random(ms(1000)).start(seed, id, ms(0)).ends_at.unwrap();
        assert_eq!(runtime(7, "a"), runtime(7, "a"));
        assert_ne!(runtime(7, "a"), runtime(7, "b"));
        assert_ne!(runtime(7, "a"), runtime(8, "a"));
        let runtimes: Vec<_> = (0..1000).map(|n| runtime(7, &format!("job-{n}"))).collect();
        assert!(runtimes.iter().all(|runtime| (ms(250)..ms(1750)).contains(runtime)));
        let mean = runtimes.iter().sum::<Duration>() / 1000;
        assert!((ms(950)..ms(1050)).contains(&mean), "{mean:?}");
    }

    #[test]
    fn jobs_fail_with_the_given_probability() {
        let failing = (0..1000)
            .filter(|n| {
                JobScript::random(ms(1))
                    .failure_share(0.2)
                    .start(7, &format!("job-{n}"), ms(0))
                    .fails
            })
            .count();
        assert!((150..250).contains(&failing), "{failing}");
    }

    #[test]
    fn a_job_can_be_ended_once() {
        let mut job = JobScript::never().start(7, "a", ms(0));
        assert!(job.end(ms(40), true));
        assert!(!job.end(ms(50), false));
        assert_eq!(job.view(ms(60)).unwrap().status, "Failed");
        assert_eq!(job.view(ms(60)).unwrap().end, Some(ms(40)));
    }
}

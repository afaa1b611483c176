//! The jobs that the arguments name, and how each is waited for.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cfw_api::JobId;
use cfw_waiter::{JobCheckpoint, JobOptions, Policy, Schedule};

use crate::args::WaitArgs;
use crate::exit::CliError;
use crate::ids;
use crate::input::{Job, Source};
use crate::state::{Own, Place, State};
use crate::waiter;

/// Longer than the time for any look.
const NO_SECOND_POLL: Duration = Duration::from_secs(1_000_000_000);

/// The time for a look beside that for its poll: ten seconds to renew the credentials, and some.
const LOOK_MARGIN: Duration = Duration::from_secs(12);

/// The jobs to wait for.
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
    /// Files, and standard input, whose lines name more jobs.
    pub(crate) sources: Vec<Source>,
    /// Where the lines come from, such as `on standard input`.
    pub(crate) origin: String,
    /// Lines are typed on a terminal.
    pub(crate) are_typed: bool,
    pub(crate) defaults: Defaults,
    /// Whether past jobs can tell when these are likely to end.
    pub(crate) has_history: bool,
    /// What earlier runs have left, and what this one leaves to the next.
    pub(crate) state: Option<State>,
}

impl Jobs {
    /// Checks the ids of the command line, and opens the files that are named.
    pub(crate) fn from_args(args: &WaitArgs) -> Result<Self, CliError> {
        if args.names_no_jobs() && args.state.is_none() {
            let message =
                "no JOB_ID: name the jobs to wait for, or - to read their ids from standard input";
            return Err(CliError::usage(message));
        }
        if args.state.as_deref() == Some(Path::new("-")) {
            return Err(CliError::usage("--state -: standard input is no state file; name one"));
        }
        let ids = args.ids.iter().filter(|id| *id != "-").map(|id| ids::parse(id));
        let jobs = ids
            .map(|id| id.map(Job::from))
            .collect::<Result<_, _>>()
            .map_err(|error| CliError::usage(format!("JOB_ID: {error}")))?;
        let mut sources = Vec::new();
        // Files first: standard input may stay open.
        let paths = args.ids_file.iter().filter(|path| *path != "-");
        for path in paths {
            sources.push(Source::open(path)?);
        }
        let is_dash = |text: &String| text == "-";
        if args.ids.iter().any(is_dash) || args.ids_file.iter().any(is_dash) {
            if args.cloud.token_file.as_deref() == Some("-") {
                let message = "standard input cannot hold both: JOB_ID - and --token-file -";
                return Err(CliError::usage(message));
            }
            sources.push(Source::Stdin);
        }
        let is_stdin = |source: &Source| matches!(source, Source::Stdin);
        let are_typed = sources.iter().any(is_stdin) && io::stdin().is_terminal();
        let mut origins: Vec<_> = sources.iter().map(Source::origin).collect();
        if origins.is_empty() {
            origins.extend(args.state.iter().map(|file| format!("in {}", file.display())));
        }
        let (origin, defaults) = (origins.join(" or "), Defaults::from_args(args)?);
        Ok(Self { jobs, sources, origin, are_typed, defaults, has_history: false, state: None })
    }

    /// Opens the state file, if one is named.
    pub(crate) fn open_state(&mut self, args: &WaitArgs, place: Place) -> Result<(), CliError> {
        let open = |file| State::open(file, place, !args.names_no_jobs());
        self.state = args.state.as_deref().map(open).transpose()?;
        Ok(())
    }

    pub(crate) fn from_ids(ids: Vec<JobId>) -> Self {
        let jobs = ids.into_iter().map(Job::from).collect();
        let (origin, defaults) = (String::new(), Defaults::default());
        Self {
            jobs,
            sources: Vec::new(),
            origin,
            are_typed: false,
            defaults,
            has_history: false,
            state: None,
        }
    }
}

/// How a job is waited for, unless its line says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    age: Duration,
    /// `None` leaves it to the waiter.
    timeout: Option<Duration>,
    kind: Option<Arc<str>>,
    look: Look,
}

/// How a job is looked at once, which a timeout of zero asks for.
#[derive(Debug, Default)]
struct Look {
    policy: Arc<Policy>,
    /// The time for the look at a single job.
    limit: Duration,
    /// The time that the rate adds for each job before it.
    interval: Duration,
}

impl Defaults {
    fn from_args(args: &WaitArgs) -> Result<Self, CliError> {
        // One poll, whatever comes of it. The command removes the job when it hears of the answer.
        let policy = Policy::new()
            .schedule(
                Schedule::fixed(NO_SECOND_POLL)
                    .map_err(|error| CliError::usage(error.to_string()))?,
            )
            .first_poll_at_once(true)
            .failures_in_a_row(1)
            .give_up_unreached(Duration::ZERO);
        let limit = args.attempt_timeout.duration.saturating_add(LOOK_MARGIN);
        let quota = args.rate.map_or(waiter::QUOTA, |rate| (rate.0.calls().get(), rate.0.per()));
        Ok(Self {
            age: args.since.map_or(Duration::ZERO, |age| age.0),
            timeout: Some(args.timeout.duration()),
            kind: args.kind.as_deref().map(Arc::from),
            look: Look { policy: Arc::new(policy), limit, interval: quota.1 / quota.0 },
        })
    }

    /// Returns the options for a job that comes after `before` others, and whether it is only looked at.
    ///
    /// A look ends with the answer to its one poll. The timeout bounds the time until it is sent and answered.
    pub(crate) fn options(&self, job: &Job, before: u32) -> (JobOptions, bool) {
        let mut options = JobOptions::new().since(job.age.unwrap_or(self.age));
        if let Some(kind) = job.kind.as_deref().map(Arc::from).or_else(|| self.kind.clone()) {
            options = options.kind(kind);
        }
        match job.timeout.or(self.timeout) {
            Some(Duration::ZERO) => {
                let queue = self.look.interval.saturating_mul(before);
                let limit = self.look.limit.saturating_add(queue);
                (options.policy(Arc::clone(&self.look.policy)).timeout(limit), true)
            }
            Some(timeout) => (options.timeout(timeout), false),
            None => (options, false),
        }
    }

    /// Returns what a state file keeps of a job that is waited for from now on.
    pub(crate) fn checkpoint(&self, job: &Job, now: SystemTime) -> (JobCheckpoint, Own) {
        let timeout = job.timeout.or(self.timeout).unwrap_or_default();
        let mut checkpoint = JobCheckpoint::new(job.id.as_str(), now, timeout);
        let age = job.age.unwrap_or(self.age);
        checkpoint.created = now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        checkpoint.kind = job.kind.as_deref().map(Arc::from).or_else(|| self.kind.clone());
        (checkpoint, Own::new(job.kind.clone(), job.timeout))
    }

    /// Returns what a state file keeps of a job that is waited for once more: the wait before ended, and not the job.
    pub(crate) fn again(&self, job: &JobCheckpoint, own: &Own, now: SystemTime) -> JobCheckpoint {
        let timeout = own.timeout().or(self.timeout).unwrap_or_default();
        let mut again = JobCheckpoint::new(job.id.clone(), now, timeout);
        (again.created, again.kind) = (job.created, job.kind.clone());
        again
    }
}

/// Returns whether a job of a state file is only looked at, as a timeout of zero asks for.
pub(crate) fn is_look(job: &JobCheckpoint) -> bool {
    job.deadline <= job.started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_job_takes_precedence_over_the_flags() {
        let secs = Duration::from_secs;
        let policy = Arc::new(Policy::new());
        let look = Look { policy: Arc::clone(&policy), limit: secs(10), interval: secs(1) };
        let mut defaults = Defaults { age: secs(90), timeout: Some(secs(60)), kind: None, look };
        let mut job = Job::from(JobId::new("a").unwrap());
        let waits = JobOptions::new().since(secs(90)).timeout(secs(60));
        assert_eq!(defaults.options(&job, 5), (waits, false));

        job.age = Some(secs(5));
        job.timeout = Some(secs(7));
        let waits = JobOptions::new().since(secs(5)).timeout(secs(7));
        assert_eq!(defaults.options(&job, 5), (waits.clone(), false));
        defaults.timeout = Some(Duration::ZERO);
        assert_eq!(defaults.options(&job, 5), (waits, false), "not a look");

        // A look has the time that the rate needs for the jobs before it.
        job.timeout = None;
        let looks = JobOptions::new().since(secs(5)).policy(policy).timeout(secs(15));
        assert_eq!(defaults.options(&job, 5), (looks.clone(), true));
        defaults.kind = Some("create".into());
        assert_eq!(defaults.options(&job, 5), (looks.clone().kind("create"), true));
        job.kind = Some("delete".to_owned());
        assert_eq!(defaults.options(&job, 5), (looks.kind("delete"), true));
        assert!(defaults.options(&job, u32::MAX).1, "no overflow");
    }
}

//! How a wait ended, and what was known by then.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::util::chain::error_chain;
use crate::util::human::Human;
use crate::{JobId, JobState, Phase, SourceError};

/// A job as one wait knows it: when the wait ended, or now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobReport {
    /// The job.
    pub id: JobId,
    /// Its last known state; none before the first.
    pub state: Option<JobState>,
    /// How many polls were made for this wait.
    pub polls: u32,
    /// How long the wait took.
    pub elapsed: Duration,
}

impl JobReport {
    /// Makes a report without a state, polls or time, for tests of code that takes reports; set the fields.
    ///
    /// ```
    /// use cfw_waiter::{JobReport, JobState};
    ///
    /// let mut report = JobReport::new("job-1");
    /// report.state = Some(JobState::succeeded());
    /// report.polls = 3;
    /// ```
    pub fn new(id: impl Into<JobId>) -> Self {
        Self { id: id.into(), state: None, polls: 0, elapsed: Duration::ZERO }
    }
}

/// How a wait ended: the job succeeded, or not.
pub type Outcome = Result<JobReport, WaitError>;

/// Why a wait ended without success.
///
/// After a mutation, `wait.await?` goes on only if the job succeeded. Where it did not, [`kind`] says
/// whether the job failed or its end is unknown, and the message says the rest: the job, its last status and
/// how old it is, polls made, time spent, the limit, the service's own words.
///
/// `{:?}` writes the message and what caused the last failure, as a `main` that returns the error does, and `{:#?}` the fields.
///
/// [`kind`]: Self::kind
#[derive(Clone)]
pub struct WaitError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: WaitErrorKind,
    report: JobReport,
    seen: Option<Duration>,
    limit: Option<String>,
    cause: Option<SourceError>,
    waiting_on: Option<WaitingOn>,
}

/// The ways in which a wait ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitErrorKind {
    /// The job ended badly. Its state holds what the service said.
    Failed,
    /// The deadline came first. The job may still be running.
    TimedOut,
    /// The service has not known the job for the whole grace.
    Lost,
    /// The credentials were finally refused. All waits of the source end so.
    Refused,
    /// No poll of this job can succeed.
    Fatal,
    /// The limit of transient failures, which the policy set, was reached.
    TooManyFailures,
    /// The source was never reached for the time that the policy set: no answer of any kind came, to no poll of any job.
    Unreachable,
    /// The job has a status that the source does not know, and the policy says to fail then.
    UnknownStatus,
    /// The source panicked while it fetched this job.
    Panicked,
    /// The runtime ended, or there was none.
    Stopped,
    /// The job was removed from its watch.
    Removed,
}

impl WaitErrorKind {
    pub(crate) const COUNT: usize = Self::Removed as usize + 1;

    /// Returns the kind as a word for logs and metrics, in snake case. It never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Fatal => "fatal",
            Self::TooManyFailures => "too_many_failures",
            Self::Unreachable => "unreachable",
            Self::UnknownStatus => "unknown_status",
            Self::Panicked => "panicked",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for WaitErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a wait hung on when its deadline came, last. Each has for how long its poll had been unanswered, or due and held
/// back, by this and what came before.
///
/// Where schedules [learn](crate::Schedule::learned), a poll that is worth more may take the place of one that has been due
/// for longer. The latter is then counted as due since the other was, so it was held back for longer than is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitingOn {
    /// On the answer to a poll in flight.
    Answer(Duration),
    /// On a pause that the service asked for, or the rate that it allows: they held back a poll that was due.
    Throttling(Duration),
    /// On the rate that was set, for the waiter or by its source: it held back a poll that was due.
    Rate(Duration),
    /// On other requests in flight: as many as there may be held back a poll that was due.
    InFlight(Duration),
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(lasted) => write!(f, "unanswered for {}", Human(*lasted)),
            Self::Throttling(lasted) => {
                write!(f, "held back for {} by the service's throttling", Human(*lasted))
            }
            Self::Rate(lasted) => write!(f, "held back for {} by the set rate", Human(*lasted)),
            Self::InFlight(lasted) => {
                write!(f, "held back for {} by the limit of requests in flight", Human(*lasted))
            }
        }
    }
}

/// What the board adds to a report when it ends a wait.
#[derive(Clone, Default)]
pub(crate) struct ErrorContext {
    /// How long before the end the last status was observed.
    pub(crate) age: Option<Duration>,
    /// The limit that was reached, in words.
    pub(crate) limit: Option<String>,
    /// The last failure.
    pub(crate) cause: Option<SourceError>,
    /// What the wait hung on.
    pub(crate) waiting_on: Option<WaitingOn>,
}

impl WaitError {
    /// Makes an error, for tests of code that takes errors. A waiter's own errors also name the limit that was reached.
    ///
    /// ```
    /// use cfw_waiter::{ErrorClass, JobReport, SourceError, WaitError, WaitErrorKind};
    ///
    /// let error = WaitError::new(WaitErrorKind::TimedOut, JobReport::new("job-1"))
    ///     .with_cause(SourceError::new(ErrorClass::TRANSIENT, "connection reset"));
    /// assert_eq!(error.cause().map(SourceError::class), Some(ErrorClass::TRANSIENT));
    /// ```
    pub fn new(kind: WaitErrorKind, report: JobReport) -> Self {
        let age = report.state.is_some().then_some(Duration::ZERO);
        Self::with_context(kind, report, ErrorContext { age, ..ErrorContext::default() })
    }

    /// Sets the failure that ended the wait.
    #[must_use]
    pub fn with_cause(mut self, cause: SourceError) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(cause);
        self
    }

    /// Sets how long before the end the last status was observed.
    #[must_use]
    pub fn with_last_seen(mut self, age: Duration) -> Self {
        Arc::make_mut(&mut self.0).seen = Some(age);
        self
    }

    pub(crate) fn with_context(
        kind: WaitErrorKind,
        report: JobReport,
        context: ErrorContext,
    ) -> Self {
        let ErrorContext { age: seen, limit, cause, waiting_on } = context;
        Self(Arc::new(Inner { kind, report, seen, limit, cause, waiting_on }))
    }

    /// Returns why the wait ended.
    pub fn kind(&self) -> WaitErrorKind {
        self.0.kind
    }

    /// Returns the last known state of the job, polls made and time spent.
    pub fn report(&self) -> &JobReport {
        &self.0.report
    }

    /// Returns how long before the end the last status was observed; none if none was.
    pub fn last_seen(&self) -> Option<Duration> {
        self.0.seen
    }

    /// Returns the failure that ended the wait, or the last failure if the job was failing then.
    pub fn cause(&self) -> Option<&SourceError> {
        self.0.cause.as_ref()
    }

    /// Returns what the wait hung on when its deadline came; none where nothing but the job itself was waited for.
    pub fn waiting_on(&self) -> Option<WaitingOn> {
        self.0.waiting_on
    }

    fn fmt_what(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, report, limit, .. } = &*self.0;
        let status = report.state.as_ref().map(|state| &*state.status);
        let limit = limit.as_deref();
        match kind {
            WaitErrorKind::Failed => write!(f, "failed with status {}", status.unwrap_or("Failed")),
            WaitErrorKind::TimedOut => match status {
                Some(status) => write!(f, "still {status}"),
                None => f.write_str("without any status"),
            },
            WaitErrorKind::Lost => f.write_str("lost: the service does not know it"),
            WaitErrorKind::Refused | WaitErrorKind::Fatal => f.write_str("cannot be polled"),
            WaitErrorKind::TooManyFailures => f.write_str("too many failures"),
            WaitErrorKind::Unreachable => match &self.0.cause {
                // The cause comes first, and whole: it is why the wait ended.
                Some(cause) => f.write_str(&error_chain(cause)),
                None => f.write_str("not reached"),
            },
            WaitErrorKind::UnknownStatus => {
                write!(f, "has the unknown status {}", status.unwrap_or("(none)"))
            }
            WaitErrorKind::Panicked => {
                write!(f, "not watched any more: the source panicked: {}", limit.unwrap_or("?"))
            }
            WaitErrorKind::Stopped => {
                write!(f, "not watched any more: {}", limit.unwrap_or("the runtime ended"))
            }
            WaitErrorKind::Removed => f.write_str("removed from its watch"),
        }
    }

    /// Returns the limit, unless `fmt_what` has written it.
    fn limit(&self) -> Option<&str> {
        match self.0.kind {
            WaitErrorKind::Panicked | WaitErrorKind::Stopped => None,
            WaitErrorKind::Failed
            | WaitErrorKind::TimedOut
            | WaitErrorKind::Lost
            | WaitErrorKind::Refused
            | WaitErrorKind::Fatal
            | WaitErrorKind::TooManyFailures
            | WaitErrorKind::Unreachable
            | WaitErrorKind::UnknownStatus
            | WaitErrorKind::Removed => self.0.limit.as_deref(),
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, report, seen, cause, waiting_on, .. } = &*self.0;
        write!(f, "job {} ", report.id)?;
        self.fmt_what(f)?;
        if matches!(kind, WaitErrorKind::Unreachable | WaitErrorKind::TooManyFailures) {
            f.write_str("; given up")?;
        }
        write!(f, " after {} (", Human(report.elapsed))?;
        if let Some(limit) = self.limit() {
            write!(f, "{limit}, ")?;
        }
        if self.0.kind == WaitErrorKind::TimedOut {
            f.write_str("timed out, ")?;
        }
        match report.polls {
            1 => f.write_str("1 poll")?,
            polls => write!(f, "{polls} polls")?,
        }
        match waiting_on {
            Some(answer @ WaitingOn::Answer(_)) if report.polls > 1 => {
                write!(f, ", the last one {answer}")?;
            }
            Some(answer @ WaitingOn::Answer(_)) => write!(f, ", {answer}")?,
            Some(held_back) => write!(f, ", the next one {held_back}")?,
            None => {}
        }
        let ended = report.state.as_ref().is_some_and(|state| state.phase.is_terminal());
        match (seen, &report.state) {
            (Some(seen), Some(state)) if !ended => {
                write!(f, ", last status {} {} ago)", state.status, Human(*seen))?;
            }
            (_, None) => f.write_str(", no status seen)")?,
            (_, Some(_)) => f.write_str(")")?,
        }
        match &report.state {
            Some(state) if state.phase == Phase::Failed => match &state.detail {
                Some(detail) => write!(f, ": {detail}")?,
                None => {
                    f.write_str(": the service gave no reason; look at the firewall for one")?
                }
            },
            Some(_) | None => {}
        }
        match cause {
            Some(cause) if *kind != WaitErrorKind::Unreachable => {
                write!(f, "; last error: {cause}")
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Debug for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return f.write_str(&error_chain(self));
        }
        f.debug_struct("WaitError")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("report", &self.0.report)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl std::error::Error for WaitError {
    // The message holds the words of the last failure already, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let has_whole_chain = self.0.kind == WaitErrorKind::Unreachable;
        self.cause().filter(|_| !has_whole_chain).and_then(std::error::Error::source)
    }
}

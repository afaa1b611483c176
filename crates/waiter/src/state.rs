//! What a source knows of a job.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

/// How far a job is, in the few words that a waiter must tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Queued or running: more is to come.
    Running,
    /// A status that the source does not know. It is not terminal: the wait goes on, and says so.
    Unknown,
    /// Ended well.
    Succeeded,
    /// Ended badly, cancelled included.
    Failed,
}

impl Phase {
    /// Whether the job has ended.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed => true,
            Self::Running | Self::Unknown => false,
        }
    }
}

/// The state of a job as one answer told it.
///
/// ```
/// use cfw_waiter::{JobState, Phase};
///
/// let state = JobState::failed().with_status("FAIL").with_detail("no quota left");
/// assert_eq!(state.phase, Phase::Failed);
/// assert_eq!(state.status, "FAIL");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobState {
    /// How far the job is.
    pub phase: Phase,
    /// The status in the service's own words.
    pub status: Cow<'static, str>,
    /// When the job was created, by the server's clock.
    pub begin: Option<SystemTime>,
    /// When the job ended, by the server's clock.
    pub end: Option<SystemTime>,
    /// When the server gave this answer, by its own clock: with `end`, the detection lag.
    pub answered: Option<SystemTime>,
    /// What the service says about the job, such as why it failed.
    pub detail: Option<Arc<str>>,
}

impl JobState {
    /// A job under way, with the status `Running`.
    pub fn running() -> Self {
        Self::new(Phase::Running, "Running")
    }

    /// A job that ended well, with the status `Success`.
    pub fn succeeded() -> Self {
        Self::new(Phase::Succeeded, "Success")
    }

    /// A job that ended badly, with the status `Failed`.
    pub fn failed() -> Self {
        Self::new(Phase::Failed, "Failed")
    }

    /// A job with a status that the source cannot place.
    pub fn unknown(status: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Phase::Unknown, status)
    }

    fn new(phase: Phase, status: impl Into<Cow<'static, str>>) -> Self {
        Self { phase, status: status.into(), begin: None, end: None, answered: None, detail: None }
    }

    /// Sets the status in the service's own words.
    #[must_use]
    pub fn with_status(mut self, status: impl Into<Cow<'static, str>>) -> Self {
        self.status = status.into();
        self
    }

    /// Sets when the job was created.
    #[must_use]
    pub fn with_begin(mut self, begin: impl Into<Option<SystemTime>>) -> Self {
        self.begin = begin.into();
        self
    }

    /// Sets when the job ended.
    #[must_use]
    pub fn with_end(mut self, end: impl Into<Option<SystemTime>>) -> Self {
        self.end = end.into();
        self
    }

    /// Sets when the server gave the answer.
    #[must_use]
    pub fn with_answered(mut self, answered: impl Into<Option<SystemTime>>) -> Self {
        self.answered = answered.into();
        self
    }

    /// Sets what the service says about the job.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

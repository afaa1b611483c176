//! A job and its status.

use std::{fmt, time::SystemTime};

use crate::JobId;

/// The state of a job.
///
/// All times are by the server's clock. The job that creates a firewall has the firewall's id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// The requested id.
    pub id: JobId,
    /// The status.
    pub status: JobStatus,
    /// When the job was created. It may have been queued since. `None` if absent or unreadable.
    pub begin_time: Option<SystemTime>,
    /// When the job ended. `None` while it runs, or if unreadable.
    pub end_time: Option<SystemTime>,
    /// The error code beside the job's data, mostly of a failed job. Many failed jobs have none.
    pub error_code: Option<String>,
    /// The text that goes with [`error_code`](Self::error_code), free of secrets, at most 512 characters.
    pub error_msg: Option<String>,
    /// When the server answered (its `Date` header, whole seconds).
    pub answered: Option<SystemTime>,
    /// The request id, which the service's support asks for.
    pub request_id: Option<String>,
}

/// The status of a job. Known texts are recognised in any case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobStatus {
    /// Not ended yet.
    Running,
    /// Ended successfully.
    Success,
    /// Ended with a failure.
    Failed,
    /// A status that this version does not know, as the server sent it. It counts as not terminal.
    Other(String),
}

impl JobStatus {
    /// Returns whether the job has ended.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Success | Self::Failed => true,
            Self::Running | Self::Other(_) => false,
        }
    }

    /// Returns the status as the service's documentation spells it, or an unknown one as the server sent it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "Running",
            Self::Success => "Success",
            Self::Failed => "Failed",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for JobStatus {
    fn from(text: &str) -> Self {
        [Self::Running, Self::Success, Self::Failed]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
            .unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_known_in_any_case_and_others_keep_their_text() {
        assert_eq!(JobStatus::from("SUCCESS"), JobStatus::Success);
        assert_eq!(JobStatus::from("failed"), JobStatus::Failed);
        assert_eq!(JobStatus::from("Running").as_str(), "Running");
        assert_eq!(JobStatus::from("roLLing_back").as_str(), "roLLing_back");
        assert!(!JobStatus::from("Succeeded").is_terminal());
        assert!(JobStatus::Success.is_terminal() && JobStatus::Failed.is_terminal());
    }
}

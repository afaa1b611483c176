//! A job and its status, as the service tells them.

use std::{fmt, time::SystemTime};

use crate::JobId;

/// What the service told about a job.
///
/// All times are the server's. A job created by a mutation of a firewall has the firewall's id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// The id that was asked for.
    pub id: JobId,
    /// Where the job stands.
    pub status: JobStatus,
    /// When the job was created (it may have queued since). `None` if absent or unreadable.
    pub begin_time: Option<SystemTime>,
    /// When the job ended. `None` while it runs, or if unreadable.
    pub end_time: Option<SystemTime>,
    /// The error code beside the job's data, mostly that of a failed job. Many failed jobs carry none.
    pub error_code: Option<String>,
    /// The text that goes with [`error_code`](Self::error_code), free of secrets, at most 512 characters.
    pub error_msg: Option<String>,
    /// When the server answered (its `Date` header, whole seconds).
    pub answered: Option<SystemTime>,
    /// The request id to give to the service's support.
    pub request_id: Option<String>,
}

/// The status of a job. Texts are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobStatus {
    /// Not ended yet.
    Running,
    /// Ended well.
    Success,
    /// Ended badly.
    Failed,
    /// A status that this version does not know, as the server wrote it. It is taken as not terminal.
    Other(String),
}

impl JobStatus {
    /// Whether the job has ended for good.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Success | Self::Failed => true,
            Self::Running | Self::Other(_) => false,
        }
    }

    /// The status as the service's documentation spells it; an unknown one as the server wrote it.
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

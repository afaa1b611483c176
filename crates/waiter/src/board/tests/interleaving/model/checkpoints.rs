//! What a checkpoint holds, naively: rules 1, 2, 5 and 13 for one wait that is continued by another one.

use std::sync::Arc;
use std::time::Duration;

use super::{Model, ModelWait};
use crate::board::{Time, WaitOptions};
use crate::options::Resumed;
use crate::{JobOptions, JobState, Phase, WaitErrorKind};

/// What a checkpoint of a watch holds of one job.
#[derive(Debug)]
pub(in super::super) struct Saved {
    pub(in super::super) job: usize,
    age: Duration,
    elapsed: Duration,
    time_left: Duration,
    polls: u32,
    /// What its consumer heard last.
    status: Option<String>,
    is_resumed: bool,
    has_ended: bool,
}

impl Saved {
    /// Returns what a checkpoint holds of a job that is pending. The watch started `passed` ago.
    pub(in super::super) fn pending(job: usize, options: &WaitOptions, passed: Duration) -> Self {
        let resumed = options.resumed.as_deref();
        Self {
            job,
            age: options.since + passed,
            elapsed: resumed.map_or(Duration::ZERO, |known| known.elapsed) + passed,
            time_left: options.timeout().saturating_sub(passed),
            polls: resumed.map_or(0, |known| known.polls),
            status: resumed.and_then(|known| known.status.clone()).map(|(_, text)| text.into()),
            is_resumed: resumed.is_some(),
            has_ended: false,
        }
    }

    /// Returns the options of the wait that goes on, a time after the checkpoint was made. That time counts.
    pub(in super::super) fn resume(&self, now: Time, dead: Duration) -> JobOptions {
        let resumed = Resumed {
            at: Some(now),
            times: None,
            elapsed: self.elapsed + dead,
            limit: self.elapsed + self.time_left,
            polls: self.polls,
            status: self.status.clone().map(|text| (Phase::Running, text.into())),
        };
        let time_left = self.time_left.saturating_sub(dead);
        let mut options = JobOptions::new().timeout(time_left).since(self.age + dead);
        options.resumed = Some(Arc::new(resumed));
        options
    }

    /// Returns whether options are those of the wait that goes on.
    pub(in super::super) fn is_left_in(&self, options: &JobOptions, dead: Duration) -> bool {
        let resumed = options.resumed.as_ref().expect("it resumes a wait");
        let status = resumed.status.as_ref().map(|(_, text)| text.to_string());
        options.timeout == Some(self.time_left.saturating_sub(dead))
            && options.since == self.age + dead
            && resumed.elapsed == self.elapsed + dead
            && resumed.polls == self.polls
            && status == self.status
    }

    pub(in super::super) fn paths(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.status.is_none(), "a wait that resumes before its first answer"),
            (self.status.is_some(), "a wait that resumes with a status"),
            (self.is_resumed, "a wait that resumes twice"),
            (self.has_ended, "a wait whose end was not reported resumes"),
        ]
        .into_iter()
        .filter_map(|(is_so, path)| is_so.then_some(path))
    }
}

impl<R: Copy + Ord + std::fmt::Debug> Model<R> {
    /// Returns what another process needs of the waits of a watch: of those whose end was not reported. Of two on one job the
    /// later one counts, and a removed job is not waited for again.
    pub(in super::super) fn saved(
        &self,
        watch: usize,
        ends_only: bool,
        is_pending: impl Fn(usize) -> bool,
    ) -> Vec<Saved> {
        let is_wanted = |wait: &&ModelWait| {
            let is_again = || is_pending(wait.job) || self.is_watched(watch, wait.job);
            wait.watch == watch
                && !wait.is_heard
                && match &wait.end {
                    None => true,
                    Some((_, kind, _)) => *kind != Some(WaitErrorKind::Removed) && !is_again(),
                }
        };
        self.waits.iter().filter(is_wanted).map(|wait| self.save(wait, ends_only)).collect()
    }

    fn save(&self, wait: &ModelWait, ends_only: bool) -> Saved {
        let resumed = wait.resumed.as_deref();
        let earlier = || resumed?.status.as_ref().map(|(_, text)| text.to_string());
        // A change that was not reported is one for the next process.
        let status = match &wait.end {
            _ if !ends_only => wait.heard.clone(),
            Some((.., status)) => status.clone(),
            None => self.jobs[&wait.job].status.clone().or_else(earlier),
        };
        let is_terminal = |text: &String| {
            [JobState::succeeded(), JobState::failed()].iter().any(|state| state.status == *text)
        };
        let passed = self.now.since(wait.started);
        Saved {
            job: wait.job,
            age: wait.since + passed,
            elapsed: resumed.map_or(Duration::ZERO, |known| known.elapsed) + passed,
            time_left: wait.deadline.since(self.now),
            polls: resumed.map_or(0, |known| known.polls) + wait.polls,
            status: status.filter(|text| !is_terminal(text)),
            is_resumed: resumed.is_some(),
            has_ended: wait.end.is_some(),
        }
    }
}

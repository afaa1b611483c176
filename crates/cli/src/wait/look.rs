//! Looks: waits with a timeout of zero, which end with the answer to their one poll.

use std::collections::HashSet;

use cfw_waiter::{JobId, Update, UpdateKind, WaitError, WaitErrorKind};

/// The jobs that are looked at once.
#[derive(Debug, Default)]
pub(super) struct Looks(HashSet<JobId>);

impl Looks {
    pub(super) fn add(&mut self, id: JobId) {
        self.0.insert(id);
    }

    pub(super) fn remove(&mut self, id: &JobId) {
        self.0.remove(id);
    }

    pub(super) fn contains(&self, id: &JobId) -> bool {
        self.0.contains(id)
    }

    /// Returns whether the update is the answer to a look, after which the job must be removed from its watch.
    pub(super) fn is_answer(&self, update: &Update) -> bool {
        let is_answer = match &update.kind {
            UpdateKind::Changed { to, .. } => !to.phase.is_terminal(),
            UpdateKind::Trouble(_) => true,
            _ => false,
        };
        is_answer && self.contains(&update.id)
    }

    /// Gives each end of a look that tells no end of the job the kind [`Removed`](WaitErrorKind::Removed). The waiter ends some
    /// looks before the command removes their jobs: at a failed poll, or if none was answered.
    pub(super) fn normalize(&self, mut update: Update) -> Update {
        let UpdateKind::Ended(Err(error)) = &update.kind else { return update };
        let is_unsettled = matches!(
            error.kind(),
            WaitErrorKind::TimedOut
                | WaitErrorKind::Lost
                | WaitErrorKind::TooManyFailures
                | WaitErrorKind::Unreachable
        );
        if is_unsettled && self.contains(&update.id) {
            let mut removed = WaitError::new(WaitErrorKind::Removed, error.report().clone());
            if let Some(cause) = error.cause() {
                removed = removed.with_cause(cause.clone());
            }
            update.kind = UpdateKind::Ended(Err(removed));
        }
        update
    }
}

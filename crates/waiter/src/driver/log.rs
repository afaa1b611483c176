//! What is logged of jobs, each line in the span that it belongs to.

use tracing::{debug, warn};

use super::in_flight::Answered;
use crate::board::{LogEvent, LogEventKind};
use crate::spans::WaitSpan;
use crate::util::chain::error_chain;
use crate::util::contain::{contain, contain_drop};

/// Something to log, outside the lock.
pub(crate) struct LogLine {
    pub(crate) event: LogEvent,
    /// The span of a wait on the job.
    pub(crate) span: WaitSpan,
    /// The index of the answer that it follows from, if it does from one.
    pub(crate) answer: Option<usize>,
}

impl LogLine {
    /// Writes the line in the span of the poll that it follows from; without one, in that of the wait. The text of an error
    /// is user code, and so is the subscriber.
    pub(crate) fn write(self, answers: &[Answered]) {
        let Self { event, span, answer } = self;
        let poll = answer.and_then(|answer| answers.get(answer)).map(|answered| &answered.span);
        let write = || match poll.filter(|poll| !poll.is_none()) {
            Some(poll) => poll.enter(|| write_event(&event)),
            None => span.enter(|| write_event(&event)),
        };
        let _ = contain(write);
        contain_drop(event);
    }
}

fn write_event(event: &LogEvent) {
    let id = &event.id;
    match &event.kind {
        LogEventKind::Changed { from, to } => {
            debug!(job = %id, from = from.as_deref(), to = &**to, "status changed");
        }
        LogEventKind::Trouble { error, is_outage: true } => {
            warn!(job = %id, error = %error_chain(error), "polling is in trouble");
        }
        LogEventKind::Trouble { error, is_outage: false } => {
            debug!(job = %id, error = %error_chain(error), "polling this job is in trouble");
        }
    }
}

use std::sync::Arc;

use crate::record::Ticket;
use crate::state::Shared;

/// A request in flight; dropping it ends it, however it came to that.
pub(crate) struct Flight {
    shared: Arc<Shared>,
    ticket: Ticket,
    job: Option<Arc<str>>,
    answer: Option<u16>,
}

impl Flight {
    pub(crate) const fn new(shared: Arc<Shared>, ticket: Ticket, job: Option<Arc<str>>) -> Self {
        Self { shared, ticket, job, answer: None }
    }

    pub(crate) const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// From here on the request has an answer.
    pub(crate) const fn answer(&mut self, status: u16) {
        self.answer = Some(status);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        state.record.end(self.ticket, now, self.answer);
        if let Some(entry) = self.job.as_ref().and_then(|job| state.jobs.get_mut(job)) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
    }
}

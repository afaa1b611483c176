//! Requests in flight.

use std::sync::Arc;

use crate::record::log::RecordId;
use crate::state::shared::Shared;

/// A request in flight. Dropping it records the end of the request.
pub(crate) struct InFlight {
    shared: Arc<Shared>,
    record_id: RecordId,
    job: Option<Arc<str>>,
    /// The status of the answer; `None` until there is one.
    status: Option<u16>,
}

impl InFlight {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        record_id: RecordId,
        job: Option<Arc<str>>,
    ) -> Self {
        Self { shared, record_id, job, status: None }
    }

    pub(crate) const fn record_id(&self) -> RecordId {
        self.record_id
    }

    pub(crate) const fn set_status(&mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        state.log.finish(self.record_id, now, self.status);
        if let Some(job) = &self.job {
            state.jobs.finish_poll(job);
        }
    }
}

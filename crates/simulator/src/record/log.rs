//! The record itself: counters, and the requests if they are kept.

use std::collections::HashSet;
use std::time::Duration;

use crate::model::route::Route;
use crate::record::request::{Connections, Counts, Credential, Request};
use crate::util::random::hash;

/// Identifies a request in the log, until the log is cleared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordId(u64);

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    counts: Counts,
    in_flight: u32,
    max_in_flight: u32,
    connections: Connections,
    /// `None` if requests are counted only.
    requests: Option<Vec<Request>>,
    /// Hashes of the dates and signatures seen, while requests are kept.
    signatures: HashSet<u64>,
    /// The id of the first kept request.
    first_id: u64,
    next_id: u64,
}

impl RequestLog {
    pub(crate) fn new(keeps_requests: bool) -> Self {
        Self { requests: keeps_requests.then(Vec::new), ..Self::default() }
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) const fn max_in_flight(&self) -> u32 {
        self.max_in_flight
    }

    pub(crate) const fn connections(&self) -> Connections {
        self.connections
    }

    /// Returns the kept requests in the order of arrival.
    pub(crate) fn requests(&self) -> &[Request] {
        self.requests.as_deref().unwrap_or_default()
    }

    /// Adds a request, which is in flight until [`finish`](Self::finish).
    pub(crate) fn start(&mut self, mut request: Request) -> RecordId {
        let counts = &mut self.counts;
        counts.requests += 1;
        *match request.route {
            Route::ListJob => &mut counts.polls,
            Route::Token => &mut counts.tokens,
            Route::CreateFirewall => &mut counts.creates,
            Route::DeleteFirewall => &mut counts.deletes,
            Route::GetFirewall => &mut counts.firewalls,
            Route::Other => &mut counts.other,
        } += 1;
        counts.faults += u64::from(request.fault.is_some());
        counts.overlapping += u64::from(request.others_for_job > 0);
        counts.replayed +=
            u64::from(request.headers.as_ref().is_some_and(|headers| headers.replayed));
        request.others_in_flight = self.in_flight;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        let id = RecordId(self.next_id);
        self.next_id += 1;
        if let Some(requests) = &mut self.requests {
            requests.push(request);
        }
        id
    }

    /// Returns whether an earlier request had this text, a date and its signature.
    pub(crate) fn is_replay(&mut self, signed: &str) -> bool {
        self.requests.is_some() && !self.signatures.insert(hash(signed))
    }

    pub(crate) fn set_credential(&mut self, id: RecordId, credential: Credential) {
        let is_refused = matches!(
            credential,
            Credential::Missing | Credential::RefusedToken | Credential::RefusedSignature
        );
        self.counts.refused += u64::from(is_refused);
        if let Some(request) = self.find(id) {
            request.credential = credential;
        }
    }

    /// Ends a request. `status` is `None` if it got no answer.
    pub(crate) fn finish(&mut self, id: RecordId, now: Duration, status: Option<u16>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.counts.throttled += u64::from(status == Some(429));
        if let Some(request) = self.find(id) {
            request.answered = status.map(|_| now);
            request.status = status;
        }
    }

    /// Removes all requests and resets the counts. Requests in flight stay in flight.
    pub(crate) fn clear(&mut self) {
        self.first_id = self.next_id;
        self.counts = Counts::default();
        self.max_in_flight = self.in_flight;
        if let Some(requests) = &mut self.requests {
            requests.clear();
        }
        self.signatures.clear();
    }

    /// Counts a new connection and returns its number.
    pub(crate) fn open_connection(&mut self) -> u32 {
        let number = self.connections.accepted;
        self.connections.accepted += 1;
        self.connections.open += 1;
        self.connections.peak = self.connections.peak.max(self.connections.open);
        number
    }

    pub(crate) fn close_connection(&mut self) {
        self.connections.open = self.connections.open.saturating_sub(1);
    }

    fn find(&mut self, id: RecordId) -> Option<&mut Request> {
        let index = usize::try_from(id.0.checked_sub(self.first_id)?).ok()?;
        self.requests.as_mut()?.get_mut(index)
    }
}

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::random::hash;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// A poll: `GET /v3/{project_id}/jobs/{job_id}`, or its ECS twin under `/v1`.
    ListJob,
    /// `POST /v3/auth/tokens`.
    Token,
    /// `POST /v2/{project_id}/firewall`.
    CreateFirewall,
    /// `DELETE /v2/{project_id}/firewall/{id}`.
    DeleteFirewall,
    /// `GET /v1/{project_id}/firewall/exist`.
    GetFirewall,
    /// Anything else: 404 with `APIGW.0101`. Followed redirects end up here.
    Other,
}

/// What the gateway made of a request's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// Nobody looked: the route is open to all, a fault answered first, or the client left.
    Unchecked,
    /// Neither a token nor a signature.
    Missing,
    /// A valid `X-Auth-Token`.
    Token,
    /// An expired, revoked or unknown `X-Auth-Token`.
    RefusedToken,
    /// A valid `SDK-HMAC-SHA256` signature.
    Signature,
    /// A signature that was refused, whatever the reason.
    RefusedSignature,
}

/// One request as the simulator saw it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// When it arrived, since the start of the simulator.
    pub at: Duration,
    /// When the answer had been handed to the socket; `None` while it is in flight, and for ever
    /// when the client left or the connection was reset first.
    pub answered: Option<Duration>,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// The fault that hit it.
    pub fault: Option<Arc<Fault>>,
    /// What it asked for.
    pub route: Route,
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query as sent, before decoding.
    pub path: Arc<str>,
    /// The job a poll is about, decoded.
    pub job: Option<Arc<str>>,
    /// What the gateway made of its credentials.
    pub credential: Credential,
    /// How many *other* requests for the same job were in flight when it arrived.
    ///
    /// A request counts until its answer has been handed to the socket or its connection is seen
    /// to close, so that one given up by the client can count for a moment longer.
    pub others_for_job: u32,
    /// How many *other* requests were in flight when it arrived.
    pub others_in_flight: u32,
    /// The number of its connection, from 0 in the order of acceptance.
    pub connection: u32,
    /// What it said about itself in headers; `None` for the usual request with a token alone.
    pub headers: Option<Box<Headers>>,
}

/// The headers worth recording. Tokens and secrets are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Headers {
    /// `X-Sdk-Date`.
    pub sdk_date: Option<String>,
    /// The `Signature=` part of `Authorization`.
    pub signature: Option<String>,
    /// The same date and signature had come before: a stale signature was sent again. Two fresh
    /// signatures of one request within a second are equal as well.
    pub replayed: bool,
    /// `X-Client-Token`.
    pub client_token: Option<String>,
}

/// How many requests there were, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All requests.
    pub requests: u64,
    /// Polls: [`Route::ListJob`].
    pub polls: u64,
    /// Requests for a token: [`Route::Token`].
    pub tokens: u64,
    /// [`Route::CreateFirewall`].
    pub creates: u64,
    /// [`Route::DeleteFirewall`].
    pub deletes: u64,
    /// [`Route::GetFirewall`].
    pub firewalls: u64,
    /// [`Route::Other`].
    pub other: u64,
    /// Requests hit by a [`Fault`].
    pub faults: u64,
    /// Answers with status 429, whether by a fault or by the rate limit.
    pub throttled: u64,
    /// Requests whose credentials were missing or refused.
    pub refused: u64,
    /// Requests that arrived while another one for the same job was in flight.
    pub overlapping: u64,
    /// Requests that carried a signature seen before; only while requests are recorded.
    pub replayed: u64,
}

/// Connections accepted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// All that were ever accepted.
    pub accepted: u32,
    /// Open now.
    pub open: u32,
    /// The most that were open at once.
    pub peak: u32,
}

/// Names a request in the record, for as long as the record holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u64);

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) counts: Counts,
    pub(crate) in_flight: u32,
    pub(crate) max_in_flight: u32,
    pub(crate) connections: Connections,
    pub(crate) kept: Option<Vec<Request>>,
    /// Hashes of the dates and signatures seen, while requests are kept.
    signatures: HashSet<u64>,
    first: u64,
    next: u64,
}

impl Record {
    pub(crate) fn new(keep: bool) -> Self {
        Self { kept: keep.then(Vec::new), ..Self::default() }
    }

    pub(crate) fn begin(&mut self, mut request: Request) -> Ticket {
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
        let ticket = Ticket(self.next);
        self.next += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(request);
        }
        ticket
    }

    /// Whether these words, a date and its signature, came before.
    pub(crate) fn replays(&mut self, signed: &str) -> bool {
        self.kept.is_some() && !self.signatures.insert(hash(signed))
    }

    pub(crate) fn credential(&mut self, ticket: Ticket, credential: Credential) {
        let refused = matches!(
            credential,
            Credential::Missing | Credential::RefusedToken | Credential::RefusedSignature
        );
        self.counts.refused += u64::from(refused);
        if let Some(request) = self.find(ticket) {
            request.credential = credential;
        }
    }

    /// `answer` is `None` when there was none.
    pub(crate) fn end(&mut self, ticket: Ticket, now: Duration, answer: Option<u16>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.counts.throttled += u64::from(answer == Some(429));
        if let Some(request) = self.find(ticket) {
            request.answered = answer.map(|_| now);
            request.status = answer;
        }
    }

    /// Requests in flight stay in flight, but are no longer in the record.
    pub(crate) fn clear(&mut self) {
        self.first = self.next;
        self.counts = Counts::default();
        self.max_in_flight = self.in_flight;
        if let Some(kept) = &mut self.kept {
            kept.clear();
        }
        self.signatures.clear();
    }

    pub(crate) fn opened(&mut self) -> u32 {
        let number = self.connections.accepted;
        self.connections.accepted += 1;
        self.connections.open += 1;
        self.connections.peak = self.connections.peak.max(self.connections.open);
        number
    }

    pub(crate) fn closed(&mut self) {
        self.connections.open = self.connections.open.saturating_sub(1);
    }

    fn find(&mut self, ticket: Ticket) -> Option<&mut Request> {
        let index = usize::try_from(ticket.0.checked_sub(self.first)?).ok()?;
        self.kept.as_mut()?.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_request_stays_small() {
        assert!(size_of::<Request>() <= 136, "{} bytes", size_of::<Request>());
    }
}

//! The public entries of the record.

use std::sync::Arc;
use std::time::Duration;

use crate::faults::fault::Fault;
use crate::model::route::Route;

/// The gateway's verdict on a request's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// Not checked: the route needs none, a fault answered first, or the client left.
    Unchecked,
    /// Neither a token nor a signature.
    Missing,
    /// A valid `X-Auth-Token`.
    Token,
    /// An expired, revoked or unknown `X-Auth-Token`.
    RefusedToken,
    /// A valid `SDK-HMAC-SHA256` signature.
    Signature,
    /// A signature that was refused, for any reason.
    RefusedSignature,
}

/// One recorded request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The time of arrival, since the start of the simulator.
    pub at: Duration,
    /// The time at which the answer had been written to the socket. `None` while the request is in
    /// flight, and if the client left or the connection was reset before.
    pub answered: Option<Duration>,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// The fault that affected it.
    pub fault: Option<Arc<Fault>>,
    /// The API it was for.
    pub route: Route,
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query as sent, before decoding.
    pub path: Arc<str>,
    /// The decoded job id of a poll.
    pub job: Option<Arc<str>>,
    /// The gateway's verdict on its credentials.
    pub credential: Credential,
    /// The number of *other* requests for the same job in flight when it arrived.
    ///
    /// A request counts until its answer has been written to the socket or its connection is seen
    /// to close. Hence a request that the client has given up can still count for a moment.
    pub others_for_job: u32,
    /// The number of *other* requests in flight when it arrived.
    pub others_in_flight: u32,
    /// The number of its connection, from 0 in the order of acceptance.
    pub connection: u32,
    /// The recorded headers. `None` for the usual request with a token only.
    pub headers: Option<Box<Headers>>,
}

/// The recorded headers. Tokens and secrets are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Headers {
    /// `X-Sdk-Date`.
    pub sdk_date: Option<String>,
    /// The `Signature=` part of `Authorization`.
    pub signature: Option<String>,
    /// An earlier request had the same date and signature, as when an old signature is sent again.
    /// Two new signatures of one request within a second are equal as well.
    pub replayed: bool,
    /// `X-Client-Token`.
    pub client_token: Option<String>,
}

/// The number of requests by kind.
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
    /// Requests affected by a [`Fault`].
    pub faults: u64,
    /// Answers with status 429, by a fault or by the rate limit.
    pub throttled: u64,
    /// Requests whose credentials were missing or refused.
    pub refused: u64,
    /// Requests that arrived while another one for the same job was in flight.
    pub overlapping: u64,
    /// Requests with the date and signature of an earlier one. Counted only while requests are
    /// recorded.
    pub replayed: u64,
}

/// The number of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// All accepted connections.
    pub accepted: u32,
    /// Connections open now.
    pub open: u32,
    /// The highest number open at once.
    pub peak: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_request_stays_small() {
        assert!(size_of::<Request>() <= 136, "{} bytes", size_of::<Request>());
    }
}

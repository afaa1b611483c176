//! What every request goes through: record, faults, credentials, rate limit, service, record.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Limited};

use crate::answer::Answer;
use crate::clock::pause;
use crate::fault::Fault;
use crate::flight::Flight;
use crate::random::hex_id;
use crate::record::{self, Credential, Headers, Route};
use crate::server::Connection;
use crate::signature::Authorization;
use crate::state::{Shared, State};
use crate::tokens::refuse;
use crate::trouble::Draw;

/// The longest request body, in bytes.
const BODY_LIMIT: usize = 1 << 20;

/// A request that got through to the service.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) now: Duration,
    pub(crate) parts: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) fault: Option<&'a Fault>,
    pub(crate) request_id: &'a str,
}

impl Call<'_> {
    pub(crate) fn forbidden(&self) -> Answer {
        let msg = "The IAM user is not allowed to access the API of this project";
        Answer::gateway(403, "APIGW.0302", msg, self.request_id)
    }

    pub(crate) fn not_published(&self) -> Answer {
        let msg = "The API does not exist or has not been published in the environment";
        Answer::gateway(404, "APIGW.0101", msg, self.request_id)
    }
}

/// Whom a request concerns, from its path.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) project: Option<String>,
    pub(crate) job: Option<String>,
}

/// Takes one request from its arrival to its answer; `work` is the service behind the gateway.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    route: Route,
    target: Target,
    request: Request<Body>,
    work: impl FnOnce(&mut State, &Call<'_>) -> Answer,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Arrival { flight, fault, latency, request_id } = arrive(&shared, route, target.job, &parts);
    let fault = fault.as_deref();
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    let (body, too_large) = body.map_or((Bytes::new(), true), |body| (body.to_bytes(), false));
    pause(latency).await;

    let (answer, date) = {
        let mut state = shared.lock();
        let now = shared.clock.now();
        let call = Call {
            shared: &shared,
            now,
            parts: &parts,
            body: &body,
            fault,
            request_id: &request_id,
        };
        let instead = fault.and_then(|fault| Answer::instead(fault, &shared.endpoint, &request_id));
        let answer = match instead {
            Some(instead) => instead,
            None if too_large => {
                Answer::gateway(413, "APIGW.0201", "Request entity too large.", &request_id)
            }
            None => {
                let project = target.project.as_deref();
                admit(&mut state, &call, route, project, &flight, work)
            }
        };
        let unix_millis = shared.unix_millis(&state, now);
        (answer, state.date(unix_millis))
    };

    match fault {
        Some(Fault::Slow(delay)) => pause(*delay).await,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset) => {
            if let Some(connection) = parts.extensions.get::<Connection>() {
                connection.reset();
            }
            return Response::default();
        }
        _ => {}
    }
    let named = if route == Route::Token { "x-iam-trace-id" } else { "x-request-id" };
    answer.into_response(fault, (named, &request_id), &date, flight)
}

struct Arrival {
    flight: Flight,
    fault: Option<Arc<Fault>>,
    latency: Duration,
    request_id: String,
}

fn arrive(shared: &Arc<Shared>, route: Route, job: Option<String>, parts: &Parts) -> Arrival {
    const REQUEST: u64 = 2;
    let mut guard = shared.lock();
    let state = &mut *guard;
    let now = shared.clock.now();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let (job, path, others, polls) = match job {
        Some(job) => {
            let (job, entry) = state.entry(job);
            let path = match &entry.path {
                Some(seen) if **seen == *path => seen.clone(),
                _ => entry.path.insert(path.into()).clone(),
            };
            let before = (entry.in_flight, entry.polls);
            entry.in_flight += 1;
            entry.polls += 1;
            (Some(job), path, before.0, before.1)
        }
        None => (None, path.into(), 0, 0),
    };
    let draw = job.as_deref().map(|job| Draw { seed: shared.config.seed, job, n: polls });
    let fault = state.trouble.strike(route, now, draw);
    let headers = headers(&parts.headers, |sent| state.record.replays(sent));
    let ticket = state.record.begin(record::Request {
        at: now,
        answered: None,
        status: None,
        fault: fault.clone(),
        route,
        method: method(parts),
        path,
        job: job.clone(),
        credential: Credential::Unchecked,
        others_for_job: others,
        others_in_flight: 0,
        connection: parts.extensions.get::<Connection>().map_or(0, |connection| connection.number),
        headers,
    });
    let request_id = hex_id(shared.config.seed, REQUEST, state.next_id());
    Arrival {
        flight: Flight::new(shared.clone(), ticket, job),
        fault,
        latency: state.latency,
        request_id,
    }
}

fn admit(
    state: &mut State,
    call: &Call<'_>,
    route: Route,
    project: Option<&str>,
    flight: &Flight,
    work: impl FnOnce(&mut State, &Call<'_>) -> Answer,
) -> Answer {
    if matches!(route, Route::Token | Route::Other) {
        return work(state, call);
    }
    let (credential, refusal) = authenticate(state, call);
    state.record.credential(flight.ticket(), credential);
    if let Some(refusal) = refusal {
        return refusal;
    }
    if let Some(limiter) = &mut state.limiter
        && !limiter.allows(route, call.now)
    {
        return Answer::throttled(Some(&limiter.quota()), call.request_id);
    }
    if project != Some(&call.shared.config.project_id) {
        return call.forbidden();
    }
    work(state, call)
}

fn authenticate(state: &mut State, call: &Call<'_>) -> (Credential, Option<Answer>) {
    let headers = &call.parts.headers;
    if let Some(token) = text(headers, "x-auth-token") {
        return match state.tokens.check(token, call.now) {
            Ok(()) => (Credential::Token, None),
            Err(fault) => (Credential::RefusedToken, Some(refuse(state, call, fault))),
        };
    }
    let refused = |detail: &str| Some(Answer::unauthorized(detail, call.request_id));
    let Some(authorization) = text(headers, "authorization") else {
        return (Credential::Missing, refused("x-auth-token not found"));
    };
    let unix_millis = call.shared.unix_millis(state, call.now);
    match state.keys.check(call, authorization, unix_millis) {
        Ok(()) => (Credential::Signature, None),
        Err(detail) => (Credential::RefusedSignature, refused(&detail)),
    }
}

fn method(parts: &Parts) -> &'static str {
    ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == parts.method.as_str())
        .unwrap_or("OTHER")
}

fn headers(headers: &HeaderMap, replays: impl FnOnce(&str) -> bool) -> Option<Box<Headers>> {
    let own = |name| text(headers, name).map(str::to_owned);
    let sdk_date = own("x-sdk-date");
    let signature = text(headers, "authorization")
        .and_then(Authorization::parse)
        .map(|authorization| authorization.signature.to_owned());
    let replayed = sdk_date
        .as_ref()
        .zip(signature.as_ref())
        .is_some_and(|(date, signature)| replays(&format!("{date} {signature}")));
    let recorded = Headers { sdk_date, signature, replayed, client_token: own("x-client-token") };
    (recorded != Headers::default()).then(|| Box::new(recorded))
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

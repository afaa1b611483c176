//! The steps that every request takes: record, faults, credentials, rate limit, service, record.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Limited};

use crate::faults::fault::Fault;
use crate::faults::plan::PollKey;
use crate::http::answer::Answer;
use crate::http::auth::authenticate;
use crate::http::call::Call;
use crate::http::connection::Connection;
use crate::http::fault_answers::fault_answer;
use crate::http::headers::header_text;
use crate::http::signature::Authorization;
use crate::model::route::Route;
use crate::record::request::{self, Credential, Headers};
use crate::state::in_flight::InFlight;
use crate::state::shared::{Shared, State};
use crate::util::clock::sleep;
use crate::util::random::hex_id;

/// The longest request body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// The project and the job in the path of a request.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) project: Option<String>,
    pub(crate) job: Option<String>,
}

/// Answers one request. `handler` is the service behind the gateway.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    route: Route,
    target: Target,
    request: Request<Body>,
    handler: impl FnOnce(&mut State, &Call<'_>) -> Answer,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Arrival { in_flight, fault, latency, request_id } =
        record_arrival(&shared, route, target.job, &parts);
    let fault = fault.as_deref();
    let body = Limited::new(body, MAX_BODY).collect().await;
    let (body, is_too_large) = body.map_or((Bytes::new(), true), |body| (body.to_bytes(), false));
    sleep(latency).await;

    let (answer, date) = {
        let mut state = shared.lock();
        let now = shared.clock.now();
        let call = Call {
            shared: &shared,
            route,
            now,
            parts: &parts,
            body: &body,
            fault,
            request_id: &request_id,
        };
        let answer = match fault.and_then(|fault| fault_answer(fault, &call)) {
            Some(answer) => answer,
            None if is_too_large => {
                Answer::gateway(413, "APIGW.0201", "Request entity too large.", &request_id)
            }
            None => {
                let project = target.project.as_deref();
                check_and_handle(&mut state, &call, project, &in_flight, handler)
            }
        };
        let unix_millis = shared.unix_millis(&state, now);
        (answer, state.date(unix_millis))
    };

    let connection = parts.extensions.get::<Connection>();
    match fault {
        Some(Fault::Slow(delay)) => sleep(*delay).await,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset) => {
            if let Some(connection) = connection {
                connection.reset();
            }
            return Response::default();
        }
        Some(Fault::DeadConnection) => {
            if let Some(connection) = connection {
                connection.kill();
            }
        }
        Some(Fault::InterimFlood) => {
            if let Some(connection) = connection {
                connection.flood();
            }
            // hyper reads again, and the stream sends, when the task is polled the next time.
            tokio::task::yield_now().await;
            std::future::pending().await
        }
        _ => {}
    }
    let id_header = if route == Route::Token { "x-iam-trace-id" } else { "x-request-id" };
    answer.into_response(fault, (id_header, &request_id), &date, in_flight)
}

struct Arrival {
    in_flight: InFlight,
    fault: Option<Arc<Fault>>,
    latency: Duration,
    request_id: String,
}

/// Records a request and takes its fault from the plan.
fn record_arrival(
    shared: &Arc<Shared>,
    route: Route,
    job: Option<String>,
    parts: &Parts,
) -> Arrival {
    const REQUEST: u64 = 2;
    let mut guard = shared.lock();
    let state = &mut *guard;
    let now = shared.clock.now();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let poll = job.map(|job| state.jobs.start_poll(job, path));
    let key = poll.as_ref().map(|poll| PollKey {
        seed: shared.config.seed,
        job: &poll.job,
        n: poll.earlier,
    });
    let fault = state.faults.next_fault(route, now, key);
    let headers = headers(&parts.headers, |signed| state.log.is_replay(signed));
    let others_for_job = poll.as_ref().map_or(0, |poll| poll.in_flight);
    let (job, path) = match poll {
        Some(poll) => (Some(poll.job), poll.path),
        None => (None, path.into()),
    };
    let record_id = state.log.start(request::Request {
        at: now,
        answered: None,
        status: None,
        fault: fault.clone(),
        route,
        method: method(parts),
        path,
        job: job.clone(),
        credential: Credential::Unchecked,
        others_for_job,
        others_in_flight: 0,
        connection: parts.extensions.get::<Connection>().map_or(0, |connection| connection.number),
        headers,
    });
    let request_id = hex_id(shared.config.seed, REQUEST, state.next_id());
    Arrival {
        in_flight: InFlight::new(shared.clone(), record_id, job),
        fault,
        latency: state.latency,
        request_id,
    }
}

/// Checks credentials, rate limit and project, then calls the handler.
fn check_and_handle(
    state: &mut State,
    call: &Call<'_>,
    project: Option<&str>,
    in_flight: &InFlight,
    handler: impl FnOnce(&mut State, &Call<'_>) -> Answer,
) -> Answer {
    if matches!(call.route, Route::Token | Route::Other) {
        return handler(state, call);
    }
    let (credential, refusal) = authenticate(state, call);
    state.log.set_credential(in_flight.record_id(), credential);
    if let Some(refusal) = refusal {
        return refusal;
    }
    if let Some(limiter) = &mut state.rate_limiter
        && !limiter.allows(call.route, call.now)
    {
        return Answer::throttled(Some(&limiter.quota()), call.request_id);
    }
    if project != Some(&call.shared.config.project_id) {
        return call.forbidden();
    }
    handler(state, call)
}

fn method(parts: &Parts) -> &'static str {
    ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == parts.method.as_str())
        .unwrap_or("OTHER")
}

fn headers(headers: &HeaderMap, is_replay: impl FnOnce(&str) -> bool) -> Option<Box<Headers>> {
    let owned = |name| header_text(headers, name).map(str::to_owned);
    let sdk_date = owned("x-sdk-date");
    let signature = header_text(headers, "authorization")
        .and_then(Authorization::parse)
        .map(|authorization| authorization.signature.to_owned());
    let replayed = sdk_date
        .as_ref()
        .zip(signature.as_ref())
        .is_some_and(|(date, signature)| is_replay(&format!("{date} {signature}")));
    let recorded = Headers { sdk_date, signature, replayed, client_token: owned("x-client-token") };
    (recorded != Headers::default()).then(|| Box::new(recorded))
}

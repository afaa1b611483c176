//! An HTTP service that creates firewalls, and answers at once if they take long: `cargo run --example
//! axum_handler`.
//!
//! A handler waits as long as a caller may be kept, and else says where to ask again. axum drops the handler of a caller who
//! hangs up, and with it the wait: no more polls are sent for it.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header::LOCATION};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cfw_api::{Client, CreateFirewall, Credentials, JobId, reqwest};
use cfw_simulator::Simulator;
use cfw_waiter::{Policy, WaitErrorKind, Waiter};
use serde_json::json;
use tokio::net::TcpListener;

/// How long a caller is kept. Gateways give up after a minute, say.
const PATIENCE: Duration = Duration::from_millis(150);

/// Clones share the connections, the credentials and the budget of polls.
#[derive(Clone)]
struct Service {
    client: Client,
    waiter: Waiter,
}

/// `POST /firewalls/{name}`
async fn create_firewall(State(service): State<Service>, Path(name): Path<String>) -> Response {
    let request = match CreateFirewall::builder(name).build() {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match service.client.create_firewall(&request).await.map(|created| created.job_id) {
        Ok(Some(job)) => answer(&service, job).await,
        // A prepaid firewall is an order, without a job.
        Ok(None) => StatusCode::CREATED.into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// `GET /jobs/{id}`
async fn job(State(service): State<Service>, Path(id): Path<String>) -> Response {
    match JobId::new(&id) {
        Ok(id) => answer(&service, id).await,
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Answers with the end of the job, or with 202 if it goes on.
async fn answer(service: &Service, id: JobId) -> Response {
    match service.waiter.wait_for_job(&id).timeout(PATIENCE).await {
        Ok(report) => Json(report).into_response(),
        Err(error) if error.kind() == WaitErrorKind::TimedOut => {
            let location = [(LOCATION, format!("/jobs/{id}"))];
            (StatusCode::ACCEPTED, location, Json(error.report())).into_response()
        }
        // The texts come from the service, without any secret.
        Err(error) => {
            (StatusCode::BAD_GATEWAY, Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Simulator::builder().start_on_thread()?;
    let routes = Router::new()
        .route("/firewalls/{name}", post(create_firewall))
        .route("/jobs/{id}", get(job))
        .with_state(service(&sim)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    #[expect(clippy::disallowed_methods, reason = "the server of the example")]
    tokio::spawn(async { axum::serve(listener, routes).await });

    // A caller, who asks until the end is there.
    let http = reqwest::Client::builder().build()?;
    let mut answer = http.post(format!("{base}/firewalls/edge")).send().await?;
    while answer.status() == StatusCode::ACCEPTED {
        let next = answer.headers().get(LOCATION).ok_or("no location")?.to_str()?.to_owned();
        println!("202, ask again at {next}");
        answer = http.get(format!("{base}{next}")).send().await?;
    }
    println!("{} {}", answer.status(), answer.text().await?);
    Ok(())
}

fn service(sim: &Simulator) -> Result<Service, Box<dyn Error>> {
    let client = Client::builder()
        .endpoint(sim.endpoint())
        .project_id(sim.project_id())
        .credentials(Credentials::token(sim.token()))
        .build()?;
    // A simulated firewall takes a third of a second: for real ones `Waiter::new(client)` does.
    let waiter = Waiter::builder(client.clone())
        .policy(Policy::new().first_poll_at_once(true))
        .min_interval(Duration::from_millis(50))
        .build()?;
    Ok(Service { client, waiter })
}

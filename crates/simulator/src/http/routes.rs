//! The paths of the service.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::Response;
use axum::routing::{delete, get, post};

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::gateway::{Target, serve};
use crate::http::handlers::firewalls::{create_firewall, delete_firewall, get_firewall};
use crate::http::handlers::iam::create_token;
use crate::http::handlers::jobs::{ecs_job, list_job};
use crate::model::route::Route;
use crate::state::shared::{Shared, State};

type App = axum::extract::State<Arc<Shared>>;
/// Project and id. An error if they are not UTF-8.
type Ids = Result<Path<(String, String)>, PathRejection>;
type Project = Result<Path<String>, PathRejection>;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let create = |app, project, request| {
        serve_project(app, Route::CreateFirewall, project, request, create_firewall)
    };
    let exist = |app, project, request| {
        serve_project(app, Route::GetFirewall, project, request, get_firewall)
    };
    Router::new()
        .route(
            "/v3/{project_id}/jobs/{job_id}",
            get(|app, ids, request| poll(app, ids, request, list_job)),
        )
        .route(
            "/v1/{project_id}/jobs/{job_id}",
            get(|app, ids, request| poll(app, ids, request, ecs_job)),
        )
        .route("/v2/{project_id}/firewall", post(create))
        .route("/v2/{project_id}/firewall/{id}", delete(remove))
        .route("/v1/{project_id}/firewall/exist", get(exist))
        .route("/v3/auth/tokens", post(token))
        .fallback(other)
        .method_not_allowed_fallback(other)
        .with_state(shared)
}

async fn poll(
    app: App,
    ids: Ids,
    request: Request,
    handler: fn(&State, &Call<'_>, &str) -> Answer,
) -> Response<Body> {
    let Ok(Path((project, job))) = ids else {
        return other(app, request).await;
    };
    let target = Target { project: Some(project), job: Some(job.clone()) };
    serve(app.0, Route::ListJob, target, request, move |state, call| handler(state, call, &job))
        .await
}

async fn serve_project(
    app: App,
    route: Route,
    project: Project,
    request: Request,
    handler: fn(&mut State, &Call<'_>) -> Answer,
) -> Response<Body> {
    let Ok(Path(project)) = project else {
        return other(app, request).await;
    };
    let target = Target { project: Some(project), job: None };
    serve(app.0, route, target, request, handler).await
}

async fn remove(app: App, ids: Ids, request: Request) -> Response<Body> {
    let Ok(Path((project, id))) = ids else {
        return other(app, request).await;
    };
    let target = Target { project: Some(project), job: None };
    serve(app.0, Route::DeleteFirewall, target, request, move |state, call| {
        delete_firewall(state, call, &id)
    })
    .await
}

async fn token(app: App, request: Request) -> Response<Body> {
    serve(app.0, Route::Token, Target::default(), request, create_token).await
}

async fn other(app: App, request: Request) -> Response<Body> {
    serve(app.0, Route::Other, Target::default(), request, |_, call| call.not_published()).await
}

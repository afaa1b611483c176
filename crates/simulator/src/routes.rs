use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use axum::routing::get;

use crate::gateway::{Target, serve};
use crate::jobs::list_job;
use crate::record::Route;
use crate::state::Shared;

type App = State<Arc<Shared>>;
/// Project and id; an error where they are not UTF-8.
type Ids = Result<Path<(String, String)>, axum::extract::rejection::PathRejection>;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v3/{project_id}/jobs/{job_id}", get(poll_job))
        .fallback(other)
        .method_not_allowed_fallback(other)
        .with_state(shared)
}

async fn poll_job(app: App, ids: Ids, request: Request) -> Response<Body> {
    let Ok(Path((project, job))) = ids else {
        return other(app, request).await;
    };
    let target = Target {
        project: Some(project),
        job: Some(job.clone()),
    };
    serve(
        app.0,
        Route::ListJob,
        target,
        request,
        move |state, call| list_job(state, call, &job),
    )
    .await
}

async fn other(State(shared): App, request: Request) -> Response<Body> {
    serve(
        shared,
        Route::Other,
        Target::default(),
        request,
        |_, call| call.not_published(),
    )
    .await
}

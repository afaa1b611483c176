//! The APIs of the service.

/// The API that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// A poll: `GET /v3/{project_id}/jobs/{job_id}`, or its ECS counterpart under `/v1`.
    ListJob,
    /// `POST /v3/auth/tokens`.
    Token,
    /// `POST /v2/{project_id}/firewall`.
    CreateFirewall,
    /// `DELETE /v2/{project_id}/firewall/{id}`.
    DeleteFirewall,
    /// `GET /v1/{project_id}/firewall/exist`.
    GetFirewall,
    /// Any other path or method, which is answered 404 with `APIGW.0101`. The target of
    /// [`Fault::Redirect`](crate::Fault::Redirect) is one of these.
    Other,
}

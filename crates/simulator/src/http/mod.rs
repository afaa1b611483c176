//! The service over HTTP. May import every module but `simulator`.
//!
//! A request passes `server`, `routes`, `gateway` and one of the `handlers`, and imports go the
//! same way. `auth`, `call`, `answer` and the rest serve all of these and import none of them.

pub(crate) mod answer;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod fault_answers;
pub(crate) mod gateway;
pub(crate) mod handlers;
pub(crate) mod headers;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod signature;

//! HTTP: clients and their connections, one exchange, and what an answer means.

pub(crate) mod classify;
mod client_pool;
pub(crate) mod clients;
mod connection_limit;
pub(crate) mod endpoint;
pub(crate) mod io_runtime;
mod no_answer;
mod proxies;
pub(crate) mod redact;
pub(crate) mod response;
pub(crate) mod transport;

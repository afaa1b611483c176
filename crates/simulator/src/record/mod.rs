//! The record of requests and connections. May import `util`, `model` and `faults`.

pub(crate) mod log;
pub(crate) mod request;

//! The state of the simulated cloud, behind one lock, without HTTP. May import `util`, `model`,
//! `faults` and `record`.

pub(crate) mod config;
pub(crate) mod firewalls;
pub(crate) mod in_flight;
pub(crate) mod jobs;
pub(crate) mod lockout;
pub(crate) mod rate_limiter;
pub(crate) mod shared;
pub(crate) mod tokens;

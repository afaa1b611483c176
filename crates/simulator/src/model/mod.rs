//! Plain values of the simulated cloud: accounts, jobs, routes. May import `util`.

pub(crate) mod account;
pub(crate) mod job;
pub(crate) mod route;

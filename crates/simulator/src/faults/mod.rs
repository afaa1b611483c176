//! Faults, and the plan that assigns them to requests. May import `util` and `model`.

pub(crate) mod fault;
pub(crate) mod plan;

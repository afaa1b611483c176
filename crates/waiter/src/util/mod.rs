//! Containers that know nothing of jobs.

pub(crate) mod ordered_queue;
pub(crate) mod slab;
pub(crate) mod timer_queue;

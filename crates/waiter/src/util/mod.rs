//! Containers that know nothing of jobs, and how user code is run.

#![expect(
    clippy::indexing_slicing,
    reason = "keys lead to occupied entries, and each container keeps its positions in range"
)]

pub(crate) mod chain;
pub(crate) mod contain;
pub(crate) mod human;
pub(crate) mod interner;
pub(crate) mod key_map;
pub(crate) mod ordered_queue;
pub(crate) mod ranking;
pub(crate) mod slab;
pub(crate) mod timer_queue;

//! The clock and the random draws. May import nothing of this crate.

pub(crate) mod clock;
pub(crate) mod random;

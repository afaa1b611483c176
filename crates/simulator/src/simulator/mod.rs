//! What users hold: the handle of a running simulator, its builder and the options of the
//! command. May import every other module.

pub(crate) mod builder;
pub(crate) mod handle;
pub(crate) mod options;

//! Placeholder.

mod board;
#[cfg(feature = "cfw")]
mod cfw;
mod config;
mod driver;
mod flights;
mod id;
mod policy;
mod report;
mod schedule;
mod shared;
mod source;
mod state;
mod update;
mod wait;
mod waiter;
mod watch;

pub use config::ConfigError;
pub use id::JobId;
pub use policy::{Policy, UnknownStatus};
pub use report::{JobReport, Outcome, WaitError, WaitErrorKind};
pub use schedule::Schedule;
pub use source::{ErrorClass, JobSource, Quota, SourceError, SourceFn, source_fn};
pub use state::{JobState, Phase};
pub use update::{JobView, Progress, Stats, Update, UpdateKind};
pub use wait::Wait;
pub use waiter::{Waiter, WaiterBuilder};
pub use watch::{Watch, WatchHandle};

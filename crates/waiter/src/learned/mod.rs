//! Schedules that learn from past jobs when to poll.
//!
//! Pure code, without a clock or a runtime. Times are seconds, ages are those of the job. From past durations to polls:
//!
//! ```text
//! durations -> Tracker (of Estimators) -> Survival -> Plan -> Account (a leash, or the static schedule) -> Pace
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "what is indexed are tables of the grid's size, by nodes of the grid, and lists by positions in them"
)]

mod booking;
mod estimator;
mod eta;
mod explain;
#[cfg(feature = "history")]
mod file;
mod grid;
mod guard;
mod history;
mod kind;
mod pace;
mod plan;
mod settings;
mod survival;
#[cfg(test)]
mod tests;
mod tracker;
mod worth;

pub(crate) use self::booking::{INEXACT, JobPolls, Leaves, WaitPolls};
pub use self::estimator::Estimator;
pub use self::eta::{Eta, Remaining};
pub use self::explain::{ExpectedCost, Explanation};
#[cfg(feature = "history")]
pub use self::file::HistoryError;
#[cfg(all(feature = "history", any(test, fuzzing)))]
pub(crate) use self::file::read_and_write;
pub use self::guard::{Account, cost, gain, paced, polls, worst};
pub(crate) use self::history::job_mark;
pub use self::history::{History, Sample};
pub(crate) use self::kind::{Kind, Planned};
pub use self::pace::{Leash, Pace};
pub use self::plan::Plan;
pub use self::settings::Learned;
pub use self::survival::Survival;
pub use self::tracker::Tracker;

//! Events that recur during the wait: redraws, heartbeats, checks, and signals of a shell's job control.

use std::io;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use crate::output::Output;
use crate::screen::REDRAW;
use crate::signals::{JobControl, JobSignal};

/// The time between two checks whether trouble has ended, and four times that for many jobs.
const CHECK: Duration = Duration::from_millis(250);
const MANY: usize = 1000;

/// The time between two records of how many polls were made. A crash forgets those since the last one.
const CHECKPOINT: Duration = Duration::from_secs(30);

/// The checks from one for overdue jobs to the next, and as many more for each [`MANY`] jobs.
const OVERDUE_CHECK: usize = 4;

/// The timers of a run.
pub(crate) struct Timers {
    redraw: Option<Interval>,
    heartbeat: Option<Interval>,
    check: Interval,
    checkpoint: Option<Interval>,
    /// The number of checks so far.
    checks: u32,
    job_control: Option<JobControl>,
}

/// A timer that is due, or a signal of job control.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Redraw,
    Heartbeat,
    /// Time to look for the end of trouble, and for overdue jobs.
    Check,
    /// Time to write to the state file how far the waits have come.
    Checkpoint,
    JobControl(JobSignal),
}

impl Timers {
    /// Starts the timers that the output needs, and a state file if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses a signal handler.
    pub(crate) fn start(output: &mut Output, has_state: bool) -> io::Result<Self> {
        let is_live = output.screen().is_some();
        Ok(Self {
            redraw: is_live.then(|| interval(REDRAW)),
            heartbeat: output.heartbeat().map(|time| {
                let mut heartbeat = interval(time);
                heartbeat.reset();
                heartbeat
            }),
            check: interval(CHECK),
            checkpoint: has_state.then(|| {
                let mut checkpoint = interval(CHECKPOINT);
                checkpoint.reset();
                checkpoint
            }),
            checks: 0,
            // Without a display to remove, the default action is right.
            job_control: is_live.then(JobControl::install).transpose()?,
        })
    }

    /// Waits for what is due next. Checks are due only if they are wanted.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that is due is lost.
    pub(crate) async fn next(&mut self, wants_checks: bool) -> Due {
        tokio::select! {
            () = tick(&mut self.redraw) => Due::Redraw,
            () = tick(&mut self.heartbeat) => Due::Heartbeat,
            () = tick(&mut self.checkpoint) => Due::Checkpoint,
            _ = self.check.tick(), if wants_checks => Due::Check,
            signal = next_signal(&mut self.job_control) => Due::JobControl(signal),
        }
    }

    /// Returns whether a check is worth listing `live` jobs, which takes time if they are many.
    pub(crate) fn count_check(&mut self, live: usize) -> bool {
        self.checks = self.checks.wrapping_add(1);
        live <= MANY || self.checks.is_multiple_of(4)
    }

    /// Returns whether the check just counted is one for overdue jobs: once a second, and more seldom for many jobs.
    pub(crate) fn is_overdue_check(&self, live: usize) -> bool {
        let checks = OVERDUE_CHECK.saturating_mul(1 + live / MANY);
        u32::try_from(checks).is_ok_and(|checks| self.checks.is_multiple_of(checks))
    }
}

#[expect(clippy::disallowed_methods, reason = "the display is independent of the polls")]
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

async fn next_signal(job_control: &mut Option<JobControl>) -> JobSignal {
    match job_control {
        Some(job_control) => job_control.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_jobs_are_listed_more_seldom() {
        let mut timers = Timers {
            redraw: None,
            heartbeat: None,
            check: interval(CHECK),
            checkpoint: None,
            checks: 0,
            job_control: None,
        };
        let mut count = |live| {
            let checks: Vec<u32> = (1..=400)
                .filter(|_| {
                    timers.count_check(live);
                    timers.is_overdue_check(live)
                })
                .collect();
            checks.len()
        };
        assert_eq!([1, 999, 1_000, 9_999].map(&mut count), [100, 100, 50, 10]);
    }
}

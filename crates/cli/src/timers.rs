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

/// The timers of a run.
pub(crate) struct Timers {
    redraw: Option<Interval>,
    heartbeat: Option<Interval>,
    check: Interval,
    /// The number of checks so far.
    checks: u32,
    job_control: Option<JobControl>,
}

/// A timer that is due, or a signal of job control.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Redraw,
    Heartbeat,
    /// Time to look for the end of trouble.
    Check,
    JobControl(JobSignal),
}

impl Timers {
    /// Starts the timers that the output needs.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses a signal handler.
    pub(crate) fn start(output: &mut Output) -> io::Result<Self> {
        let is_live = output.screen().is_some();
        Ok(Self {
            redraw: is_live.then(|| interval(REDRAW)),
            heartbeat: output.heartbeat().map(|time| {
                let mut heartbeat = interval(time);
                heartbeat.reset();
                heartbeat
            }),
            check: interval(CHECK),
            checks: 0,
            // Without a display to remove, the default action is right.
            job_control: is_live.then(JobControl::install).transpose()?,
        })
    }

    /// Waits for what is due next. Checks are due only while there is trouble.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that is due is lost.
    pub(crate) async fn next(&mut self, is_troubled: bool) -> Due {
        tokio::select! {
            () = tick(&mut self.redraw) => Due::Redraw,
            () = tick(&mut self.heartbeat) => Due::Heartbeat,
            _ = self.check.tick(), if is_troubled => Due::Check,
            signal = next_signal(&mut self.job_control) => Due::JobControl(signal),
        }
    }

    /// Returns whether a check is worth listing `live` jobs, which takes time if they are many.
    pub(crate) fn count_check(&mut self, live: usize) -> bool {
        self.checks = self.checks.wrapping_add(1);
        live <= MANY || self.checks.is_multiple_of(4)
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

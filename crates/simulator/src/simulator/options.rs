//! The options of a simulator for use by hand.

use std::io;
use std::time::Duration;

use crate::faults::fault::Fault;
use crate::model::job::JobScript;
use crate::simulator::handle::Simulator;

/// The options of `cfw-wait simulate`: a simulator with random jobs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SimulateOptions {
    /// The port on 127.0.0.1. By default it is 0, and the system chooses a free port.
    pub port: u16,
    /// The seed of ids, durations and faults. By default it is 0.
    pub seed: u64,
    /// The number of jobs. By default it is 3.
    pub jobs: usize,
    /// The mean duration of the jobs. Each takes between 0.25 and 1.75 times this long. By default
    /// it is 20 s.
    pub mean: Duration,
    /// The share of jobs that end `Failed`, from 0 to 1. By default it is 0.
    pub failure_share: f64,
    /// The share of polls with a transient fault, from 0 to 1. By default it is 0.
    pub fault_share: f64,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            port: 0,
            seed: 0,
            jobs: 3,
            mean: Duration::from_secs(20),
            failure_share: 0.0,
            fault_share: 0.0,
        }
    }
}

impl SimulateOptions {
    /// Starts the simulator on the current runtime, adds the jobs and returns their ids.
    ///
    /// # Errors
    ///
    /// Returns an error if the port cannot be bound.
    ///
    /// # Cancel safety
    ///
    /// The future never waits.
    pub async fn start(&self) -> io::Result<(Simulator, Vec<String>)> {
        let sim =
            Simulator::builder().port(self.port).seed(self.seed).record(false).start().await?;
        sim.fail_randomly(self.fault_share, Fault::transient());
        let script = JobScript::random(self.mean).failure_share(self.failure_share);
        let ids = sim.add_jobs(self.jobs, &script);
        Ok((sim, ids))
    }
}

use std::io::{self, Write};
use std::time::Duration;

use crate::fault::Fault;
use crate::script::JobScript;
use crate::simulator::Simulator;

/// A simulator for people to try their pipelines against: what the `cfw-simulator` command runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Standalone {
    /// The port on 127.0.0.1; 0, the default, lets the system choose a free one.
    pub port: u16,
    /// Decides ids, durations and faults. By default 0.
    pub seed: u64,
    /// How many jobs there are. By default 3.
    pub jobs: usize,
    /// The mean duration of a job; each takes between a quarter and one and three quarters of it.
    /// By default 20 s.
    pub mean: Duration,
    /// The share of jobs that end `Failed`, from 0 to 1. By default none.
    pub failure_share: f64,
    /// The share of polls that meet a transient fault, from 0 to 1. By default none.
    pub fault_share: f64,
}

impl Default for Standalone {
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

impl Standalone {
    /// Starts the simulator on the current runtime and adds the jobs, whose ids are returned.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    pub async fn start(&self) -> io::Result<(Simulator, Vec<String>)> {
        let sim =
            Simulator::builder().port(self.port).seed(self.seed).record(false).start().await?;
        sim.fail_randomly(self.fault_share, Fault::transient());
        let script = JobScript::random(self.mean).failure_share(self.failure_share);
        let ids = sim.add_jobs(self.jobs, &script);
        Ok((sim, ids))
    }

    /// Starts the simulator, writes to `out` how to reach it, and serves until `end` is ready.
    ///
    /// What is written can be sourced by a shell: `CFW_ENDPOINT`, `CFW_PROJECT_ID`, `CFW_TOKEN`,
    /// and the ids in `CFW_JOB_IDS`, with spaces between them.
    ///
    /// # Errors
    ///
    /// When the port cannot be had, or `out` not be written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the simulator.
    pub async fn run(&self, mut out: impl Write, end: impl Future) -> io::Result<()> {
        let (sim, ids) = self.start().await?;
        writeln!(out, "CFW_ENDPOINT={}", sim.endpoint())?;
        writeln!(out, "CFW_PROJECT_ID={}", sim.project_id())?;
        writeln!(out, "CFW_TOKEN={}", sim.token())?;
        writeln!(out, "CFW_JOB_IDS='{}'", ids.join(" "))?;
        out.flush()?;
        end.await;
        sim.shutdown().await;
        Ok(())
    }
}

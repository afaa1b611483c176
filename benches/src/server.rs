//! The simulated service, in a process of its own so that its CPU time is not the client's.

use std::io::{self, BufRead as _};
use std::time::Duration;

use cfw_simulator::{JobScript, Simulator};

use crate::Failure;
use crate::memory::id;
use crate::table::print;

/// Prints where it listens; on a line with a number of jobs and their mean duration in
/// milliseconds starts them; on any other prints connections opened, most open, and requests.
pub(crate) fn child() -> Result<(), Failure> {
    let sim = Simulator::builder().seed(7).record(false).start_on_thread()?;
    print(&format!("{} {} {}", sim.endpoint(), sim.project_id(), sim.token()))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if let Some((jobs, mean)) = line.split_once(' ') {
            let (jobs, mean) = (jobs.parse::<usize>()?, Duration::from_millis(mean.parse()?));
            for n in 0..jobs {
                sim.add_job(JobScript::random(mean).id(id(n).as_str()));
            }
            print("started")?;
        } else {
            let (connections, counts) = (sim.connections(), sim.counts());
            print(&format!("{} {} {}", connections.accepted, connections.peak, counts.polls))?;
        }
    }
    Ok(())
}

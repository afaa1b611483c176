//! When the jobs of a steady population are polled, and how to start in the middle of it.

use std::time::Duration;

use cfw_waiter::JobId;
use tokio::time::Instant;

use super::service::Service;
use crate::contender::Delays;

/// How often jobs are started.
const TICK: Duration = Duration::from_millis(10);
/// By this age the delays of `memory::DELAYS` have grown.
const GROWN: Duration = Duration::from_secs(50);

/// The mean ages at which a job is polled.
pub(super) struct Life(Vec<Duration>);

impl Life {
    pub(super) fn new(delays: Delays, polls_per_job: u32) -> Self {
        let mut age = delays.first.mul_f64(0.75);
        let mut polls = vec![age];
        for _ in 1..polls_per_job {
            age += delays.grown(age).mul_f64(0.9);
            polls.push(age);
        }
        Self(polls)
    }

    pub(super) fn mean_delay(&self) -> Duration {
        self.total().div_f64(self.0.len() as f64)
    }

    /// How long after the start the population is steady: each of its first jobs has ended, or is polled as rarely as if
    /// it had always been there.
    pub(super) fn warm_up(&self) -> Duration {
        self.total().min(GROWN)
    }

    /// Starts the population so that its ends come evenly from the outset, as they do in the long run.
    ///
    /// A job found at a random moment has a part of its life left that is evenly spread in *time*. Polls are not evenly
    /// spread over it, and a job that starts here has its first polls first, so an even draw of polls left would end
    /// one job in nine within the first second, and in waves from then on. So the job that is to end at an evenly
    /// spread time gets the number of polls whose mean life is the next longer one, and starts early by the
    /// difference: within the longest gap between two polls all jobs have started.
    #[expect(clippy::disallowed_methods, reason = "the clock that the jobs start by")]
    pub(super) async fn start(&self, jobs: usize, service: &Service, mut begin: impl FnMut(JobId)) {
        let share = |age| part(jobs, age, self.total());
        let ramp = self.gaps().map(|(_, _, gap)| gap).max().unwrap_or_default();
        let mut started = vec![0; self.0.len()];
        let (from, mut passed, mut slot) = (Instant::now(), Duration::ZERO, 0);
        while passed < ramp {
            passed = (passed + TICK).min(ramp);
            tokio::time::sleep_until(from + passed).await;
            for ((left, age, gap), started) in self.gaps().zip(&mut started) {
                let all = share(age) - share(age - gap);
                let due = part(all, passed.saturating_sub(ramp - gap), gap);
                for _ in *started..due {
                    begin(service.begin(slot, left));
                    slot += 1;
                }
                *started = due;
            }
        }
    }

    fn total(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// The number and the age of each poll, with the time since the one before.
    fn gaps(&self) -> impl Iterator<Item = (u32, Duration, Duration)> {
        let before = std::iter::once(Duration::ZERO).chain(self.0.iter().copied());
        (1..).zip(self.0.iter().zip(before)).map(|(n, (&age, before))| (n, age, age - before))
    }
}

/// Returns the part of `all` that `time` is of `of`.
fn part(all: usize, time: Duration, of: Duration) -> usize {
    let part = all as u128 * time.as_nanos() / of.as_nanos().max(1);
    usize::try_from(part).unwrap_or(all)
}

//! One row among jobs that come and go, in virtual time.

use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::time::Duration;

use cfw_waiter::{JobId, UpdateKind, Waiter};

use super::life::Life;
use super::service::{Counts, Service};
use super::{NUMBERS, Row};
use crate::Failure;
use crate::by_hand::{ByHand, Loop};
use crate::contender::{Contender, note, waiter};
use crate::memory::DELAYS;
use crate::meter::Reading;
use crate::table::print;

/// Enough polls in a round for its CPU time to be well above the meter's grain.
const POLLS_PER_ROUND: usize = 500_000;
const SECOND: Duration = Duration::from_secs(1);

/// Prints a line once warm, then, for each line of input, what a round cost.
pub(crate) fn child(args: &[String]) -> Result<(), Failure> {
    let [row, jobs, polls_per_job] = args else {
        return Err("row, number of jobs and polls per job are wanted".into());
    };
    let (row, jobs, polls_per_job) = (Row::named(row)?, jobs.parse()?, polls_per_job.parse()?);
    let service = Arc::new(Service::new(jobs, polls_per_job));
    let Row::Contender(contender) = row else { return alone(&service, jobs, polls_per_job) };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let life = Life::new(DELAYS, polls_per_job);
        let rounds = POLLS_PER_ROUND.div_ceil(jobs) as f64;
        let round = life.mean_delay().mul_f64(rounds).as_secs().max(1);
        let before = Reading::take()?;
        let begin = contend(contender, &service)?;
        life.start(jobs, &service, begin).await;
        rest(life.warm_up()).await;
        print("warm")?;
        for line in io::stdin().lock().lines() {
            line?;
            let from = (service.counts(), Reading::take()?);
            let (mut least, mut most) = (u64::MAX, 0);
            for _ in 0..round {
                let ends = service.counts().ends;
                rest(SECOND).await;
                let ends = service.counts().ends - ends;
                (least, most) = (least.min(ends), most.max(ends));
            }
            let to = (service.counts(), Reading::take()?);
            if to.0.strays > 0 || to.0.ends != to.0.followed {
                return Err(format!("not each end was noted once: {:?}", to.0).into());
            }
            print_round(&before, from, to, jobs, [round, least, most])?;
        }
        Ok(())
    })
}

/// Asks the source and makes the ids of new jobs, without anyone who waits.
fn alone(service: &Service, jobs: usize, polls_per_job: u32) -> Result<(), Failure> {
    let before = Reading::take()?;
    let lefts = (1..=polls_per_job).cycle();
    let mut ids: Vec<JobId> =
        (0..jobs).zip(lefts).map(|(slot, left)| service.begin(slot, left)).collect();
    // Among many jobs the next one polled is nowhere near the last.
    let (mut at, stride) = (0, (1..).map(|n| jobs * 5 / 8 + n).find(|&n| is_coprime(n, jobs)));
    let stride = stride.unwrap_or(1);
    print("warm")?;
    for line in io::stdin().lock().lines() {
        line?;
        let from = (service.counts(), Reading::take()?);
        for _ in 0..POLLS_PER_ROUND.max(jobs) {
            at = (at + stride) % jobs;
            if let Some(id) = ids.get_mut(at)
                && service.answer(id)?.phase.is_terminal()
            {
                *id = service.successor(id);
            }
        }
        let to = (service.counts(), Reading::take()?);
        print_round(&before, from, to, jobs, [0, 0, 0])?;
    }
    Ok(())
}

fn is_coprime(mut a: usize, mut b: usize) -> bool {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a == 1
}

/// Prints the [`NUMBERS`] of a round.
fn print_round(
    before: &Reading,
    from: (Counts, Reading),
    to: (Counts, Reading),
    jobs: usize,
    [seconds, least, most]: [u64; 3],
) -> Result<(), Failure> {
    let polls = (to.0.polls - from.0.polls) as f64;
    let ends = (to.0.ends - from.0.ends) as f64;
    let (seconds, jobs) = (seconds as f64, jobs as f64);
    let numbers: [f64; NUMBERS] = [
        (to.1.cpu - from.1.cpu).as_nanos() as f64 / polls,
        polls / ends,
        polls / jobs / seconds * 60.0,
        (to.1.allocations - from.1.allocations) as f64 / polls,
        to.1.heap.saturating_sub(before.heap) as f64 / jobs,
        to.1.resident.saturating_sub(before.resident) as f64 / jobs,
        least as f64,
        ends / seconds,
        most as f64,
    ];
    print(&numbers.map(|number| number.to_string()).join(" "))
}

#[expect(clippy::disallowed_methods, reason = "sleeps while the contender works")]
async fn rest(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Makes a contender of a kind. Returns what hands it another job.
fn contend(contender: Contender, service: &Arc<Service>) -> Result<Box<dyn Fn(JobId)>, Failure> {
    let hand = |kind| {
        let by_hand = ByHand::new(kind, Arc::clone(service), DELAYS, Arc::clone(service));
        Box::new(move |id| by_hand.spawn(id))
    };
    Ok(match contender {
        Contender::Watch => watch(&waiter(Arc::clone(service), DELAYS)?, service),
        Contender::Waits | Contender::Unordered => {
            let (waiter, service) = (waiter(Arc::clone(service), DELAYS)?, Arc::clone(service));
            Box::new(move |id| spawn_wait(&waiter, &service, id))
        }
        Contender::Tasks => hand(Loop::Bare),
        Contender::Bounded => hand(Loop::Bounded),
        Contender::Backon => hand(Loop::Backon),
    })
}

/// Spawns the task that reads one watch, and adds to it a job for each that has ended.
#[expect(clippy::disallowed_methods, reason = "the consumer is a task of its own")]
fn watch(waiter: &Waiter, service: &Arc<Service>) -> Box<dyn Fn(JobId)> {
    let mut watch = waiter.watch(std::iter::empty::<JobId>());
    let (outside, inside, service) = (watch.handle(), watch.handle(), Arc::clone(service));
    tokio::spawn(async move {
        while let Some(update) = watch.next().await {
            if let UpdateKind::Ended(outcome) = update.kind
                && let Some(next) = note(&*service, outcome)
            {
                inside.add(next);
            }
        }
    });
    Box::new(move |id| {
        outside.add(id);
    })
}

/// Spawns a task that awaits one wait, and spawns the next one.
#[expect(clippy::disallowed_methods, reason = "a task per wait")]
fn spawn_wait(waiter: &Waiter, service: &Arc<Service>, id: JobId) {
    let (wait, waiter, service) = (waiter.wait_for_job(id), waiter.clone(), Arc::clone(service));
    tokio::spawn(async move {
        if let Some(next) = note(&*service, wait.await) {
            spawn_wait(&waiter, &service, next);
        }
    });
}

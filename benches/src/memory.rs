//! Waiting without a network: what the scheduling itself costs.

use std::future::poll_fn;
use std::hint::black_box;
use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use cfw_waiter::{Attempt, ErrorClass, JobId, JobSource, JobState, SourceError};

use crate::Failure;
use crate::child::{IN_MEMORY, Process};
use crate::contender::{self, Contender, Delays, Tally};
use crate::meter::Reading;
use crate::table::{Table, median, print, thousands};

/// The waiter's default: polls come 13.5 s apart once the delays have grown.
pub(crate) const DELAYS: Delays =
    Delays { first: Duration::from_secs(1), max: Duration::from_secs(15) };
const MEAN_DELAY: f64 = 13.5;
/// By then all delays have grown.
const WARM_UP: Duration = Duration::from_secs(32);
/// Enough polls in a round for its CPU time to be well above the meter's grain.
const POLLS_PER_ROUND: usize = 300_000;

/// A source that knows without asking.
struct InMemory {
    pends: bool,
    polls: AtomicU64,
}

impl JobSource for InMemory {
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        // No source can do without reading the id, and among 100,000 jobs that is a cache miss.
        if black_box(id.as_str().as_bytes().last()).is_none() {
            return Err(SourceError::new(ErrorClass::Fatal, "an empty id"));
        }
        let mut is_ready = !self.pends;
        poll_fn(|cx| {
            if std::mem::replace(&mut is_ready, true) {
                Poll::Ready(())
            } else {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        Ok(JobState::running())
    }
}

/// Waits for jobs that never end, in virtual time. Prints memory once warm, then, for each line of
/// input, what a round cost.
#[expect(clippy::disallowed_methods, reason = "sleeps while the contender works")]
pub(crate) fn child(args: &[String]) -> Result<(), Failure> {
    let [contender, jobs, source] = args else {
        return Err("contender, number of jobs and kind of source are wanted".into());
    };
    let contender = Contender::named(contender)?;
    let jobs: usize = jobs.parse()?;
    let source = Arc::new(InMemory { pends: source == PENDS, polls: AtomicU64::new(0) });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let ids: Vec<JobId> = (0..jobs).map(id).collect();
        let tally = Tally::new(0);
        let before = Reading::take()?;
        contender::start(contender, Arc::clone(&source), &ids, DELAYS, &tally)?;
        tokio::time::sleep(WARM_UP).await;
        let warm = Reading::take()?;
        let growth = [
            warm.resident.saturating_sub(before.resident),
            warm.peak.saturating_sub(before.peak),
            warm.heap.saturating_sub(before.heap),
        ];
        let [resident, peak, heap] = growth.map(|bytes| bytes as f64 / jobs as f64);
        print(&format!("{resident} {peak} {heap}"))?;
        let rounds = POLLS_PER_ROUND.div_ceil(jobs);
        let round = Duration::from_secs_f64(MEAN_DELAY * rounds as f64);
        for line in io::stdin().lock().lines() {
            line?;
            let (polls, before) = (source.polls.load(Ordering::Relaxed), Reading::take()?);
            tokio::time::sleep(round).await;
            let (polls, after) = (source.polls.load(Ordering::Relaxed) - polls, Reading::take()?);
            let polls = polls as f64;
            let cpu = (after.cpu - before.cpu).as_nanos() as f64 / polls;
            let allocations = (after.allocations - before.allocations) as f64 / polls;
            let rate = polls / jobs as f64 / round.as_secs_f64() * 60.0;
            print(&format!("{cpu} {rate} {allocations}"))?;
        }
        Ok(())
    })
}

const AT_ONCE: &str = "at-once";
const PENDS: &str = "pends";

/// A name of 36 characters, as the service's have.
pub(crate) fn id(n: usize) -> JobId {
    format!("{:08x}-6fb9-4d0b-b4e9-{n:012x}", n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff).into()
}

/// CPU time per poll.
pub(crate) fn cpu(quick: bool) -> Result<(), Failure> {
    if quick {
        return cpu_of(AT_ONCE, "answers at once", &[1_000, 100_000], 3);
    }
    cpu_of(AT_ONCE, "answers at once", &[1_000, 10_000, 100_000, 1_000_000], 5)?;
    cpu_of(PENDS, "is pending once, then answers", &[1_000, 100_000], 5)
}

fn cpu_of(source: &str, says: &str, sizes: &[usize], rounds: usize) -> Result<(), Failure> {
    const CONTENDERS: [Contender; 5] = [
        Contender::Watch,
        Contender::Waits,
        Contender::Tasks,
        Contender::Bounded,
        Contender::Backon,
    ];
    let head = || std::iter::once(String::new()).chain(sizes.iter().map(|&jobs| thousands(jobs)));
    let mut cpu = Table::new(head());
    let mut bytes = Table::new(head());
    let mut work = Table::new(["", "polls per job and minute", "allocations per poll"]);
    let names = || CONTENDERS.map(|contender| vec![contender.name().to_owned()]);
    let (mut cpu_rows, mut bytes_rows, mut work_rows) = (names(), names(), names());
    for (&jobs, at) in sizes.iter().zip(1..) {
        let start = |contender: Contender| {
            let mut child =
                Process::start(&[IN_MEMORY, contender.name(), &jobs.to_string(), source])?;
            let bytes: [f64; 3] = child.hear_numbers()?;
            Ok((child, bytes, Vec::new()))
        };
        let mut children =
            CONTENDERS.into_iter().map(start).collect::<Result<Vec<_>, Failure>>()?;
        for _ in 0..rounds {
            for (child, _, results) in &mut children {
                child.say("go")?;
                let result: [f64; 3] = child.hear_numbers()?;
                results.push(result);
            }
        }
        let middle = |results: &[[f64; 3]], at: usize| {
            median(results.iter().filter_map(|result| result.get(at).copied()))
        };
        let base = CONTENDERS.iter().position(|known| *known == Contender::Tasks);
        let base = base.and_then(|base| children.get(base));
        let base = base.map_or(f64::NAN, |(.., results)| middle(results, 0));
        for (row, (.., results)) in cpu_rows.iter_mut().zip(&children) {
            let nanos = middle(results, 0);
            row.push(format!("{nanos:.0} ({:.2})", nanos / base));
        }
        for (row, (_, [resident, _, heap], _)) in bytes_rows.iter_mut().zip(&children) {
            row.push(format!("{heap:.0} / {resident:.0}"));
        }
        if at == sizes.len() {
            for (row, (.., results)) in work_rows.iter_mut().zip(&children) {
                let (rate, allocations) = (middle(results, 1), middle(results, 2));
                row.extend([format!("{rate:.2}"), format!("{allocations:.2}")]);
            }
        }
    }
    cpu_rows.into_iter().for_each(|row| cpu.row(row));
    bytes_rows.into_iter().for_each(|row| bytes.row(row));
    work_rows.into_iter().for_each(|row| work.row(row));
    cpu.print(&format!(
        "CPU ns per poll (and ratio to the task per job) by waiting jobs, source {says}"
    ))?;
    work.print("The work done meanwhile, at the largest of these")?;
    bytes.print("Bytes per waiting job beyond the text of its id: live heap / resident")
}

/// Memory per waiting job.
pub(crate) fn bytes(quick: bool) -> Result<(), Failure> {
    const CONTENDERS: [Contender; 6] = [
        Contender::Watch,
        Contender::Unordered,
        Contender::Waits,
        Contender::Tasks,
        Contender::Bounded,
        Contender::Backon,
    ];
    let sizes: &[usize] = if quick { &[140_000] } else { &[70_000, 100_000, 140_000] };
    let mut table =
        Table::new(std::iter::once(String::new()).chain(sizes.iter().flat_map(|&jobs| {
            ["live heap", "resident", "peak"].map(|kind| format!("{} {kind}", thousands(jobs)))
        })));
    for contender in CONTENDERS {
        let mut row = vec![contender.name().to_owned()];
        for &jobs in sizes {
            let mut child =
                Process::start(&[IN_MEMORY, contender.name(), &jobs.to_string(), AT_ONCE])?;
            let [resident, peak, heap] = child.hear_numbers()?;
            row.extend([heap, resident, peak].map(|bytes| format!("{bytes:.0}")));
        }
        table.row(row);
    }
    table.print("Bytes per waiting job beyond the text of its id, at counts that hide no doubling")
}

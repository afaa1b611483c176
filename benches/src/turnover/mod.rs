//! Waiting for jobs that come and go: a steady number of them, each of which ends after some polls and is
//! replaced at once.
//!
//! Jobs that never end flatter a scheduler: their first delays, their ends and all that is made anew for each
//! are not in the numbers.

mod child;
mod life;
mod service;

use crate::Failure;
use crate::child::{Process, TURNOVER};
use crate::contender::Contender;
use crate::table::{Table, median, thousands};

pub(crate) use self::child::child;

/// What a process prints after a round.
const NUMBERS: usize = 9;
type Round = [f64; NUMBERS];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Contender(Contender),
    /// The source without anyone who waits: what all rows pay, ids included.
    Source,
}

const ROWS: [Row; 6] = [
    Row::Contender(Contender::Watch),
    Row::Contender(Contender::Waits),
    Row::Contender(Contender::Tasks),
    Row::Contender(Contender::Bounded),
    Row::Contender(Contender::Backon),
    Row::Source,
];

impl Row {
    const SOURCE: &str = "source alone";

    fn name(self) -> &'static str {
        match self {
            Self::Contender(contender) => contender.name(),
            Self::Source => Self::SOURCE,
        }
    }

    fn named(name: &str) -> Result<Self, Failure> {
        match name {
            Self::SOURCE => Ok(Self::Source),
            _ => Contender::named(name).map(Self::Contender),
        }
    }
}

/// The tables for jobs of 9 and of 50 polls.
pub(crate) fn run(quick: bool) -> Result<(), Failure> {
    let (sizes, rounds): (&[usize], _) =
        if quick { (&[10_000, 100_000], 3) } else { (&[10_000, 100_000, 1_000_000], 5) };
    compare(9, sizes, rounds)?;
    compare(50, sizes, rounds)
}

fn compare(polls_per_job: u32, sizes: &[usize], rounds: usize) -> Result<(), Failure> {
    let head = || std::iter::once(String::new()).chain(sizes.iter().map(|&jobs| thousands(jobs)));
    let titles = [
        "CPU ns per poll (and ratio to the task per job: median of the rounds, least to most)",
        "Bytes per waiting job, its id included: live heap / resident",
        "Polls per job that ended / polls per waiting job and minute / allocations per poll",
        "Ends per second of virtual time: least / mean / most",
    ];
    let mut tables = titles.map(|_| Table::new(head()));
    let mut cells = titles.map(|_| ROWS.map(|row| vec![row.name().to_owned()]));
    for &jobs in sizes {
        // Few jobs make short rounds, which differ more.
        let rounds = if jobs < 100_000 { 3 * rounds } else { rounds };
        let results = measure(jobs, polls_per_job, rounds)?;
        let base = ROWS.iter().position(|row| *row == Row::Contender(Contender::Tasks));
        let base = base.and_then(|base| results.get(base)).ok_or("no row to compare with")?;
        for (at, results) in results.iter().enumerate() {
            let new = [cpu(results, base), bytes(results), work(results), ends(results)];
            for (cells, new) in cells.iter_mut().zip(new) {
                if let Some(row) = cells.get_mut(at) {
                    row.push(new);
                }
            }
        }
    }
    for ((table, title), rows) in tables.iter_mut().zip(titles).zip(cells) {
        rows.into_iter().for_each(|row| table.row(row));
        table.print(&format!("Turnover, {polls_per_job} polls per job. {title}"))?;
    }
    Ok(())
}

/// Runs all rows at once, a process each, and lets them work in turns.
fn measure(
    jobs: usize,
    polls_per_job: u32,
    rounds: usize,
) -> Result<[Vec<Round>; ROWS.len()], Failure> {
    let mut children = Vec::new();
    for row in ROWS {
        let args = [TURNOVER, row.name(), &jobs.to_string(), &polls_per_job.to_string()];
        let mut child = Process::start(&args)?;
        child.hear()?;
        children.push(child);
    }
    let mut results = ROWS.map(|_| Vec::new());
    for _ in 0..rounds {
        for (child, results) in children.iter_mut().zip(&mut results) {
            child.say("go")?;
            results.push(child.hear_numbers()?);
        }
    }
    Ok(results)
}

fn middle(rounds: &[Round], number: impl Fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(number))
}

fn cpu(rounds: &[Round], base: &[Round]) -> String {
    // Each round against the one that the base made beside it: the machine is hardly the same a minute later.
    let ratios = || rounds.iter().zip(base).map(|([cpu, ..], [base, ..])| cpu / base);
    let (least, most) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    let cpu = middle(rounds, |[cpu, ..]| *cpu);
    format!("{cpu:.0} ({:.2}, {least:.2} to {most:.2})", median(ratios()))
}

fn bytes(rounds: &[Round]) -> String {
    let last = |[.., heap, resident, _, _, _]: &Round| format!("{heap:.0} / {resident:.0}");
    rounds.last().map_or_else(String::new, last)
}

fn work(rounds: &[Round]) -> String {
    let polls = middle(rounds, |[_, polls, ..]| *polls);
    let rate = middle(rounds, |[_, _, rate, ..]| *rate);
    let allocations = middle(rounds, |[_, _, _, allocations, ..]| *allocations);
    // The source alone knows no time.
    let rate = if rate.is_finite() { format!("{rate:.2}") } else { "-".to_owned() };
    format!("{polls:.2} / {rate} / {allocations:.2}")
}

fn ends(rounds: &[Round]) -> String {
    let least = rounds.iter().map(|[.., least, _, _]| *least).fold(f64::INFINITY, f64::min);
    let most = rounds.iter().map(|[.., most]| *most).fold(0.0, f64::max);
    let mean = middle(rounds, |[.., mean, _]| *mean);
    if mean.is_finite() { format!("{least:.0} / {mean:.0} / {most:.0}") } else { "-".to_owned() }
}

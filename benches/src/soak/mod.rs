//! Thousands of jobs that come and go for a long time, over HTTP and in memory, with faults: does anything grow?

#![expect(clippy::disallowed_methods, reason = "it measures in real time")]

mod lags;
mod leaks;
mod ledger;
mod memory_source;
mod runtimes;
mod server;
mod users;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cfw_api::{AccessKey, Client, Credentials, IdOrName, Password, User};
use cfw_waiter::{Learned, Policy, Schedule};

use self::leaks::Leaks;
use self::ledger::{Counts, Fate, Group, Ledger};
use self::memory_source::MemorySource;
use self::users::Common;
use self::verdict::{Finding, Interval, bytes_per_end, compare};
use crate::Failure;
use crate::child::{Process, SOAK_SERVER};
use crate::meter::{Footprint, load};
use crate::table::{median, print};

pub(crate) use self::server::child;

const SECOND: Duration = Duration::from_secs(1);
const INTERVALS: u32 = 40;
/// How long after its deadline an end may be heard of, on a machine whose threads wake in time. A wait that goes on from a
/// checkpoint after its deadline takes one last look of at most two seconds; then there is the time until a thread runs.
const LATE: Duration = Duration::from_secs(3);
/// How long after its deadline an end is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Within this time all users come to an end: the longest timeout and more.
const CLOSING: Duration = Duration::from_secs(120);

/// Runs for some minutes. An error if anything grew, or an end was lost, reported twice, wrong or late.
pub(crate) fn run(minutes: f64, leaks: bool) -> Result<(), Failure> {
    let before = Footprint::take()?;
    let started = Instant::now();
    let leaks = if leaks { Leaks::since(started) } else { Leaks::default() };
    let common = Common {
        ledger: Arc::default(),
        runtimes: runtimes::Runtimes::default(),
        leaks: Arc::new(leaks),
    };
    let mut server = Process::start(&[SOAK_SERVER])?;
    let users = start_users(&common, &server.hear()?)?;
    let oversleep = Oversleep::start();

    print(HEAD)?;
    let interval =
        Duration::from_secs_f64(minutes * 60.0).div_f64(f64::from(INTERVALS)).max(SECOND * 4);
    let mut log = Log::default();
    let mut next = 1;
    while started.elapsed().as_secs_f64() < minutes * 60.0 {
        let until = Instant::now() + interval;
        let mut samples = Vec::new();
        while Instant::now() < until {
            let second = Instant::now() + SECOND;
            while Instant::now() < second {
                next = add_jobs(&common.ledger, &mut server, next)?;
                thread::sleep(Duration::from_millis(100));
            }
            common.leaks.each_second(&common.runtimes);
            samples.push((Footprint::take()?, common.runtimes.tasks()));
        }
        let counts = common.ledger.read(Instant::now(), PATIENCE);
        log.add(started.elapsed(), &samples, counts, oversleep.take())?;
    }
    common.ledger.close();
    let closing = Instant::now() + CLOSING;
    while Instant::now() < closing && users.iter().any(|user| !user.is_finished()) {
        thread::sleep(Duration::from_millis(100));
        log.counts = common.ledger.read(Instant::now(), PATIENCE);
    }
    let hangs = users.iter().any(|user| !user.is_finished());
    if !hangs {
        for user in users {
            users::join(user).map_err(|error| error as Failure)?;
        }
    }
    log.counts = common.ledger.read(Instant::now(), PATIENCE);
    drop((common, server, oversleep));
    let after = settle(before)?;
    log.conclude(hangs, before, after)
}

const HEAD: &str = "
| minutes | live jobs |      ends |      polls | heap MiB | resident MiB | files | sockets | threads | tasks | lag HTTP p50/p99 s | lag memory p50/p99 s | latest end s | oversleep s | load |
|--------:|----------:|----------:|-----------:|---------:|-------------:|------:|--------:|--------:|------:|-------------------:|---------------------:|-------------:|------------:|-----:|";

#[derive(Default)]
struct Log {
    intervals: Vec<Interval>,
    counts: Counts,
    /// The latest end beyond what the machine explains.
    latest: Duration,
}

impl Log {
    fn add(
        &mut self,
        elapsed: Duration,
        samples: &[(Footprint, usize)],
        counts: Counts,
        oversleep: Duration,
    ) -> Result<(), Failure> {
        let middle =
            |of: fn(&Footprint) -> u64| median(samples.iter().map(|(at, _)| of(at) as f64));
        let sockets = middle(|at| at.sockets);
        let [http, memory] = &counts.lags;
        let lag = |lags: &lags::Lags, share| lags.quantile(share).as_secs_f64();
        let interval = Interval {
            heap: middle(|at| at.heap),
            resident: middle(|at| at.resident),
            files: middle(|at| at.files),
            threads: middle(|at| at.threads),
            tasks: median(samples.iter().map(|(_, tasks)| *tasks as f64)),
            lag_http: lag(http, 0.5) * 1_000.0,
            lag_memory: lag(memory, 0.5) * 1_000.0,
            ends: (counts.ends - self.counts.ends) as f64,
        };
        let mib = |bytes: f64| bytes / 1_048_576.0;
        print(&format!(
            "| {:7.1} | {:9} | {:9} | {:10} | {:8.2} | {:12.1} | {:5} | {sockets:7} | {:7} | {:5} | {:8.2} / {:7.2} | {:9.2} / {:8.2} | {:12.2} | {:11.2} | {:>4} |",
            elapsed.as_secs_f64() / 60.0,
            counts.live,
            counts.ends,
            counts.polls,
            mib(interval.heap),
            mib(interval.resident),
            interval.files,
            interval.threads,
            interval.tasks,
            lag(http, 0.5),
            lag(http, 0.99),
            lag(memory, 0.5),
            lag(memory, 0.99),
            counts.latest.as_secs_f64(),
            oversleep.as_secs_f64(),
            load()?,
        ))?;
        // A thread that wakes late may do so on each of some steps from the timer to the consumer.
        self.latest = self.latest.max(counts.latest.saturating_sub(oversleep * 4));
        self.intervals.push(interval);
        self.counts = counts;
        Ok(())
    }

    fn conclude(&self, hangs: bool, before: Footprint, after: Footprint) -> Result<(), Failure> {
        let Counts { ends, polls, dropped, resumed, twice, lost, wrong, notes, .. } = &self.counts;
        print(&format!(
            "\n{ends} ends, {polls} polls, {dropped} waits dropped, {resumed} checkpoints resumed\n"
        ))?;
        let mut bad = 0;
        let mut judge = |holds: bool, text: String| {
            bad += u32::from(!holds);
            print(&format!("{} {text}", if holds { "ok  " } else { "FAIL" }))
        };
        let findings = compare(&self.intervals).ok_or("the run was too short for a verdict")?;
        for finding in &findings {
            let Finding { name, first, last, bound } = finding;
            judge(
                finding.is_flat(),
                format!("{name}: {first:.0}, then {last:.0}, bound {bound:.0}"),
            )?;
            if *name == "live heap" {
                let bytes = bytes_per_end(&self.intervals, finding);
                print(&format!("     which is {bytes:.2} bytes per end"))?;
            }
        }
        judge(*lost == 0, format!("{lost} ends lost"))?;
        judge(*twice == 0, format!("{twice} ends reported twice"))?;
        judge(*wrong == 0, format!("{wrong} ends wrong"))?;
        let latest = self.latest;
        judge(
            latest <= LATE,
            format!("latest end {latest:.1?} after its deadline, bound {LATE:?}"),
        )?;
        judge(!hangs, "all users came to their end".to_owned())?;
        let held = |of: fn(&Footprint) -> u64| (of(&before), of(&after));
        for (name, (before, after), more) in [
            ("files", held(|at| at.files), 0),
            ("threads", held(|at| at.threads), 0),
            ("bytes of heap", held(|at| at.heap), 256 * 1024),
        ] {
            judge(after <= before + more, format!("{before} {name} before, {after} after"))?;
        }
        for note in notes {
            print(&format!("     {note}"))?;
        }
        if bad > 0 { Err(format!("{bad} conditions do not hold").into()) } else { Ok(()) }
    }
}

/// Adds the jobs that groups lack, at most some hundred at a time. Returns the next number.
fn add_jobs(ledger: &Ledger, server: &mut Process, mut next: u64) -> Result<u64, Failure> {
    for group in Group::all() {
        // A group that begins does not get all its jobs at once: they would end together.
        let lack = ledger.lack(group).min(group.size() / 50 + 1);
        let numbers = next..next + u64::try_from(lack)?;
        if numbers.is_empty() {
            continue;
        }
        next = numbers.end;
        if !group.is_in_memory() {
            server.say(&format!("{} {lack}", numbers.start))?;
            server.hear()?;
        }
        let now = Instant::now();
        for number in numbers {
            // Between one second and nine, by the number.
            let life = Duration::from_millis(1_000 + number.wrapping_mul(7_919) % 8_000);
            let is_known = group.is_in_memory() && Fate::of(number, true) != Fate::Never;
            ledger.enter(group, number, is_known.then(|| now + life));
        }
    }
    Ok(next)
}

fn start_users(common: &Common, words: &[String]) -> Result<Vec<users::User>, Failure> {
    let [endpoint, project_id, domain, project] = words else {
        return Err("endpoint, project, domain and project name are wanted of the server".into());
    };
    let password = {
        let user =
            User::Name { name: server::USER.to_owned(), domain: IdOrName::Name(domain.clone()) };
        let project = IdOrName::Name(project.clone());
        let url = format!("{endpoint}/v3");
        move || {
            Credentials::password(Password::new(
                url.clone(),
                user.clone(),
                server::PASSWORD,
                project.clone(),
            ))
        }
    };
    let key = || Credentials::access_key(AccessKey::new(server::ACCESS_KEY, server::SECRET_KEY));
    let client = {
        let (endpoint, project_id) = (endpoint.clone(), project_id.clone());
        move |credentials| {
            let builder = Client::builder().endpoint(endpoint.clone());
            builder.project_id(project_id.clone()).credentials(credentials).build()
        }
    };
    let in_memory = {
        let (ledger, leaks) = (Arc::clone(&common.ledger), Arc::clone(&common.leaks));
        move || {
            let (ledger, leaks) = (Arc::clone(&ledger), Arc::clone(&leaks));
            Ok(MemorySource { ledger, leaks, polls: AtomicU64::new(0) })
        }
    };
    let schedule = Schedule::exponential(SECOND / 2, 1.5, SECOND * 2)?;
    let learned = Learned::new().poll_cost(SECOND / 4).fallback(schedule.clone());
    let learned = Policy::new().schedule(Schedule::learned(learned.max_interval(SECOND * 3))?);
    let policy = || Policy::new().schedule(schedule.clone());
    let (watched, awaited) = (client(password())?, client(key())?);
    Ok(vec![
        users::watch(common.clone(), Group::WATCH, false, policy(), move || Ok(watched.clone())),
        users::waits(common.clone(), Group::WAITS, policy(), move || Ok(awaited.clone())),
        users::blocking(common.clone(), Group::BLOCKING, policy(), move || Ok(client(password())?)),
        users::watch(common.clone(), Group::LEARNED, false, learned, in_memory.clone()),
        users::watch(common.clone(), Group::RENEWED, true, policy(), in_memory),
    ])
}

/// Waits for what ends a moment after its owner: returns what is held then.
fn settle(before: Footprint) -> Result<Footprint, Failure> {
    for _ in 0..100 {
        let after = Footprint::take()?;
        if after.files <= before.files && after.threads <= before.threads {
            return Ok(after);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Footprint::take()
}

/// A thread that measures how late the machine wakes threads.
struct Oversleep {
    thread: Option<JoinHandle<()>>,
    shared: Arc<(AtomicBool, AtomicU64)>,
}

impl Oversleep {
    fn start() -> Self {
        const NAP: Duration = Duration::from_millis(10);
        let shared = Arc::<(AtomicBool, AtomicU64)>::default();
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while !theirs.0.load(Ordering::Relaxed) {
                let from = Instant::now();
                thread::sleep(NAP);
                let late = from.elapsed().saturating_sub(NAP).as_micros();
                theirs.1.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self { thread: Some(thread), shared }
    }

    /// Returns how late a thread woke at most since the last time.
    fn take(&self) -> Duration {
        Duration::from_micros(self.shared.1.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Oversleep {
    fn drop(&mut self) {
        self.shared.0.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

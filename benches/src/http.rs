//! Waiting over loopback HTTP, in real time, against the simulator in another process.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cfw_api::{Client, Credentials};
use cfw_waiter::{Attempt, ErrorClass, JobId, JobSource, JobState, SourceError};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use crate::Failure;
use crate::child::{CLIENT, Process, SERVER};
use crate::contender::{self, Contender, Delays, Tally};
use crate::memory::id;
use crate::meter::Reading;
use crate::table::{Table, median, print, thousands};

/// The answers of a firewall service have some hundred bytes; all clients here read no more than this.
const MAX_BODY: usize = 1 << 20;

/// What people write: one request with what they would write it with.
struct ByHand {
    http: reqwest::Client,
    jobs: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    id: String,
    status: String,
    end_time: Option<u64>,
}

impl JobSource for ByHand {
    async fn fetch(&self, id: &JobId, _attempt: Attempt) -> Result<JobState, SourceError> {
        let transient = |error: Failure| SourceError::new(ErrorClass::TRANSIENT, error.to_string());
        let answer = self.ask(id).await.map_err(transient)?;
        let end = answer.end_time.map(|end| SystemTime::UNIX_EPOCH + Duration::from_millis(end));
        Ok(match answer.status.as_str() {
            "Success" => JobState::succeeded().with_end(end),
            "Failed" => JobState::failed().with_end(end),
            _ => JobState::running(),
        })
    }
}

impl ByHand {
    async fn ask(&self, id: &JobId) -> Result<Data, Failure> {
        let url = format!("{}/{id}", self.jobs);
        let mut response = self.http.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err("the answer is too long".into());
            }
            body.extend_from_slice(&chunk);
        }
        let Answer { data } = serde_json::from_slice(&body)?;
        if data.id != id.as_str() {
            return Err("the answer is about another job".into());
        }
        Ok(data)
    }
}

const CFW_API: &str = "cfw-api";
const REQWEST: &str = "reqwest";

/// Waits for the jobs of a service of its own until all have ended. Prints what that took.
pub(crate) fn child(args: &[String]) -> Result<(), Failure> {
    let [contender, source, jobs, first, max, mean] = args else {
        return Err("contender, source, jobs, first and longest delay, mean duration".into());
    };
    let contender = Contender::named(contender)?;
    let jobs: usize = jobs.parse()?;
    let [first, max] = [first, max].map(|millis| millis.parse().map(Duration::from_millis));
    let delays = Delays { first: first?, max: max? };

    let mut server = Process::start(&[SERVER])?;
    let words = server.hear()?;
    let [endpoint, project, token] = words.as_slice() else {
        return Err("endpoint, project and token are wanted of the server".into());
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", HeaderValue::from_str(token)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let http = reqwest::Client::builder()
        .user_agent("cfw-bench")
        .default_headers(headers)
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()?;
    let ids: Vec<JobId> = (0..jobs).map(id).collect();
    let tally = Tally::new(jobs);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        server.say(&format!("{jobs} {mean}"))?;
        server.hear()?;
        let before = Reading::take()?;
        if source == CFW_API {
            let client = Client::builder()
                .endpoint(endpoint)
                .project_id(project)
                .credentials(Credentials::token(token.as_str()))
                .user_agent("cfw-bench")
                .build()?;
            contender::start(contender, Arc::new(client), &ids, delays, &tally)?;
        } else {
            let by_hand = ByHand { http, jobs: format!("{endpoint}/v3/{project}/jobs") };
            contender::start(contender, Arc::new(by_hand), &ids, delays, &tally)?;
        }
        let lags = tally.all().await;
        let after = Reading::take()?;
        server.say("report")?;
        let [accepted, peak, polls] = server.hear_numbers()?;
        let cpu = (after.cpu - before.cpu).as_nanos() as f64 / 1e3 / polls;
        let lag = |per_cent: usize| {
            let lag = lags.get((lags.len() * per_cent / 100).min(lags.len().saturating_sub(1)));
            lag.map_or(f64::NAN, |lag| lag.as_secs_f64() * 1e3)
        };
        let memory = after.peak.saturating_sub(before.resident);
        let allocations = (after.allocations - before.allocations) as f64 / polls;
        let polls_per_job = polls / jobs as f64;
        print(&format!(
            "{polls_per_job} {cpu} {allocations} {} {} {memory} {accepted} {peak}",
            lag(50),
            lag(99)
        ))
    })
}

/// How many jobs, how they are polled (milliseconds), and how long they take on average.
struct Load {
    jobs: usize,
    first: u64,
    max: u64,
    mean: u64,
}

/// The whole comparison.
pub(crate) fn run(quick: bool) -> Result<(), Failure> {
    const LOADS: [Load; 4] = [
        Load { jobs: 1, first: 20, max: 100, mean: 500 },
        Load { jobs: 100, first: 20, max: 100, mean: 600 },
        Load { jobs: 1_000, first: 200, max: 500, mean: 700 },
        Load { jobs: 10_000, first: 1_000, max: 3_000, mean: 1_500 },
    ];
    for load in LOADS {
        if quick && load.jobs != 1_000 {
            continue;
        }
        // Processes differ by a fifth where a round is short, so that a median of few says little.
        let rounds = match load.jobs {
            10_000.. => 7,
            100.. => 21,
            _ => 5,
        };
        compare(&load, if quick { 3 } else { rounds })?;
    }
    Ok(())
}

fn compare(load: &Load, rounds: usize) -> Result<(), Failure> {
    const CONTENDERS: [(Contender, &str); 5] = [
        (Contender::Watch, CFW_API),
        (Contender::Watch, REQWEST),
        (Contender::Bounded, REQWEST),
        (Contender::Tasks, REQWEST),
        (Contender::Backon, REQWEST),
    ];
    let numbers = [load.jobs as u64, load.first, load.max, load.mean].map(|n| n.to_string());
    let [jobs, first, max, mean] = &numbers;
    let mut results: Vec<Vec<[f64; 8]>> = vec![Vec::new(); CONTENDERS.len()];
    for _ in 0..rounds {
        for (results, (contender, source)) in results.iter_mut().zip(CONTENDERS) {
            let args = [CLIENT, contender.name(), source, jobs, first, max, mean];
            results.push(Process::start(&args)?.hear_numbers()?);
        }
    }
    let medians: Vec<[f64; 8]> = results
        .iter()
        .map(|rounds| {
            let numbers = |at: usize| rounds.iter().filter_map(move |round| round.get(at).copied());
            let mut medians: [f64; 8] = std::array::from_fn(|at| median(numbers(at)));
            // A bound is kept always or not at all.
            if let Some(open_at_once) = medians.last_mut() {
                *open_at_once = numbers(7).fold(0.0, f64::max);
            }
            medians
        })
        .collect();
    let at = CONTENDERS.iter().position(|known| *known == (Contender::Bounded, REQWEST));
    let base = at.and_then(|at| medians.get(at)).map_or(f64::NAN, |[_, cpu, ..]| *cpu);
    let mut table = Table::new([
        "",
        "polls per job",
        "CPU us per poll",
        "ratio",
        "allocations per poll",
        "lag p50 ms",
        "lag p99 ms",
        "peak memory KB",
        "per job KB",
        "connections",
        "most open at once",
    ]);
    for ((contender, source), medians) in CONTENDERS.into_iter().zip(medians) {
        let [polls, cpu, allocations, p50, p99, memory, accepted, peak] = medians;
        table.row([
            format!("{}, {source}", contender.name()),
            format!("{polls:.1}"),
            format!("{cpu:.1}"),
            format!("{:.2}", cpu / base),
            format!("{allocations:.0}"),
            format!("{p50:.0}"),
            format!("{p99:.0}"),
            format!("{:.0}", memory / 1024.0),
            format!("{:.2}", memory / 1024.0 / load.jobs as f64),
            format!("{accepted:.0}"),
            format!("{peak:.0}"),
        ]);
    }
    let Load { first, max, mean, .. } = load;
    table.print(&format!(
        "Waiting jobs over HTTP: {}; first delay {first} ms, longest {max} ms, jobs of {mean} ms on average",
        thousands(load.jobs)
    ))
}

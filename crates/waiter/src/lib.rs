//! Waits for cloud jobs correctly: one future per job, or one stream of state transitions for many.
//!
//! A cloud API answers a mutation with a job id and does the work later. The caller has to poll until the job
//! has ended, and the loop that most programs contain sleeps too long or too short, has no deadline, fails on
//! the first 503 or an expired token, hammers a service that throttles, or waits without end on an
//! unforeseen status. This crate is that loop, done once.
//!
//! ```
//! use cfw_waiter::{JobState, SourceError, Waiter, source_fn};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), cfw_waiter::WaitError> {
//! // Where the state of a job comes from: with feature `cfw`, a `cfw_api::Client` is a source, too.
//! let source = source_fn(|id| async move {
//!     println!("asked for {id}");
//!     Ok::<_, SourceError>(JobState::succeeded())
//! });
//! let waiter = Waiter::new(source);
//! let report = waiter.wait_for_job("5a2b74ef").timeout(Duration::from_secs(600)).await?;
//! println!("ended as {:?} after {} polls", report.state, report.polls);
//! # Ok(())
//! # }
//! ```
//!
//! # The life of a wait
//!
//! ```text
//!   wait_for_job(id) ── first poll of the future: the clock starts
//!          │
//!          ▼            Schedule, jitter          JobSource::fetch
//!      [resting] ──────────────────────▶ [due] ──────────────────▶ [in flight]
//!          ▲                               │ budget: pause, rate,       │
//!          │                               │ requests in flight         │
//!          ├────────── running, unknown status: a transition ◀──────────┤
//!          ├────────── transient, throttled, not found: trouble ◀───────┤
//!          │                                                            │
//!          └─ deadline ──▶ TimedOut        Ok(report), Failed, Lost, Fatal, Refused, ..
//! ```
//!
//! # What is promised
//!
//! - A wait ends exactly once, at or before its deadline, which is 30 minutes unless set. `Ok` means that the job
//!   succeeded; everything else is a [`WaitError`] with the last known state and the cause.
//! - Transient failures end no wait unless a limit was set, nor does an outage of the network, unless the policy gives up
//!   on a source that was never reached. A throttled answer slows the whole waiter, a refused
//!   credential ends all its waits, an unknown status is reported and waited on.
//! - A job is never asked for twice at once, nor more often than its waits' schedules, the pauses and the
//!   rate allow. The same id waited for twice is polled once.
//! - A consumer that lags delays no poll, and its backlog is bounded by the number of its jobs.
//! - Dropping a wait or a [`Watch`] ends its polls. A panic in a source ends the waits on that job alone.
//! - A wait that is polled on a live runtime ends by its deadline, whatever other runtimes do. Without a
//!   runtime, or when its runtime ends, it ends with an error. Nothing hangs. After a suspension past its deadline a
//!   wait makes one more poll, of two seconds at most. What keeps all threads of that runtime busy makes its waits
//!   late. No server can: the connections of `cfw_api::Client` run on a thread of their own.
//! - With the same seed, ids and answers, the same polls are made.
//!
//! The repository's ARCHITECTURE.md names the test behind each of these.
//!
//! # What it does not do
//!
//! It sends no mutation and retries none; it has no runtime but Tokio, which [`blocking`] callers need not know of; it keeps nothing on
//! disk: a [`Checkpoint`] is the caller's to keep. It does not depend on `backon` or `backoff` for its pauses: a policy of either becomes a
//! [`Schedule::delays`].
//!
//! # Features
//!
//! | feature | default | what |
//! | --- | --- | --- |
//! | `cfw` | yes | `cfw_api::Client` is a [`JobSource`] |
//! | `rustls`, `http2` | yes | passed to `cfw-api`: TLS by rustls with aws-lc-rs, HTTP/2 |
//! | `serde` | no | `Serialize` for what is reported: [`Update`], [`JobReport`], [`JobState`], [`Eta`], [`Stats`] and others; [`Checkpoint`] as JSON |
//! | `rustls-no-provider`, `native-tls`, `clouds-yaml` | no | passed to `cfw-api` |
//! | `history` | no | a [`History`] can be kept in a file |
//!
//! # Logs
//!
//! With `tracing`, at level debug: a span `wait_for_job` (fields `job`, and at its end `outcome` and `polls`) or `watch`
//! (fields `jobs`, how many, and at its end `succeeded` and `unsuccessful`) with an event at each end, or
//! [at level info](WaiterBuilder::spans_at_info) if asked. Each poll is a span `poll` (fields `job`, and `answer`: the status,
//! the class of the error, or "panicked"; none if the request was given up) from its request to its answer, in the span of
//! one wait on the job (the oldest, unless there are more than 32) and linked to the others'. In it are what the source
//! writes while it is polled, "status changed" (`job`, `from`, `to`) and "polling this job is in trouble" (`job`, `error`);
//! those without an answer are in the span of the wait. At level warn, "polling is in trouble", when the first answer of a source
//! that was well turns bad; nothing else is above debug. An answer that a job is not known is no such trouble.

pub mod blocking;
mod board;
mod box_source;
#[cfg(feature = "cfw")]
mod cfw;
mod checkpoint;
mod config;
mod driver;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
#[doc(hidden)]
pub mod learned;
mod options;
mod policy;
mod report;
mod schedule;
#[cfg(feature = "serde")]
mod serialize;
mod source;
mod source_error;
mod spans;
mod state;
mod update;
mod util;
mod wait;
mod waiter;
mod watch;

pub use box_source::BoxSource;
#[cfg(feature = "cfw")]
pub use cfw::FirewallGone;
pub use checkpoint::{Checkpoint, JobCheckpoint};
pub use config::ConfigError;
pub use id::JobId;
#[cfg(feature = "history")]
pub use learned::HistoryError;
pub use learned::{Eta, ExpectedCost, Explanation, History, Learned, Remaining, Sample};
pub use options::JobOptions;
pub use policy::{Policy, UnknownStatus};
pub use report::{JobReport, Outcome, WaitError, WaitErrorKind, WaitingOn};
pub use schedule::Schedule;
pub use source::{Attempt, JobSource, Quota, SourceFn, source_fn};
pub use source_error::{ErrorClass, SourceError};
pub use state::{JobState, Phase};
pub use update::{JobView, Progress, Stats, Update, UpdateKind};
pub use wait::Wait;
pub use waiter::{Waiter, WaiterBuilder};
pub use watch::{Watch, WatchHandle};

/// The examples of the README of this crate compile, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct CrateReadmeExamples;

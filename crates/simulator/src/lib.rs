//! A fake Cloud Firewall and IAM service over real HTTP, with scripted jobs and faults.
//!
//! A client that waits for cloud jobs must handle outages, throttling, truncated answers and jobs
//! that appear late. This crate produces them on request. It answers as the service does, including
//! body formats and headers, on a port of 127.0.0.1 that the system chooses, and records all
//! requests for tests.
//!
//! ```
//! use std::time::Duration;
//! use cfw_simulator::{Fault, JobScript, Simulator};
//!
//! # fn main() -> std::io::Result<()> {
//! let sim = Simulator::builder().seed(7).start_on_thread()?;
//! let id = sim.add_job(JobScript::succeeds_after(Duration::from_millis(300)));
//! sim.fail_next(2, Fault::throttled_for("1.5"));
//! sim.fail_randomly(0.1, Fault::transient());
//!
//! // Configure the client under test with these, and let it poll the job.
//! let (endpoint, project, token) = (sim.endpoint(), sim.project_id(), sim.token());
//! # let _ = (endpoint, project, token, id);
//!
//! // Then check what it did.
//! assert_eq!(sim.counts().overlapping, 0);
//! for request in sim.requests() {
//!     println!("{:?} {:?} {:?}", request.at, request.status, request.fault);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Processing of a request
//!
//! A request is recorded, delayed by the [latency](SimulatorBuilder::latency), and affected by a
//! [`Fault`] if one is planned. Then it passes the gateway (credentials, rate limit, project) and
//! reaches the service. Of several planned faults the first of these applies: for [this
//! job](Simulator::fail_polls), for the [next requests](Simulator::fail_next), for a [span of
//! time](Simulator::fail_during), [at random](Simulator::fail_randomly).
//!
//! # Credentials and firewalls
//!
//! A poll is authorized by the [static token](Simulator::token), by a token that IAM issued to the
//! [user](Simulator::user) at `/v3/auth/tokens` of the same endpoint, or by a signature made with
//! the [access key](Simulator::access_key). Tokens can be [revoked](Simulator::revoke_tokens).
//! Users and keys are locked after too many failures. The state of a firewall is that of the jobs
//! that create and delete it, also if a job is ended [by the test](Simulator::finish). The jobs can
//! also be read in the format of ECS, under `/v1/{project_id}/jobs/{job_id}`.
//!
//! # Time
//!
//! The simulator runs in real time and has no timer per job. Do not start it on a runtime whose
//! clock is paused. [`SimulatorBuilder::start_on_thread`] can be used everywhere.

// Imports go one way: each module may import those above it. A test checks this.
mod util;

mod model;

mod faults;

mod record;

mod state;

mod http;

mod simulator;

pub use faults::fault::{EchoEncoding, Fault};
pub use model::account::{AccessKey, User};
pub use model::job::JobScript;
pub use model::route::Route;
pub use record::request::{Connections, Counts, Credential, Headers, Request};
pub use simulator::builder::SimulatorBuilder;
pub use simulator::handle::Simulator;
pub use simulator::options::SimulateOptions;
pub use state::config::TimeFormat;
pub use state::tokens::TokenRefusal;

/// The examples of the README of this crate compile, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct CrateReadmeExamples;

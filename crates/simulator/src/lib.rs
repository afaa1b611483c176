//! A fake Cloud Firewall and IAM service over real HTTP, with scripted jobs and faults.
//!
//! Whoever waits for cloud jobs must stand outages, throttling, cut answers and jobs that appear
//! late. A real cloud shows these at three in the morning; this crate shows them on request. It
//! answers as the service does, down to body shapes and headers, on a port of 127.0.0.1 that the
//! system chooses, and keeps a record of every request for tests to read.
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
//! // Point the client under test at these, and let it poll the job.
//! let (endpoint, project, token) = (sim.endpoint(), sim.project_id(), sim.token());
//! # let _ = (endpoint, project, token, id);
//!
//! // Then see what it did.
//! assert_eq!(sim.counts().overlapping, 0);
//! for request in sim.requests() {
//!     println!("{:?} {:?} {:?}", request.at, request.status, request.fault);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Order of things
//!
//! A request is recorded, waits out the [latency](SimulatorBuilder::latency), meets its
//! [`Fault`] if one is planned, then the gateway (credentials, rate limit, project), then the
//! service. Of several planned faults the first of these hits: for [this
//! job](Simulator::fail_polls), for the [next requests](Simulator::fail_next), for [this
//! time](Simulator::fail_during), [by chance](Simulator::fail_randomly).
//!
//! # Credentials and firewalls
//!
//! Polls may carry the [static token](Simulator::token), a token that IAM issued to the
//! [user](Simulator::user) at `/v3/auth/tokens` of the same endpoint, or a signature made with the
//! [access key](Simulator::access_key). Tokens can be [revoked](Simulator::revoke_tokens), users
//! and keys lock themselves after too many failures. A firewall that is created or deleted follows
//! the job it was given, and ends with it, [by hand](Simulator::finish) too. The jobs can also be
//! read as those of ECS, under `/v1/{project_id}/jobs/{job_id}`.
//!
//! # Time
//!
//! The simulator lives in real time and holds no timer per job. Never start it on a runtime whose
//! clock is paused; [`SimulatorBuilder::start_on_thread`] is safe everywhere.

mod accounts;
mod answer;
mod builder;
mod clock;
mod fault;
mod firewalls;
mod flight;
mod gateway;
mod iam;
mod jobs;
mod keys;
mod limiter;
mod random;
mod record;
mod routes;
mod script;
mod server;
mod signature;
mod simulator;
mod standalone;
mod state;
mod tokens;
mod trouble;

pub use accounts::{AccessKey, User};
pub use builder::{SimulatorBuilder, TimeFormat};
pub use fault::Fault;
pub use record::{Connections, Counts, Credential, Headers, Request, Route};
pub use script::JobScript;
pub use simulator::Simulator;
pub use standalone::Standalone;
pub use tokens::TokenRefusal;

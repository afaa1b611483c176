//! A thin, typed client for the Cloud Firewall job API of Open Telekom Cloud and Huawei Cloud.
//!
//! Creating or deleting a cloud firewall answers with a job id, and the work is done later. This crate makes
//! those calls and asks how such a job stands ("List Job Status" in the manual). It does so once per call:
//! *when* to ask again is for the crate `cfw-waiter` to decide, or for a loop of your own.
//!
//! ```no_run
//! use cfw_api::{Client, JobStatus, Settings};
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! // From OS_*, HW_* or CFW_* variables; `Client::builder()` also takes everything by hand.
//! let client = Client::builder().settings(&Settings::from_env()?).build()?;
//!
//! let job = client.list_job(&"cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f".parse()?).await?;
//! match job.status {
//!     JobStatus::Success => println!("done"),
//!     JobStatus::Failed => println!("failed: {:?} {:?}", job.error_code, job.error_msg),
//!     status => println!("{status}: ask again in a while"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What an error tells
//!
//! The HTTP status alone does not say what to do: the service answers 400 for "system busy", for "no such
//! object" and for requests that can never succeed, and the gateway answers 404 where the URL is wrong.
//! [`Error::class`] has the answer, from one table of status, code and text: [`Class::Transient`],
//! [`Class::Throttled`] (with the pause and the limit, if the server names them), [`Class::NotFound`],
//! [`Class::Unauthorized`] or [`Class::Fatal`].
//!
//! What servers get wrong ends here. Times are read in every form, or dropped; an unknown status is passed on
//! as [`JobStatus::Other`]; an answer that is empty, cut, no JSON or about another job is a transient error and
//! never a status.
//!
//! # What is sent again, and what is not
//!
//! Nothing is, but for one case: where the credentials were refused and can be renewed, the request goes out
//! once more with the new ones. A call is thus one request, at most two. Redirects are not followed, and
//! reqwest's own retries are off.
//!
//! All clones of a [`Client`] share its credentials, and these rules hold however many calls there are at once:
//!
//! - A token is renewed once for all, before it expires or after it was refused. This has its own limit of
//!   ten seconds, apart from the [request timeout](ClientBuilder::request_timeout).
//! - Until new credentials have been let through once, one request at a time tries them, and the others wait.
//! - What was refused is not sent again. A wrong password or key is tried once, and later calls fail with what
//!   was answered then, without a request: more than five failures in a row lock a key.
//! - With an access key each request is signed anew; a clock that is off is corrected once, by the server's.
//!
//! # Cancel safety
//!
//! Every call may be dropped at any time. A renewal that it has started goes on for the other calls, in a task
//! on the runtime, until it has ended or ten seconds have passed. A mutation that was sent is not taken back.
//!
//! # Secrets
//!
//! Tokens, passwords and keys are shown nowhere: not in `Debug`, errors or logs, nor where a server echoes
//! them. Plain http is refused but for this machine, and answers are read up to a bound of 1 MiB.
//!
//! # Runtime and logs
//!
//! Calls need a tokio runtime with I/O and time enabled. Requests and renewals are reported as `tracing` events
//! at debug level.
//!
//! # Features
//!
//! - `rustls` (default): TLS by reqwest's choice, with the system's certificates. `rustls-no-provider`: the
//!   same with the cryptography that the application installs, which it must do before a client is built.
//!   `native-tls`: the platform's library. Without any of them only plain http can be spoken.
//! - `http2` (default): many calls share one connection.
//! - `clouds-yaml`: [`Settings`] read clouds.yaml.

mod body;
mod builder;
mod classify;
mod client;
mod clock;
mod config;
mod connector;
mod credentials;
mod endpoint;
mod error;
mod firewall;
mod http;
mod id;
mod job;
mod redact;
mod settings;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "all our bodies are signed, but the algorithm knows others")
)]
mod sign;
mod times;
mod transport;
mod wire;

pub use reqwest;

pub use self::{
    builder::ClientBuilder,
    classify::{Class, Quota},
    client::Client,
    config::ConfigError,
    credentials::{
        AccessKey, Credentials, IdOrName, Password, Provide, Token, TokenError, TokenProvider, User,
    },
    error::{Error, ErrorKind},
    firewall::{
        CreateFirewall, CreateFirewallBuilder, Created, Edition, Firewall, FirewallStatus, PrePaid,
    },
    id::{FirewallId, InvalidFirewallId, InvalidJobId, JobId},
    job::{Job, JobStatus},
    settings::{Settings, SettingsError},
};

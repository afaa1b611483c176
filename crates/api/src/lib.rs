//! A typed client for the Cloud Firewall job API of Open Telekom Cloud and Huawei Cloud.
//!
//! Creating or deleting a cloud firewall returns a job id, and the work is done later. This crate makes those
//! calls and fetches the state of such a job ("List Job Status" in the manual), once per call. The crate
//! `cfw-waiter` decides *when* to fetch it again; a loop of the application can do so, too.
//!
//! ```no_run
//! use cfw_api::{Client, JobStatus, Settings};
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! // From OS_*, HW_* or CFW_* variables. `Client::builder()` also has a setter for each setting.
//! let client = Client::builder().settings(&Settings::from_env()?).build()?;
//!
//! let job = client.list_job(&"cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f".parse()?).await?;
//! match job.status {
//!     JobStatus::Success => println!("done"),
//!     JobStatus::Failed => println!("failed: {:?} {:?}", job.error_code, job.error_msg),
//!     status => println!("{status}: fetch it again later"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! The HTTP status does not say what to do: the service answers 400 for "system busy", for "no such object" and
//! for requests that can never succeed, and the gateway answers 404 if the URL is wrong. [`Error::class`] does,
//! from one table of status, code and text: [`Class::Transient`], [`Class::Throttled`] (with the pause and the
//! limit, if the server names them), [`Class::NotFound`], [`Class::Unauthorized`] or [`Class::Fatal`]. Where no
//! answer arrived it is [`Class::Unreached`], and [`Class::Unexpected`] where the answer is not the service's own. The table is
//! that of [`Class`].
//!
//! The client hides the quirks of servers. Times are read in every form, or dropped. Text that is not UTF-8 and other faults of
//! one field do not hide the other fields. An unknown status becomes
//! [`JobStatus::Other`]. An answer that is empty, cut, not JSON or about another job is a transient error and
//! never a status.
//!
//! # Repeated requests
//!
//! A call is one request. If the credentials were refused and could be renewed, it is sent once more. Redirects
//! are not followed, and reqwest's own retries are off.
//!
//! All clones of a [`Client`] share its credentials, and these rules hold for any number of calls at once:
//!
//! - A token is renewed once for all calls, before it expires or after it was refused. The renewal has its own
//!   limit of ten seconds, apart from the [request timeout](ClientBuilder::request_timeout).
//! - Until the service has accepted new credentials once, one request at a time carries them, and the others
//!   wait.
//! - Refused credentials are not sent again. A wrong password or key is tried once, and later calls fail with
//!   the same answer without a request, because more than five failures in a row lock a key.
//! - With an access key each request has a new signature. A wrong clock is corrected once, by at most a
//!   day, by the server's.
//!
//! # Cancel safety
//!
//! Every call may be dropped at any time. A renewal that it has started continues for the other calls, in a task
//! on the runtime, until it ends or ten seconds have passed. A mutation that was sent is not cancelled.
//!
//! # Secrets
//!
//! A secret is sent only to the endpoint or URL of IAM that was set, or to a host of the same cloud: the endpoint in
//! the catalog of that IAM, or one derived from a published region. See [`ClientBuilder::region`] and [`Settings`].
//!
//! Tokens, passwords and keys do not appear in `Debug` output, errors or logs, even if a server echoes them.
//! Plain http is refused except for this machine, and answers are read up to a bound of 1 MiB.
//!
//! # Proxies
//!
//! The built-in clients use the proxies in `ALL_PROXY`, `HTTPS_PROXY` and `HTTP_PROXY`, in upper or lower case, except
//! for plain http on this machine and for the hosts in `NO_PROXY`: `*`, `host`, `.domain` or `*.domain` (the domain and
//! all names in it), an address or a network such as `10.0.0.0/8`, each with or without a port. SOCKS proxies are
//! not supported; to need one is an error when the client is built.
//!
//! # Runtime and logs
//!
//! Calls need a tokio runtime with I/O and time enabled, which keeps their time limits. The connections of a client run
//! on a thread of its own, so that no server holds up the caller's runtime with what it sends, and so that a client may be
//! used by one runtime after another; see [`ClientBuilder::io_runtime`]. Requests and renewals are reported as `tracing`
//! events at debug level.
//!
//! # Features
//!
//! - `rustls` (default): TLS by reqwest's choice, with the system's certificates. `rustls-no-provider`: the
//!   same with the cryptography that the application installs, which it must do before a client is built.
//!   `native-tls`: the platform's library. Without any of them only plain http is available.
//! - `http2` (default): many calls share one connection.
//! - `clouds-yaml`: [`Settings`] read clouds.yaml.

mod auth;
mod clean;
mod client;
mod clock;
mod clouds;
mod error;
mod firewall;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod id;
mod job;
mod settings;
mod times;
mod url;
mod wire;

pub use reqwest;

pub use self::{
    auth::{
        AccessKey, ApplicationCredential, Credentials, IdOrName, Password, RefreshReason, Token,
        TokenError, TokenProvider, User,
    },
    client::{Client, ClientBuilder},
    error::{Class, ConfigError, Error, ErrorKind, Quota},
    firewall::{
        CreateFirewall, CreateFirewallBuilder, Created, Edition, Firewall, FirewallStatus, PrePaid,
    },
    id::{FirewallId, InvalidFirewallId, InvalidJobId, JobId},
    job::{Job, JobStatus},
    settings::{Settings, SettingsError},
};

/// The examples of the README of this crate compile, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct CrateReadmeExamples;

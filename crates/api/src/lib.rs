//! A thin, typed client for the Cloud Firewall job API of Open Telekom Cloud and Huawei Cloud.
//!
//! Changing a firewall answers with a job id, and the work is done later. This crate asks how such a job
//! stands. One call is one HTTP request: when to ask again is for `cfw-waiter` to decide, or for your own loop.
//!
//! ```no_run
//! use cfw_api::{Client, Credentials, JobStatus};
//!
//! # async fn f(token: String) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder()
//!     .endpoint("https://cfw.eu-de.otc.t-systems.com")
//!     .project_id("0123456789abcdef0123456789abcdef")
//!     .credentials(Credentials::token(token))
//!     .build()?;
//! let job = client.list_job(&"cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f".parse()?).await?;
//! match job.status {
//!     JobStatus::Success => println!("done"),
//!     JobStatus::Failed => println!("failed: {:?}", job.error_msg),
//!     status => println!("{status}, ask again in a while"),
//! }
//! # Ok(())
//! # }
//! ```

mod body;
mod builder;
mod classify;
mod client;
mod clock;
mod config;
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

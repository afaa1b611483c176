//! Credentials: what the caller provides, how tokens are obtained and renewed, and how requests are authorized.

mod catalog;
mod credentials;
mod login;
mod manager;
mod material;
mod password;
mod project;
mod provider;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "all request bodies are signed, but the algorithm allows others")
)]
pub(crate) mod sign;
mod sign_request;
mod state;
mod token_file;

pub(crate) use self::{
    catalog::{CatalogEndpoint, CatalogQuery},
    credentials::Kind,
    manager::{CredentialManager, Lease},
    project::ProjectQuery,
};
pub use self::{
    credentials::{AccessKey, Credentials},
    password::{ApplicationCredential, IdOrName, Password, User},
    provider::{RefreshReason, Token, TokenError, TokenProvider},
};

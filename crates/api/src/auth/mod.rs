//! Credentials: what the caller hands in, how tokens are obtained and renewed, and how requests are authorized.

mod catalog;
mod credentials;
mod login;
mod manager;
mod material;
mod password;
mod provider;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "all request bodies are signed, but the algorithm allows others")
)]
pub(crate) mod sign;
mod state;

pub(crate) use self::{
    catalog::CatalogQuery,
    credentials::Kind,
    manager::{CredentialManager, Lease},
};
pub use self::{
    credentials::{AccessKey, Credentials},
    password::{IdOrName, Password, User},
    provider::{RefreshReason, Token, TokenError, TokenProvider},
};

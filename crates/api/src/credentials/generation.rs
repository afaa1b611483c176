//! What of the credentials changes over time.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use secrecy::SecretString;

use crate::endpoint::Endpoint;

/// One version of the credentials, as requests carry it.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) proof: Proof,
    pub(super) renew_at: Option<SystemTime>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) project_id: Option<String>,
    pub(super) endpoint: Option<Endpoint>,
}

impl Generation {
    pub(super) fn new(proof: Proof) -> Self {
        Self {
            number: 0,
            proof,
            renew_at: None,
            expires_at: None,
            project_id: None,
            endpoint: None,
        }
    }
}

pub(super) enum Proof {
    Token {
        secret: SecretString,
        header: HeaderValue,
    },
    /// The key is the keeper's; what changes is the clock it signs with.
    Key {
        clock: Correction,
    },
}

/// How far the server's clock is from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Correction {
    Ahead(Duration),
    Behind(Duration),
}

impl Correction {
    pub(super) const NONE: Self = Self::Ahead(Duration::ZERO);

    pub(super) fn between(ours: SystemTime, servers: SystemTime) -> Self {
        match servers.duration_since(ours) {
            Ok(ahead) => Self::Ahead(ahead),
            Err(behind) => Self::Behind(behind.duration()),
        }
    }

    pub(super) fn apply(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Ahead(by) => now.checked_add(by),
            Self::Behind(by) => now.checked_sub(by),
        }
        .unwrap_or(now)
    }
}

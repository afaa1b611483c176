//! One generation of the credentials: the token or the clock that requests carry, and how long it lasts.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use secrecy::SecretString;

use super::catalog::CatalogEndpoint;

/// One version of the credentials, as requests carry it.
#[derive(Clone)]
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) material: AuthMaterial,
    pub(super) renew_at: Option<SystemTime>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) project_id: Option<String>,
    pub(super) endpoint: CatalogEndpoint,
}

impl Generation {
    pub(super) fn new(material: AuthMaterial) -> Self {
        Self {
            number: 0,
            material,
            renew_at: None,
            expires_at: None,
            project_id: None,
            endpoint: CatalogEndpoint::None,
        }
    }
}

/// What authorizes a request.
#[derive(Clone)]
pub(super) enum AuthMaterial {
    Token {
        secret: SecretString,
        header: HeaderValue,
    },
    /// The manager holds the key. Only the clock that it signs with changes.
    Key {
        clock: ClockSkew,
    },
}

/// The difference between the server's clock and this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockSkew {
    Ahead(Duration),
    Behind(Duration),
}

impl ClockSkew {
    pub(super) const NONE: Self = Self::Ahead(Duration::ZERO);

    pub(super) fn between(ours: SystemTime, servers: SystemTime) -> Self {
        match servers.duration_since(ours) {
            Ok(ahead) => Self::Ahead(ahead),
            Err(behind) => Self::Behind(behind.duration()),
        }
    }

    /// Returns whether the clocks differ by more than `limit`.
    pub(super) fn exceeds(self, limit: Duration) -> bool {
        match self {
            Self::Ahead(by) | Self::Behind(by) => by > limit,
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

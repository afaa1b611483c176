//! The credential that is chosen, or why a source has none.

use super::error::SettingsError;
use super::keys::Source;
use crate::Credentials;

/// The credential to use.
pub(super) struct Chosen {
    pub(super) source: Source,
    pub(super) credentials: Credentials,
    /// The variable or key that holds the secret.
    pub(super) name: String,
    pub(super) warnings: Vec<String>,
    /// Whether more is needed to use it, which a caller may still set.
    pub(super) is_partial: bool,
}

/// Why a source has no usable credential.
pub(super) enum Unusable {
    /// Another source may have one.
    Incomplete(SettingsError),
    /// Using another source instead could surprise.
    Wrong(SettingsError),
}

impl From<SettingsError> for Unusable {
    fn from(error: SettingsError) -> Self {
        Self::Wrong(error)
    }
}

//! Replaces `entry.rs` if clouds.yaml is not built in.

use std::io;
use std::path::Path;

use super::error::{Problem, SettingsError};
use super::sources::Found;

/// Cannot exist.
pub(super) struct Entry {
    never: std::convert::Infallible,
    pub(super) warnings: Vec<String>,
}

impl Entry {
    pub(super) fn get(&self, _key: &'static str) -> Option<Found> {
        match self.never {}
    }

    pub(super) fn to_set(&self, _keys: impl Iterator<Item = &'static str>) -> String {
        match self.never {}
    }

    pub(super) fn without_credential(&self) -> Problem {
        match self.never {}
    }

    pub(super) fn lists_regions(&self) -> bool {
        match self.never {}
    }

    pub(super) fn select_region(&mut self, _wanted: Option<Found>) -> Result<(), SettingsError> {
        match self.never {}
    }
}

/// Fails if `OS_CLOUD` is set: it may mean another account than the other variables.
pub(super) fn load(
    env: &dyn Fn(&str) -> Option<String>,
    _read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Option<Entry>, SettingsError> {
    match env("OS_CLOUD").filter(|name| !name.is_empty()) {
        Some(_) => Err(Problem::CloudsNotBuiltIn.into()),
        None => Ok(None),
    }
}

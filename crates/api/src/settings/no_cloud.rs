//! Stands in for `cloud.rs` when clouds.yaml is not built in.

use std::io;
use std::path::Path;

use super::error::{Problem, SettingsError};
use super::found::Found;

/// There is none.
pub(super) enum Cloud {}

impl Cloud {
    pub(super) fn get(&self, _key: &'static str) -> Option<Found> {
        match *self {}
    }

    pub(super) fn to_set(&self, _keys: impl Iterator<Item = &'static str>) -> String {
        match *self {}
    }

    pub(super) fn default_region(&self) -> Option<&'static str> {
        match *self {}
    }

    pub(super) fn without_credential(&self) -> Problem {
        match *self {}
    }
}

/// Refuses to go on: whoever set `OS_CLOUD` means another account than `OS_PASSWORD` may hold.
pub(super) fn load(
    env: &dyn Fn(&str) -> Option<String>,
    _read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Option<Cloud>, SettingsError> {
    match env("OS_CLOUD").filter(|name| !name.is_empty()) {
        Some(_) => Err(Problem::CloudsNotBuiltIn.into()),
        None => Ok(None),
    }
}

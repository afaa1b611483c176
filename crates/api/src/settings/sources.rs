//! Looks up fields in their sources.

use super::{
    entry::Entry,
    error::{Problem, SettingsError},
    keys::{Field, Source, names},
    sdk_file::SdkFile,
};
use crate::clean;

/// A value and where it was found.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) value: String,
    /// The variable or key. Its end tells an id from a name.
    pub(super) name: &'static str,
    /// The full name for messages: of a key with its path and file.
    pub(super) label: String,
}

impl Found {
    pub(super) fn is_id(&self) -> bool {
        self.name.ends_with("_ID") || self.name.ends_with("_id")
    }
}

/// All sources that can be read.
pub(super) struct Sources<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) entry: Option<&'a Entry>,
    pub(super) sdk_file: Option<&'a SdkFile>,
}

impl Sources<'_> {
    /// Returns the first value of `field` in `source` that is set, cleaned. A password is returned unchanged.
    pub(super) fn get(&self, source: Source, field: Field) -> Result<Option<Found>, SettingsError> {
        for &name in names(source, field) {
            let Some(mut found) = self.raw(source, name) else { continue };
            if field == Field::Password {
                return Ok(Some(found));
            }
            let cleaned = clean::clean(&found.value);
            if cleaned.is_empty() {
                continue;
            }
            if let Some(problem) = clean::problem(cleaned) {
                return Err(Problem::Value { name: found.label, problem }.into());
            }
            found.value = cleaned.to_owned();
            return Ok(Some(found));
        }
        Ok(None)
    }

    fn raw(&self, source: Source, name: &'static str) -> Option<Found> {
        if source == Source::Cloud {
            return self.entry?.get(name);
        }
        // A key in the file is used where the file says: variables may be about another cloud.
        if source == Source::HuaweiSdk
            && let Some(file) = self.sdk_file.filter(|file| file.has_key())
        {
            return file.get(name);
        }
        if let Some(value) = (self.env)(name).filter(|value| !value.is_empty()) {
            return Some(Found { value, name, label: name.to_owned() });
        }
        match source {
            Source::HuaweiSdk => self.sdk_file?.get(name),
            _ => None,
        }
    }

    pub(super) fn has(&self, source: Source, fields: &[Field]) -> bool {
        fields
            .iter()
            .flat_map(|&field| names(source, field))
            .any(|name| self.raw(source, name).is_some())
    }

    /// Returns what to set if one of `fields` is missing, in the names of `source`.
    pub(super) fn to_set(&self, source: Source, fields: &[Field]) -> String {
        let each = if fields.len() > 1 { 1 } else { 2 };
        let suggested = fields.iter().flat_map(|&field| {
            let names = names(source, field).iter().copied();
            // Suggest the place that the manuals show.
            names.filter(|name| source != Source::Cloud || name.starts_with("auth.")).take(each)
        });
        match self.entry.filter(|_| source == Source::Cloud) {
            Some(entry) => entry.to_set(suggested),
            None => suggested.collect::<Vec<_>>().join(" or "),
        }
    }
}

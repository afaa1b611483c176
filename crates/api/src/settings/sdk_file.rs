//! The credentials file of Huawei's SDKs: `$HUAWEICLOUD_SDK_CREDENTIALS_FILE`, else `~/.huaweicloud/credentials`.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{
    error::{Problem, SettingsError},
    keys::SDK_FILE_KEYS,
    sources::Found,
};

/// The values of the section `[basic]`.
pub(super) struct SdkFile {
    file: PathBuf,
    values: BTreeMap<&'static str, (String, &'static str)>,
}

impl SdkFile {
    /// Returns whether the file holds a key or a part of one.
    pub(super) fn has_key(&self) -> bool {
        let has = |variable| self.values.contains_key(variable);
        has("HUAWEICLOUD_SDK_AK") || has("HUAWEICLOUD_SDK_SK")
    }

    pub(super) fn get(&self, variable: &'static str) -> Option<Found> {
        let (value, key) = self.values.get(variable)?;
        let label = format!("{key} in {}", self.file.display());
        Some(Found { value: value.clone(), name: variable, label })
    }
}

/// Reads the file. The variables take precedence over it, so it is read only if they hold no key.
pub(super) fn load(
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Option<SdkFile>, SettingsError> {
    const VARIABLE: &str = "HUAWEICLOUD_SDK_CREDENTIALS_FILE";
    let variable = |name: &str| env(name).filter(|value| !value.is_empty());
    if variable("HUAWEICLOUD_SDK_AK").is_some() || variable("HUAWEICLOUD_SDK_SK").is_some() {
        return Ok(None);
    }
    let (file, is_named) = match (variable(VARIABLE), variable("HOME")) {
        (Some(file), _) => (PathBuf::from(crate::clean::clean(&file)), true),
        (None, Some(home)) => (Path::new(&home).join(".huaweicloud").join("credentials"), false),
        (None, None) => return Ok(None),
    };
    match read(&file) {
        Ok(text) => Ok(Some(SdkFile { values: parse(&text), file })),
        // Nothing points to a file that is not named, so one that cannot be read is none.
        Err(_) if !is_named => Ok(None),
        Err(source) => Err(Problem::Unreadable { file, variable: Some(VARIABLE), source }.into()),
    }
}

/// Parses the section `[basic]` of an INI file. Other lines are ignored, and no part of them is kept.
fn parse(text: &str) -> BTreeMap<&'static str, (String, &'static str)> {
    let mut values = BTreeMap::new();
    let mut is_basic = false;
    for line in text.lines().map(crate::clean::clean) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_basic = section.trim() == "basic";
        } else if is_basic
            && let Some((key, value)) = line.split_once(['=', ':'])
            && let Some(&(key, variable)) =
                SDK_FILE_KEYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(key.trim()))
            && !value.trim().is_empty()
        {
            values.insert(variable, (value.trim().to_owned(), key));
        }
    }
    values
}

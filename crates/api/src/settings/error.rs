//! What can be wrong with settings.

use std::path::PathBuf;
use std::{fmt, io};

#[cfg(feature = "clouds-yaml")]
use super::file_error::FileProblem;
use crate::error::fmt_chain;

/// The error for settings that are missing, contradictory or not understood.
///
/// The message names the variable, or the file and the key. It never holds a token, a password or a key, nor a part
/// of the file around one. `{:?}` writes the message and its cause, as a `main` that returns the error does, and `{:#?}` the
/// fields.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct SettingsError(Box<Problem>);

pub(super) type Result<T> = std::result::Result<T, SettingsError>;

impl From<Problem> for SettingsError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

#[cfg(feature = "clouds-yaml")]
impl From<FileProblem> for SettingsError {
    fn from(problem: FileProblem) -> Self {
        Problem::from(problem).into()
    }
}

impl fmt::Debug for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            f.debug_tuple("SettingsError").field(&self.0).finish()
        } else {
            fmt_chain(self, f)
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "no credentials: set CFW_TOKEN or OS_TOKEN, or OS_ACCESS_KEY and OS_SECRET_KEY, or OS_USERNAME and \
         OS_PASSWORD, or their HW_* or HUAWEICLOUD_SDK_* counterparts, or OS_CLOUD to name an entry of clouds.yaml"
    )]
    NoCredential,

    #[error(
        "both {first} and {second} are set, which are two ways to sign in: unset one, or say which counts with \
         {auth_type}"
    )]
    Contradiction { first: String, second: String, auth_type: String },

    #[error("{given} is set, but not what belongs to it: {}", missing.join("; "))]
    Missing { given: String, missing: Vec<String> },

    #[error(
        "{name} is {auth_type:?}, which is not supported: known are password, v3password, token, v3token, \
         v3multifactor and v3applicationcredential"
    )]
    AuthType { name: String, auth_type: String },

    #[error("{name} lists {method:?}, which is not supported: known are v3password and v3totp")]
    AuthMethod { name: String, method: String },

    #[error("{name} is not a usable URL: {reason}")]
    Url { name: String, reason: String },

    #[error("{name} is neither true nor false")]
    Bool { name: String },

    #[error("{name} {problem}")]
    Value { name: String, problem: &'static str },

    #[error("cannot read {}{}", file.display(), variable.map(|name| format!(", which {name} names")).unwrap_or_default())]
    Unreadable { file: PathBuf, variable: Option<&'static str>, source: io::Error },

    #[cfg(not(feature = "clouds-yaml"))]
    #[error(
        "OS_CLOUD is set, but this program was built without clouds.yaml (feature clouds-yaml of cfw-api)"
    )]
    CloudsNotBuiltIn,

    #[cfg(feature = "clouds-yaml")]
    #[error(transparent)]
    File(#[from] FileProblem),
}

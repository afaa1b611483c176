//! What can be wrong with settings.

/// Settings that are missing, contradictory or not understood.
///
/// The message names the variable, or the file and the key. It never holds a token, a password or a
/// key, nor a piece of the file around one.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SettingsError(Box<Problem>);

impl<P: Into<Problem>> From<P> for SettingsError {
    fn from(problem: P) -> Self {
        Self(Box::new(problem.into()))
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "no credentials: set CFW_TOKEN or OS_TOKEN, or OS_ACCESS_KEY and OS_SECRET_KEY, or OS_USERNAME and \
         OS_PASSWORD, or their HW_* or HUAWEICLOUD_SDK_* counterparts, or OS_CLOUD to name an entry of clouds.yaml"
    )]
    NoCredential,

    #[error("both {first} and {second} are set, which are two ways to sign in: unset one")]
    Contradiction { first: String, second: String },

    #[error("{given} is set, but not what belongs to it: {}", missing.join("; "))]
    Missing { given: String, missing: Vec<String> },

    #[error("{name} is not a usable URL: {reason}")]
    Url { name: String, reason: String },

    #[error("{name} is neither true nor false")]
    Bool { name: String },

    #[cfg(not(feature = "clouds-yaml"))]
    #[error(
        "OS_CLOUD is set, but this program was built without clouds.yaml (feature clouds-yaml of cfw-api)"
    )]
    CloudsNotBuiltIn,

    #[cfg(feature = "clouds-yaml")]
    #[error(transparent)]
    File(#[from] super::file_error::FileProblem),
}

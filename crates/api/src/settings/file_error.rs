//! What can be wrong with clouds.yaml and the files beside it.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(super) enum FileProblem {
    #[error("OS_CLOUD names {name:?}, but there is no clouds.yaml: looked in {}", list(searched.iter().map(|dir| dir.display())))]
    NoFile { name: String, searched: Vec<PathBuf> },

    #[error("{}{}: {what}{}", file.display(), position(*place), at(path))]
    Content { file: PathBuf, place: Option<(u64, u64)>, path: String, what: String },

    #[error("OS_CLOUD names {name:?}, which {} does not hold: {}", file.display(), known(names))]
    UnknownCloud { name: String, file: PathBuf, names: Vec<String> },

    #[error(
        "{label} says where secrets of {} go, which a file that is found in the working directory must not: move \
         it, or name its file in OS_CLIENT_SECURE_FILE", file.display()
    )]
    Misdirects { label: String, file: PathBuf },

    #[error("{label} names {profile:?}, which is no known vendor: {}", known(names))]
    UnknownProfile { label: String, profile: String, names: Vec<String> },

    #[error("{label} names region {region:?}, which {entry} does not have: {}", known(names))]
    UnknownRegion { label: String, region: String, entry: String, names: Vec<String> },

    #[error(
        "no credentials in {entry}: set token, or ak and sk, or username and password under its auth, in \
         this file or in secure.yaml (beside OS_CLOUD no secret is taken from OS_* variables)"
    )]
    NoCredential { entry: String },
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn known(names: &[String]) -> String {
    if names.is_empty() {
        "it is empty".to_owned()
    } else {
        format!("known are {}", list(names.iter()))
    }
}

fn position(place: Option<(u64, u64)>) -> String {
    place.map(|(line, column)| format!(", line {line}, column {column}")).unwrap_or_default()
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", at {path}") }
}

//! Tables of variables and files, and what they mean. Nothing here touches a disk or the process's
//! environment.

use std::io;
use std::path::Path;

use secrecy::ExposeSecret;

use super::{Auth, IdOrName, Settings, SettingsError};

#[cfg(feature = "clouds-yaml")]
mod cloud_errors;
#[cfg(feature = "clouds-yaml")]
mod clouds;
mod environment;
mod secrets;

/// Variables as rows of a table: `NAME=value` by spaces.
fn variables(row: &str) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let pairs = row.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).next()
    }
}

/// Settings by variables and files alone.
fn load(row: &str, files: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::load(&variables(row), &|path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    })
}

/// The credential in one line.
fn auth(settings: &Settings) -> String {
    let one = |part: &IdOrName| match part {
        IdOrName::Id(id) => format!("#{id}"),
        IdOrName::Name(name) => name.clone(),
    };
    match settings.auth() {
        Auth::Token(token) => format!("token {}", token.expose_secret()),
        Auth::AccessKey { access, secret, security_token } => {
            let session = security_token.as_ref().map_or("-", |token| token.expose_secret());
            format!("key {access} {} {session}", secret.expose_secret())
        }
        Auth::Password(p) => format!(
            "password {} of {} in {} for {} at {} code {}",
            p.password.expose_secret(),
            one(&p.user),
            p.user_domain.as_ref().map_or("-".to_owned(), one),
            one(&p.project),
            p.auth_url,
            p.passcode.as_ref().map_or("-", |code| code.expose_secret()),
        ),
    }
}

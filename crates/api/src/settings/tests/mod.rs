//! Tables of variables and files, and what they mean. Nothing here touches a disk or the process's
//! environment.

use std::io;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::{Settings, SettingsError};
use crate::{IdOrName, User, auth::Kind};

#[cfg(feature = "clouds-yaml")]
mod cloud_errors;
#[cfg(feature = "clouds-yaml")]
mod cloud_files;
#[cfg(feature = "clouds-yaml")]
mod clouds;
mod credentials;
mod environment;
#[cfg(feature = "clouds-yaml")]
mod one_source;
#[cfg(feature = "clouds-yaml")]
mod openstacksdk;
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
    let who = |user: &User| match user {
        User::Id(id) => format!("#{id} in -"),
        User::Name { name, domain } => format!("{name} in {}", one(domain)),
    };
    let text = |secret: &Option<SecretString>| {
        secret.as_ref().map_or("-".to_owned(), |secret| secret.expose_secret().to_owned())
    };
    match &settings.credentials().0 {
        Kind::Token(token) => format!("token {}", token.expose_secret()),
        Kind::AccessKey(key) => format!(
            "key {} {} {}",
            key.access.expose_secret(),
            key.secret.expose_secret(),
            text(&key.security_token)
        ),
        Kind::Password(p) => format!(
            "password {} of {} for {} at {} code {}",
            p.password.expose_secret(),
            who(&p.user),
            one(&p.project),
            p.auth_url,
            text(&p.passcode),
        ),
        Kind::Application(a) => format!(
            "application {} {} of {} at {}",
            one(&a.name),
            a.secret.expose_secret(),
            a.user.as_ref().map_or("-".to_owned(), who),
            a.auth_url
        ),
        Kind::Provider(_) => "provider".to_owned(),
    }
}

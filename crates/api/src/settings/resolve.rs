//! From sources to settings: which credential counts, and what completes it.

use reqwest::Url;
use secrecy::SecretString;

use super::cloud::Cloud;
use super::error::{Problem, SettingsError};
use super::found::Found;
use super::sources::{Field, Source, Sources};
use super::{Auth, IdOrName, PasswordAuth, Settings};

pub(super) fn resolve(sources: &Sources<'_>) -> Result<Settings, SettingsError> {
    let credential = credential(sources)?;
    let order = sources.completing(credential.source);
    let first = |field| sources.first(order, field);
    let text = |field| first(field).map(|found| found.value);

    // Id and name of one project, not the id of one beside the name of another.
    let project_of = order.iter().find(|&&source| {
        [Field::ProjectId, Field::ProjectName].iter().any(|&f| sources.get(source, f).is_some())
    });
    let project =
        |field| project_of.and_then(|&source| sources.get(source, field)).map(|found| found.value);
    let (project_id, project_name) = (project(Field::ProjectId), project(Field::ProjectName));

    let region = text(Field::Region)
        .or_else(|| region_of_project(&text(Field::ProjectName)?))
        .or_else(|| Some(sources.cloud?.default_region()?.to_owned()));
    let auth_url =
        first(Field::AuthUrl).map(|found| auth_url(found, region.as_deref())).transpose()?;

    let auth_name = credential.label().to_owned();
    let auth = match credential.kind {
        Kind::Token(token) => Auth::Token(token.value.into()),
        Kind::AccessKey { access, secret, security_token } => Auth::AccessKey {
            access: access.value,
            secret: secret.value.into(),
            security_token: security_token.map(|found| found.value.into()),
        },
        Kind::Password(password) => {
            let by_id = project_id.clone().map(IdOrName::Id);
            let beside = Beside {
                auth_url: auth_url.clone(),
                user: first(Field::User),
                user_domain: first(Field::UserDomain),
                passcode: text(Field::Passcode),
                project: by_id.or_else(|| project_name.clone().map(IdOrName::Name)),
            };
            Auth::Password(beside.with(password, sources, credential.source)?)
        }
    };

    Ok(Settings {
        auth,
        auth_name,
        endpoint: first(Field::Endpoint).map(checked_url).transpose()?,
        region,
        project_id,
        project_name,
        auth_url,
        cloud_domain: text(Field::CloudDomain),
        // Older files say `publicURL`.
        interface: text(Field::Interface).map(|name| name.trim_end_matches("URL").to_owned()),
        insecure: first(Field::Insecure).map(is_insecure).transpose()?.unwrap_or(false),
        ca_file: text(Field::CaFile),
    })
}

struct Credential {
    source: Source,
    kind: Kind,
}

enum Kind {
    Token(Found),
    AccessKey { access: Found, secret: Found, security_token: Option<Found> },
    Password(Found),
}

impl Credential {
    fn label(&self) -> &str {
        match &self.kind {
            Kind::Token(found) | Kind::Password(found) | Kind::AccessKey { access: found, .. } => {
                &found.label
            }
        }
    }
}

/// The credential of the first source that has any.
fn credential(sources: &Sources<'_>) -> Result<Credential, SettingsError> {
    for &source in sources.in_order() {
        if let Some(kind) = kind(sources, source)? {
            return Ok(Credential { source, kind });
        }
    }
    // A user's name is no secret, but tells what was meant.
    for &source in sources.in_order() {
        if let Some(user) = sources.get(source, Field::User) {
            return Err(missing(&user, vec![sources.to_set(source, &[Field::Password])]));
        }
    }
    Err(sources.cloud.map_or(Problem::NoCredential, Cloud::without_credential).into())
}

/// The credential that `source` holds, if any. Where there are several, Terraform's order counts.
fn kind(sources: &Sources<'_>, source: Source) -> Result<Option<Kind>, SettingsError> {
    let get = |field| sources.get(source, field);
    let password = match (get(Field::Token), get(Field::Password)) {
        (Some(token), Some(password)) => {
            return Err(
                Problem::Contradiction { first: token.label, second: password.label }.into()
            );
        }
        (Some(token), None) => return Ok(Some(Kind::Token(token))),
        (None, password) => password,
    };
    if let Some(key) = access_key(sources, source)? {
        return Ok(Some(key));
    }
    if let Some(password) = password {
        return Ok(Some(Kind::Password(password)));
    }
    // An entry with a user wants this user's password, not whatever else the environment holds.
    match get(Field::User).filter(|_| source == Source::Cloud) {
        None => Ok(None),
        Some(user) => match sources.get(Source::OpenStack, Field::Password) {
            Some(password) => Ok(Some(Kind::Password(password))),
            None => Err(missing(&user, vec![sources.to_set(source, &[Field::Password])])),
        },
    }
}

fn access_key(sources: &Sources<'_>, source: Source) -> Result<Option<Kind>, SettingsError> {
    let get = |field| sources.get(source, field);
    let security_token = get(Field::SecurityToken);
    let (given, has, lacks) = match (get(Field::Access), get(Field::Secret)) {
        (None, None) => return Ok(None),
        (Some(access), Some(secret)) => {
            return Ok(Some(Kind::AccessKey { access, secret, security_token }));
        }
        (Some(access), None) => (access, Field::Access, Field::Secret),
        (None, Some(secret)) => (secret, Field::Secret, Field::Access),
    };
    // A pipeline may keep one half of an entry's key in the environment. Both halves there are another key.
    let halved = source == Source::Cloud && sources.get(Source::OpenStack, has).is_none();
    let elsewhere = |field| sources.get(Source::OpenStack, field).filter(|_| halved);
    let Some(other) = elsewhere(lacks) else {
        return Err(missing(&given, vec![sources.to_set(source, &[lacks])]));
    };
    let security_token = security_token.or_else(|| elsewhere(Field::SecurityToken));
    let (access, secret) = if has == Field::Access { (given, other) } else { (other, given) };
    Ok(Some(Kind::AccessKey { access, secret, security_token }))
}

/// What was found beside a password.
struct Beside {
    auth_url: Option<String>,
    user: Option<Found>,
    user_domain: Option<Found>,
    passcode: Option<String>,
    project: Option<IdOrName>,
}

impl Beside {
    /// All of it together, or everything that is missing in one message.
    fn with(
        self,
        password: Found,
        sources: &Sources<'_>,
        source: Source,
    ) -> Result<PasswordAuth, SettingsError> {
        let user = self.user.map(id_or_name);
        let user_domain = self.user_domain.map(id_or_name);
        let domain_needed = !matches!(user, Some(IdOrName::Id(_)));

        // An entry is best completed where it is, even if the password came from the environment.
        let home = if sources.cloud.is_some() { Source::Cloud } else { source };
        let absent = [
            (self.auth_url.is_none(), &[Field::AuthUrl][..]),
            (user.is_none(), &[Field::User]),
            (domain_needed && user_domain.is_none(), &[Field::UserDomain]),
            (self.project.is_none(), &[Field::ProjectId, Field::ProjectName]),
        ];
        let absent = absent.into_iter().filter(|(absent, _)| *absent);
        let names = absent.map(|(_, fields)| sources.to_set(home, fields)).collect();

        match (self.auth_url, user, self.project) {
            (Some(auth_url), Some(user), Some(project))
                if !domain_needed || user_domain.is_some() =>
            {
                Ok(PasswordAuth {
                    auth_url,
                    user,
                    user_domain,
                    password: password.value.into(),
                    passcode: self.passcode.map(SecretString::from),
                    project,
                })
            }
            _ => Err(missing(&password, names)),
        }
    }
}

fn missing(given: &Found, missing: Vec<String>) -> SettingsError {
    Problem::Missing { given: given.label.clone(), missing }.into()
}

fn id_or_name(found: Found) -> IdOrName {
    let is_id = found.name.ends_with("_ID") || found.name.ends_with("_id");
    if is_id { IdOrName::Id(found.value) } else { IdOrName::Name(found.value) }
}

/// Projects of Open Telekom Cloud are named by their region: `eu-de`, `eu-de_team`.
fn region_of_project(name: &str) -> Option<String> {
    let region = name.split('_').next()?;
    let plain = region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (plain && region.contains('-')).then(|| region.to_owned())
}

/// OpenStack's vendor profiles leave the region to be filled in, in one of two notations.
fn auth_url(mut found: Found, region: Option<&str>) -> Result<String, SettingsError> {
    for blank in ["%(region_name)s", "{region_name}"] {
        if found.value.contains(blank) {
            let reason = "it needs a region, and none is set";
            let region = region.ok_or_else(|| Problem::Url {
                name: found.label.clone(),
                reason: reason.to_owned(),
            })?;
            found.value = found.value.replace(blank, region);
        }
    }
    checked_url(found)
}

/// Refuses what would fail later in words that say less. The value is not shown: it may hold a password.
fn checked_url(found: Found) -> Result<String, SettingsError> {
    let reason = match Url::parse(&found.value) {
        _ if !found.value.contains("://") => "it has no scheme, such as https://".to_owned(),
        Err(error) => error.to_string(),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "its scheme is neither https nor http".to_owned()
        }
        Ok(url) if url.password().is_some() || !url.username().is_empty() => {
            "it holds a user or a password".to_owned()
        }
        Ok(_) => return Ok(found.value),
    };
    Err(Problem::Url { name: found.label, reason }.into())
}

fn is_insecure(found: Found) -> Result<bool, SettingsError> {
    let value = match found.value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "t" | "y" => true,
        "false" | "no" | "off" | "0" | "f" | "n" => false,
        _ => return Err(Problem::Bool { name: found.label }.into()),
    };
    Ok(if found.name == "verify" { !value } else { value })
}

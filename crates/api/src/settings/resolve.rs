//! From sources to settings: which credential is used, and what completes it.

use reqwest::Url;

use super::auth_type::AuthType;
use super::entry::Entry;
use super::error::{Problem, SettingsError};
use super::keys::{Field, Source};
use super::sources::{Found, Sources};
use super::{Region, Settings};
use crate::{
    AccessKey, ApplicationCredential, Credentials, IdOrName, Password, User,
    clouds::{is_elsewhere_than_huawei, is_label, published, region_of_project},
    http::endpoint::Endpoint,
};

type Result<T> = std::result::Result<T, SettingsError>;

pub(super) fn resolve(sources: &Sources<'_>) -> Result<Settings> {
    let chosen = choose(sources)?;
    let place = Place { sources, source: chosen.source };
    let target = place.target()?;
    let mut warnings = chosen.warnings;
    warnings.extend(sources.entry.into_iter().flat_map(|entry| entry.warnings.clone()));
    let tls = place.tls_source()?;
    let from = |field| -> Result<Option<Found>> { tls.map_or(Ok(None), |s| sources.get(s, field)) };
    let text = |found: Option<Found>| found.map(|found| found.value);
    let path = |found: Option<Found>| found.map(|found| home_expanded(found.value, sources.env));
    Ok(Settings {
        credentials: chosen.credentials,
        credential_name: chosen.name,
        endpoint: place.endpoint(&target)?,
        region: target.region,
        project_id: target.project_id,
        project_name: target.project_name,
        auth_url: target.auth_url.map(|found| found.value),
        cloud_domain: text(place.get(Field::CloudDomain)?),
        interfaces: text(place.get(Field::Interface)?)
            .map(|list| list.split(',').map(interface).collect())
            .unwrap_or_default(),
        insecure: match sources.get(Source::Own, Field::Insecure)? {
            Some(own) => is_insecure(own)?,
            None => from(Field::Insecure)?.map(is_insecure).transpose()?.unwrap_or(false),
        },
        ca_file: path(match sources.get(Source::Own, Field::CaFile)? {
            Some(own) => Some(own),
            None => from(Field::CaFile)?,
        }),
        client_cert: path(from(Field::ClientCert)?),
        client_key: path(from(Field::ClientKey)?),
        warnings,
    })
}

/// The credential to use.
struct Chosen {
    source: Source,
    credentials: Credentials,
    /// The variable or key that holds the secret.
    name: String,
    warnings: Vec<String>,
    /// Whether more is needed to use it, which a caller may still set.
    is_partial: bool,
}

/// Chooses the first credential that is complete. A credential that cannot work does not displace a later one that
/// can, but it is the one to report if there is none.
fn choose(sources: &Sources<'_>) -> Result<Chosen> {
    let order: &[Source] = match sources.entry {
        Some(_) => &[Source::Own, Source::Cloud],
        None => &[Source::Own, Source::OpenStack, Source::Huawei, Source::HuaweiSdk],
    };
    let (mut partial, mut first_error) = (None, None);
    for &source in order {
        match credential(sources, source) {
            Ok(None) => (),
            Ok(Some(chosen)) if chosen.is_partial => partial = partial.or(Some(chosen)),
            Ok(Some(chosen)) => return Ok(chosen),
            Err(Unusable::Incomplete(error)) => first_error = first_error.or(Some(error)),
            Err(Unusable::Wrong(error)) => return Err(error),
        }
    }
    match (partial, first_error) {
        (Some(chosen), _) => Ok(chosen),
        (None, Some(error)) => Err(error),
        (None, None) => {
            Err(sources.entry.map_or(Problem::NoCredential, Entry::without_credential).into())
        }
    }
}

/// Why a source has no usable credential.
enum Unusable {
    /// Another source may have one.
    Incomplete(SettingsError),
    /// Using another source instead could surprise.
    Wrong(SettingsError),
}

impl From<SettingsError> for Unusable {
    fn from(error: SettingsError) -> Self {
        Self::Wrong(error)
    }
}

/// Returns the credential of `source`, if it has any.
fn credential(
    sources: &Sources<'_>,
    source: Source,
) -> std::result::Result<Option<Chosen>, Unusable> {
    let place = Place { sources, source };
    let get = |field| sources.get(source, field);
    let auth_type = get(Field::AuthType)?
        .map(|found| AuthType::parse(&found.value, &found.label))
        .transpose()?;
    let needs = |field, instead: &str| {
        let given = match get(Field::AuthType)? {
            Some(found) => format!("{} = {}", found.label, found.value),
            None => instead.to_owned(),
        };
        let missing = vec![sources.to_set(source, &[field])];
        Err(Unusable::Wrong(Problem::Missing { given, missing }.into()))
    };
    let token = get(Field::Token)?;
    let password = get(Field::Password)?;
    let application = get(Field::ApplicationSecret)?;
    match auth_type {
        Some(AuthType::Token) => match token {
            Some(token) => Ok(Some(place.token(token))),
            None => needs(Field::Token, ""),
        },
        Some(AuthType::ApplicationCredential) => match application {
            Some(secret) => place.application_credential(secret).map(Some),
            None => needs(Field::ApplicationSecret, ""),
        },
        Some(AuthType::Password) => match password {
            Some(password) => place.password(password).map(Some),
            None => match place.access_key()? {
                Some(key) => Ok(Some(key)),
                None => needs(Field::Password, ""),
            },
        },
        Some(AuthType::MultiFactor) => {
            if let Some(methods) = get(Field::AuthMethods)? {
                AuthType::check_methods(&methods.value, &methods.label)?;
            }
            match (password, get(Field::Passcode)?) {
                (Some(password), Some(_)) => place.password(password).map(Some),
                (None, _) => needs(Field::Password, ""),
                (_, None) => needs(Field::Passcode, ""),
            }
        }
        None => {
            let ways: Vec<&Found> =
                [&token, &application, &password].into_iter().flatten().collect();
            if let [first, second, ..] = *ways {
                let auth_type = match source {
                    Source::Cloud => "auth_type",
                    _ => "OS_AUTH_TYPE",
                };
                return Err(Unusable::Wrong(
                    Problem::Contradiction {
                        first: first.label.clone(),
                        second: second.label.clone(),
                        auth_type: auth_type.to_owned(),
                    }
                    .into(),
                ));
            }
            if let Some(token) = token {
                return Ok(Some(place.token(token)));
            }
            if let Some(secret) = application {
                return place.application_credential(secret).map(Some);
            }
            place.password_or_key(password)
        }
    }
}

/// A source of credentials, with what completes them.
#[derive(Clone, Copy)]
struct Place<'a> {
    sources: &'a Sources<'a>,
    source: Source,
}

/// Where the credential is used.
struct Target {
    region: Option<Region>,
    project_id: Option<String>,
    project_name: Option<String>,
    auth_url: Option<Found>,
}

impl Place<'_> {
    /// Returns the source of URL, region and project: that of the credential. A token in `CFW_TOKEN` belongs to the
    /// entry, else to the first family that says where it is.
    fn home(&self) -> Source {
        const WHERE: [Field; 5] = [
            Field::AuthUrl,
            Field::Region,
            Field::ProjectId,
            Field::ProjectName,
            Field::CloudDomain,
        ];
        match self.source {
            Source::Own if self.sources.entry.is_some() => Source::Cloud,
            Source::Own => [Source::OpenStack, Source::Huawei, Source::HuaweiSdk]
                .into_iter()
                .find(|&source| self.sources.has(source, &WHERE))
                .unwrap_or(Source::OpenStack),
            source => source,
        }
    }

    fn get(&self, field: Field) -> Result<Option<Found>> {
        let home = self.home();
        if let Some(found) = self.sources.get(home, field)? {
            return Ok(Some(found));
        }
        match (home, field) {
            // Huawei's SDKs have no variable for the region, and its Terraform provider is the same cloud.
            (Source::HuaweiSdk, Field::Region) => self.sources.get(Source::Huawei, field),
            (Source::Cloud, Field::Interface) if !self.is_environment_foreign()? => {
                self.sources.get(Source::OpenStack, field)
            }
            _ => Ok(None),
        }
    }

    /// Returns whether the environment is about another cloud than the entry.
    fn is_environment_foreign(&self) -> Result<bool> {
        let environment = self.sources.get(Source::OpenStack, Field::AuthUrl)?;
        let entry = self.sources.get(Source::Cloud, Field::AuthUrl)?;
        let region = self.sources.get(Source::Cloud, Field::Region)?;
        Ok(is_foreign(environment.as_ref(), entry.as_ref(), region.as_ref()))
    }

    fn target(&self) -> Result<Target> {
        let (project_id, project_name) = self.project()?;
        let named = self.get(Field::Region)?;
        // Without more, these families name Huawei Cloud.
        if let Some(region) = &named
            && matches!(self.home(), Source::Huawei | Source::HuaweiSdk)
            && is_elsewhere_than_huawei(&region.value)
            && self.get(Field::AuthUrl)?.is_none()
            && self.get(Field::CloudDomain)?.is_none()
        {
            let problem = "names a region of another cloud: set HW_CLOUD or HW_AUTH_URL";
            return Err(Problem::Value { name: region.label.clone(), problem }.into());
        }
        // The name of a project counts only if it begins with a published region.
        let inferred = || published(region_of_project(project_name.as_deref()?)?);
        let region = match named {
            Some(found) => Some(Region { name: found.value, is_named: true }),
            None => inferred().map(|name| Region { name: name.to_owned(), is_named: false }),
        };
        let name = region.as_ref().map(|region| region.name.as_str());
        let auth_url = self.get(Field::AuthUrl)?.map(|found| expanded(found, name)).transpose()?;
        Ok(Target { region, project_id, project_name, auth_url })
    }

    /// Returns id and name of one project, not the id of one with the name of another.
    fn project(&self) -> Result<(Option<String>, Option<String>)> {
        let mut places = vec![Source::Own, self.home()];
        if self.home() == Source::Cloud && !self.is_environment_foreign()? {
            // As the openstack command does, unless the environment is about another cloud.
            places.insert(1, Source::OpenStack);
        }
        for source in places {
            let id = self.sources.get(source, Field::ProjectId)?;
            let name = self.sources.get(source, Field::ProjectName)?;
            if id.is_some() || name.is_some() {
                return Ok((id.map(|found| found.value), name.map(|found| found.value)));
            }
        }
        Ok((None, None))
    }

    fn endpoint(&self, target: &Target) -> Result<Option<String>> {
        if let Some(own) = self.sources.get(Source::Own, Field::Endpoint)? {
            return checked_url(own).map(|found| Some(found.value));
        }
        let Some(found) = self.get(Field::Endpoint)? else { return Ok(None) };
        let region = target.region.as_ref().map(|region| region.name.as_str());
        let found = expanded(found, region)?;
        let found = checked_url(found)?;
        // Overrides for other tools end in a version and a project.
        Ok(Some(Endpoint::without_version_of(&found.value)))
    }

    /// Returns the source of certificates: that of the URL. `CFW_ENDPOINT` for `CFW_TOKEN` has only `CFW_*`.
    fn tls_source(&self) -> Result<Option<Source>> {
        let own = self.sources.get(Source::Own, Field::Endpoint)?;
        Ok((self.source != Source::Own || own.is_none()).then(|| self.home()))
    }

    fn chosen(&self, credentials: Credentials, name: &Found) -> Chosen {
        Chosen {
            source: self.source,
            credentials,
            name: name.label.clone(),
            warnings: Vec::new(),
            is_partial: false,
        }
    }

    fn token(&self, token: Found) -> Chosen {
        self.chosen(Credentials::token(&*token.value), &token)
    }

    /// A complete password login takes precedence over a key, which may be for object storage.
    fn password_or_key(
        &self,
        password: Option<Found>,
    ) -> std::result::Result<Option<Chosen>, Unusable> {
        let incomplete = match password.map(|password| self.password(password)) {
            Some(Ok(login)) => return Ok(Some(login)),
            Some(Err(Unusable::Wrong(error))) => return Err(Unusable::Wrong(error)),
            Some(Err(incomplete)) => Some(incomplete),
            None => None,
        };
        match (self.access_key(), incomplete) {
            (Ok(Some(key)), _) => return Ok(Some(key)),
            (_, Some(incomplete)) => return Err(incomplete),
            (Err(error), None) => return Err(error),
            (Ok(None), None) => (),
        }
        // A user's name is no secret, but it shows what was meant.
        match self.sources.get(self.source, Field::User)? {
            Some(user) => {
                let missing = vec![self.sources.to_set(self.source, &[Field::Password])];
                Err(incomplete_error(&user, missing))
            }
            None => Ok(None),
        }
    }

    fn access_key(&self) -> std::result::Result<Option<Chosen>, Unusable> {
        let get = |field| self.sources.get(self.source, field);
        let lacks = |given: &Found, field| {
            Err(incomplete_error(given, vec![self.sources.to_set(self.source, &[field])]))
        };
        let (access, secret) = match (get(Field::Access)?, get(Field::Secret)?) {
            (None, None) => return Ok(None),
            (Some(access), None) => return lacks(&access, Field::Secret),
            (None, Some(secret)) => return lacks(&secret, Field::Access),
            (Some(access), Some(secret)) => (access, secret),
        };
        let mut key = AccessKey::new(&*access.value, &*secret.value);
        if let Some(token) = get(Field::SecurityToken)? {
            key = key.security_token(token.value);
        }
        let target = self.target()?;
        let has_project = target.project_id.is_some() || target.project_name.is_some();
        let mut chosen = self.chosen(Credentials::access_key(key), &access);
        chosen.is_partial = !has_project && target.region.is_none();
        Ok(Some(chosen))
    }

    fn password(&self, password: Found) -> std::result::Result<Chosen, Unusable> {
        let target = self.target()?;
        let user = self.get(Field::User)?;
        let domain = self.get(Field::UserDomain)?;
        let needs_domain = !user.as_ref().is_some_and(Found::is_id);
        let project =
            target.project_id.map(IdOrName::Id).or_else(|| target.project_name.map(IdOrName::Name));
        let absent = [
            (target.auth_url.is_none(), &[Field::AuthUrl][..]),
            (user.is_none(), &[Field::User]),
            (needs_domain && domain.is_none(), &[Field::UserDomain]),
            (project.is_none(), &[Field::ProjectId, Field::ProjectName]),
        ];
        let names: Vec<String> = absent
            .into_iter()
            .filter(|(absent, _)| *absent)
            .map(|(_, fields)| self.sources.to_set(self.source, fields))
            .collect();
        let (Some(auth_url), Some(user), Some(project), true) =
            (target.auth_url, user, project, names.is_empty())
        else {
            return Err(incomplete_error(&password, names));
        };
        let auth_url = checked_url(auth_url)?;
        let mut warnings = Vec::new();
        if password.value.ends_with(['\r', '\n']) {
            warnings.push(format!(
                "{} ends in a line break, which is sent as part of the password",
                password.label
            ));
        }
        let mut login =
            Password::new(auth_url.value, as_user(user, domain), &*password.value, project);
        if let Some(code) = self.get(Field::Passcode)? {
            login = login.passcode(code.value);
        }
        let mut chosen = self.chosen(Credentials::password(login), &password);
        chosen.warnings = warnings;
        Ok(chosen)
    }

    fn application_credential(&self, secret: Found) -> std::result::Result<Chosen, Unusable> {
        let target = self.target()?;
        let id = self.get(Field::ApplicationId)?;
        let user = self.get(Field::User)?;
        let domain = self.get(Field::UserDomain)?;
        let by_name = id.as_ref().is_some_and(|id| !id.is_id());
        let needs_domain = by_name && user.as_ref().is_some_and(|user| !user.is_id());
        let absent = [
            (target.auth_url.is_none(), Field::AuthUrl),
            (id.is_none(), Field::ApplicationId),
            (by_name && user.is_none(), Field::User),
            (needs_domain && domain.is_none(), Field::UserDomain),
        ];
        let names: Vec<String> = absent
            .into_iter()
            .filter(|(absent, _)| *absent)
            .map(|(_, field)| self.sources.to_set(self.source, &[field]))
            .collect();
        let (Some(auth_url), Some(id), true) = (target.auth_url, id, names.is_empty()) else {
            return Err(Unusable::Wrong(missing(&secret, names)));
        };
        let auth_url = checked_url(auth_url)?.value;
        let credential = match user.filter(|_| by_name) {
            Some(user) => ApplicationCredential::by_name(
                auth_url,
                id.value,
                as_user(user, domain),
                &*secret.value,
            ),
            None => ApplicationCredential::by_id(auth_url, id.value, &*secret.value),
        };
        Ok(self.chosen(Credentials::application_credential(credential), &secret))
    }
}

/// Returns whether the environment may be about another cloud than the entry, by the URLs of IAM.
pub(super) fn is_foreign(
    environment: Option<&Found>,
    entry: Option<&Found>,
    region: Option<&Found>,
) -> bool {
    // An entry without a URL could be about any cloud, so its region and project must be its own.
    let Some(entry) = entry else { return true };
    let Some(environment) = environment else { return false };
    let region = region.map_or("", |region| &region.value);
    let host = |url: &str| {
        let url =
            Url::parse(&BLANKS.iter().fold(url.to_owned(), |u, blank| u.replace(blank, region)));
        url.ok().and_then(|url| url.host_str().map(str::to_owned))
    };
    match (host(&environment.value), host(&entry.value)) {
        (Some(environment), Some(entry)) => environment != entry,
        _ => true,
    }
}

fn as_user(user: Found, domain: Option<Found>) -> User {
    let id_or_name = |found: Found| match found.is_id() {
        true => IdOrName::Id(found.value),
        false => IdOrName::Name(found.value),
    };
    match (user.is_id(), domain) {
        (false, Some(domain)) => User::Name { name: user.value, domain: id_or_name(domain) },
        // A domain is required with a name, so this is an id.
        _ => User::Id(user.value),
    }
}

fn missing(given: &Found, missing: Vec<String>) -> SettingsError {
    Problem::Missing { given: given.label.clone(), missing }.into()
}

fn incomplete_error(given: &Found, names: Vec<String>) -> Unusable {
    Unusable::Incomplete(missing(given, names))
}

/// The notations in which URLs leave the region to be filled in.
const BLANKS: [&str; 2] = ["%(region_name)s", "{region_name}"];

/// Fills the region into a URL. It must be a host label, because it may become a part of the host.
fn expanded(mut found: Found, region: Option<&str>) -> Result<Found> {
    for blank in BLANKS {
        if !found.value.contains(blank) {
            continue;
        }
        let wrong =
            |reason: &str| Problem::Url { name: found.label.clone(), reason: reason.to_owned() };
        let region = region.ok_or_else(|| wrong("it needs a region, and none is set"))?;
        if !is_label(region) {
            return Err(wrong("it needs a region, and the one that is set is no host label").into());
        }
        found.value = found.value.replace(blank, region);
    }
    Ok(found)
}

/// Checks a URL. The error does not show it, because it may hold a password.
fn checked_url(found: Found) -> Result<Found> {
    let reason = match Url::parse(&found.value) {
        _ if !found.value.contains("://") => "it has no scheme, such as https://".to_owned(),
        Err(error) => error.to_string(),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "its scheme is neither https nor http".to_owned()
        }
        Ok(url) if url.password().is_some() || !url.username().is_empty() => {
            "it holds a user or a password".to_owned()
        }
        Ok(_) => return Ok(found),
    };
    Err(Problem::Url { name: found.label, reason }.into())
}

/// Older files say `publicURL`.
fn interface(name: &str) -> String {
    name.trim().trim_end_matches("URL").to_owned()
}

/// Replaces `~` at the start of a path by `HOME`.
fn home_expanded(path: String, env: &dyn Fn(&str) -> Option<String>) -> String {
    match (path.strip_prefix("~/"), env("HOME").filter(|home| !home.is_empty())) {
        (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => path,
    }
}

fn is_insecure(found: Found) -> Result<bool> {
    let value = match found.value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "t" | "y" => true,
        "false" | "no" | "off" | "0" | "f" | "n" => false,
        _ => return Err(Problem::Bool { name: found.label }.into()),
    };
    Ok(if found.name == "verify" { !value } else { value })
}

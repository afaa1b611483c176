//! A source of credentials, with the values that complete them.

use super::Region;
use super::chosen::{Chosen, Unusable};
use super::error::{Problem, Result, SettingsError};
use super::keys::{Field, Source};
use super::sources::{Found, Sources};
use super::values::{checked_url, expanded, is_foreign};
use crate::{
    AccessKey, ApplicationCredential, Credentials, IdOrName, Password, User,
    clouds::{is_elsewhere_than_huawei, published, region_of_project},
    http::endpoint::Endpoint,
};

/// A source of credentials, with what completes them.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) source: Source,
}

/// Where the credential is used.
pub(super) struct Target {
    pub(super) region: Option<Region>,
    pub(super) project_id: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) auth_url: Option<Found>,
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

    pub(super) fn get(&self, field: Field) -> Result<Option<Found>> {
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

    pub(super) fn target(&self) -> Result<Target> {
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

    pub(super) fn endpoint(&self, target: &Target) -> Result<Option<String>> {
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
    pub(super) fn tls_source(&self) -> Result<Option<Source>> {
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

    pub(super) fn token(&self, token: Found) -> Chosen {
        self.chosen(Credentials::token(&*token.value), &token)
    }

    /// A complete password login takes precedence over a key, which may be for object storage.
    pub(super) fn password_or_key(
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

    pub(super) fn access_key(&self) -> std::result::Result<Option<Chosen>, Unusable> {
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

    pub(super) fn password(&self, password: Found) -> std::result::Result<Chosen, Unusable> {
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

    pub(super) fn application_credential(
        &self,
        secret: Found,
    ) -> std::result::Result<Chosen, Unusable> {
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

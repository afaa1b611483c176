//! From sources to settings: which credential is used, and what completes it.

use super::Settings;
use super::auth_type::AuthType;
use super::chosen::{Chosen, Unusable};
use super::entry::Entry;
use super::error::{Problem, Result};
use super::keys::{Field, Source};
use super::place::Place;
use super::sources::{Found, Sources};
use super::values::{home_expanded, interface, is_insecure};
use crate::auth::Kind;
pub(super) fn resolve(sources: &Sources<'_>) -> Result<Settings> {
    let chosen = choose(sources)?;
    let place = Place { sources, source: chosen.source };
    let mut target = place.target()?;
    if matches!(chosen.credentials.0, Kind::Application(_)) {
        // It has its own project, which the token names. Another one would only be refused.
        target.project_id = sources.get(Source::Own, Field::ProjectId)?.map(|found| found.value);
    }
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

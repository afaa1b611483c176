//! Values of settings: URLs with a region in them, paths, flags.

use super::error::{Problem, Result};
use super::sources::Found;
use crate::clouds::is_label;

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
        let url = crate::url::parse(
            &BLANKS.iter().fold(url.to_owned(), |u, blank| u.replace(blank, region)),
        );
        url.ok().and_then(|url| Some((url.host_str()?.to_owned(), url.port())))
    };
    match (host(&environment.value), host(&entry.value)) {
        // Two ports of one host can be tunnels to two clouds.
        (Some((environment, ours)), Some((entry, theirs))) => {
            environment != entry || ours.zip(theirs).is_some_and(|(ours, theirs)| ours != theirs)
        }
        _ => true,
    }
}

/// The notations in which URLs leave the region to be filled in.
const BLANKS: [&str; 2] = ["%(region_name)s", "{region_name}"];

/// Fills the region into a URL. It must be a host label, because it may become a part of the host.
pub(super) fn expanded(mut found: Found, region: Option<&str>) -> Result<Found> {
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
pub(super) fn checked_url(found: Found) -> Result<Found> {
    let reason = match crate::url::parse(&found.value) {
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
pub(super) fn interface(name: &str) -> String {
    name.trim().trim_end_matches("URL").to_owned()
}

/// Replaces `~` at the start of a path by `HOME`.
pub(super) fn home_expanded(path: String, env: &dyn Fn(&str) -> Option<String>) -> String {
    match (path.strip_prefix("~/"), env("HOME").filter(|home| !home.is_empty())) {
        (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')),
        _ => path,
    }
}

pub(super) fn is_insecure(found: Found) -> Result<bool> {
    let value = match found.value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "t" | "y" => true,
        "false" | "no" | "off" | "0" | "f" | "n" => false,
        _ => return Err(Problem::Bool { name: found.label }.into()),
    };
    Ok(if found.name == "verify" { !value } else { value })
}

//! Whatever mix of clouds is set: all parts of the settings come from the source of the secret.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;

use super::super::keys::{Field, Source, names};
use super::{auth, load};

const SOURCES: [(Source, &str); 5] = [
    (Source::Own, "own"),
    (Source::Cloud, "entry"),
    (Source::OpenStack, "os"),
    (Source::Huawei, "hw"),
    (Source::HuaweiSdk, "sdk"),
];

/// Returns a value that names its source.
fn value(field: Field, tag: &str) -> String {
    match field {
        Field::AuthUrl | Field::Endpoint => format!("https://{tag}.example"),
        Field::Insecure => "true".to_owned(),
        Field::Region => format!("{tag}-1"),
        Field::CloudDomain => format!("{tag}.example"),
        _ => format!("{tag}-value"),
    }
}

/// The tags in a text.
fn tags(text: &str) -> Vec<&'static str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    SOURCES.iter().map(|(_, tag)| *tag).filter(|tag| words.contains(tag)).collect()
}

const CASES: u32 = 1500;

/// Counts the cases that resolve, so that the test fails if it tests next to nothing.
static RESOLVED: AtomicUsize = AtomicUsize::new(0);

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    fn check_random_sources(
        chosen in prop::collection::vec(prop::bool::weighted(0.6), SOURCES.len() * Field::ALL.len()),
        which in prop::collection::vec(0_usize..20, SOURCES.len() * Field::ALL.len()),
        has_entry: bool,
    ) {
        let (mut row, mut entry) = (String::new(), String::new());
        let mut chosen = chosen.into_iter().zip(which);
        let mut os_auth_url = false;
        for (source, tag) in SOURCES {
            for field in Field::ALL {
                let (is_set, which) = chosen.next().unwrap();
                let names = names(source, field);
                if !is_set || names.is_empty() || matches!(field, Field::AuthType | Field::AuthMethods) {
                    continue;
                }
                // Two ways to sign in are an error, which would end most cases.
                if matches!(field, Field::Token | Field::ApplicationSecret) && which % 4 != 0 {
                    continue;
                }
                let name = names[which % names.len()];
                let value = match field {
                    Field::Insecure if name == "verify" => "false".to_owned(),
                    _ => value(field, tag),
                };
                os_auth_url |= name == "OS_AUTH_URL";
                match (source, name.strip_prefix("auth.")) {
                    (Source::Cloud, Some(key)) => entry += &format!("auth.{key}: '{value}'\n"),
                    (Source::Cloud, None) => entry += &format!("{name}: '{value}'\n"),
                    _ => row += &format!(" {name}={value}"),
                }
            }
        }
        let (mut beside, mut inside) = (String::new(), String::new());
        for line in entry.lines() {
            match line.strip_prefix("auth.") {
                Some(line) => inside += &format!("{line}, "),
                None => beside += &format!("{line}, "),
            }
        }
        let text = format!("clouds: {{c: {{{beside} auth: {{{inside}}}}}}}");
        let row = if has_entry { format!("OS_CLOUD=c OS_CLIENT_CONFIG_FILE=/f{row}") } else { row };
        let Ok(settings) = load(&row, &[("/f", &text)]) else { return Ok(()) };
        RESOLVED.fetch_add(1, Relaxed);

        let credential = auth(&settings);
        let name = format!("{settings:?}");
        let secret = SOURCES.iter().find(|(source, tag)| {
            let tagged = credential.contains(&format!("{tag}-value"));
            tagged && (*source != Source::Own || credential.starts_with("token own"))
        });
        let Some((source, tag)) = secret else { panic!("no source: {credential}") };
        // Our own token may be used where one other source says.
        let mut allowed: Vec<&str> = vec![tag, "own"];
        let parts = [
            settings.auth_url(),
            settings.region(),
            settings.cloud_domain(),
            settings.project_id(),
            settings.project_name(),
        ];
        let home = parts.into_iter().flatten().flat_map(tags).find(|tag| *tag != "own");
        if *source == Source::Own {
            allowed.push(if has_entry { "entry" } else { home.unwrap_or("os") });
        }
        let mut parts = vec![
            credential.clone(),
            settings.endpoint().unwrap_or_default().to_owned(),
            settings.auth_url().unwrap_or_default().to_owned(),
            settings.cloud_domain().unwrap_or_default().to_owned(),
            settings.ca_file().map(|path| path.display().to_string()).unwrap_or_default(),
            settings.client_cert().map(|path| path.display().to_string()).unwrap_or_default(),
            settings.client_key().map(|path| path.display().to_string()).unwrap_or_default(),
        ];
        let selected = [
            settings.project_id().unwrap_or_default().to_owned(),
            settings.project_name().unwrap_or_default().to_owned(),
            settings.region().unwrap_or_default().to_owned(),
            settings.interfaces().join(","),
        ];
        // The project of the openstack command completes an entry if no other cloud is named.
        if has_entry && !os_auth_url {
            for part in &selected {
                let found = tags(part);
                prop_assert!(found.iter().all(|tag| ["own", "entry", "os"].contains(tag)), "{name} {row} {text}");
            }
            parts[0] = credential.replace("os-value at", "entry-value at");
        } else {
            parts.extend(selected);
        }
        for part in &parts {
            for found in tags(part) {
                let is_sdk_region = found == "hw" && allowed.contains(&"sdk") && part == "hw-1";
                prop_assert!(allowed.contains(&found) || is_sdk_region, "{part} of {tag}: {name} {row} {text}");
            }
        }
    }
}

#[test]
fn all_parts_come_from_the_source_of_the_secret() {
    check_random_sources();
    let resolved = RESOLVED.load(Relaxed);
    assert!(resolved > 400, "{resolved} of {CASES} resolve");
}

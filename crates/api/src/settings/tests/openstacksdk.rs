//! The same configurations in openstacksdk: what it resolves is recorded, and each difference has a reason.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{auth, load};

#[derive(Deserialize)]
struct Case {
    name: String,
    env: BTreeMap<String, String>,
    clouds: Option<String>,
    secure: Option<String>,
    vendor: Option<String>,
    resolved: Value,
}

/// Differences that are wanted, by the name of the case: what is resolved here, and why.
#[derive(Deserialize)]
struct Divergence {
    ours: Value,
    reason: String,
}

/// Resolves a case in the form of the record.
fn resolve(case: &Case) -> Value {
    let mut row = "HOME=/h OS_CLIENT_CONFIG_FILE=/f".to_owned();
    let mut files = vec![];
    if case.clouds.is_none() {
        row = "HOME=/h".to_owned();
    }
    for (path, variable, text) in [
        ("/f", "", &case.clouds),
        ("/s", "OS_CLIENT_SECURE_FILE", &case.secure),
        ("/v", "OS_CLIENT_VENDOR_FILE", &case.vendor),
    ] {
        if let Some(text) = text {
            files.push((path, text.as_str()));
            if !variable.is_empty() {
                row += &format!(" {variable}={path}");
            }
        }
    }
    for (name, value) in &case.env {
        row += &format!(" {name}={value}");
    }
    match load(&row, &files) {
        Err(_) => json!("error"),
        Ok(settings) => {
            let path = |path: Option<&std::path::Path>| path.map(|path| path.display().to_string());
            let cert: Vec<String> = [settings.client_cert(), settings.client_key()]
                .into_iter()
                .filter_map(path)
                .collect();
            let interfaces = settings.interfaces().join(",");
            json!({
                "login": auth(&settings),
                "region": settings.region(),
                "interface": if interfaces.is_empty() { "public" } else { &interfaces },
                "insecure": settings.insecure(),
                "cacert": path(settings.ca_file()),
                "cert": Some(cert.join(",")).filter(|cert| !cert.is_empty()),
                "endpoint": settings.endpoint().map(|url| url.trim_end_matches('/')),
            })
        }
    }
}

#[test]
fn configurations_resolve_as_in_openstacksdk_or_differ_for_a_reason() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/openstacksdk/recorded.json")).unwrap();
    let mut divergences: BTreeMap<String, Divergence> =
        serde_json::from_str(include_str!("../../../tests/openstacksdk/divergences.json")).unwrap();
    assert!(cases.len() >= 120, "{} cases", cases.len());
    let mut unexpected = Vec::new();
    for case in &cases {
        let ours = resolve(case);
        let theirs = match case.resolved.get("error") {
            Some(_) => json!("error"),
            None => case.resolved.clone(),
        };
        match divergences.remove(&case.name) {
            Some(Divergence { ours: listed, reason }) => {
                assert!(!reason.is_empty());
                if ours == theirs || ours != listed {
                    unexpected.push(json!({"name": case.name, "ours": ours, "listed": listed}));
                }
            }
            None if ours == theirs => (),
            None => unexpected.push(json!({"name": case.name, "ours": ours, "theirs": theirs})),
        }
    }
    let unknown: Vec<_> = divergences.keys().collect();
    assert!(unknown.is_empty(), "divergences of no case: {unknown:?}");
    assert!(unexpected.is_empty(), "{}", serde_json::to_string_pretty(&unexpected).unwrap());
}

//! Licences, sources and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const PUBLISHED: [&str; 4] = ["cfw-api", "cfw-waiter", "cfw-simulator", "cfw-wait"];

/// Licences that ask for no more than a notice. CDLA-Permissive-2.0 is for the certificates that some platforms
/// need as data.
const LICENCES: [&str; 6] =
    ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "Unicode-3.0", "CDLA-Permissive-2.0"];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates that one depends on, for this machine, without those of tests.
fn tree(package: &str, flags: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["tree", "-p", package, "-e", "normal,build", "--prefix", "none"];
    arguments.extend(["--format", "{p}"]);
    arguments.extend(flags);
    let names = cargo(&arguments);
    let names = names.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != package).map(str::to_owned).collect()
}

/// Name to package, of all that cargo knows of for this machine, tests and benches included.
fn packages() -> BTreeMap<String, Value> {
    let host = target();
    let metadata = cargo(&["metadata", "--format-version", "1", "--filter-platform", &host]);
    let mut metadata: Value = serde_json::from_str(&metadata).unwrap();
    let Value::Array(all) = metadata["packages"].take() else { panic!("no packages") };
    all.into_iter()
        .map(|package| (format!("{} {}", package["name"], package["version"]), package))
        .collect()
}

fn target() -> String {
    let cargo = Command::new(env!("CARGO")).arg("-vV").output().unwrap();
    let version = String::from_utf8(cargo.stdout).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Whether an SPDX expression can be satisfied with the licences above. It knows no precedence other than
/// brackets, AND before OR, and the old slash for OR, which is all that occurs.
fn is_free(licence: &str) -> bool {
    let licence = licence.replace(" WITH LLVM-exception", "-LLVM").replace('/', " OR ");
    if let Some((before, rest)) = licence.rsplit_once('(') {
        let (inner, after) = rest.split_once(')').unwrap();
        let inner = if is_free(inner) { "MIT" } else { "unfree" };
        return is_free(&format!("{before}{inner}{after}"));
    }
    let is_known = |name: &str| LICENCES.contains(&name.trim());
    licence.split(" OR ").any(|all| all.split(" AND ").all(is_known))
}

#[test]
fn every_licence_is_a_permissive_one() {
    assert!(is_free("(MIT OR GPL-3.0) AND Unicode-3.0") && is_free("Unlicense/MIT"));
    assert!(!is_free("MIT AND GPL-3.0") && !is_free("MPL-2.0") && !is_free("(MIT AND X) OR Y"));
    for (name, package) in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_free(licence), "{name}: {licence}");
    }
}

#[test]
fn every_package_comes_from_here_or_from_one_registry() {
    let mut sources: Vec<String> = packages()
        .values()
        .filter_map(|package| package["source"].as_str().map(str::to_owned))
        .collect();
    sources.sort();
    sources.dedup();
    assert!(sources.len() == 1 && sources[0].starts_with("registry+"), "{sources:?}");
}

#[test]
fn nothing_published_depends_on_openssl_or_on_what_is_unmaintained() {
    for package in PUBLISHED {
        let tree = tree(package, &[]);
        assert!(!tree.is_empty(), "{package}");
        // An example and a test show that policies of `backoff` plug in; `instant` is its.
        for banned in ["openssl-sys", "native-tls", "backoff", "instant", "backon"] {
            assert!(!tree.contains(banned), "{package} depends on {banned}");
        }
    }
}

#[test]
fn a_client_without_tls_brings_no_c() {
    let tree = tree("cfw-waiter", &["--no-default-features", "--features", "cfw"]);
    assert!(tree.contains("cfw-api"), "{tree:?}");
    for c in ["aws-lc-sys", "ring", "cc", "cmake"] {
        assert!(!tree.contains(c), "{c} in {tree:?}");
    }
}

#[test]
fn the_waiter_alone_stays_small() {
    let tree = tree("cfw-waiter", &["--no-default-features"]);
    assert!(tree.len() <= 12, "{} crates: {tree:?}", tree.len());
    // No procedural macro: they cost more to build than all the rest.
    for slow in ["syn", "quote", "proc-macro2", "serde_derive"] {
        assert!(!tree.contains(slow), "{slow} in {tree:?}");
    }
}

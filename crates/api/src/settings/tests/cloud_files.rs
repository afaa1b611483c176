//! Which files are read, and which of them counts.

use super::{auth, load};

const FILE: &str = "/h/.config/openstack/clouds.yaml";
const SECURE: &str = "/h/.config/openstack/secure.yaml";

#[test]
fn each_form_of_a_file_is_read() {
    for (text, expected) in [
        ("clouds: {c: {auth: {token: t}}}", "token t"),
        ("\u{feff}clouds:\r\n  c:\r\n    auth:\r\n      token: t\r\n", "token t"),
        (
            "{\n\t\"clouds\": {\"c\": {\"auth\": {\"ak\": \"a\\/b\", \"sk\": \"\\ud83d\\ude00\", \"token\": null}}}}",
            "key a/b 😀 -",
        ),
        (
            "clouds: {c: {auth: {access_key: 1e3, secret_key: 0x1f, security_token: 1_000}}}",
            "key 1e3 0x1f 1_000",
        ),
        ("clouds: {c: {auth: {token: true}}}", "token true"),
        ("clouds: {c: {auth: {token: ~, ak: '', access_key: a, sk: 'null'}}}", "key a null -"),
        // Anchors and merge keys, as people share defaults between entries.
        ("x: &d {ak: a, sk: s}\nclouds: {c: {auth: {<<: *d, sk: own}}}", "key a own -"),
        ("clouds: {b: &b {auth: {token: t}}, c: {<<: *b, region_name: r}}", "token t"),
    ] {
        assert_eq!(auth(&load("HOME=/h OS_CLOUD=c", &[(FILE, text)]).unwrap()), expected, "{text}");
    }
}

#[test]
fn the_first_file_found_counts() {
    let order = [
        "named.yaml",
        "./clouds.yaml",
        "./clouds.yml",
        "./clouds.json",
        "/x/openstack/clouds.yaml",
        "/h/.config/openstack/clouds.yml",
        "/etc/xdg/openstack/clouds.json",
        "/etc/openstack/clouds.yaml",
    ];
    let texts = order.map(|path| format!("clouds: {{c: {{auth: {{token: '{path}'}}}}}}"));
    let files: Vec<(&str, &str)> =
        order.into_iter().zip(texts.iter().map(String::as_str)).collect();
    for (n, &(path, _)) in files.iter().enumerate() {
        let named = if n == 0 { "OS_CLIENT_CONFIG_FILE=named.yaml" } else { "" };
        let row = format!("HOME=/h XDG_CONFIG_HOME=/x OS_CLOUD=c {named}");
        let found = auth(&load(&row, files.get(n..).unwrap()).unwrap());
        assert_eq!(found, format!("token {path}"));
    }
}

#[test]
fn secure_yaml_lies_over_clouds_yaml() {
    let public = "clouds: {c: {region_name: a-1, auth: {ak: public, sk: public}}}";
    let secure = "clouds: {c: {auth: {sk: secret}}, d: {auth: {token: t}}}";
    let settings = load("HOME=/h OS_CLOUD=c", &[(FILE, public), (SECURE, secure)]).unwrap();
    assert_eq!((auth(&settings).as_str(), settings.region()), ("key public secret -", Some("a-1")));

    // It may be elsewhere, hold the entry alone, or be the only file.
    let moved = [(FILE, public), ("/s.yaml", secure)];
    let settings = load("HOME=/h OS_CLOUD=c OS_CLIENT_SECURE_FILE=/s.yaml", &moved).unwrap();
    assert_eq!(auth(&settings), "key public secret -");
    assert_eq!(
        auth(&load("HOME=/h OS_CLOUD=d", &[(FILE, public), (SECURE, secure)]).unwrap()),
        "token t"
    );
    assert_eq!(auth(&load("HOME=/h OS_CLOUD=d", &[(SECURE, secure)]).unwrap()), "token t");
}

#[test]
fn secure_yaml_in_the_working_directory_does_not_say_where_secrets_of_other_files_go() {
    let public = "clouds: {c: {auth: {auth_url: 'https://iam', token: t, project_id: p}}}";
    for (key, entry) in [
        ("auth.auth_url", "auth: {auth_url: 'https://evil.example'}"),
        ("auth_url", "auth_url: 'https://evil.example'"),
        ("cfw_endpoint", "cfw_endpoint: 'https://evil.example'"),
        ("verify", "verify: false"),
        ("cacert", "cacert: evil.pem"),
        ("profile", "profile: otc"),
        ("regions", "regions: [{name: r, values: {auth_url: 'https://evil.example'}}]"),
    ] {
        let secure = format!("clouds: {{c: {{{entry}}}}}");
        let files = [(FILE, public), ("./secure.yaml", &*secure)];
        let error = load("HOME=/h OS_CLOUD=c", &files).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "clouds.c.{key} in ./secure.yaml says where secrets of {FILE} go, which a file that is found in the \
                 working directory must not: move it, or name its file in OS_CLIENT_SECURE_FILE"
            )
        );
        // Named, it is where the user pointed. Beside clouds.yaml, both are from one place.
        load("HOME=/h OS_CLOUD=c OS_CLIENT_SECURE_FILE=./secure.yaml", &files).unwrap();
        load("HOME=/h OS_CLOUD=c", &[("./clouds.yaml", public), files[1]]).unwrap();
    }
    let files = [(FILE, public), ("./secure.yaml", "clouds: {c: {auth: {token: own}}}")];
    assert_eq!(auth(&load("HOME=/h OS_CLOUD=c", &files).unwrap()), "token own");
}

#[test]
fn a_file_in_the_working_directory_does_not_say_where_a_vendor_is() {
    let text = "clouds: {c: {profile: otc, auth: {token: t, project_id: i}}}";
    let vendor = "public-clouds: {otc: {auth: {auth_url: 'https://evil.example'}}}";
    let files = [(FILE, text), ("./clouds-public.yaml", vendor), ("./clouds-public.json", vendor)];
    let settings = load("HOME=/h OS_CLOUD=c", &files).unwrap();
    assert_eq!(settings.auth_url(), Some("https://iam.eu-de.otc.t-systems.com/v3"));
}

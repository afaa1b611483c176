use super::{auth, load};

const FILE: &str = "/h/.config/openstack/clouds.yaml";
const SECURE: &str = "/h/.config/openstack/secure.yaml";
const PUBLIC: &str = "/etc/openstack/clouds-public.yaml";
const OTC: &str = "
clouds:
  otc:
    region_name: eu-nl
    interface: public
    verify: false
    cacert: /etc/ca.pem
    networks: [{name: n}]
    auth:
      auth_url: https://iam.eu-nl.otc.t-systems.com/v3
      username: u
      password: 0123
      user_domain_name: OTC000
      project_name: eu-nl_team
  other:
    auth: {token: t, anything: goes}
";

#[test]
fn an_entry_is_read() {
    let settings = load("HOME=/h OS_CLOUD=otc", &[(FILE, OTC)]).unwrap();
    let url = "https://iam.eu-nl.otc.t-systems.com/v3";
    assert_eq!(
        auth(&settings),
        format!("password 0123 of u in OTC000 for eu-nl_team at {url} code -")
    );
    assert_eq!(settings.region(), Some("eu-nl"));
    assert_eq!(settings.interface(), Some("public"));
    assert_eq!(settings.auth_url(), Some(url));
    assert_eq!(settings.ca_file(), Some(std::path::Path::new("/etc/ca.pem")));
    assert!(settings.insecure());
}

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
fn an_entry_is_never_used_unasked() {
    let error = load("HOME=/h", &[("./clouds.yaml", OTC), (FILE, OTC)]).unwrap_err();
    assert!(error.to_string().starts_with("no credentials: "), "{error}");
    assert_eq!(auth(&load("HOME=/h OS_TOKEN=e OS_CLOUD=", &[(FILE, OTC)]).unwrap()), "token e");
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
fn a_profile_lies_under_the_entry() {
    let entry = |rest: &str| {
        format!(
            "clouds: {{c: {{profile: otc, {rest} auth: {{username: u, password: p, domain_name: d, project_id: i}}}}}}"
        )
    };
    let url = |files: &[(&str, &str)], row: &str| {
        let settings = load(&format!("HOME=/h OS_CLOUD=c {row}"), files).unwrap();
        format!("{} {}", settings.auth_url().unwrap(), settings.region().unwrap_or("-"))
    };
    let plain = entry("");
    assert_eq!(url(&[(FILE, &plain)], ""), "https://iam.eu-de.otc.t-systems.com/v3 eu-de");
    assert_eq!(
        url(&[(FILE, &plain)], "OS_REGION_NAME=eu-nl"),
        "https://iam.eu-nl.otc.t-systems.com/v3 eu-nl"
    );
    let regional = entry("region_name: eu-nl,");
    assert_eq!(url(&[(FILE, &regional)], ""), "https://iam.eu-nl.otc.t-systems.com/v3 eu-nl");
    let swiss = plain.replace("profile: otc", "cloud: otc-swiss");
    assert_eq!(url(&[(FILE, &swiss)], ""), "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3 eu-ch2");

    // A file of one's own is before what is built in.
    let public = "public-clouds: {otc: {region_name: r-1, auth: {auth_url: 'https://iam.{region_name}.example'}}}";
    assert_eq!(url(&[(FILE, &plain), (PUBLIC, public)], ""), "https://iam.r-1.example r-1");
    assert_eq!(url(&[(FILE, &regional), (PUBLIC, public)], ""), "https://iam.eu-nl.example eu-nl");
    let named = [(FILE, plain.as_str()), ("/v.yaml", public)];
    assert_eq!(url(&named, "OS_CLIENT_VENDOR_FILE=/v.yaml"), "https://iam.r-1.example r-1");
    let elsewhere = "public-clouds: {acme: {}}";
    assert_eq!(
        url(&[(FILE, &plain), (PUBLIC, elsewhere)], ""),
        "https://iam.eu-de.otc.t-systems.com/v3 eu-de"
    );
}

#[test]
fn the_environment_fills_what_an_entry_lacks_and_ours_comes_first() {
    let password = "username: u, domain_name: d, auth_url: 'https://iam', project_id: i";
    for (keys, row, expected) in [
        (password, "OS_PASSWORD=p", "password p of u in d for #i at https://iam code -"),
        (
            "password: own, username: u, domain_name: d, auth_url: 'https://iam'",
            "OS_PASSWORD=p OS_PROJECT_NAME=n",
            "password own of u in d for n at https://iam code -",
        ),
        ("token: own", "OS_TOKEN=e", "token own"),
        ("token: own", "OS_PASSWORD=p", "token own"),
        ("token: own", "CFW_TOKEN=ours", "token ours"),
        ("ak: a, sk: s", "OS_ACCESS_KEY=x OS_SECRET_KEY=y OS_SECURITY_TOKEN=z", "key a s -"),
        ("ak: a", "OS_SECRET_KEY=y OS_SECURITY_TOKEN=z", "key a y z"),
        ("sk: s", "OS_ACCESS_KEY=x", "key x s -"),
        ("project_id: i", "OS_TOKEN=e", "token e"),
        // Of a user, the user's password is wanted.
        (
            password,
            "OS_PASSWORD=p OS_TOKEN=e OS_ACCESS_KEY=x OS_SECRET_KEY=y",
            "password p of u in d for #i at https://iam code -",
        ),
    ] {
        let text = format!("clouds: {{c: {{auth: {{{keys}}}}}}}");
        let settings = load(&format!("HOME=/h OS_CLOUD=c {row}"), &[(FILE, &text)]).unwrap();
        assert_eq!(auth(&settings), expected, "{keys} and {row}");
    }

    let text = "clouds: {c: {cfw_endpoint_override: 'https://e', region_name: r, auth: {token: t, project_id: i}}}";
    let row = "HOME=/h OS_CLOUD=c OS_PROJECT_ID=x OS_REGION_NAME=x";
    let settings = load(row, &[(FILE, text)]).unwrap();
    let seen = (settings.endpoint(), settings.region(), settings.project_id());
    assert_eq!(seen, (Some("https://e"), Some("r"), Some("i")));
    let settings =
        load(&format!("{row} CFW_ENDPOINT=https://o CFW_PROJECT_ID=o"), &[(FILE, text)]).unwrap();
    assert_eq!((settings.endpoint(), settings.project_id()), (Some("https://o"), Some("o")));
}

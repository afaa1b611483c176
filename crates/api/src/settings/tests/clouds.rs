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
    assert_eq!(
        settings.ca_file(),
        Some(std::path::Path::new("/etc/ca.pem"))
    );
    assert!(settings.insecure());
}

#[test]
fn each_form_of_a_file_is_read() {
    for (text, expected) in [
        ("clouds: {c: {auth: {token: t}}}", "token t"),
        (
            "\u{feff}clouds:\r\n  c:\r\n    auth:\r\n      token: t\r\n",
            "token t",
        ),
        (
            "{\n\t\"clouds\": {\"c\": {\"auth\": {\"ak\": \"a\\/b\", \"sk\": \"\\ud83d\\ude00\", \"token\": null}}}}",
            "key a/b 😀 -",
        ),
        (
            "clouds: {c: {auth: {access_key: 1e3, secret_key: 0x1f, security_token: 1_000}}}",
            "key 1e3 0x1f 1_000",
        ),
        ("clouds: {c: {auth: {token: true}}}", "token true"),
        (
            "clouds: {c: {auth: {token: ~, ak: '', access_key: a, sk: 'null'}}}",
            "key a null -",
        ),
        // Anchors and merge keys, as people share defaults between entries.
        (
            "x: &d {ak: a, sk: s}\nclouds: {c: {auth: {<<: *d, sk: own}}}",
            "key a own -",
        ),
        (
            "clouds: {b: &b {auth: {token: t}}, c: {<<: *b, region_name: r}}",
            "token t",
        ),
    ] {
        assert_eq!(
            auth(&load("HOME=/h OS_CLOUD=c", &[(FILE, text)]).unwrap()),
            expected,
            "{text}"
        );
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
    let files: Vec<(&str, &str)> = order
        .into_iter()
        .zip(texts.iter().map(String::as_str))
        .collect();
    for (n, &(path, _)) in files.iter().enumerate() {
        let named = if n == 0 {
            "OS_CLIENT_CONFIG_FILE=named.yaml"
        } else {
            ""
        };
        let row = format!("HOME=/h XDG_CONFIG_HOME=/x OS_CLOUD=c {named}");
        let found = auth(&load(&row, files.get(n..).unwrap()).unwrap());
        assert_eq!(found, format!("token {path}"));
    }
}

#[test]
fn an_entry_is_never_used_unasked() {
    let error = load("HOME=/h", &[("./clouds.yaml", OTC), (FILE, OTC)]).unwrap_err();
    assert!(error.to_string().starts_with("no credentials: "), "{error}");
    assert_eq!(
        auth(&load("HOME=/h OS_TOKEN=e OS_CLOUD=", &[(FILE, OTC)]).unwrap()),
        "token e"
    );
}

#[test]
fn secure_yaml_lies_over_clouds_yaml() {
    let public = "clouds: {c: {region_name: a-1, auth: {ak: public, sk: public}}}";
    let secure = "clouds: {c: {auth: {sk: secret}}, d: {auth: {token: t}}}";
    let settings = load("HOME=/h OS_CLOUD=c", &[(FILE, public), (SECURE, secure)]).unwrap();
    assert_eq!(
        (auth(&settings).as_str(), settings.region()),
        ("key public secret -", Some("a-1"))
    );

    // It may be elsewhere, hold the entry alone, or be the only file.
    let moved = [(FILE, public), ("/s.yaml", secure)];
    let settings = load("HOME=/h OS_CLOUD=c OS_CLIENT_SECURE_FILE=/s.yaml", &moved).unwrap();
    assert_eq!(auth(&settings), "key public secret -");
    assert_eq!(
        auth(&load("HOME=/h OS_CLOUD=d", &[(FILE, public), (SECURE, secure)]).unwrap()),
        "token t"
    );
    assert_eq!(
        auth(&load("HOME=/h OS_CLOUD=d", &[(SECURE, secure)]).unwrap()),
        "token t"
    );
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
        format!(
            "{} {}",
            settings.auth_url().unwrap(),
            settings.region().unwrap_or("-")
        )
    };
    let plain = entry("");
    assert_eq!(
        url(&[(FILE, &plain)], ""),
        "https://iam.eu-de.otc.t-systems.com/v3 eu-de"
    );
    assert_eq!(
        url(&[(FILE, &plain)], "OS_REGION_NAME=eu-nl"),
        "https://iam.eu-nl.otc.t-systems.com/v3 eu-nl"
    );
    let regional = entry("region_name: eu-nl,");
    assert_eq!(
        url(&[(FILE, &regional)], ""),
        "https://iam.eu-nl.otc.t-systems.com/v3 eu-nl"
    );
    let swiss = plain.replace("profile: otc", "cloud: otc-swiss");
    assert_eq!(
        url(&[(FILE, &swiss)], ""),
        "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3 eu-ch2"
    );

    // A file of one's own is before what is built in.
    let public = "public-clouds: {otc: {region_name: r-1, auth: {auth_url: 'https://iam.{region_name}.example'}}}";
    assert_eq!(
        url(&[(FILE, &plain), (PUBLIC, public)], ""),
        "https://iam.r-1.example r-1"
    );
    assert_eq!(
        url(&[(FILE, &regional), (PUBLIC, public)], ""),
        "https://iam.eu-nl.example eu-nl"
    );
    let named = [(FILE, plain.as_str()), ("/v.yaml", public)];
    assert_eq!(
        url(&named, "OS_CLIENT_VENDOR_FILE=/v.yaml"),
        "https://iam.r-1.example r-1"
    );
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
        (
            password,
            "OS_PASSWORD=p",
            "password p of u in d for #i at https://iam code -",
        ),
        (
            "password: own, username: u, domain_name: d, auth_url: 'https://iam'",
            "OS_PASSWORD=p OS_PROJECT_NAME=n",
            "password own of u in d for n at https://iam code -",
        ),
        ("token: own", "OS_TOKEN=e", "token own"),
        ("token: own", "OS_PASSWORD=p", "token own"),
        ("token: own", "CFW_TOKEN=ours", "token ours"),
        (
            "ak: a, sk: s",
            "OS_ACCESS_KEY=x OS_SECRET_KEY=y OS_SECURITY_TOKEN=z",
            "key a s -",
        ),
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
    let seen = (
        settings.endpoint(),
        settings.region(),
        settings.project_id(),
    );
    assert_eq!(seen, (Some("https://e"), Some("r"), Some("i")));
    let settings = load(
        &format!("{row} CFW_ENDPOINT=https://o CFW_PROJECT_ID=o"),
        &[(FILE, text)],
    )
    .unwrap();
    assert_eq!(
        (settings.endpoint(), settings.project_id()),
        (Some("https://o"), Some("o"))
    );
}

#[test]
fn what_is_wrong_with_a_file_is_named_with_its_place() {
    let found = |text: &str| {
        load("HOME=/h OS_CLOUD=c", &[(FILE, text)])
            .unwrap_err()
            .to_string()
    };
    for (text, expected) in [
        (
            "clouds:\n  c:\n    auth:\n      username: u\n      pasword: p\n",
            ", line 5, column 7: unknown key pasword, did you mean password?, at clouds.c.auth",
        ),
        (
            "clouds:\n  c:\n    auth:\n      user_name: u\n",
            ", line 4, column 7: unknown key user_name, did you mean username?, at clouds.c.auth",
        ),
        (
            "clouds:\n  c:\n    auth:\n      auth_uri: u\n",
            ", line 4, column 7: unknown key auth_uri, did you mean auth_url?, at clouds.c.auth",
        ),
        (
            "clouds:\n  c:\n    auth:\n      token: t\n      token: u\n",
            ", line 5, column 7: a key occurs twice, at clouds.c.auth",
        ),
        (
            "clouds:\n  c:\n    auth:\n      password: [p]\n",
            ", line 4, column 17: not what belongs here: text for a key, keys with values for an entry or its auth, \
             at clouds.c.auth.password",
        ),
        (
            "clouds:\n  c:\n    auth: p\n",
            ", line 3, column 11: not what belongs here: text for a key, keys with values for an entry or its auth, \
             at clouds.c.auth",
        ),
        (
            "clouds:\n  c:\n    auth:\n      password: *p\n",
            ", line 4, column 17: an alias without its anchor (quote a value that starts with *), at clouds.c.auth.password",
        ),
        (
            "clouds:\n  c:\n    auth:\n      password: \"p\n",
            ", line 4, column 17: not valid YAML (quote a value that holds ': ' or ' #' or starts with a special \
             character), at clouds.c.auth.password",
        ),
        (
            "clouds:\n\tc: 1\n",
            ", line 2, column 2: not valid YAML (quote a value that holds ': ' or ' #' or starts with a special \
             character), at clouds",
        ),
    ] {
        assert_eq!(found(text), format!("{FILE}{expected}"), "{text}");
    }
    let unlike = found("clouds:\n  c:\n    auth:\n      application_credential_id: i\n");
    let expected =
        format!("{FILE}, line 4, column 7: unknown key; known are auth_url, token, username, ");
    assert!(unlike.starts_with(&expected), "{unlike}");
}

#[test]
fn hostile_files_are_errors_and_no_more() {
    let bomb: String = (1..10)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 9].join(",")
            )
        })
        .collect();
    for text in [
        format!("a0: &a0 x\n{bomb}"),
        "[".repeat(200_000),
        format!("clouds: {}", "{c: ".repeat(200_000)),
    ] {
        let error = load("HOME=/h OS_CLOUD=c", &[(FILE, &text)])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(FILE), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_file() {
    let user = "username: u, domain_name: d, auth_url: 'https://iam', project_id: i";
    for (keys, row, expected) in [
        (
            "token: t, password: p",
            "",
            format!(
                "both clouds.c.auth.token in {FILE} and clouds.c.auth.password in {FILE} are set, which are two \
                     ways to sign in: unset one"
            ),
        ),
        (
            "ak: a",
            "",
            format!(
                "clouds.c.auth.ak in {FILE} is set, but not what belongs to it: clouds.c.auth.sk or \
                     clouds.c.auth.secret_key in {FILE}"
            ),
        ),
        // A whole key in the environment is another key, whose half would only lock this one.
        (
            "ak: a",
            "OS_ACCESS_KEY=x OS_SECRET_KEY=y",
            format!(
                "clouds.c.auth.ak in {FILE} is set, but not what belongs to it: clouds.c.auth.sk or \
                     clouds.c.auth.secret_key in {FILE}"
            ),
        ),
        (
            user,
            "OS_TOKEN=t",
            format!(
                "clouds.c.auth.username in {FILE} is set, but not what belongs to it: \
                     clouds.c.auth.password in {FILE}"
            ),
        ),
        (
            "password: p, username: u, project_id: i, auth_url: 'https://iam'",
            "",
            format!(
                "clouds.c.auth.password in {FILE} is set, but not what belongs to it: \
                     clouds.c.auth.user_domain_name or clouds.c.auth.user_domain_id in {FILE}"
            ),
        ),
        (
            "project_id: i",
            "HW_AUTH_TOKEN=t",
            format!(
                "no credentials in clouds.c of {FILE}: set token, or ak and sk, or username and password under \
                     its auth, or OS_TOKEN, OS_ACCESS_KEY and OS_SECRET_KEY, or OS_PASSWORD"
            ),
        ),
        (
            "token: t, auth_url: 'https://iam.{region_name}'",
            "",
            format!(
                "clouds.c.auth.auth_url in {FILE} is not a usable URL: it needs a region, and none is set"
            ),
        ),
    ] {
        let text = format!("clouds: {{c: {{auth: {{{keys}}}}}}}");
        let error = load(&format!("HOME=/h OS_CLOUD=c {row}"), &[(FILE, &text)]).unwrap_err();
        assert_eq!(error.to_string(), expected, "{keys} and {row}");
    }
    let text = "clouds: {c: {verify: perhaps, auth: {token: t}}}";
    let error = load("HOME=/h OS_CLOUD=c", &[(FILE, text)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("clouds.c.verify in {FILE} is neither true nor false")
    );
}

#[test]
fn unknown_names_are_answered_with_the_known() {
    let text = "clouds: {prod: {profile: acme}, dev: }";
    for (name, expected) in [
        (
            "pord",
            format!("OS_CLOUD names \"pord\", which {FILE} does not hold: known are dev, prod"),
        ),
        (
            "prod",
            format!(
                "clouds.prod.profile in {FILE} names \"acme\", which is no vendor we know: known are otc, otc-swiss"
            ),
        ),
    ] {
        let error = load(&format!("HOME=/h OS_CLOUD={name}"), &[(FILE, text)]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = load("HOME=/h OS_CLOUD=c", &[(FILE, "# nothing yet")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("OS_CLOUD names \"c\", which {FILE} does not hold: it is empty")
    );
}

#[test]
fn absent_files_are_named() {
    let error = load("HOME=/h XDG_CONFIG_HOME=/x OS_CLOUD=c", &[]).unwrap_err();
    let expected = "OS_CLOUD names \"c\", but there is no clouds.yaml: looked in ., /x/openstack, \
                    /h/.config/openstack, /etc/xdg/openstack, /etc/openstack";
    assert_eq!(error.to_string(), expected);

    let error = load(
        "HOME=/h OS_CLOUD=c OS_CLIENT_CONFIG_FILE=/no.yaml",
        &[(FILE, OTC)],
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read /no.yaml, which OS_CLIENT_CONFIG_FILE names"
    );
    assert!(std::error::Error::source(&error).is_some());
}

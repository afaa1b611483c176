//! What an entry of clouds.yaml gives.

use super::{auth, load};
use crate::settings::{Settings, SettingsError};

const FILE: &str = "/h/.config/openstack/clouds.yaml";
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
    assert_eq!(settings.interfaces(), ["public"]);
    assert_eq!(settings.auth_url(), Some(url));
    assert_eq!(settings.ca_file(), Some(std::path::Path::new("/etc/ca.pem")));
    assert!(settings.insecure());
}

#[test]
fn an_entry_is_never_used_unasked() {
    let error = load("HOME=/h", &[("./clouds.yaml", OTC), (FILE, OTC)]).unwrap_err();
    assert!(error.to_string().starts_with("no credentials: "), "{error}");
    assert_eq!(auth(&load("HOME=/h OS_TOKEN=e OS_CLOUD=", &[(FILE, OTC)]).unwrap()), "token e");
}

#[test]
fn two_ports_of_one_host_are_two_clouds() {
    let entry =
        "clouds: {c: {auth: {auth_url: 'https://localhost:5000/v3', token: t, project_id: own}}}";
    for (url, project) in [
        ("https://localhost:5000", "other"),
        ("https://localhost/identity", "other"),
        ("https://localhost:6000/v3", "own"),
    ] {
        let row = format!("HOME=/h OS_CLOUD=c OS_AUTH_URL={url} OS_PROJECT_ID=other");
        let settings = load(&row, &[(FILE, entry)]).unwrap();
        assert_eq!(settings.project_id(), Some(project), "{url}");
    }
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

/// Another cloud's variables, still exported.
const OTHER: &str = "OS_AUTH_URL=https://other.example/v3 OS_USERNAME=ou OS_PASSWORD=op OS_TOKEN=ot \
    OS_ACCESS_KEY=oa OS_SECRET_KEY=os OS_SECURITY_TOKEN=ost OS_PROJECT_NAME=opn OS_PROJECT_ID=opi \
    OS_USER_DOMAIN_NAME=od OS_REGION_NAME=other-1 OS_INSECURE=true OS_CACERT=/other.pem OS_CERT=/c OS_KEY=/k \
    OS_INTERFACE=internal OS_AUTH_TYPE=v3oidcpassword OS_CFW_ENDPOINT_OVERRIDE=https://other.example \
    HW_ACCESS_KEY=ha HW_SECRET_KEY=hs HW_REGION_NAME=cn-north-4 HW_CLOUD=other.example";

fn entry(row: &str, text: &str) -> Result<Settings, SettingsError> {
    load(&format!("HOME=/h OS_CLOUD=c {row}"), &[(FILE, text)])
}

#[test]
fn an_entry_takes_nothing_from_another_clouds_variables() {
    let password = "password: p, username: u, user_domain_name: d, project_name: n";
    for (text, expected) in [
        // Beside `auth` as well as in it.
        (
            format!("clouds: {{c: {{auth_url: 'https://mine.example', auth: {{{password}}}}}}}"),
            "password p of u in d for n at https://mine.example code -",
        ),
        (
            format!("clouds: {{c: {{auth: {{auth_url: 'https://mine.example', {password}}}}}}}"),
            "password p of u in d for n at https://mine.example code -",
        ),
        (
            format!("clouds: {{c: {{auth_url: 'https://mine.example', {password}}}}}"),
            "password p of u in d for n at https://mine.example code -",
        ),
        ("clouds: {c: {auth: {token: t}}}".to_owned(), "token t"),
        ("clouds: {c: {token: t}}".to_owned(), "token t"),
        ("clouds: {c: {ak: a, sk: s}}".to_owned(), "key a s -"),
        ("clouds: {c: {auth: {ak: a, sk: s}}}".to_owned(), "key a s -"),
    ] {
        let settings = entry(OTHER, &text).unwrap();
        assert_eq!(auth(&settings), expected, "{text}");
        let project = (settings.project_id(), settings.project_name());
        let own = (None, expected.starts_with("password").then_some("n"));
        assert_eq!(project, own, "{text}");
        assert_eq!((settings.region(), settings.cloud_domain()), (None, None));
        assert_eq!((settings.endpoint(), settings.interfaces()), (None, &[][..]));
        assert_eq!(
            (settings.insecure(), settings.ca_file(), settings.client_cert()),
            (false, None, None)
        );
    }
}

#[test]
fn an_entry_without_its_secret_is_an_error_whatever_else_is_exported() {
    let user = "username: u, domain_name: d, auth_url: 'https://mine.example', project_id: i";
    for keys in [user, "ak: a", "sk: s", "project_id: i", "auth_url: 'https://mine.example'"] {
        let text = format!("clouds: {{c: {{auth: {{{keys}}}}}}}");
        for row in [
            OTHER,
            "OS_PASSWORD=p",
            "OS_TOKEN=t",
            "OS_ACCESS_KEY=a OS_SECRET_KEY=s",
            "OS_SECRET_KEY=s",
            "OS_ACCESS_KEY=a",
            "OS_APPLICATION_CREDENTIAL_ID=i OS_APPLICATION_CREDENTIAL_SECRET=s",
            "HW_AUTH_TOKEN=t",
        ] {
            assert!(entry(row, &text).is_err(), "{keys} and {row}");
        }
    }
    // The variables of this crate are meant for it.
    assert_eq!(
        auth(&entry("CFW_TOKEN=ours", "clouds: {c: {auth: {token: own}}}").unwrap()),
        "token ours"
    );
}

#[test]
fn project_region_and_interface_are_taken_as_the_openstack_command_does() {
    let text = "clouds: {c: {region_name: eu-de, auth: {auth_url: 'https://iam.example/v3', token: t, project_id: i}}}";
    let seen = |row: &str, text: &str| {
        entry(row, text).map_err(|error| error.to_string()).map(|s| {
            [s.project_id(), s.project_name(), s.region(), s.interfaces().first().map(|i| &**i)]
                .map(|part| part.unwrap_or("-").to_owned())
                .join(" ")
        })
    };
    let row = "OS_PROJECT_NAME=n OS_REGION_NAME=EU-DE OS_INTERFACE=internal";
    assert_eq!(seen(row, text).unwrap(), "- n eu-de internal");
    assert_eq!(seen("", text).unwrap(), "i - eu-de -");
    // The same with the entry's own URL of IAM, but not with another.
    let same = format!("{row} OS_AUTH_URL=https://iam.example");
    assert_eq!(seen(&same, text).unwrap(), "- n eu-de internal");
    let other = format!("{row} OS_AUTH_URL=https://iam.example.org/v3");
    assert_eq!(seen(&other, text).unwrap(), "i - eu-de -");
    let error = seen("OS_REGION_NAME=eu-nl", text).unwrap_err();
    assert_eq!(
        error,
        format!(
            "OS_REGION_NAME names region \"eu-nl\", which clouds.c of {FILE} does not have: known are eu-de"
        )
    );
    // An entry without a URL of IAM could be about any cloud.
    let key = "clouds: {c: {ak: a, sk: s, project_id: i}}";
    assert_eq!(seen(&other, key).unwrap(), "i - - -");
    assert_eq!(seen(row, key).unwrap(), "i - - -");

    let ours = "clouds: {c: {cfw_endpoint_override: 'https://e', auth: {token: t, project_id: i}}}";
    let settings = entry("CFW_ENDPOINT=https://o CFW_PROJECT_ID=o", ours).unwrap();
    assert_eq!((settings.endpoint(), settings.project_id()), (Some("https://o"), Some("o")));
}

#[test]
fn the_first_region_counts_and_its_values_override_the_entry() {
    let text = "
clouds:
  c:
    auth: {token: t, project_name: all, auth_url: 'https://iam.{region_name}.example/v3'}
    interface: [internal, public]
    verify: true
    regions:
      - name: one
        values: {auth: {project_name: first}, verify: false, interface: admin}
      - two
      - {name: three, values: {project_name: third, cfw-endpoint-override: 'https://cfw.{region_name}.example/v1/x'}}
";
    let seen = |row: &str| {
        let s = entry(row, text).unwrap();
        format!(
            "{} {} {} {} {} {}",
            s.region().unwrap(),
            s.project_name().unwrap(),
            s.auth_url().unwrap(),
            s.interfaces().join("+"),
            s.insecure(),
            s.endpoint().unwrap_or("-")
        )
    };
    assert_eq!(seen(""), "one first https://iam.one.example/v3 admin true -");
    assert_eq!(
        seen("OS_REGION_NAME=two"),
        "two all https://iam.two.example/v3 internal+public false -"
    );
    assert_eq!(
        seen("OS_REGION_NAME=three"),
        "three third https://iam.three.example/v3 internal+public false https://cfw.three.example/"
    );
    // Each region may have its own URL.
    let urls = "clouds: {c: {token: t, regions: [{name: a, values: {auth_url: 'https://a.example'}}, \
                {name: b, values: {auth_url: 'https://b.example'}}]}}";
    assert_eq!(entry("", urls).unwrap().auth_url(), Some("https://a.example"));
    assert_eq!(entry("OS_REGION_NAME=b", urls).unwrap().auth_url(), Some("https://b.example"));
    let other = entry("OS_REGION_NAME=b OS_AUTH_URL=https://other.example", urls).unwrap();
    assert_eq!(other.auth_url(), Some("https://a.example"));
    let list = "clouds: {c: {region_name: 'a-1,b-1', token: t}}";
    assert_eq!(entry("", list).unwrap().region(), Some("a-1"));
    assert_eq!(entry("OS_REGION_NAME=b-1", list).unwrap().region(), Some("b-1"));
    let list = "clouds: {c: {region_name: [a-1, b-1], token: t}}";
    assert_eq!(entry("", list).unwrap().region(), Some("a-1"));
}

#[test]
fn a_region_that_is_no_host_label_is_not_filled_into_a_url() {
    for region in ["evil.example/", "a.b", "x@evil.example", "-a", "a#", ""] {
        for key in ["auth_url", "cfw_endpoint_override"] {
            let text = format!(
                "clouds: {{c: {{{key}: 'https://iam.{{region_name}}.example', region_name: '{region}', token: t}}}}"
            );
            let error = entry("", &text).unwrap_err().to_string();
            assert!(error.contains("it needs a region"), "{region}: {error}");
        }
    }
}

#[test]
fn each_place_counts_in_openstacksdks_order() {
    let text = "
clouds:
  c:
    project_name: beside
    user_domain_name: beside
    username: beside
    password: beside
    auth_url: https://beside.example
    auth: {project_name: in, user_domain_name: in, username: in, password: in, auth_url: 'https://in.example'}
";
    assert_eq!(
        auth(&entry("", text).unwrap()),
        "password in of in in beside for beside at https://in.example code -"
    );
    let domains = "
clouds:
  c: {user_domain_id: i, user_domain_name: n, username: u, password: p, project_id: x, auth-url: 'https://a.example'}
";
    assert_eq!(
        auth(&entry("", domains).unwrap()),
        "password p of u in #i for #x at https://a.example code -"
    );
}

#[test]
fn the_type_of_an_entry_chooses_its_credential() {
    let all = "auth_url: 'https://iam.example', token: t, username: u, password: p, domain_name: d, project_id: i, \
               passcode: 1, application_credential_id: ai, application_credential_secret: as";
    let text =
        |auth_type: &str| format!("clouds: {{c: {{auth_type: {auth_type}, auth: {{{all}}}}}}}");
    let password = "password p of u in d for #i at https://iam.example code 1";
    for (auth_type, expected) in [
        ("password", password),
        ("v3password", password),
        ("v3multifactor", password),
        ("token", "token t"),
        ("v3token", "token t"),
        ("V3Token", "token t"),
        ("v3applicationcredential", "application #ai as of - at https://iam.example"),
    ] {
        assert_eq!(auth(&entry(OTHER, &text(auth_type)).unwrap()), expected, "{auth_type}");
    }
    for auth_type in [
        "v3oidcpassword",
        "v3samlpassword",
        "v3kerberos",
        "v2password",
        "none",
        "admin_token",
        "v3totp",
    ] {
        // Keys that belong to another type are not the problem.
        let text =
            text(auth_type).replace("token: t", "identity_provider: x, protocol: y, token: t");
        let error = entry("", &text).unwrap_err().to_string();
        let expected =
            format!("clouds.c.auth_type in {FILE} is \"{auth_type}\", which is not supported");
        assert!(error.starts_with(&expected), "{error}");
    }
    let error = entry("", &text("").replace("auth_type: ,", "")).unwrap_err().to_string();
    assert!(error.ends_with("or say which counts with auth_type"), "{error}");
    let error = entry("", &text("v3token").replace("token: t,", "")).unwrap_err().to_string();
    assert!(error.contains("auth_type") && error.contains("clouds.c.auth.token"), "{error}");
}

#[test]
fn mistakes_elsewhere_in_the_file_do_not_matter() {
    let twice =
        "clouds: {b: {region_name: a, region_name: b, auth: {token: x, token: y}}, c: {token: t}}";
    assert_eq!(auth(&entry("", twice).unwrap()), "token t");
    assert_eq!(
        auth(&entry("", "clouds: {b: {token: x}, b: {token: y}, c: {token: t}}").unwrap()),
        "token t"
    );
    for own in [
        "clouds: {c: {token: x, token: y}}",
        "clouds: {c: {auth: {token: x, token: y}}}",
        "clouds: {c: {token: x}, c: {token: y}}",
        "clouds: {c: {regions: [{name: a, values: {token: x, token: y}}]}}",
    ] {
        assert!(entry("", own).unwrap_err().to_string().contains("a key occurs twice"), "{own}");
    }
    let aliases: String = (0..300).map(|n| format!("  c{n}: *d\n")).collect();
    let many = format!("x: &d {{token: x}}\nclouds:\n  c: {{token: t}}\n{aliases}");
    assert_eq!(auth(&entry("", &many).unwrap()), "token t");
}

#[test]
fn an_entry_that_names_itself_as_its_profile_is_warned_about() {
    let settings = entry("", "clouds: {c: {cloud: c, token: t}}").unwrap();
    assert!(settings.warnings()[0].starts_with("clouds.c.cloud in "), "{:?}", settings.warnings());
    assert!(entry("", "clouds: {c: {cloud: d, token: t}}").is_err());
    assert!(entry("", "clouds: {c: {profile: otc, token: t}}").unwrap().warnings().is_empty());
}

#[test]
fn paths_may_begin_with_the_home_directory() {
    let text = "clouds: {c: {token: t, cacert: ~/ca.pem, cert: /c.pem, key: ~/k.pem}}";
    let settings = entry("", text).unwrap();
    let path = |path: Option<&std::path::Path>| path.unwrap().display().to_string();
    assert_eq!(path(settings.ca_file()), "/h/ca.pem");
    assert_eq!(path(settings.client_cert()), "/c.pem");
    assert_eq!(path(settings.client_key()), "/h/k.pem");
}

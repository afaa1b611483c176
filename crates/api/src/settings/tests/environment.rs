use super::{auth, load};
use crate::settings::Settings;

#[test]
fn each_familys_variables_give_its_credential() {
    for (row, expected) in [
        ("CFW_TOKEN=t", "token t"),
        ("OS_TOKEN=t", "token t"),
        ("OS_AUTH_TOKEN=t", "token t"),
        ("OS_TOKEN=t OS_AUTH_TOKEN=u", "token t"),
        ("HW_AUTH_TOKEN=t", "token t"),
        ("OS_ACCESS_KEY=a OS_SECRET_KEY=s", "key a s -"),
        ("OS_AK=a OS_SK=s OS_SECURITY_TOKEN=x", "key a s x"),
        ("HW_ACCESS_KEY=a HW_SECRET_KEY=s HW_SECURITY_TOKEN=x", "key a s x"),
        ("HUAWEICLOUD_SDK_AK=a HUAWEICLOUD_SDK_SK=s", "key a s -"),
        ("HUAWEICLOUD_SDK_AK=a HUAWEICLOUD_SDK_SK=s HUAWEICLOUD_SDK_SECURITY_TOKEN=x", "key a s x"),
        (
            "OS_AUTH_URL=https://iam OS_USERNAME=u OS_PASSWORD=p OS_USER_DOMAIN_NAME=d OS_PROJECT_NAME=n",
            "password p of u in d for n at https://iam code -",
        ),
        (
            "OS_AUTH_URL=https://iam OS_USERNAME=u OS_PASSWORD=p OS_DOMAIN_ID=d OS_TENANT_ID=n OS_PASSCODE=1",
            "password p of u in #d for #n at https://iam code 1",
        ),
        (
            "OS_AUTH_URL=https://iam OS_USER_ID=u OS_PASSWORD=p OS_TENANT_NAME=n",
            "password p of #u in - for n at https://iam code -",
        ),
        (
            "HW_AUTH_URL=https://iam HW_USER_NAME=u HW_USER_PASSWORD=p HW_DOMAIN_NAME=d HW_PROJECT_NAME=n",
            "password p of u in d for n at https://iam code -",
        ),
    ] {
        assert_eq!(auth(&load(row, &[]).unwrap()), expected, "{row}");
    }
}

#[test]
fn each_domain_variable_counts_in_its_order() {
    let names = [
        ("OS_USER_DOMAIN_ID", "#"),
        ("OS_DOMAIN_ID", "#"),
        ("OS_USER_DOMAIN_NAME", ""),
        ("OS_DOMAIN_NAME", ""),
        ("OS_PROJECT_DOMAIN_ID", "#"),
        ("OS_PROJECT_DOMAIN_NAME", ""),
        ("OS_DEFAULT_DOMAIN_ID", "#"),
        ("OS_DEFAULT_DOMAIN_NAME", ""),
        ("OS_DEFAULT_DOMAIN", ""),
    ];
    let mut row = "OS_AUTH_URL=https://iam OS_USERNAME=u OS_PASSWORD=p OS_PROJECT_ID=n".to_owned();
    for (name, mark) in names.into_iter().rev() {
        row += &format!(" {name}=of-{name}");
        let found = auth(&load(&row, &[]).unwrap());
        assert!(found.contains(&format!(" in {mark}of-{name} for ")), "{name}: {found}");
    }
}

#[test]
fn the_first_family_with_a_credential_gives_it() {
    let sdk = "HUAWEICLOUD_SDK_AK=sdk HUAWEICLOUD_SDK_SK=s";
    let hw = "HW_ACCESS_KEY=hw HW_SECRET_KEY=s";
    let os = "OS_ACCESS_KEY=os OS_SECRET_KEY=s";
    let own = "CFW_TOKEN=own";
    for (row, expected) in [
        (format!("{sdk} {hw} {os} {own}"), "token own"),
        (format!("{sdk} {hw} {os}"), "key os s -"),
        (format!("{sdk} {hw}"), "key hw s -"),
        (sdk.to_owned(), "key sdk s -"),
        // Two families are not one contradiction.
        (format!("{own} OS_PASSWORD=p"), "token own"),
        ("OS_TOKEN=t HW_USER_PASSWORD=p".to_owned(), "token t"),
        // Object storage wants a key beside whatever signs in.
        (format!("{os} OS_TOKEN=t"), "token t"),
        (format!("{os} OS_USERNAME=u OS_PASSWORD=p"), "key os s -"),
        // Nothing is unset.
        (format!("{os} CFW_TOKEN= OS_TOKEN= HW_AUTH_TOKEN="), "key os s -"),
    ] {
        assert_eq!(auth(&load(&row, &[]).unwrap()), expected, "{row}");
    }
}

#[test]
fn a_credential_is_completed_from_its_own_family() {
    let os = "OS_REGION_NAME=os-1 OS_PROJECT_ID=os OS_AUTH_URL=https://os";
    let hw = "HW_REGION_NAME=hw-1 HW_PROJECT_ID=hw HW_AUTH_URL=https://hw HW_CLOUD=hw.example";
    let sdk = "HUAWEICLOUD_SDK_PROJECT_ID=sdk HUAWEICLOUD_SDK_IAM_ENDPOINT=https://sdk";
    let seen = |row: &str| {
        let s = load(row, &[]).unwrap();
        let part = |value: Option<&str>| value.unwrap_or("-").to_owned();
        [part(s.region()), part(s.project_id()), part(s.auth_url()), part(s.cloud_domain())]
            .join(" ")
    };
    for (row, expected) in [
        (format!("OS_TOKEN=t {os} {hw} {sdk}"), "os-1 os https://os -"),
        (format!("OS_TOKEN=t {hw} {sdk}"), "- - - -"),
        (format!("HW_AUTH_TOKEN=t {os} {hw} {sdk}"), "hw-1 hw https://hw hw.example"),
        (format!("HW_AUTH_TOKEN=t {os} {sdk}"), "- - - -"),
        (
            format!("HUAWEICLOUD_SDK_AK=a HUAWEICLOUD_SDK_SK=s {os} {hw} {sdk}"),
            "hw-1 sdk https://sdk -",
        ),
        (format!("HUAWEICLOUD_SDK_AK=a HUAWEICLOUD_SDK_SK=s {os}"), "- - - -"),
        // Our own token belongs to one family, too.
        (format!("CFW_TOKEN=t {os} {hw} {sdk}"), "os-1 os https://os -"),
        (format!("CFW_TOKEN=t {hw} {sdk}"), "hw-1 hw https://hw hw.example"),
        (format!("CFW_TOKEN=t {sdk}"), "- sdk https://sdk -"),
        (format!("OS_TOKEN=t CFW_PROJECT_ID=own {os}"), "os-1 own https://os -"),
    ] {
        assert_eq!(seen(&row), expected, "{row}");
    }
}

#[test]
fn huaweis_variables_name_huawei_cloud() {
    let key = "HW_ACCESS_KEY=a HW_SECRET_KEY=s";
    let sdk = "HUAWEICLOUD_SDK_AK=a HUAWEICLOUD_SDK_SK=s HUAWEICLOUD_SDK_PROJECT_ID=p";
    for row in [format!("{key} HW_REGION_NAME=EU-DE"), format!("{sdk} HW_REGION_NAME=eu-de")] {
        let error = load(&row, &[]).unwrap_err().to_string();
        assert!(error.starts_with("HW_REGION_NAME names a region of another cloud"), "{error}");
    }
    for row in [
        format!("{key} HW_REGION_NAME=eu-de HW_CLOUD=otc.t-systems.com"),
        format!("{key} HW_REGION_NAME=eu-de HW_AUTH_URL=https://iam.eu-de.otc.t-systems.com"),
        format!("{key} HW_REGION_NAME=eu-west-101"),
        format!("{sdk} HW_REGION_NAME=cn-north-4"),
        format!("{key} HW_REGION_NAME=my-own"),
    ] {
        load(&row, &[]).unwrap();
    }
    // The domain of one family is not for the key of another.
    let settings = load(&format!("{sdk} HW_REGION_NAME=cn-north-4 HW_CLOUD=orange.example"), &[]);
    assert_eq!(settings.unwrap().cloud_domain(), None);
}

#[test]
fn an_unused_url_of_iam_does_not_stand_in_the_way() {
    for url in ["iam.example.com:443/v3", "http://iam.example", "nonsense", "https://u:p@iam"] {
        let row = format!(
            "OS_ACCESS_KEY=a OS_SECRET_KEY=s OS_PROJECT_ID=p CFW_ENDPOINT=https://cfw.example OS_AUTH_URL={url}"
        );
        let settings = load(&row, &[]).unwrap();
        let http = reqwest::Client::builder();
        #[cfg(any(feature = "rustls", feature = "native-tls"))]
        let http = http.tls_certs_only([]);
        let client =
            crate::Client::builder().settings(&settings).http_client(http.build().unwrap());
        client.build().unwrap();
        assert!(!format!("{settings:?}").contains("u:p"));
    }
}

#[test]
fn a_key_that_cannot_work_does_not_displace_a_credential_that_can() {
    let key = "OS_ACCESS_KEY=a OS_SECRET_KEY=s";
    let login = "OS_AUTH_URL=https://iam OS_USERNAME=u OS_PASSWORD=p OS_USER_DOMAIN_NAME=d";
    let password = "password p of u in d for n at https://iam code -";
    for (row, expected) in [
        (format!("{key} {login} OS_PROJECT_NAME=n"), password),
        (format!("OS_ACCESS_KEY=half {login} OS_PROJECT_NAME=n"), password),
        // Without a project the login is not complete.
        (format!("{key} {login} OS_REGION_NAME=eu-de"), "key a s -"),
        (
            format!("{key} HW_ACCESS_KEY=ha HW_SECRET_KEY=hs HW_REGION_NAME=cn-north-4"),
            "key ha hs -",
        ),
        (format!("{key} HW_ACCESS_KEY=ha HW_SECRET_KEY=hs"), "key a s -"),
        ("OS_ACCESS_KEY=half HW_AUTH_TOKEN=t".to_owned(), "token t"),
        ("OS_USERNAME=u HW_AUTH_TOKEN=t".to_owned(), "token t"),
    ] {
        assert_eq!(auth(&load(&row, &[]).unwrap()), expected, "{row}");
    }
}

#[test]
fn the_type_chooses_the_credential() {
    let all = "OS_TOKEN=t OS_AUTH_URL=https://iam OS_USERNAME=u OS_PASSWORD=p OS_USER_DOMAIN_NAME=d \
               OS_PROJECT_NAME=n OS_APPLICATION_CREDENTIAL_NAME=an OS_APPLICATION_CREDENTIAL_SECRET=as";
    for (auth_type, expected) in [
        ("password", "password p of u in d for n at https://iam code -"),
        ("v3password", "password p of u in d for n at https://iam code -"),
        ("token", "token t"),
        ("v3token", "token t"),
        ("v3applicationcredential", "application an as of u in d at https://iam"),
    ] {
        let row = format!("{all} OS_AUTH_TYPE={auth_type}");
        assert_eq!(auth(&load(&row, &[]).unwrap()), expected, "{auth_type}");
    }
    for auth_type in
        ["v3oidcpassword", "v3samlpassword", "v3kerberos", "v3adfspassword", "http_basic"]
    {
        let row = format!("{all} OS_AUTH_TYPE={auth_type} HW_AUTH_TOKEN=h");
        let error = load(&row, &[]).unwrap_err().to_string();
        let expected = format!("OS_AUTH_TYPE is \"{auth_type}\", which is not supported");
        assert!(error.starts_with(&expected), "{error}");
    }
    let mfa = format!("{all} OS_AUTH_TYPE=v3multifactor OS_PASSCODE=1");
    let methods = format!("{mfa} OS_AUTH_METHODS=v3password,v3totp");
    assert!(auth(&load(&methods, &[]).unwrap()).ends_with("code 1"));
    let error = load(&format!("{mfa} OS_AUTH_METHODS=v3password,v3oidc"), &[]).unwrap_err();
    assert!(error.to_string().starts_with("OS_AUTH_METHODS lists \"v3oidc\""), "{error}");
    let error = load(&format!("{all} OS_AUTH_TYPE=v3multifactor"), &[]).unwrap_err();
    assert!(error.to_string().ends_with("belongs to it: OS_PASSCODE"), "{error}");
    // It is enough that there is a secret for programs, if nothing else is set.
    let row = "OS_AUTH_URL=https://iam OS_APPLICATION_CREDENTIAL_ID=ai OS_APPLICATION_CREDENTIAL_SECRET=as";
    assert_eq!(auth(&load(row, &[]).unwrap()), "application #ai as of - at https://iam");
    // Its project is its own.
    let settings = load(&format!("{row} OS_PROJECT_ID=old"), &[]).unwrap();
    assert_eq!(settings.project_id(), None);
    let settings = load(&format!("{row} OS_PROJECT_ID=old CFW_PROJECT_ID=own"), &[]).unwrap();
    assert_eq!(settings.project_id(), Some("own"));
    let error = load(&format!("{row} OS_PASSWORD=old"), &[]).unwrap_err().to_string();
    assert!(error.ends_with("or say which counts with OS_AUTH_TYPE"), "{error}");
}

#[test]
fn white_space_and_byte_order_marks_are_dropped_and_control_characters_refused() {
    let load = |pairs: &[(&str, &str)]| {
        let lookup = |name: &str| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::from_lookup(lookup)
    };
    let settings = load(&[
        ("OS_USERNAME", "u\r"),
        ("OS_PASSWORD", " p\u{feff}\r\n"),
        ("OS_USER_DOMAIN_NAME", "\u{feff}d"),
        ("OS_PROJECT_NAME", "n \r\n"),
        ("OS_AUTH_URL", " https://iam\n"),
        ("OS_CACERT", "\u{feff}/ca.pem\r"),
        ("OS_REGION_NAME", "\teu-de "),
        ("OS_PASSCODE", "1\n"),
    ])
    .unwrap();
    let expected = "password  p\u{feff}\r\n of u in d for n at https://iam code 1";
    assert_eq!(auth(&settings), expected, "only a password is sent as it is");
    assert_eq!(settings.region(), Some("eu-de"));
    assert_eq!(settings.ca_file(), Some(std::path::Path::new("/ca.pem")));
    assert_eq!(
        settings.warnings(),
        ["OS_PASSWORD ends in a line break, which is sent as part of the password"]
    );
    assert_eq!(auth(&load(&[("CFW_TOKEN", "\u{feff}abc\n")]).unwrap()), "token abc");
    assert_eq!(auth(&load(&[("CFW_TOKEN", "\u{feff}\n"), ("OS_TOKEN", "t")]).unwrap()), "token t");
    let key = load(&[("OS_AK", " a\r\n"), ("OS_SK", "\u{feff}s\r\n")]).unwrap();
    assert_eq!(auth(&key), "key a s -");
    for name in ["CFW_TOKEN", "OS_TOKEN", "OS_PROJECT_ID", "CFW_PROJECT_ID", "OS_REGION"] {
        let pairs = [(name, "SENSI\nTIVE"), ("OS_TOKEN", "t")];
        let error = load(&pairs).unwrap_err().to_string();
        assert_eq!(error, format!("{name} holds a control character"));
    }
}

#[test]
fn the_sdks_file_gives_a_key_if_no_variable_does() {
    const FILE: &str = "/h/.huaweicloud/credentials";
    let text = "[global]\nak = no\nsk = no\n[basic]\nak = a\r\nsk : s\nproject_id=p\niam_endpoint = https://iam\nother = x\n";
    let settings = load("HOME=/h HW_REGION_NAME=cn-north-4", &[(FILE, text)]).unwrap();
    assert_eq!(auth(&settings), "key a s -");
    let seen = (settings.project_id(), settings.auth_url(), settings.region());
    assert_eq!(seen, (Some("p"), Some("https://iam"), Some("cn-north-4")));
    assert!(format!("{settings:?}").contains("ak in /h/.huaweicloud/credentials (redacted)"));

    let moved = "HOME=/h HUAWEICLOUD_SDK_CREDENTIALS_FILE=/c";
    assert_eq!(
        auth(&load(moved, &[("/c", "[basic]\nak=b\nsk=t\n"), (FILE, text)]).unwrap()),
        "key b t -"
    );
    let error = load(moved, &[(FILE, text)]).unwrap_err().to_string();
    assert_eq!(error, "cannot read /c, which HUAWEICLOUD_SDK_CREDENTIALS_FILE names");
    let other = load(&format!("{moved} OS_TOKEN=t"), &[]).unwrap();
    assert_eq!(auth(&other), "token t", "the file is not needed");
    // Variables precede it, whole families first.
    let row = "HOME=/h HUAWEICLOUD_SDK_AK=v HUAWEICLOUD_SDK_SK=w";
    assert_eq!(auth(&load(row, &[(FILE, text)]).unwrap()), "key v w -");
    assert_eq!(auth(&load("HOME=/h OS_TOKEN=t", &[(FILE, text)]).unwrap()), "token t");
    assert!(load("HOME=/h HUAWEICLOUD_SDK_AK=v", &[(FILE, text)]).is_err(), "halves do not mix");

    // What belongs to a key is in the file of the key. A session of another key must not go where the file says.
    let other = "HOME=/h HUAWEICLOUD_SDK_SECURITY_TOKEN=other HUAWEICLOUD_SDK_PROJECT_ID=other \
                 HUAWEICLOUD_SDK_IAM_ENDPOINT=https://other";
    let whole = "[basic]\nak=a\nsk=s\nproject_id=p\niam_endpoint=https://iam\n";
    let settings = load(other, &[(FILE, whole)]).unwrap();
    assert_eq!(auth(&settings), "key a s -");
    assert_eq!((settings.project_id(), settings.auth_url()), (Some("p"), Some("https://iam")));
    let settings = load(other, &[(FILE, "[basic]\nak=a\nsk=s\n")]).unwrap();
    assert_eq!((auth(&settings), settings.auth_url()), ("key a s -".to_owned(), None));
}

#[test]
fn a_projects_id_and_name_come_from_one_place() {
    let settings =
        load("HW_AUTH_TOKEN=t HW_PROJECT_NAME=eu-west-101_a OS_PROJECT_ID=other", &[]).unwrap();
    assert_eq!((settings.project_id(), settings.project_name()), (None, Some("eu-west-101_a")));

    let settings = load("OS_TOKEN=t OS_PROJECT_NAME=eu-de_a CFW_PROJECT_ID=mine", &[]).unwrap();
    assert_eq!((settings.project_id(), settings.project_name()), (Some("mine"), None));
}

#[test]
fn a_published_region_can_be_read_off_the_projects_name() {
    for (row, expected) in [
        ("OS_PROJECT_NAME=eu-de_team_a", Some("eu-de")),
        ("OS_PROJECT_NAME=EU-NL", Some("eu-nl")),
        ("OS_PROJECT_NAME=cn-north-4", Some("cn-north-4")),
        ("OS_PROJECT_NAME=team", None),
        ("OS_PROJECT_NAME=my-project", None),
        ("OS_PROJECT_NAME=xx-yy-1_x", None),
        ("OS_PROJECT_NAME=eu-de_team OS_REGION=eu-nl", Some("eu-nl")),
        ("OS_PROJECT_NAME=eu-de_team OS_REGION=RegionOne", Some("RegionOne")),
        ("OS_REGION=a-1 OS_REGION_NAME=b-1", Some("b-1")),
    ] {
        assert_eq!(load(&format!("OS_TOKEN=t {row}"), &[]).unwrap().region(), expected, "{row}");
    }
}

#[test]
fn the_other_variables_are_read() {
    let row = "OS_TOKEN=t CFW_ENDPOINT=http://127.0.0.1:8080 OS_CACERT=~/ca.pem OS_INTERFACE=internalURL HOME=/h/";
    let settings = load(row, &[]).unwrap();
    assert_eq!(settings.endpoint(), Some("http://127.0.0.1:8080"));
    assert_eq!(settings.ca_file(), Some(std::path::Path::new("/h/ca.pem")));
    assert_eq!(settings.interfaces(), ["internal"]);
    assert!(!settings.insecure());
    for (value, insecure) in
        [("true", true), ("1", true), ("Yes", true), ("0", false), ("FALSE", false), ("", false)]
    {
        let settings = load(&format!("OS_TOKEN=t OS_INSECURE={value}"), &[]).unwrap();
        assert_eq!(settings.insecure(), insecure, "{value}");
    }
    // Our own token and endpoint have our own certificates, not another cloud's.
    let own = "CFW_TOKEN=t CFW_ENDPOINT=https://cfw.example";
    let settings =
        load(&format!("{own} OS_INSECURE=true OS_CACERT=/os.pem OS_CERT=/c"), &[]).unwrap();
    assert_eq!(
        (settings.insecure(), settings.ca_file(), settings.client_cert()),
        (false, None, None)
    );
    let settings = load(&format!("{own} CFW_INSECURE=true CFW_CACERT=/own.pem"), &[]).unwrap();
    assert_eq!(
        (settings.insecure(), settings.ca_file()),
        (true, Some(std::path::Path::new("/own.pem")))
    );
    for (row, endpoint) in [
        ("OS_CFW_ENDPOINT_OVERRIDE=https://a.example/v3/%(project_id)s", "https://a.example/"),
        ("OS_CFW_ENDPOINT=https://a.example/gw/v1", "https://a.example/gw"),
        (
            "OS_CFWV1_ENDPOINT_OVERRIDE=https://{region_name}.a.example OS_REGION_NAME=r",
            "https://r.a.example/",
        ),
        (
            "OS_CFW_ENDPOINT=https://a.example CFW_ENDPOINT=https://own.example",
            "https://own.example",
        ),
    ] {
        assert_eq!(
            load(&format!("OS_TOKEN=t {row}"), &[]).unwrap().endpoint(),
            Some(endpoint),
            "{row}"
        );
    }
    // Another family's endpoint is not for this credential.
    assert_eq!(
        load("HW_AUTH_TOKEN=t OS_CFW_ENDPOINT=https://a.example", &[]).unwrap().endpoint(),
        None
    );
}

#[test]
fn amazons_keys_are_never_taken() {
    let row = "AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=s AWS_SESSION_TOKEN=x AWS_ACCESS_KEY=a AWS_SECRET_KEY=s";
    assert!(load(row, &[]).unwrap_err().to_string().starts_with("no credentials: "));
}

#[test]
fn what_is_wrong_is_named() {
    let whole =
        "OS_USERNAME=u OS_PASSWORD=p OS_USER_DOMAIN_NAME=d OS_PROJECT_ID=n OS_AUTH_URL=https://iam";
    let without = |name: &str| {
        whole.split(' ').filter(|pair| !pair.starts_with(name)).collect::<Vec<_>>().join(" ")
    };
    for (row, expected) in [
        (
            String::new(),
            "no credentials: set CFW_TOKEN or OS_TOKEN, or OS_ACCESS_KEY and OS_SECRET_KEY, or OS_USERNAME and \
             OS_PASSWORD, or their HW_* or HUAWEICLOUD_SDK_* counterparts, or OS_CLOUD to name an entry of clouds.yaml",
        ),
        (
            "OS_TOKEN=t OS_PASSWORD=p".to_owned(),
            "both OS_TOKEN and OS_PASSWORD are set, which are two ways to sign in: unset one, or say which counts with OS_AUTH_TYPE",
        ),
        (
            "HW_AUTH_TOKEN=t HW_USER_PASSWORD=p".to_owned(),
            "both HW_AUTH_TOKEN and HW_USER_PASSWORD are set, which are two ways to sign in: unset one, or say which counts with OS_AUTH_TYPE",
        ),
        (
            "OS_ACCESS_KEY=a".to_owned(),
            "OS_ACCESS_KEY is set, but not what belongs to it: OS_SECRET_KEY or OS_SK",
        ),
        (
            "HUAWEICLOUD_SDK_SK=s".to_owned(),
            "HUAWEICLOUD_SDK_SK is set, but not what belongs to it: HUAWEICLOUD_SDK_AK",
        ),
        (
            "OS_PASSWORD=p".to_owned(),
            "OS_PASSWORD is set, but not what belongs to it: OS_AUTH_URL; OS_USER_ID or OS_USERNAME; \
             OS_USER_DOMAIN_ID or OS_DOMAIN_ID; OS_PROJECT_ID or OS_PROJECT_NAME",
        ),
        (without("OS_AUTH_URL"), "OS_PASSWORD is set, but not what belongs to it: OS_AUTH_URL"),
        (
            without("OS_USERNAME"),
            "OS_PASSWORD is set, but not what belongs to it: OS_USER_ID or OS_USERNAME",
        ),
        (
            without("OS_USER_DOMAIN"),
            "OS_PASSWORD is set, but not what belongs to it: OS_USER_DOMAIN_ID or OS_DOMAIN_ID",
        ),
        (
            without("OS_PROJECT"),
            "OS_PASSWORD is set, but not what belongs to it: OS_PROJECT_ID or OS_PROJECT_NAME",
        ),
        (without("OS_PASSWORD"), "OS_USERNAME is set, but not what belongs to it: OS_PASSWORD"),
        (
            "HW_USER_PASSWORD=p HW_USER_NAME=u HW_PROJECT_ID=n".to_owned(),
            "HW_USER_PASSWORD is set, but not what belongs to it: HW_AUTH_URL; HW_DOMAIN_ID or HW_DOMAIN_NAME",
        ),
        (
            format!("{} OS_AUTH_URL=iam.example.com:443/v3", without("OS_AUTH_URL")),
            "OS_AUTH_URL is not a usable URL: it has no scheme, such as https://",
        ),
        (
            "OS_TOKEN=t CFW_ENDPOINT=ftp://cfw".to_owned(),
            "CFW_ENDPOINT is not a usable URL: its scheme is neither https nor http",
        ),
        (
            format!("{} OS_AUTH_URL=https://u:p@iam", without("OS_AUTH_URL")),
            "OS_AUTH_URL is not a usable URL: it holds a user or a password",
        ),
        (
            format!("{} OS_AUTH_URL=https://u@iam", without("OS_AUTH_URL")),
            "OS_AUTH_URL is not a usable URL: it holds a user or a password",
        ),
        (
            format!("{} OS_AUTH_URL=https://iam:port", without("OS_AUTH_URL")),
            "OS_AUTH_URL is not a usable URL: invalid port number",
        ),
        ("OS_TOKEN=t OS_INSECURE=maybe".to_owned(), "OS_INSECURE is neither true nor false"),
    ] {
        assert_eq!(load(&row, &[]).unwrap_err().to_string(), expected, "{row}");
    }
    load(whole, &[]).unwrap();
}

#[test]
#[cfg(not(feature = "clouds-yaml"))]
fn os_cloud_is_not_passed_over_in_silence() {
    let error = load("OS_CLOUD=otc OS_TOKEN=t", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "OS_CLOUD is set, but this program was built without clouds.yaml (feature clouds-yaml of cfw-api)"
    );
    load("OS_CLOUD= OS_TOKEN=t", &[]).unwrap();
}

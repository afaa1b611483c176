//! Which credential variables give.

use super::{auth, load};

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
fn amazons_keys_are_never_taken() {
    let row = "AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=s AWS_SESSION_TOKEN=x AWS_ACCESS_KEY=a AWS_SECRET_KEY=s";
    assert!(load(row, &[]).unwrap_err().to_string().starts_with("no credentials: "));
}

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
        ("OS_USER_DOMAIN_NAME", ""),
        ("OS_USER_DOMAIN_ID", "#"),
        ("OS_PROJECT_DOMAIN_NAME", ""),
        ("OS_PROJECT_DOMAIN_ID", "#"),
        ("OS_DOMAIN_NAME", ""),
        ("OS_DOMAIN_ID", "#"),
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
        (format!("HW_AUTH_TOKEN=t {os} {sdk}"), "os-1 os https://os -"),
        (
            format!("HUAWEICLOUD_SDK_AK=a HUAWEICLOUD_SDK_SK=s {os} {hw} {sdk}"),
            "hw-1 sdk https://sdk hw.example",
        ),
        (format!("HUAWEICLOUD_SDK_AK=a HUAWEICLOUD_SDK_SK=s {os}"), "os-1 os https://os -"),
        (format!("CFW_TOKEN=t {os} {hw} {sdk}"), "os-1 os https://os hw.example"),
        (format!("OS_TOKEN=t CFW_PROJECT_ID=own {os}"), "os-1 own https://os -"),
    ] {
        assert_eq!(seen(&row), expected, "{row}");
    }
}

#[test]
fn a_projects_id_and_name_come_from_one_place() {
    let settings =
        load("HW_AUTH_TOKEN=t HW_PROJECT_NAME=eu-west-101_a OS_PROJECT_ID=other", &[]).unwrap();
    assert_eq!((settings.project_id(), settings.project_name()), (None, Some("eu-west-101_a")));

    let settings = load("OS_TOKEN=t OS_PROJECT_NAME=eu-de_a CFW_PROJECT_ID=mine", &[]).unwrap();
    assert_eq!((settings.project_id(), settings.project_name()), (Some("mine"), None));
    assert_eq!(settings.region(), Some("eu-de"));
}

#[test]
fn a_region_can_be_read_off_the_projects_name() {
    for (row, expected) in [
        ("OS_PROJECT_NAME=eu-de_team_a", Some("eu-de")),
        ("OS_PROJECT_NAME=eu-nl", Some("eu-nl")),
        ("OS_PROJECT_NAME=team", None),
        ("OS_PROJECT_NAME=My-Team_x", None),
        ("OS_PROJECT_NAME=eu-de_team OS_REGION=eu-nl", Some("eu-nl")),
        ("OS_REGION=a-1 OS_REGION_NAME=b-1", Some("b-1")),
    ] {
        assert_eq!(load(&format!("OS_TOKEN=t {row}"), &[]).unwrap().region(), expected, "{row}");
    }
}

#[test]
fn the_other_variables_are_read() {
    let row = "CFW_TOKEN=t CFW_ENDPOINT=http://127.0.0.1:8080 OS_CACERT=/etc/ca.pem OS_INTERFACE=internalURL";
    let settings = load(row, &[]).unwrap();
    assert_eq!(settings.endpoint(), Some("http://127.0.0.1:8080"));
    assert_eq!(settings.ca_file(), Some(std::path::Path::new("/etc/ca.pem")));
    assert_eq!(settings.interface(), Some("internal"));
    assert!(!settings.insecure());
    for (value, insecure) in
        [("true", true), ("1", true), ("Yes", true), ("0", false), ("FALSE", false), ("", false)]
    {
        let settings = load(&format!("OS_TOKEN=t OS_INSECURE={value}"), &[]).unwrap();
        assert_eq!(settings.insecure(), insecure, "{value}");
    }
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
            "both OS_TOKEN and OS_PASSWORD are set, which are two ways to sign in: unset one",
        ),
        (
            "HW_AUTH_TOKEN=t HW_USER_PASSWORD=p".to_owned(),
            "both HW_AUTH_TOKEN and HW_USER_PASSWORD are set, which are two ways to sign in: unset one",
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
             OS_USER_DOMAIN_NAME or OS_USER_DOMAIN_ID; OS_PROJECT_ID or OS_PROJECT_NAME",
        ),
        (without("OS_AUTH_URL"), "OS_PASSWORD is set, but not what belongs to it: OS_AUTH_URL"),
        (
            without("OS_USERNAME"),
            "OS_PASSWORD is set, but not what belongs to it: OS_USER_ID or OS_USERNAME",
        ),
        (
            without("OS_USER_DOMAIN"),
            "OS_PASSWORD is set, but not what belongs to it: OS_USER_DOMAIN_NAME or OS_USER_DOMAIN_ID",
        ),
        (
            without("OS_PROJECT"),
            "OS_PASSWORD is set, but not what belongs to it: OS_PROJECT_ID or OS_PROJECT_NAME",
        ),
        (without("OS_PASSWORD"), "OS_USERNAME is set, but not what belongs to it: OS_PASSWORD"),
        (
            "HW_USER_PASSWORD=p HW_USER_NAME=u HW_PROJECT_ID=n".to_owned(),
            "HW_USER_PASSWORD is set, but not what belongs to it: HW_AUTH_URL; HW_DOMAIN_NAME or HW_DOMAIN_ID",
        ),
        (
            "OS_TOKEN=t OS_AUTH_URL=iam.example.com:443/v3".to_owned(),
            "OS_AUTH_URL is not a usable URL: it has no scheme, such as https://",
        ),
        (
            "OS_TOKEN=t CFW_ENDPOINT=ftp://cfw".to_owned(),
            "CFW_ENDPOINT is not a usable URL: its scheme is neither https nor http",
        ),
        (
            "OS_TOKEN=t OS_AUTH_URL=https://u:p@iam".to_owned(),
            "OS_AUTH_URL is not a usable URL: it holds a user or a password",
        ),
        (
            "OS_TOKEN=t OS_AUTH_URL=https://u@iam".to_owned(),
            "OS_AUTH_URL is not a usable URL: it holds a user or a password",
        ),
        (
            "OS_TOKEN=t OS_AUTH_URL=https://iam:port".to_owned(),
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

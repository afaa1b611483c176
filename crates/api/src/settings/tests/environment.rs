//! What else variables give, and what is wrong with them.

use super::{auth, load};
use crate::settings::Settings;

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

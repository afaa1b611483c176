use super::*;
use crate::IdOrName;

fn catalog_query(wanted: bool, region: Option<&str>) -> CatalogQuery {
    CatalogQuery {
        wanted,
        region: region.map(str::to_owned),
        interface: "public".to_owned(),
        allow_plain_http: false,
    }
}

fn login(password: Password) -> Value {
    let iam = PasswordLogin::new(password, catalog_query(true, None))
        .map_err(|error| error.to_string())
        .unwrap();
    serde_json::from_str(iam.body.expose_secret()).unwrap()
}

#[test]
fn a_login_names_user_and_project_by_id_or_name() {
    let id =
        Password::new("http://localhost", User::Id("u".into()), "p w", IdOrName::Id("p".into()));
    let expected = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"id": "u", "password": "p w"}}},
        "scope": {"project": {"id": "p"}},
    }});
    assert_eq!(login(id), expected);
    let user = User::Name { name: "u".into(), domain: IdOrName::Id("d".into()) };
    let name = Password::new("http://localhost", user, "p", IdOrName::Name("eu-de_x".into()))
        .passcode(" 123456\n");
    let user =
        |key: &str, value: &str| json!({"user": {"name": "u", "domain": {"id": "d"}, key: value}});
    let expected = json!({"auth": {
        "identity": {
            "methods": ["password", "totp"], "password": user("password", "p"), "totp": user("passcode", "123456"),
        },
        "scope": {"project": {"name": "eu-de_x"}},
    }});
    assert_eq!(login(name), expected);
}

#[test]
fn the_auth_url_may_end_in_its_version() {
    let url = |auth_url: &str, wants_catalog| {
        let password = Password::new(auth_url, User::Id("u".into()), "p", IdOrName::Id("p".into()));
        PasswordLogin::new(password, catalog_query(wants_catalog, None))
            .map(|iam| iam.url.to_string())
            .map_err(|error| error.to_string())
    };
    for auth_url in [
        "https://iam.example",
        "https://iam.example/",
        "https://iam.example/v3",
        "https://iam.example/v3/",
    ] {
        assert_eq!(url(auth_url, true).unwrap(), "https://iam.example/v3/auth/tokens");
        assert_eq!(url(auth_url, false).unwrap(), "https://iam.example/v3/auth/tokens?nocatalog=1");
    }
    let base = url("https://iam.example:443/identity/v3", true).unwrap();
    assert_eq!(base, "https://iam.example/identity/v3/auth/tokens");
    assert!(
        url("iam.example", true)
            .unwrap_err()
            .starts_with(r#"auth_url "iam.example": has no scheme"#)
    );
    assert!(
        url("http://iam.example", true)
            .unwrap_err()
            .starts_with(r#"auth_url "http://iam.example": is plain http"#)
    );
}

#[test]
fn an_empty_part_is_named() {
    let (user, project) = (|| User::Id("u".into()), || IdOrName::Id("p".into()));
    let named = |name: &str, domain: &str| User::Name {
        name: name.into(),
        domain: IdOrName::Name(domain.into()),
    };
    let rows = [
        (Password::new("http://localhost", user(), "", project()), "password: is empty"),
        (
            Password::new("http://localhost", User::Id(String::new()), "p", project()),
            "user: is empty",
        ),
        (Password::new("http://localhost", named("", "d"), "p", project()), "user: is empty"),
        (
            Password::new("http://localhost", named("u", ""), "p", project()),
            "user_domain: is empty",
        ),
        (
            Password::new("http://localhost", user(), "p", IdOrName::Name(String::new())),
            "project: is empty",
        ),
        (
            Password::new("http://localhost", user(), "p", project()).passcode(" "),
            "passcode: is empty",
        ),
    ];
    for (password, message) in rows {
        assert_eq!(
            PasswordLogin::new(password, catalog_query(false, None)).err().unwrap().to_string(),
            message
        );
    }
}

#[test]
fn the_catalog_gives_the_newest_version_in_the_right_region() {
    let entry = |kind: &str, region: &str, interface: &str| {
        let url = format!("https://{kind}.{region}.{interface}.example");
        json!({"type": kind, "endpoints": [{"url": url, "region": region, "interface": interface}]})
    };
    let all = [
        entry("vpc", "eu-de", "public"),
        entry("cfw", "eu-de", "public"),
        entry("cfwv1", "eu-de", "public"),
        entry("cfwv2", "eu-nl", "public"),
        entry("cfwv3", "eu-nl", "internal"),
        entry("cfwv3", "*", "admin"),
    ];
    let rows = [
        (&all[..], Some("eu-de"), Some("https://cfwv1.eu-de.public.example")),
        (&all[..], Some("eu-nl"), Some("https://cfwv2.eu-nl.public.example")),
        (&all[..], Some("cn-north-4"), None),
        (&all[..], None, Some("https://cfwv2.eu-nl.public.example")),
        (&all[..2], None, Some("https://cfw.eu-de.public.example")),
        (&all[..1], None, None),
        (&[entry("cfw", "*", "public")], Some("eu-de"), Some("https://cfw.*.public.example")),
        (
            &[json!({"type": "cfw", "endpoints": [{"url": "https://bare.example"}]})],
            None,
            Some("https://bare.example"),
        ),
        (
            &[json!({"type": "cfw", "endpoints": [{"url": "https://bare.example"}]})],
            Some("eu-de"),
            Some("https://bare.example"),
        ),
        (&[json!({"type": "cfw", "endpoints": null}), json!(7)], None, None),
    ];
    for (catalog, region, expected) in rows {
        assert_eq!(
            cfw_url(&json!({"catalog": catalog}), &catalog_query(true, region)),
            expected,
            "{region:?}"
        );
    }
    let internal = CatalogQuery { interface: "internal".to_owned(), ..catalog_query(true, None) };
    assert_eq!(
        cfw_url(&json!({"catalog": all}), &internal),
        Some("https://cfwv3.eu-nl.internal.example")
    );
    assert_eq!(cfw_url(&json!({"catalog": "none"}), &catalog_query(true, None)), None);
}

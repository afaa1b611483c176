use super::*;
use crate::IdOrName;

fn catalog_query(wanted: bool, region: Option<&str>) -> CatalogQuery {
    CatalogQuery {
        wanted,
        region: region.map(str::to_owned),
        interfaces: vec!["public".to_owned()],
        allow_plain_http: false,
    }
}

fn login(password: Password) -> Value {
    let iam = Login::with_password(password, catalog_query(true, None))
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
        Login::with_password(password, catalog_query(wants_catalog, None))
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
            Login::with_password(password, catalog_query(false, None)).err().unwrap().to_string(),
            message
        );
    }
}

#[test]
fn an_application_credential_is_sent_without_a_scope() {
    let body = |credential| {
        let login = Login::with_application_credential(credential, catalog_query(true, None))
            .map_err(|error| error.to_string());
        login.map(|login| {
            serde_json::from_str::<Value>(login.body.expose_secret()).unwrap()["auth"].clone()
        })
    };
    let identity = |who: Value| json!({"identity": {"methods": ["application_credential"], "application_credential": who}});
    let by_id = ApplicationCredential::by_id("http://localhost/v3", "i", " s\r\n");
    assert_eq!(body(by_id), Ok(identity(json!({"id": "i", "secret": "s"}))));
    let user = User::Name { name: "u".into(), domain: IdOrName::Name("d".into()) };
    let by_name = ApplicationCredential::by_name("http://localhost", "n", user, "s");
    let user = json!({"name": "u", "domain": {"name": "d"}});
    assert_eq!(body(by_name), Ok(identity(json!({"name": "n", "secret": "s", "user": user}))));
    let empty = ApplicationCredential::by_id("http://localhost", "i", "");
    assert_eq!(body(empty).unwrap_err(), "application_credential_secret: is empty");
}

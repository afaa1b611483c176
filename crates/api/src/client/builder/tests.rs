use super::*;

fn complete() -> ClientBuilder {
    Client::builder()
        .endpoint("http://127.0.0.1:1")
        .project_id("0123456789abcdef0123456789abcdef")
        .credentials(Credentials::token("SENSITIVE"))
}

#[test]
fn a_bad_setting_is_named_with_its_value() {
    let zero = Duration::ZERO;
    let token = || Client::builder().credentials(Credentials::token("t"));
    let rows = [
        (Client::builder(), "credentials: are missing"),
        (token(), "endpoint: is missing, and no region is set"),
        (token().region("eu-ch2"), "endpoint: is missing, and region eu-ch2 has no known endpoint"),
        (token().region("eu de"), "endpoint: is missing, and region eu de has no known endpoint"),
        (
            token().region("eu-de").cloud_domain("a b"),
            "cloud_domain \"a b\": is no domain, such as myhuaweicloud.eu",
        ),
        (token().endpoint("http://127.0.0.1:1"), "project_id: is missing"),
        (complete().project_id("a/b"), "project_id \"a/b\": holds a '/'"),
        (complete().project_id(""), "project_id \"\": is empty"),
        (complete().connect_timeout(zero), "connect_timeout \"0s\": must be longer than nothing"),
        (complete().request_timeout(zero), "request_timeout \"0s\": must be longer than nothing"),
        (
            complete().user_agent("a\nb"),
            "user_agent \"a\\nb\": holds characters that no header can carry",
        ),
        (complete().credentials(Credentials::token(" \n")), "token: is empty"),
        (
            complete().credentials(Credentials::token("SENSI\nTIVE")),
            "token: holds characters that no header can carry",
        ),
    ];
    for (builder, message) in rows {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
    let error = complete().endpoint("nowhere").build().unwrap_err();
    assert_eq!((error.field(), error.value()), ("endpoint", Some("nowhere")));
}

#[test]
fn extremes_that_make_sense_are_taken() {
    let day = Duration::from_secs(86_400);
    complete().connect_timeout(Duration::MAX).request_timeout(Duration::MAX).build().unwrap();
    complete().connect_timeout(day).credentials(Credentials::token(" t\n")).build().unwrap();
}

#[test]
#[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
fn https_without_a_tls_feature_is_an_error_that_says_so() {
    let error = complete().endpoint("https://cfw.example.com").build().unwrap_err().to_string();
    assert!(error.starts_with(
        r#"endpoint "https://cfw.example.com/": is https, but cfw-api was built without"#
    ));
    let own = reqwest::Client::builder().build().unwrap();
    complete().endpoint("https://cfw.example.com").http_client(own).build().unwrap();
}

//! Nothing that can be printed holds a secret, however broken the file around it.

use std::error::Error;

use super::load;
use crate::settings::{Settings, SettingsError};

/// Halves of the marker `SENSITIVE`, in case damage hits its middle.
const MARKERS: [&str; 2] = ["SENS", "TIVE"];

fn printed(result: &Result<Settings, SettingsError>) -> String {
    let mut text = format!("{result:?} {result:#?}");
    let mut error = result.as_ref().err().map(|error| error as &dyn Error);
    while let Some(cause) = error {
        text += &format!(" {cause} {cause:?}");
        error = cause.source();
    }
    text
}

fn assert_silent(result: &Result<Settings, SettingsError>, about: &str) {
    let text = printed(result);
    assert!(!MARKERS.iter().any(|marker| text.contains(marker)), "{text}\n{about}");
}

#[test]
fn variables_that_hold_secrets_are_not_shown() {
    let whole = "OS_AUTH_URL=https://iam OS_USERNAME=u OS_USER_DOMAIN_NAME=d OS_PROJECT_ID=i";
    for row in [
        "CFW_TOKEN=SENSITIVE",
        "OS_AK=SENSITIVE OS_SK=SENSITIVE OS_SECURITY_TOKEN=SENSITIVE",
        "OS_AK=SENSITIVE",
        "OS_SK=SENSITIVE",
        "OS_TOKEN=SENSITIVE OS_PASSWORD=SENSITIVE",
        "OS_PASSWORD=SENSITIVE OS_PASSCODE=SENSITIVE",
        &format!("{whole} OS_PASSWORD=SENSITIVE OS_PASSCODE=SENSITIVE"),
        &format!("{whole}/?SENSITIVE=%zz OS_PASSWORD=SENSITIVE OS_INSECURE=SENSITIVE"),
        "OS_TOKEN=t OS_AUTH_URL=https://SENSITIVE:SENSITIVE@iam",
        "OS_TOKEN=t OS_AUTH_URL=SENSITIVE",
        "OS_TOKEN=t CFW_ENDPOINT=https://iam:SENSITIVE",
    ] {
        assert_silent(&load(row, &[]), row);
    }
}

#[test]
fn the_debug_output_says_where_the_credential_is_from() {
    let settings = load("OS_AK=a OS_SK=s OS_PROJECT_ID=i", &[]).unwrap();
    let text = format!("{settings:?}");
    assert!(
        text.contains("credential: OS_AK (redacted)") && text.contains("project_id: Some(\"i\")"),
        "{text}"
    );
}

#[cfg(feature = "clouds-yaml")]
mod files {
    use super::super::load;
    use super::{MARKERS, assert_silent};

    const FILES: [&str; 3] = [
        "clouds:\n  c:\n    verify: no\n    auth:\n      auth_url: https://iam\n      username: u\n      \
         password: SENSITIVE\n      project_id: i\n      domain_name: d\n",
        "x: &x\n  ak: SENSITIVE\n  sk: \"SENSITIVE\"\nclouds:\n  c:\n    auth:\n      <<: *x\n      \
         security_token: 'SENSITIVE'\n    region_name: r\n",
        "{\"clouds\": {\"b\": {}, \"c\": {\"auth\": {\"token\": \"SENSITIVE\"}, \"verify\": true}}}",
    ];

    /// Each file, damaged by every character of note at every place, and cut short there.
    #[test]
    fn damage_around_a_secret_does_not_show_it() {
        let (mut fine, mut broken) = (0, 0);
        let mut check = |text: &str| {
            let result = load("OS_CLIENT_CONFIG_FILE=/f OS_CLOUD=c", &[("/f", text)]);
            assert_silent(&result, text);
            if result.is_ok() { fine += 1 } else { broken += 1 }
        };
        for file in FILES {
            for (place, old) in file.char_indices() {
                let (before, from) = file.split_at(place);
                let after = from.strip_prefix(old).unwrap();
                check(before);
                check(&format!("{before}{after}"));
                for new in ":\n\t \"'{}[],&*#%!|>-?\\\u{0}é".chars() {
                    check(&format!("{before}{new}{after}"));
                    check(&format!("{before}{new}{from}"));
                }
            }
        }
        // Neither kind may be missing, else the test would show nothing.
        assert!(fine > 1_000 && broken > 1_000, "{fine} fine, {broken} broken");
    }

    #[test]
    fn a_secret_in_the_place_of_a_key_is_not_shown() {
        for text in [
            "clouds: {c: {auth: {password:SENSITIVE, username: u}}}",
            "clouds: {c: {auth: {SENSITIVE}}}",
            "clouds: {c: {auth: {SENSITIVE: {a: [}}}}",
            "clouds:\n  c:\n    auth:\n      ? SENSITIVE\n",
            "clouds: {c: {SENSITIVE: [*no]}}",
            "SENSITIVE: [*no]",
        ] {
            let result = load("OS_CLIENT_CONFIG_FILE=/f OS_CLOUD=c", &[("/f", text)]);
            assert!(result.is_err(), "{text}");
            assert_silent(&result, text);
            assert!(MARKERS.iter().all(|marker| text.contains(marker)));
        }
    }
}

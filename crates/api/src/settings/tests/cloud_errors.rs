use super::load;

const FILE: &str = "/h/.config/openstack/clouds.yaml";

#[test]
fn what_is_wrong_with_a_file_is_named_with_its_place() {
    let found = |text: &str| load("HOME=/h OS_CLOUD=c", &[(FILE, text)]).unwrap_err().to_string();
    for (text, expected) in [
        (
            "clouds:\n  c:\n    auth:\n      username: u\n      pasword: p\n",
            ", line 5, column 7: unknown key pasword, did you mean password?, at clouds.c.auth",
        ),
        (
            "clouds:\n  c:\n    auth:\n      usernam: u\n",
            ", line 4, column 7: unknown key usernam, did you mean username?, at clouds.c.auth",
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
    let unlike = found("clouds:\n  c:\n    auth:\n      something_else: i\n");
    let expected = format!(
        "{FILE}, line 4, column 7: unknown key; known are auth_url, token, auth_token, user_id, username, "
    );
    assert!(unlike.starts_with(&expected), "{unlike}");
}

#[test]
fn hostile_files_are_errors_and_no_more() {
    let bomb: String = (1..10)
        .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")))
        .collect();
    for text in [
        format!("a0: &a0 x\n{bomb}"),
        "[".repeat(200_000),
        format!("clouds: {}", "{c: ".repeat(200_000)),
    ] {
        let error = load("HOME=/h OS_CLOUD=c", &[(FILE, &text)]).unwrap_err().to_string();
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
                     ways to sign in: unset one, or say which counts with auth_type"
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
                     clouds.c.auth.user_domain_id or clouds.c.auth.domain_id in {FILE}"
            ),
        ),
        (
            "project_id: i",
            "HW_AUTH_TOKEN=t",
            format!(
                "no credentials in clouds.c of {FILE}: set token, or ak and sk, or username and password under \
                     its auth, in this file or in secure.yaml (beside OS_CLOUD no secret is taken from OS_* variables)"
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
    assert_eq!(error.to_string(), format!("clouds.c.verify in {FILE} is neither true nor false"));
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
                "clouds.prod.profile in {FILE} names \"acme\", which is no known vendor: known are otc, otc-swiss"
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
        &[(FILE, "clouds: {c: {auth: {token: t}}}")],
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "cannot read /no.yaml, which OS_CLIENT_CONFIG_FILE names");
    assert!(std::error::Error::source(&error).is_some());
}

//! Usage and configuration errors: one line with the flag and the value, and an exit code.

use std::io::Write as _;
use std::process::Stdio;

use cfw_simulator::JobScript;

use crate::support::{Folder, Running, add, bare_command, ms, run, simulator, wait_command};

#[test]
fn a_usage_error_is_one_line_and_exit_code_2() {
    let sim = simulator();
    for (args, message) in [
        (
            &[][..],
            "cfw-wait: no JOB_ID: name the jobs to wait for, or - to read their ids from standard input\n",
        ),
        (&["a\nb"], "cfw-wait: JOB_ID: invalid job id \"a\\nb\": holds a control character\n"),
        (&["a/b"], "cfw-wait: JOB_ID: invalid job id \"a/b\": holds a '/'\n"),
        (&[""], "cfw-wait: JOB_ID: invalid job id \"\": is empty\n"),
        (
            &["\"cd63\""],
            "cfw-wait: JOB_ID: invalid job id \"\\\"cd63\\\"\": holds a quotation mark; jq -r prints texts without\n",
        ),
        (
            &["a", "null"],
            "cfw-wait: JOB_ID: invalid job id \"null\": stands for a missing value; jq -er fails instead of printing it\n",
        ),
        (
            &["a b"],
            "cfw-wait: JOB_ID: invalid job id \"a b\": holds a blank; each id is an argument, or a line, of its own\n",
        ),
        (
            &["simulat"],
            "cfw-wait: simulat is no subcommand; did you mean simulate? For a job of that name: cfw-wait -- simulat\n",
        ),
        (
            &["--exec", "", "a"],
            "cfw-wait: a value is required for '--exec <COMMAND>' but none was supplied\n",
        ),
        (&["--any", "man"], "cfw-wait: --any says how to wait for jobs and means nothing to man\n"),
        (
            &["--timeout", "banana", "a"],
            "cfw-wait: invalid value 'banana' for '--timeout <TIME>': expected a time with its unit, such as 1.5s, 30m or 1h30m\n",
        ),
        (
            &["--timeout", "1d", "a"],
            "cfw-wait: invalid value '1d' for '--timeout <TIME>': days and longer units have no fixed length; expected hours or less, such as 24h\n",
        ),
        (
            &["--token-file=-", "-"],
            "cfw-wait: standard input cannot hold both: JOB_ID - and --token-file -\n",
        ),
    ] {
        let output = run(wait_command(&sim, args));
        assert_eq!(
            (output.code, &*output.stderr, &*output.stdout),
            (Some(2), message, ""),
            "{args:?}"
        );
    }
    assert_eq!(sim.counts().polls, 0, "nothing was asked of the service");
}

#[test]
fn contradictory_intervals_are_named() {
    let sim = simulator();
    let mut command = bare_command(&["--interval=10s", "--max-interval=5s", "a"]);
    command.env("CFW_ENDPOINT", sim.endpoint()).env("CFW_PROJECT_ID", "p").env("CFW_TOKEN", "t");
    let refused = run(command);
    let message = "cfw-wait: --interval 10s --max-interval 5s --min-interval 500ms: max delay 5s is shorter than first delay 10s\n";
    assert_eq!((refused.code, &*refused.stderr), (Some(2), message));

    let mut command = bare_command(&["--interval=0", "a"]);
    command.env("CFW_ENDPOINT", sim.endpoint()).env("CFW_PROJECT_ID", "p").env("CFW_TOKEN", "t");
    let refused = run(command);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.ends_with(": first delay 0s is not above zero\n"), "{}", refused.stderr);

    let mut command = bare_command(&["--interval=100ms", "a"]);
    command.env("CFW_ENDPOINT", sim.endpoint()).env("CFW_PROJECT_ID", "p").env("CFW_TOKEN", "t");
    let refused = run(command);
    let message = "cfw-wait: --interval 100ms --min-interval 500ms: schedule asks for a delay of 100ms, shorter than min_interval 500ms\n";
    assert_eq!((refused.code, &*refused.stderr), (Some(2), message));
}

#[test]
fn missing_configuration_is_named_with_exit_code_3() {
    let here = ("CFW_ENDPOINT", "http://127.0.0.1:1");
    for (env, args, message) in [
        (
            &[][..],
            &["a"][..],
            "cfw-wait: no credentials: set CFW_TOKEN or OS_TOKEN, or OS_ACCESS_KEY",
        ),
        (
            &[("CFW_TOKEN", "t")],
            &["a"],
            "cfw-wait: endpoint: is missing, and no region is set; set CFW_ENDPOINT or give --endpoint\n",
        ),
        (
            &[("CFW_TOKEN", "t"), here],
            &["a"],
            "cfw-wait: project_id: is missing; set CFW_PROJECT_ID or give --project-id\n",
        ),
        (
            &[("CFW_TOKEN", "t"), here, ("CFW_PROJECT_ID", "p/q")],
            &["a"],
            "cfw-wait: project_id \"p/q\": holds a '/'\n",
        ),
        (
            &[("OS_USERNAME", "u"), ("OS_PASSWORD", "SENSITIVE")],
            &["a"],
            "cfw-wait: OS_PASSWORD is set, but not what belongs to it: OS_AUTH_URL",
        ),
        (
            &[("CFW_TOKEN", "t")],
            &["--project-id=p", "--endpoint=nowhere", "a"],
            "cfw-wait: --endpoint is not a usable URL: it has no scheme, such as https://\n",
        ),
        // The flag stands for the variable: certificate settings of another cloud do not count beside it.
        (
            &[("CFW_TOKEN", "t"), ("OS_INSECURE", "maybe"), ("OS_CACERT", "/no/such.pem")],
            &["--project-id=p/q", "--endpoint=https://cfw.example", "a"],
            "cfw-wait: project_id \"p/q\": holds a '/'\n",
        ),
        (
            &[("CFW_TOKEN", "t")],
            &["--project-id=a\u{7}b", "--endpoint=https://cfw.example", "a"],
            "cfw-wait: --project-id holds a control character\n",
        ),
        (
            &[],
            &["--token-file=/no/such/file", "a"],
            "cfw-wait: --token-file \"/no/such/file\": cannot be read: No such file or directory (os error 2)\n",
        ),
        (&[], &["--token-file=/dev/null", "a"], "cfw-wait: --token-file \"/dev/null\": is empty\n"),
        (
            &[],
            &["--token-file=/dev/zero", "a"],
            "cfw-wait: --token-file \"/dev/zero\": is longer than 64 KiB\n",
        ),
        (
            &[("CFW_TOKEN", "t")],
            &["--project-id=p", "--endpoint=http://cfw.example", "a"],
            "cfw-wait: endpoint \"http://cfw.example\": is plain http, which shows the token to the network: \
             use https, or allow plain http explicitly (--allow-plain-http)\n",
        ),
        (
            &[("CFW_TOKEN", "t"), ("OS_REGION_NAME", "RegionOne"), ("OS_PROJECT_ID", "p")],
            &["a"],
            "cfw-wait: endpoint: is missing, and region RegionOne has no known endpoint; set CFW_ENDPOINT or give \
             --endpoint\n",
        ),
        (
            &[("OS_ACCESS_KEY", "AK"), ("OS_SECRET_KEY", "SENSITIVE"), here],
            &["a"],
            "cfw-wait: project_id: is missing, and there is neither a project name nor a region to look it up by; \
             set CFW_PROJECT_ID or give --project-id\n",
        ),
        (
            &[("OS_AUTH_TYPE", "v3oidcpassword"), ("OS_PASSWORD", "SENSITIVE")],
            &["a"],
            "cfw-wait: OS_AUTH_TYPE is \"v3oidcpassword\", which is not supported",
        ),
        (
            &[("OS_CLIENT_CONFIG_FILE", "/no/such/clouds.yaml")],
            &["--os-cloud=mine", "a"],
            "cfw-wait: cannot read /no/such/clouds.yaml, which OS_CLIENT_CONFIG_FILE names: No such file",
        ),
    ] {
        let mut command = bare_command(args);
        command.envs(env.iter().copied());
        let output = run(command);
        assert_eq!((output.code, &*output.stdout), (Some(3), ""), "{args:?}");
        assert!(output.stderr.starts_with(message), "{args:?}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains("SENSITIVE"));
    }
}

#[test]
fn all_credentials_work_end_to_end() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let (user, key) = (sim.user(), sim.access_key());
    let (endpoint, auth_url) = (sim.endpoint(), format!("{}/v3", sim.endpoint()));
    let password = [
        ("OS_AUTH_URL", &*auth_url),
        ("OS_USERNAME", user.name()),
        ("OS_PASSWORD", user.password()),
        ("OS_USER_DOMAIN_NAME", user.domain()),
        ("OS_PROJECT_NAME", sim.project_name()),
        ("CFW_ENDPOINT", &endpoint),
    ];
    let access_key = [
        ("OS_ACCESS_KEY", key.access()),
        ("OS_SECRET_KEY", key.secret()),
        ("OS_PROJECT_ID", sim.project_id()),
        ("CFW_ENDPOINT", &endpoint),
    ];
    for variables in [&password[..], &access_key] {
        let mut command = bare_command(&["a"]);
        command.envs(variables.iter().copied());
        let output = run(command);
        assert_eq!(output.code, Some(0), "{output:?}");
    }
    assert_eq!(sim.counts().polls, 2);
}

#[test]
fn os_cloud_takes_precedence_over_the_environment() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let folder = Folder::new("os-cloud");
    let file = folder.file("clouds.yaml");
    let clouds = format!(
        "clouds:\n  mine:\n    cfw_endpoint_override: {}\n    auth:\n      token: {}\n      project_id: {}\n",
        sim.endpoint(),
        sim.token(),
        sim.project_id()
    );
    std::fs::write(&file, clouds).unwrap();
    let mut command = bare_command(&["--os-cloud=mine", "a"]);
    command.env("OS_CLIENT_CONFIG_FILE", &file);
    for name in ["CFW_ENDPOINT", "CFW_PROJECT_ID", "CFW_TOKEN", "OS_CLOUD"] {
        command.env(name, "another");
    }
    let output = run(command);
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn a_token_file_takes_precedence_over_the_environment() {
    let sim = simulator();
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let folder = Folder::new("token-file");
    let file = folder.file("token");
    std::fs::write(&file, format!("{}\n", sim.token())).unwrap();
    let mut command = wait_command(&sim, &["--token-file", file.to_str().unwrap(), "a"]);
    command.env("CFW_TOKEN", "another");
    let from_file = run(command);
    assert_eq!(from_file.code, Some(0), "{from_file:?}");

    // A pipe can be read only once, whatever it is called.
    for source in ["--token-file=-", "--token-file=/dev/stdin"] {
        let mut command = wait_command(&sim, &[source, "--quiet", "a"]);
        let mut child = Running::start(command.env_remove("CFW_TOKEN").stdin(Stdio::piped()));
        child.stdin().write_all(sim.token().as_bytes()).unwrap();
        assert_eq!(child.code(), Some(0), "{source}");
    }
}

#[test]
fn a_token_is_never_printed() {
    let sim = simulator();
    add(&sim, "a", JobScript::never());
    for args in [&["-vv", "--timeout=300ms", "a"][..], &["-vv", "--project-id=x", "a"]] {
        let mut command = wait_command(&sim, args);
        command.env("CFW_TOKEN", "SENSITIVE");
        let output = run(command);
        assert!(!format!("{output:?}").contains("SENSITIVE"), "{output:?}");
        assert_eq!(output.code, Some(3));
    }
}

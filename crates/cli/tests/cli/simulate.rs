//! `cfw-wait simulate`.

use std::process::{Command, Stdio};

use crate::support::{Lines, Running, bare_command, parse_objects, run};

/// Starts the simulator and returns the lines of its standard output, which it closes after them.
fn simulate(args: &[&str]) -> (Running, Vec<String>) {
    let args = [&["simulate", "--jobs=2", "--duration=0s", "--seed=7", "--quiet"], args].concat();
    let mut server = Running::start(bare_command(&args).stdout(Stdio::piped()));
    let lines = Lines::of(server.stdout()).rest();
    (server, lines)
}

/// Returns the variables that the lines export.
fn variables(lines: &[String]) -> Vec<(String, String)> {
    let exports = lines.iter().filter_map(|line| line.strip_prefix("export "));
    let pairs = exports.map(|export| export.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

fn value<'a>(variables: &'a [(String, String)], name: &str) -> &'a str {
    &variables.iter().find(|(other, _)| other == name).unwrap().1
}

#[test]
fn it_prints_variables_that_work() {
    for (args, names) in [
        (&[][..], &["CFW_ENDPOINT", "CFW_PROJECT_ID", "CFW_TOKEN"][..]),
        (&["--access-key"], &["CFW_ENDPOINT", "CFW_PROJECT_ID", "OS_ACCESS_KEY", "OS_SECRET_KEY"]),
    ] {
        let (server, lines) = simulate(args);
        let variables = variables(&lines);
        let printed: Vec<_> = variables.iter().map(|(name, _)| &**name).collect();
        assert_eq!(printed, [names, &["CFW_JOB_IDS", "CFW_SIMULATOR_PID"]].concat());
        assert_eq!(value(&variables, "CFW_SIMULATOR_PID"), server.id().to_string());
        let ids = value(&variables, "CFW_JOB_IDS");
        let mut command = bare_command(&ids.split(' ').collect::<Vec<_>>());
        command.envs(variables.clone());
        let waited = run(command);
        assert_eq!(waited.code, Some(0), "{args:?}: {}", waited.stderr);
        assert!(waited.stderr.contains("2 jobs: 2 succeeded"), "{args:?}: {}", waited.stderr);

        let mut command = bare_command(&ids.split(' ').collect::<Vec<_>>());
        let secret = if args.is_empty() { "CFW_TOKEN" } else { "OS_SECRET_KEY" };
        command.envs(variables.clone()).env(secret, "another");
        assert_eq!(run(command).code, Some(3), "{secret} is checked");
        server.interrupt();
        assert_eq!(server.code(), Some(0));
    }
}

#[test]
fn json_is_one_object() {
    let (_server, lines) = simulate(&["--output=json"]);
    let [object] = &*parse_objects(&lines.join("\n")) else { panic!("{lines:?}") };
    assert_eq!((&object["v"], &object["type"]), (&1.into(), &"simulating".into()));
    assert_eq!(object["job_ids"].as_array().unwrap().len(), 2);
    assert!(object["token"].is_string() && object["access_key"].is_null(), "{object}");
    let (_server, lines) = simulate(&["--output=json", "--access-key"]);
    let [object] = &*parse_objects(&lines.join("\n")) else { panic!("{lines:?}") };
    assert!(object["secret_key"].is_string() && object["token"].is_null(), "{object}");
}

#[test]
fn ids_are_lines_for_a_pipe() {
    let (_server, ids) = simulate(&["--output=ids"]);
    let (_server, lines) = simulate(&[]);
    assert_eq!(ids.join(" "), value(&variables(&lines), "CFW_JOB_IDS"), "the same seed");
}

#[test]
fn the_recipe_of_the_readme_works_in_a_shell() {
    for shell in ["sh", "bash"] {
        let recipe = r#"
            PATH=$1:$PATH
            eval "$(cfw-wait simulate --duration 0s --access-key &)"
            cfw-wait $CFW_JOB_IDS
            code=$?
            kill "$CFW_SIMULATOR_PID"
            exit $code
        "#;
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_cfw-wait"));
        let mut command = Command::new(shell);
        command.args(["-c", recipe, "sh"]).arg(binary.parent().unwrap());
        // A token would take precedence over the key.
        command.env("CFW_TOKEN", "another").stdin(Stdio::null());
        let output = run(command);
        assert_eq!(output.code, Some(0), "{shell}: {}", output.stderr);
        assert!(output.stderr.contains("3 jobs: 3 succeeded"), "{shell}: {}", output.stderr);
    }
}

#[test]
fn an_occupied_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(bare_command(&["simulate", "--port", &port]));
    assert_eq!((output.code, &*output.stdout), (Some(3), ""));
    let message = format!("cfw-wait: cannot run the simulator on --port {port}: ");
    assert!(output.stderr.contains(&message), "{}", output.stderr);
}

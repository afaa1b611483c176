//! The subcommands but the demo.

use std::process::Stdio;

use expect_test::expect_file;
use rustix::process::Signal;

use crate::support::{Lines, Running, bare_command, read_all, run};

#[test]
fn simulate_prints_variables_that_work() {
    let mut command = bare_command(&["simulate", "--jobs=2", "--duration=0s", "--seed=7"]);
    let mut server = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let lines = Lines::of(server.stdout());
    let value = |name: &str| {
        let line = lines.until(name);
        line.split_once('=').unwrap().1.trim_matches('\'').to_owned()
    };
    let names = ["CFW_ENDPOINT", "CFW_PROJECT_ID", "CFW_TOKEN", "OS_ACCESS_KEY", "OS_SECRET_KEY"];
    let variables = names.map(|name| (name, value(name)));
    let ids = value("CFW_JOB_IDS");
    // As sourced, then with one of the two credentials.
    for unset in [&[][..], &["OS_ACCESS_KEY", "OS_SECRET_KEY"], &["CFW_TOKEN"]] {
        let mut command = bare_command(&[]);
        command.envs(variables.clone()).args(ids.split(' '));
        for name in unset {
            command.env_remove(name);
        }
        let waited = run(command);
        assert_eq!(waited.code, Some(0), "{unset:?}: {}", waited.stderr);
        assert!(waited.stderr.contains("2 jobs: 2 succeeded"), "{unset:?}: {}", waited.stderr);
    }
    let mut command = bare_command(&ids.split(' ').collect::<Vec<_>>());
    command.envs(variables).env_remove("CFW_TOKEN").env("OS_SECRET_KEY", "another");
    assert_eq!(run(command).code, Some(3), "the secret key is checked");
    server.signal(Signal::TERM);
    assert_eq!(server.code(), Some(0));
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

#[test]
fn completions_contain_the_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(bare_command(&["completions", shell]));
        assert_eq!(output.code, Some(0), "{shell}");
        assert!(output.stdout.contains("fail-fast"), "{shell}");
    }
}

#[test]
fn help_and_manual_list_the_exit_codes() {
    for args in [&["--help"][..], &["man"]] {
        let output = run(bare_command(args));
        assert_eq!((output.code, &*output.stderr), (Some(0), ""));
        for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "124", "129", "130", "141", "143"] {
            let text = output.stdout.replace('\\', "");
            assert!(text.lines().any(|line| line.trim_start().starts_with(code)), "{code}: {text}");
        }
    }
}

#[test]
fn help_is_as_reviewed() {
    expect_file!["../screens/help.txt"].assert_eq(&run(bare_command(&["--help"])).stdout);
}

#[test]
fn version_and_completions_go_to_standard_output() {
    let output = run(bare_command(&["--version"]));
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
    assert!(output.stdout.starts_with("cfw-wait "));

    let mut command = bare_command(&["completions", "zsh"]);
    let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    drop(child.stdout());
    assert_eq!((read_all(child.stderr()), child.code()), (String::new(), Some(0)));
}

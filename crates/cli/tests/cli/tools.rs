//! The subcommands beside the demo.

use std::process::Stdio;

use expect_test::expect_file;

use crate::support::{Lines, Running, all, bare, done};

#[test]
fn simulate_serves_whoever_sources_its_lines() {
    let mut command = bare(&["simulate", "--jobs=2", "--duration=0s", "--seed=7"]);
    let mut server = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let lines = Lines::of(server.stdout());
    let value = |name: &str| {
        let line = lines.until(name);
        line.split_once('=').unwrap().1.trim_matches('\'').to_owned()
    };
    let mut command = bare(&[]);
    for name in ["CFW_ENDPOINT", "CFW_PROJECT_ID", "CFW_TOKEN"] {
        command.env(name, value(name));
    }
    let ids = value("CFW_JOB_IDS");
    command.args(ids.split(' '));
    let waited = done(command);
    assert_eq!(waited.code, Some(0), "{}", waited.stderr);
    assert!(waited.stderr.contains("2 jobs: 2 succeeded"), "{}", waited.stderr);
    server.interrupt();
    assert_eq!(server.code(), Some(0));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let done = done(bare(&["simulate", "--port", &port]));
    assert_eq!((done.code, &*done.stdout), (Some(3), ""));
    let told = format!("cfw-wait: cannot run the simulator on --port {port}: ");
    assert!(done.stderr.contains(&told), "{}", done.stderr);
}

#[test]
fn completions_know_the_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let done = done(bare(&["completions", shell]));
        assert_eq!(done.code, Some(0), "{shell}");
        assert!(done.stdout.contains("fail-fast"), "{shell}");
    }
}

#[test]
fn help_and_manual_tell_the_exit_codes() {
    for args in [&["--help"][..], &["man"]] {
        let done = done(bare(args));
        assert_eq!((done.code, &*done.stderr), (Some(0), ""));
        for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "124", "130"] {
            let text = done.stdout.replace('\\', "");
            assert!(text.lines().any(|line| line.trim_start().starts_with(code)), "{code}: {text}");
        }
    }
}

#[test]
fn help_is_as_reviewed() {
    expect_file!["../screens/help.txt"].assert_eq(&done(bare(&["--help"])).stdout);
}

#[test]
fn version_and_help_go_to_standard_output_and_a_reader_who_leaves_is_no_error() {
    let done = done(bare(&["--version"]));
    assert_eq!((done.code, &*done.stderr), (Some(0), ""));
    assert!(done.stdout.starts_with("cfw-wait "));

    let mut command = bare(&["completions", "zsh"]);
    let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    drop(child.stdout());
    assert_eq!((all(child.stderr()), child.code()), (String::new(), Some(0)));
}

//! Help, the manual and the version.

use std::io::Write as _;
use std::process::{Command, Stdio};

use expect_test::expect_file;

use crate::support::{Running, bare_command, read_all, run};

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
fn the_manual_is_a_page_without_warnings() {
    let page = run(bare_command(&["man"])).stdout;
    assert!(page.contains(r"cfw\-wait simulate"), "{page}");
    let Ok(mut groff) = Command::new("groff")
        .args(["-man", "-Tascii", "-ww", "-P-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        return println!("groff is not installed: the page is not formatted");
    };
    groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = groff.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // Bold letters are printed twice with a backspace between.
    let mut text = String::new();
    for char in String::from_utf8_lossy(&output.stdout).chars() {
        if char == '\u{8}' {
            text.pop();
        } else {
            text.push(char);
        }
    }
    assert!(text.contains("cfw-wait simulate") && text.contains("--access-key"), "{text}");
}

#[test]
fn help_is_as_reviewed() {
    expect_file!["../screens/help.txt"].assert_eq(&run(bare_command(&["--help"])).stdout);
}

#[test]
fn help_is_also_a_subcommand() {
    let output = run(bare_command(&["help"]));
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
    assert_eq!(output.stdout, run(bare_command(&["--help"])).stdout);
    let simulate = run(bare_command(&["help", "simulate"])).stdout;
    assert!(simulate.contains("--access-key") && !simulate.contains("--no-progress"), "{simulate}");
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

//! Completions, in a real bash.

use std::process::Command;

use crate::support::{bare_command, run};

/// Returns what bash offers for the last of the words after the name of the command.
fn complete(words: &[&str]) -> Vec<String> {
    let script = run(bare_command(&["completions", "bash"])).stdout;
    // `compopt` works only in a completion that a key has started.
    let calls = r#"
        compopt() { :; }
        COMP_WORDS=(cfw-wait "$@")
        COMP_CWORD=$#
        _cfw__wait cfw-wait "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = Command::new("bash");
    // The directory has files, which are offered where file names fit.
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["--norc", "-c", &format!("{script}{calls}"), "bash"]).args(words);
    let output = run(command);
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{words:?}");
    output.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_and_their_flags() {
    assert_eq!(complete(&["sim"]), ["simulate"]);
    assert_eq!(complete(&["--fail"]), ["--fail-fast"]);
    assert_eq!(complete(&["simulate", "--acc"]), ["--access-key"]);
    assert_eq!(complete(&["simulate", "--output", ""]), ["text", "json", "ids"]);
    assert_eq!(complete(&["completions", "z"]), ["zsh"]);
    assert_eq!(complete(&["help", "dem"]), ["demo"]);
    let demo = complete(&["demo", "--"]);
    assert!(demo.contains(&"--no-progress".to_owned()), "{demo:?}");
}

#[test]
fn bash_offers_only_flags_that_mean_something() {
    assert_eq!(complete(&["man", "--"]), ["--help"]);
    assert_eq!(complete(&["completions", "--"]), ["--help"]);
    for words in [["simulate", "--"], ["demo", "--"]] {
        let flags = complete(&words);
        assert!(!flags.contains(&"--timeout".to_owned()), "{flags:?}");
    }
    assert!(!complete(&["simulate", "--"]).contains(&"--no-progress".to_owned()));
}

#[test]
fn bash_completes_file_names_only_where_they_fit() {
    for words in [
        ["--timeout", "S"],
        ["--rate", "S"],
        ["--endpoint", "S"],
        ["--concurrency", "S"],
        ["--os-cloud", "S"],
    ] {
        assert_eq!(complete(&words), ["S"], "{words:?} stays as it is");
    }
    assert_eq!(complete(&["simulate", "--port", "S"]), ["S"]);
    assert_eq!(complete(&["--token-file", "SCHEM"]), ["SCHEMA.md"]);
    assert_eq!(complete(&["--output", ""]), ["text", "json"]);
}

#[test]
fn all_shells_have_a_script_with_the_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(bare_command(&["completions", shell]));
        assert_eq!(output.code, Some(0), "{shell}");
        assert!(output.stdout.contains("fail-fast"), "{shell}");
        assert!(output.stdout.contains("access-key"), "{shell}");
    }
}

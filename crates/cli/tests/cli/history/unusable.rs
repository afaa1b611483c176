//! Histories that cannot be used, or not be written.

use std::fs;
use std::path::Path;

use cfw_simulator::JobScript;

use super::{counts, wait};
use crate::support::*;

#[test]
fn a_file_that_is_something_else_too_is_refused_before_anything_is_made() {
    let (sim, folder) = (simulator(), Folder::new("both"));
    add(&sim, "a", JobScript::succeeds_after(ms(100)));
    let [file, link] = ["h.json", "link"].map(|name| folder.file(name));
    let args = |history: &Path, state: &Path| {
        let mut command = wait_command(&sim, &["a", "--history"]);
        command.arg(history).arg("--state").arg(state).current_dir(&folder.0);
        run(command)
    };
    let check = |output: &Output, code, message: &str| {
        assert_eq!((output.code, output.stderr.lines().count()), (Some(code), 1), "{output:?}");
        assert!(output.stderr.contains(message) && output.stdout.is_empty(), "{output:?}");
    };
    check(
        &args(&file, Path::new("./h.json")),
        2,
        "h.json is the file of --state, too; use another file",
    );
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("h.json", &link).unwrap();
        check(&args(&file, &link), 2, "h.json is the file of --state, too; use another file");
        check(&args(&link, &file), 2, "link is the file of --state, too; use another file");
    }
    check(
        &args(Path::new("-"), &link),
        2,
        "--history -: standard input is no history; name a file",
    );
    // The default place is a history, too.
    let mut command = wait_command(&sim, &["a", "--state"]);
    command.arg(folder.0.join("cfw-wait/history.json")).env("XDG_STATE_HOME", &folder.0);
    check(&run(command), 2, "history.json is the file of --state, too; use another file");
    let left: Vec<_> =
        fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path == &link), "{left:?}");
    assert!(sim.polls_of("a").is_empty());
    let other = args(&file, &folder.file("jobs"));
    assert_eq!(other.code, Some(0), "{other:?}");
    assert_eq!(counts(&file), [("default".to_owned(), 1)]);
}

#[test]
#[cfg(unix)]
fn a_history_that_is_a_standard_stream_is_refused_and_left_as_it_is() {
    use std::process::Stdio;

    let (sim, folder) = (simulator(), Folder::new("stream"));
    let file = folder.file("history.json");
    assert_eq!(wait(&sim, "a", &file, &[]).code, Some(0));
    let text = fs::read(&file).unwrap();
    let open = || Stdio::from(fs::OpenOptions::new().append(true).read(true).open(&file).unwrap());
    for stream in ["standard input", "standard output", "standard error"] {
        for explains in [false, true] {
            let mut command = if explains {
                bare_command(&["explain", "default"])
            } else {
                wait_command(&sim, &["--output=json", "a"])
            };
            command.arg("--history").arg(&file);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            match stream {
                "standard input" => command.stdin(open()),
                "standard output" => command.stdout(open()),
                _ => command.stderr(open()),
            };
            let output = command.spawn().unwrap().wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{output:?}");
            let mut written = fs::read(&file).unwrap();
            // There the message has to go.
            if stream != "standard error" {
                assert_eq!(written, text);
                written = output.stderr;
            }
            let message = format!("history.json is {stream}, too; use another file\n");
            assert!(String::from_utf8_lossy(&written).ends_with(&message), "{written:?}");
            fs::write(&file, &text).unwrap();
        }
    }
}

#[test]
#[cfg(unix)]
fn a_limit_of_the_size_of_files_is_a_warning_and_ends_no_wait() {
    let (sim, folder) = (simulator(), Folder::new("limit"));
    let file = folder.file("history.json");
    let jobs = vec!["{\"seconds\":1.5}"; 200].join(",");
    let text = format!(
        "{{\"format\":\"cfw-waiter history\",\"version\":1,\"kinds\":{{\"default\":{{\"jobs\":[{jobs}]}}}}}}"
    );
    fs::write(&file, &text).unwrap();
    add(&sim, "a", JobScript::succeeds_after(ms(100)));
    let wait = wait_command(&sim, &["--quiet", "a", "--history"]);
    let mut command = std::process::Command::new("sh");
    command.env_clear().envs(wait.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // Two blocks of 512 bytes.
    command.args(["-c", "ulimit -f 2; exec \"$@\"", "sh"]).arg(wait.get_program());
    command.args(wait.get_args()).arg(&file);
    let output = run(command);
    assert_eq!(output.code, Some(0), "{output:?}");
    let message = "cfw-wait: warning: cannot write history ";
    assert!(output.stderr.starts_with(message), "{output:?}");
    assert!(output.stderr.contains("File too large"), "{output:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(!folder.file("history.json.cfw-waiter-new").exists());
}

#[test]
#[cfg(unix)]
fn names_of_files_move_and_hide_nothing() {
    let (sim, folder) = (simulator(), Folder::new("names"));
    let name = "a\u{1b}[31mb\nc\u{202e}d";
    let file = folder.file(name);
    assert_eq!(wait(&sim, "a", &file, &[]).code, Some(0));
    let explain = |kind: &str| {
        let mut command = bare_command(&["explain", kind, "--history"]);
        command.arg(&file);
        run(command)
    };
    let text = explain("default").stdout;
    assert!(text.starts_with("default: 1 job in "), "{text}");
    assert!(text.lines().next().unwrap().ends_with("a [31mb c d"), "{text}");
    let unknown = explain("e\u{202e}f");
    fs::write(&file, "a poem\n").unwrap();
    let (foreign, unreadable) =
        (wait(&sim, "a", &file, &[]), wait(&sim, "a", &file.join(name), &[]));
    fs::remove_file(&file).unwrap();
    fs::remove_file(folder.file(&format!("{name}.lock"))).unwrap();
    fs::create_dir(folder.file(&format!("{name}.lock"))).unwrap();
    let warned = wait(&sim, "a", &file, &["--no-progress", "--quiet"]);
    for (output, code) in [(unknown, 2), (foreign, 3), (unreadable, 3), (warned, 0)] {
        assert_eq!((output.code, output.stderr.lines().count()), (Some(code), 1), "{output:?}");
        assert!(output.stderr.contains("a [31mb c d"), "{output:?}");
        assert!(!output.stderr.contains(['\u{1b}', '\u{202e}']), "{output:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_file_that_its_user_made_read_only_is_read_and_not_replaced() {
    use std::os::unix::fs::PermissionsExt as _;

    let (sim, folder) = (simulator(), Folder::new("protected"));
    let file = folder.file("history.json");
    assert_eq!(wait(&sim, "a", &file, &["--kind=create"]).code, Some(0));
    let text = fs::read(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    add(&sim, "b", JobScript::succeeds_after(ms(300)));
    let plain = wait_command(&sim, &["--kind=create", "--quiet", "b", "--history"]);
    // Without the rights of the superuser, who may write to any file.
    let mut command = std::process::Command::new("unshare");
    command.arg("--user").arg(plain.get_program()).args(plain.get_args()).arg(&file).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin");
    let output = command.output();
    if sim.polls_of("b").is_empty() {
        println!("left out: user namespaces are not allowed here: {output:?}");
        return;
    }
    let output = String::from_utf8(output.unwrap().stderr).unwrap();
    let problem = "cfw-wait: warning: cannot write history ";
    assert!(output.starts_with(problem) && output.lines().count() == 1, "{output}");
    assert!(
        output.ends_with("Permission denied (os error 13); the durations are not recorded\n"),
        "{output}"
    );
    assert_eq!(fs::read(&file).unwrap(), text);
}

#[test]
#[cfg(unix)]
fn a_history_of_another_user_is_not_taken_over() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let (sim, folder) = (simulator(), Folder::new("other-user"));
    let file = folder.file("history.json");
    assert_eq!(wait(&sim, "a", &file, &[]).code, Some(0));
    fs::remove_file(folder.file("history.json.lock")).unwrap();
    let (text, owner) = (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().uid());
    for (path, mode) in [(&folder.0, 0o777), (&file, 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    add(&sim, "b", JobScript::succeeds_after(ms(300)));
    let plain = wait_command(&sim, &["--quiet", "b", "--history"]);
    // Only the superuser can become another user.
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--clear-groups"]).arg(plain.get_program());
    command.args(plain.get_args()).arg(&file).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin");
    let output = command.output();
    if sim.polls_of("b").is_empty() {
        println!("left out: this user cannot run a command as another one: {output:?}");
        return;
    }
    let output = String::from_utf8(output.unwrap().stderr).unwrap();
    let problem = "cfw-wait: warning: cannot write history ";
    assert!(output.starts_with(problem) && output.lines().count() == 1, "{output}");
    assert!(output.contains("Operation not permitted"), "{output}");
    assert_eq!((fs::read(&file).unwrap(), fs::metadata(&file).unwrap().uid()), (text, owner));
    // Nor is a lock left that would keep its owner out.
    assert!(!folder.file("history.json.lock").exists());
}

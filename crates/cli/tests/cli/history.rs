//! Durations of past jobs: where they are kept, and what they change.

use std::fs;
use std::path::Path;

use cfw_simulator::{JobScript, Simulator};

use crate::support::*;

/// Waits for a new job with this history.
fn wait(sim: &Simulator, id: &str, file: &Path, args: &[&str]) -> Output {
    add(sim, id, JobScript::succeeds_after(ms(300)));
    let mut command = wait_command(sim, args);
    command.arg("--history").arg(file).arg(id);
    run(command)
}

/// The numbers of past jobs by kind.
fn counts(file: &Path) -> Vec<(String, usize)> {
    let text = fs::read_to_string(file).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let kinds = json["kinds"].as_object().unwrap();
    kinds
        .iter()
        .map(|(kind, past)| (kind.clone(), past["jobs"].as_array().unwrap().len()))
        .collect()
}

#[test]
fn durations_are_recorded_by_kind_and_appended() {
    let (sim, folder) = (simulator(), Folder::new("append"));
    let file = folder.file("history.json");
    assert_eq!(wait(&sim, "a", &file, &["--kind=create"]).code, Some(0));
    assert_eq!(wait(&sim, "b", &file, &["--kind=create"]).code, Some(0));
    assert_eq!(wait(&sim, "c", &file, &[]).code, Some(0));
    assert_eq!(counts(&file), [("create".to_owned(), 2), ("default".to_owned(), 1)]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(sim.token()) && !text.contains(&sim.endpoint()), "{text}");
}

#[test]
fn past_jobs_tell_when_to_poll() {
    let (sim, folder) = (simulator(), Folder::new("use"));
    let job = |n| format!("{{\"seconds\":{}}}", 1.9 + 0.01 * f64::from(n));
    let jobs: Vec<String> = (0..20).map(job).collect();
    let text = format!(
        "{{\"format\":\"cfw-waiter history\",\"version\":1,\"kinds\":{{\"create\":{{\"jobs\":[{}]}}}}}}",
        jobs.join(",")
    );
    fs::write(folder.file("history.json"), text).unwrap();
    for (id, kind) in [("known", "create"), ("unknown", "delete")] {
        add(&sim, id, JobScript::succeeds_after(ms(2_000)));
        // No longest interval, which holds for learned delays as well.
        let mut command = bare_command(&["--interval=50ms", "--min-interval=20ms"]);
        command.envs(wait_command(&sim, &[]).get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.args(["--kind", kind, "--poll-cost=1s", "--history"]);
        command.arg(folder.file("history.json")).arg(id);
        assert_eq!(run(command).code, Some(0));
    }
    let (known, unknown) = (sim.polls_of("known").len(), sim.polls_of("unknown").len());
    // Two and nine on an idle machine.
    assert!(known + 2 <= unknown, "{known} {unknown}");
}

#[test]
fn the_default_place_is_the_state_directory() {
    let (sim, folder) = (simulator(), Folder::new("default"));
    let run_with = |id: &str, args: &[&str]| {
        let duration = if args.contains(&"--timeout=0") { ms(60_000) } else { ms(100) };
        add(&sim, id, JobScript::succeeds_after(duration));
        let mut command = wait_command(&sim, args);
        command.env("XDG_STATE_HOME", &folder.0).arg(id);
        run(command)
    };
    let file = folder.0.join("cfw-wait").join("history.json");
    assert_eq!(run_with("a", &["--no-history"]).code, Some(0));
    assert!(!file.exists());
    assert_eq!(run_with("b", &[]).code, Some(0));
    assert_eq!(counts(&file), [("default".to_owned(), 1)]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let modes = [file.parent().unwrap(), &file]
            .map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777);
        assert_eq!(modes, [0o700, 0o600], "only for their user");
    }
    // A look is no wait: it says nothing of durations.
    assert_eq!(run_with("c", &["--timeout=0"]).code, Some(124));
    assert_eq!(counts(&file), [("default".to_owned(), 1)]);
    // A damaged one there is a warning, and is left as it is.
    fs::write(&file, "{\"format\":\"cfw-waiter hist").unwrap();
    let output = run_with("d", &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("cfw-wait: warning: "), "{}", output.stderr);
    assert!(output.stderr.contains("past jobs are not used"), "{}", output.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"format\":\"cfw-waiter hist");
}

#[test]
fn a_file_that_holds_nothing_is_an_empty_history() {
    for text in ["", "\n"] {
        let (sim, folder) = (simulator(), Folder::new("empty"));
        fs::write(folder.file("history.json"), text).unwrap();
        let output = wait(&sim, "a", &folder.file("history.json"), &[]);
        assert_eq!(
            (output.code, output.stderr.contains("warning")),
            (Some(0), false),
            "{output:?}"
        );
        assert_eq!(counts(&folder.file("history.json")), [("default".to_owned(), 1)]);
    }
}

#[test]
fn a_named_file_that_is_no_history_is_an_error() {
    let (sim, folder) = (simulator(), Folder::new("foreign"));
    fs::write(folder.file("history.json"), "a poem\n").unwrap();
    let output = wait(&sim, "a", &folder.file("history.json"), &[]);
    assert_eq!(output.code, Some(3), "{output:?}");
    let message = "is not a history of cfw-waiter, and is left as it is";
    assert!(output.stderr.contains(message), "{}", output.stderr);
    assert_eq!(fs::read_to_string(folder.file("history.json")).unwrap(), "a poem\n");
    assert!(sim.polls_of("a").is_empty());
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning_before_the_wait() {
    let (sim, folder) = (simulator(), Folder::new("missing"));
    fs::create_dir(folder.0.join("h.json.lock")).unwrap();
    for file in [folder.0.join("missing").join("h.json"), folder.0.join("h.json")] {
        let output = wait(&sim, "a", &file, &["--no-progress"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert_eq!(output.stderr.matches("warning").count(), 1, "{}", output.stderr);
        assert!(lines[0].starts_with("cfw-wait: warning: cannot write history "), "{lines:?}");
        assert!(lines[0].ends_with("; the durations are not recorded"), "{lines:?}");
        assert!(lines.len() > 1, "the wait has lines of its own: {lines:?}");
    }
}

#[test]
fn a_lock_that_another_process_keeps_is_a_warning_and_ends_no_wait() {
    let (sim, folder) = (simulator(), Folder::new("stuck"));
    let file = folder.file("history.json");
    let lock = fs::File::create(folder.file("history.json.lock")).unwrap();
    // As one that was stopped by Ctrl+Z holds it.
    lock.lock().unwrap();
    let output = wait(&sim, "a", &file, &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let message =
        "stays locked by another process, and is left as it is; the durations are not recorded";
    assert!(output.stderr.contains(message), "{}", output.stderr);
    assert!(!file.exists());
}

#[test]
fn a_job_that_is_asked_about_again_and_again_is_recorded_once() {
    let (sim, folder) = (simulator(), Folder::new("again"));
    let file = folder.file("history.json");
    add(&sim, "a", JobScript::succeeds_after(ms(300)));
    for _ in 0..3 {
        let mut command = wait_command(&sim, &["--history"]);
        command.arg(&file).arg("a");
        assert_eq!(run(command).code, Some(0));
    }
    assert_eq!(counts(&file), [("default".to_owned(), 1)]);
}

#[test]
fn a_line_of_the_input_names_the_kind_of_its_job() {
    let (sim, folder) = (simulator(), Folder::new("lines"));
    let file = folder.file("history.json");
    for id in ["a", "b"] {
        add(&sim, id, JobScript::succeeds_after(ms(100)));
    }
    let ids = folder.0.join("ids");
    fs::write(&ids, "{\"id\":\"a\",\"kind\":\"delete\"}\nb\n").unwrap();
    let mut command = wait_command(&sim, &["--kind=create", "--history"]);
    command.arg(&file).arg("--ids-file").arg(&ids);
    assert_eq!(run(command).code, Some(0));
    assert_eq!(counts(&file), [("create".to_owned(), 1), ("delete".to_owned(), 1)]);
    let output = run(wait_command(&sim, &["--kind= ", "a"]));
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("--kind"), "{}", output.stderr);
}

#[test]
fn a_price_of_nothing_is_refused() {
    let (sim, folder) = (simulator(), Folder::new("price"));
    let output = wait(&sim, "a", &folder.file("history.json"), &["--poll-cost=0"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("--poll-cost"), "{}", output.stderr);
}

#[test]
#[cfg(unix)]
fn a_named_pipe_and_a_device_are_refused() {
    let (sim, folder) = (simulator(), Folder::new("special"));
    let pipe = folder.file("history.json");
    // Opening it blocks until there is a writer.
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), Path::new("/dev/null")] {
        let output = wait(&sim, "a", path, &[]);
        assert_eq!(output.code, Some(3), "{output:?}");
        let problem = format!("{} is not a regular file", path.display());
        assert!(output.stderr.contains(&problem), "{output:?}");
    }
}

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

//! Durations of past jobs: where they are kept, and what they change.

use std::fs;
use std::path::Path;

use cfw_simulator::{JobScript, Simulator};

use crate::support::*;

mod unusable;

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

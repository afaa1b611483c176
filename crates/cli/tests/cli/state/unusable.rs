//! State files that cannot be used: one line, exit code 3, and the file as it was.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use cfw_simulator::JobScript;
use rustix::fs::{Mode, mkfifoat};

use super::{command, counts, ends, kill_after};
use crate::support::*;

/// Checks that the command says one line, with this text, polls nothing, and ends with exit code 3.
fn check_refused(mut command: Command, text: &str) {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.starts_with("cfw-wait: --state \"") && error.contains(text), "{text:?}: {error}");
    assert_eq!((error.lines().count(), &*output.stdout), (1, &b""[..]), "{error}");
}

#[test]
fn two_commands_do_not_use_one_file() {
    let (sim, folder) = (simulator(), Folder::new("state-two"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(3_600_000)));
    add(&sim, "b", JobScript::succeeds_after(ms(0)));
    let mut first = command(&sim, &file, &["a"]);
    first.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut first);
    Lines::of(running.stdout()).until("Running");
    let text = fs::read(&file).unwrap();
    check_refused(command(&sim, &file, &["b"]), "is in use by another cfw-wait");
    assert_eq!(fs::read(&file).unwrap(), text);
    assert!(sim.polls_of("b").is_empty());
    // The lock goes with its holder, however it ends.
    running.signal(rustix::process::Signal::KILL);
    drop(running);
    let output = run(command(&sim, &file, &["--any", "b"]));
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn what_is_no_state_file_is_refused_and_left_as_it_is() {
    let (sim, folder) = (simulator(), Folder::new("state-foreign"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    for (text, problem) in [
        ("a poem\n", "is not a state file of cfw-wait, and is left as it is"),
        (
            "{\"cfw_wait_state\":2}\n",
            "is of version 2, which is not known (known: 1), and is left as it is",
        ),
        (
            "{\"cfw_wait_state\":1}\nwhat\n",
            "is damaged in line 2, and is left as it is: expected value at column 1",
        ),
        ("{\"cfw_wait_sta", "is not a state file of cfw-wait"),
    ] {
        fs::write(&file, text).unwrap();
        check_refused(command(&sim, &file, &["a"]), problem);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    check_refused(command(&sim, &folder.0, &["a"]), "is a directory");
    check_refused(command(&sim, Path::new("/dev/full"), &["a"]), "is not a regular file");
    let pipe = folder.file("pipe");
    mkfifoat(rustix::fs::CWD, &pipe, Mode::RWXU).unwrap();
    check_refused(command(&sim, &pipe, &["a"]), "is not a regular file");
    mkfifoat(rustix::fs::CWD, folder.file("locked.lock"), Mode::RWXU).unwrap();
    let problem = "cannot be locked: its lock is not a regular file";
    check_refused(command(&sim, &folder.file("locked"), &["a"]), problem);
    check_refused(command(&sim, &file.join("below"), &["a"]), "cannot be ");
    check_refused(
        command(&sim, &folder.file("no/folder"), &["a"]),
        "cannot be written: No such file",
    );
    let circle = folder.file("circle");
    symlink(&circle, &circle).unwrap();
    check_refused(command(&sim, &circle, &["a"]), "cannot be read: Too many levels");
    check_refused(
        command(&sim, &folder.file("missing"), &[]),
        "does not exist, and no JOB_ID is given",
    );
    assert!(sim.polls_of("a").is_empty());
    let output = run(wait_command(&sim, &["--state=-", "a"]));
    assert_eq!(output.code, Some(2), "{output:?}");
}

#[test]
fn a_file_that_is_a_standard_stream_is_refused() {
    let (sim, folder) = (simulator(), Folder::new("state-stream"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let open = || fs::File::options().create(true).append(true).open(&file).unwrap();
    // An empty file, as the shell makes one, and a state file.
    for _ in 0..2 {
        let text = fs::read(&file).unwrap_or_default();
        let output = command(&sim, &file, &["a"]).stdout(open()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(error.ends_with(": is standard output, too; use another file\n"), "{error}");
        let output = command(&sim, &file, &["a"]).stderr(open()).output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b""[..]));
        let written = fs::read_to_string(&file).unwrap();
        let said = written.strip_prefix(str::from_utf8(&text).unwrap()).unwrap();
        assert!(said.ends_with(": is standard error, too; use another file\n"), "{said}");
        assert_eq!(said.lines().count(), 1);
        fs::write(&file, &text).unwrap();
        if !text.is_empty() {
            let mut command = command(&sim, &file, &["-"]);
            command.stdin(fs::File::open(&file).unwrap());
            check_refused(command, "is standard input, too; use another file");
        }
        assert!(sim.polls_of("a").len() <= usize::from(!text.is_empty()));
        assert_eq!(run(command(&sim, &file, &["a"])).code, Some(0));
    }
}

#[test]
fn jobs_of_another_project_or_endpoint_are_refused() {
    let (sim, folder) = (simulator(), Folder::new("state-place"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    assert_eq!(run(command(&sim, &file, &["a"])).code, Some(0));
    let text = fs::read_to_string(&file).unwrap();
    let other = ["--project-id=0123456789abcdef0123456789abcdef", "a"];
    let message =
        format!("holds jobs of project {:?}, and not of \"0123456789abcdef", sim.project_id());
    check_refused(command(&sim, &file, &other), &message);
    let other = simulator();
    let endpoint = format!("--endpoint={}", other.endpoint());
    check_refused(command(&sim, &file, &[&endpoint, "a"]), "holds jobs of endpoint \"127.0.0.1:");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_file_cut_anywhere_is_gone_on_with_or_refused() {
    let (sim, folder) = (simulator(), Folder::new("state-cut"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    add(&sim, "b", JobScript::fails_after(ms(0)));
    assert_eq!(run(command(&sim, &file, &["a", "b"])).code, Some(1));
    let text = fs::read(&file).unwrap();
    let header = text.iter().position(|byte| *byte == b'\n').unwrap();
    // The unit tests cut at every byte.
    let steps =
        (1..text.len()).filter(|cut| cut % 97 == 0 || [1, header, header + 1].contains(cut));
    for cut in steps {
        fs::write(&file, &text[..cut]).unwrap();
        let output = run(command(&sim, &file, &["a", "b"]));
        if cut <= header {
            assert_eq!(output.code, Some(3), "{cut} {output:?}");
            assert_eq!(fs::read(&file).unwrap(), &text[..cut]);
            continue;
        }
        assert_eq!(output.code, Some(1), "{cut} {output:?}");
        assert_eq!(counts(&parse_objects(&output.stdout)), [2, 1, 1, 0], "{cut}");
    }
}

/// Returns the command with a limit for the size of files, as on a full disk: 512 bytes for each of `blocks`.
fn limited(command: &Command, blocks: u32) -> Command {
    let mut limited = Command::new("/bin/sh");
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"")).arg("sh");
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

#[test]
fn a_full_disk_is_one_line_and_nothing_is_lost() {
    let (sim, folder) = (simulator(), Folder::new("state-full"));
    let file = folder.file("jobs");
    let ids: Vec<String> = (0..40).map(|n| format!("job-{n}")).collect();
    for id in &ids {
        add(&sim, id, JobScript::succeeds_after(ms(0)));
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    // There is no room for a header.
    check_refused(limited(&command(&sim, &file, &ids), 0), "cannot be written: File too large");
    assert!(!file.exists() && !folder.file("jobs.new").exists());
    // There is none for the jobs.
    check_refused(limited(&command(&sim, &file, &ids), 2), "cannot be written: File too large");
    let header = fs::read_to_string(&file).unwrap();
    assert_eq!(header.lines().count(), 1, "{header}");
    assert!(ids.iter().all(|id| sim.polls_of(id).is_empty()), "what is not recorded is not polled");
    // There is none for all ends: those that were reported are not reported again, and the others are.
    let mut first = limited(&command(&sim, &file, &ids), 24);
    let output = first.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.lines().last().unwrap().contains("cannot be written: File too large"), "{error}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.ends_with('\n'), "the file is as it was before the last record: {text}");
    let before = parse_objects(&String::from_utf8(output.stdout).unwrap());
    let output = run(command(&sim, &file, &ids));
    let after = parse_objects(&output.stdout);
    assert_eq!((output.code, counts(&after)), (Some(0), [40, 40, 0, 0]), "{output:?}");
    let (before, after) = (ends(&before), ends(&after));
    for id in &ids {
        let times = |ends: &[(&str, bool)], is_again| {
            ends.iter().filter(|end| **end == (*id, is_again)).count()
        };
        let times = [times(&before, false), times(&after, false), times(&after, true)];
        assert!(matches!(times, [1, 0, 0] | [0, 1, 0] | [0 | 1, 0, 1]), "{id}: {times:?}");
    }
}

#[test]
fn a_read_only_folder_is_one_line() {
    let (sim, folder) = (simulator(), Folder::new("state-read-only"));
    let file = folder.file("jobs");
    add(&sim, "a", JobScript::succeeds_after(ms(3_600_000)));
    kill_after(command(&sim, &file, &["a"]), "Running");
    let text = fs::read(&file).unwrap();
    // Root may write everywhere but on a file system that is mounted so.
    let script = "mount -t tmpfs none \"$0\" && mkdir \"$0/m\" && mount --bind \"$SOURCE\" \"$0/m\" && mount -o remount,bind,ro \"$0/m\" && exec \"$@\"";
    let mount = folder.file("mount");
    fs::create_dir(&mount).unwrap();
    let inner = command(&sim, &mount.join("m").join("jobs"), &["a"]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script]).arg(&mount);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("SOURCE", &folder.0).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = match command.output() {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    if !output.contains("cfw-wait") {
        println!("left out: mounts are not allowed here: {output}");
        return;
    }
    check_refused(command, "cannot be written: Read-only file system");
    assert_eq!(fs::read(&file).unwrap(), text);
}

#[test]
fn a_folder_that_can_be_written_and_not_read_is_good_enough() {
    let (sim, folder) = (simulator(), Folder::new("state-unreadable"));
    add(&sim, "a", JobScript::succeeds_after(ms(0)));
    let inner = command(&sim, &folder.file("jobs"), &["a"]);
    // Root may read everything, unless it gives that up.
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", "--bounding-set=-all"]);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin");
    rustix::fs::chmod(&folder.0, Mode::WUSR | Mode::XUSR).unwrap();
    let output = command.output();
    rustix::fs::chmod(&folder.0, Mode::RWXU).unwrap();
    let error = match output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    assert!(!error.contains("cfw-wait"), "{error}");
    println!("left out: capabilities cannot be given up here: {error}");
}

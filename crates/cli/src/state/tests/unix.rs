//! Modes, links and locks of Unix.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_its_user_can_read_or_write_what_is_written() {
    let folder = Folder::new("mode");
    let mut state = open(&folder.file()).unwrap();
    let lock = folder.0.join("jobs.state.lock");
    assert_eq!((mode(&folder.file()), mode(&lock)), (0o600, 0o600));
    drop(state);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o664)).unwrap();
    state = open(&folder.file()).unwrap();
    assert_eq!(mode(&folder.file()), 0o600);
    // Neither a link in the place of the new file is followed, nor is its mode taken.
    let victim = folder.0.join("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, folder.0.join("jobs.state.new")).unwrap();
    state.compact().unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    assert_eq!(mode(&folder.file()), 0o600);
}

#[test]
fn without_the_lock_beside_it_the_file_is_locked_all_the_same() {
    let folder = Folder::new("unlocked");
    let mut state = open(&folder.file()).unwrap();
    for _ in 0..2 {
        fs::remove_file(folder.0.join("jobs.state.lock")).unwrap();
        let error = open(&folder.file()).unwrap_err();
        assert!(error.ends_with("is in use by another cfw-wait"), "{error}");
        state.compact().unwrap();
    }
    drop(state);
    // One that was opened, and not made.
    let state = open(&folder.file()).unwrap();
    fs::remove_file(folder.0.join("jobs.state.lock")).unwrap();
    assert!(open(&folder.file()).is_err());
    drop(state);
    open(&folder.file()).unwrap();
}

#[test]
fn all_names_of_a_file_have_one_lock_and_a_link_stays_one() {
    let folder = Folder::new("link");
    let link = folder.0.join("link");
    drop(open(&folder.file()).unwrap());
    symlink(folder.file(), &link).unwrap();
    let mut state = open(&link).unwrap();
    state.compact().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let error = open(&folder.file()).unwrap_err();
    assert!(error.ends_with("is in use by another cfw-wait"), "{error}");
}

#[test]
fn a_file_is_made_where_links_lead_and_the_links_stay() {
    let folder = Folder::new("to-be-made");
    let (first, second) = (folder.0.join("first"), folder.0.join("second"));
    // From the folder of the link, and by a link to a link.
    symlink("jobs.state", &second).unwrap();
    symlink(&second, &first).unwrap();
    let mut state = open(&first).unwrap();
    state.add(job("a"), Own::default()).unwrap();
    state.compact().unwrap();
    drop(state);
    for link in [&first, &second] {
        assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    }
    assert!(fs::symlink_metadata(folder.file()).unwrap().is_file());
    assert!(open(&folder.file()).unwrap().contains("a"));
}

#[test]
fn a_link_that_leads_to_no_folder_stays_and_makes_no_file() {
    let folder = Folder::new("link-astray");
    let astray = folder.0.join("astray");
    symlink("no/jobs", &astray).unwrap();
    let error = open(&astray).unwrap_err();
    assert!(error.contains("cannot be written: No such file"), "{error}");
    assert!(fs::symlink_metadata(&astray).unwrap().is_symlink());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn a_file_with_several_names_stays_one_file() {
    let folder = Folder::new("names");
    let other = folder.0.join("other");
    let mut state = open(&folder.file()).unwrap();
    state.add(job("a"), Own::default()).unwrap();
    state.sync().unwrap();
    fs::hard_link(folder.file(), &other).unwrap();
    let same = |folder: &Folder| {
        fs::read_to_string(folder.file()).unwrap() == fs::read_to_string(&other).unwrap()
    };
    // The file grows where it would be replaced.
    for polls in 1..1_000 {
        state.progress([running(polls)]).unwrap();
        state.sync().unwrap();
    }
    assert!(same(&folder) && fs::metadata(&other).unwrap().len() > 2 * SLACK);
    let error = open(&other).unwrap_err();
    assert!(error.ends_with("is in use by another cfw-wait"), "{error}");
    drop(state);
    let state = open(&other).unwrap();
    assert_eq!(state.entries()[0].job.polls, 999);
    drop(state);
    // What can only be written to a new file is not written.
    let place: Place = serde_json::from_str(r#"{"project_id":"1"}"#).unwrap();
    let error = State::open(&other, place, true).unwrap_err().message.unwrap();
    assert!(error.ends_with("it has other names, which are hard links; remove them"), "{error}");
    assert!(same(&folder) && !folder.0.join("other.new").exists());
    fs::remove_file(&other).unwrap();
    open(&folder.file()).unwrap().compact().unwrap();
}

#[test]
fn a_file_that_is_open_and_has_no_name_is_refused() {
    use std::os::fd::AsRawFd as _;

    let folder = Folder::new("nameless");
    drop(open(&folder.file()).unwrap());
    let file = File::open(folder.file()).unwrap();
    fs::remove_file(folder.file()).unwrap();
    fs::remove_file(folder.0.join("jobs.state.lock")).unwrap();
    let name = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if !name.exists() {
        println!("left out: there is no /proc here");
        return;
    }
    let error = open(&name).unwrap_err();
    assert!(error.contains("cannot be read: No such file"), "{error}");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn a_file_that_was_removed_is_made_again_and_another_one_is_left_alone() {
    let folder = Folder::new("removed");
    let mut state = open(&folder.file()).unwrap();
    state.add(job("a"), Own::default()).unwrap();
    fs::remove_file(folder.file()).unwrap();
    state.sync().unwrap();
    let text = fs::read_to_string(folder.file()).unwrap();
    assert!(text.contains("\"job_id\":\"a\""), "{text}");
    fs::remove_file(folder.file()).unwrap();
    fs::write(folder.file(), "a poem").unwrap();
    state.add(job("b"), Own::default()).unwrap();
    let error = state.sync().unwrap_err().message.unwrap();
    assert!(error.ends_with("was replaced by another program"), "{error}");
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), "a poem");
}

#[test]
fn a_file_that_was_emptied_is_made_again_and_one_that_was_changed_is_left_alone() {
    let folder = Folder::new("changed");
    let path = folder.file();
    let mut state = open(&path).unwrap();
    state.add(job("a"), Own::default()).unwrap();
    state.sync().unwrap();
    fs::write(&path, "").unwrap();
    state.add(job("b"), Own::default()).unwrap();
    state.sync().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"job_id\":\"a\"") && text.contains("\"job_id\":\"b\""), "{text}");
    drop(state);
    for changed in [
        text.get(..text.len() / 2).unwrap(),
        "a poem",
        &format!("{text}a poem"),
        &format!("{text}\n"),
    ] {
        fs::write(&path, &text).unwrap();
        let mut state = open(&path).unwrap();
        fs::write(&path, changed).unwrap();
        state.add(job("c"), Own::default()).unwrap();
        let error = state.sync().unwrap_err().message.unwrap();
        let said = "was changed by another program, and is left as it is";
        assert!(error.ends_with(said), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), changed);
    }
}

#[test]
fn what_the_superuser_writes_is_still_its_users() {
    let folder = Folder::new("owner");
    drop(open(&folder.file()).unwrap());
    let lock = folder.0.join("jobs.state.lock");
    fs::remove_file(&lock).unwrap();
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    let other = owner(&folder.file()) + 1_000;
    if chown(folder.file(), Some(other), None).is_err() {
        println!("left out: only the superuser can give files away");
        return;
    }
    let mut state = open(&folder.file()).unwrap();
    assert_eq!([owner(&folder.file()), owner(&lock)], [other; 2]);
    state.compact().unwrap();
    assert_eq!(owner(&folder.file()), other);
}

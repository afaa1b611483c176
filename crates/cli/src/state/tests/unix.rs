//! Modes, links and locks of Unix.

use std::os::unix::fs::{PermissionsExt as _, symlink};

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

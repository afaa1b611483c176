//! What the name of a history leads to: links, files of other kinds, files beside another history.
#![cfg(unix)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use super::*;

#[test]
fn a_symbolic_link_stays_and_its_file_is_written() {
    let folder = Folder::new("link");
    let (file, link) = (folder.file(), folder.0.join("link"));
    symlink("history.json", &link).unwrap();
    symlink(&link, folder.0.join("other")).unwrap();
    for (n, path) in [&link, &folder.0.join("other"), &file].into_iter().enumerate() {
        one("a", 5.0).append_to(path).unwrap();
        assert!(link.is_symlink() && folder.0.join("other").is_symlink());
        assert_eq!(History::load(&file).unwrap().samples("a").count(), n + 1);
    }
    assert!(folder.0.join("history.json.lock").exists() && !folder.0.join("link.lock").exists());
    let ring = folder.0.join("ring");
    symlink("ring", &ring).unwrap();
    let error = one("a", 5.0).append_to(&ring).unwrap_err();
    assert!(error.to_string().starts_with("cannot write history "), "{error}");
    assert!(ring.is_symlink());
}

#[test]
fn what_is_no_regular_file_is_neither_read_nor_replaced() {
    let folder = Folder::new("special");
    let socket = folder.file();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = one("a", 5.0).append_to(&socket).unwrap_err().to_string();
    assert!(error.ends_with("is not a regular file, and is left as it is"), "{error}");
    assert!(!fs::metadata(&socket).unwrap().is_file());
    let device = Path::new("/dev/null");
    let link = folder.0.join("link");
    symlink(device, &link).unwrap();
    let endless = folder.0.join("endless");
    symlink("/dev/zero", &endless).unwrap();
    let pipe = folder.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [&socket, &link, &endless, &pipe] {
        // Opening a pipe blocks until it has a writer.
        let (sender, receiver) = std::sync::mpsc::channel();
        let (path, name) = (path.clone(), path.display().to_string());
        std::thread::spawn(move || sender.send(History::load(path)));
        let loaded = receiver.recv_timeout(Duration::from_secs(20)).expect(&name);
        let error = loaded.unwrap_err().to_string();
        let expected = format!("history {name} is not a regular file, and is left as it is");
        assert_eq!(error, expected);
    }
    let error = one("a", 5.0).append_to(&link).unwrap_err().to_string();
    assert!(error.ends_with("is not a regular file, and is left as it is"), "{error}");
    assert!(link.is_symlink() && !fs::metadata(device).unwrap().is_file());
}

#[test]
fn other_hard_links_keep_what_the_file_held() {
    let folder = Folder::new("hard-link");
    let (file, backup) = (folder.file(), folder.0.join("backup"));
    one("a", 1.0).append_to(&file).unwrap();
    fs::hard_link(&file, &backup).unwrap();
    one("a", 2.0).append_to(&file).unwrap();
    one("b", 3.0).append_to(&backup).unwrap();
    let counts = |path| {
        let history = History::load(path).unwrap();
        ["a", "b"].map(|kind| history.samples(kind).count())
    };
    assert_eq!([counts(&file), counts(&backup)], [[2, 0], [1, 1]]);
}

#[test]
fn a_link_to_a_file_still_to_be_made_stays() {
    let folder = Folder::new("dangling");
    let (link, file) = (folder.0.join("link"), folder.0.join("made later"));
    symlink("made later", &link).unwrap();
    assert!(History::load(&link).unwrap().is_empty());
    History::check_writable(&link).unwrap();
    one("a", 1.0).append_to(&link).unwrap();
    assert!(link.is_symlink() && !file.is_symlink());
    assert_eq!(History::load(&file).unwrap(), one("a", 1.0));
    symlink("missing/file", folder.0.join("nowhere")).unwrap();
    let error = one("a", 1.0).append_to(folder.0.join("nowhere")).unwrap_err();
    assert!(error.to_string().starts_with("cannot write history "), "{error}");
}

#[test]
fn a_file_beside_another_history_is_none() {
    let folder = Folder::new("reserved");
    one("a", 1.0).append_to(folder.file()).unwrap();
    let new = folder.0.join("history.json.cfw-waiter-new");
    for name in ["history.json.lock", "history.json.cfw-waiter-new", "other.LOCK", "link"] {
        let path = folder.0.join(name);
        if name == "link" {
            symlink(&new, &path).unwrap();
        }
        let ending =
            if name.to_lowercase().ends_with(".lock") { ".lock" } else { ".cfw-waiter-new" };
        let expected = format!(
            "history {} has the name of a file beside a history; use one that does not end in {ending}",
            path.display()
        );
        for error in [
            History::load(&path).unwrap_err(),
            History::check_writable(&path).unwrap_err(),
            one("a", 2.0).append_to(&path).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), expected);
        }
        // Nothing is made beside it.
        assert!(!folder.0.join(format!("{name}.lock")).exists());
    }
    assert!(!new.exists());
    let near = folder.0.join("history.lock.json");
    one("a", 2.0).append_to(&near).unwrap();
    assert_eq!(History::load(&near).unwrap(), one("a", 2.0));
}

#[test]
fn a_file_that_its_user_made_read_only_is_not_replaced() {
    let folder = Folder::new("protected");
    let file = folder.file();
    one("a", 1.0).append_to(&file).unwrap();
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o400);
    if fs::OpenOptions::new().write(true).open(&file).is_ok() {
        println!("left out: no mode keeps the superuser out");
        return;
    }
    for result in [one("a", 2.0).append_to(&file), History::check_writable(&file)] {
        let error = result.unwrap_err();
        assert!(error.to_string().starts_with("cannot write history "), "{error}");
        assert!(error.source().is_some());
    }
    assert_eq!(History::load(&file).unwrap(), one("a", 1.0));
    mode(0o600);
    one("a", 2.0).append_to(&file).unwrap();
}

#[test]
fn what_the_superuser_writes_is_still_its_users() {
    let folder = Folder::new("owner");
    let file = folder.file();
    one("a", 1.0).append_to(&file).unwrap();
    let lock = folder.0.join("history.json.lock");
    fs::remove_file(&lock).unwrap();
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    let other = owner(&file) + 1_000;
    if chown(&file, Some(other), None).is_err() {
        println!("left out: only the superuser can give files away");
        return;
    }
    for result in [History::check_writable(&file), one("a", 2.0).append_to(&file)] {
        result.unwrap();
        assert_eq!([owner(&file), owner(&lock)], [other; 2]);
    }
    assert_eq!(History::load(&file).unwrap().samples("a").count(), 2);
}

//! The lock beside a history.

use super::*;

#[test]
#[cfg(unix)]
fn a_writer_whose_lock_was_removed_replaces_nothing() {
    let folder = Folder::new("unlocked");
    let (file, lock) = (folder.file(), folder.0.join("history.json.lock"));
    one("a", 1.0).append_to(&file).unwrap();
    for is_there_again in [false, true] {
        let before = fs::read(&file).unwrap();
        let locked = Locked::acquire(&file).unwrap();
        fs::remove_file(&lock).unwrap();
        if is_there_again {
            // Another process writes.
            one("a", 2.0).append_to(&file).unwrap();
        }
        let now = fs::read(&file).unwrap();
        assert!(!locked.replace(&before).unwrap());
        assert_eq!(fs::read(&file).unwrap(), now);
        assert!(!folder.0.join("history.json.cfw-waiter-new").exists());
    }
    // The process that has the lock by now is writing its new file.
    let (new, half) =
        (folder.0.join("history.json.cfw-waiter-new"), "{\"format\":\"cfw-waiter hist");
    let locked = Locked::acquire(&file).unwrap();
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "").unwrap();
    fs::write(&new, half).unwrap();
    assert!(!locked.replace(b"other").unwrap());
    assert_eq!(fs::read_to_string(&new).unwrap(), half);
    // It replaces the new file of this one, or removes the lock, just before the rename.
    let locked = Locked::acquire(&file).unwrap();
    let now = fs::read(&file).unwrap();
    let own = || File::create_new(&new).unwrap();
    fs::remove_file(&new).unwrap();
    let replaced = own();
    fs::remove_file(&new).unwrap();
    fs::write(&new, half).unwrap();
    assert!(!locked.put_in_place(&replaced, &new).unwrap());
    assert_eq!(
        (fs::read(&file).unwrap(), fs::read_to_string(&new).unwrap()),
        (now.clone(), half.into())
    );
    fs::remove_file(&new).unwrap();
    fs::remove_file(&lock).unwrap();
    assert!(!locked.put_in_place(&own(), &new).unwrap());
    assert_eq!((fs::read(&file).unwrap(), new.exists()), (now, false));
    fs::write(&lock, "").unwrap();
    // One that waits for a lock that is removed takes the new one.
    let holder = fs::OpenOptions::new().write(true).open(&lock).unwrap();
    holder.lock().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| one("a", 3.0).append_to(&file));
        fs::remove_file(&lock).unwrap();
        drop(holder);
        waiting.join().unwrap().unwrap();
    });
    assert!(lock.exists());
    assert_eq!(History::load(&file).unwrap().samples("a").count(), 3);
}

#[test]
fn a_lock_that_is_not_freed_is_named_and_waited_for_a_moment() {
    let folder = Folder::new("stuck");
    let file = folder.file();
    one("a", 1.0).append_to(&file).unwrap();
    let _held = Locked::acquire(&file).unwrap();
    let error = one("a", 2.0).append_to(&file).unwrap_err().to_string();
    let expected = "stays locked by another process, and is left as it is";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(History::load(&file).unwrap(), one("a", 1.0));
}
